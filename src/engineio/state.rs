//! What the tasks around one session share: its queue, its clock and its ending, behind one lock. Does no I/O; waking up is all it
//! asks of anybody.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::admission::Waiting;
use super::close::CloseReason;
use super::config::{Config, Transport};
use super::handshake::{Handshake, Sid};
use super::heartbeat::{Beat, Client, Heartbeat};
use super::outbox::Outbox;
use super::packet::{Frame, Message};
use super::websocket::WebSocket;

/// How long the client's next poll may still learn that its CLOSE was obeyed.
const CLIENT_FAREWELL: Duration = Duration::from_secs(1);
/// Queue length up to which a volatile packet is still worth sending.
const VOLATILE_QUEUE: usize = 16;

/// How often a heartbeat is looked at whose deadline passes while the application works.
const RECHECK: Duration = Duration::from_millis(100);

/// One session as all its tasks see it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) sid: Sid,
    pub(super) handshake: Handshake,
    state: Mutex<State>,
    /// Wakes the half of the session's task that dispatches.
    pub(super) input: Notify,
    /// Wakes the half of the session's task that sends and keeps the clock.
    pub(super) output: Notify,
    /// Wakes the pending poll.
    pub(super) poll: Notify,
    /// Wakes the upgrade probe.
    pub(super) probe: Notify,
    /// Wakes whoever waits for the end.
    closed: Notify,
}

/// Everything that changes. No method waits, and none takes another lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) outbox: Outbox,
    pub(super) transport: Transport,
    pub(super) heartbeat: Heartbeat,
    /// Ends the session as `DeadlinePassed`.
    pub(super) deadline: Option<Instant>,
    /// Ends the session as `TokenExpired`.
    pub(super) expiry: Option<Instant>,
    /// At most one thing waits for dispatch: a POST waits for its predecessor, an upgrade for the POST in flight.
    pub(super) inbound: Option<Inbound>,
    pub(super) woken: bool,
    pub(super) requests: Requests,
    /// Since when the application works on a message; until it is done no PONG is read.
    pub(super) dispatching: Option<Instant>,
    pub(super) upgrade: Upgrade,
    /// The application has not accepted it yet.
    pub(super) stranger: Option<Waiting>,
    ending: Option<Ending>,
    farewell_timeout: Duration,
}

/// The HTTP requests under way: at most one of each kind.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// A GET is held.
    pub(super) get: bool,
    /// A POST is being read or dispatched.
    pub(super) post: bool,
}

/// How far a websocket has come in taking the session over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upgrade {
    None,
    /// There is one.
    Attempted,
    /// It has probed: polls are released with NOOP.
    Probed,
}

/// How the session ended and what its client may still fetch.
#[derive(Debug)]
struct Ending {
    reason: CloseReason,
    code: Option<CloseCode>,
    farewell: Farewell,
}

#[derive(Debug)]
enum Farewell {
    None,
    /// The poll held at the moment of closing, and no other.
    HeldPoll,
    /// One poll until then.
    Until(Instant),
}

/// Something for the session's task to dispatch.
pub(super) enum Inbound {
    /// The messages of one POST. `done` fires when the application is done with them.
    Messages {
        messages: Vec<Message>,
        done: oneshot::Sender<()>,
    },
    /// The client has moved here.
    Upgraded(Box<WebSocket>),
}

/// What the dispatching half has to do next.
#[derive(Debug)]
pub(super) enum Input {
    /// The session has ended.
    Closed,
    /// The application asked to be called.
    Wake,
    /// A POST or an upgrade.
    Inbound(Inbound),
}

impl std::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Messages { .. } => "Messages",
            Self::Upgraded(..) => "Upgraded",
        })
    }
}

/// What the sending half has to do next.
#[derive(Debug)]
pub(super) enum Tick {
    /// The session has ended.
    Closed,
    /// The clock asks for nothing before this instant.
    Idle(Instant),
}

