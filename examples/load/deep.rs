//! A page far back in a long chat against its newest page: they should cost the same.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::http::Http;
use crate::report::{Report, Ticker, histogram, record};
use crate::socket::{NewMessage, Socket};
use crate::target::Target;
use crate::world;

#[derive(Args)]
pub(crate) struct Flags {
    /// Messages in the chat
    #[arg(long, default_value_t = 100_000)]
    messages: u64,
    /// Messages on a page
    #[arg(long, default_value_t = 100)]
    limit: u64,
    /// The old page
    #[arg(long, default_value_t = 1000)]
    page: u64,
    /// How often each page is read
    #[arg(long, default_value_t = 2000)]
    reads: u64,
}

/// So many messages on their way at once while the chat is filled.
const IN_FLIGHT: u64 = 256;

pub(crate) async fn run(target: &Target, flags: &Flags) -> Result<Report> {
    let mut http = Http::connect(target.address).await?;
    let reader = world::user(target, "reader".to_owned())?;
    let writer = world::user(target, "writer".to_owned())?;
    world::introduce(&mut http, &reader).await?;
    let chat = world::chat(&mut http, &writer, &reader).await?;
    let mut socket = Socket::connect(target.address, &writer.token).await?;
    let mut ticker = Ticker::new("messages");
    let (mut sent, mut stored) = (0, 0);
    while stored < flags.messages {
        while sent < flags.messages && sent - stored < IN_FLIGHT {
            socket.queue(&world::send_event(&chat, sent));
            sent += 1;
        }
        socket.flush().await?;
        if NewMessage::read(&socket.next().await?)?.is_some() {
            stored += 1;
            ticker.tick(stored, flags.messages);
        }
    }
    drop(ticker);
    let mut report = Report::new("deep");
    let mut pages = [(1, histogram()?), (flags.page, histogram()?)];
    for _ in 0..flags.reads {
        for (page, latency) in &mut pages {
            let path = format!(
                "/api/chat/{chat}/messages?limit={}&page={page}",
                flags.limit
            );
            let asked = Instant::now();
            let answer = http.json("GET", &path, &reader.token, "").await?;
            record(latency, asked);
            ensure!(answer.status == 200, "{}: {:?}", answer.status, answer.body);
        }
    }
    for (page, _) in &pages {
        let path = format!(
            "/api/chat/{chat}/messages?limit={}&page={page}",
            flags.limit
        );
        let answer = http.json("GET", &path, &reader.token, "").await?;
        let data = world::data(&answer)?;
        let last = flags.messages - (page - 1) * flags.limit;
        let expected: Vec<u64> = (last.saturating_sub(flags.limit) + 1..=last).collect();
        let messages = data["messages"].as_array().context("no messages")?;
        let found: Vec<u64> = messages
            .iter()
            .filter_map(|message| message["seq"].as_u64())
            .collect();
        report.check(found == expected, || format!("page {page} is {found:?}"));
    }
    let [(_, newest), (_, old)] = &pages;
    report.latency("page_1", newest).latency("old_page", old);
    report.figure("ratio", old.mean() / newest.mean());
    Ok(report)
}
