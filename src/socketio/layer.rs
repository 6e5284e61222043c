//! The layer itself: takes the messages of a session, judges them by the protocol, and calls the application.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::acks::Answer;
use super::config::Config;
use super::connection::{Connection, Membership, Occupant, Partial};
use super::error::{ConnectError, DisconnectReason};
use super::json;
use super::namespace::{Io, Keep, Namespace, Reclaimed};
use super::packet::{AckId, Kind, Packet};
use super::recovery::{Claim, is_recoverable};
use super::socket::Socket;
use super::{Event, Handler};
use crate::engineio::{self, CloseReason, Frame, Message, Session};

/// Socket.IO on Engine.IO sessions: give it to an [`engineio::Engine`].
#[derive(Debug)]
pub struct SocketIo<H> {
    config: Config,
    io: Io,
    handler: H,
}

/// The client broke the protocol; the whole session ends.
#[derive(Debug)]
struct Violation;

/// A refused CONNECT, kept apart from a violation.
const INVALID_NAMESPACE: &str = "Invalid namespace";

impl<H: Handler> SocketIo<H> {
    /// A layer that serves the namespaces of `io` with `handler`.
    pub fn new(config: Config, io: Io, handler: H) -> Self {
        Self {
            config,
            io,
            handler,
        }
    }

    /// The namespaces it serves.
    pub fn io(&self) -> &Io {
        &self.io
    }

    /// The application.
    pub fn handler(&self) -> &H {
        &self.handler
    }

    async fn on_text(
        &self,
        session: &Session,
        connection: &mut Connection<H::State>,
        text: &str,
    ) -> Result<(), Violation> {
        if connection.is_expecting() {
            return Err(Violation);
        }
        let packet = Packet::decode(text).map_err(|_| Violation)?;
        if packet.namespace.len() > self.config.max_namespace_bytes
            || packet.attachments > self.config.max_attachments
        {
            return Err(Violation);
        }
        match packet.kind {
            Kind::Connect => self.connect(session, connection, &packet).await,
            Kind::Disconnect => self.disconnect(connection, &packet).await,
            Kind::Event => self.event(connection, &packet).await,
            Kind::Ack => {
                self.check_array(connection, &packet)?;
                answer(connection, packet.namespace, packet.id, packet.data, &[])
            }
            Kind::BinaryEvent | Kind::BinaryAck => self.start_binary(session, connection, &packet),
            Kind::ConnectError => Err(Violation),
        }
    }

    async fn connect(
        &self,
        session: &Session,
        connection: &mut Connection<H::State>,
        packet: &Packet<'_>,
    ) -> Result<(), Violation> {
        let auth = self.auth(packet)?;
        if let Membership::Joined(occupant) = connection.membership(packet.namespace)
            && !occupant.socket.is_gone()
        {
            return Err(Violation);
        }
        self.reap(connection).await;
        let Some(namespace) = self.io.namespace(packet.namespace) else {
            refuse(
                session,
                packet.namespace,
                &ConnectError::new(INVALID_NAMESPACE),
            );
            return Ok(());
        };
        let recovered = self.recover(session, namespace, auth.as_deref()).await;
        let socket = match &recovered {
            Some(Reclaimed { lost, .. }) => Socket::again(lost, namespace.clone(), session.clone()),
            None => Socket::new(namespace.clone(), session.clone()).map_err(|_| Violation)?,
        };
        let joining = Joining::new(&socket);
        match self.handler.on_connect(&socket, auth.as_deref()).await {
            Ok(state) => {
                joining.succeeded();
                session.set_deadline(None);
                session.accept();
                self.welcome(
                    session,
                    connection,
                    Occupant { socket, state },
                    recovered.as_ref(),
                );
                self.reap(connection).await;
            }
            Err(error) => refuse(session, packet.namespace, &error),
        }
        Ok(())
    }

