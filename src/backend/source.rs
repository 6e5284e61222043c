//! One address of the backend, asked about things by their ids: once at a time for each, within a time, not while it is down, and not
//! again while the last answer counts. It does not know what the things are.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::address::Address;
use super::breaker::{Breaker, Change, Tolerance};
use super::client::{Answer, Client, Trouble};
use super::recent::Recent;

/// How long "there is none" and an answer without sense count, at most: what is missing is often just being made.
const MISSING_COUNTS: Duration = Duration::from_secs(30);
/// How long one failure counts for its own id.
const FAILURE_COUNTS: Duration = Duration::from_secs(1);
/// Ids whose last answer is remembered: at least this many, at most twice as many.
const REMEMBERED: usize = 50_000;

/// How an address is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// For one answer, the wait for a turn included.
    pub(super) timeout: Duration,
    /// How long an answer counts.
    pub(super) ttl: Duration,
    /// Requests at once.
    pub(super) at_once: usize,
    pub(super) tolerance: Tolerance,
}

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The thing is known as the backend knows it.
    Stored,
    /// The backend says that there is none.
    Missing,
    /// It did not say; how long to wait before asking again.
    Failed(Duration),
}

/// What was made of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Yes,
    /// It was taken back here, and counts as missing.
    No,
}

/// Whether the one who asks waits for a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Somebody waits for the answer.
    Awaited,
    /// What is known will do: if the backend is busy it is not asked.
    WhenFree,
}

/// An address and what is known of its answers.
#[derive(Debug)]
pub(super) struct Source<K> {
    what: &'static str,
    address: Address,
    client: Client,
    terms: Terms,
    turns: Semaphore,
    stopping: CancellationToken,
    state: Mutex<State<K>>,
}

#[derive(Debug)]
struct State<K> {
    recent: Recent<K, Outcome>,
    under_way: HashMap<K, watch::Receiver<Option<Outcome>>>,
    breaker: Breaker,
}

