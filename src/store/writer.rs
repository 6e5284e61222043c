//! One thread appends to the journal and decides what is true: jobs in, commit groups out. The index and the base are made from it
//! by others, and may be thrown away.
//!
//! It takes whatever is queued, runs the jobs in order (each sees the effect of those before it), appends all their
//! changes to the journal as one group with one sync, shows them to readers, and only then answers. So the wait at
//! low load is one sync, and throughput grows with load. A failed sync is fatal (invariant 10). An index that fails is
//! not: the group is in the journal and readers see it, and writes are refused until the index works again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::applier::Applier;
use super::error::Error;
use super::index::Index;
use super::open;
use super::repair;
use super::tables::{Bytes, Tables};
use super::transaction::{OnCommit, Outcome, Overlay, Staged};
use super::{Shared, Transaction};
use crate::id::Mint;
use crate::journal::{self, BaseStart, Commit, Journal, Position, Write};
use crate::metrics::millis;
#[cfg(not(test))]
use crate::model::Timestamp;

/// Answers the caller once the fate of the commit is known.
pub(super) type Reply = Box<dyn FnOnce(Result<(), Error>) + Send>;
/// Runs on the writer thread. `true` keeps the changes.
pub(super) type Job = Box<dyn FnOnce(&mut Transaction<'_>) -> (bool, Reply) + Send>;

/// What the writer can be asked to do.
pub(super) enum Work {
    Job(Job),
    /// Begin a base at the next commit.
    BeginBase(oneshot::Sender<Result<BaseStart, Error>>),
    /// Tell the last commit and where its frame ends: everything up to it is synced and shown to readers, and nothing beyond. The
    /// index may be behind.
    Reached(oneshot::Sender<(u64, Position)>),
    /// Replace the index by one that has everything up to the position, and hand back the old one.
    Adopt {
        index: Index,
        upto: Position,
        answer: oneshot::Sender<Result<Option<Arc<Index>>, Error>>,
    },
    /// The index has failed. With `rebuild` its files cannot be trusted: what is on disk of it is unknown.
    IndexFailed {
        why: Error,
        rebuild: bool,
    },
    /// See whether a broken index can be repaired.
    Repair,
}

/// Most jobs in one group: bounds the wait of the first and the size of a frame.
const MAX_GROUP: usize = 512;
/// A group is closed early past this many bytes of changes, far below the journal's largest frame.
const MAX_GROUP_BYTES: usize = 4 << 20;
/// Between two attempts to repair the index.
const REPAIR_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) journal: Journal,
    pub(super) mint: Mint,
    pub(super) work: mpsc::Receiver<Work>,
    pub(super) broken: Option<Broken>,
    pub(super) applier: Applier,
}

/// Why writes are refused at the moment.
pub(super) struct Broken {
    /// What callers are told.
    pub(super) why: Error,
    /// Its files cannot be trusted, even where they look sound.
    pub(super) rebuild: bool,
    pub(super) next_try: Instant,
}

/// The jobs of one group and what they leave behind.
#[derive(Default)]
struct Group {
    changes: Overlay,
    commits: Vec<Commit<Bytes>>,
    bytes: usize,
    on_commit: Vec<OnCommit>,
    replies: Vec<Reply>,
}

impl Writer {
    /// Works until every sender is gone or the disk cannot be trusted any more.
    pub(super) fn run(&mut self) {
        let mut next = None;
        while let Some(work) = next.take().or_else(|| self.work.blocking_recv()) {
            let outcome = match work {
                Work::Job(job) => self.run_group(job, &mut next),
                other => self.serve(other),
            };
            if let Err(Error::Failed(why)) = outcome {
                self.shared.fail(&why);
                return;
            }
        }
    }

    /// Drops what still comes until every sender is gone, so that nobody waits for an answer: a job that is sent just while the
    /// queue closes would lie in it for as long as there is a sender.
    pub(super) fn refuse_the_rest(&mut self) {
        while self.work.blocking_recv().is_some() {}
    }

