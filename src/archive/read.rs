//! A backup that is read: its manifest first, then each file against it. It does not know where the files go.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::draft::copy;
use super::{Error, MANIFEST, Manifest};

/// A backup whose manifest is sound and whose files are all there.
#[derive(Debug)]
pub struct Archive {
    dir: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

impl Archive {
    /// Opens the backup in `dir`. Looks at the manifest and at the sizes; what the files hold is found out by copying them.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(MANIFEST);
        let json = fs::read(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Error::NoManifest(dir.to_owned()),
            _ => Error::io("read", &path)(error),
        })?;
        let manifest = Manifest::from_json(&json)?;
        for (path, entry) in &manifest.files {
            match fs::symlink_metadata(dir.join(path)) {
                Ok(metadata) if !metadata.is_file() => {
                    return Err(Error::damaged(path, "is no file"));
                }
                Ok(metadata) if metadata.len() == entry.bytes => {}
                Ok(_) => return Err(Error::damaged(path, "has another size")),
                Err(_) => return Err(Error::damaged(path, "is missing")),
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            manifest,
        })
    }

    /// Copies a file of the manifest to `to`, on stable storage; refused when it is not what the manifest says, and what was
    /// copied until then stays.
    pub fn copy(&self, path: &str, to: &Path, progress: &mut dyn FnMut(u64)) -> Result<(), Error> {
        let from = self.dir.join(path);
        let mut file = File::open(&from).map_err(Error::io("read", &from))?;
        let copied = copy(&mut file, to, progress)?;
        if self.manifest.files.get(path) == Some(&copied) {
            Ok(())
        } else {
            Err(Error::damaged(path, "does not match its checksum"))
        }
    }
}
