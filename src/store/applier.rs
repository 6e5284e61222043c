//! The thread that brings committed rows into the index, off the writer's way. It owns when that is done; what waits, and how
//! readers see it meanwhile, belongs to [`super::live`].

use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc::WeakSender;

use super::Shared;
use super::error::Error;
use super::writer::Work;

/// The index is given its rows once so many bytes of them wait: the more, the fewer times a block is changed.
const DRAIN_AT: usize = if cfg!(test) { 16 << 10 } else { 8 << 20 };
/// Past this the writer waits for the index, which bounds the memory.
const MOST: usize = 3 * DRAIN_AT;

/// The writer's handle to the thread, which ends with it.
pub(super) struct Applier {
    shared: Arc<Shared>,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Applier {
    pub(super) fn start(shared: Arc<Shared>, work: WeakSender<Work>) -> Result<Self, Error> {
        let (wake, woken) = mpsc::sync_channel(1);
        let drained = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("applier".to_owned())
            .spawn(move || {
                while woken.recv().is_ok() {
                    let Err(why) = drained.live.drain() else {
                        continue;
                    };
                    // Once nobody can write any more, the next start will see to it.
                    if let Some(work) = work.upgrade() {
                        let rebuild = false;
                        let _ = work.blocking_send(Work::IndexFailed { why, rebuild });
                    }
                }
            })
            .map_err(|error| Error::Open(format!("no thread for the index: {error}")))?;
        Ok(Self {
            shared,
            wake: Some(wake),
            thread: Some(thread),
        })
    }

    /// So many bytes wait for the index.
    pub(super) fn see(&self, waiting: usize) -> Result<(), Error> {
        if waiting < DRAIN_AT {
            return Ok(());
        }
        if waiting > MOST {
            return self.shared.live.drain().map(drop);
        }
        if let Some(wake) = &self.wake {
            match wake.try_send(()) {
                // It has been told already.
                Ok(()) | Err(TrySendError::Full(())) => {}
                Err(TrySendError::Disconnected(())) => {
                    return Err(Error::Index("its thread has ended".to_owned()));
                }
            }
        }
        Ok(())
    }

    /// Waits for the thread to end.
    pub(super) fn stop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the index panicked");
        }
    }
}
