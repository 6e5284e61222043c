//! Pairs of users write to each other; a message is done when both sides have its `newMessage`. Closed loop: so many in flight for
//! each pair. Open loop: so many a second, each measured from the moment it was due.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use hdrhistogram::Histogram;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::http::Http;
use crate::pacer;
use crate::report::{Bar, Report, Ticker, histogram, rate, record};
use crate::socket::{NewMessage, Socket};
use crate::target::Target;
use crate::world::{self, User};

#[derive(Args)]
pub(crate) struct Flags {
    /// Pairs of users, each with a chat of its own
    #[arg(long, default_value_t = 100)]
    pairs: usize,
    /// Messages in flight in each pair (closed loop)
    #[arg(long, default_value_t = 8)]
    in_flight: u64,
    /// Messages a second of all pairs together (open loop); 0 is the closed loop
    #[arg(long, default_value_t = 0)]
    rate: u32,
    /// How long to send
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

struct Pair {
    sender: User,
    chat: String,
    state: RefCell<State>,
    wake: [Arc<Notify>; 2],
}

struct State {
    /// When each message was due, by its number.
    due: Vec<Instant>,
    /// Which side has each message.
    seen: [Vec<bool>; 2],
    last_seq: [u64; 2],
    done: u64,
    faults: Vec<String>,
}

struct Run {
    ends: Instant,
    pace: Pace,
    latency: RefCell<Histogram<u64>>,
}

#[derive(Clone, Copy)]
enum Pace {
    InFlight(u64),
    Every(Duration),
}

pub(crate) async fn run(target: &Target, flags: &Flags) -> Result<Report> {
    let mut http = Http::connect(target.address).await?;
    let mut pairs = Vec::new();
    let mut ticker = Ticker::new("pairs");
    for number in 0..flags.pairs {
        pairs.push(pair(target, &mut http, number).await?);
        ticker.tick(number as u64, flags.pairs as u64);
    }
    drop(ticker);
    let _bar = Bar::of_seconds("chat", flags.seconds);
    let before = target.cost();
    let start = Instant::now();
    let ends = start + Duration::from_secs(flags.seconds);
    // Between two messages, whichever pairs they are of.
    let interval = (flags.rate > 0).then(|| Duration::from_secs(1) / flags.rate);
    let pace = match interval {
        None => Pace::InFlight(flags.in_flight),
        Some(interval) => {
            let seats = pairs.iter().map(|(pair, _)| Arc::clone(&pair.wake[0]));
            pacer::start(seats.collect(), start, interval, ends)?;
            Pace::Every(interval * u32::try_from(flags.pairs)?)
        }
    };
    let run = Rc::new(Run {
        ends,
        pace,
        latency: RefCell::new(histogram()?),
    });
    let mut tasks = JoinSet::new();
    for (number, (pair, sockets)) in (0..).zip(&mut pairs) {
        let stagger = interval.map_or(Duration::ZERO, |interval| interval * number);
        for (side, socket) in (0..).zip(sockets.drain(..)) {
            let seat = Seat {
                side,
                socket,
                pair: Rc::clone(pair),
                run: Rc::clone(&run),
                next: start + stagger,
            };
            tasks.spawn_local(seat.play());
        }
    }
    finish(tasks, ends).await?;
    let took = start.elapsed();
    report(target, &mut http, &run, &pairs, took, before).await
}

/// Waits for all; what has not come long after the end is lost, and the report says so.
pub(crate) async fn finish(mut tasks: JoinSet<Result<()>>, ends: Instant) -> Result<()> {
    let all = async {
        while let Some(task) = tasks.join_next().await {
            task??;
        }
        anyhow::Ok(())
    };
    let patience = ends + Duration::from_secs(30);
    tokio::time::timeout_at(patience.into(), all)
        .await
        .unwrap_or(Ok(()))
}

type Seated = (Rc<Pair>, Vec<Socket>);

async fn pair(target: &Target, http: &mut Http, number: usize) -> Result<Seated> {
    let sender = world::user(target, format!("sender-{number}"))?;
    let receiver = world::user(target, format!("receiver-{number}"))?;
    world::introduce(http, &receiver).await?;
    let chat = world::chat(http, &sender, &receiver).await?;
    let sockets = vec![
        Socket::connect(target.address, &sender.token).await?,
        Socket::connect(target.address, &receiver.token).await?,
    ];
    let state = State {
        due: Vec::new(),
        seen: [Vec::new(), Vec::new()],
        last_seq: [0, 0],
        done: 0,
        faults: Vec::new(),
    };
    let pair = Pair {
        sender,
        chat,
        state: RefCell::new(state),
        wake: [Arc::default(), Arc::default()],
    };
    Ok((Rc::new(pair), sockets))
}

async fn report(
    target: &Target,
    http: &mut Http,
    run: &Run,
    pairs: &[Seated],
    took: Duration,
    before: Option<crate::target::Cost>,
) -> Result<Report> {
    let mut report = Report::new("chat");
    let sent = pairs.iter().map(|(pair, _)| pair.state.borrow().done).sum();
    report.figure("messages_per_s", rate(sent, took));
    report.latency("latency", &run.latency.borrow());
    report.cost(before, target, sent, 10_000.0);
    for (pair, _) in pairs {
        let stored = world::total_messages(http, &pair.sender, &pair.chat).await?;
        let state = pair.state.borrow();
        for fault in &state.faults {
            report.fault(fault.clone());
        }
        let sent = state.due.len() as u64;
        report.check(state.done == sent, || {
            format!("chat {}: {} of {sent} arrived", pair.chat, state.done)
        });
        report.check(stored == state.done, || {
            format!("chat {}: {} sent, {stored} stored", pair.chat, state.done)
        });
    }
    Ok(report)
}

/// One user's socket.
struct Seat {
    side: usize,
    socket: Socket,
    pair: Rc<Pair>,
    run: Rc<Run>,
    /// When the next message is due in the open loop.
    next: Instant,
}

impl Seat {
    async fn play(mut self) -> Result<()> {
        let due = loop {
            while let Some(event) = self.socket.buffered()? {
                if let Some(message) = NewMessage::read(&event)? {
                    self.arrived(&message);
                }
            }
            if self.side == 0 {
                self.send();
            }
            self.socket.flush().await?;
            if self.is_over() {
                break Ok(());
            }
            let ends = self.run.ends;
            let pair = Rc::clone(&self.pair);
            tokio::select! {
                filled = self.socket.fill() => filled?,
                () = pair.wake[self.side].notified() => {}
                () = tokio::time::sleep_until(ends.into()), if ends > Instant::now() => {}
            }
        };
        self.pair.wake[1 - self.side].notify_one();
        due
    }

