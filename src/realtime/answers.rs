//! Sends of one socket that are on their way to the disk: they may share a commit group, and their answers leave in the order in which
//! they were asked for. It does not know what a message is.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Sends that one socket may have under way; past it the socket is not read, and TCP tells the client.
const MOST: usize = 32;

/// Waits for an outcome and tells it.
type Answer = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The answers that one socket still waits for. Takes no memory before its first send: most sockets are silent.
#[derive(Debug, Default)]
pub(super) struct Answers(OnceLock<Arc<Pending>>);

struct Pending {
    free: Arc<Semaphore>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Answer, OwnedSemaphorePermit)>,
    /// A task is at work on them; there is none while nothing waits.
    is_served: bool,
}

impl Answers {
    fn pending(&self) -> &Arc<Pending> {
        self.0.get_or_init(|| {
            Arc::new(Pending {
                free: Arc::new(Semaphore::new(MOST)),
                queue: Mutex::default(),
            })
        })
    }

    /// Waits until one more may be under way.
    pub(super) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        // Never closed.
        Arc::clone(&self.pending().free).acquire_owned().await.ok()
    }

    /// Has `answer` run after all before it.
    pub(super) fn push(
        &self,
        permit: OwnedSemaphorePermit,
        answer: impl Future<Output = ()> + Send + 'static,
    ) {
        let pending = self.pending();
        let mut queue = pending.lock();
        queue.waiting.push_back((Box::pin(answer), permit));
        if !std::mem::replace(&mut queue.is_served, true) {
            tokio::spawn(serve(Arc::clone(pending)));
        }
    }
}

async fn serve(pending: Arc<Pending>) {
    while let Some((answer, _permit)) = pending.next() {
        if AssertUnwindSafe(answer).catch_unwind().await.is_err() {
            tracing::error!("answering a send panicked");
        }
    }
}

impl Pending {
    fn next(&self) -> Option<(Answer, OwnedSemaphorePermit)> {
        let mut queue = self.lock();
        let next = queue.waiting.pop_front();
        queue.is_served = next.is_some();
        next
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pending")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::{mpsc, oneshot};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_leave_in_order_and_only_so_many_wait() {
        let answers = Answers::default();
        let (told, mut heard) = mpsc::channel(2 * MOST);
        let mut outcomes = Vec::new();
        for number in 0..MOST {
            let permit = answers.permit().await.unwrap();
            let (outcome, waits) = oneshot::channel::<()>();
            outcomes.push(outcome);
            let told = told.clone();
            answers.push(permit, async move {
                waits.await.unwrap();
                assert!(number != 3, "one that panics does not stop the others");
                told.try_send(number).unwrap();
            });
        }
        let full = tokio::time::timeout(Duration::from_secs(1), answers.permit()).await;
        assert!(full.is_err());
        // The last outcome comes first.
        outcomes
            .into_iter()
            .rev()
            .for_each(|outcome| outcome.send(()).unwrap());
        for number in (0..MOST).filter(|number| *number != 3) {
            assert_eq!(heard.recv().await, Some(number));
        }
        let again = answers.permit().await.unwrap();
        answers.push(again, async move { told.try_send(MOST).unwrap() });
        assert_eq!(heard.recv().await, Some(MOST));
    }
}
