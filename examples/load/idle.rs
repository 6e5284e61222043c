//! Sockets that only answer heartbeats: what one costs in memory, and whether it is given back.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use tokio::task::JoinSet;

use crate::connect::{connect_all, users};
use crate::report::{Bar, Report, float};
use crate::target::Target;

#[derive(Args)]
pub(crate) struct Flags {
    /// Sockets, each of a user of its own
    #[arg(long, default_value_t = 10_000)]
    sockets: usize,
    /// How long they stay
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

pub(crate) async fn run(target: &Target, flags: &Flags) -> Result<Report> {
    let unknown = "the server's memory cannot be read: give --pid";
    let users = users(target, flags.sockets)?;
    let before = target.cost().context(unknown)?;
    let sockets = connect_all(target, users.iter().map(|user| user.token.as_str())).await?;
    let mut tasks = JoinSet::new();
    for mut socket in sockets {
        tasks.spawn_local(async move { while socket.next().await.is_ok() {} });
    }
    let bar = Bar::of_seconds("idle", flags.seconds);
    let connected = target.cost().context(unknown)?;
    tokio::time::sleep(Duration::from_secs(flags.seconds)).await;
    let idle = target.cost().context(unknown)?;
    drop(bar);
    let mut report = Report::new("idle");
    report.check(tasks.len() == flags.sockets, || {
        format!("{} of {} are left", tasks.len(), flags.sockets)
    });
    tasks.shutdown().await;
    let after = target.settle().await.context(unknown)?;
    let grown = float(idle.rss_kib.saturating_sub(before.rss_kib));
    report.figure("kib_per_socket", grown / float(flags.sockets as u64));
    report.figure(
        "idle_cpu_s_per_s",
        (idle.cpu_seconds - connected.cpu_seconds) / float(flags.seconds),
    );
    report.figure("rss_before_mib", float(before.rss_kib) / 1024.0);
    report.figure("rss_idle_mib", float(idle.rss_kib) / 1024.0);
    report.figure("rss_after_mib", float(after.rss_kib) / 1024.0);
    Ok(report)
}
