//! Whose directory of files it is: a server removes files that none of its messages shows, so two of them must never share one.
//! It owns the file `.owner` in it, which names the data directory and is locked as long as the server runs. The directory `media` of
//! a data directory needs none: who has the one has the other.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// In the directory of files.
const FILE_NAME: &str = ".owner";
/// In the data directory: what stands in the other.
const ID_FILE_NAME: &str = "media-owner";
/// Digits of an id.
const ID_LENGTH: usize = 32;

/// Held as long as the value lives, and never longer than the process.
#[derive(Debug)]
pub struct Owner {
    _file: Option<File>,
}

/// Why the directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// A server that runs has it.
    #[error("the media directory {} is in use by another server; give each its own --media-path", .0.display())]
    InUse(PathBuf),
    /// It has the files of another data directory.
    #[error(
        "the media directory {} holds the files of another data directory; choose another --media-path, or remove \
         {}/.owner if that data directory is no more",
        .0.display(), .0.display()
    )]
    Another(PathBuf),
    /// It is part of another data directory.
    #[error("the media directory {} is that of the data directory around it; choose another --media-path", .0.display())]
    Inside(PathBuf),
    /// One of the two files cannot be read or written.
    #[error("the media directory {} cannot be taken: {source}; make it and the data directory writable", .directory.display())]
    Io {
        /// The directory.
        directory: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Owner {
    /// Whether [`Self::take`] would get it. Makes and changes nothing.
    pub fn check(directory: &Path, data_dir: &Path) -> Result<(), OwnerError> {
        let failed = |source| OwnerError::Io {
            directory: directory.to_owned(),
            source,
        };
        let real = match directory.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            real => real.map_err(failed)?,
        };
        if let Ok(own) = data_dir.canonicalize()
            && real == own.join("media")
        {
            return Ok(());
        }
        if is_inside(&real) {
            return Err(OwnerError::Inside(directory.to_owned()));
        }
        let file = match File::open(directory.join(FILE_NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file.map_err(failed)?,
        };
        lock(&file, directory)?;
        let known = read(&file).map_err(failed)?;
        let own = std::fs::read_to_string(data_dir.join(ID_FILE_NAME)).unwrap_or_default();
        if known.trim().len() >= ID_LENGTH && known.trim() != own.trim() {
            return Err(OwnerError::Another(directory.to_owned()));
        }
        Ok(())
    }

    /// Takes `directory` for the files of `data_dir`; never waits. One that is nobody's becomes theirs. Both are made when they
    /// are not there.
    pub fn take(directory: &Path, data_dir: &Path) -> Result<Self, OwnerError> {
        let failed = |source| OwnerError::Io {
            directory: directory.to_owned(),
            source,
        };
        std::fs::create_dir_all(directory).map_err(failed)?;
        std::fs::create_dir_all(data_dir).map_err(failed)?;
        let real = directory.canonicalize().map_err(failed)?;
        if real == data_dir.canonicalize().map_err(failed)?.join("media") {
            return Ok(Self { _file: None });
        }
        if is_inside(&real) {
            return Err(OwnerError::Inside(directory.to_owned()));
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(directory.join(FILE_NAME))
            .map_err(failed)?;
        lock(&file, directory)?;
        let id = id_of(data_dir).map_err(failed)?;
        let known = read(&file).map_err(failed)?;
        if known.trim() == id {
            return Ok(Self { _file: Some(file) });
        }
        // Less than an id was written by somebody who did not come to use it.
        if known.trim().len() >= ID_LENGTH {
            return Err(OwnerError::Another(directory.to_owned()));
        }
        write(&mut file, &id).map_err(failed)?;
        Ok(Self { _file: Some(file) })
    }
}

/// Whether it is the directory of files in a data directory.
fn is_inside(real: &Path) -> bool {
    real.ends_with("media") && real.with_file_name("schema").exists()
}

fn lock(file: &File, directory: &Path) -> Result<(), OwnerError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(OwnerError::InUse(directory.to_owned())),
        Err(TryLockError::Error(source)) => Err(OwnerError::Io {
            directory: directory.to_owned(),
            source,
        }),
    }
}

fn read(file: &File) -> io::Result<String> {
    let mut known = String::new();
    let mut start = file.take(ID_LENGTH as u64 + 1);
    start.read_to_string(&mut known).map(|_| known)
}

fn write(file: &mut File, id: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{id}")?;
    file.sync_all()
}

/// The id of a data directory, which is made up on first use.
fn id_of(data_dir: &Path) -> io::Result<String> {
    let path = data_dir.join(ID_FILE_NAME);
    match std::fs::read_to_string(&path) {
        Ok(known) if known.trim().len() == ID_LENGTH => return Ok(known.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut bytes = [0; ID_LENGTH / 2];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let id = format!("{:032x}", u128::from_be_bytes(bytes));
    write(&mut File::create(&path)?, &id)?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_owner_and_stays_theirs() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name| dir.path().join(name);
        let (media, mine, theirs) = (at("media"), at("mine"), at("theirs"));
        Owner::check(&media, &mine).unwrap();
        assert!(!media.exists() && !mine.exists());
        let owner = Owner::take(&media, &mine).unwrap();
        for refused in [
            Owner::take(&media, &mine).unwrap_err(),
            Owner::check(&media, &mine).unwrap_err(),
        ] {
            assert!(matches!(refused, OwnerError::InUse(_)), "{refused}");
        }
        drop(owner);
        Owner::check(&media, &mine).unwrap();
        Owner::check(&media, &theirs).unwrap_err();
        let refused = Owner::take(&media, &theirs).unwrap_err();
        assert!(matches!(refused, OwnerError::Another(_)), "{refused}");
        assert!(!refused.to_string().contains('\n'));
        drop(Owner::take(&media, &mine).unwrap());
        std::fs::remove_file(media.join(FILE_NAME)).unwrap();
        Owner::take(&media, &theirs).unwrap();
    }

    #[test]
    fn the_one_of_a_data_directory_is_nobody_else_s() {
        let dir = tempfile::tempdir().unwrap();
        let (mine, theirs) = (dir.path().join("mine"), dir.path().join("theirs"));
        Owner::take(&mine.join("media"), &mine).unwrap();
        assert_eq!(std::fs::read_dir(mine.join("media")).unwrap().count(), 0);
        std::fs::write(mine.join("schema"), "1").unwrap();
        for refused in [
            Owner::take(&mine.join("media"), &theirs).unwrap_err(),
            Owner::check(&mine.join("media"), &theirs).unwrap_err(),
        ] {
            assert!(matches!(refused, OwnerError::Inside(_)), "{refused}");
        }
        Owner::check(&mine.join("media"), &mine).unwrap();
    }

    #[test]
    fn what_a_crash_left_half_written_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let media = dir.path().join("files");
        std::fs::create_dir(&media).unwrap();
        std::fs::write(media.join(FILE_NAME), "0123").unwrap();
        std::fs::write(dir.path().join(ID_FILE_NAME), "").unwrap();
        drop(Owner::take(&media, dir.path()).unwrap());
        drop(Owner::take(&media, dir.path()).unwrap());
        let id = std::fs::read_to_string(dir.path().join(ID_FILE_NAME)).unwrap();
        assert_eq!(std::fs::read_to_string(media.join(FILE_NAME)).unwrap(), id);
    }
}
