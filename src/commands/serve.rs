//! `serve`: logs, signals, runtime, and the server between them.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::banner;
use super::supervisor::Supervisor;
use crate::config::{Log, LogFormat, Serve};
use crate::server::{Reload, Server};

/// Runs the server until it is told to stop.
pub fn serve(config: &Serve) -> Result<()> {
    start_log(&config.log)?;
    // Most shells allow 1024 descriptors, too few for the sockets that are allowed; as many as the system grants are taken.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(run(config));
    // A blocking task that hangs must not keep the process.
    runtime.shutdown_background();
    outcome
}

async fn run(config: &Serve) -> Result<()> {
    let (mut terminate, mut interrupt, hang_up) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
        signal(SignalKind::hangup())?,
    );
    let supervisor = Arc::new(Supervisor::from_environment());
    let told = Arc::clone(&supervisor);
    let stop = async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "told to stop");
        told.tell("STOPPING=1\nSTATUS=Stopping");
    };
    let mut stop = std::pin::pin!(stop);
    let server = tokio::select! {
        server = Server::open(config) => server?,
        () = supervisor.ask_for_time() => return Ok(()),
        // Nothing has been acknowledged yet, and an index that is half built is built anew.
        () = stop.as_mut() => return Ok(()),
    };
    let closed = terminal_closed(server.reload(), hang_up);
    banner::print(&server);
    supervisor.tell(&format!(
        "READY=1\nSTATUS=Listening on {}",
        server.address()
    ));
    let pulse = server.pulse();
    let clients = || format!("{} clients", pulse.clients());
    let stopped = async {
        tokio::select! {
            () = stop => {}
            () = closed => tracing::info!(signal = "SIGHUP", "told to stop"),
        }
    };
    tokio::select! {
        outcome = server.run(stopped) => Ok(outcome?),
        () = supervisor.show_life(async || pulse.beats().await, clients) => Ok(()),
    }
}

/// Reads the files again at each SIGHUP. Without any the signal may still be a terminal's that was closed: resolves then, and would
/// otherwise not keep anybody from sending it to every server alike.
async fn terminal_closed(reload: Reload, mut told: Signal) {
    while told.recv().await.is_some() {
        if !reload.is_empty() {
            let reload = reload.clone();
            // It says in the log how that went.
            let _ = tokio::task::spawn_blocking(move || reload.run()).await;
        } else if io::stdin().is_terminal() {
            return;
        } else {
            tracing::info!(signal = "SIGHUP", "there is no file to read again");
        }
    }
    // The signals of this process have ended, which they do with it.
    std::future::pending::<()>().await;
}

fn start_log(log: &Log) -> Result<()> {
    let filter = EnvFilter::try_new(&log.log).with_context(|| format!("--log {}", log.log))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match log.log_format {
        // The one span there is says of which request a line speaks.
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .init(),
        LogFormat::Pretty => {
            // no-color.org: set to anything but nothing.
            let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
            let is_coloured = !is_unwanted && io::stderr().is_terminal();
            lines.with_ansi(is_coloured).with_target(false).init();
        }
    }
    Ok(())
}
