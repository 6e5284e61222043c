//! One user on many sockets: every message to all of them.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::chat::finish;
use crate::connect::connect_all;
use crate::http::Http;
use crate::report::{Bar, Report, rate};
use crate::socket::{NewMessage, Socket};
use crate::target::Target;
use crate::world;

#[derive(Args)]
pub(crate) struct Flags {
    /// Sockets of the one user
    #[arg(long, default_value_t = 1000)]
    sockets: usize,
    /// Messages on their way at once
    #[arg(long, default_value_t = 16)]
    in_flight: u64,
    /// How long
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

#[derive(Default)]
struct Board {
    deliveries: Cell<u64>,
    /// Messages that are sent; no more follow once `closed`.
    sent: Cell<u64>,
    closed: Cell<bool>,
    faults: Cell<u64>,
    progress: Notify,
}

pub(crate) async fn run(target: &Target, flags: &Flags) -> Result<Report> {
    let mut http = Http::connect(target.address).await?;
    let many = world::user(target, "many".to_owned())?;
    let one = world::user(target, "one".to_owned())?;
    world::introduce(&mut http, &many).await?;
    let chat = world::chat(&mut http, &one, &many).await?;
    let mut sender = Socket::connect(target.address, &one.token).await?;
    let sockets = connect_all(
        target,
        std::iter::repeat_n(many.token.as_str(), flags.sockets),
    )
    .await?;
    let board = Rc::new(Board::default());
    let _bar = Bar::of_seconds("fanout", flags.seconds);
    let before = target.cost();
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for socket in sockets {
        tasks.spawn_local(listen(socket, Rc::clone(&board)));
    }
    let ends = start + Duration::from_secs(flags.seconds);
    let all = flags.sockets as u64;
    while Instant::now() < ends {
        while board.sent.get() - board.deliveries.get() / all < flags.in_flight {
            sender.queue(&world::send_event(&chat, board.sent.get()));
            board.sent.set(board.sent.get() + 1);
        }
        sender.flush().await?;
        while sender.buffered()?.is_some() {}
        tokio::select! {
            filled = sender.fill() => filled?,
            () = board.progress.notified() => {}
            () = tokio::time::sleep_until(ends.into()) => {}
        }
    }
    // One more, which tells every listener to look up.
    board.closed.set(true);
    sender.queue(&world::send_event(&chat, board.sent.get()));
    board.sent.set(board.sent.get() + 1);
    sender.flush().await?;
    finish(tasks, ends).await?;
    let deliveries = board.deliveries.get();
    let mut report = Report::new("fanout");
    report.figure("deliveries_per_s", rate(deliveries, start.elapsed()));
    report.cost(before, target, deliveries, 100_000.0);
    report.check(
        deliveries == board.sent.get() * all && board.faults.get() == 0,
        || {
            format!(
                "{deliveries} deliveries of {} messages, {} out of order",
                board.sent.get(),
                board.faults.get()
            )
        },
    );
    Ok(report)
}

/// Reads until the last message has come.
async fn listen(mut socket: Socket, board: Rc<Board>) -> Result<()> {
    let mut last = 0;
    while !(board.closed.get() && last == board.sent.get()) {
        let event = socket.next().await?;
        if let Some(message) = NewMessage::read(&event)? {
            let faults = u64::from(message.seq != last + 1);
            board.faults.set(board.faults.get() + faults);
            last = message.seq;
            board.deliveries.set(board.deliveries.get() + 1);
            board.progress.notify_one();
        }
    }
    Ok(())
}
