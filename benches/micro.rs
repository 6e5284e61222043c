//! What one message costs inside the server, part by part: in instructions, which do not depend on what else the machine does, and in
//! nanoseconds, which do.
//!
//! ```text
//! cargo bench --bench micro                      # nanoseconds, the best of many batches
//! cargo bench --bench micro -- --instructions    # counted by valgrind's callgrind
//! ```

use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use jivchat::chat::{MessageDetails, Status};
use jivchat::engineio::packet::Packet as EnginePacket;
use jivchat::model::{Message, MessageKind, Timestamp, User};
use jivchat::socketio::packet::Packet;
use jivchat::socketio::{Event, Namespace, Outgoing, json};
use jivchat::{journal, view};

#[derive(Parser)]
struct Flags {
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
    /// Count instructions instead of time
    #[arg(long)]
    instructions: bool,
    /// Only this part, so many times, and say nothing
    #[arg(long, num_args = 2, hide = true)]
    run: Option<Vec<String>>,
}

type Part = (&'static str, Box<dyn Fn()>);

const SENT: &str = "42[\"sendMessage\",{\"chatId\":\"0123456789abcdef01234567\",\"content\":\"Is she still available? I could come on \
                    Saturday afternoon.\",\"clientMessageId\":\"4711\"}]";

fn main() -> Result<()> {
    let flags = Flags::parse();
    let parts = parts()?;
    if let Some([name, rounds]) = flags.run.as_deref() {
        let part = parts.iter().find(|part| part.0 == name);
        let (_, work) = part.context("no such part")?;
        (0..rounds.parse::<u64>()?).for_each(|_| work());
        return Ok(());
    }
    // `cargo test --all-targets` gives neither flag: then each part is only seen to work.
    for (name, work) in &parts {
        if flags.instructions {
            println!("{name:<24} {:>8} instructions", instructions(name)?);
        } else if flags.bench {
            println!("{name:<24} {:>8.0} ns", nanoseconds(work));
        } else {
            work();
        }
    }
    Ok(())
}

/// The difference between two runs: what starting costs is in both.
fn instructions(name: &str) -> Result<u64> {
    let [few, many] = [1_000, 3_000].map(|rounds| counted(name, rounds));
    Ok((many? - few?) / 2_000)
}

fn counted(name: &str, rounds: u64) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--run", name, &rounds.to_string()])
        .output()
        .context("valgrind is needed to count instructions")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    let line = said.lines().find_map(|line| line.split_once("Collected :"));
    Ok(line
        .context("callgrind counted nothing")?
        .1
        .trim()
        .parse()?)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn nanoseconds(work: &dyn Fn()) -> f64 {
    const BATCH: u32 = 2_000;
    let batch = || {
        let start = Instant::now();
        (0..BATCH).for_each(|_| work());
        start.elapsed()
    };
    let best = (0..50).map(|_| batch()).min().unwrap_or_default();
    best.as_nanos() as f64 / f64::from(BATCH)
}

fn parts() -> Result<Vec<Part>> {
    let details = details()?;
    let event = SENT.trim_start_matches("42");
    let namespace = Namespace::new("/");
    let frame = frame();
    let decode = Box::new(|| {
        let packet = EnginePacket::decode(black_box(SENT));
        black_box(packet.is_ok());
    });
    let read = Box::new(move || {
        let packet = Packet::decode(black_box(&SENT[1..]));
        let sound = packet.is_ok_and(|packet| json::check(packet.data, 64).is_ok());
        black_box(sound && Event::decode(event, None, &[], 256).is_ok());
    });
    let shown = details.clone();
    let write = Box::new(move || {
        let shown = black_box(&shown);
        black_box(serde_json::to_string(&view::message(shown)).is_ok());
    });
    let encode = Box::new(move || {
        let outgoing = Outgoing::new(
            &namespace,
            "newMessage",
            &view::message(black_box(&details)),
        );
        black_box(outgoing.is_ok());
    });
    let round_trip = Box::new(move || journal::fuzzing::frame(black_box(&frame)));
    let moment = Box::new(|| {
        black_box(Timestamp(black_box(1_900_000_000_000)).to_string());
    });
    Ok(vec![
        ("engineio-decode", decode),
        ("socketio-decode", read),
        ("message-view", write),
        ("event-encode", encode),
        ("journal-frame-both-ways", round_trip),
        ("timestamp", moment),
    ])
}

fn details() -> Result<MessageDetails> {
    let sender: jivchat::id::UserId = "buyer-4711".parse()?;
    let message = Message {
        id: "0123456789abcdef01234567".parse()?,
        chat: "0123456789abcdef01234568".parse()?,
        seq: 4711,
        sender: sender.clone(),
        kind: MessageKind::Text,
        content: "Is she still available? I could come on Saturday afternoon.".to_owned(),
        attachment: None,
        parent: None,
        client_id: Some("4711".to_owned()),
        deleted: false,
        created_at: Timestamp(1_900_000_000_000),
        updated_at: Timestamp(1_900_000_000_000),
        edited: false,
        reactions: Vec::new(),
    };
    let sender = User {
        id: sender,
        name: "Name of buyer-4711".to_owned(),
        email: None,
        picture: None,
        last_seen: None,
        banned: false,
        claims_digest: None,
        told_at: None,
    };
    Ok(MessageDetails {
        message,
        sender,
        read_by: Vec::new(),
        status: Status::Sent,
        parent: None,
    })
}

/// One commit of the size of a message's: ten rows of 30 and 60 bytes, and an event.
fn frame() -> Vec<u8> {
    let mut bytes = vec![1];
    let count = |bytes: &mut Vec<u8>, number: u32| bytes.extend_from_slice(&number.to_le_bytes());
    count(&mut bytes, 10);
    count(&mut bytes, 1);
    for tree in 1..=10 {
        bytes.push(tree);
        count(&mut bytes, 30);
        bytes.extend_from_slice(&[tree; 30]);
        bytes.push(1);
        count(&mut bytes, 60);
        bytes.extend_from_slice(&[tree; 60]);
    }
    count(&mut bytes, 80);
    bytes.extend_from_slice(&[7; 80]);
    bytes
}
