//! The real binary as a child process: started, killed, told to stop. It knows no route.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;

use super::rest::Rest;
use super::server::{SECRET, token};
use super::within;

/// What the binary reads besides its flags.
const ENVIRONMENT: [&str; 12] = [
    "ADMIN_KEY",
    "HOST",
    "PORT",
    "JWT_SECRET",
    "JIVCHAT_LOG",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "SOCKET_IO_CORS_ORIGIN",
    "SOCKET_IO_TRANSPORTS",
    "CHAT_MEDIA_PATH",
    "MAX_FILE_SIZE",
];

/// A running `jivchat`; killed when it is dropped.
pub(super) struct Process {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    pub(super) address: SocketAddr,
}

/// The binary with nothing of the environment that would change it.
pub(super) fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jivchat"));
    for variable in ENVIRONMENT {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// A server on this directory and a free port.
pub(super) fn command(directory: &Path) -> Command {
    let mut command = bare();
    command.args(["--port", "0", "--log", "error", "--no-rate-limit"]);
    command.args(["--jwt-secret", SECRET, "--data-dir"]);
    command.arg(directory);
    command
}

impl Process {
    /// Starts on a directory and waits until the port is open.
    pub(super) async fn start(directory: &Path) -> Self {
        Self::spawn(command(directory)).await
    }

    /// Starts a server and waits until the port is open.
    pub(super) async fn spawn(mut command: Command) -> Self {
        let command = command.stderr(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (say, said) = oneshot::channel();
        let kept = Arc::<Mutex<Vec<String>>>::default();
        let keep = Arc::clone(&kept);
        // Reads to the end: a child whose standard error is full would wait.
        std::thread::spawn(move || {
            let mut say = Some(say);
            for line in lines.map_while(Result::ok) {
                keep.lock().unwrap().push(line.clone());
                let url = line.strip_prefix("listening on ");
                let address = url.and_then(|url| url.split_once("://"));
                match (address.map(|(_, address)| address), say.take()) {
                    (Some(address), Some(say)) => drop(say.send(address.parse().unwrap())),
                    (_, waiting) => say = waiting,
                }
            }
        });
        let address = within("the server to listen", said).await.unwrap();
        Self {
            child,
            said: kept,
            address,
        }
    }

    pub(super) fn user(&self, id: &str) -> Rest {
        Rest::new(self.address, id, Some(token(id, Some(id))))
    }

    /// What it has said on standard error so far.
    pub(super) fn log(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    /// Waits for a line that has all of these in it.
    pub(super) async fn logs(&self, parts: &[&str]) -> String {
        let is_meant = |line: &String| parts.iter().all(|part| line.contains(part));
        let seen = async {
            loop {
                if let Some(line) = self.log().into_iter().find(is_meant) {
                    return line;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        within(&format!("{parts:?} in the log"), seen).await
    }

    /// `kill -9`.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it the signal of this name.
    pub(super) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Asks it to stop and waits until it has.
    pub(super) async fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        let ended = tokio::task::spawn_blocking(move || self.child.wait().unwrap());
        within("the process to end", ended).await.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ended already, or a test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
