//! What one write job sees and changes before anything is on disk.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::{Bound, Range};

use super::error::Error;
use super::keys::Tree;
use super::live::Snapshot;
use super::tables::{Bytes, Row, Sink, Source, Tables};
use crate::id::{ChatId, MessageId, Mint, ReportId};
use crate::model::Timestamp;

/// What a row in an overlay needs besides its bytes, roughly.
const ROW_OVERHEAD: usize = 128;

/// Rows that are changed but not in the index yet; `None` is a removed row.
#[derive(Debug, Clone, Default)]
pub(super) struct Overlay {
    trees: [BTreeMap<Bytes, Option<Bytes>>; Tree::ALL.len()],
    bytes: usize,
}

impl Overlay {
    pub(super) fn get(&self, tree: Tree, key: &[u8]) -> Option<&Option<Bytes>> {
        self.trees[tree.index()].get(key)
    }

    pub(super) fn set(&mut self, tree: Tree, key: Bytes, value: Option<Bytes>) {
        let size = |value: &Option<Bytes>| value.as_ref().map_or(0, |value| value.len());
        let (key_size, value_size) = (key.len(), size(&value));
        self.bytes += value_size;
        match self.trees[tree.index()].insert(key, value) {
            Some(replaced) => self.bytes -= size(&replaced),
            None => self.bytes += key_size + ROW_OVERHEAD,
        }
    }

    /// Roughly the memory that the rows need.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.trees.iter().all(BTreeMap::is_empty)
    }

    /// Every change, tree by tree, keys ascending: the order in which sled is cheapest to write.
    pub(super) fn rows(&self) -> impl Iterator<Item = (Tree, &Bytes, Option<&Bytes>)> {
        Tree::ALL.into_iter().flat_map(|tree| {
            self.trees[tree.index()]
                .iter()
                .map(move |(key, value)| (tree, key, value.as_ref()))
        })
    }

    /// The same as plain bytes.
    pub(super) fn slices(&self) -> impl Iterator<Item = (Tree, &[u8], Option<&[u8]>)> {
        self.rows()
            .map(|(tree, key, value)| (tree, &key[..], value.map(|value| &value[..])))
    }

    /// Takes over the changes of a later overlay.
    pub(super) fn absorb(&mut self, later: Overlay) {
        if self.is_empty() {
            *self = later;
            return;
        }
        for (tree, later) in Tree::ALL.into_iter().zip(later.trees) {
            for (key, value) in later {
                self.set(tree, key, value);
            }
        }
    }

    pub(super) fn over<'a>(
        &'a self,
        tree: Tree,
        range: &Range<Vec<u8>>,
        below: Box<dyn Iterator<Item = Row> + 'a>,
    ) -> Box<dyn Iterator<Item = Row> + 'a> {
        let bounds = (
            Bound::Included(&range.start[..]),
            Bound::Excluded(&range.end[..]),
        );
        let mut mine = self.trees[tree.index()].range::<[u8], _>(bounds).peekable();
        if mine.peek().is_none() {
            return below;
        }
        let mut below = below.peekable();
        Box::new(std::iter::from_fn(move || {
            loop {
                let order = match (mine.peek(), below.peek()) {
                    (Some((key, _)), Some(Ok((other, _)))) => (*key).cmp(other),
                    (Some(_), None) => Ordering::Less,
                    _ => Ordering::Greater,
                };
                match order {
                    Ordering::Greater => return below.next(),
                    Ordering::Equal => drop(below.next()),
                    Ordering::Less => {}
                }
                if let Some((key, Some(value))) = mine.next() {
                    return Some(Ok((key.clone(), value.clone())));
                }
            }
        }))
    }
}

/// The source behind a [`super::Transaction`].
pub struct Staged<'a> {
    committed: &'a Snapshot<'a>,
    group: &'a Overlay,
    own: Overlay,
    mint: &'a mut Mint,
    now: Timestamp,
    number: u64,
    events: Vec<Vec<u8>>,
    on_commit: Vec<OnCommit>,
}

/// What a job wants done once its commit is on stable storage; runs on the writer thread, in commit order.
pub(super) type OnCommit = Box<dyn FnOnce() + Send>;

/// What a job leaves behind for the writer.
pub(super) struct Outcome {
    pub(super) changes: Overlay,
    pub(super) events: Vec<Vec<u8>>,
    pub(super) on_commit: Vec<OnCommit>,
}

impl<'a> Staged<'a> {
    pub(super) fn new(
        committed: &'a Snapshot<'a>,
        group: &'a Overlay,
        mint: &'a mut Mint,
        number: u64,
        now: Timestamp,
    ) -> Self {
        let own = Overlay::default();
        Self {
            committed,
            group,
            own,
            mint,
            now,
            number,
            events: Vec::new(),
            on_commit: Vec::new(),
        }
    }

    pub(super) fn into_outcome(self) -> Outcome {
        Outcome {
            changes: self.own,
            events: self.events,
            on_commit: self.on_commit,
        }
    }
}

impl std::fmt::Debug for Staged<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Staged")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

#[expect(
    private_interfaces,
    reason = "the trait is sealed by its private types"
)]
impl Source for Staged<'_> {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Bytes>, Error> {
        match self
            .own
            .get(tree, key)
            .or_else(|| self.group.get(tree, key))
        {
            Some(value) => Ok(value.clone()),
            None => self.committed.get(tree, key),
        }
    }

    fn range(&self, tree: Tree, range: Range<Vec<u8>>) -> Box<dyn Iterator<Item = Row> + '_> {
        let committed = self.committed.range(tree, range.clone());
        self.own
            .over(tree, &range, self.group.over(tree, &range, committed))
    }
}

#[expect(
    private_interfaces,
    reason = "the trait is sealed by its private types"
)]
impl Sink for Staged<'_> {
    fn set(&mut self, tree: Tree, key: Vec<u8>, value: Option<Bytes>) {
        self.own.set(tree, key.into(), value);
    }
}

impl Tables<Staged<'_>> {
    /// The wall clock at the start of the job.
    pub fn now(&self) -> Timestamp {
        self.0.now
    }

    /// This commit's number: ascends with every commit, whatever the clock does.
    pub fn commit_number(&self) -> u64 {
        self.0.number
    }

    /// A new chat id, greater than all before.
    pub fn mint_chat_id(&mut self) -> ChatId {
        let seconds = self.0.now.unix_seconds();
        self.0.mint.next(seconds).into()
    }

    /// A new message id, greater than all before.
    pub fn mint_message_id(&mut self) -> MessageId {
        let seconds = self.0.now.unix_seconds();
        self.0.mint.next(seconds).into()
    }

    /// A new report id, greater than all before.
    pub fn mint_report_id(&mut self) -> ReportId {
        let seconds = self.0.now.unix_seconds();
        self.0.mint.next(seconds).into()
    }

    /// Writes `record` into the journal beside this commit's changes, for those who follow it later.
    pub fn record_event(&mut self, record: Vec<u8>) {
        self.0.events.push(record);
    }

    /// Runs `action` once this commit is on stable storage, on the writer thread, in commit order. Never runs when
    /// the job or the commit fails.
    pub fn on_commit(&mut self, action: impl FnOnce() + Send + 'static) {
        self.0.on_commit.push(Box::new(action));
    }
}