impl Shared {
    pub(super) fn new(
        sid: Sid,
        handshake: Handshake,
        transport: Transport,
        config: &Config,
    ) -> Self {
        let heartbeat = Heartbeat::new(Instant::now(), config.ping_interval, config.ping_timeout);
        Self {
            sid,
            handshake,
            state: Mutex::new(State {
                outbox: Outbox::new(config.max_outbound_packets, config.max_outbound_bytes),
                transport,
                heartbeat,
                deadline: None,
                expiry: None,
                inbound: None,
                woken: false,
                requests: Requests::default(),
                dispatching: None,
                upgrade: Upgrade::None,
                stranger: None,
                ending: None,
                farewell_timeout: config.farewell_timeout,
            }),
            input: Notify::new(),
            output: Notify::new(),
            poll: Notify::new(),
            probe: Notify::new(),
            closed: Notify::new(),
        }
    }

    /// A panic under this lock would be a bug of ours; the state is still the best there is.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn send(&self, frames: &[Frame]) -> bool {
        let queued = {
            let mut state = self.lock();
            if state.ending.is_some() {
                return false;
            }
            let fits = state.outbox.push_all(frames).is_ok();
            if !fits {
                state.end(CloseReason::SlowConsumer, None);
            }
            fits
        };
        if queued {
            self.wake_sender();
        } else {
            self.wake_all();
        }
        queued
    }

    pub(super) fn send_volatile(&self, frames: &[Frame]) -> bool {
        {
            let mut state = self.lock();
            if state.ending.is_some()
                || state.outbox.len() + frames.len() > VOLATILE_QUEUE
                || state.outbox.push_all(frames).is_err()
            {
                return false;
            }
        }
        self.wake_sender();
        true
    }

    fn wake_sender(&self) {
        self.output.notify_one();
        self.poll.notify_one();
    }

    fn wake_all(&self) {
        self.input.notify_one();
        self.output.notify_one();
        self.poll.notify_one();
        self.probe.notify_one();
        self.closed.notify_waiters();
    }

    /// Ends the session, once: the first reason stays. True if it was this call.
    pub(super) fn close(&self, reason: CloseReason) -> bool {
        self.close_with(reason, None)
    }

    /// As [`close`](Self::close), with the code that a websocket's close frame shall carry.
    pub(super) fn close_with(&self, reason: CloseReason, code: Option<CloseCode>) -> bool {
        let first = self.lock().end(reason, code);
        if first {
            self.wake_all();
        }
        first
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().ending.is_some()
    }

    /// The session is no stranger any more, or is not at all.
    pub(super) fn accept(&self) {
        let stranger = self.lock().stranger.take();
        // Outside the lock: it takes another.
        drop(stranger);
    }

    /// Returns once the session has ended.
    pub(super) async fn closed(&self) {
        loop {
            let mut notified = std::pin::pin!(self.closed.notified());
            notified.as_mut().enable();
            if self.is_closed() {
                return;
            }
            notified.await;
        }
    }

    /// What to dispatch next. Cancel safe.
    pub(super) async fn next_input(&self) -> Input {
        loop {
            if let Some(input) = self.lock().take_input() {
                return input;
            }
            self.input.notified().await;
        }
    }

    /// Advances the clock.
    pub(super) fn tick(&self, now: Instant) -> Tick {
        let (was_open, tick) = {
            let mut state = self.lock();
            (state.ending.is_none(), state.tick(now))
        };
        match tick {
            Tick::Closed if was_open => self.wake_all(),
            // A PING may have been queued.
            _ => self.poll.notify_one(),
        }
        tick
    }

    /// The application starts to work on a message.
    pub(super) fn dispatch_begins(&self, now: Instant) {
        let mut state = self.lock();
        state.heartbeat.packet(now);
        state.dispatching = Some(now);
    }

    /// The application is done with it.
    pub(super) fn dispatch_ends(&self, now: Instant) {
        let mut state = self.lock();
        if let Some(since) = state.dispatching.take() {
            state.heartbeat.give_back(now - since);
        }
    }
}

