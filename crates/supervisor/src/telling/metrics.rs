//! The figures for Prometheus, in the `OpenMetrics` text format.
//!
//! What is counted comes from the events; everything else is read from the status at each scrape,
//! so a figure that is not known is absent and never a misleading zero.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tokio::sync::watch;

use super::change::How;
use super::event::Event;
use super::outlet::Losses;
use super::status::{NodeState, Status};
use super::time::Time;

/// The media type of the text.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = [(&'static str, String); 1];

/// All figures.
#[derive(Clone)]
pub(super) struct Metrics(Arc<Figures>);

struct Figures {
    registry: Registry,
    node_starts: Counter,
    node_exits: Family<Labels, Counter>,
    node_restarts: Counter,
    upgrades: Family<Labels, Counter>,
    changes: Family<Labels, Counter>,
    backups: Counter,
    fetched: Counter,
    fetch_failures: Counter,
    events: Family<Labels, Counter>,
    hook_runs: Family<Labels, Counter>,
    webhook_posts: Family<Labels, Counter>,
}

impl Metrics {
    /// The figures of what `status` tells and of these losses.
    pub(super) fn new(status: watch::Receiver<Status>, losses: Vec<Losses>) -> Self {
        let mut figures = Figures {
            registry: Registry::with_prefix("baton"),
            node_starts: Counter::default(),
            node_exits: Family::default(),
            node_restarts: Counter::default(),
            upgrades: Family::default(),
            changes: Family::default(),
            backups: Counter::default(),
            fetched: Counter::default(),
            fetch_failures: Counter::default(),
            events: Family::default(),
            hook_runs: Family::default(),
            webhook_posts: Family::default(),
        };
        let version = status.borrow().supervisor.version.clone();
        figures.register(version);
        figures
            .registry
            .register_collector(Box::new(Standing { status, losses }));
        Self(Arc::new(figures))
    }

    /// Counts an event.
    pub(super) fn count(&self, event: &Event) {
        let figures = &self.0;
        if event.is_kept() {
            // Kinds that this version does not know could be any number of them.
            let kind = match event {
                Event::Other(_) => "other",
                known => known.kind(),
            };
            add(&figures.events, "kind", kind);
        }
        match event {
            Event::NodeStarted { .. } => {
                figures.node_starts.inc();
            }
            Event::NodeExited { code, .. } => {
                let how = match code {
                    Some(0) => "clean",
                    Some(_) => "code",
                    None => "signal",
                };
                add(&figures.node_exits, "how", how);
            }
            Event::NodeRestarting { .. } => {
                figures.node_restarts.inc();
            }
            Event::UpgradeConfirmed { .. } => add(&figures.upgrades, "result", "confirmed"),
            Event::UpgradeFailed { .. } | Event::UpgradeStands { .. } => {
                add(&figures.upgrades, "result", "failed");
            }
            Event::NodeChanged { change, .. } => add(&figures.changes, "how", how(change.how)),
            Event::HandoverFailed { .. } => add(&figures.changes, "how", "failed"),
            Event::RolledBack { .. } => add(&figures.upgrades, "result", "rolled-back"),
            Event::BackupMade { .. } => {
                figures.backups.inc();
            }
            Event::PrefetchFinished { bytes, .. } => {
                figures.fetched.inc_by(*bytes);
            }
            Event::PrefetchFailed { .. } => {
                figures.fetch_failures.inc();
            }
            _ => {}
        }
    }

    /// The hook was run, with this result.
    pub(super) fn hook_ran(&self, result: &'static str) {
        add(&self.0.hook_runs, "result", result);
    }

    /// The webhook was told, with this result.
    pub(super) fn webhook_told(&self, result: &'static str) {
        add(&self.0.webhook_posts, "result", result);
    }

