//! The store: typed tables whose truth is the journal and whose index is sled.
//!
//! One thread writes ([`Store::write`]): it runs jobs, appends their changes to the journal, syncs, shows them to readers
//! and only then answers. Another one brings them into the index, many at a time. Readers ([`Store::read`]) see whole groups
//! only. A checkpoint now and then bounds what a start has to replay; an index that is missing, behind or broken is rebuilt from the journal and nothing is lost.
//! It knows the records of [`crate::model`] and none of the rules about them. Only this folder names sled.

mod applier;
#[cfg(test)]
mod block_tests;
mod blocks;
mod chats;
mod check;
mod checkpoint;
mod codec;
mod compact;
mod counts;
#[cfg(test)]
mod damage_tests;
mod error;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod faults;
mod index;
mod keys;
mod live;
mod messages;
mod open;
#[cfg(test)]
mod power_tests;
mod progress;
mod reading;
mod repair;
mod replica;
mod reports;
mod row_cache;
mod schema;
mod social_check;
#[cfg(test)]
mod social_tests;
mod tables;
#[cfg(test)]
mod tests;
mod transaction;
mod unread;
mod usage;
mod user_blocks;
mod users;
mod verify;
#[cfg(test)]
mod verify_tests;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::thread;

use tokio::sync::{mpsc, oneshot, watch};

use self::applier::Applier;
pub use self::check::Findings;
pub use self::compact::{Compacted, CompactionPolicy};
pub use self::counts::Counts;
pub use self::error::Error;
use self::live::Live;
pub use self::open::{UNFINISHED, has_journal, make_data_dir, refuse_unfinished};
pub use self::progress::ProgressBar;
pub use self::reading::{Reading, Stopped, elsewhere};
pub use self::replica::Replica;
pub use self::schema::{CURRENT as SCHEMA, of as schema_of};
pub use self::tables::{Sink, Source, Tables};
pub use self::verify::{Inspection, Stats, Step, Verified, stats, verify};
use self::writer::{Job, Reply, Work, Writer};
use crate::journal::{DirLock, Position};
use crate::metrics::{Durations, Histogram, SlowThreshold};

/// The committed tables, for readers.
pub type Snapshot<'a> = Tables<live::Snapshot<'a>>;
/// The tables as a write job sees and changes them.
pub type Transaction<'a> = Tables<transaction::Staged<'a>>;

/// Where and how to open a store.
#[derive(Debug, Clone)]
pub struct Options {
    /// Holds `journal/`, `db/`, `checkpoint` and `schema`.
    pub data_dir: PathBuf,
    /// Bytes of sled's page cache.
    pub cache: u64,
    /// Jobs that may wait for the writer; past it callers wait.
    pub queue: usize,
}

/// A handle to the open store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    work: mpsc::Sender<Work>,
}

struct Shared {
    live: Live,
    settings: index::Settings,
    data_dir: PathBuf,
    /// Held by a checkpoint, a compaction or a repair: one of them at a time.
    maintenance: Mutex<()>,
    checkpointed: AtomicU64,
    /// Writes are refused until the index works again.
    broken: AtomicBool,
    /// The journal took nothing when it was last given something.
    refused: AtomicBool,
    called_off: AtomicBool,
    failure: watch::Sender<Option<String>>,
    commits: Histogram,
    /// From when on a commit is told to have been slow.
    slow: OnceLock<SlowThreshold>,
    _lock: DirLock,
}

impl Shared {
    fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::Release);
    }

    /// For who would rather come again than wait. A panic in one that held it has left nothing half done that its next holder
    /// would rest on.
    fn try_maintenance(&self) -> Option<MutexGuard<'_, ()>> {
        match self.maintenance.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn fail(&self, why: &str) {
        tracing::error!(why, "the store has failed");
        self.failure.send_replace(Some(why.to_owned()));
    }
}

/// Waits for the writer thread after the last [`Store`] is gone.
#[derive(Debug)]
pub struct WriterThread(thread::JoinHandle<()>);

impl WriterThread {
    /// Blocks until the writer has committed what was queued and has ended.
    pub fn join(self) {
        if self.0.join().is_err() {
            tracing::error!("the writer thread panicked");
        }
    }
}