impl<K: Hash + Eq + Clone + Display + Send + Sync + 'static> Source<K> {
    pub(super) fn new(
        what: &'static str,
        address: Address,
        client: Client,
        terms: Terms,
        stopping: CancellationToken,
    ) -> Arc<Self> {
        let state = State {
            recent: Recent::new(REMEMBERED),
            under_way: HashMap::new(),
            breaker: Breaker::new(terms.tolerance, Instant::now()),
        };
        Arc::new(Self {
            what,
            address,
            client,
            terms,
            turns: Semaphore::new(terms.at_once),
            stopping,
            state: Mutex::new(state),
        })
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// The last outcome for `key`, while it counts; what is left of a failure's time goes with it.
    pub(super) fn recent(&self, key: &K) -> Option<Outcome> {
        recent(&self.state(), key, Instant::now())
    }

    /// Asks about `key`, unless that is under way or needless, and hands the answer to `keep`. Who drops the future calls nothing off:
    /// others may wait for the same.
    pub(super) async fn ask<F>(
        self: &Arc<Self>,
        key: &K,
        token: Option<String>,
        urgency: Urgency,
        keep: impl FnOnce(Value) -> F + Send + 'static,
    ) -> Outcome
    where
        F: Future<Output = Result<Kept, Trouble>> + Send,
    {
        let started = self.start(key, token, urgency, keep);
        let mut answer = match started {
            Ok(answer) => answer,
            Err(outcome) => return outcome,
        };
        let answered = answer.wait_for(Option::is_some).await;
        let outcome = answered.ok().and_then(|outcome| *outcome);
        outcome.unwrap_or(Outcome::Failed(FAILURE_COUNTS))
    }

    /// As [`Source::ask`], for whom nobody waits.
    pub(super) fn refresh<F>(
        self: &Arc<Self>,
        key: &K,
        token: Option<String>,
        keep: impl FnOnce(Value) -> F + Send + 'static,
    ) where
        F: Future<Output = Result<Kept, Trouble>> + Send,
    {
        let _ = self.start(key, token, Urgency::WhenFree, keep);
    }

    fn start<F>(
        self: &Arc<Self>,
        key: &K,
        token: Option<String>,
        urgency: Urgency,
        keep: impl FnOnce(Value) -> F + Send + 'static,
    ) -> Result<watch::Receiver<Option<Outcome>>, Outcome>
    where
        F: Future<Output = Result<Kept, Trouble>> + Send,
    {
        let now = Instant::now();
        let mut state = self.state();
        if let Some(answer) = state.under_way.get(key) {
            return Ok(answer.clone());
        }
        if let Some(outcome) = recent(&state, key, now) {
            return Err(outcome);
        }
        if urgency == Urgency::WhenFree && self.turns.available_permits() == 0 {
            return Err(Outcome::Failed(FAILURE_COUNTS));
        }
        state.breaker.admit(now).map_err(Outcome::Failed)?;
        let (say, said) = watch::channel(None);
        state.under_way.insert(key.clone(), said.clone());
        drop(state);
        let flight = Flight {
            source: Arc::clone(self),
            key: key.clone(),
        };
        tokio::spawn(async move {
            let outcome = tokio::select! {
                // The store waits for who still holds it when the server stops.
                () = flight.source.stopping.cancelled() => Err(Trouble::Stopping),
                outcome = flight.source.exchange(&flight.key, token, keep) => outcome,
            };
            let outcome = flight.source.learn(&flight.key, outcome);
            // Before it is told: who hears of it and asks again finds it.
            drop(flight);
            let _ = say.send(Some(outcome));
        });
        Ok(said)
    }

    /// One request and what is made of its answer. Answers whether there is such a thing.
    async fn exchange<F>(
        &self,
        key: &K,
        token: Option<String>,
        keep: impl FnOnce(Value) -> F,
    ) -> Result<bool, Trouble>
    where
        F: Future<Output = Result<Kept, Trouble>>,
    {
        // An id that no address can hold names nothing.
        let Some(uri) = self.address.of(&key.to_string()) else {
            return Ok(false);
        };
        let deadline = Instant::now() + self.terms.timeout;
        let turn = timeout_at(deadline, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Trouble::Busy);
        };
        let answer = timeout_at(deadline, self.client.get(uri, token.as_deref())).await;
        match answer.map_err(|_| Trouble::Slow)?? {
            Answer::Found(value) => Ok(keep(value).await? == Kept::Yes),
            Answer::Missing => Ok(false),
            // Who is refused with a good token is nobody whom the backend knows.
            Answer::Refused(status) if token.is_some() => {
                tracing::info!(of = self.what, id = %key, %status, "the backend refuses a token that is good here");
                Ok(false)
            }
            Answer::Refused(status) => Err(Trouble::Refused(status)),
        }
    }

    /// Remembers an outcome, and tells the log what it means.
    fn learn(&self, key: &K, outcome: Result<bool, Trouble>) -> Outcome {
        let (outcome, trouble) = match outcome {
            Ok(true) => (Outcome::Stored, None),
            Ok(false) => (Outcome::Missing, None),
            Err(trouble) => (Outcome::Failed(self.counts_for(&trouble)), Some(trouble)),
        };
        let now = Instant::now();
        let mut state = self.state();
        let counts = match outcome {
            Outcome::Stored => self.terms.ttl,
            Outcome::Missing => self.terms.ttl.min(MISSING_COUNTS),
            Outcome::Failed(counts) => counts,
        };
        state.recent.put(key.clone(), outcome, now + counts);
        let change = match &trouble {
            None => state.breaker.succeeded(),
            Some(trouble) if trouble.is_outage() => state.breaker.failed(now),
            // It has answered, if only to say that it will not.
            Some(trouble) if trouble.is_lasting() => state.breaker.succeeded(),
            Some(_) => Change::None,
        };
        drop(state);
        self.log(key, trouble.as_ref(), change);
        outcome
    }

    fn counts_for(&self, trouble: &Trouble) -> Duration {
        if trouble.is_lasting() {
            self.terms.ttl.min(MISSING_COUNTS).max(FAILURE_COUNTS)
        } else {
            FAILURE_COUNTS
        }
    }

    fn log(&self, key: &K, trouble: Option<&Trouble>, change: Change) {
        let what = self.what;
        if let Some(trouble) = trouble
            && *trouble != Trouble::Stopping
        {
            tracing::warn!(of = what, id = %key, "the backend did not help: {trouble}");
        }
        match change {
            Change::Opened => {
                let Tolerance { failures, pause } = self.terms.tolerance;
                tracing::error!(
                    of = what,
                    "the backend failed {failures} times in a row: asked once in {pause:?} until it answers; what is known is served"
                );
            }
            Change::Closed => tracing::info!(of = what, "the backend answers again"),
            Change::None => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn recent<K: Hash + Eq>(state: &State<K>, key: &K, now: Instant) -> Option<Outcome> {
    let (outcome, until) = state.recent.get(key, now)?;
    Some(match outcome {
        Outcome::Failed(_) => Outcome::Failed(until - now),
        outcome => outcome,
    })
}

/// A request under way; whatever ends it, a panic too, the next may start.
struct Flight<K: Hash + Eq + Clone + Display + Send + Sync + 'static> {
    source: Arc<Source<K>>,
    key: K,
}

impl<K: Hash + Eq + Clone + Display + Send + Sync + 'static> Drop for Flight<K> {
    fn drop(&mut self) {
        self.source.state().under_way.remove(&self.key);
    }
}