    /// The text for a scrape.
    pub(super) fn render(&self) -> String {
        let mut text = String::with_capacity(8 << 10);
        encode(&mut text, &self.0.registry).expect("a String takes any text");
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

fn how(way: How) -> &'static str {
    match way {
        How::HandedOver => "handed-over",
        How::StoppedAndStarted => "stopped-and-started",
    }
}

fn add(family: &Family<Labels, Counter>, label: &'static str, value: &str) {
    family.get_or_create(&[(label, value.to_owned())]).inc();
}

impl Figures {
    fn register(&mut self, version: String) {
        // A series that begins with its first event would hide that event from `increase()`.
        for result in ["confirmed", "failed", "rolled-back"] {
            drop(
                self.upgrades
                    .get_or_create(&[("result", result.to_owned())]),
            );
        }
        for how in ["clean", "code", "signal"] {
            drop(self.node_exits.get_or_create(&[("how", how.to_owned())]));
        }
        for how in ["handed-over", "stopped-and-started", "failed"] {
            drop(self.changes.get_or_create(&[("how", how.to_owned())]));
        }
        let r = &mut self.registry;
        r.register(
            "build",
            "The supervisor's version",
            Info::new([("version", version)]),
        );
        r.register(
            "node_starts",
            "Processes of the node started",
            self.node_starts.clone(),
        );
        r.register(
            "node_exits",
            "Processes of the node ended, by code 0, another code or a signal",
            self.node_exits.clone(),
        );
        r.register(
            "node_restarts",
            "Restarts of a node that had ended by itself",
            self.node_restarts.clone(),
        );
        r.register(
            "upgrades",
            "Upgrades ended, by result",
            self.upgrades.clone(),
        );
        r.register(
            "node_changes",
            "Times that one process of the node made room for another, by way; or was to and did not",
            self.changes.clone(),
        );
        r.register("backups", "Backups made", self.backups.clone());
        r.register_with_unit(
            "fetched",
            "Bytes of binaries fetched",
            Unit::Bytes,
            self.fetched.clone(),
        );
        r.register(
            "fetch_failures",
            "Binaries that could not be fetched",
            self.fetch_failures.clone(),
        );
        r.register("events", "Events, by kind", self.events.clone());
        r.register(
            "hook_runs",
            "Runs of BATON_HOOK, by result",
            self.hook_runs.clone(),
        );
        r.register(
            "webhook_posts",
            "Events given to BATON_WEBHOOK, by result",
            self.webhook_posts.clone(),
        );
    }
}

/// What is read from the status at each scrape.
#[derive(Debug)]
struct Standing {
    status: watch::Receiver<Status>,
    losses: Vec<Losses>,
}

impl Collector for Standing {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let status = self.status.borrow();
        let mut out = Gauges(encoder);
        node(&mut out, &status)?;
        change(&mut out, &status)?;
        plan(&mut out, &status)?;
        upgrades(&mut out, &status)?;
        let mut dropped = out.0.encode_descriptor(
            "events_dropped",
            "Events lost on their way to the history, the hook or the webhook.",
            None,
            MetricType::Counter,
        )?;
        for losses in &self.losses {
            let labels = [("outlet", losses.outlet())];
            ConstCounter::new(losses.total()).encode(dropped.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn node(out: &mut Gauges<'_>, status: &Status) -> fmt::Result {
    let node = &status.node;
    out.seconds(
        "supervisor_start_timestamp",
        "When the supervisor started",
        Some(status.supervisor.since.unix_seconds()),
    )?;
    let is_up = matches!(node.state, NodeState::Running | NodeState::Stopping);
    out.number(
        "node_up",
        "1 while the node's process runs",
        u64::from(is_up),
    )?;
    out.number(
        "node_ready",
        "1 while the node runs and no upgrade is under way",
        u64::from(status.is_ready()),
    )?;
    out.number(
        "node_generation",
        "Which process in the line of processes runs",
        node.generation,
    )?;
    let started = node.since.filter(|_| node.state == NodeState::Running);
    out.seconds(
        "node_start_timestamp",
        "When the running process of the node was started",
        started.map(Time::unix_seconds),
    )?;
    if let Some(height) = node.height {
        out.number("node_height", "The last height read from the node", height)?;
    }
    out.seconds(
        "node_height_timestamp",
        "When the height was read",
        node.height_at.map(Time::unix_seconds),
    )?;
    out.seconds(
        "node_block_time",
        "The mean time of the last blocks",
        node.block_time_ms.map(ms),
    )?;
    out.seconds(
        "last_error_timestamp",
        "When something last went wrong",
        status.last_error.as_ref().map(|e| e.at.unix_seconds()),
    )
}

fn change(out: &mut Gauges<'_>, status: &Status) -> fmt::Result {
    out.number(
        "upgrade_stands",
        "1 while an upgrade has failed and the old node answers on at its height",
        u64::from(status.standing.is_some()),
    )?;
    let last = status.last_change.as_ref();
    out.seconds(
        "last_change_timestamp",
        "When one process of the node last made room for another",
        last.map(|last| last.at.unix_seconds()),
    )?;
    out.seconds(
        "last_change_pause",
        "For how long nobody accepted connections then",
        last.map(|last| last.change.pause.as_secs_f64()),
    )
}

fn plan(out: &mut Gauges<'_>, status: &Status) -> fmt::Result {
    let Some(plan) = &status.plan else {
        return Ok(());
    };
    let name = [("name", plan.name.as_str())];
    out.labelled(
        "plan_height",
        "The height of the pending plan",
        &name,
        plan.height,
    )?;
    out.labelled(
        "plan_fetched",
        "1 once the planned binary is in place",
        &name,
        u64::from(plan.fetched),
    )?;
    if let Some(blocks) = plan.blocks_to_go {
        out.labelled(
            "plan_blocks_to_go",
            "Blocks until the plan is due",
            &name,
            blocks,
        )?;
    }
    let due = status.node.height_at.zip(plan.estimated_seconds);
    out.seconds(
        "plan_due_timestamp",
        "When the plan is due at the pace of the last blocks",
        due.map(|(at, seconds)| {
            at.after(std::time::Duration::from_secs(seconds))
                .unix_seconds()
        }),
    )?;
    if let Some(disk) = plan.disk {
        out.bytes(
            "plan_disk_needed",
            "Room that the upgrade needs",
            disk.needed,
        )?;
        out.bytes("plan_disk_free", "Room that there is for it", disk.free)?;
    }
    Ok(())
}

fn upgrades(out: &mut Gauges<'_>, status: &Status) -> fmt::Result {
    out.number(
        "upgrade_in_progress",
        "1 while an upgrade is under way",
        u64::from(status.upgrade.is_some()),
    )?;
    let last = status.last_upgrade.as_ref();
    out.seconds(
        "last_upgrade_timestamp",
        "When the last upgrade ended",
        last.map(|u| u.at.unix_seconds()),
    )?;
    out.seconds(
        "last_upgrade_pause",
        "For how long no node ran during the last confirmed upgrade",
        last.and_then(|u| u.pause_ms).map(ms),
    )?;
    out.seconds(
        "last_upgrade_duration",
        "The last confirmed upgrade, from due to confirmed",
        last.and_then(|u| u.total_ms).map(ms),
    )?;
    let steps = match (&status.upgrade, last) {
        (Some(now), _) => now.steps.as_slice(),
        (None, Some(last)) => last.steps.as_slice(),
        (None, None) => &[],
    };
    if !steps.is_empty() {
        let mut family = out.0.encode_descriptor(
            "upgrade_step",
            "Each step of the upgrade under way, or else of the last one.",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        for step in steps {
            let labels = [("step", step.step.as_str())];
            ConstGauge::new(step.took.as_secs_f64()).encode(family.encode_family(&labels)?)?;
        }
    }
    let Some(backup) = status.backups.last() else {
        return Ok(());
    };
    out.bytes("last_backup", "What the last backup holds", backup.bytes)?;
    out.seconds(
        "last_backup_duration",
        "How long the last backup took",
        Some(backup.took.as_secs_f64()),
    )?;
    out.seconds(
        "last_backup_timestamp",
        "When the last backup was made",
        Some(backup.at.unix_seconds()),
    )
}

struct Gauges<'a>(DescriptorEncoder<'a>);

impl Gauges<'_> {
    fn number(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let encoder =
            self.0
                .encode_descriptor(name, &format!("{help}."), None, MetricType::Gauge)?;
        ConstGauge::new(whole(value)).encode(encoder)
    }

    fn labelled(
        &mut self,
        name: &str,
        help: &str,
        labels: &impl EncodeLabelSet,
        value: u64,
    ) -> fmt::Result {
        let mut encoder =
            self.0
                .encode_descriptor(name, &format!("{help}."), None, MetricType::Gauge)?;
        ConstGauge::new(whole(value)).encode(encoder.encode_family(labels)?)
    }

    fn bytes(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let help = format!("{help}.");
        let encoder =
            self.0
                .encode_descriptor(name, &help, Some(&Unit::Bytes), MetricType::Gauge)?;
        ConstGauge::new(whole(value)).encode(encoder)
    }

    /// Nothing if the value is not known.
    fn seconds(&mut self, name: &str, help: &str, value: Option<f64>) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        let help = format!("{help}.");
        let encoder =
            self.0
                .encode_descriptor(name, &help, Some(&Unit::Seconds), MetricType::Gauge)?;
        ConstGauge::new(value).encode(encoder)
    }
}

fn ms(ms: u64) -> f64 {
    std::time::Duration::from_millis(ms).as_secs_f64()
}

/// Whole gauges are signed.
fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