    /// Tells the client that it is connected.
    fn welcome(
        &self,
        session: &Session,
        connection: &mut Connection<H::State>,
        occupant: Occupant<H::State>,
        recovered: Option<&Reclaimed>,
    ) {
        let socket = occupant.socket.clone();
        let occupant = connection.join(occupant);
        let Some(Reclaimed { claim, lost, .. }) = recovered else {
            return socket.connected();
        };
        match socket.reconnected(claim, lost) {
            Some(missed) => {
                let Occupant { socket, state } = occupant;
                self.handler.on_recovered(socket, state, &missed);
            }
            // The client comes back as a new one.
            None => {
                session.close(CloseReason::ServerClosed);
            }
        }
    }

    /// What the client had, if it asks for it and the application agrees.
    async fn recover(
        &self,
        session: &Session,
        namespace: &Namespace,
        auth: Option<&RawValue>,
    ) -> Option<Reclaimed> {
        if !namespace.has_recovery() {
            return None;
        }
        let claim = Claim::read(auth?)?;
        let key = namespace.claimed_key(&claim, session)?;
        let handshake = session.handshake();
        if !self.handler.on_recover(handshake, auth, &key).await {
            return None;
        }
        namespace.reclaim(claim, session)
    }

    /// Nothing or an object.
    fn auth(&self, packet: &Packet<'_>) -> Result<Option<Box<RawValue>>, Violation> {
        if packet.id.is_some() {
            return Err(Violation);
        }
        if packet.data.is_empty() {
            return Ok(None);
        }
        json::check(packet.data, self.config.max_json_depth).map_err(|_| Violation)?;
        let auth = serde_json::from_str::<Box<RawValue>>(packet.data).map_err(|_| Violation)?;
        if auth.get().starts_with('{') {
            Ok(Some(auth))
        } else {
            Err(Violation)
        }
    }

    async fn disconnect(
        &self,
        connection: &mut Connection<H::State>,
        packet: &Packet<'_>,
    ) -> Result<(), Violation> {
        if packet.id.is_some() || !packet.data.is_empty() {
            return Err(Violation);
        }
        if let Some(occupant) = connection.leave(packet.namespace) {
            let reason = if occupant.socket.is_gone() {
                DisconnectReason::ServerDisconnected
            } else {
                DisconnectReason::ClientDisconnected
            };
            self.disconnected(occupant, reason).await;
        }
        Ok(())
    }

    async fn event(
        &self,
        connection: &mut Connection<H::State>,
        packet: &Packet<'_>,
    ) -> Result<(), Violation> {
        json::check(packet.data, self.config.max_json_depth).map_err(|_| Violation)?;
        let event = Event::decode(
            packet.data,
            packet.id,
            &[],
            self.config.max_event_name_bytes,
        )
        .map_err(|_| Violation)?;
        self.dispatch(connection, packet.namespace, event).await
    }

    async fn dispatch(
        &self,
        connection: &mut Connection<H::State>,
        namespace: &str,
        event: Event,
    ) -> Result<(), Violation> {
        match connection.membership(namespace) {
            Membership::Joined(occupant) if !occupant.socket.is_gone() => {
                self.handler
                    .on_event(&occupant.socket, &occupant.state, event)
                    .await;
                Ok(())
            }
            // The client may not know yet that it was disconnected.
            Membership::Joined(_) | Membership::Left => Ok(()),
            Membership::Never => Err(Violation),
        }
    }

    fn check_array(
        &self,
        connection: &Connection<H::State>,
        packet: &Packet<'_>,
    ) -> Result<(), Violation> {
        json::check(packet.data, self.config.max_json_depth).map_err(|_| Violation)?;
        if !packet.data.trim_ascii_start().starts_with('[')
            || matches!(connection.membership(packet.namespace), Membership::Never)
        {
            return Err(Violation);
        }
        Ok(())
    }

    fn start_binary(
        &self,
        session: &Session,
        connection: &mut Connection<H::State>,
        packet: &Packet<'_>,
    ) -> Result<(), Violation> {
        self.check_array(connection, packet)?;
        connection.expect(Partial {
            kind: packet.kind,
            namespace: packet.namespace.to_owned(),
            id: packet.id,
            json: packet.data.to_owned(),
            attachments: Vec::new(),
            expected: packet.attachments,
        });
        session.set_deadline(Some(Instant::now() + self.config.attachment_timeout));
        Ok(())
    }

