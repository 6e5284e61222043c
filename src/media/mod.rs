//! Media files: streamed in, judged by their bytes, named here, given out in ranges (promise P14). It owns one directory;
//! it knows nothing of chats, messages or who may send or see a file.
//!
//! - `detect`: what a file is
//! - [`Upload`]: a file on its way in
//! - [`metadata`]: what it says besides its picture, and taking that out
//! - [`multipart`]: the form that carries it
//! - `serve`, `range`: a file on its way out
//! - [`Hold`]: what is removed stays readable for a while
//! - [`copy()`]: a file from one such directory to another
//! - `owner`: one data directory for one directory of files
//! - `thumbnails`: small copies of pictures, made when they are asked for

mod copy;
mod detect;
#[doc(hidden)]
pub mod fuzzing;
mod hold;
pub mod metadata;
pub mod multipart;
mod owner;
mod range;
mod serve;
mod thumbnails;
mod upload;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use self::copy::{CopyError, copy};
pub use self::detect::{Kind, MediaType};
pub use self::hold::Hold;
pub use self::owner::{Owner, OwnerError};
pub use self::serve::MediaBody;
use self::thumbnails::Thumbnails;
pub use self::thumbnails::WIDTHS;
pub use self::upload::{Received, Stored, Upload};

/// What a temporary file's name begins with; no finished file's does.
const TEMPORARY_PREFIX: &str = ".upload-";

/// Why a file was not taken or not given.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The form has no file in its field `media`.
    #[error("No media file uploaded")]
    NoFile,
    /// The file has more bytes than are allowed.
    #[error("File too large")]
    TooLarge,
    /// Its first bytes are those of no image or video that is taken.
    #[error("Only image and video files are allowed")]
    Unsupported,
    /// Its type could hold where it was taken, and it is so broken that nobody can tell whether it does.
    #[error("The file is damaged and cannot be checked for location data: {0}")]
    Damaged(&'static str),
    /// The request's body is no `multipart/form-data`.
    #[error("The body must be multipart/form-data")]
    NotAForm,
    /// The form is broken, or has fields that it must not have.
    #[error("Malformed form: {0}")]
    BadForm(&'static str),
    /// The body ended or failed before the form did.
    #[error("The upload was cut short")]
    Aborted,
    /// There is no such file, or that is no name of a file.
    #[error("File not found")]
    NotFound,
    /// No small copy can be made of this file.
    #[error("There is no thumbnail of this file")]
    NoThumbnail,
    /// Too many wait for a thumbnail already.
    #[error("Too many thumbnails at once")]
    Busy,
    /// The disk is full.
    #[error("No space left for media files")]
    Full(#[source] io::Error),
    /// A file operation failed.
    #[error("A media file could not be read or written")]
    Io(#[source] io::Error),
}

impl From<io::Error> for MediaError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Self::Full(error),
            _ => Self::Io(error),
        }
    }
}

/// What the operator decides.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// In bytes; past it [`MediaError::TooLarge`].
    pub max_file_size: u64,
    /// Files stay as they came, with the places where they were made.
    pub keep_metadata: bool,
    /// Bytes of thumbnails that are kept; past it those that were not wanted for longest go.
    pub thumbnail_cache: u64,
    /// Bytes of memory for the making of one thumbnail; a picture that needs more has none.
    pub thumbnail_memory: u64,
}

impl Settings {
    /// What holds unless said otherwise.
    pub const fn with_max_file_size(max_file_size: u64) -> Self {
        Self {
            max_file_size,
            keep_metadata: false,
            thumbnail_cache: 256 << 20,
            thumbnail_memory: 192 << 20,
        }
    }
}

/// The directory of media files. Clones share it.
#[derive(Debug, Clone)]
pub struct Media {
    directory: Arc<Path>,
    settings: Settings,
    thumbnails: Arc<Thumbnails>,
    held: hold::Held,
}

