//! A session's life, from `on_open` to `on_close`, in one task: dispatches what arrives, keeps the clock, writes to the websocket. When
//! it returns, the session has left the table.

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::{self, Error};

use super::admission::Slot;
use super::close::CloseReason;
use super::engine::Inner;
use super::pace::Pace;
use super::packet::{Message, Packet};
use super::session::Session;
use super::state::{Inbound, Input, Shared, Tick};
use super::websocket::{self, WRITE_BUFFER, WebSocket, close_code, close_message};
use super::{Frame, Handler};

/// Largest read buffer that a websocket may keep.
const KEPT_BUFFER: usize = 2 << 10;
/// How long an ended session may take to write what is left and its close frame.
const LAST_WRITES: Duration = Duration::from_secs(1);

pub(super) struct Life<H: Handler> {
    engine: Arc<Inner<H>>,
    session: Session,
    /// The client wants binary as base64 text, also on the websocket.
    base64: bool,
}

/// What is kept for the half that dispatches.
struct Inward<S> {
    state: S,
    pace: Pace,
}

impl<H: Handler> Life<H> {
    pub(super) fn new(engine: Arc<Inner<H>>, shared: Arc<Shared>, base64: bool) -> Self {
        Self {
            engine,
            session: Session::new(shared),
            base64,
        }
    }

    fn shared(&self) -> &Shared {
        self.session.shared()
    }

    /// Runs the session, starting on the websocket if there is one.
    pub(super) async fn run(self, mut slot: Slot, websocket: Option<Box<WebSocket>>) {
        let opened = catch_unwind(AssertUnwindSafe(|| {
            self.engine.handler.on_open(&self.session)
        }));
        let Ok(state) = opened else {
            self.shared().close(CloseReason::HandlerPanicked);
            self.shared().accept();
            self.engine.closes.count(CloseReason::HandlerPanicked);
            self.farewell().await;
            return self.engine.leave(self.shared());
        };
        let pace = Pace::new(&self.engine.config);
        let mut inward = Inward { state, pace };
        let websocket = match websocket {
            Some(websocket) => Some(websocket),
            None => self.poll_phase(&mut inward).await,
        };
        match websocket {
            Some(websocket) => {
                slot.move_to_websocket();
                self.websocket_phase(inward, slot, websocket).await;
            }
            None => self.end(inward.state, slot).await,
        }
        self.farewell().await;
        self.engine.leave(self.shared());
    }

    /// Dispatches POSTs until the session ends or moves to a websocket.
    async fn poll_phase(&self, inward: &mut Inward<H::State>) -> Option<Box<WebSocket>> {
        tokio::select! {
            moved = self.guarded(self.dispatch_posts(inward)) => moved.flatten(),
            never = keep_time(self.shared()) => match never {},
        }
    }

    async fn dispatch_posts(&self, inward: &mut Inward<H::State>) -> Option<Box<WebSocket>> {
        loop {
            match self.shared().next_input().await {
                Input::Closed => return None,
                Input::Wake => self.wake(&mut inward.state).await,
                Input::Inbound(Inbound::Upgraded(websocket)) => return Some(websocket),
                Input::Inbound(Inbound::Messages { messages, done }) => {
                    for message in messages {
                        self.keep_pace(&mut inward.pace, message.len()).await;
                        if self.shared().is_closed() {
                            return None;
                        }
                        self.dispatch(&mut inward.state, message).await;
                    }
                    // Nobody is waiting if the client hung up.
                    let _ = done.send(());
                }
            }
        }
    }

    async fn websocket_phase(
        &self,
        inward: Inward<H::State>,
        slot: Slot,
        websocket: Box<WebSocket>,
    ) {
        let (mut sink, mut stream) = (*websocket).split();
        let life = async {
            let mut inward = inward;
            self.guarded(self.read(&mut inward, &mut stream)).await;
            self.end(inward.state, slot).await;
        };
        tokio::join!(life, self.write(&mut sink));
        if let Ok(websocket) = sink.reunite(stream) {
            Box::pin(websocket::drain(websocket)).await;
        }
    }

