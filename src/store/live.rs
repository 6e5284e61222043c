//! What readers see: the index, and over it the rows of a committed group that the index refused. It owns the one lock
//! between the writer and the readers; it does not know how an index is repaired or replaced.

use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::error::Error;
use super::index::{Index, Marker};
use super::keys::Tree;
use super::tables::{Bytes, Row, Source};
use super::transaction::Overlay;

/// The index in use. Readers share the lock for the time of a read, the writer takes it while it applies a group, so that
/// nobody sees half of one.
pub(super) struct Live(RwLock<State>);

struct State {
    /// `None` while a broken index is being opened anew and reads have to be refused.
    index: Option<Arc<Index>>,
    unapplied: Overlay,
}

/// The committed state, without a half-applied group.
pub struct Snapshot<'a>(RwLockReadGuard<'a, State>);

impl std::fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Snapshot")
    }
}

impl Live {
    pub(super) fn new(index: Index) -> Self {
        Self(RwLock::new(State {
            index: Some(Arc::new(index)),
            unapplied: Overlay::default(),
        }))
    }

    pub(super) fn snapshot(&self) -> Snapshot<'_> {
        Snapshot(self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn index(&self) -> Result<Arc<Index>, Error> {
        self.snapshot().0.index.clone().ok_or_else(unavailable)
    }

    /// Applies a committed group. Should the index fail, readers see the group all the same.
    pub(super) fn apply(&self, changes: &Overlay, applied: u64) -> Result<(), Error> {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let outcome = match &state.index {
            Some(index) => {
                let marker = Marker {
                    generation: index.generation(),
                    applied,
                };
                index.apply(changes.slices(), marker)
            }
            None => Err(unavailable()),
        };
        if outcome.is_err() {
            state.unapplied.absorb(changes.clone());
        }
        outcome
    }

    /// Puts an index that is level with the journal in place of the one in use, which is handed back.
    pub(super) fn replace(&self, index: Index) -> Option<Arc<Index>> {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        state.unapplied = Overlay::default();
        state.index.replace(Arc::new(index))
    }

    /// Hands the index to `reopen`, which closes it and opens it again, level with the journal. Readers wait.
    pub(super) fn reopen(
        &self,
        reopen: impl FnOnce(Option<Arc<Index>>) -> Result<Index, Error>,
    ) -> Result<(), Error> {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let index = reopen(state.index.take())?;
        state.index = Some(Arc::new(index));
        state.unapplied = Overlay::default();
        Ok(())
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
        match self.0.unapplied.get(tree, key) {
            Some(value) => Ok(value.clone()),
            None => self
                .0
                .index
                .as_ref()
                .ok_or_else(unavailable)?
                .get(tree, key),
        }
    }

    fn range(&self, tree: Tree, range: Range<Vec<u8>>) -> Box<dyn Iterator<Item = Row> + '_> {
        match &self.0.index {
            Some(index) => {
                self.0
                    .unapplied
                    .over(tree, &range, Box::new(index.range(tree, range.clone())))
            }
            None => Box::new(std::iter::once(Err(unavailable()))),
        }
    }
}