impl Store {
    /// Opens the store, which may take long when the index has to be rebuilt, and starts its writer thread.
    pub fn open(options: &Options) -> Result<(Self, WriterThread), Error> {
        let settings = index::Settings::new(options.cache);
        let opened = open::open(options, &settings)?;
        let reached = (opened.journal.next_commit() - 1, opened.journal.position());
        let shared = Arc::new(Shared {
            live: Live::new(opened.index, reached),
            settings,
            data_dir: options.data_dir.clone(),
            maintenance: Mutex::new(()),
            checkpointed: AtomicU64::new(reached.0),
            broken: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            called_off: AtomicBool::new(false),
            failure: watch::Sender::new(None),
            commits: Histogram::default(),
            slow: OnceLock::new(),
            _lock: opened.lock,
        });
        let (work, queue) = mpsc::channel(options.queue);
        let mut writer = Writer {
            shared: Arc::clone(&shared),
            journal: opened.journal,
            mint: opened.mint,
            work: queue,
            broken: None,
            applier: Applier::start(Arc::clone(&shared), work.downgrade())?,
        };
        let watched = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                // A job that panics is dropped; a panic beside the jobs leaves nobody to write.
                if catch_unwind(AssertUnwindSafe(|| writer.run())).is_err() {
                    watched.fail("the writer panicked");
                }
                writer.refuse_the_rest();
                writer.applier.stop();
            })
            .map_err(|error| Error::Open(format!("no thread for the writer: {error}")))?;
        Ok((Self { shared, work }, WriterThread(thread)))
    }

    /// Runs `job` on the writer thread and resolves once its changes are on stable storage. When the job fails its
    /// changes are dropped; its answer still waits for the jobs before it, on which it may rest.
    pub async fn write<T, E, J>(&self, job: J) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        J: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        self.submit(job).await?.await
    }

    /// Queues `job`, behind all that were queued before, and answers with what [`Store::write`] would resolve to. So many jobs
    /// of one caller may share a group, in their order.
    pub async fn submit<T, E, J>(
        &self,
        job: J,
    ) -> Result<impl Future<Output = Result<T, E>> + Send + use<T, E, J>, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        J: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |transaction| {
            let result = job(transaction);
            let keep = result.is_ok();
            let reply: Reply = Box::new(move |fate| {
                // A caller that has gone away does not undo what is on disk.
                let _ = answer.send(fate.map_err(E::from).and(result));
            });
            (keep, reply)
        });
        self.work
            .send(Work::Job(job))
            .await
            .map_err(|_| self.gone())?;
        let store = self.clone();
        Ok(async move {
            answered
                .await
                .unwrap_or_else(|_| Err(store.dropped().into()))
        })
    }

    /// Runs `job` on a blocking thread against the committed tables.
    pub async fn read<T, E, J>(&self, job: J) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        J: FnOnce(&Snapshot<'_>) -> Result<T, E> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let reading = tokio::task::spawn_blocking(move || job(&Tables(shared.live.snapshot())));
        reading
            .await
            .unwrap_or_else(|_| Err(Error::Panicked.into()))
    }

    /// As [`Store::read`], for a job of a few rows: it runs at once on the caller's thread, because handing it to another one costs more
    /// than the job. Only where that would have to wait for the writer it is handed over.
    pub async fn look<T, E, J>(&self, job: J) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        J: FnOnce(&Snapshot<'_>) -> Result<T, E> + Send + 'static,
    {
        match self.look_now(job) {
            Ok(found) => found,
            Err(job) => self.read(job).await,
        }
    }

    /// Gives the job back if it would have to wait.
    fn look_now<T, E, J>(&self, job: J) -> Result<Result<T, E>, J>
    where
        E: From<Error>,
        J: FnOnce(&Snapshot<'_>) -> Result<T, E>,
    {
        let Some(snapshot) = self.shared.live.try_snapshot() else {
            return Err(job);
        };
        let found = catch_unwind(AssertUnwindSafe(|| job(&Tables(snapshot))));
        Ok(found.unwrap_or_else(|_| Err(Error::Panicked.into())))
    }

    /// Makes the index durable up to here, so that the next start replays less. Blocks; does not hold up writers.
    /// Does nothing when fewer than `at_least` commits have come since the last time, or during a compaction.
    pub fn checkpoint(&self, at_least: u64) -> Result<(), Error> {
        let shared = &self.shared;
        if shared.broken.load(Ordering::Acquire) {
            // Should nobody write, nobody else would see to it. A full queue will come to it anyway.
            let _ = self.work.try_send(Work::Repair);
            return Ok(());
        }
        let due = shared.checkpointed.load(Ordering::Relaxed) + at_least;
        if shared.live.reached().0 < due {
            return Ok(());
        }
        let Some(_alone) = shared.try_maintenance() else {
            return Ok(());
        };
        self.save_checkpoint()
    }

    /// The caller holds `maintenance`.
    fn save_checkpoint(&self) -> Result<(), Error> {
        let shared = &self.shared;
        let drained = shared.live.drain();
        let (index, reached) = drained.map_err(|error| self.index_failed(error, false))?;
        index
            .sync()
            .map_err(|error| self.index_failed(error, true))?;
        open::save_checkpoint(&index, reached, &shared.data_dir)?;
        shared.checkpointed.store(reached.0, Ordering::Relaxed);
        Ok(())
    }

    /// Whether nothing was ever committed.
    pub async fn is_new(&self) -> Result<bool, Error> {
        let store = self.clone();
        let written = tokio::task::spawn_blocking(move || store.written()).await;
        let (commit, _) = written.map_err(|error| Error::Io(error.to_string()))??;
        Ok(commit == 0)
    }

    /// The last commit and where its frame ends: everything acknowledged before the call is before it. Blocks.
    pub fn written(&self) -> Result<(u64, Position), Error> {
        self.ask(Work::Reached)
    }

    /// Whether the writer thread answers; waits behind what is queued.
    pub async fn writer_responds(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        let asked = self.work.send(Work::Reached(answer)).await;
        asked.is_ok() && answered.await.is_ok()
    }

    /// The directory.
    pub fn data_dir(&self) -> &std::path::Path {
        &self.shared.data_dir
    }

    /// The committed tables, for whoever blocks anyway. Holds up the writer until it is dropped.
    pub fn snapshot(&self) -> Snapshot<'_> {
        Tables(self.shared.live.snapshot())
    }

    /// Has the writer see to an index that failed.
    fn index_failed(&self, why: Error, rebuild: bool) -> Error {
        let failed = Work::IndexFailed {
            why: why.clone(),
            rebuild,
        };
        let _ = self.work.blocking_send(failed);
        why
    }

    /// Resolves with the reason once the store has failed and the process has to end.
    pub async fn failed(&self) -> String {
        let mut failure = self.shared.failure.subscribe();
        // Copied out of its lock at once: the guard must not live across an await, or no task could wait for this.
        let why = failure.wait_for(Option::is_some).await;
        let why = why.ok().map(|why| why.clone().unwrap_or_default());
        match why {
            Some(why) => why,
            None => std::future::pending().await,
        }
    }

    /// Whether writes can still be taken.
    pub fn is_healthy(&self) -> bool {
        self.shared.failure.borrow().is_none()
    }

    /// How long the commits since the start took: the write into the journal and its sync.
    pub fn commits(&self) -> Durations {
        self.shared.commits.read()
    }

    /// From now on commits that take so long are told in the log. Only the first call counts.
    pub fn warn_of_slow_commits(&self, slow: SlowThreshold) {
        let _ = self.shared.slow.set(slow);
    }

    /// Jobs that wait for the writer.
    pub fn queued(&self) -> usize {
        self.work.max_capacity() - self.work.capacity()
    }

    /// Why a job that was taken has no answer: the writer had failed before it, or the job itself panicked.
    fn dropped(&self) -> Error {
        match self.gone() {
            Error::Closed => Error::Panicked,
            failed => failed,
        }
    }

    fn gone(&self) -> Error {
        match &*self.shared.failure.borrow() {
            Some(why) => Error::Failed(why.clone()),
            None => Error::Closed,
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("data_dir", &self.shared.data_dir)
            .finish_non_exhaustive()
    }
}
