//! Sends events and acks back. Built on the protocol layer alone; the target of the official Socket.IO test suite:
//! `cargo run --example socketio_echo -- --port 3000 --ping-interval 300 --ping-timeout 200 --connect-timeout 1000`.

mod listener;

use std::time::Duration;

use clap::Parser;
use jivchat::engineio::Engine;
use jivchat::socketio::{
    Config, ConnectError, DisconnectReason, Event, Handler, Io, Socket, SocketIo,
};
use serde_json::value::RawValue;

/// How long a client that is asked may think.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

struct Echo;

impl Handler for Echo {
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
            // The other way round: the client is asked, and told what it answered.
            ("ask-me", _) => {
                tokio::spawn(ask(socket.clone(), event));
            }
            _ => {}
        }
    }

    async fn on_disconnect(&self, _: &Socket, (): (), _: DisconnectReason) {}
}

/// In a task of its own: the client's answer is not read before the handler returns.
async fn ask(socket: Socket, event: Event) {
    let (args, attachments) = (event.args(), event.attachments());
    let asked = socket.emit_raw_with_ack("question", args, attachments, ANSWER_TIMEOUT);
    match asked.await {
        Ok(answer) => socket.emit_raw("answered", answer.args(), answer.attachments()),
        Err(error) => socket.emit("unanswered", &error.to_string()),
    };
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let flags = listener::Flags::parse();
    let config = Config {
        connect_timeout: Duration::from_millis(flags.connect_timeout),
        ..Config::default()
    };
    let layer = SocketIo::new(config, Io::new(["/", "/custom"]), Echo);
    flags
        .serve(Engine::new(flags.engine("/socket.io"), layer))
        .await
}
