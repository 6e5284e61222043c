//! Moves a session from polling to a websocket: probe, answer, hand over. Until the handover, whatever goes wrong costs only that
//! websocket.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::OnUpgrade;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::config::{Config, Transport};
use super::error::RequestError;
use super::state::{Inbound, Shared, Upgrade};
use super::websocket::{self, WebSocket};

/// What becomes of a websocket that names a session.
pub(super) enum Attempt {
    /// It probes.
    Probe(Probing),
    /// The session has a websocket or is getting one: this one is accepted and closed, because clients take a refusal for a failure of
    /// the server.
    Superfluous,
}

pub(super) fn begin(shared: &Arc<Shared>, config: &Config) -> Result<Attempt, RequestError> {
    let mut state = shared.lock();
    if state.reason().is_some() {
        return Err(RequestError::UnknownSid);
    }
    if state.upgrade != Upgrade::None || state.transport == Transport::WebSocket {
        return Ok(Attempt::Superfluous);
    }
    if !config.allow_upgrades {
        return Err(RequestError::BadRequest);
    }
    state.upgrade = Upgrade::Attempted;
    Ok(Attempt::Probe(Probing(Arc::clone(shared))))
}

/// The one websocket that may take the session over; the next may try once this is dropped.
pub(super) struct Probing(Arc<Shared>);

impl Drop for Probing {
    fn drop(&mut self) {
        self.0.lock().upgrade = Upgrade::None;
    }
}

impl Attempt {
    pub(super) async fn run(self, upgrade: OnUpgrade, config: &Config) {
        let Some(mut websocket) = websocket::open(upgrade, config).await else {
            return;
        };
        let Self::Probe(probing) = self else {
            return websocket::close(websocket, None).await;
        };
        let shared = Arc::clone(&probing.0);
        let probed = tokio::select! {
            biased;
            () = shared.closed() => Err(None),
            probed = timeout(config.upgrade_timeout, probe(&shared, &mut websocket)) => {
                probed.unwrap_or(Err(None))
            }
        };
        let refused = match probed {
            Ok(()) => hand_over(&shared, websocket)
                .await
                .map(|websocket| (websocket, None)),
            Err(code) => Some((websocket, code)),
        };
        drop(probing);
        if let Some((websocket, code)) = refused {
            websocket::close(websocket, code).await;
        }
    }
}

/// Returns once the client has said UPGRADE, or with the code of the close it gets instead.
async fn probe(shared: &Shared, websocket: &mut WebSocket) -> Result<(), Option<CloseCode>> {
    while let Some(message) = websocket.next().await {
        match message.map_err(|error| websocket::close_code(&error))? {
            Message::Text(text) if text == "2probe" => {
                shared.lock().upgrade = Upgrade::Probed;
                // More than one poll may have to be released: the client can have opened another before it reads our answer.
                shared.poll.notify_one();
                let answer = Message::Text(Utf8Bytes::from_static("3probe"));
                websocket.send(answer).await.map_err(|_| None)?;
            }
            Message::Text(text) if text == "5" => return Ok(()),
            Message::Ping(_) | Message::Pong(_) => {}
            _ => return Err(None),
        }
    }
    Err(None)
}

/// Gives the websocket to the session's task, behind the POST in flight. Gives it back if the session has ended.
async fn hand_over(shared: &Shared, websocket: WebSocket) -> Option<WebSocket> {
    {
        let mut state = shared.lock();
        if state.reason().is_some() {
            return Some(websocket);
        }
        state.transport = Transport::WebSocket;
        // A PONG can be lost on the way over.
        state.heartbeat.restart_timeout(Instant::now());
    }
    shared.poll.notify_one();
    loop {
        {
            let mut state = shared.lock();
            if state.reason().is_some() {
                return Some(websocket);
            }
            if !state.requests.post {
                state.inbound = Some(Inbound::Upgraded(Box::new(websocket)));
                break;
            }
        }
        shared.probe.notified().await;
    }
    shared.input.notify_one();
    None
}
