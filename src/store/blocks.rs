//! Many rows in one: a tree of rows kept as blocks in a tree of sled, which holds at most sixteen entries in a page whatever
//! their size and needs memory and time for each page. It owns the layout of a block and the order in which blocks are
//! changed; it does not know what the rows mean.
//!
//! A block holds the rows from its separator, the key under which it stands, up to the next block's. The first separator is
//! empty. A block that grows too large is split, and the new blocks are put in before the old one is made smaller. So a crash
//! can leave rows in a block that the next one has too: those beyond the next separator never count, and are taken out
//! before that separator goes away.

use std::iter::Peekable;
use std::ops::Bound;

use sled::{IVec, Tree};

use super::error::Error;
use super::tables::{Bytes, Row};

/// A block is split past this many bytes. A larger row has a block of its own.
const MAX_BYTES: usize = 2048;
/// Before every separator: sled's keys are never empty.
const PREFIX: u8 = 0;

/// A changed row: key, and the value or `None` for a removal.
type Change<'r> = (&'r [u8], Option<&'r [u8]>);

/// Rows in key order.
pub(super) struct Blocks(Tree);

impl Blocks {
    pub(super) fn new(tree: Tree) -> Self {
        Self(tree)
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let Some((_, block)) = self.block_of(key)? else {
            return Ok(None);
        };
        let mut rows = Reader::new(&block);
        while let Some(value) = rows.next()? {
            if rows.key[..] >= *key {
                return Ok((rows.key == key).then(|| value.into()));
            }
        }
        Ok(None)
    }

    pub(super) fn last_key(&self) -> Result<Option<Bytes>, Error> {
        let Some((_, block)) = self.0.last()? else {
            return Ok(None);
        };
        let mut rows = Reader::new(&block);
        while rows.next()?.is_some() {}
        Ok((!rows.key.is_empty()).then(|| rows.key.into()))
    }

    /// Every row from `start` on.
    pub(super) fn rows_from(&self, start: Bound<&[u8]>) -> Rows {
        let from = match start {
            Bound::Unbounded => None,
            Bound::Included(key) | Bound::Excluded(key) => Some(key),
        };
        let first = match from.map(|key| self.block_of(key)) {
            Some(Ok(Some((separator, _)))) => Some(separator),
            Some(Err(error)) => return Rows::failed(&self.0, error),
            Some(Ok(None)) | None => None,
        };
        let blocks = match first {
            Some(separator) => self.0.range(separator..),
            None => self.0.iter(),
        };
        Rows {
            blocks,
            next: None,
            current: Vec::new().into_iter(),
            start: match start {
                Bound::Included(key) => Bound::Included(key.to_vec()),
                Bound::Excluded(key) => Bound::Excluded(key.to_vec()),
                Bound::Unbounded => Bound::Unbounded,
            },
            failure: None,
            began: false,
        }
    }

