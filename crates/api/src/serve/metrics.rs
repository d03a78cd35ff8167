//! Figures for Prometheus.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicI64, AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{parts::Figure, table::Table};

/// Limits of the buckets of answers' times, in seconds.
const SECONDS: [f64; 9] = [0.000_1, 0.000_5, 0.002, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0];

/// What is counted.
pub(crate) struct Metrics {
    registry: Registry,
    /// By place in the table.
    endpoints: Vec<PerEndpoint>,
    /// Requests for paths that are not there, and the pages.
    pub(crate) elsewhere: Counter,
    pub(crate) unauthenticated: Counter,
    pub(crate) over_limit: Counter,
    pub(crate) cached: Counter,
    pub(crate) websockets: Gauge,
    pub(crate) dropped_notifications: Counter,
    height: Gauge<u64, AtomicU64>,
    highest_height: Gauge<u64, AtomicU64>,
    peers: Gauge<i64, AtomicI64>,
    pool_transactions: Gauge<i64, AtomicI64>,
    pool_bytes: Gauge<i64, AtomicI64>,
    wallet_height: Gauge<u64, AtomicU64>,
    mining: Gauge,
    ready: Gauge,
    in_hand: Gauge<i64, AtomicI64>,
}

struct PerEndpoint {
    requests: Counter,
    faults: Counter,
    seconds: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    endpoint: &'static str,
}

/// What is looked up when the figures are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Now {
    pub(crate) height: u64,
    pub(crate) highest_height: u64,
    pub(crate) peers: usize,
    pub(crate) pool_transactions: usize,
    pub(crate) pool_bytes: usize,
    pub(crate) wallet_height: Option<u64>,
    pub(crate) mining: bool,
    pub(crate) ready: bool,
    pub(crate) in_hand: usize,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("baton_api");
        let requests = Family::<Label, Counter>::default();
        let faults = Family::<Label, Counter>::default();
        let seconds = Family::<Label, Histogram>::new_with_constructor(|| Histogram::new(SECONDS));
        registry.register("requests", "Requests that were answered", requests.clone());
        registry.register("faults", "Requests that were refused", faults.clone());
        registry.register_with_unit(
            "response",
            "Time from a request's body to its answer",
            Unit::Seconds,
            seconds.clone(),
        );
        let endpoints = Table::get()
            .endpoints
            .iter()
            .map(|endpoint| {
                let label = Label {
                    endpoint: endpoint.path,
                };
                PerEndpoint {
                    requests: requests.get_or_create(&label).clone(),
                    faults: faults.get_or_create(&label).clone(),
                    seconds: seconds.get_or_create(&label).clone(),
                }
            })
            .collect();
        let metrics = Self {
            endpoints,
            elsewhere: Counter::default(),
            unauthenticated: Counter::default(),
            over_limit: Counter::default(),
            cached: Counter::default(),
            websockets: Gauge::default(),
            dropped_notifications: Counter::default(),
            height: Gauge::default(),
            highest_height: Gauge::default(),
            peers: Gauge::default(),
            pool_transactions: Gauge::default(),
            pool_bytes: Gauge::default(),
            wallet_height: Gauge::default(),
            mining: Gauge::default(),
            ready: Gauge::default(),
            in_hand: Gauge::default(),
            registry: Registry::default(),
        };
        macro_rules! register {
            ($($field:ident: $doc:literal),* $(,)?) => {
                $(registry.register(stringify!($field), $doc, metrics.$field.clone());)*
            };
        }
        register! {
            elsewhere: "Requests for pages and for paths that are not there",
            unauthenticated: "Requests that were not let in",
            over_limit: "Requests that were refused because too many were in hand",
            cached: "Answers that were given again because they still held",
            websockets: "WebSockets",
            dropped_notifications: "Notifications that slow WebSockets did not get",
            height: "Height of the last block",
            highest_height: "Greatest height that is known of",
            peers: "Peers",
            pool_transactions: "Transactions in the pool",
            pool_bytes: "Bytes of the transactions in the pool",
            wallet_height: "Height of the last block that the wallet has seen",
            mining: "Whether this node proposes blocks",
            ready: "Whether this node can be sent work",
            in_hand: "Requests in hand",
        }
        Self {
            registry,
            ..metrics
        }
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, endpoint: usize, is_fault: bool, took: Duration) {
        let counters = &self.endpoints[endpoint];
        counters.requests.inc();
        if is_fault {
            counters.faults.inc();
        }
        counters.seconds.observe(took.as_secs_f64());
    }

    /// All figures, in OpenMetrics' text.
    pub(crate) fn text(&self, now: Now, others: &[Figure]) -> String {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.height.set(now.height);
        self.highest_height.set(now.highest_height);
        self.peers.set(count(now.peers));
        self.pool_transactions.set(count(now.pool_transactions));
        self.pool_bytes.set(count(now.pool_bytes));
        self.wallet_height
            .set(now.wallet_height.unwrap_or_default());
        self.mining.set(now.mining.into());
        self.ready.set(now.ready.into());
        self.in_hand.set(count(now.in_hand));
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a text takes all");
        text.truncate(text.trim_end_matches(END).len());
        write(&mut text, others).expect("a text takes all");
        text.push_str(END);
        text
    }
}

/// What the text ends with.
const END: &str = "# EOF\n";

/// Writes figures as the registry does.
fn write(text: &mut String, figures: &[Figure]) -> std::fmt::Result {
    let mut before = None;
    for figure in figures {
        let Figure {
            name, help, value, ..
        } = figure;
        if before != Some(name) {
            let kind = if figure.grows { "counter" } else { "gauge" };
            writeln!(
                text,
                "# HELP baton_{name} {help}.\n# TYPE baton_{name} {kind}"
            )?;
            before = Some(name);
        }
        let total = if figure.grows { "_total" } else { "" };
        write!(text, "baton_{name}{total}")?;
        if let Some((label, of)) = figure.label {
            write!(text, "{{{label}=\"{of}\"}}")?;
        }
        writeln!(text, " {value}")?;
    }
    Ok(())
}

/// The type of the figures' text.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_others_stand_before_the_end_of_the_text() {
        let mut text = String::new();
        let figure = |label, value| Figure {
            name: "network_received",
            help: "Messages received",
            grows: true,
            label: Some(("topic", label)),
            value,
        };
        write(&mut text, &[figure("consensus", 1), figure("proposals", 2)]).unwrap();
        assert_eq!(
            text,
            "# HELP baton_network_received Messages received.\n# TYPE baton_network_received counter\n\
             baton_network_received_total{topic=\"consensus\"} 1\n\
             baton_network_received_total{topic=\"proposals\"} 2\n"
        );
    }
}
