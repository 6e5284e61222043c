//! Fills a data directory with conversations and says how fast that went: the generator behind the figures in the
//! documentation, and a load for trying out recovery, `verify` and `compact` on something large.
//!
//! ```text
//! cargo run --release --example fill -- --data-dir /tmp/large --messages 1000000
//! cargo run --release --example fill -- --data-dir /tmp/group --messages 100000 --senders 8
//! ```
//!
//! It speaks to the rules directly, without HTTP, and ends without a last checkpoint, as a killed server does.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use jivchat::chat::{Caller, Content, NewMessage, OpenChat, Options, Profile, Service};
use jivchat::id::{ChatId, UserId};
use jivchat::store::{self, Store};
use tokio::task::JoinSet;

#[derive(Parser)]
struct Flags {
    /// Where to
    #[arg(long)]
    data_dir: PathBuf,
    /// How many messages to send
    #[arg(long, default_value_t = 100_000)]
    messages: u64,
    /// How many senders wait for an acknowledgement at once
    #[arg(long, default_value_t = 512)]
    senders: u64,
    /// How many chats, each between two users of its own
    #[arg(long, default_value_t = 1000)]
    chats: u64,
    /// Page cache in MiB
    #[arg(long, default_value_t = 64)]
    cache_size: u64,
}

/// Like the server.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);
const CHECKPOINT_COMMITS: u64 = 10_000;

#[tokio::main]
async fn main() -> Result<()> {
    let flags = Flags::parse();
    let opening = Instant::now();
    std::fs::create_dir_all(&flags.data_dir)?;
    let (store, _writer) = Store::open(&store::Options {
        data_dir: flags.data_dir.clone(),
        cache: flags.cache_size << 20,
        queue: 4096,
    })?;
    println!("opened in {:?}", opening.elapsed());
    let (chat, mut events) = Service::new(store.clone(), Options::default());
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    tokio::spawn(checkpoints(store));
    let chats = Arc::new(open_chats(&chat, flags.chats).await?);
    let written = bytes_written();
    let began = Instant::now();
    let sent = Arc::new(AtomicU64::new(0));
    let mut senders = JoinSet::new();
    for _ in 0..flags.senders {
        let (chat, chats, sent) = (chat.clone(), Arc::clone(&chats), Arc::clone(&sent));
        senders.spawn(async move { send(&chat, &chats, &sent, flags.messages).await });
    }
    let mut waits = Vec::new();
    for sender in senders.join_all().await {
        waits.extend(sender?);
    }
    report(
        &flags,
        began.elapsed(),
        &mut waits,
        bytes_written() - written,
    );
    // No last checkpoint, no destructors: what is on the disk now has to be enough.
    std::process::exit(0);
}

async fn checkpoints(store: Store) {
    let mut due = tokio::time::interval(CHECKPOINT_EVERY);
    loop {
        due.tick().await;
        let store = store.clone();
        let work = move || store.checkpoint(CHECKPOINT_COMMITS);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(work).await {
            eprintln!("no checkpoint: {error}");
        }
    }
}

async fn open_chats(chat: &Service, count: u64) -> Result<Vec<(ChatId, Caller)>> {
    let mut chats = Vec::new();
    for number in 0..count {
        let (buyer, seller) = (
            user(chat, "buyer", number).await?,
            user(chat, "seller", number).await?,
        );
        let caller = Caller {
            user: buyer,
            origin: None,
            address: None,
        };
        let request = OpenChat {
            participant: Some(seller),
            pet: None,
            kind: None,
        };
        let (opened, _) = chat.open_chat(&caller, request).await?;
        chats.push((opened.chat.id, caller));
    }
    Ok(chats)
}

async fn user(chat: &Service, kind: &str, number: u64) -> Result<UserId> {
    let id: UserId = format!("{kind}-{number}").parse().context("an id")?;
    let profile = Profile {
        id: id.clone(),
        name: Some(format!("{kind} number {number}")),
        email: None,
        picture: None,
        said_at: None,
    };
    chat.admit(profile).await?;
    Ok(id)
}

/// Sends until `total` are sent by all; answers how long each acknowledgement took.
async fn send(
    chat: &Service,
    chats: &[(ChatId, Caller)],
    sent: &AtomicU64,
    total: u64,
) -> Result<Vec<Duration>> {
    let mut waits = Vec::new();
    loop {
        let number = sent.fetch_add(1, Ordering::Relaxed);
        if number >= total {
            return Ok(waits);
        }
        let index = usize::try_from(number)? % chats.len();
        let (id, caller) = &chats[index];
        let message = NewMessage {
            chat: *id,
            content: Content::Text(format!(
                "Is the puppy still there? I can come on Sunday, question {number}."
            )),
            parent: None,
            client_id: Some(format!("{:x}-{number}", std::process::id())),
        };
        let began = Instant::now();
        chat.send_message(caller, message).await?;
        waits.push(began.elapsed());
    }
}

/// Of this process, to the disk, as far as the system tells.
fn bytes_written() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "figures for a person")]
fn report(flags: &Flags, took: Duration, waits: &mut [Duration], written: u64) {
    waits.sort_unstable();
    let at = |percent: usize| waits.get((waits.len() * percent / 100).min(waits.len() - 1));
    let count = waits.len() as f64;
    println!(
        "{} senders: {:.0} messages/s; acknowledged after {:?} (median), {:?} (99 %)",
        flags.senders,
        count / took.as_secs_f64(),
        at(50).copied().unwrap_or_default(),
        at(99).copied().unwrap_or_default(),
    );
    println!("{:.0} bytes written per message", written as f64 / count);
}
