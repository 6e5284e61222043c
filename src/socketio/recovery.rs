//! Connection state recovery: what is kept for a client that lost its connection, and who may have it back. The way of a recovery
//! through the layer is in `layer`; the missed events are in `log`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::log::{Bounds, Entry, Log, Target};
use super::outgoing::Outgoing;
use super::socket::{Socket, SocketId};
use crate::engineio::{CloseReason, Frame, token};

/// How a [`Namespace`](super::Namespace) gives lost connections back. A client that comes too late, or past any of these limits, gets a new
/// socket as if it had never been there.
#[derive(Debug, Clone)]
pub struct RecoveryConfig {
    /// Time a client has to come back. Default 2 min.
    pub window: Duration,
    /// Time a dead connection may go unnoticed: the engine's ping interval and timeout. What was sent in that time may be missed, too.
    /// Default 45 s.
    pub detection: Duration,
    /// Events that are kept for all clients together. Default 100,000; past it the oldest goes.
    pub max_events: usize,
    /// Bytes in these events. Default 64 MiB; past it the oldest goes.
    pub max_bytes: usize,
    /// Lost sockets that are kept. Default 20,000; past it the oldest goes.
    pub max_sockets: usize,
    /// Events one client may have missed. Default 500; they must also fit the session's outbound queue.
    pub max_missed: usize,
}

impl Default for RecoveryConfig {
    fn default() -> Self {
        Self {
            window: Duration::from_mins(2),
            detection: Duration::from_secs(45),
            max_events: 100_000,
            max_bytes: 64 << 20,
            max_sockets: 20_000,
            max_missed: 500,
        }
    }
}

/// What is kept for recoveries at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct RecoveryCounts {
    /// Lost sockets that can still be had back.
    pub sockets: usize,
    /// Events.
    pub events: usize,
    /// Bytes in these events, with what it costs to keep them.
    pub bytes: usize,
}

/// Names a socket to nobody but its own client, which proves by it that it was there.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Pid([u8; Self::LEN]);

impl Pid {
    const LEN: usize = 20;

    pub(super) fn random() -> Option<Self> {
        let mut bytes = [0; 15];
        getrandom::fill(&mut bytes).ok()?;
        Self::parse(&token(&bytes))
    }

    fn parse(text: &str) -> Option<Self> {
        text.as_bytes().try_into().ok().map(Self)
    }

    pub(super) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Debug for Pid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pid(..)")
    }
}

/// What a client says to have its socket back.
#[derive(Debug)]
pub(super) struct Claim {
    pid: Pid,
    offset: Option<String>,
}

impl Claim {
    /// From the `auth` of a CONNECT. A client that never got an event has no offset.
    pub(super) fn read(auth: &RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Said {
            pid: Option<Value>,
            offset: Option<Value>,
        }
        let Said { pid, offset } = serde_json::from_str(auth.get()).ok()?;
        let offset = match offset {
            None => None,
            Some(Value::String(offset)) => Some(offset),
            Some(_) => return None,
        };
        Some(Self {
            pid: Pid::parse(pid?.as_str()?)?,
            offset,
        })
    }
}

/// A socket without a client.
#[derive(Debug, Clone)]
pub(super) struct Lost {
    pub(super) pid: Pid,
    pub(super) id: SocketId,
    /// Given by the application when it connected.
    pub(super) key: Arc<str>,
    pub(super) rooms: Vec<(Arc<str>, u64)>,
    /// The latest event before it first connected.
    pub(super) since: u64,
    pub(super) at: Instant,
}

/// The recovery side of one namespace. Its lock also keeps the numbers of events growing in every client's queue, so it is held while an
/// event is numbered and queued: the one place where a lock is taken under another. The order is always this one, the members', the
/// session's, and none of them calls back.
#[derive(Debug)]
pub(super) struct Recovery {
    config: RecoveryConfig,
    /// Differs from process to process, so that an old offset is not taken for one of ours.
    epoch: String,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) log: Log,
    pub(super) live: HashMap<Pid, Socket>,
    lost: HashMap<Pid, Lost>,
    /// In the order of their loss, which is that of their end; some may have been recovered.
    losses: VecDeque<(Instant, Pid)>,
    pub(super) recovered: u64,
}

