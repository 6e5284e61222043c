//! What a supervisor of the kind of systemd wants to hear: that the server is ready, that it still works, that it stops. The protocol
//! is a datagram of lines to the socket that `NOTIFY_SOCKET` names, which is less than a dependency. Without that variable all of
//! this is silence. It knows nothing of the server but a future that resolves when all is well.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// While the store opens, which may mean rebuilding its index, more time is asked for this often, and this much.
const OPENING_EVERY: Duration = Duration::from_secs(10);
const OPENING_TAKES: Duration = Duration::from_mins(1);

/// Whoever started this process and wants to hear of it; perhaps nobody.
#[derive(Debug)]
pub(super) struct Supervisor {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// Without a sign of life for so long it kills the process.
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The one that the environment names.
    pub(super) fn from_environment() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").and_then(|name| {
            let opened = open(&name);
            let warn = |error: &io::Error| tracing::warn!(%error, "NOTIFY_SOCKET cannot be used");
            opened.inspect_err(warn).ok()
        });
        let variable = |name| std::env::var(name).ok();
        let watchdog = watchdog(
            variable("WATCHDOG_USEC").as_deref(),
            variable("WATCHDOG_PID").as_deref(),
        );
        Self { socket, watchdog }
    }

    /// Says something, a line each. Nobody is waited for: a supervisor that does not listen is none.
    pub(super) fn tell(&self, lines: &str) {
        let Some((socket, to)) = &self.socket else {
            return;
        };
        if let Err(error) = socket.send_to_addr(lines.as_bytes(), to) {
            tracing::debug!(%error, "the supervisor does not listen");
        }
    }

    /// Asks for more time until dropped.
    pub(super) async fn ask_for_time(&self) {
        let more = OPENING_TAKES.as_micros();
        let mut due = tokio::time::interval(OPENING_EVERY);
        loop {
            due.tick().await;
            self.tell(&format!(
                "EXTEND_TIMEOUT_USEC={more}\nSTATUS=Opening the data directory"
            ));
        }
    }

    /// Gives a sign of life each time that `works` resolves, in good time before the supervisor misses one; `status` is told with it.
    /// Never resolves.
    pub(super) async fn show_life(
        &self,
        works: impl AsyncFn() -> bool,
        status: impl Fn() -> String,
    ) {
        let Some(patience) = self.watchdog else {
            return std::future::pending().await;
        };
        // Two may be late.
        let mut due = tokio::time::interval(patience / 3);
        due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            if works().await {
                self.tell(&format!("WATCHDOG=1\nSTATUS={}", status()));
            }
        }
    }
}

/// A name that begins with `@` is of Linux's own name space and is no file.
fn open(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let to = match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        #[cfg(target_os = "linux")]
        [b'@', rest @ ..] => {
            use std::os::linux::net::SocketAddrExt as _;
            SocketAddr::from_abstract_name(rest)?
        }
        _ => {
            return Err(io::Error::other(
                "it is neither a path nor an abstract name",
            ));
        }
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, to))
}

/// The variables are inherited: with another process's number they are not for us.
fn watchdog(micros: Option<&str>, process: Option<&str>) -> Option<Duration> {
    if process.is_some_and(|id| id.parse() != Ok(std::process::id())) {
        return None;
    }
    let micros = micros?.parse().ok().filter(|micros| *micros > 0)?;
    Some(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_is_for_the_process_that_it_names() {
        let own = std::process::id().to_string();
        let minute = Some(Duration::from_mins(1));
        assert_eq!(watchdog(Some("60000000"), None), minute);
        assert_eq!(watchdog(Some("60000000"), Some(&own)), minute);
        assert_eq!(watchdog(Some("60000000"), Some("1")), None);
        assert_eq!(watchdog(Some("60000000"), Some("")), None);
        assert_eq!(watchdog(Some("0"), None), None);
        assert_eq!(watchdog(Some("soon"), None), None);
        assert_eq!(watchdog(None, None), None);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_sign_of_life_from_within_none_is_given() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let heard = UnixDatagram::bind(&path).unwrap();
        heard.set_nonblocking(true).unwrap();
        let supervisor = Supervisor {
            socket: Some(open(path.as_os_str()).unwrap()),
            watchdog: Some(Duration::from_mins(1)),
        };
        let mut answers = [true, true, false, true].into_iter();
        let works = std::sync::Mutex::new(move || answers.next());
        let works = async || {
            let answer = works.lock().unwrap()();
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        };
        let showing = supervisor.show_life(works, || "well".to_owned());
        let ended = tokio::time::timeout(Duration::from_hours(1), showing).await;
        assert!(ended.is_err());
        let mut signs = 0;
        let mut buffer = [0; 64];
        while let Ok(size) = heard.recv(&mut buffer) {
            assert_eq!(&buffer[..size], b"WATCHDOG=1\nSTATUS=well");
            signs += 1;
        }
        assert_eq!(signs, 3);
    }
}