impl State {
    fn take_input(&mut self) -> Option<Input> {
        if self.ending.is_some() {
            Some(Input::Closed)
        } else if std::mem::take(&mut self.woken) {
            Some(Input::Wake)
        } else {
            self.inbound.take().map(Input::Inbound)
        }
    }

    pub(super) fn reason(&self) -> Option<CloseReason> {
        self.ending.as_ref().map(|ending| ending.reason)
    }

    pub(super) fn close_code(&self) -> Option<CloseCode> {
        self.ending.as_ref().and_then(|ending| ending.code)
    }

    pub(super) fn end(&mut self, reason: CloseReason, code: Option<CloseCode>) -> bool {
        if self.ending.is_some() {
            return false;
        }
        if !reason.is_orderly() {
            self.outbox.clear();
        }
        let farewell = match (self.transport, reason) {
            (Transport::WebSocket, _) => Farewell::None,
            (Transport::Polling, CloseReason::ClientClosed) => {
                Farewell::Until(Instant::now() + CLIENT_FAREWELL)
            }
            (Transport::Polling, CloseReason::ServerClosed | CloseReason::TokenExpired) => {
                Farewell::Until(Instant::now() + self.farewell_timeout)
            }
            (Transport::Polling, _) => Farewell::HeldPoll,
        };
        // Only a server that goes away has something to say: the client may try another at once.
        let code = match reason {
            CloseReason::ServerShutdown => Some(CloseCode::Away),
            _ => code,
        };
        self.ending = Some(Ending {
            reason,
            code,
            farewell,
        });
        true
    }

    /// Until when somebody may still ask for the farewell.
    pub(super) fn farewell_due(&self) -> Option<Instant> {
        match self.ending.as_ref()?.farewell {
            Farewell::Until(until) => Some(until),
            Farewell::None | Farewell::HeldPoll => None,
        }
    }

    /// The last payload of an ended session, given out once.
    pub(super) fn take_farewell(&mut self, held: bool) -> Option<Vec<Frame>> {
        let ending = self.ending.as_mut()?;
        let due = match std::mem::replace(&mut ending.farewell, Farewell::None) {
            Farewell::None => false,
            Farewell::HeldPoll => held,
            Farewell::Until(until) => held || Instant::now() < until,
        };
        let last = match ending.reason {
            CloseReason::ClientClosed => Frame::NOOP,
            _ => Frame::CLOSE,
        };
        due.then(|| {
            let mut frames = self.outbox.take(usize::MAX);
            frames.push(last);
            frames
        })
    }

    fn tick(&mut self, now: Instant) -> Tick {
        if self.ending.is_some() {
            return Tick::Closed;
        }
        if self.expiry.is_some_and(|expiry| now >= expiry) {
            self.end(CloseReason::TokenExpired, None);
            return Tick::Closed;
        }
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            self.end(CloseReason::DeadlinePassed, None);
            return Tick::Closed;
        }
        let client = if self.requests.get || self.transport == Transport::WebSocket {
            Client::Connected
        } else {
            Client::Away
        };
        let beat = match self.heartbeat.beat(now, client) {
            Beat::Ping => {
                self.outbox.push_control(Frame::PING);
                self.heartbeat.beat(now, client)
            }
            beat => beat,
        };
        let until = match (beat, self.dispatching) {
            (Beat::Idle(until), _) => until,
            // What the deadline becomes is known when the application is done, so look again soon.
            (_, Some(_)) => now + RECHECK,
            (_, None) => {
                self.end(CloseReason::HeartbeatMissed, None);
                return Tick::Closed;
            }
        };
        let next = [self.expiry, self.deadline]
            .into_iter()
            .flatten()
            .fold(until, Instant::min);
        Tick::Idle(next)
    }
}
