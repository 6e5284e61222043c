//! A finished file from one directory of media files to another, under its name: whole and synced, or not at all.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use super::detect::MediaType;
use super::{TEMPORARY_PREFIX, upload};

/// Why a file was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// That is no name of a media file.
    #[error("{0} is no name of a media file")]
    Name(String),
    /// It is not there.
    #[error("{0} is missing")]
    Missing(String),
    /// Its bytes are not those that are expected.
    #[error("{0} is damaged: its size or checksum is wrong")]
    Damaged(String),
    /// Reading or writing failed.
    #[error("{0} cannot be copied: {1}")]
    Io(String, #[source] io::Error),
}

/// Copies `name`, which must have this size and CRC-32, unless a file of that name and size is there already. The caller syncs
/// the directory ([`sync_directory`]) when all are copied.
pub fn copy(name: &str, from: &Path, to: &Path, size: u64, crc32: u32) -> Result<(), CopyError> {
    if MediaType::of_name(name).is_none() {
        return Err(CopyError::Name(name.to_owned()));
    }
    let there = fs::metadata(to.join(name));
    if there.is_ok_and(|file| file.is_file() && file.len() == size) {
        return Ok(());
    }
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => CopyError::Missing(name.to_owned()),
        _ => CopyError::Io(name.to_owned(), error),
    };
    let source = File::open(from.join(name)).map_err(failed)?;
    let io = |error| CopyError::Io(name.to_owned(), error);
    let temporary = to.join(format!(
        "{TEMPORARY_PREFIX}{:032x}",
        upload::random().map_err(io)?
    ));
    let copied = fill(source, &temporary).and_then(|found| {
        if found != (size, crc32) {
            return Ok(false);
        }
        fs::rename(&temporary, to.join(name))?;
        Ok(true)
    });
    if !matches!(copied, Ok(true)) {
        // What cannot be removed now is swept when a server starts.
        let _ = fs::remove_file(&temporary);
    }
    match copied {
        Ok(true) => Ok(()),
        Ok(false) => Err(CopyError::Damaged(name.to_owned())),
        Err(error) => Err(io(error)),
    }
}

/// Writes the file, synced; answers its size and checksum.
fn fill(mut source: File, path: &Path) -> io::Result<(u64, u32)> {
    let mut target = File::create_new(path)?;
    let mut checksum = crc32fast::Hasher::new();
    let mut size = 0;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        target.write_all(&buffer[..count])?;
        checksum.update(&buffer[..count]);
        size += count as u64;
    }
    target.sync_all()?;
    Ok((size, checksum.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_copied_whole_or_not_at_all() {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [from, to] = [dirs[0].path(), dirs[1].path()];
        let name = format!("chat-1-{}.jpg", "0".repeat(32));
        fs::write(from.join(&name), "picture").unwrap();
        let crc32 = crc32fast::hash(b"picture");
        let wrong = copy(&name, from, to, 7, crc32 ^ 1);
        assert!(matches!(wrong, Err(CopyError::Damaged(_))));
        assert_eq!(fs::read_dir(to).unwrap().count(), 0);
        copy(&name, from, to, 7, crc32).unwrap();
        fs::remove_file(from.join(&name)).unwrap();
        copy(&name, from, to, 7, crc32).unwrap();
        assert_eq!(fs::read(to.join(&name)).unwrap(), b"picture");
        let other = format!("chat-2-{}.jpg", "0".repeat(32));
        let missing = copy(&other, from, to, 7, crc32);
        assert!(matches!(missing, Err(CopyError::Missing(_))));
        let outside = copy("../secret.jpg", from, to, 7, crc32);
        assert!(matches!(outside, Err(CopyError::Name(_))));
    }
}
