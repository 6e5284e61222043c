//! A file on its way in: a chunk at a time, with bounded memory, and nothing left behind unless it is finished. It does
//! not know what carries the chunks.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::io::AsyncWriteExt as _;

use super::detect::{HEAD_BYTES, Kind, MediaType};
use super::metadata::{self, Examined, Malformed};
use super::{Media, MediaError, TEMPORARY_PREFIX};

/// A file that is there, whole and synced, under its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The bare name, which is all that is needed to see the file.
    pub name: String,
    /// For `Content-Type`.
    pub mime: &'static str,
    /// Picture or film.
    pub kind: Kind,
    /// In bytes.
    pub size: u64,
    /// CRC-32 of its bytes: tells a retry from another file, and a damaged file from a whole one.
    pub crc32: u32,
    /// Width and height in pixels, where they can be told without decoding.
    pub shown_size: Option<(u32, u32)>,
}

/// Dropped unfinished, it takes its file with it.
#[derive(Debug)]
pub struct Upload {
    media: Media,
    size: u64,
    checksum: crc32fast::Hasher,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Too little has come to know what it is.
    Head(Vec<u8>),
    Body(Body),
    Failed,
}

#[derive(Debug)]
struct Body {
    media_type: MediaType,
    file: tokio::fs::File,
    path: Disposable,
}

impl Upload {
    pub(super) fn new(media: Media) -> Self {
        Self {
            media,
            size: 0,
            checksum: crc32fast::Hasher::new(),
            state: State::Head(Vec::new()),
        }
    }

    /// Bytes taken so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next bytes. A wrong type is refused as soon as the first kilobyte is there, too many bytes as soon as
    /// there is one too many. After an error the file is gone and every later call fails.
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), MediaError> {
        let outcome = self.take(chunk).await;
        if outcome.is_err() {
            self.state = State::Failed;
        }
        outcome
    }

    async fn take(&mut self, chunk: &[u8]) -> Result<(), MediaError> {
        self.size += chunk.len() as u64;
        self.checksum.update(chunk);
        if self.size > self.media.settings.max_file_size {
            return Err(MediaError::TooLarge);
        }
        match &mut self.state {
            State::Head(head) => {
                head.extend_from_slice(chunk);
                if head.len() >= HEAD_BYTES {
                    let body = begin_file(&self.media, head).await?;
                    self.state = State::Body(body);
                }
            }
            State::Body(body) => body.file.write_all(chunk).await?,
            State::Failed => return Err(MediaError::Aborted),
        }
        Ok(())
    }

    /// Takes out what a picture says besides itself, and syncs the file. It has its name now and is not there under it yet. Whoever stops waiting for this future, or drops what
    /// it gives, loses the file, not the space.
    pub async fn finish(self) -> Result<Received, MediaError> {
        let Self {
            media,
            size,
            checksum,
            state,
        } = self;
        let mut body = match state {
            State::Head(head) => begin_file(&media, &head).await?,
            State::Body(body) => body,
            State::Failed => return Err(MediaError::Aborted),
        };
        // Reports the error of the last write, which the sync would not.
        body.file.flush().await?;
        let mut file = body.file.into_std().await;
        let received = Whole {
            size,
            crc32: checksum.finalize(),
        };
        let (media_type, keep) = (body.media_type, media.settings.keep_metadata);
        let settling =
            tokio::task::spawn_blocking(move || settle(&mut file, media_type, received, keep));
        let (whole, shown_size) = settling.await.map_err(io::Error::other)??;
        let stored = Stored {
            name: media_type.file_name(unix_ms(), random()?),
            mime: media_type.mime(),
            kind: media_type.kind(),
            size: whole.size,
            crc32: whole.crc32,
            shown_size,
        };
        Ok(Received {
            media,
            path: body.path,
            stored,
        })
    }
}

/// The bytes of a file.
#[derive(Debug, Clone, Copy)]
struct Whole {
    size: u64,
    crc32: u32,
}

/// Brings a file to what it is to be for good and syncs it. A file of which nobody can tell what it holds is refused, unless
/// everything is to stay in it anyway.
fn settle(
    file: &mut File,
    media_type: MediaType,
    mut whole: Whole,
    keep_metadata: bool,
) -> Result<(Whole, Option<(u32, u32)>), MediaError> {
    let Examined { facts, edits } = match metadata::examine(media_type, file) {
        Ok(examined) => examined,
        Err(Malformed::Io(error)) => return Err(error.into()),
        Err(Malformed::Broken(_)) if keep_metadata => Examined::default(),
        Err(Malformed::Broken(why)) => return Err(MediaError::Damaged(why)),
    };
    if !keep_metadata && !edits.is_empty() {
        whole.size = edits.apply(file)?;
        file.set_len(whole.size)?;
        whole.crc32 = checksum_of(file)?;
    }
    file.sync_all()?;
    Ok((whole, facts.shown_size()))
}

fn checksum_of(file: &mut File) -> io::Result<u32> {
    let (mut checksum, mut piece) = (crc32fast::Hasher::new(), vec![0; 64 << 10]);
    file.rewind()?;
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(checksum.finalize()),
            count => checksum.update(&piece[..count]),
        }
    }
}

/// A file that is whole and synced and not yet there under its name: time to write down that it is to come. Dropped, it
/// takes its file with it.
#[derive(Debug)]
pub struct Received {
    media: Media,
    path: Disposable,
    stored: Stored,
}

impl Received {
    /// What it will be.
    pub fn stored(&self) -> &Stored {
        &self.stored
    }