    /// Changes rows, which come in ascending order. `step` is asked before each change of a block.
    pub(super) fn apply<'r>(
        &self,
        changes: &mut Peekable<impl Iterator<Item = Change<'r>>>,
        mut step: impl FnMut() -> Result<(), Error>,
    ) -> Result<(), Error> {
        while let Some(&(first, _)) = changes.peek() {
            let found = self.block_of(first)?;
            let (separator, block) =
                found.unwrap_or_else(|| ([PREFIX].as_ref().into(), IVec::default()));
            let next = self.0.get_gt(&separator)?.map(|(separator, _)| separator);
            let next = next.as_deref().map(|next| &next[1..]);
            let mut merged = Merged::default();
            merged.merge(&block, next, changes)?;
            let pieces = merged.into_pieces();
            if pieces.is_empty() {
                self.clip_before(&separator, &mut step)?;
                step()?;
                self.0.remove(&separator)?;
                continue;
            }
            // The last one first: the rows that leave the block are in their new one already.
            for (number, piece) in pieces.iter().enumerate().rev() {
                step()?;
                if number == 0 {
                    self.0.insert(&separator, &piece.bytes[..])?;
                } else {
                    self.0
                        .insert([&[PREFIX], &piece.first[..]].concat(), &piece.bytes[..])?;
                }
            }
        }
        Ok(())
    }

    /// The block that the key is in, if it is anywhere.
    fn block_of(&self, key: &[u8]) -> Result<Option<(IVec, IVec)>, Error> {
        let mut beyond = Vec::with_capacity(key.len() + 2);
        beyond.push(PREFIX);
        beyond.extend_from_slice(key);
        beyond.push(0);
        Ok(self.0.get_lt(beyond)?)
    }

    /// A separator goes away: what the block before still has beyond it must not count again.
    fn clip_before(
        &self,
        separator: &IVec,
        step: &mut impl FnMut() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some((before, block)) = self.0.get_lt(separator)? else {
            return Ok(());
        };
        let mut rows = Reader::new(&block);
        let (mut bytes, mut last) = (Vec::new(), Vec::new());
        while let Some(value) = rows.next()?
            && rows.key[..] < separator[1..]
        {
            write_row(&mut bytes, &last, &rows.key, value);
            last.clone_from(&rows.key);
        }
        if bytes.len() < block.len() {
            step()?;
            self.0.insert(before, bytes)?;
        }
        Ok(())
    }
}

/// The rows of a block together with changes.
#[derive(Default)]
struct Merged<'a> {
    /// The keys, one after the other.
    keys: Vec<u8>,
    /// Where each key ends, and its value.
    rows: Vec<(usize, &'a [u8])>,
    bytes: usize,
    /// Nothing of the block stands behind the first change.
    appended: bool,
}

/// A block to be.
struct Piece {
    first: Vec<u8>,
    bytes: Vec<u8>,
}

impl<'a> Merged<'a> {
    /// Takes the rows of the block and the changes that belong into it, both below `next`.
    fn merge<'r: 'a>(
        &mut self,
        block: &'a [u8],
        next: Option<&[u8]>,
        changes: &mut Peekable<impl Iterator<Item = Change<'r>>>,
    ) -> Result<(), Error> {
        let is_ours = |key: &[u8]| next.is_none_or(|next| key < next);
        self.appended = true;
        let mut rows = Reader::new(block);
        while let Some(value) = rows.next()? {
            if !is_ours(&rows.key) {
                break;
            }
            while let Some((key, value)) = changes.next_if(|(key, _)| *key < &rows.key[..]) {
                self.appended = false;
                self.set(key, value);
            }
            match changes.next_if(|(key, _)| *key == &rows.key[..]) {
                Some((key, value)) => self.set(key, value),
                None => self.set(&rows.key, Some(value)),
            }
        }
        while let Some((key, value)) = changes.next_if(|(key, _)| is_ours(key)) {
            self.set(key, value);
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: Option<&'a [u8]>) {
        if let Some(value) = value {
            debug_assert!(self.last_key() < Some(key), "rows ascend");
            self.keys.extend_from_slice(key);
            self.rows.push((self.keys.len(), value));
            self.bytes += key.len() + value.len();
        }
    }

    fn last_key(&self) -> Option<&[u8]> {
        let (end, _) = self.rows.last()?;
        let start = self
            .rows
            .len()
            .checked_sub(2)
            .map_or(0, |at| self.rows[at].0);
        Some(&self.keys[start..*end])
    }

    /// The blocks that hold the rows: one if they fit, else as even as may be; full ones where rows only ever come at the end.
    fn into_pieces(self) -> Vec<Piece> {
        let count = self.bytes.div_ceil(MAX_BYTES).max(1);
        let even = self.bytes / count;
        let mut pieces: Vec<Piece> = Vec::new();
        let (mut start, mut filled) = (0, 0);
        let mut before: &[u8] = &[];
        for (end, value) in self.rows {
            let key = &self.keys[start..end];
            let size = key.len() + value.len();
            let is_full = match pieces.last() {
                None => true,
                Some(_) if self.appended => filled + size > MAX_BYTES,
                Some(_) => filled >= even,
            };
            if is_full {
                pieces.push(Piece {
                    first: key.to_vec(),
                    bytes: Vec::new(),
                });
                (filled, before) = (0, &[]);
            }
            if let Some(piece) = pieces.last_mut() {
                write_row(&mut piece.bytes, before, key, value);
            }
            filled += size;
            (start, before) = (end, key);
        }
        pieces
    }
}

/// A row: how many bytes of the key it shares with the one before, how many more it has, the value's length, the rest of the key,
/// the value.
fn write_row(block: &mut Vec<u8>, before: &[u8], key: &[u8], value: &[u8]) {
    let shared = before.iter().zip(key).take_while(|(a, b)| a == b).count();
    write_number(block, shared);
    write_number(block, key.len() - shared);
    write_number(block, value.len());
    block.extend_from_slice(&key[shared..]);
    block.extend_from_slice(value);
}

/// Seven bits in a byte, the lowest first; the highest bit says that more follow.
fn write_number(block: &mut Vec<u8>, mut number: usize) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return block.push(low);
        }
        block.push(low | 0x80);
    }
}

