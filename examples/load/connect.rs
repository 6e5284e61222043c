//! Coming and going: how many connects a second, and how long until everybody is back after all were lost at once.

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use tokio::task::JoinSet;

use crate::report::{Report, Ticker, histogram, rate, record};
use crate::socket::Socket;
use crate::target::Target;
use crate::world::{self, User};

#[derive(Args)]
pub(crate) struct Flags {
    /// Connects in all
    #[arg(long, default_value_t = 10_000)]
    connects: u64,
    /// At once
    #[arg(long, default_value_t = 64)]
    concurrency: u64,
    /// Users who connect
    #[arg(long, default_value_t = 1000)]
    users: u64,
}

#[derive(Args)]
pub(crate) struct StormFlags {
    /// Clients, each a user of its own
    #[arg(long, default_value_t = 10_000)]
    clients: usize,
}

pub(crate) async fn run(target: &Target, flags: &Flags) -> Result<Report> {
    let users = users(target, usize::try_from(flags.users)?)?;
    let before = target.cost();
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    let address = target.address;
    for worker in 0..flags.concurrency {
        let numbers = (worker..flags.connects).step_by(usize::try_from(flags.concurrency)?);
        let tokens: Vec<String> = numbers
            .map(|number| {
                users[usize::try_from(number % flags.users).unwrap_or(0)]
                    .token
                    .clone()
            })
            .collect();
        tasks.spawn_local(async move {
            let mut latency = histogram()?;
            for token in tokens {
                let begun = Instant::now();
                Socket::connect(address, &token).await?;
                record(&mut latency, begun);
            }
            anyhow::Ok(latency)
        });
    }
    let mut latency = histogram()?;
    while let Some(task) = tasks.join_next().await {
        latency.add(task??)?;
    }
    let mut report = Report::new("connect");
    report.figure("connects_per_s", rate(flags.connects, start.elapsed()));
    report.latency("latency", &latency);
    report.cost(before, target, flags.connects, 10_000.0);
    Ok(report)
}

pub(crate) async fn storm(target: &Target, flags: &StormFlags) -> Result<Report> {
    let users = users(target, flags.clients)?;
    let tokens = || users.iter().map(|user| user.token.as_str());
    let sockets = connect_all(target, tokens()).await?;
    drop(sockets);
    let before = target.cost();
    let start = Instant::now();
    let back = connect_all(target, tokens()).await?;
    let took = start.elapsed();
    let mut report = Report::new("storm");
    report.figure("all_back_s", took.as_secs_f64());
    report.cost(before, target, flags.clients as u64, 10_000.0);
    report.check(back.len() == flags.clients, || {
        format!("{} of {} came back", back.len(), flags.clients)
    });
    Ok(report)
}

pub(crate) fn users(target: &Target, count: usize) -> Result<Vec<User>> {
    (0..count)
        .map(|number| world::user(target, format!("client-{number}")))
        .collect()
}

/// Connects with all tokens at once.
pub(crate) async fn connect_all(
    target: &Target,
    tokens: impl Iterator<Item = &str>,
) -> Result<Vec<Socket>> {
    let mut tasks = JoinSet::new();
    for token in tokens {
        let (address, token) = (target.address, token.to_owned());
        tasks.spawn_local(async move { Socket::connect(address, &token).await });
    }
    let all = tasks.len() as u64;
    let mut sockets = Vec::new();
    let mut ticker = Ticker::new("sockets");
    while let Some(task) = tasks.join_next().await {
        sockets.push(task??);
        ticker.tick(sockets.len() as u64, all);
    }
    Ok(sockets)
}
