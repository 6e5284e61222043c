//! The small synced file that says how much of the journal the index is known to hold on stable storage.
//!
//! It bounds the replay at start and tells the journal what can no longer be a torn tail. A missing or unreadable
//! checkpoint costs time, never data: everything is replayed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::journal::Position;

const FILE: &str = "checkpoint";

/// What the index holds for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The index it speaks of.
    pub(super) generation: u64,
    /// The last commit in it.
    pub(super) commit: u64,
    /// Where that commit's frame ends.
    pub(super) position: Position,
}

impl Checkpoint {
    /// The checkpoint of this data directory, if there is a readable one.
    pub(super) fn load(data_dir: &Path) -> Option<Self> {
        let bytes = fs::read(data_dir.join(FILE)).ok()?;
        let (crc, record) = bytes.split_first_chunk::<4>()?;
        if crc32fast::hash(record) != u32::from_be_bytes(*crc) {
            tracing::warn!("the checkpoint is damaged and will be written anew");
            return None;
        }
        bincode::deserialize(record).ok()
    }

    /// Replaces the checkpoint in one step that a power cut cannot split.
    pub(super) fn save(&self, data_dir: &Path) -> io::Result<()> {
        let record = bincode::serialize(self).map_err(io::Error::other)?;
        let fresh = data_dir.join("checkpoint.new");
        let mut file = File::create(&fresh)?;
        file.write_all(&crc32fast::hash(&record).to_be_bytes())?;
        file.write_all(&record)?;
        file.sync_all()?;
        fs::rename(&fresh, data_dir.join(FILE))?;
        File::open(data_dir)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_round_trip_and_refuses_damage() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Checkpoint::load(dir.path()), None);
        let checkpoint = Checkpoint {
            generation: 3,
            commit: 9,
            position: Position {
                segment: 1,
                offset: 77,
            },
        };
        checkpoint.save(dir.path()).unwrap();
        assert_eq!(Checkpoint::load(dir.path()), Some(checkpoint));
        let mut bytes = fs::read(dir.path().join(FILE)).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            fs::write(dir.path().join(FILE), &bytes).unwrap();
            assert_eq!(Checkpoint::load(dir.path()), None, "flipped byte {at}");
            bytes[at] ^= 1;
        }
    }
}
