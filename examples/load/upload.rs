//! Large files at once: bytes a second against plain writing to the same disk, and the memory it takes.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use tokio::task::JoinSet;

use crate::http::Http;
use crate::report::{Report, float, rate};
use crate::target::Target;
use crate::world::{self, User};

#[derive(Args)]
pub(crate) struct Flags {
    /// Files at once, each of a user of its own
    #[arg(long, default_value_t = 8)]
    files: usize,
    /// Size of each in MiB
    #[arg(long, default_value_t = 49)]
    mib: usize,
}

const BOUNDARY: &str = "a-boundary-that-the-file-does-not-hold";
/// The first bytes of a Matroska file, which has nothing to strip.
const MATROSKA: &[u8] = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82\x84webm";

pub(crate) async fn run(target: &Target, flags: &Flags) -> Result<Report> {
    let mut http = Http::connect(target.address).await?;
    let receiver = world::user(target, "receiver".to_owned())?;
    world::introduce(&mut http, &receiver).await?;
    let mut chats = Vec::new();
    for number in 0..flags.files {
        let user = world::user(target, format!("uploader-{number}"))?;
        let chat = world::chat(&mut http, &user, &receiver).await?;
        chats.push((user, chat));
    }
    let size = flags.mib << 20;
    let before = target.cost();
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for (user, chat) in chats {
        let address = target.address;
        tasks.spawn_local(async move {
            upload(Http::connect(address).await?, &user, &chat, size).await
        });
    }
    let mut peak = 0;
    let mut every = tokio::time::interval(Duration::from_millis(20));
    loop {
        tokio::select! {
            task = tasks.join_next() => match task {
                Some(task) => task??,
                None => break,
            },
            _ = every.tick() => peak = peak.max(target.cost().map_or(0, |cost| cost.rss_kib)),
        }
    }
    let bytes = (size * flags.files) as u64;
    let speed = rate(bytes, start.elapsed()) / 1e6;
    let mut report = Report::new("upload");
    report.figure("mb_per_s", speed);
    report.cost(before, target, bytes, 1e9);
    if let Some(before) = before {
        report.figure(
            "peak_rss_above_rest_mib",
            float(peak.saturating_sub(before.rss_kib)) / 1024.0,
        );
    }
    if let Some(dir) = &target.data_dir {
        let plain = plain_writing(dir, bytes)?;
        report
            .figure("plain_mb_per_s", plain)
            .figure("ratio", speed / plain);
    }
    Ok(report)
}

async fn upload(mut http: Http, user: &User, chat: &str, size: usize) -> Result<()> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"media\"; filename=\"film.webm\"\r\n\r\n"
    );
    let tail = format!("\r\n--{BOUNDARY}--\r\n");
    let length = head.len() + size + tail.len();
    let request = format!(
        "POST /api/chat/{chat}/send-media HTTP/1.1\r\nHost: load\r\nAuthorization: Bearer {}\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {length}\r\n\r\n{head}",
        user.token
    );
    http.send(request.as_bytes()).await?;
    http.send(MATROSKA).await?;
    let block = vec![0x5a; 64 << 10];
    let mut left = size - MATROSKA.len();
    while left > 0 {
        let part = left.min(block.len());
        http.send(&block[..part]).await?;
        left -= part;
    }
    http.send(tail.as_bytes()).await?;
    let answer = http.answer().await?;
    ensure!(answer.status == 201, "{}: {:?}", answer.status, answer.body);
    let stored = world::data(&answer)?["media"]["size"]
        .as_u64()
        .context("no size")?;
    ensure!(stored == size as u64, "{size} bytes sent, {stored} stored");
    Ok(())
}

/// MB a second of writing as much to one file in `dir`, synced at the end.
fn plain_writing(dir: &Path, bytes: u64) -> Result<f64> {
    let path = dir.join("plain-writing.tmp");
    let start = Instant::now();
    let mut file = File::create(&path)?;
    let block = vec![0x5a; 64 << 10];
    for _ in 0..bytes / block.len() as u64 {
        file.write_all(&block)?;
    }
    file.sync_all()?;
    let speed = rate(bytes, start.elapsed()) / 1e6;
    std::fs::remove_file(&path)?;
    Ok(speed)
}
