//! `serve`: logs, signals, runtime, and the server between them.

use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::banner;
use super::supervisor::Supervisor;
use crate::auth::KeySet;
use crate::config::{Log, LogFormat, Serve};
use crate::server::Server;

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
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
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
    // Without a file of keys there is nothing to read again, and the signal means what it always means.
    if let Some(keys) = server.key_set() {
        tokio::spawn(read_keys_when_told(keys, signal(SignalKind::hangup())?));
    }
    banner::print(&server);
    supervisor.tell(&format!(
        "READY=1\nSTATUS=Listening on {}",
        server.address()
    ));
    let pulse = server.pulse();
    let clients = || format!("{} clients", pulse.clients());
    tokio::select! {
        outcome = server.run(stop) => Ok(outcome?),
        () = supervisor.show_life(async || pulse.beats().await, clients) => Ok(()),
    }
}

async fn read_keys_when_told(keys: Arc<KeySet>, mut told: Signal) {
    while told.recv().await.is_some() {
        let keys = Arc::clone(&keys);
        let read = tokio::task::spawn_blocking(move || keys.reload());
        if let Ok(Err(error)) = read.await {
            tracing::error!(%error, "the token keys stay as they were");
        }
    }
}

fn start_log(log: &Log) -> Result<()> {
    let filter = EnvFilter::try_new(&log.log).with_context(|| format!("--log {}", log.log))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match log.log_format {
        // The one span there is says of which request a line speaks.
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .init(),
        LogFormat::Pretty => {
            let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
            lines.with_ansi(is_terminal).with_target(false).init();
        }
    }
    Ok(())
}
