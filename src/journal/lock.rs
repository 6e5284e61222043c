//! One owner of a data directory (promise P16). It owns the file `LOCK` and nothing else in the directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

const FILE_NAME: &str = "LOCK";

/// Held as long as the value lives, and never longer than the process: the system drops it with its file handle.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

/// Why a directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "data directory {} is in use{}; stop that server or choose another --data-dir",
        .dir.display(),
        .holder.map(|pid| format!(" by process {pid}")).unwrap_or_default()
    )]
    Held {
        /// The directory.
        dir: PathBuf,
        /// What the holder wrote into the file, if that could be read.
        holder: Option<u32>,
    },
    /// The file could not be opened, locked or written.
    #[error("cannot lock data directory {}: {source}; check its owner, its mode and that its file system has locks", .dir.display())]
    Io {
        /// The directory.
        dir: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl DirLock {
    /// Takes the lock or tells who has it; never waits. `dir` must exist.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io {
            dir: dir.to_owned(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join(FILE_NAME))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held {
                    dir: dir.to_owned(),
                    holder: read_holder(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // The number only serves the other's error message: on a full disk the lock is held without it.
        let _ = write_holder(&mut file);
        Ok(Self { _file: file })
    }
}

/// Takes the lock of a directory that may not be written, where there is one to take: a server that could write there would have
/// made it.
pub fn lock_read_only(dir: &Path) -> Result<Option<DirLock>, LockError> {
    let failed = |source| LockError::Io {
        dir: dir.to_owned(),
        source,
    };
    let mut file = match File::open(dir.join(FILE_NAME)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(DirLock { _file: file })),
        Err(TryLockError::WouldBlock) => Err(LockError::Held {
            dir: dir.to_owned(),
            holder: read_holder(&mut file),
        }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn read_holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_refused_and_told_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirLock::acquire(dir.path()).unwrap();
        let refused = DirLock::acquire(dir.path()).unwrap_err();
        let LockError::Held { holder, .. } = &refused else {
            panic!("{refused:?}");
        };
        assert_eq!(*holder, Some(std::process::id()));
        assert!(!refused.to_string().contains('\n'));
        drop(first);
        DirLock::acquire(dir.path()).unwrap();
    }

    #[test]
    fn a_directory_that_may_only_be_read_is_locked_without_a_trace() {
        let dir = tempfile::tempdir().unwrap();
        assert!(lock_read_only(dir.path()).unwrap().is_none());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let owner = DirLock::acquire(dir.path()).unwrap();
        let refused = lock_read_only(dir.path()).unwrap_err();
        assert!(matches!(refused, LockError::Held { .. }));
        drop(owner);
        let _reader = lock_read_only(dir.path()).unwrap().unwrap();
        assert!(DirLock::acquire(dir.path()).is_err());
    }

    #[test]
    fn what_a_dead_owner_left_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE_NAME), "4194304999 and more").unwrap();
        let _lock = DirLock::acquire(dir.path()).unwrap();
        let text = std::fs::read_to_string(dir.path().join(FILE_NAME)).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
    }

    #[test]
    fn a_missing_directory_is_a_one_line_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = DirLock::acquire(&dir.path().join("absent")).unwrap_err();
        assert!(matches!(error, LockError::Io { .. }));
        assert!(!error.to_string().contains('\n'));
    }
}
