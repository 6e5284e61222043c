//! How much there is in an open store. Looks at the index, once that has everything, without holding anybody up; does not know what is done with the
//! figures.

use super::codec;
use super::compact::bytes_in;
use super::error::Error;
use super::keys::Tree;
use super::{Store, open};
use crate::model::{Chat, Upload};

/// What an open store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Users known.
    pub users: u64,
    /// Pets known.
    pub pets: u64,
    /// Chats.
    pub chats: u64,
    /// Messages, deleted ones included.
    pub messages: u64,
    /// Files that messages show.
    pub files: u64,
    /// Bytes of these files.
    pub file_bytes: u64,
    /// Bytes of the journal's base, the compacted part.
    pub journal_base: u64,
    /// Bytes of the journal's segments, which have come since.
    pub journal_segments: u64,
    /// Bytes of the index.
    pub index: u64,
}

impl Store {
    /// Counts everything; the cost grows with the number of users, pets, chats and files, not of messages. Blocks.
    pub fn counts(&self) -> Result<Counts, Error> {
        let drained = self.shared.live.drain();
        let (index, _) = drained.map_err(|error| self.index_failed(error, false))?;
        let sizes = self.journal_sizes()?;
        let mut counts = Counts {
            users: index.count(Tree::Users)?,
            pets: index.count(Tree::Pets)?,
            journal_base: sizes.base,
            journal_segments: sizes.segments,
            index: bytes_in(&open::indexes_dir(&self.shared.data_dir)),
            ..Counts::default()
        };
        for row in index.rows_after(Tree::Chats, None) {
            let chat: Chat = codec::decode(Tree::Chats, &row?.1)?;
            counts.chats += 1;
            // Numbers have no gaps.
            counts.messages += chat.last_seq;
        }
        for row in index.rows_after(Tree::Uploads, None) {
            let upload: Upload = codec::decode(Tree::Uploads, &row?.1)?;
            counts.files += 1;
            counts.file_bytes += upload.attachment.size;
        }
        Ok(counts)
    }

    /// Whether writes are refused at the moment, until the disk has space or the index works again.
    pub fn is_refusing(&self) -> bool {
        self.shared
            .broken
            .load(std::sync::atomic::Ordering::Acquire)
    }
}
