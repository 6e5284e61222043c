//! How full the file system is that holds a directory, as the system says.

use std::path::Path;

/// A file system at one moment, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// What this process may still write: what is kept back for root is not in it.
    pub free: u64,
    /// All of it.
    pub size: u64,
}

impl Volume {
    /// The one that holds `path`. Blocks.
    pub fn of(path: &Path) -> Option<Self> {
        let known = rustix::fs::statvfs(path).ok()?;
        Some(Self {
            free: known.f_bavail.saturating_mul(known.f_frsize),
            size: known.f_blocks.saturating_mul(known.f_frsize),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_of_a_directory_is_known() {
        let directory = tempfile::tempdir().unwrap();
        let volume = Volume::of(directory.path()).unwrap();
        assert!(
            volume.size > 1 << 20 && volume.free <= volume.size,
            "{volume:?}"
        );
        assert_eq!(Volume::of(&directory.path().join("nothing")), None);
    }
}
