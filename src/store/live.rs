//! What readers see: the index, and over it the rows of committed groups that the index does not have yet. It owns the one lock
//! between the writer and the readers, and the rows that wait; it does not know who applies them when, nor how an index is
//! repaired or replaced.
//!
//! A committed group waits in memory, so that nobody waits for the index, and so that a row which is changed again and again
//! reaches it once. [`Live::drain`] hands what waits to the index while readers and the writer go on: the rows stay over the
//! index until all of them are in it, so that nobody sees half of a group.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use super::error::Error;
use super::index::{Index, Marker};
use super::keys::Tree;
use super::row_cache::RowCache;
use super::tables::{Bytes, Row, Source};
use super::transaction::Overlay;
use crate::journal::Position;

/// The last commit, and where its frame ends.
pub(super) type Reached = (u64, Position);

/// The index in use. Readers share the lock for the time of a read.
pub(super) struct Live {
    state: RwLock<State>,
    /// Held while rows go into the index; taken before the lock of `state`.
    draining: Mutex<()>,
    cache: Arc<RowCache>,
}

struct State {
    /// Rows of the index. Those that wait are not asked for there, and leave it before the index changes.
    cache: Arc<RowCache>,
    /// `None` while a broken index is being opened anew and reads have to be refused.
    index: Option<Arc<Index>>,
    /// Committed since the last draining began.
    waiting: Overlay,
    /// On their way into the index, with the last commit that is among them.
    leaving: Arc<Overlay>,
    left_at: Reached,
    /// The last commit of which the index says that it has it.
    applied: u64,
    /// The last commit that readers see.
    reached: Reached,
}

impl State {
    /// Everything that was committed is in this index.
    fn put(&mut self, index: Index, reached: Reached) -> Option<Arc<Index>> {
        self.waiting = Overlay::default();
        self.leaving = Arc::default();
        self.cache.forget_all();
        (self.left_at, self.reached, self.applied) = (reached, reached, reached.0);
        self.index.replace(Arc::new(index))
    }
}

/// The committed state, without a half-applied group.
pub struct Snapshot<'a>(RwLockReadGuard<'a, State>);

impl std::fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Snapshot")
    }
}

impl Live {
    /// The index has everything up to `reached`.
    pub(super) fn new(index: Index, reached: Reached) -> Self {
        let cache = Arc::<RowCache>::default();
        Self {
            state: RwLock::new(State {
                cache: Arc::clone(&cache),
                index: Some(Arc::new(index)),
                waiting: Overlay::default(),
                leaving: Arc::default(),
                left_at: reached,
                applied: reached.0,
                reached,
            }),
            draining: Mutex::new(()),
            cache,
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot<'_> {
        Snapshot(self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The same, unless somebody is just changing it or a new index is being opened.
    pub(super) fn try_snapshot(&self) -> Option<Snapshot<'_>> {
        match self.state.try_read() {
            Ok(state) => Some(Snapshot(state)),
            Err(TryLockError::Poisoned(poisoned)) => Some(Snapshot(poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn change(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn index(&self) -> Result<Arc<Index>, Error> {
        self.snapshot().0.index.clone().ok_or_else(unavailable)
    }

    /// The last commit that readers see.
    pub(super) fn reached(&self) -> Reached {
        self.snapshot().0.reached
    }

    /// Shows a committed group to readers. Answers how many bytes wait for the index.
    pub(super) fn commit(&self, changes: Overlay, reached: Reached) -> usize {
        let mut state = self.change();
        state.waiting.absorb(changes);
        state.reached = reached;
        state.waiting.bytes()
    }

    /// The journal goes on elsewhere, without a commit.
    pub(super) fn move_to(&self, reached: Reached) {
        self.change().reached = reached;
    }

    /// Puts everything that was committed before the call into the index. Answers the index, and how far it has come. Should the
    /// index fail, readers see the rows all the same.
    pub(super) fn drain(&self) -> Result<(Arc<Index>, Reached), Error> {
        let _alone = self.draining.lock().unwrap_or_else(PoisonError::into_inner);
        let (index, leaving, left_at, applied) = {
            let mut state = self.change();
            let waiting = std::mem::take(&mut state.waiting);
            // Still there from a draining that failed; nobody else holds it then.
            Arc::make_mut(&mut state.leaving).absorb(waiting);
            state.left_at = state.reached;
            let index = state.index.clone().ok_or_else(unavailable)?;
            (
                index,
                Arc::clone(&state.leaving),
                state.left_at,
                state.applied,
            )
        };
        let marker = Marker {
            generation: index.generation(),
            applied: left_at.0,
        };
        // Readers have these rows from what is leaving, until all of them are in the index: nobody can bring one back meanwhile.
        for (tree, key, _) in leaving.rows() {
            self.cache.forget(tree, key);
        }
        // A commit may have events and no rows: the index has to say all the same that it has come so far, or it would be behind
        // the checkpoint that rests on this.
        let outcome = if leaving.is_empty() && applied == left_at.0 {
            Ok(())
        } else {
            index.apply(leaving.slices(), marker)
        };
        let mut state = self.change();
        let is_current = |used: &Arc<Index>| Arc::ptr_eq(used, &index);
        if !state.index.as_ref().is_some_and(is_current) {
            // Replaced meanwhile, by one that has all of it.
            let index = state.index.clone().ok_or_else(unavailable)?;
            return Ok((index, state.left_at));
        }
        outcome?;
        state.leaving = Arc::default();
        state.applied = left_at.0;
        Ok((index, left_at))
    }

    /// Puts an index that is level with the journal in place of the one in use, which is handed back.
    pub(super) fn replace(&self, index: Index, reached: Reached) -> Option<Arc<Index>> {
        self.change().put(index, reached)
    }

    /// Closes the index and has `reopen` open it again, level with the journal. Readers wait. Answers `false`, and nothing has
    /// changed, while somebody has the index in hand: sled opens a directory again only after the last handle is gone.
    pub(super) fn reopen(
        &self,
        reached: Reached,
        reopen: impl FnOnce() -> Result<Index, Error>,
    ) -> Result<bool, Error> {
        let _alone = self.draining.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.change();
        if let Some(index) = state.index.take()
            && let Err(held) = Arc::try_unwrap(index)
        {
            state.index = Some(held);
            return Ok(false);
        }
        let index = reopen()?;
        state.put(index, reached);
        Ok(true)
    }
}

fn unavailable() -> Error {
    Error::Index("it is being rebuilt".to_owned())
}

#[expect(
    private_interfaces,
    reason = "the trait is sealed by its private types"
)]
impl Source for Snapshot<'_> {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let state = &self.0;
        let changed = state.waiting.get(tree, key);
        if let Some(value) = changed.or_else(|| state.leaving.get(tree, key)) {
            return Ok(value.clone());
        }
        let index = state.index.as_ref().ok_or_else(unavailable)?;
        if let Some(known) = state.cache.get(tree, key) {
            return Ok(known);
        }
        let found = index.get(tree, key)?;
        state.cache.keep(tree, key, &found);
        Ok(found)
    }

    fn range(&self, tree: Tree, range: Range<Vec<u8>>) -> Box<dyn Iterator<Item = Row> + '_> {
        let state = &self.0;
        let Some(index) = &state.index else {
            return Box::new(std::iter::once(Err(unavailable())));
        };
        let rows = Box::new(index.range(tree, range.clone()));
        let rows = state.leaving.over(tree, &range, rows);
        state.waiting.over(tree, &range, rows)
    }
}
