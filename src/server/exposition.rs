//! `GET /metrics`: what all parts count, in the words of Prometheus. For whoever is on this machine, or has the admin key.

use std::fmt;
use std::time::SystemTime;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::counts::Counts;
use super::tls::TlsFigures;
use crate::chat::{Footprint, Load, StorageState};
use crate::metrics::{Durations, Edge, Process, Totals, Volume};

/// Everything at one moment.
#[derive(Debug)]
pub(super) struct Exposition {
    pub(super) counts: Counts,
    pub(super) load: Load,
    pub(super) totals: Totals,
    pub(super) process: Option<Process>,
    pub(super) tls: Option<TlsFigures>,
    pub(super) footprint: Option<Footprint>,
    /// By what is kept in it.
    pub(super) volumes: [(&'static str, Option<Volume>); 2],
    pub(super) started: SystemTime,
}

/// Refusals that are the server's own fault. They are told before the first one: Prometheus sees no rise in what was not there.
const FAULTS: [(Edge, &str); 6] = [
    (Edge::Rest, "internal_error"),
    (Edge::Rest, "unavailable"),
    (Edge::Rest, "storage_full"),
    (Edge::Socket, "internal_error"),
    (Edge::Socket, "unavailable"),
    (Edge::Socket, "storage_full"),
];

/// The content type of [`Exposition::text`].
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Exposition {
    /// The text of version 1.0 of the open format, which every Prometheus since 2.5 reads.
    pub(super) fn text(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }

    fn connections(&self, out: &mut Writer<'_, '_>) -> fmt::Result {
        let Counts {
            connections,
            sessions,
            refused_sessions,
            closed_sessions,
            sockets,
            rooms,
            recovery: _,
            recovered_sockets,
        } = &self.counts;
        out.gauge("connections", "TCP connections", connections.open)?;
        out.counter(
            "connections_refused",
            "TCP connections refused because their address had too many",
            connections.refused,
        )?;
        let sessions = [
            ("polling", sessions.polling),
            ("websocket", sessions.websocket),
        ];
        out.gauges("sessions", "Clients connected", "transport", &sessions)?;
        out.counter(
            "sessions_refused",
            "Clients refused for want of a place",
            *refused_sessions,
        )?;
        let reasons = closed_sessions
            .iter()
            .map(|(reason, count)| ([("reason", *reason)], *count));
        out.counters(
            "sessions_closed",
            "Clients gone, slow consumers among them",
            reasons,
        )?;
        out.gauge("sockets", "Sockets of users", *sockets)?;
        out.gauge("rooms", "Rooms with somebody in them", *rooms)?;
        out.counter(
            "sockets_recovered",
            "Sockets that their clients have had back after a break",
            *recovered_sockets,
        )?;
        out.gauge("users_online", "Users with a socket", self.load.online)
    }

    fn tls(&self, out: &mut Writer<'_, '_>) -> fmt::Result {
        let Some(tls) = self.tls else {
            return Ok(());
        };
        out.counter(
            "tls_handshakes_failed",
            "Connections that never came to a request",
            tls.failed_handshakes,
        )?;
        let since_epoch = |end: SystemTime| end.duration_since(SystemTime::UNIX_EPOCH).ok();
        let Some(end) = tls.ends.and_then(since_epoch) else {
            return Ok(());
        };
        let mut metric = out.begin(
            "tls_certificate_end",
            "When the certificate ends, since the epoch",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        metric.encode_gauge(&end.as_secs())
    }

    fn chat(&self, out: &mut Writer<'_, '_>) -> fmt::Result {
        let totals = &self.totals;
        let messages = totals
            .messages
            .iter()
            .map(|(kind, count)| ([("type", *kind)], *count));
        out.counters("messages", "Messages sent", messages)?;
        out.counter("chats_created", "Chats opened", totals.chats_opened)?;
        out.histogram(
            "delivery",
            "From the receipt of a message to its last place in a queue",
            &totals.latency,
        )?;
        out.histogram(
            "commit",
            "From the write of a group of changes to the end of its sync",
            &self.load.commits,
        )?;
        let mut refusals = totals.refusals.clone();
        for (edge, code) in FAULTS {
            refusals.entry((edge, code)).or_default();
        }
        let errors = refusals
            .iter()
            .map(|((edge, code), count)| ([("edge", edge.as_str()), ("code", *code)], *count));
        out.counters("errors", "Refusals", errors)?;
        let queues = [("write", self.load.jobs), ("deliver", self.load.events)];
        out.gauges(
            "queue_depth",
            "What waits for the writer or for delivery",
            "queue",
            &queues,
        )?;
        let is_writable = self.load.storage == StorageState::Ok;
        out.gauge(
            "storage_writable",
            "1 while writes are taken",
            usize::from(is_writable),
        )
    }

    fn storage(&self, out: &mut Writer<'_, '_>) -> fmt::Result {
        if let Some(Footprint { journal, index }) = self.footprint {
            out.bytes("journal", "The journal on disk", journal)?;
            out.bytes("index", "The index on disk", index)?;
        }
        let known = || {
            let volumes = self.volumes.iter();
            volumes.filter_map(|(holds, volume)| Some((*holds, (*volume)?)))
        };
        if known().next().is_none() {
            return Ok(());
        }
        out.volumes(
            "disk_free",
            "What may still be written to the file system",
            known().map(|(holds, volume)| (holds, volume.free)),
        )?;
        out.volumes(
            "disk_size",
            "The file system as a whole",
            known().map(|(holds, volume)| (holds, volume.size)),
        )
    }

    /// Under the names that every exporter uses.
    fn process(&self, out: &mut Writer<'_, '_>) -> fmt::Result {
        let started = self.started.duration_since(SystemTime::UNIX_EPOCH);
        let mut metric = out.begin(
            "start_time",
            "When the server began to serve, since the epoch",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        metric.encode_gauge(&started.unwrap_or_default().as_secs_f64())?;
        let Some(process) = self.process else {
            return Ok(());
        };
        let mut metric = out.begin(
            "cpu",
            "Time on a processor",
            Some(&Unit::Seconds),
            MetricType::Counter,
        )?;
        metric.encode_counter::<NoLabelSet, _, u64>(&process.cpu.as_secs_f64(), None)?;
        let mut metric = out.begin(
            "resident_memory",
            "Memory in RAM",
            Some(&Unit::Bytes),
            MetricType::Gauge,
        )?;
        metric.encode_gauge(&process.resident_bytes)?;
        out.gauge("open_fds", "Open files and sockets", process.open_files)?;
        match process.max_files {
            Some(limit) => out.gauge("max_fds", "Files and sockets that may be open", limit),
            None => Ok(()),
        }
    }
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Writer {
            encoder: &mut encoder,
            prefix: "jivchat",
            name: String::new(),
        };
        let version = [(env!("CARGO_PKG_VERSION"), 1)];
        out.gauges(
            "build_info",
            "1, with the version that runs",
            "version",
            &version,
        )?;
        self.connections(&mut out)?;
        self.tls(&mut out)?;
        self.chat(&mut out)?;
        self.storage(&mut out)?;
        out.prefix = "process";
        self.process(&mut out)
    }
}

/// Writes metric after metric, each with its help and type.
struct Writer<'w, 'e> {
    encoder: &'w mut DescriptorEncoder<'e>,
    prefix: &'static str,
    name: String,
}

impl Writer<'_, '_> {
    fn begin<'s>(
        &'s mut self,
        name: &str,
        help: &str,
        unit: Option<&'s Unit>,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.name = format!("{}_{name}", self.prefix);
        self.encoder.encode_descriptor(&self.name, help, unit, kind)
    }

    fn gauge(&mut self, name: &str, help: &str, value: usize) -> fmt::Result {
        let mut metric = self.begin(name, help, None, MetricType::Gauge)?;
        metric.encode_gauge(&(value as u64))
    }

    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        rows: &[(&str, usize)],
    ) -> fmt::Result {
        let mut metric = self.begin(name, help, None, MetricType::Gauge)?;
        for (value, count) in rows {
            metric
                .encode_family(&[(label, *value)])?
                .encode_gauge(&(*count as u64))?;
        }
        Ok(())
    }

    fn bytes(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self.begin(name, help, Some(&Unit::Bytes), MetricType::Gauge)?;
        metric.encode_gauge(&value)
    }

    /// Bytes of file systems, by what is kept there.
    fn volumes(
        &mut self,
        name: &str,
        help: &str,
        rows: impl Iterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        let mut metric = self.begin(name, help, Some(&Unit::Bytes), MetricType::Gauge)?;
        for (holds, bytes) in rows {
            metric
                .encode_family(&[("holds", holds)])?
                .encode_gauge(&bytes)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self.begin(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn counters<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl Iterator<Item = ([(&'l str, &'l str); N], u64)>,
    ) -> fmt::Result {
        let mut metric = self.begin(name, help, None, MetricType::Counter)?;
        for (labels, count) in rows {
            metric
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, reading: &Durations) -> fmt::Result {
        let mut metric = self.begin(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        metric.encode_histogram::<NoLabelSet>(reading.sum, reading.count, &reading.steps, None)
    }
}
