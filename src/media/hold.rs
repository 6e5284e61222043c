//! Files that are removed while somebody still needs them: they leave their names at once, and the disk when the hold ends. It
//! does not know who holds, nor why a file goes.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Media, TEMPORARY_PREFIX};

/// The names of what was removed since the hold began; `None` without a hold.
pub(super) type Held = Arc<Mutex<Option<Vec<String>>>>;

/// As long as it lives, every file that there was when it began can be opened through it. There is one at a time.
#[derive(Debug)]
pub struct Hold {
    directory: Arc<Path>,
    held: Held,
}

impl Media {
    /// Keeps what is removed from now on; `None` if somebody does so already.
    pub fn hold(&self) -> Option<Hold> {
        let mut names = lock(&self.held);
        if names.is_some() {
            return None;
        }
        *names = Some(Vec::new());
        Some(Hold {
            directory: Arc::clone(&self.directory),
            held: Arc::clone(&self.held),
        })
    }

    /// Removes the file, or takes it aside for the one who holds.
    pub(super) fn remove_or_keep(&self, name: &str, path: &Path) -> io::Result<()> {
        let mut names = lock(&self.held);
        let Some(names) = &mut *names else {
            return fs::remove_file(path);
        };
        // The next start would sweep it like an upload that was cut off.
        fs::rename(path, kept_path(&self.directory, name))?;
        names.push(name.to_owned());
        Ok(())
    }
}

impl Hold {
    /// Opens a file by its name, removed or not; `None` if it was never there.
    pub fn open(&self, name: &str) -> io::Result<Option<File>> {
        for path in [self.directory.join(name), kept_path(&self.directory, name)] {
            match File::open(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                opened => return opened.map(Some),
            }
        }
        Ok(None)
    }

    /// What was removed since the beginning.
    pub fn removed(&self) -> Vec<String> {
        lock(&self.held).clone().unwrap_or_default()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let names = lock(&self.held).take();
        for name in names.into_iter().flatten() {
            let removed = fs::remove_file(kept_path(&self.directory, &name));
            if let Err(error) = removed {
                tracing::warn!(%error, "a removed file stays until the next start");
            }
        }
    }
}

fn kept_path(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{TEMPORARY_PREFIX}held-{name}"))
}

fn lock(held: &Held) -> MutexGuard<'_, Option<Vec<String>>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::super::Settings;
    use super::*;

    #[tokio::test]
    async fn what_is_removed_leaves_its_name_at_once_and_the_disk_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let media = Media::open(dir.path(), Settings::with_max_file_size(10)).unwrap();
        let names = [1, 2].map(|number| format!("chat-1-{number:032x}.jpg"));
        for name in &names {
            fs::write(dir.path().join(name), name).unwrap();
        }
        let hold = media.hold().unwrap();
        assert!(media.hold().is_none(), "one at a time");
        media.remove(&names[0]).await.unwrap();
        media.remove(&names[0]).await.unwrap();
        assert_eq!(media.names().unwrap(), [names[1].clone()]);
        assert_eq!(hold.removed(), [names[0].clone()]);
        for name in &names {
            let mut text = String::new();
            let mut file = hold.open(name).unwrap().unwrap();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text, *name);
        }
        assert!(hold.open("never").unwrap().is_none());
        drop(hold);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        media.remove(&names[1]).await.unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(media.hold().is_some());
    }

    #[tokio::test]
    async fn what_a_crash_left_of_a_hold_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let media = Media::open(dir.path(), Settings::with_max_file_size(10)).unwrap();
        let name = format!("chat-1-{:032x}.jpg", 1);
        fs::write(dir.path().join(&name), "x").unwrap();
        let hold = media.hold().unwrap();
        media.remove(&name).await.unwrap();
        std::mem::forget(hold);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        Media::open(dir.path(), Settings::with_max_file_size(10)).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
