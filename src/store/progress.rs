//! How far something slow has come: a bar for a person, a line now and then for a log.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const WIDTH: u64 = 30;
/// Between two drawings of the bar, and between two lines of the log.
const DRAW_EVERY: Duration = Duration::from_millis(100);
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Shown on standard error while it lives; short work shows nothing at all.
#[derive(Debug)]
pub struct ProgressBar {
    what: &'static str,
    is_terminal: bool,
    shown: Instant,
    is_drawn: bool,
}

impl ProgressBar {
    /// `what` is under way, as in "rebuilding the index".
    pub fn new(what: &'static str) -> Self {
        Self {
            what,
            is_terminal: std::io::stderr().is_terminal(),
            shown: Instant::now(),
            is_drawn: false,
        }
    }

    /// Tells how many bytes are done where nobody knows how many there are.
    pub fn count(&mut self, bytes: u64) {
        if !self.is_due() {
            return;
        }
        let mebibytes = bytes >> 20;
        if self.is_terminal {
            let mut terminal = std::io::stderr();
            let _ = write!(terminal, "\r{} {mebibytes:>6} MiB", self.what);
            let _ = terminal.flush();
            self.is_drawn = true;
        } else {
            tracing::info!(mebibytes, "{}", self.what);
        }
    }

    fn is_due(&mut self) -> bool {
        let every = if self.is_terminal {
            DRAW_EVERY
        } else {
            LOG_EVERY
        };
        let is_due = self.shown.elapsed() >= every;
        if is_due {
            self.shown = Instant::now();
        }
        is_due
    }

    /// Tells how much of how much is done.
    pub fn update(&mut self, done: u64, total: u64) {
        if !self.is_due() {
            return;
        }
        let done = done.min(total);
        let percent = done * 100 / total.max(1);
        if self.is_terminal {
            let filled = usize::try_from(done * WIDTH / total.max(1)).unwrap_or(0);
            let bar = "#".repeat(filled);
            let width = usize::try_from(WIDTH).unwrap_or(0);
            let mut terminal = std::io::stderr();
            // A terminal that has gone away is no reason to stop working.
            let _ = write!(terminal, "\r{} [{bar:<width$}] {percent:>3} %", self.what);
            let _ = terminal.flush();
            self.is_drawn = true;
        } else {
            tracing::info!(percent, "{}", self.what);
        }
    }
}

impl Drop for ProgressBar {
    fn drop(&mut self) {
        if self.is_drawn {
            eprint!("\r{:width$}\r", "", width = self.what.len() + 40);
        }
    }
}