/// Reads a block row by row.
struct Reader<'a> {
    rest: &'a [u8],
    /// Of the row that was read last.
    key: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn new(block: &'a [u8]) -> Self {
        Self {
            rest: block,
            key: Vec::new(),
        }
    }

    /// The value of the next row.
    fn next(&mut self) -> Result<Option<&'a [u8]>, Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.read()
            .map(Some)
            .ok_or_else(|| Error::Index("a block cannot be read".to_owned()))
    }

    fn read(&mut self) -> Option<&'a [u8]> {
        let (shared, more, length) = (self.number()?, self.number()?, self.number()?);
        let (key, rest) = self.rest.split_at_checked(more)?;
        let (value, rest) = rest.split_at_checked(length)?;
        if shared > self.key.len() {
            return None;
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(key);
        self.rest = rest;
        Some(value)
    }

    fn number(&mut self) -> Option<usize> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= usize::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
            shift += 7;
        }
    }
}

/// Rows in ascending order, a block in memory at a time. Others may change the tree meanwhile: each row is as it was or as it is.
pub(super) struct Rows {
    blocks: sled::Iter,
    /// The block after the current one.
    next: Option<(IVec, IVec)>,
    current: std::vec::IntoIter<(Bytes, Bytes)>,
    start: Bound<Vec<u8>>,
    failure: Option<Error>,
    began: bool,
}

impl Rows {
    fn failed(tree: &Tree, error: Error) -> Self {
        Self {
            blocks: tree.iter(),
            next: None,
            current: Vec::new().into_iter(),
            start: Bound::Unbounded,
            failure: Some(error),
            began: true,
        }
    }

    /// Goes to the next block; `false` after the last.
    fn advance(&mut self) -> Result<bool, Error> {
        if !self.began {
            self.began = true;
            self.next = self.blocks.next().transpose()?;
        }
        let Some((_, block)) = self.next.take() else {
            return Ok(false);
        };
        self.next = self.blocks.next().transpose()?;
        let end = self.next.as_ref().map(|(separator, _)| &separator[1..]);
        let mut found: Vec<(Bytes, Bytes)> = Vec::new();
        let mut rows = Reader::new(&block);
        while let Some(value) = rows.next()? {
            if end.is_some_and(|end| &rows.key[..] >= end) {
                break;
            }
            let key = &rows.key[..];
            let is_wanted = match &self.start {
                Bound::Included(start) => key >= &start[..],
                Bound::Excluded(start) => key > &start[..],
                Bound::Unbounded => true,
            };
            if is_wanted {
                found.push((key.into(), value.into()));
            }
        }
        if let Some((key, _)) = found.last() {
            self.start = Bound::Excluded(key.to_vec());
        }
        self.current = found.into_iter();
        Ok(true)
    }
}

impl Iterator for Rows {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        if let Some(error) = self.failure.take() {
            return Some(Err(error));
        }
        loop {
            if let Some(row) = self.current.next() {
                return Some(Ok(row));
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.next = None;
                    return Some(Err(error));
                }
            }
        }
    }
}
