//! The load generator: how fast the server is, and whether it loses, doubles or reorders anything while it is fast.
//!
//! ```text
//! cargo run --release --example load -- chat
//! cargo run --release --example load -- --pin chat --pairs 100 --in-flight 8 --seconds 10
//! cargo run --release --example load -- --url 127.0.0.1:3010 --pid 4711 --jwt-secret "$JWT_SECRET" chat --rate 1000
//! ```
//!
//! Without `--url` it starts `jivchat` beside itself on a free port with an empty data directory, and stops it at the end. It speaks
//! raw websocket frames and raw HTTP, so that it costs less than the server that it measures, and measures an answer from the moment
//! the request was due, not from the moment it could be sent. A message that is lost, doubled or out of order ends it with exit code 1.

mod chat;
mod connect;
mod deep;
mod fanout;
mod http;
mod idle;
mod pacer;
mod report;
mod rest;
mod socket;
mod target;
mod upload;
mod world;

use anyhow::Result;
use clap::{Parser, Subcommand};
use report::Report;
use target::Target;
use tokio::task::LocalSet;

#[derive(Parser)]
#[command(about = "Loads a chat server and verifies what it answers")]
struct Flags {
    #[command(flatten)]
    target: target::Flags,
    /// The report as one line of JSON on standard output
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// Pairs of users write to each other over websockets; a message counts when both have it
    Chat(chat::Flags),
    /// Lists of chats, pages of history and sends over keep-alive connections
    Rest(rest::Flags),
    /// The newest page of a long chat against an old one
    Deep(deep::Flags),
    /// One user on many sockets
    Fanout(fanout::Flags),
    /// Connects with a token, one after the other
    Connect(connect::Flags),
    /// Every client loses its connection at once and comes back
    Storm(connect::StormFlags),
    /// Sockets that say nothing
    Idle(idle::Flags),
    /// Large files at once
    Upload(upload::Flags),
}

fn main() -> Result<()> {
    let flags = Flags::parse();
    rlimit::increase_nofile_limit(u64::MAX)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = LocalSet::new().block_on(&runtime, run(&flags))?;
    report.print(flags.json)
}

async fn run(flags: &Flags) -> Result<Report> {
    let mut target = Target::open(&flags.target).await?;
    let outcome = play(&target, &flags.scenario).await;
    target.close().await;
    outcome
}

async fn play(target: &Target, scenario: &Scenario) -> Result<Report> {
    match scenario {
        Scenario::Chat(flags) => chat::run(target, flags).await,
        Scenario::Rest(flags) => rest::run(target, flags).await,
        Scenario::Deep(flags) => deep::run(target, flags).await,
        Scenario::Fanout(flags) => fanout::run(target, flags).await,
        Scenario::Connect(flags) => connect::run(target, flags).await,
        Scenario::Storm(flags) => connect::storm(target, flags).await,
        Scenario::Idle(flags) => idle::run(target, flags).await,
        Scenario::Upload(flags) => upload::run(target, flags).await,
    }
}
