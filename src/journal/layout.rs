//! Which of the files in a journal's directory count: the newest base and the segments from it on.

use super::Position;
use super::base::Base;
use super::disk::Disk;
use super::error::{Damage, Error};
use super::name::FileName;

/// The files that make up a journal.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) base: Option<Base>,
    /// Number of the first segment, which begins with commit [`Self::first_commit`].
    pub(super) first: u64,
    /// Number of the last segment; 0 when there is none.
    pub(super) last: u64,
    /// What a crash in the middle of a compaction may have left: unfinished bases, and all that the newest base stands for.
    pub(super) superfluous: Vec<FileName>,
}

impl Layout {
    /// A journal without its first segment, or with a hole, is not one.
    pub(super) fn read<D: Disk>(disk: &D) -> Result<Self, Error> {
        let names = disk.list().map_err(Error::io("list the files of"))?;
        let newest = names.iter().filter_map(|name| match name {
            FileName::Base(number) => Some(*number),
            _ => None,
        });
        let newest = newest.max();
        let base = newest.map(|number| Base::read(disk, number)).transpose()?;
        let first = newest.unwrap_or(1);
        let (mut last, mut superfluous) = (first - 1, Vec::new());
        for name in names {
            match name {
                FileName::Segment(number) if number == last + 1 => last = number,
                FileName::Segment(number) if number >= first => {
                    return Err(missing(last + 1));
                }
                FileName::Base(number) if Some(number) == newest => {}
                name => superfluous.push(name),
            }
        }
        let layout = Self {
            base,
            first,
            last,
            superfluous,
        };
        if layout.known_end().segment > last && base.is_some() {
            return Err(missing(last + 1));
        }
        Ok(layout)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.base.is_none() && self.last == 0
    }

    pub(super) fn first_commit(&self) -> u64 {
        self.base.map_or(1, |base| base.header.first_commit)
    }

    /// How far the journal is known to have been on stable storage.
    pub(super) fn known_end(&self) -> Position {
        self.base.map_or(Position::START, |base| base.footer.end)
    }

    /// The number of the last segment to read.
    pub(super) fn last_until(&self, until: Option<Position>) -> Result<u64, Error> {
        let wanted = until.map_or(self.last, |until| until.segment).max(1);
        if self.last < wanted {
            return Err(missing(self.last + 1));
        }
        Ok(wanted)
    }
}

pub(super) fn missing(segment: u64) -> Error {
    Error::damaged(FileName::Segment(segment), 0, Damage::Missing)
}