    async fn read(&self, inward: &mut Inward<H::State>, stream: &mut SplitStream<WebSocket>) {
        let mut last = None;
        loop {
            let message = tokio::select! {
                biased;
                input = self.shared().next_input() => match input {
                    Input::Wake => {
                        self.wake(&mut inward.state).await;
                        continue;
                    }
                    // No POST is accepted on a websocket; one that slipped in would be refused by this drop.
                    Input::Inbound(_) => continue,
                    Input::Closed => return,
                },
                message = next_message(stream, &mut last) => message,
            };
            if let Some(Ok(message)) = &message {
                last = large(message);
                self.keep_pace(&mut inward.pace, message.len()).await;
                if self.shared().is_closed() {
                    return;
                }
            }
            if let Err(reason) = self.receive(&mut inward.state, message).await {
                self.shared().close(reason);
                return;
            }
        }
    }

    async fn receive(
        &self,
        state: &mut H::State,
        message: Option<Result<tungstenite::Message, Error>>,
    ) -> Result<(), CloseReason> {
        use tungstenite::Message as Raw;
        let packet = match message {
            Some(Ok(Raw::Text(text))) => {
                Packet::decode(&text).map_err(|_| CloseReason::ParseError)?
            }
            // Copied out of the read buffer, which it would keep alive.
            Some(Ok(Raw::Binary(data))) => {
                Packet::Message(Message::Binary(bytes::Bytes::copy_from_slice(&data)))
            }
            Some(Ok(Raw::Ping(_) | Raw::Pong(_) | Raw::Frame(_))) => return Ok(()),
            Some(Ok(Raw::Close(_))) | None => return Err(CloseReason::TransportLost),
            Some(Err(error)) => {
                return Err(match close_code(&error) {
                    Some(code) => {
                        self.shared()
                            .close_with(CloseReason::ParseError, Some(code));
                        CloseReason::ParseError
                    }
                    None => CloseReason::TransportLost,
                });
            }
        };
        match packet {
            Packet::Message(message) => self.dispatch(state, message).await,
            Packet::Pong => {
                self.shared().lock().heartbeat.pong(Instant::now());
                // The next PING may be due before the PONG would have been.
                self.shared().output.notify_one();
            }
            Packet::Upgrade | Packet::Ignored => {}
            Packet::Close => return Err(CloseReason::ClientClosed),
            // Only the server sends PINGs.
            Packet::Ping(_) => return Err(CloseReason::ParseError),
        }
        Ok(())
    }

    /// Waits until a message of that size is due. The client is not read meanwhile, and what that costs it is given back.
    async fn keep_pace(&self, pace: &mut Pace, bytes: usize) {
        let shared = self.shared();
        let now = Instant::now();
        if let Some(due) = pace.take(now, bytes) {
            shared.dispatch_begins(now);
            tokio::select! {
                () = shared.closed() => {}
                () = sleep_until(due) => {}
            }
            shared.dispatch_ends(Instant::now());
        }
    }

    async fn dispatch(&self, state: &mut H::State, message: Message) {
        self.shared().dispatch_begins(Instant::now());
        let handler = &self.engine.handler;
        // In a box while it runs: most sessions are silent most of the time, and would hold room for the largest handler there is.
        Box::pin(handler.on_message(&self.session, state, message)).await;
        self.shared().dispatch_ends(Instant::now());
    }

    async fn wake(&self, state: &mut H::State) {
        Box::pin(self.engine.handler.on_wake(&self.session, state)).await;
    }

