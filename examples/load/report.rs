//! What was measured, as a table for people or JSON for scripts; the ticker that says how far it is.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use crate::target::{Cost, Target};

pub(crate) struct Report {
    scenario: &'static str,
    figures: Map<String, Value>,
    faults: Vec<String>,
}

impl Report {
    pub(crate) fn new(scenario: &'static str) -> Self {
        Self {
            scenario,
            figures: Map::new(),
            faults: Vec::new(),
        }
    }

    /// A figure; its name ends with its unit.
    pub(crate) fn figure(&mut self, name: &str, value: f64) -> &mut Self {
        self.figures
            .insert(name.to_owned(), json!((value * 1000.0).round() / 1000.0));
        self
    }

    pub(crate) fn latency(&mut self, name: &str, latency: &Histogram<u64>) -> &mut Self {
        for (label, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)] {
            self.figure(
                &format!("{name}_{label}_ms"),
                micros(latency.value_at_quantile(quantile)),
            );
        }
        self.figure(&format!("{name}_max_ms"), micros(latency.max()))
    }

    /// What the server has spent on `work` things since `before`, in CPU seconds for each `per` of them.
    pub(crate) fn cost(
        &mut self,
        before: Option<Cost>,
        target: &Target,
        work: u64,
        per: f64,
    ) -> &mut Self {
        if let (Some(before), Some(after)) = (before, target.cost()) {
            let cpu = after.cpu_seconds - before.cpu_seconds;
            self.figure("server_cpu_s", cpu);
            self.figure(&format!("server_cpu_s_per_{per}"), cpu / float(work) * per);
            self.figure("server_rss_mib", float(after.rss_kib) / 1024.0);
        }
        self
    }

    /// Something that must not have happened.
    pub(crate) fn fault(&mut self, what: String) {
        self.faults.push(what);
    }

    pub(crate) fn check(&mut self, right: bool, what: impl FnOnce() -> String) {
        if !right {
            self.fault(what());
        }
    }

    pub(crate) fn print(mut self, as_json: bool) -> Result<()> {
        let count = self.faults.len();
        if as_json {
            self.figures
                .insert("scenario".to_owned(), json!(self.scenario));
            self.figures.insert("faults".to_owned(), json!(self.faults));
            println!("{}", Value::Object(self.figures));
        } else {
            println!("{}", self.scenario);
            for (name, value) in &self.figures {
                println!("  {name:<32} {:>14}", value.as_f64().unwrap_or_default());
            }
            for fault in self.faults.iter().take(20) {
                println!("  FAULT: {fault}");
            }
        }
        if count > 0 {
            bail!("{count} faults: the server lost, doubled or reordered something");
        }
        Ok(())
    }
}

pub(crate) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_max(600_000_000, 3)?)
}

/// Records in microseconds the time since `due`.
pub(crate) fn record(latency: &mut Histogram<u64>, due: Instant) {
    latency.saturating_record(u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX));
}

fn micros(value: u64) -> f64 {
    float(value) / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn float(value: u64) -> f64 {
    value as f64
}

pub(crate) fn rate(count: u64, took: Duration) -> f64 {
    float(count) / took.as_secs_f64()
}

/// Shows on a terminal how far it is, at most five times a second.
pub(crate) struct Ticker {
    what: &'static str,
    next: Instant,
    shown: bool,
}

impl Ticker {
    pub(crate) fn new(what: &'static str) -> Self {
        Self {
            what,
            next: Instant::now(),
            shown: std::io::stderr().is_terminal(),
        }
    }

    pub(crate) fn tick(&mut self, done: u64, total: u64) {
        let now = Instant::now();
        if self.shown && now >= self.next {
            self.next = now + Duration::from_millis(200);
            let percent = (done * 100 / total.max(1)).min(100);
            let bar = "#".repeat(usize::try_from(percent / 4).unwrap_or_default());
            let _ = write!(
                std::io::stderr(),
                "\r{:<10} [{bar:<25}] {percent:>3} %\x1b[K",
                self.what
            );
        }
    }
}

/// A bar that fills while a measurement of known length runs.
pub(crate) struct Bar(Option<JoinHandle<()>>);

impl Bar {
    pub(crate) fn of_seconds(what: &'static str, seconds: u64) -> Self {
        let mut ticker = Ticker::new(what);
        let total = seconds * 1000;
        let filling = async move {
            let start = Instant::now();
            loop {
                let done = u64::try_from(start.elapsed().as_millis()).unwrap_or(total);
                ticker.tick(done.min(total), total);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        // Nobody looks: then nothing runs beside the measurement.
        let shown = std::io::stderr().is_terminal();
        Self(shown.then(|| tokio::task::spawn_local(filling)))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
