//! Small copies of pictures: made when they are asked for, one at a time, and kept beside the files in a directory that may be
//! emptied at any time. A copy goes with its file. It does not know who may see what.

mod render;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use self::render::{Rendered, render};
use super::{Media, MediaError, MediaType, Settings};

/// How many pixels across a copy may be asked for.
pub const WIDTHS: [u32; 4] = [160, 320, 640, 1280];
/// The directory, inside that of the files. Nothing in it needs a backup.
const DIRECTORY: &str = "thumbnails";
/// Making one takes all the memory that is granted.
const AT_ONCE: usize = 1;
/// Requests that may wait for their turn, the one at work included.
const WAITING: usize = 64;
/// Pictures without a copy that are remembered, so that nobody tries again and again.
const MAX_REMEMBERED: usize = 10_000;

/// How a copy is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Jpeg,
    Png,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Jpeg, Self::Png];

    pub(super) fn media_type(self) -> MediaType {
        match self {
            Self::Jpeg => MediaType::Jpeg,
            Self::Png => MediaType::Png,
        }
    }
}

/// What to answer with.
#[derive(Debug)]
pub(super) enum Thumbnail {
    /// A copy, open.
    Copy(Kind, tokio::fs::File),
    /// The file itself, which is small enough.
    AsItIs,
}

/// The copies there are.
#[derive(Debug)]
pub(super) struct Thumbnails {
    directory: PathBuf,
    max_bytes: u64,
    memory: u64,
    making: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    known: Mutex<Known>,
}

/// Of which file, and how wide.
type Key = (String, u32);

#[derive(Debug, Default)]
struct Known {
    copies: HashMap<Key, Copy>,
    bytes: u64,
    /// Counts the requests: a clock for "longest ago".
    clock: u64,
    /// Files that have no copy of this width; `true` if they are small enough themselves.
    without: HashMap<Key, bool>,
}

#[derive(Debug)]
struct Copy {
    kind: Kind,
    size: u64,
    used: u64,
}

impl Thumbnails {
    /// Finds the copies that are there; those whose file is gone, and what was being written in a crash, go.
    pub(super) fn open(media: &Path, settings: &Settings) -> io::Result<Self> {
        let directory = media.join(DIRECTORY);
        let mut known = Known::default();
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => Some(entries),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        for entry in entries.into_iter().flatten() {
            let entry = entry?;
            let name = entry.file_name().into_string().unwrap_or_default();
            match parse_name(&name).filter(|((of, _), _)| media.join(of).exists()) {
                Some((key, kind)) => known.add(key, kind, entry.metadata()?.len()),
                None => fs::remove_file(entry.path())?,
            }
        }
        let thumbnails = Self {
            directory,
            max_bytes: settings.thumbnail_cache,
            memory: settings.thumbnail_memory,
            making: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::new(Semaphore::new(WAITING)),
            known: Mutex::new(known),
        };
        thumbnails.make_room();
        Ok(thumbnails)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, (name, width): &Key, kind: Kind) -> PathBuf {
        let extension = kind.media_type().extension();
        self.directory.join(format!("{name}.{width}.{extension}"))
    }

