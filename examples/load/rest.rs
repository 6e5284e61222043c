//! A mix of requests over keep-alive connections: 40 % chat lists, 40 % history, 20 % sends. Closed loop: the next request follows the
//! answer. Open loop: so many a second, each measured from the moment it was due.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use hdrhistogram::Histogram;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::http::{Http, request};
use crate::pacer;
use crate::report::{Bar, Report, Ticker, histogram, rate, record};
use crate::target::Target;
use crate::world::{self, TEXT, User};

#[derive(Args)]
pub(crate) struct Flags {
    /// Keep-alive connections, each of a user of its own
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Chats of each user
    #[arg(long, default_value_t = 20)]
    chats: usize,
    /// Messages in the chat that is read
    #[arg(long, default_value_t = 50)]
    messages: u64,
    /// Requests a second of all connections together (open loop); 0 is the closed loop
    #[arg(long, default_value_t = 0)]
    rate: u32,
    /// How long
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

/// When requests are due.
struct Pace {
    start: Instant,
    ends: Instant,
    /// `None` is the closed loop.
    interval: Option<Duration>,
    turn: Arc<Notify>,
}

/// What one user does again and again, and what came of it.
struct Seat {
    user: User,
    chat: String,
    requests: [Vec<u8>; 3],
    stored: u64,
}

/// 40 % lists, 40 % histories, 20 % sends.
const MIX: [usize; 5] = [0, 1, 0, 1, 2];

pub(crate) async fn run(target: &Target, flags: &Flags) -> Result<Report> {
    let mut http = Http::connect(target.address).await?;
    let mut seats = Vec::new();
    let mut ticker = Ticker::new("users");
    for number in 0..flags.connections {
        seats.push(seat(target, &mut http, flags, number).await?);
        ticker.tick(number as u64, flags.connections as u64);
    }
    drop(ticker);
    let latency = Rc::new([histogram()?, histogram()?, histogram()?].map(RefCell::new));
    let _bar = Bar::of_seconds("rest", flags.seconds);
    let before = target.cost();
    let start = Instant::now();
    let ends = start + Duration::from_secs(flags.seconds);
    let turns: Vec<Arc<Notify>> = seats.iter().map(|_| Arc::default()).collect();
    let between = (flags.rate > 0).then(|| Duration::from_secs(1) / flags.rate);
    if let Some(between) = between {
        pacer::start(turns.clone(), start, between, ends)?;
    }
    let connections = u32::try_from(flags.connections)?;
    let mut tasks = JoinSet::new();
    for (number, (seat, turn)) in (0..).zip(seats.into_iter().zip(turns)) {
        let pace = Pace {
            start: start + between.map_or(Duration::ZERO, |between| between * number),
            ends,
            interval: between.map(|between| between * connections),
            turn,
        };
        tasks.spawn_local(play(target.address, seat, pace, Rc::clone(&latency)));
    }
    let mut seats = Vec::new();
    while let Some(task) = tasks.join_next().await {
        seats.push(task??);
    }
    let took = start.elapsed();
    let mut report = Report::new("rest");
    let total = latency.iter().map(|latency| latency.borrow().len()).sum();
    report.figure("requests_per_s", rate(total, took));
    for (name, latency) in ["my_chats", "messages", "send"].iter().zip(latency.iter()) {
        report.latency(name, &latency.borrow());
    }
    report.cost(before, target, total, 10_000.0);
    for seat in seats {
        let stored = world::total_messages(&mut http, &seat.user, &seat.chat).await?;
        report.check(stored == seat.stored, || {
            format!("{} sent, {stored} stored", seat.stored)
        });
    }
    Ok(report)
}

async fn seat(target: &Target, http: &mut Http, flags: &Flags, number: usize) -> Result<Seat> {
    let user = world::user(target, format!("buyer-{number}"))?;
    let mut chat = String::new();
    for other in 0..flags.chats {
        let other = world::user(target, format!("seller-{other}"))?;
        world::introduce(http, &other).await?;
        chat = world::chat(http, &user, &other).await?;
    }
    let send = request(
        "POST",
        &format!("/api/chat/{chat}/send"),
        &user.token,
        &format!("{{\"content\":\"{TEXT}\"}}"),
    );
    for _ in 0..flags.messages {
        http.send(&send).await?;
        ensure!(http.answer().await?.status == 201, "a message was refused");
    }
    let requests = [
        request("GET", "/api/chat/my-chats?limit=20", &user.token, ""),
        request(
            "GET",
            &format!("/api/chat/{chat}/messages?limit=50"),
            &user.token,
            "",
        ),
        send,
    ];
    Ok(Seat {
        user,
        chat,
        requests,
        stored: flags.messages,
    })
}

async fn play(
    address: std::net::SocketAddr,
    mut seat: Seat,
    pace: Pace,
    latency: Rc<[RefCell<Histogram<u64>>; 3]>,
) -> Result<Seat> {
    let mut http = Http::connect(address).await?;
    let mut due = pace.start;
    for kind in MIX.into_iter().cycle() {
        let asked = match pace.interval {
            None => Instant::now(),
            Some(interval) => {
                while due > Instant::now() && due < pace.ends {
                    pace.turn.notified().await;
                }
                let this = due;
                due += interval;
                this
            }
        };
        if asked >= pace.ends {
            break;
        }
        http.send(&seat.requests[kind]).await?;
        let answer = http.answer().await?;
        ensure!(
            matches!(answer.status, 200 | 201),
            "{}: {:?}",
            answer.status,
            answer.body
        );
        record(&mut latency[kind].borrow_mut(), asked);
        seat.stored += u64::from(kind == 2);
    }
    Ok(seat)
}