    /// A panic ends the session, not the task.
    async fn guarded<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let result = AssertUnwindSafe(work).catch_unwind().await;
        if result.is_err() {
            self.shared().close(CloseReason::HandlerPanicked);
        }
        result.ok()
    }

    /// Sends what is queued, until the session ends and its last packets and close frame are written.
    async fn write(&self, sink: &mut SplitSink<WebSocket, tungstenite::Message>) {
        let shared = self.shared();
        // One timer for all of it: what is due next changes rarely, and setting a timer costs more than queueing a packet.
        let mut clock = pin!(sleep_until(Instant::now()));
        while let Tick::Idle(until) = shared.tick(Instant::now()) {
            let batch = shared.lock().outbox.take(WRITE_BUFFER);
            if batch.is_empty() {
                if clock.deadline() != until {
                    clock.as_mut().reset(until);
                }
                tokio::select! {
                    biased;
                    () = shared.output.notified() => {}
                    () = clock.as_mut() => {}
                }
                continue;
            }
            let written = tokio::select! {
                biased;
                written = self.write_batch(sink, batch) => written,
                () = give_up(shared) => return,
            };
            if written.is_err() {
                shared.close(CloseReason::TransportLost);
            }
        }
        let (rest, code) = {
            let mut state = shared.lock();
            (state.outbox.take(usize::MAX), state.close_code())
        };
        let _ = timeout(LAST_WRITES, async {
            self.write_batch(sink, rest).await?;
            sink.send(close_message(code)).await
        })
        .await;
    }

    async fn write_batch(
        &self,
        sink: &mut SplitSink<WebSocket, tungstenite::Message>,
        batch: Vec<Frame>,
    ) -> Result<(), Error> {
        for frame in batch {
            sink.feed(frame.into_websocket(self.base64)).await?;
        }
        sink.flush().await
    }

    /// Leaves the table, unless a farewell is due, and tells the application.
    async fn end(&self, state: H::State, slot: Slot) {
        let (reason, farewell) = {
            let state = self.shared().lock();
            (state.reason(), state.farewell_due())
        };
        let reason = reason.unwrap_or(CloseReason::TransportLost);
        drop(slot);
        self.shared().accept();
        self.engine.closes.count(reason);
        if farewell.is_none() {
            self.engine.leave(self.shared());
        }
        let closing = Box::pin(self.engine.handler.on_close(&self.session, state, reason));
        if AssertUnwindSafe(closing).catch_unwind().await.is_err() {
            tracing::error!(reason = reason.as_str(), "a close handler panicked");
        }
    }

    /// Waits until the client's next poll has fetched the last packets, or will not come. Ends what still waits for this session.
    async fn farewell(&self) {
        let unfinished = self.shared().lock().inbound.take();
        if let Some(Inbound::Upgraded(websocket)) = unfinished {
            Box::pin(websocket::close(*websocket, None)).await;
        }
        let shared = self.shared();
        let fetched = async {
            while shared
                .lock()
                .farewell_due()
                .is_some_and(|due| Instant::now() < due)
            {
                shared.output.notified().await;
            }
        };
        let due = shared.lock().farewell_due();
        if let Some(due) = due {
            tokio::select! {
                _ = timeout_at(due, fetched) => {}
                () = self.engine.stopping.cancelled() => {}
            }
        }
    }
}

/// The next message. Drops `last` once the stream has been asked for more.
async fn next_message(
    stream: &mut SplitStream<WebSocket>,
    last: &mut Option<tungstenite::Message>,
) -> Option<Result<tungstenite::Message, Error>> {
    poll_fn(|cx| {
        let next = stream.poll_next_unpin(cx);
        *last = None;
        next
    })
    .await
}

/// A message that is worth holding on to until the stream is asked for more: tungstenite would read that into the same buffer if nobody
/// else had it, and so keep a buffer of that size for as long as the socket lives.
fn large(message: &tungstenite::Message) -> Option<tungstenite::Message> {
    (message.len() > KEPT_BUFFER).then(|| message.clone())
}

/// The clock of a session on polling.
async fn keep_time(shared: &Shared) -> Infallible {
    loop {
        match shared.tick(Instant::now()) {
            Tick::Idle(until) => {
                let _ = timeout_at(until, shared.output.notified()).await;
            }
            Tick::Closed => std::future::pending().await,
        }
    }
}

/// Returns when a write that is under way is no longer worth waiting for. The clock goes on meanwhile.
async fn give_up(shared: &Shared) {
    while let Tick::Idle(until) = shared.tick(Instant::now()) {
        tokio::select! {
            () = shared.closed() => {}
            () = sleep_until(until) => {}
        }
    }
    sleep(LAST_WRITES).await;
}
