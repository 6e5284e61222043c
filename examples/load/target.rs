//! The server under load: started here or already running; what it has cost so far. It knows nothing of chats.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// For a server that is started here.
const SECRET: &str = "a secret for measurements on loopback only";
/// Clock ticks per second of `/proc/<pid>/stat`: fixed on Linux.
const TICKS: f64 = 100.0;

#[derive(Args)]
pub(crate) struct Flags {
    /// Address of a running server; without it one is started
    #[arg(long, requires = "jwt_secret")]
    url: Option<SocketAddr>,
    /// Secret of the running server's tokens
    #[arg(long)]
    jwt_secret: Option<String>,
    /// Process of the running server, for its CPU time and memory
    #[arg(long)]
    pid: Option<u32>,
    /// The binary to start
    #[arg(long, default_value = "target/release/jivchat")]
    binary: PathBuf,
    /// Another server to start instead: a command line that takes `--data-dir` and `--jwt-secret` and says `listening on http://…`
    #[arg(long, conflicts_with_all = ["url", "binary", "more"])]
    command: Option<String>,
    /// Where the started server keeps its data; without it a temporary directory
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// More flags for the started server
    #[arg(long = "server-flag", allow_hyphen_values = true)]
    more: Vec<String>,
    /// Pin the server to the first core and this program to the second (taskset)
    #[arg(long)]
    pin: bool,
}

/// Everything that a measurement would run into, and no words about each message.
const UNLIMITED: [&str; 14] = [
    "serve",
    "--port",
    "0",
    "--no-rate-limit",
    "--log",
    "warn,jivchat::server=info",
    "--max-connections",
    "30000",
    "--max-connections-per-address",
    "30000",
    "--max-unauthenticated",
    "30000",
    "--max-sessions-per-address",
    "30000",
];

impl Flags {
    fn command_line(&self) -> Result<Command> {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(line) = &self.command {
            words.extend(line.split_whitespace().map(OsString::from));
        } else {
            words.push(OsString::from(&self.binary));
            words.extend(UNLIMITED.map(OsString::from));
            words.extend(self.more.iter().map(OsString::from));
        }
        if self.pin {
            words.splice(0..0, ["taskset", "-c", "0"].map(OsString::from));
        }
        let (program, rest) = words.split_first().context("--command is empty")?;
        let mut command = Command::new(program);
        command.args(rest);
        Ok(command)
    }
}

/// A server that can be loaded.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) secret: String,
    pid: Option<u32>,
    pub(crate) data_dir: Option<PathBuf>,
    // Both end with the target: the process, then its directory.
    child: Option<Child>,
    _temporary: Option<TempDir>,
}

/// What the server has used up to a moment.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) cpu_seconds: f64,
    pub(crate) rss_kib: u64,
}

impl Target {
    pub(crate) async fn open(flags: &Flags) -> Result<Self> {
        if flags.pin {
            let me = std::process::id().to_string();
            let status = Command::new("taskset")
                .args(["-cp", "1", &me])
                .stdout(Stdio::null())
                .status()
                .await;
            status.context("taskset is needed for --pin")?;
        }
        match flags.url {
            Some(address) => Ok(Self {
                address,
                secret: flags.jwt_secret.clone().unwrap_or_default(),
                pid: flags.pid,
                data_dir: flags.data_dir.clone(),
                child: None,
                _temporary: None,
            }),
            None => Self::start(flags).await,
        }
    }

    async fn start(flags: &Flags) -> Result<Self> {
        let temporary = flags.data_dir.is_none().then(TempDir::new).transpose()?;
        let data_dir = match (&flags.data_dir, &temporary) {
            (Some(dir), _) => dir.clone(),
            (None, Some(dir)) => dir.path().to_owned(),
            (None, None) => bail!("no data directory"),
        };
        let mut command = flags.command_line()?;
        command
            .args(["--jwt-secret", SECRET, "--data-dir"])
            .arg(&data_dir)
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let errors = child.stderr.take().context("no standard error")?;
        let mut lines = BufReader::new(errors).lines();
        let mut said = String::new();
        let address = loop {
            let Some(line) = lines.next_line().await? else {
                bail!("the server did not start: {said}");
            };
            if let Some((_, url)) = line.split_once("listening on http://") {
                break url.trim().parse()?;
            }
            said = line;
        };
        tokio::task::spawn_local(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                eprintln!("server: {line}");
            }
        });
        Ok(Self {
            address,
            secret: SECRET.to_owned(),
            // taskset replaces itself by the server, so the child is the server.
            pid: child.id(),
            data_dir: Some(data_dir),
            child: Some(child),
            _temporary: temporary,
        })
    }

    /// Ends a server that was started here, before its directory goes.
    pub(crate) async fn close(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill().await;
        }
    }

    /// What the server has used so far; `None` when its process is unknown.
    pub(crate) fn cost(&self) -> Option<Cost> {
        let pid = self.pid?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold spaces; user and system time are the 12th and 13th field after it.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<f64>().ok();
        let cpu_seconds = (ticks()? + ticks()?) / TICKS;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let rss = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let rss_kib = rss.split_whitespace().next()?.parse().ok()?;
        Some(Cost {
            cpu_seconds,
            rss_kib,
        })
    }

    /// Waits until the server's memory no longer falls, a quarter of a minute at least and half a one at most: allocators give back what
    /// is free only after a while.
    pub(crate) async fn settle(&self) -> Option<Cost> {
        let mut least = self.cost()?;
        let mut since = 0;
        for second in 0..30 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = self.cost()?;
            if now.rss_kib + 256 < least.rss_kib {
                since = second;
            }
            least = if now.rss_kib < least.rss_kib {
                now
            } else {
                least
            };
            if second >= 15 && second - since >= 5 {
                break;
            }
        }
        self.cost()
    }
}
