//! How much there is in an open store, and whether it takes writes. Looks at what readers see, a piece at a time, so that nobody is
//! held up and a failing index is left alone; does not know what is done with the figures.

use std::sync::atomic::Ordering;

use super::codec;
use super::compact::bytes_in;
use super::error::Error;
use super::keys::{self, Tree};
use super::tables::Source;
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

/// Rows that are looked at before the writer may go on.
const PIECE: usize = if cfg!(test) { 2 } else { 1024 };

impl Store {
    /// Counts everything; the cost grows with the number of users, pets, chats and files, not of messages. What changes meanwhile is
    /// counted or not. Blocks.
    pub fn counts(&self) -> Result<Counts, Error> {
        let sizes = self.journal_sizes()?;
        let mut counts = Counts {
            journal_base: sizes.base,
            journal_segments: sizes.segments,
            index: self.index_size(),
            ..Counts::default()
        };
        self.each(Tree::Users, |_| {
            counts.users += 1;
            Ok(())
        })?;
        self.each(Tree::Pets, |_| {
            counts.pets += 1;
            Ok(())
        })?;
        self.each(Tree::Chats, |row| {
            let chat: Chat = codec::decode(Tree::Chats, row)?;
            counts.chats += 1;
            // Numbers have no gaps.
            counts.messages += chat.last_seq;
            Ok(())
        })?;
        self.each(Tree::Uploads, |row| {
            let upload: Upload = codec::decode(Tree::Uploads, row)?;
            counts.files += 1;
            counts.file_bytes += upload.attachment.size;
            Ok(())
        })?;
        Ok(counts)
    }

    /// Bytes of the index on disk. Blocks.
    pub fn index_size(&self) -> u64 {
        bytes_in(&open::indexes_dir(&self.shared.data_dir))
    }

    /// Hands the value of every row of a tree to `visit`.
    fn each(
        &self,
        tree: Tree,
        mut visit: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut rest = keys::everything();
        loop {
            let committed = self.shared.live.snapshot();
            let mut last = None;
            let mut seen = 0;
            for row in committed.range(tree, rest.clone()).take(PIECE) {
                let (key, value) = row?;
                visit(&value)?;
                last = Some(key);
                seen += 1;
            }
            let Some(last) = last.filter(|_| seen == PIECE) else {
                return Ok(());
            };
            // The least key after it.
            rest.start = [&last[..], &[0]].concat();
        }
    }

    /// Whether writes are refused at the moment: the index does not work, or the disk took nothing when somebody wrote last.
    pub fn is_refusing(&self) -> bool {
        let shared = &self.shared;
        shared.broken.load(Ordering::Acquire) || shared.refused.load(Ordering::Acquire)
    }
}