    /// Removes every copy of a file that is gone.
    pub(super) fn forget(&self, name: &str) -> io::Result<()> {
        let mut known = self.known();
        for width in WIDTHS {
            let key = (name.to_owned(), width);
            known.remove(&key);
            known.without.remove(&key);
            for kind in Kind::ALL {
                match fs::remove_file(self.path(&key, kind)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Sees to it that removed copies stay so in a power cut.
    pub(super) fn sync_directory(&self) -> io::Result<()> {
        match fs::File::open(&self.directory) {
            // Made with the first copy.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            opened => opened?.sync_all(),
        }
    }

    /// What is known of a copy, and that it was wanted.
    fn look_up(&self, key: &Key) -> Option<Result<Kind, bool>> {
        let mut known = self.known();
        known.clock += 1;
        let now = known.clock;
        if let Some(copy) = known.copies.get_mut(key) {
            copy.used = now;
            return Some(Ok(copy.kind));
        }
        known.without.get(key).map(|small| Err(*small))
    }

    /// Writes a copy of a file and remembers it. It does not stay if its file has gone in the meantime.
    fn store(&self, media: &Path, key: Key, kind: Kind, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let mut file = tempfile_in(&self.directory)?;
        let written = file.1.write_all(bytes).and_then(|()| file.1.sync_all());
        let path = self.path(&key, kind);
        let mut known = self.known();
        if let Err(error) = written.and_then(|()| fs::rename(&file.0, &path)) {
            let _ = fs::remove_file(&file.0);
            return Err(error);
        }
        if !media.join(&key.0).exists() {
            return fs::remove_file(&path);
        }
        known.add(key, kind, bytes.len() as u64);
        drop(known);
        self.make_room();
        Ok(())
    }

    /// Removes the copies that were not wanted for longest, until the others fit.
    fn make_room(&self) {
        let mut known = self.known();
        if known.bytes <= self.max_bytes {
            return;
        }
        let mut keys: Vec<(u64, Key)> = known
            .copies
            .iter()
            .map(|(key, copy)| (copy.used, key.clone()))
            .collect();
        keys.sort();
        // A little more than needed, so that this is rare.
        let target = self.max_bytes / 10 * 9;
        for (_, key) in keys {
            if known.bytes <= target {
                break;
            }
            if let Some(copy) = known.remove(&key) {
                // One that cannot be removed is found again at the next start.
                let _ = fs::remove_file(self.path(&key, copy.kind));
            }
        }
    }
}

impl Known {
    fn add(&mut self, key: Key, kind: Kind, size: u64) {
        self.remove(&key);
        let used = self.clock;
        self.bytes += size;
        self.copies.insert(key, Copy { kind, size, used });
    }

    fn remove(&mut self, key: &Key) -> Option<Copy> {
        let copy = self.copies.remove(key)?;
        self.bytes -= copy.size;
        Some(copy)
    }

    fn remember_without(&mut self, key: Key, is_small: bool) {
        if self.without.len() >= MAX_REMEMBERED {
            self.without.clear();
        }
        self.without.insert(key, is_small);
    }
}

impl Media {
    /// A copy of the picture `name`, made now if there is none.
    pub(super) async fn thumbnail(&self, name: &str, width: u32) -> Result<Thumbnail, MediaError> {
        let media_type = MediaType::of_name(name).ok_or(MediaError::NotFound)?;
        let path = self.path(name)?;
        if !tokio::fs::try_exists(&path).await? {
            return Err(MediaError::NotFound);
        }
        if render::format_of(media_type).is_none() {
            return Err(MediaError::NoThumbnail);
        }
        let key = (name.to_owned(), width);
        if let Some(found) = self.find_thumbnail(&key).await? {
            return Ok(found);
        }
        let thumbnails = Arc::clone(&self.thumbnails);
        let waiting = Arc::clone(&thumbnails.waiting);
        let place = waiting.try_acquire_owned().map_err(|_| MediaError::Busy)?;
        let making = Arc::clone(&thumbnails.making).acquire_owned().await;
        let making = making.map_err(|_| MediaError::Busy)?;
        // Whoever was before may have made it.
        if let Some(found) = self.find_thumbnail(&key).await? {
            return Ok(found);
        }
        let (media, wanted) = (Arc::clone(&self.directory), key.clone());
        // Goes on when the client goes away, and keeps its place until it is done.
        let made = tokio::task::spawn_blocking(move || {
            let _places = (place, making);
            make(&thumbnails, &media, wanted, media_type)
        });
        made.await.map_err(io::Error::other)??;
        // It was made, and is gone again only if it alone is larger than all that may be kept, or the disk is full.
        Ok(self
            .find_thumbnail(&key)
            .await?
            .unwrap_or(Thumbnail::AsItIs))
    }

    async fn find_thumbnail(&self, key: &Key) -> Result<Option<Thumbnail>, MediaError> {
        let kind = match self.thumbnails.look_up(key) {
            None => return Ok(None),
            Some(Err(true)) => return Ok(Some(Thumbnail::AsItIs)),
            Some(Err(false)) => return Err(MediaError::NoThumbnail),
            Some(Ok(kind)) => kind,
        };
        match tokio::fs::File::open(self.thumbnails.path(key, kind)).await {
            Ok(file) => Ok(Some(Thumbnail::Copy(kind, file))),
            // Somebody has emptied the directory.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.thumbnails.known().remove(key);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Makes a copy and keeps it, or remembers that there is none. A copy that cannot be kept is no failure of the request.
fn make(thumbnails: &Thumbnails, media: &Path, key: Key, media_type: MediaType) -> io::Result<()> {
    let file = File::open(media.join(&key.0))?;
    match render(file, media_type, key.1, thumbnails.memory) {
        Rendered::Copy(kind, bytes) => {
            if let Err(error) = thumbnails.store(media, key, kind, &bytes) {
                tracing::warn!(%error, "a thumbnail could not be kept");
            }
        }
        Rendered::AsItIs => thumbnails.known().remember_without(key, true),
        Rendered::Impossible => thumbnails.known().remember_without(key, false),
    }
    Ok(())
}

fn tempfile_in(directory: &Path) -> io::Result<(PathBuf, File)> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let path = directory.join(format!(".new-{:032x}", u128::from_be_bytes(random)));
    Ok((path.clone(), File::create_new(path)?))
}

/// `<file>.<width>.<extension>`, as [`Thumbnails::path`] makes it.
fn parse_name(name: &str) -> Option<(Key, Kind)> {
    let (rest, extension) = name.rsplit_once('.')?;
    let (of, width) = rest.rsplit_once('.')?;
    let kind = Kind::ALL
        .into_iter()
        .find(|kind| kind.media_type().extension() == extension)?;
    let width = width.parse().ok().filter(|width| WIDTHS.contains(width))?;
    MediaType::of_name(of)?;
    Some(((of.to_owned(), width), kind))
}

#[cfg(test)]
mod tests;
