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
            _ => {}
        }
    }

    async fn on_disconnect(&self, _: &Socket, (): (), _: DisconnectReason) {}
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