    async fn on_binary(
        &self,
        session: &Session,
        connection: &mut Connection<H::State>,
        data: Bytes,
    ) -> Result<(), Violation> {
        let complete = connection
            .attach(data, self.config.max_attachment_bytes)
            .map_err(|_| Violation)?;
        let Some(partial) = complete else {
            return Ok(());
        };
        session.set_deadline(None);
        if partial.kind == Kind::BinaryAck {
            let Partial {
                namespace,
                id,
                json,
                attachments,
                ..
            } = &partial;
            return answer(connection, namespace, *id, json, attachments);
        }
        let event = Event::decode(
            &partial.json,
            partial.id,
            &partial.attachments,
            self.config.max_event_name_bytes,
        )
        .map_err(|_| Violation)?;
        self.dispatch(connection, &partial.namespace, event).await
    }

    /// Tells the application about the sockets it has disconnected itself.
    async fn reap(&self, connection: &mut Connection<H::State>) {
        while let Some(occupant) = connection.take_gone() {
            self.disconnected(occupant, DisconnectReason::ServerDisconnected)
                .await;
        }
    }

    async fn disconnected(&self, occupant: Occupant<H::State>, reason: DisconnectReason) {
        let Occupant { socket, state } = occupant;
        let keep = match reason {
            DisconnectReason::SessionClosed(reason) if is_recoverable(reason) => Keep::Recoverable,
            _ => Keep::Nothing,
        };
        socket.leave_namespace(keep);
        self.handler.on_disconnect(&socket, state, reason).await;
    }
}

impl<H: Handler> engineio::Handler for SocketIo<H> {
    type State = Connection<H::State>;

    fn on_open(&self, session: &Session) -> Self::State {
        session.set_deadline(Some(Instant::now() + self.config.connect_timeout));
        Connection::default()
    }

    async fn on_message(&self, session: &Session, connection: &mut Self::State, message: Message) {
        let result = match message {
            Message::Text(text) => self.on_text(session, connection, &text).await,
            Message::Binary(data) => self.on_binary(session, connection, data).await,
        };
        if let Err(Violation) = result {
            session.close(CloseReason::ParseError);
        }
    }

    async fn on_wake(&self, _: &Session, connection: &mut Self::State) {
        self.reap(connection).await;
    }

    async fn on_close(&self, _: &Session, mut connection: Self::State, reason: CloseReason) {
        let reason = DisconnectReason::SessionClosed(reason);
        while let Some(occupant) = connection.take_any() {
            // A panic in one namespace must not keep the others from hearing of the end.
            let disconnected = AssertUnwindSafe(self.disconnected(occupant, reason));
            if disconnected.catch_unwind().await.is_err() {
                tracing::error!(reason = reason.as_str(), "a disconnect handler panicked");
            }
        }
    }
}

/// A socket whose `on_connect` runs. Refused, cancelled or panicked, it leaves no trace.
struct Joining(Option<Socket>);

impl Joining {
    fn new(socket: &Socket) -> Self {
        socket.namespace().insert(socket);
        Self(Some(socket.clone()))
    }

    fn succeeded(mut self) {
        self.0 = None;
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        if let Some(socket) = &self.0 {
            socket.leave_namespace(Keep::Nothing);
        }
    }
}

/// Hands an answer to whoever waits for it; a socket that is gone waits for none.
fn answer<S>(
    connection: &Connection<S>,
    namespace: &str,
    id: Option<AckId>,
    json: &str,
    attachments: &[Bytes],
) -> Result<(), Violation> {
    let answer = Answer::decode(json, attachments).map_err(|_| Violation)?;
    if let (Membership::Joined(occupant), Some(id)) = (connection.membership(namespace), id) {
        occupant.socket.answered(id, answer);
    }
    Ok(())
}

fn refuse(session: &Session, namespace: &str, error: &ConnectError) {
    let data = serde_json::to_string(error).unwrap_or_default();
    let packet = Packet {
        kind: Kind::ConnectError,
        attachments: 0,
        namespace,
        id: None,
        data: &data,
    };
    session.send(&[Frame::text(packet.encode())]);
}