    /// Commits `first` and the jobs that are queued behind it. Puts other work that it meets into `next`.
    fn run_group(&mut self, first: Job, next: &mut Option<Work>) -> Result<(), Error> {
        self.repair();
        let mut group = Group::default();
        self.stage(&mut group, first);
        while group.replies.len() < MAX_GROUP && group.bytes < MAX_GROUP_BYTES {
            match self.work.try_recv() {
                Ok(Work::Job(job)) => self.stage(&mut group, job),
                Ok(other) => {
                    *next = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        let fate = self.commit(&mut group);
        if fate.is_ok() {
            group.on_commit.into_iter().for_each(|action| action());
        }
        for reply in group.replies {
            reply(fate.clone());
        }
        fate
    }

    /// Work that is no job. A caller that has gone away needs no answer.
    fn serve(&mut self, work: Work) -> Result<(), Error> {
        match work {
            Work::Job(_) => {}
            Work::BeginBase(answer) => {
                let outcome = self.begin_base();
                let fate = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
                let _ = answer.send(outcome);
                return fate;
            }
            Work::Reached(answer) => {
                let _ = answer.send(self.reached());
            }
            Work::Adopt {
                index,
                upto,
                answer,
            } => {
                let _ = answer.send(self.adopt(index, upto));
            }
            Work::IndexFailed { why, rebuild } => {
                // Where the disk was merely full, sled knows what it has not written. After any other failed sync the
                // system may show what the disk does not hold.
                let rebuild = rebuild && !matches!(why, Error::Full);
                self.break_index(why, rebuild);
            }
            Work::Repair => self.repair(),
        }
        Ok(())
    }

    fn reached(&self) -> (u64, Position) {
        (self.journal.next_commit() - 1, self.journal.position())
    }

    fn begin_base(&mut self) -> Result<BaseStart, Error> {
        // Rows that the index lacks would be missing from the base.
        if let Some(broken) = &self.broken {
            return Err(broken.why.clone());
        }
        let start = self.journal.begin_base().map_err(refusal)?;
        self.shared.live.move_to(self.reached());
        Ok(start)
    }

    fn adopt(&mut self, index: Index, upto: Position) -> Result<Option<Arc<Index>>, Error> {
        let reached = self.reached();
        let data_dir = &self.shared.data_dir;
        if let Err(error) = open::replay(&index, data_dir, upto, reached.1, |_| ()) {
            index.supersede();
            return Err(error);
        }
        let old = self.shared.live.replace(index, reached);
        self.broken = None;
        self.shared.set_broken(false);
        Ok(old)
    }

    fn break_index(&mut self, why: Error, rebuild: bool) {
        tracing::error!(%why, "the index has failed; writes are refused until it works again");
        let before = self.broken.as_ref();
        let rebuild = rebuild || before.is_some_and(|broken| broken.rebuild);
        // Who meets the failure again must not put off its repair.
        let next_try =
            before.map_or_else(|| Instant::now() + REPAIR_EVERY, |broken| broken.next_try);
        self.broken = Some(Broken {
            why: match why {
                Error::Full => Error::Full,
                other => Error::Io(other.to_string()),
            },
            rebuild,
            next_try,
        });
        self.shared.set_broken(true);
    }

    /// Tries to get a broken index to work again, now and then.
    fn repair(&mut self) {
        let Some(broken) = &mut self.broken else {
            return;
        };
        if Instant::now() < broken.next_try {
            return;
        }
        let reached = (self.journal.next_commit() - 1, self.journal.position());
        match repair::repair(&self.shared, broken.rebuild, reached) {
            Ok(()) => {
                tracing::info!("the index works again");
                self.broken = None;
                self.shared.set_broken(false);
            }
            Err(error) => {
                tracing::warn!(%error, "the index does not work yet");
                broken.next_try = Instant::now() + REPAIR_EVERY;
            }
        }
    }

    fn stage(&mut self, group: &mut Group, job: Job) {
        let number = self.journal.next_commit() + group.commits.len() as u64;
        let committed = self.shared.live.snapshot();
        #[cfg(not(test))]
        let now = Timestamp::now();
        #[cfg(test)]
        let now = self.shared.settings.faults.clock();
        let staged = Staged::new(&committed, &group.changes, &mut self.mint, number, now);
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
            let writes: Vec<Write<Bytes>> = changes
                .rows()
                .map(|(tree, key, value)| Write {
                    tree: tree as u8,
                    key: key.clone(),
                    value: value.cloned(),
                })
                .collect();
            group.bytes += writes
                .iter()
                .map(|w| w.key.len() + w.value.as_ref().map_or(0, |value| value.len()))
                .sum::<usize>();
            group.commits.push(Commit {
                number,
                writes,
                events,
            });
            group.changes.absorb(changes);
        }
    }

    fn commit(&mut self, group: &mut Group) -> Result<(), Error> {
        let Some(last) = group.commits.last() else {
            return Ok(());
        };
        if let Some(broken) = &self.broken {
            return Err(broken.why.clone());
        }
        let began = Instant::now();
        let position = self.append(&group.commits)?;
        let took = began.elapsed();
        self.shared.commits.observe(took);
        let slow = self.shared.slow.get().copied().unwrap_or_default();
        if slow.is_exceeded(took) {
            let (changes, bytes) = (group.commits.len(), group.bytes);
            tracing::warn!(
                took_ms = millis(took),
                changes,
                bytes,
                "slow commit: the disk was slow to write or to sync"
            );
        }
        let changes = std::mem::take(&mut group.changes);
        let waiting = self.shared.live.commit(changes, (last.number, position));
        if let Err(error) = self.applier.see(waiting) {
            // The group is durable and readers see it; what follows has to wait.
            self.break_index(error, false);
        }
        Ok(())
    }

    fn append(&mut self, group: &[Commit<Bytes>]) -> Result<Position, Error> {
        #[cfg(test)]
        if self.shared.settings.faults.journal_cannot_sync() {
            self.journal.fail_syncs();
        }
        #[cfg(not(test))]
        let appended = self.journal.append(group);
        #[cfg(test)]
        let appended = if self.shared.settings.faults.is_journal_full() {
            Err(full())
        } else {
            self.journal.append(group)
        };
        match &appended {
            Ok(_) => self.shared.refused.store(false, Ordering::Release),
            Err(journal::Error::Full(_) | journal::Error::Io { .. }) => {
                self.shared.refused.store(true, Ordering::Release);
            }
            // It is the group that could not be taken, or the end.
            Err(_) => {}
        }
        appended.map_err(refusal)
    }
}

#[cfg(test)]
fn full() -> journal::Error {
    journal::Error::Full(std::io::ErrorKind::StorageFull.into())
}

fn refusal(error: journal::Error) -> Error {
    match error {
        journal::Error::Full(_) => Error::Full,
        error @ journal::Error::SyncFailed(_) => Error::Failed(error.to_string()),
        error => Error::Io(error.to_string()),
    }
}