    /// Sends whatever may be sent now.
    fn send(&mut self) {
        let mut state = self.pair.state.borrow_mut();
        loop {
            let now = Instant::now();
            let due = match self.run.pace {
                Pace::InFlight(most) if state.due.len() as u64 - state.done < most => now,
                Pace::Every(interval) if self.next <= now => {
                    let due = self.next;
                    self.next += interval;
                    due
                }
                _ => return,
            };
            if due >= self.run.ends {
                return;
            }
            self.socket
                .queue(&world::send_event(&self.pair.chat, state.due.len() as u64));
            state.due.push(due);
            state.seen.iter_mut().for_each(|seen| seen.push(false));
        }
    }

    fn arrived(&self, message: &NewMessage) {
        let mut state = self.pair.state.borrow_mut();
        let side = self.side;
        let number = usize::try_from(message.number).unwrap_or(usize::MAX);
        if message.seq != state.last_seq[side] + 1 {
            let fault = format!(
                "seq {} after {} on side {side}",
                message.seq, state.last_seq[side]
            );
            state.faults.push(fault);
        }
        state.last_seq[side] = message.seq;
        match state.seen[side].get_mut(number) {
            Some(seen) if !*seen => *seen = true,
            _ => {
                state.faults.push(format!(
                    "message {number} twice or never sent, on side {side}"
                ));
                return;
            }
        }
        if state.seen[1 - side][number] {
            record(&mut self.run.latency.borrow_mut(), state.due[number]);
            state.done += 1;
            self.pair.wake[1 - side].notify_one();
        }
    }

    fn is_over(&self) -> bool {
        let state = self.pair.state.borrow();
        Instant::now() >= self.run.ends && state.done == state.due.len() as u64
    }
}