impl Recovery {
    pub(super) fn new(config: RecoveryConfig) -> Self {
        let mut epoch = [0; 6];
        // Without randomness, clients of an earlier process may be told that they are new; nothing worse.
        let _ = getrandom::fill(&mut epoch);
        let bounds = Bounds {
            age: config.window + config.detection,
            events: config.max_events,
            bytes: config.max_bytes,
        };
        Self {
            epoch: token(&epoch),
            state: Mutex::new(State {
                log: Log::new(bounds),
                live: HashMap::new(),
                lost: HashMap::new(),
                losses: VecDeque::new(),
                recovered: 0,
            }),
            config,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counts(&self) -> RecoveryCounts {
        let mut state = self.lock();
        let now = Instant::now();
        state.log.trim(now);
        state.forget(now, &self.config);
        RecoveryCounts {
            sockets: state.lost.len(),
            events: state.log.len(),
            bytes: state.log.bytes(),
        }
    }

    /// The event with its offset as last argument. A volatile one is not kept, but says how far its client has come: the client takes
    /// any text at the end of an event for an offset.
    pub(super) fn stamp(
        &self,
        state: &mut State,
        event: &Outgoing,
        targets: Box<[Target]>,
        except: &[SocketId],
    ) -> Arc<[Frame]> {
        let stamped = |seq| event.with_last_argument(&format!("\"{}.{seq}\"", self.epoch));
        if event.is_volatile() {
            return stamped(state.log.last());
        }
        state.log.append(Instant::now(), targets, except, stamped)
    }

    pub(super) fn keep(&self, state: &mut State, lost: Lost) {
        state.losses.push_back((lost.at, lost.pid));
        state.lost.insert(lost.pid, lost);
        state.forget(Instant::now(), &self.config);
    }

    /// Who is lost, or would be if the connection it still has were taken away.
    pub(super) fn find(&self, state: &State, claim: &Claim) -> Option<Found> {
        if let Some(live) = state.live.get(&claim.pid) {
            return Some(Found::Live(live.clone()));
        }
        let lost = state.lost.get(&claim.pid)?;
        let is_in_time = Instant::now() <= lost.at + self.config.window;
        is_in_time.then(|| Found::Lost(lost.clone()))
    }

    /// What was missed, if all of it is still here.
    pub(super) fn missed(
        &self,
        state: &State,
        claim: &Claim,
        lost: &Lost,
    ) -> Option<Vec<Arc<Entry>>> {
        let after = self.after(state, claim, lost)?;
        let noticed = lost.at.checked_sub(self.config.detection);
        // At the very start of the clock nothing can be older.
        if noticed.is_some_and(|since| !state.log.is_complete(after, since)) {
            return None;
        }
        let own = [(Target::All, after), (Target::Socket(lost.id), after)];
        let rooms = lost.rooms.iter();
        let rooms = rooms.map(|(room, since)| (Target::Room(Arc::clone(room)), after.max(*since)));
        let sources: Vec<_> = own.into_iter().chain(rooms).collect();
        let missed = state.log.missed(lost.id, &sources, self.config.max_missed);
        missed.ok()
    }

    /// The number of the last event the client has seen.
    fn after(&self, state: &State, claim: &Claim, lost: &Lost) -> Option<u64> {
        let Some(offset) = &claim.offset else {
            return Some(lost.since);
        };
        let (epoch, seq) = offset.split_once('.')?;
        let seq = seq
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then_some(seq)?;
        let seq: u64 = seq.parse().ok()?;
        if epoch.len() != self.epoch.len() {
            return None;
        }
        if epoch != self.epoch {
            // It has had no event from this process yet.
            return Some(lost.since);
        }
        // It may have connected anew since its last event.
        (seq <= state.log.last()).then(|| seq.max(lost.since))
    }
}

/// The owner of a pid.
pub(super) enum Found {
    Live(Socket),
    Lost(Lost),
}

impl State {
    /// Takes a lost socket: it can be had back once.
    pub(super) fn take(&mut self, pid: Pid) -> Option<Lost> {
        self.lost.remove(&pid)
    }

    fn forget(&mut self, now: Instant, config: &RecoveryConfig) {
        while let Some((at, pid)) = self.losses.front() {
            if now <= *at + config.window && self.losses.len() <= config.max_sockets {
                break;
            }
            if self.lost.get(pid).is_some_and(|lost| lost.at == *at) {
                self.lost.remove(pid);
            }
            self.losses.pop_front();
        }
        if self.losses.is_empty() {
            self.losses.shrink_to(1024);
            self.lost.shrink_to(1024);
        }
    }
}

/// Whether a client whose session ended like this may want its socket back. Who broke the protocol, or a handler, starts anew.
pub(super) fn is_recoverable(reason: CloseReason) -> bool {
    !matches!(
        reason,
        CloseReason::ParseError | CloseReason::HandlerPanicked | CloseReason::Superseded
    )
}
