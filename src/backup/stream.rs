//! A backup of the server's own data as one tar, while it goes on. Memory is bounded by the number of files, not by their size:
//! nothing is copied on the way.
//!
//! From the beginning on, removed media files are held, and the journal's files are open: the state is the journal up to the
//! position at which it began, and what this state shows can be read to the end. Files of messages that came later may be
//! among them, which does no harm. The manifest is last: a tar without one is not whole.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Error, tar_header};
use crate::archive::{self, About, Entry, JOURNAL, MANIFEST, MEDIA, Manifest, SCHEMA, SECRET, Sum};
use crate::journal::{self, FileName, Position};
use crate::media::{Hold, Media};
use crate::model::Timestamp;
use crate::store::{self, Store};

/// Names of files that are read from the index at once.
const GROUP: usize = 1000;
/// How often to look up the journal's files again when a segment is begun meanwhile.
const TRIES: usize = 10;

/// What a running server backs up.
#[derive(Debug, Clone)]
pub struct Online {
    store: Store,
    media: Media,
    is_running: Arc<AtomicBool>,
}

/// The one backup that may run; another may when it is dropped.
#[derive(Debug)]
pub struct Turn(Arc<AtomicBool>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Online {
    /// Of this store and these files.
    pub fn new(store: Store, media: Media) -> Self {
        Self {
            store,
            media,
            is_running: Arc::default(),
        }
    }

    /// `None` while another backup runs.
    pub fn begin(&self) -> Option<Turn> {
        let was_running = self.is_running.swap(true, Ordering::AcqRel);
        (!was_running).then(|| Turn(Arc::clone(&self.is_running)))
    }

    /// Writes the tar. Blocks for as long as that takes; `into` may be as slow as it likes.
    pub fn write(&self, _turn: Turn, into: impl Write) -> Result<Manifest, Error> {
        let Some(hold) = self.media.hold() else {
            return Err(Error::Restless);
        };
        let data_dir = self.store.data_dir();
        let schema = store::schema_of(data_dir)?;
        let (files, last_commit, end) = self.journal()?;
        let about = About {
            created: Timestamp::now().to_string(),
            jivchat: env!("CARGO_PKG_VERSION").to_owned(),
            schema,
            last_commit,
            has_media: true,
        };
        let mut tar = Tar::new(into);
        let text = format!("{schema}\n");
        tar.add(SCHEMA, text.len() as u64, &mut text.as_bytes())?;
        match File::open(data_dir.join(SECRET)) {
            Ok(mut secret) => {
                let bytes = secret.metadata().map_err(sent)?.len();
                tar.add(SECRET, bytes, &mut secret)?;
            }
            // The server has its secret from somewhere else.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(archive::Error::io("read", &data_dir.join(SECRET))(error).into());
            }
        }
        for (name, mut file) in files {
            let bytes = match name {
                FileName::Segment(number) if number == end.segment => end.offset,
                _ => file.metadata().map_err(sent)?.len(),
            };
            tar.add(&format!("{JOURNAL}/{}", name.on_disk()), bytes, &mut file)?;
        }
        self.add_media(&hold, &mut tar)?;
        drop(hold);
        tar.finish(about)
    }

    /// The journal's files, and how far they are part of the backup.
    #[expect(
        clippy::type_complexity,
        reason = "named where it is taken apart, once"
    )]
    fn journal(&self) -> Result<(Vec<(FileName, File)>, u64, Position), Error> {
        let dir = self.store.data_dir().join(JOURNAL);
        for _ in 0..TRIES {
            let files = journal::open_files(&dir)?;
            // Asked after the opening: whatever a base holds is before it.
            let (last_commit, end) = self.store.written()?;
            if files.last().map(|(name, _)| *name) == Some(FileName::Segment(end.segment)) {
                return Ok((files, last_commit, end));
            }
        }
        Err(Error::Restless)
    }

    /// Every file that the index shows, and then those that left it since the beginning: the commit comes before the removal.
    fn add_media<W: Write>(&self, hold: &Hold, tar: &mut Tar<W>) -> Result<(), Error> {
        let mut last = String::new();
        loop {
            let group = self.store.snapshot().uploads_after(&last, GROUP)?;
            for name in &group {
                tar.add_media(hold, name)?;
            }
            match group.into_iter().last() {
                Some(name) => last = name,
                None => break,
            }
        }
        // In this order: a file is doomed first and removed then.
        let doomed = self.store.snapshot().doomed_files()?;
        for name in doomed.iter().chain(&hold.removed()) {
            tar.add_media(hold, name)?;
        }
        Ok(())
    }
}

struct Tar<W: Write> {
    builder: tar::Builder<W>,
    files: std::collections::BTreeMap<String, Entry>,
}

impl<W: Write> Tar<W> {
    fn new(into: W) -> Self {
        Self {
            builder: tar::Builder::new(into),
            files: std::collections::BTreeMap::new(),
        }
    }

    fn add_media(&mut self, hold: &Hold, name: &str) -> Result<(), Error> {
        let path = format!("{MEDIA}/{name}");
        if !archive::may_hold(&path) || self.files.contains_key(&path) {
            return Ok(());
        }
        // One that was lost long ago: whoever checks the backup is told.
        let Some(mut file) = hold.open(name).map_err(sent)? else {
            return Ok(());
        };
        let bytes = file.metadata().map_err(sent)?.len();
        self.add(&path, bytes, &mut file)
    }

    fn add(&mut self, path: &str, bytes: u64, from: &mut impl Read) -> Result<(), Error> {
        let mut counted = Counted {
            from: from.take(bytes),
            sum: Sum::new(),
        };
        let header = tar_header(path, bytes).map_err(sent)?;
        self.builder.append(&header, &mut counted).map_err(sent)?;
        let entry = counted.sum.finish();
        // The header has gone out: what follows could not be read.
        if entry.bytes != bytes {
            return Err(sent(io::Error::other("a file became shorter")));
        }
        self.files.insert(path.to_owned(), entry);
        Ok(())
    }

    fn finish(mut self, about: About) -> Result<Manifest, Error> {
        let manifest = Manifest::new(about, self.files);
        let json = manifest.to_json();
        let header = tar_header(MANIFEST, json.len() as u64).map_err(sent)?;
        self.builder.append(&header, &json[..]).map_err(sent)?;
        let mut into = self.builder.into_inner().map_err(sent)?;
        into.flush().map_err(sent)?;
        Ok(manifest)
    }
}

/// Sums up what is read.
struct Counted<R> {
    from: R,
    sum: Sum,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.sum.add(&into[..read]);
        Ok(read)
    }
}

fn sent(error: io::Error) -> Error {
    Error::Stream(error)
}
