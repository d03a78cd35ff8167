//! Handovers as metrics, for a registry of the program's own.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::report::{Outcome, Report};

/// The smallest bucket of the times, in seconds.
const SHORTEST: f64 = 0.000_1;

/// Each bucket is so many times the one before; fourteen of them reach 1.6 seconds, sixteen 6.5.
const FACTOR: f64 = 2.0;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: String,
}

type PhaseTimes = Family<PhaseLabel, Histogram, fn() -> Histogram>;

/// What is counted. A predecessor counts the handovers it has given, so after a handover the counts begin anew with its successor, as
/// they do after a restart.
#[derive(Debug, Clone)]
pub struct Metrics {
    handovers: Family<OutcomeLabel, Counter>,
    phases: PhaseTimes,
    freeze: Histogram,
    pause: Histogram,
    moved: Family<KindLabel, Counter>,
    draining: Gauge,
    generation: Gauge,
}

impl Metrics {
    /// Registers them, all with the prefix `handover_`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            handovers: Family::default(),
            phases: Family::new_with_constructor(times as fn() -> Histogram),
            freeze: times(),
            pause: times(),
            moved: Family::default(),
            draining: Gauge::default(),
            generation: Gauge::default(),
        };
        // They are there before the first handover, so that a rate can be taken over it.
        for outcome in [
            "handed-over",
            "rehearsed",
            "rolled-back",
            "taken-back",
            "not-restored",
        ] {
            let _ = metrics.handovers.get_or_create(&OutcomeLabel { outcome });
        }
        let registry = registry.sub_registry_with_prefix("handover");
        registry.register(
            "handovers",
            "Handovers that this process gave or tried to give, by how they ended",
            metrics.handovers.clone(),
        );
        registry.register_with_unit(
            "phase",
            "How long each phase of a handover took",
            Unit::Seconds,
            metrics.phases.clone(),
        );
        registry.register_with_unit(
            "freeze",
            "The longest time for which a connection stood still, of each handover",
            Unit::Seconds,
            metrics.freeze.clone(),
        );
        registry.register_with_unit(
            "pause",
            "From the last accept of the predecessor to the first of the successor, of each handover",
            Unit::Seconds,
            metrics.pause.clone(),
        );
        registry.register(
            "moved_connections",
            "Live connections that moved to the successor, by kind",
            metrics.moved.clone(),
        );
        registry.register(
            "draining_generations",
            "Earlier generations that still finish connections",
            metrics.draining.clone(),
        );
        registry.register(
            "generation",
            "The number of this generation",
            metrics.generation.clone(),
        );
        metrics
    }

    /// Counts a handover.
    pub fn record(&self, report: &Report) {
        let outcome = report.outcome.word();
        let _ = self
            .handovers
            .get_or_create(&OutcomeLabel { outcome })
            .inc();
        for phase in &report.phases {
            let label = PhaseLabel {
                phase: phase.phase.clone(),
            };
            let seconds = phase.took.as_secs_f64();
            self.phases.get_or_create(&label).observe(seconds);
        }
        if let Some(freeze) = report.longest_freeze {
            self.freeze.observe(freeze.as_secs_f64());
        }
        if let Some(pause) = report.pause {
            self.pause.observe(pause.as_secs_f64());
        }
        if report.outcome == Outcome::HandedOver {
            for (kind, count) in &report.moved {
                let label = KindLabel { kind: kind.clone() };
                let _ = self.moved.get_or_create(&label).inc_by(*count);
            }
        }
    }

    /// Sets how many earlier generations still drain.
    pub fn set_draining(&self, generations: usize) {
        self.draining
            .set(i64::try_from(generations).unwrap_or(i64::MAX));
    }

    /// Sets the number of this generation.
    pub fn set_generation(&self, generation: u64) {
        self.generation
            .set(i64::try_from(generation).unwrap_or(i64::MAX));
    }
}

fn times() -> Histogram {
    Histogram::new(exponential_buckets(SHORTEST, FACTOR, 16))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::full;

    fn text(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    }

    #[test]
    fn handovers_are_counted_by_outcome() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let before = text(&registry);
        assert!(before.contains("handover_handovers_total{outcome=\"rolled-back\"} 0"));

        let mut report = full();
        metrics.record(&report);
        report.outcome = Outcome::RolledBack {
            phase: "freeze".to_owned(),
            reason: "no".to_owned(),
        };
        metrics.record(&report);
        metrics.set_draining(2);
        metrics.set_generation(7);
        let after = text(&registry);
        for line in [
            "handover_handovers_total{outcome=\"handed-over\"} 1",
            "handover_handovers_total{outcome=\"rolled-back\"} 1",
            "handover_phase_seconds_count{phase=\"freeze\"} 2",
            "handover_freeze_seconds_count 2",
            "handover_pause_seconds_sum 0.0017",
            "handover_moved_connections_total{kind=\"rooms\"} 1000",
            "handover_draining_generations 2",
            "handover_generation 7",
        ] {
            assert!(after.contains(line), "{line} in:\n{after}");
        }
    }
}
