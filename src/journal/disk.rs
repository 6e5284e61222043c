//! The file operations the journal is made of, and the real ones. It knows names and bytes, not what they mean. The
//! trait exists so that a test can fail any operation and cut the power between any two.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::name::FileName;

/// A directory of segments and bases.
pub(super) trait Disk {
    type File: JournalFile;

    /// The journal's files there, each kind ascending.
    fn list(&self) -> io::Result<Vec<FileName>>;
    /// To read only, which a mounted backup allows too.
    fn open(&self, name: FileName) -> io::Result<Self::File>;
    fn open_to_write(&mut self, name: FileName) -> io::Result<Self::File>;
    /// Begins an empty file, in place of whatever bore the name.
    fn create(&mut self, name: FileName) -> io::Result<Self::File>;
    /// Replaces whatever bore the new name.
    fn rename(&mut self, from: FileName, to: FileName) -> io::Result<()>;
    fn remove(&mut self, name: FileName) -> io::Result<()>;
    /// After this, what was created, renamed and removed stays so through a power cut.
    fn sync_names(&mut self) -> io::Result<()>;
    /// Something nobody outside can guess.
    fn salt(&mut self) -> io::Result<u64>;
}

/// One file.
pub(super) trait JournalFile {
    fn length(&self) -> io::Result<u64>;
    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()>;
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    fn set_length(&mut self, length: u64) -> io::Result<()>;
    /// After this, bytes and length survive a power cut.
    fn sync(&mut self) -> io::Result<()>;
}

/// A directory of the file system.
#[derive(Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    fn path(&self, name: FileName) -> PathBuf {
        self.0.join(name.on_disk())
    }
}

impl Disk for Directory {
    type File = File;

    fn list(&self) -> io::Result<Vec<FileName>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let name = entry?.file_name();
            names.extend(name.to_str().and_then(FileName::parse));
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, name: FileName) -> io::Result<File> {
        File::open(self.path(name))
    }

    fn open_to_write(&mut self, name: FileName) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.path(name))
    }

    fn create(&mut self, name: FileName) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(self.path(name))
    }

    fn rename(&mut self, from: FileName, to: FileName) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&mut self, name: FileName) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_names(&mut self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    fn salt(&mut self) -> io::Result<u64> {
        getrandom::u64().map_err(io::Error::other)
    }
}

impl JournalFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, into, offset)
    }

    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