impl Media {
    /// Opens or makes the directory, and removes what uploads that were cut off by a crash left in it.
    pub fn open(directory: &Path, settings: Settings) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if name
                .as_encoded_bytes()
                .starts_with(TEMPORARY_PREFIX.as_bytes())
            {
                fs::remove_file(entry.path())?;
            }
        }
        let thumbnails = Thumbnails::open(directory, &settings)?;
        Ok(Self {
            directory: directory.into(),
            settings,
            thumbnails: Arc::new(thumbnails),
            held: hold::Held::default(),
        })
    }

    /// In bytes.
    pub fn max_file_size(&self) -> u64 {
        self.settings.max_file_size
    }

    /// Begins to take a file. Nothing is on the disk before its type is known.
    pub fn begin(&self) -> Upload {
        Upload::new(self.clone())
    }

    /// Removes a file, with its thumbnails, for good once [`Media::sync_removed`] has been called; one that is not there is no error.
    pub async fn remove(&self, name: &str) -> Result<(), MediaError> {
        let path = self.path(name)?;
        let (media, name) = (self.clone(), name.to_owned());
        // The thumbnails after the file: one that is being made looks for its file when it is there, and goes as well.
        let removing = move || {
            let removed = media.remove_or_keep(&name, &path);
            media.thumbnails.forget(&name).and(removed)
        };
        let removed = tokio::task::spawn_blocking(removing).await;
        match removed.map_err(io::Error::other)? {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Sees to it that what was removed stays so in a power cut.
    pub async fn sync_removed(&self) -> Result<(), MediaError> {
        let media = self.clone();
        let synced = tokio::task::spawn_blocking(move || {
            media.sync_directory()?;
            media.thumbnails.sync_directory()
        });
        Ok(synced.await.map_err(io::Error::other)??)
    }

    /// The names of the finished files that were last written at least `age` ago, in no order.
    pub fn names_older_than(&self, age: Duration) -> io::Result<Vec<String>> {
        let Some(before) = SystemTime::now().checked_sub(age) else {
            return Ok(Vec::new());
        };
        let mut names = self.names()?;
        names.retain(|name| {
            let written = fs::metadata(self.directory.join(name)).and_then(|file| file.modified());
            written.is_ok_and(|written| written <= before)
        });
        Ok(names)
    }

    /// The names of all finished files, in no order: for a backup, and to find those that no message has.
    pub fn names(&self) -> io::Result<Vec<String>> {
        names_in(&self.directory)
    }

    /// Only a name that this server gave becomes a path.
    fn path(&self, name: &str) -> Result<PathBuf, MediaError> {
        match MediaType::of_name(name) {
            Some(_) => Ok(self.directory.join(name)),
            None => Err(MediaError::NotFound),
        }
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

/// The names of the files in `directory` that a server has finished, in no order.
pub fn names_in(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().into_string();
        names.extend(name.ok().filter(|name| MediaType::of_name(name).is_some()));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_swept_and_files_kept() {
        let dir = tempfile::tempdir().unwrap();
        let media_dir = dir.path().join("deep/media");
        let media = Media::open(&media_dir, Settings::with_max_file_size(10)).unwrap();
        let name = format!("chat-1-{}.jpg", "0".repeat(32));
        fs::write(media_dir.join(&name), "x").unwrap();
        fs::write(media_dir.join(".upload-1"), "x").unwrap();
        fs::write(media_dir.join("notes.txt"), "x").unwrap();
        assert_eq!(media.names().unwrap(), [name]);
        Media::open(&media_dir, Settings::with_max_file_size(10)).unwrap();
        let left = fs::read_dir(&media_dir).unwrap().count();
        assert_eq!(left, 2, "only the temporary file is gone");
    }

    #[tokio::test]
    async fn removing_is_idempotent_and_stays_inside() {
        let dir = tempfile::tempdir().unwrap();
        let media =
            Media::open(&dir.path().join("media"), Settings::with_max_file_size(10)).unwrap();
        let outside = dir.path().join("secret.jpg");
        fs::write(&outside, "x").unwrap();
        let name = format!("chat-1-{}.jpg", "0".repeat(32));
        fs::write(dir.path().join("media").join(&name), "x").unwrap();
        media.remove(&name).await.unwrap();
        media.remove(&name).await.unwrap();
        assert!(media.names().unwrap().is_empty());
        for name in ["../secret.jpg", "/etc/passwd", "", "."] {
            let refused = media.remove(name).await;
            assert!(matches!(refused, Err(MediaError::NotFound)), "{name}");
        }
        assert!(outside.exists());
    }
}
