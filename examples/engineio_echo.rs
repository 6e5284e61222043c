//! Sends every message back. Built on the engine alone; the target of the official Engine.IO test suite:
//! `cargo run --example engineio_echo -- --port 3000 --ping-interval 300 --ping-timeout 200`.

mod listener;

use clap::Parser;
use jivchat::engineio::{CloseReason, Engine, Frame, Handler, Message, Session};

struct Echo;

impl Handler for Echo {
    type State = ();

    fn on_open(&self, _: &Session) {}

    async fn on_message(&self, session: &Session, (): &mut (), message: Message) {
        session.send(&[match message {
            Message::Text(text) => Frame::message(&text),
            Message::Binary(data) => Frame::binary(data),
        }]);
    }

    async fn on_close(&self, _: &Session, (): (), _: CloseReason) {}
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let flags = listener::Flags::parse();
    let engine = Engine::new(flags.engine("/engine.io"), Echo);
    flags.serve(engine).await
}
