//! The two echo applications of the official suites.

use jivchat::engineio::{self, CloseReason, Frame, Message, Session};
use jivchat::socketio::{self, ConnectError, DisconnectReason, Event, Socket};
use serde_json::value::RawValue;

/// Sends every message back.
pub(crate) struct EngineEcho;

impl engineio::Handler for EngineEcho {
    type State = ();

    fn on_open(&self, _: &Session) {}

    async fn on_message(&self, session: &Session, (): &mut (), message: Message) {
        assert_ne!(message, Message::Text("panic".to_owned()), "as asked");
        session.send(&[match message {
            Message::Text(text) => Frame::message(&text),
            Message::Binary(data) => Frame::binary(data),
        }]);
    }

    async fn on_close(&self, _: &Session, (): (), _: CloseReason) {}
}

/// Sends events and acks back.
pub(crate) struct SocketEcho;

impl socketio::Handler for SocketEcho {
    type State = ();

    async fn on_connect(
        &self,
        socket: &Socket,
        auth: Option<&RawValue>,
    ) -> Result<(), ConnectError> {
        socket.emit_raw("auth", auth.map_or("{}", RawValue::get), &[]);
        Ok(())
    }

    async fn on_event(&self, socket: &Socket, (): &(), event: Event) {
        match (event.name(), event.ack()) {
            ("message", _) => {
                socket.emit_raw("message-back", event.args(), event.attachments());
            }
            ("message-with-ack", Some(ack)) => {
                socket.ack_raw(ack, event.args(), event.attachments());
            }
            _ => {}
        }
    }

    async fn on_disconnect(&self, _: &Socket, (): (), _: DisconnectReason) {}
}
