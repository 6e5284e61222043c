//! What the host may know of the store and have done to it, in the words of the chat: the edges cannot name the store.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use super::{Error, Service};
use crate::metrics::Durations;

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
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
    /// Bytes of the journal.
    pub journal_bytes: u64,
    /// Bytes of the journal that are compacted.
    pub journal_base_bytes: u64,
    /// Bytes of the index.
    pub index_bytes: u64,
    /// Users who are online.
    pub online: u64,
    /// Whether writes are taken at the moment.
    pub storage: StorageState,
}

/// How busy the chat is: what costs nothing to tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Jobs that wait for the writer.
    pub jobs: usize,
    /// Events that wait for their delivery.
    pub events: usize,
    /// How long the commits since the start took.
    pub commits: Durations,
    /// Users who are online.
    pub online: usize,
    /// Whether writes are taken at the moment.
    pub storage: StorageState,
}

/// What the messages take on disk, without their files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Bytes of the journal.
    pub journal: u64,
    /// Bytes of the index.
    pub index: u64,
}

/// Whether the store works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageState {
    /// It does.
    Ok,
    /// Writes are refused, or the last one was, until the disk has space or the index works again; reading goes on.
    Refusing,
    /// The process is about to end.
    Failed,
}

/// What a compaction did, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compaction {
    /// Rows that are live.
    pub rows: u64,
    /// The journal before.
    pub journal_before: u64,
    /// The journal after.
    pub journal_after: u64,
    /// The index before.
    pub index_before: u64,
    /// The index after.
    pub index_after: u64,
}

impl Service {
    /// How busy it is.
    pub fn load(&self) -> Load {
        Load {
            jobs: self.store.queued(),
            events: self.events.max_capacity() - self.events.capacity(),
            commits: self.store.commits(),
            online: self.presence.count(),
            storage: self.storage_state(),
        }
    }

    /// Resolves to whether reads and writes are served, once one of each has gone through; never if they hang. While the index is
    /// repaired, which may take the writer long, only reading is asked for.
    pub async fn responds(&self) -> bool {
        let writes = self.store.is_refusing() || self.store.writer_responds().await;
        writes && self.store.is_healthy() && self.store.read(|_| Ok::<_, Error>(())).await.is_ok()
    }

    /// How much disk it takes, at the cost of a look at some dozen files.
    pub async fn footprint(&self) -> Result<Footprint, Error> {
        let store = self.store.clone();
        let measured = tokio::task::spawn_blocking(move || {
            let journal = store.journal_sizes()?;
            Ok(Footprint {
                journal: journal.base + journal.segments,
                index: store.index_size(),
            })
        });
        measured.await.map_err(|_| Error::Unavailable)?
    }

    fn storage_state(&self) -> StorageState {
        match (self.store.is_healthy(), self.store.is_refusing()) {
            (true, false) => StorageState::Ok,
            (true, true) => StorageState::Refusing,
            (false, _) => StorageState::Failed,
        }
    }

    /// Counts everything. One caller at a time; the others wait.
    pub async fn statistics(&self) -> Result<Statistics, Error> {
        let _alone = self.counting.lock().await;
        // First, so that it is told as it was when somebody asked.
        let storage = self.storage_state();
        let store = self.store.clone();
        let counts = tokio::task::spawn_blocking(move || store.counts()).await;
        let counts = counts.map_err(|_| Error::Unavailable)??;
        Ok(Statistics {
            users: counts.users,
            pets: counts.pets,
            chats: counts.chats,
            messages: counts.messages,
            files: counts.files,
            file_bytes: counts.file_bytes,
            journal_bytes: counts.journal_base + counts.journal_segments,
            journal_base_bytes: counts.journal_base,
            index_bytes: counts.index,
            online: self.presence.count() as u64,
            storage,
        })
    }

    /// Compacts the journal and the index while everybody goes on; `None` while that is under way already.
    pub async fn compact(&self) -> Result<Option<Compaction>, Error> {
        match Arc::clone(&self.compacting).try_lock_owned() {
            Ok(alone) => self.compact_alone(alone).await.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// The same; waits for one that is under way and compacts again, so that what is gone by now is gone from disk.
    pub async fn compact_anew(&self) -> Result<Compaction, Error> {
        let alone = Arc::clone(&self.compacting).lock_owned().await;
        self.compact_alone(alone).await
    }

    async fn compact_alone(&self, alone: OwnedMutexGuard<()>) -> Result<Compaction, Error> {
        let store = self.store.clone();
        // Goes on when the caller has gone away.
        let compacting = tokio::task::spawn_blocking(move || {
            let _alone = alone;
            store.compact(|_, _| ())
        });
        let compacted = compacting.await.map_err(|_| Error::Unavailable)??;
        Ok(Compaction {
            rows: compacted.rows,
            journal_before: compacted.before.base + compacted.before.segments,
            journal_after: compacted.after.base + compacted.after.segments,
            index_before: compacted.index_before,
            index_after: compacted.index_after,
        })
    }
}
