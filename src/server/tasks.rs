//! What runs beside the connections: delivery, delivered watermarks, checkpoints, compactions, and the look at the file of keys.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::auth::KeySet;
use crate::chat::Service;
use crate::store::{self, CompactionPolicy, Store, WriterThread};

/// How often to look whether a checkpoint is due.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);
/// How often to look whether the file of keys has changed.
const KEYS_EVERY: Duration = Duration::from_secs(2);
/// How long the last checkpoint and the writer may take when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// Commits after which one is due: bounds what a start after a crash has to replay.
const CHECKPOINT_COMMITS: u64 = 10_000;
/// How long to wait after a compaction that failed, usually for want of space.
const COMPACT_AGAIN: Duration = Duration::from_mins(10);

/// The tasks, and the store they work on.
#[derive(Debug)]
pub(super) struct Background {
    store: Store,
    writer: WriterThread,
    tasks: JoinSet<()>,
}

impl Background {
    pub(super) fn start(
        store: Store,
        writer: WriterThread,
        chat: Service,
        policy: CompactionPolicy,
        delivery: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(delivery);
        let (updated, left) = (chat.clone(), chat.clone());
        tasks.spawn(async move { chat.store_receipts().await });
        tasks.spawn(async move { updated.tell_updates().await });
        tasks.spawn(async move { left.give_up_lost().await });
        tasks.spawn(maintain(store.clone(), policy));
        Self {
            store,
            writer,
            tasks,
        }
    }

    /// One more task, which is to run for ever.
    pub(super) fn add(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Resolves with the reason when the store has failed or one of the tasks, which are to run for ever, has ended.
    pub(super) async fn failed(&mut self) -> String {
        tokio::select! {
            why = self.store.failed() => why,
            _ = self.tasks.join_next() => "a background task ended".to_owned(),
        }
    }

    /// Ends the tasks, syncs the index so that the next start has nothing to replay, and waits for the writer.
    pub(super) async fn stop(mut self) {
        self.store.call_off_compaction();
        self.tasks.shutdown().await;
        let (store, writer) = (self.store, self.writer);
        let stopped = tokio::task::spawn_blocking(move || {
            if store.is_healthy() {
                checkpoint(&store, 1);
            }
            drop(store);
            writer.join();
        });
        // A task that could not be ended may still hold the store; everything acknowledged is synced all the same.
        if tokio::time::timeout(STOP_TIMEOUT, stopped).await.is_err() {
            tracing::warn!("the store was still in use when the server stopped");
        }
    }
}

async fn maintain(store: Store, policy: CompactionPolicy) {
    let mut due = tokio::time::interval(CHECKPOINT_EVERY);
    let mut compact_from = Instant::now();
    loop {
        due.tick().await;
        let store = store.clone();
        let may_compact = Instant::now() >= compact_from;
        let work = move || {
            checkpoint(&store, CHECKPOINT_COMMITS);
            !may_compact || compact(&store, policy)
        };
        if let Ok(false) = tokio::task::spawn_blocking(work).await {
            compact_from = Instant::now() + COMPACT_AGAIN;
        }
    }
}

/// Reads the file of keys again whenever it has changed. Keys that cannot be read leave those that are known: a half-written file must not lock everybody out.
pub(super) async fn follow(keys: Arc<KeySet>) {
    let mut due = tokio::time::interval(KEYS_EVERY);
    loop {
        due.tick().await;
        let keys = Arc::clone(&keys);
        let read = tokio::task::spawn_blocking(move || keys.reload_if_changed());
        if let Ok(Err(error)) = read.await {
            tracing::error!(%error, "the token keys stay as they were");
        }
    }
}

/// A compaction that fails leaves everything as it was; the disk stays as full as it is. Answers whether it went well.
fn compact(store: &Store, policy: CompactionPolicy) -> bool {
    match store.compact_if_due(policy) {
        Ok(_) | Err(store::Error::CalledOff) => true,
        Err(error) => {
            tracing::warn!(%error, "the journal could not be compacted");
            false
        }
    }
}

/// A checkpoint that fails costs time at the next start, nothing else.
fn checkpoint(store: &Store, at_least: u64) {
    if let Err(error) = store.checkpoint(at_least) {
        tracing::warn!(%error, "no checkpoint could be written");
    }
}
