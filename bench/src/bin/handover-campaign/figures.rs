//! Many times of one thing, in few numbers.

use std::time::Duration;

use baton_handover::report::Report;
use serde_json::{Value, json};

/// Median, quarter points and ends, in milliseconds, and of how many.
pub(crate) fn spread(times: impl IntoIterator<Item = Duration>) -> Value {
    let mut times: Vec<Duration> = times.into_iter().collect();
    times.sort_unstable();
    let Some(last) = times.len().checked_sub(1) else {
        return json!({ "n": 0 });
    };
    json!({
        "n": times.len(),
        "min": ms(times[0]),
        "p25": ms(times[last / 4]),
        "median": ms(times[last / 2]),
        "p75": ms(times[last * 3 / 4]),
        "max": ms(times[last]),
    })
}

/// Milliseconds to the microsecond.
#[allow(clippy::cast_precision_loss, reason = "far below 2^53 microseconds")]
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

/// How long these phases took together.
pub(crate) fn phases(report: &Report, names: &[&str]) -> Duration {
    let wanted = |phase: &&baton_handover::report::PhaseTime| names.contains(&phase.phase.as_str());
    report
        .phases
        .iter()
        .filter(wanted)
        .map(|phase| phase.took)
        .sum()
}

/// The spread of each phase, by name, in their order.
pub(crate) fn by_phase(reports: &[Report]) -> Value {
    let names = reports.first().map(|report| &report.phases);
    let each = names.into_iter().flatten().map(|phase| {
        let times = reports.iter().map(|report| phases(report, &[&phase.phase]));
        (phase.phase.clone(), spread(times))
    });
    Value::Object(each.collect())
}

/// The phases in which connections stand still.
pub(crate) const STILL: [&str; 4] = ["freeze", "transfer", "acquire", "commit"];