    /// Gives the file its name, for good.
    pub async fn place(self) -> Result<Stored, MediaError> {
        let Self {
            media,
            mut path,
            stored,
        } = self;
        let to = media.directory.join(&stored.name);
        let placed = tokio::task::spawn_blocking(move || {
            path.rename(to)?;
            media.sync_directory()?;
            Ok::<_, io::Error>(path)
        });
        placed.await.map_err(io::Error::other)??.keep();
        Ok(stored)
    }
}

async fn begin_file(media: &Media, head: &[u8]) -> Result<Body, MediaError> {
    let media_type = MediaType::detect(head).ok_or(MediaError::Unsupported)?;
    let name = format!("{TEMPORARY_PREFIX}{:032x}", random()?);
    let path = media.directory.join(name);
    // Not awaited: whoever gave up between the making and the guard would leave the file.
    let file = fs::File::create_new(&path)?;
    let mut body = Body {
        media_type,
        file: tokio::fs::File::from_std(file),
        path: Disposable(Some(path)),
    };
    body.file.write_all(head).await?;
    Ok(body)
}

pub(super) fn random() -> io::Result<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(u128::from_be_bytes(bytes))
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}

/// A file that goes when this value does, unless it is to be kept.
#[derive(Debug)]
struct Disposable(Option<PathBuf>);

impl Disposable {
    fn rename(&mut self, to: PathBuf) -> io::Result<()> {
        if let Some(from) = &self.0 {
            fs::rename(from, &to)?;
            self.0 = Some(to);
        }
        Ok(())
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Disposable {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // What cannot be removed now is swept at the next start.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Settings;
    use super::super::detect::tests::SAMPLES;
    use super::*;

    /// The samples are mere beginnings: nobody can tell what is in the rest.
    fn as_they_come(max_file_size: u64) -> Settings {
        Settings {
            keep_metadata: true,
            ..Settings::with_max_file_size(max_file_size)
        }
    }

    fn files(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    #[tokio::test]
    async fn every_format_is_stored_as_it_came() {
        for (expected, bytes) in SAMPLES {
            let dir = tempfile::tempdir().unwrap();
            let media = Media::open(dir.path(), as_they_come(1 << 20)).unwrap();
            let bytes = [bytes, &[0x42; 5000]].concat();
            for chunk_size in [1, 700, 5000, 9000] {
                let mut upload = media.begin();
                for chunk in bytes.chunks(chunk_size) {
                    upload.write(chunk).await.unwrap();
                }
                let stored = upload.finish().await.unwrap().place().await.unwrap();
                assert_eq!(MediaType::of_name(&stored.name), Some(expected));
                assert_eq!(
                    (stored.mime, stored.kind),
                    (expected.mime(), expected.kind())
                );
                assert_eq!(stored.size, bytes.len() as u64);
                assert_eq!(fs::read(dir.path().join(&stored.name)).unwrap(), bytes);
            }
            assert_eq!(files(dir.path()), 4);
        }
    }

    #[tokio::test]
    async fn a_file_shorter_than_the_head_is_stored() {
        let dir = tempfile::tempdir().unwrap();
        let media = Media::open(dir.path(), Settings::with_max_file_size(100)).unwrap();
        let mut upload = media.begin();
        upload.write(SAMPLES[2].1).await.unwrap();
        assert_eq!(files(dir.path()), 0, "nothing before the type is known");
        let stored = upload.finish().await.unwrap().place().await.unwrap();
        assert_eq!(stored.size, SAMPLES[2].1.len() as u64);
    }

    #[tokio::test]
    async fn a_wrong_type_is_refused_at_its_first_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let media = Media::open(dir.path(), Settings::with_max_file_size(1 << 30)).unwrap();
        let mut upload = media.begin();
        let refused = upload.write(&[b'<'; HEAD_BYTES]).await;
        assert!(matches!(refused, Err(MediaError::Unsupported)));
        assert!(upload.write(b"x").await.is_err());
        assert!(matches!(upload.finish().await, Err(MediaError::Aborted)));
        for short in [&b""[..], b"<svg/>"] {
            let mut upload = media.begin();
            upload.write(short).await.unwrap();
            let refused = upload.finish().await;
            assert!(matches!(refused, Err(MediaError::Unsupported)));
        }
        assert_eq!(files(dir.path()), 0);
    }

    #[tokio::test]
    async fn one_byte_too_many_is_refused_and_nothing_stays() {
        let dir = tempfile::tempdir().unwrap();
        let media = Media::open(dir.path(), as_they_come(3000)).unwrap();
        let whole = [SAMPLES[0].1, &[7; 3000][SAMPLES[0].1.len()..]].concat();
        let mut upload = media.begin();
        upload.write(&whole).await.unwrap();
        assert_eq!(files(dir.path()), 1);
        let refused = upload.write(b"x").await;
        assert!(matches!(refused, Err(MediaError::TooLarge)));
        assert_eq!(files(dir.path()), 0);
        let mut upload = media.begin();
        upload.write(&whole).await.unwrap();
        assert_eq!(
            upload.finish().await.unwrap().place().await.unwrap().size,
            3000
        );
    }

    #[tokio::test]
    async fn an_unfinished_upload_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let media = Media::open(dir.path(), Settings::with_max_file_size(1 << 20)).unwrap();
        let mut upload = media.begin();
        upload
            .write(&[SAMPLES[0].1, &[7; 3000]].concat())
            .await
            .unwrap();
        assert_eq!(files(dir.path()), 1);
        drop(upload);
        assert_eq!(files(dir.path()), 0);
    }

    #[tokio::test]
    async fn a_directory_that_went_away_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let media = Media::open(
            &dir.path().join("media"),
            Settings::with_max_file_size(1 << 20),
        )
        .unwrap();
        fs::remove_dir(dir.path().join("media")).unwrap();
        let mut upload = media.begin();
        upload.write(SAMPLES[0].1).await.unwrap();
        assert!(upload.finish().await.is_err());
    }
}
