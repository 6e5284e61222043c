//! The one thread that changes the disk: jobs in, commit groups out.
//!
//! It takes whatever is queued, runs the jobs in order (each sees the effect of those before it), appends all their
//! changes to the journal as one group with one sync, applies them to the index, and only then answers. So the wait at
//! low load is one sync, and throughput grows with load. A failed sync is fatal (invariant 10).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::error::Error;
use super::index::Marker;
use super::tables::Tables;
use super::transaction::{Mints, OnCommit, Outcome, Overlay, Staged};
use super::{Shared, Transaction};
use crate::journal::{self, Commit, Journal, Write};

/// Answers the caller once the fate of the commit is known.
pub(super) type Reply = Box<dyn FnOnce(Result<(), Error>) + Send>;
/// Runs on the writer thread. `true` keeps the changes.
pub(super) type Job = Box<dyn FnOnce(&mut Transaction<'_>) -> (bool, Reply) + Send>;

/// Most jobs in one group: bounds the wait of the first and the size of a frame.
const MAX_GROUP: usize = 512;
/// A group is closed early past this many bytes of changes, far below the journal's largest frame.
const MAX_GROUP_BYTES: usize = 4 << 20;

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) journal: Journal,
    pub(super) mints: Mints,
    pub(super) jobs: mpsc::Receiver<Job>,
}

/// The jobs of one group and what they leave behind.
#[derive(Default)]
struct Group {
    changes: Overlay,
    commits: Vec<Commit>,
    bytes: usize,
    on_commit: Vec<OnCommit>,
    replies: Vec<Reply>,
}

impl Writer {
    /// Works until every sender is gone or the disk cannot be trusted any more.
    pub(super) fn run(mut self) {
        while let Some(first) = self.jobs.blocking_recv() {
            let mut group = Group::default();
            self.stage(&mut group, first);
            while group.replies.len() < MAX_GROUP && group.bytes < MAX_GROUP_BYTES {
                let Ok(job) = self.jobs.try_recv() else { break };
                self.stage(&mut group, job);
            }
            let fate = self.commit(&group);
            if fate.is_ok() {
                group.on_commit.into_iter().for_each(|action| action());
            }
            for reply in group.replies {
                reply(fate.clone());
            }
            if let Err(Error::Failed(why)) = fate {
                self.shared.fail(&why);
                return;
            }
        }
    }

    fn stage(&mut self, group: &mut Group, job: Job) {
        let number = self.journal.next_commit() + group.commits.len() as u64;
        let staged = Staged::new(&self.shared.index, &group.changes, &mut self.mints, number);
        let mut transaction = Tables(staged);
        let finished = catch_unwind(AssertUnwindSafe(|| job(&mut transaction)));
        let Outcome {
            changes,
            events,
            on_commit,
        } = transaction.0.into_outcome();
        // A job that panicked has dropped its reply, which its caller sees.
        let Ok((keep, reply)) = finished else { return };
        group.replies.push(reply);
        if !keep {
            return;
        }
        group.on_commit.extend(on_commit);
        if !changes.is_empty() || !events.is_empty() {
            let writes: Vec<Write> = changes
                .rows()
                .map(|(tree, key, value)| Write {
                    tree: tree as u8,
                    key: key.to_vec(),
                    value: value.map(|value| value.to_vec()),
                })
                .collect();
            group.bytes += writes
                .iter()
                .map(|w| w.key.len() + w.value.as_ref().map_or(0, Vec::len))
                .sum::<usize>();
            group.commits.push(Commit {
                number,
                writes,
                events,
            });
            group.changes.absorb(changes);
        }
    }

    fn commit(&mut self, group: &Group) -> Result<(), Error> {
        let Some(last) = group.commits.last() else {
            return Ok(());
        };
        let position = self
            .journal
            .append(&group.commits)
            .map_err(|error| match error {
                journal::Error::Full(_) => Error::Full,
                error @ journal::Error::SyncFailed(_) => Error::Failed(error.to_string()),
                error => Error::Io(error.to_string()),
            })?;
        let marker = Marker {
            generation: self.shared.generation,
            applied: last.number,
        };
        let rows = group
            .changes
            .rows()
            .map(|(tree, key, value)| (tree, &key[..], value.map(|value| &value[..])));
        // The group is durable, but readers could not see it: only a restart, which replays it, makes that whole.
        self.shared
            .index
            .apply(rows, marker)
            .map_err(|error| Error::Failed(error.to_string()))?;
        self.shared.applied(last.number, position);
        Ok(())
    }
}
