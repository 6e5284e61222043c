//! A backup that is being made: in a directory beside its place, which it takes when it is whole. Whatever ends before leaves
//! nothing that looks like a backup. It does not know which files make one whole.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::manifest::Sum;
use super::{About, Entry, Error, JOURNAL, MANIFEST, MEDIA, Manifest};
use crate::journal::DirLock;

/// Copied at once.
const CHUNK: usize = 256 << 10;
const NOT_EMPTY: &str = "is there already; name a directory that is new or empty";
const MOUNTED: &str = "is where a file system is mounted, which cannot be put in place whole; name a new directory in it";
const NO_DIRECTORY: &str = "is in no directory that is there; make that one first";

/// The files so far. Dropped before [`Draft::finish`], it takes them with it.
#[derive(Debug)]
pub struct Draft {
    place: PathBuf,
    dir: PathBuf,
    files: BTreeMap<String, Entry>,
    is_finished: bool,
    /// Tells other drafts for the same place that this one is being worked on.
    _lock: DirLock,
}

impl Draft {
    /// Begins a backup that is to stand at `place`, which must be absent or an empty directory. Removes what was left of drafts
    /// for the same place whose process has ended.
    pub fn begin(place: &Path) -> Result<Self, Error> {
        let target = |why| Error::Target {
            path: place.to_owned(),
            why,
        };
        let parent = parent_of(place);
        let parent_device = fs::metadata(parent)
            .map_err(|_| target(NO_DIRECTORY))?
            .dev();
        match fs::symlink_metadata(place) {
            Ok(metadata) if !metadata.is_dir() || !is_empty(place)? => {
                return Err(target(NOT_EMPTY));
            }
            Ok(metadata) if metadata.dev() != parent_device => return Err(target(MOUNTED)),
            _ => {}
        }
        let prefix = prefix(place).ok_or_else(|| target(NO_DIRECTORY))?;
        sweep(parent, &prefix)?;
        let mut name = prefix;
        name.push(std::process::id().to_string());
        let dir = parent.join(name);
        let made = make_dir(&dir).and_then(|()| {
            make_dir(&dir.join(JOURNAL))?;
            make_dir(&dir.join(MEDIA))
        });
        made.map_err(Error::io("make", &dir))?;
        let lock = DirLock::acquire(&dir).map_err(|_| target(NOT_EMPTY))?;
        Ok(Self {
            place: place.to_owned(),
            dir,
            files: BTreeMap::new(),
            is_finished: false,
            _lock: lock,
        })
    }

    /// Where the files are for now.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What has been taken in.
    pub fn files(&self) -> &BTreeMap<String, Entry> {
        &self.files
    }

    /// Adds a file, on stable storage. `progress` hears of each number of bytes.
    pub fn add(
        &mut self,
        path: &str,
        from: &mut impl Read,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        let entry = copy(from, &self.dir.join(path), progress)?;
        self.files.insert(path.to_owned(), entry);
        Ok(())
    }

    /// Adds a file that stands in [`Self::dir`] already.
    pub fn adopt(&mut self, path: &str) -> Result<(), Error> {
        let at = self.dir.join(path);
        let file = File::open(&at).map_err(Error::io("read", &at))?;
        let entry = sum_of(&file, &at, &mut |_| ())?;
        file.sync_all().map_err(Error::io("sync", &at))?;
        self.files.insert(path.to_owned(), entry);
        Ok(())
    }

    /// Takes a file out again.
    pub fn remove(&mut self, path: &str) -> Result<(), Error> {
        self.files.remove(path);
        let at = self.dir.join(path);
        fs::remove_file(&at).map_err(Error::io("remove", &at))
    }

    /// Reads every file once more against what was taken in, writes the manifest and puts the backup in its place, all of it on
    /// stable storage. `progress` hears of bytes read, and of all there are.
    pub fn finish(
        mut self,
        about: About,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Manifest, Error> {
        let manifest = Manifest::new(about, std::mem::take(&mut self.files));
        let mut done = 0;
        for (path, entry) in &manifest.files {
            let at = self.dir.join(path);
            let file = File::open(&at).map_err(Error::io("read", &at))?;
            let found = sum_of(&file, &at, &mut |bytes| {
                done += bytes;
                progress(done, manifest.bytes());
            })?;
            if found != *entry {
                return Err(Error::damaged(path, "is not as it was written"));
            }
        }
        let at = self.dir.join(MANIFEST);
        copy(&mut &manifest.to_json()[..], &at, &mut |_| ())?;
        for dir in [JOURNAL, MEDIA, ""] {
            sync_dir(&self.dir.join(dir))?;
        }
        fs::rename(&self.dir, &self.place).map_err(|error| match error.kind() {
            ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists => Error::Target {
                path: self.place.clone(),
                why: NOT_EMPTY,
            },
            _ => Error::io("make", &self.place)(error),
        })?;
        self.is_finished = true;
        // Only now: until then it kept others from sweeping the draft.
        let lock = self.place.join("LOCK");
        fs::remove_file(&lock).map_err(Error::io("remove", &lock))?;
        sync_dir(&self.place)?;
        sync_dir(parent_of(&self.place))?;
        Ok(manifest)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_finished {
            // What cannot be removed now is swept by the next one for the same place.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

fn parent_of(place: &Path) -> &Path {
    match place.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => place,
    }
}

/// What the directories of drafts for the place are called, up to a number.
fn prefix(place: &Path) -> Option<OsString> {
    let mut name = place.file_name()?.to_owned();
    name.push(".partial-");
    Some(name)
}

/// Removes what killed processes have left.
fn sweep(parent: &Path, prefix: &OsString) -> Result<(), Error> {
    let entries = fs::read_dir(parent).map_err(Error::io("read", parent))?;
    for entry in entries {
        let entry = entry.map_err(Error::io("read", parent))?;
        let name = entry.file_name();
        let path = entry.path();
        let rest = name
            .as_encoded_bytes()
            .strip_prefix(prefix.as_encoded_bytes());
        let is_draft = rest.is_some_and(|rest| {
            !rest.is_empty() && rest.iter().all(u8::is_ascii_digit) && path.is_dir()
        });
        if is_draft && DirLock::acquire(&path).is_ok() {
            fs::remove_dir_all(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Whether there is nothing in a directory.
pub(super) fn is_empty(dir: &Path) -> Result<bool, Error> {
    let mut entries = fs::read_dir(dir).map_err(Error::io("read", dir))?;
    Ok(entries.next().is_none())
}

fn make_dir(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

pub(super) fn sync_dir(path: &Path) -> Result<(), Error> {
    let synced = File::open(path).and_then(|dir| dir.sync_all());
    synced.map_err(Error::io("sync", path))
}

/// Writes a new file that only its owner reads, on stable storage.
pub(super) fn copy(
    from: &mut impl Read,
    to: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Entry, Error> {
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to);
    let mut into = opened.map_err(Error::io("write", to))?;
    let mut sum = Sum::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from.read(&mut chunk).map_err(Error::io("copy to", to))?;
        if read == 0 {
            break;
        }
        sum.add(&chunk[..read]);
        into.write_all(&chunk[..read])
            .map_err(Error::io("write", to))?;
        progress(read as u64);
    }
    into.sync_all().map_err(Error::io("sync", to))?;
    Ok(sum.finish())
}

/// Reads a file through.
pub(super) fn sum_of(
    mut file: impl Read,
    path: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Entry, Error> {
    let mut sum = Sum::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk).map_err(Error::io("read", path))?;
        if read == 0 {
            return Ok(sum.finish());
        }
        sum.add(&chunk[..read]);
        progress(read as u64);
    }
}
