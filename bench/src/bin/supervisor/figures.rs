//! Medians, and the line that tells them.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// Measured values of one thing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    /// Adds one.
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Adds the time between two stamps, in milliseconds.
    pub(crate) fn push_span(&mut self, from_ns: u64, to_ns: u64) -> Result<()> {
        let span = to_ns
            .checked_sub(from_ns)
            .context("what should come after comes before")?;
        #[expect(clippy::cast_precision_loss, reason = "a span of hours still fits")]
        self.push(span as f64 / 1e6);
        Ok(())
    }

    /// The value in the middle; 0 without any.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => 0.0,
            n if n % 2 == 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        }
    }

    /// Median, least and greatest.
    pub(crate) fn to_json(&self) -> Value {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        json!({
            "median": round(self.median()),
            "min": round(least),
            "max": round(greatest),
        })
    }
}

/// Values by what they are of, in the order in which these first came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table(Vec<(String, Series)>);

impl Table {
    /// The series of this name.
    pub(crate) fn of(&mut self, name: &str) -> &mut Series {
        let at = self.0.iter().position(|(known, _)| known == name);
        let at = at.unwrap_or_else(|| {
            self.0.push((name.to_owned(), Series::default()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    /// All of them.
    pub(crate) fn to_json(&self) -> Value {
        let all = self.0.iter();
        Value::Object(
            all.map(|(name, series)| (name.clone(), series.to_json()))
                .collect(),
        )
    }

    /// Only the medians.
    pub(crate) fn medians(&self) -> Value {
        let all = self.0.iter();
        Value::Object(
            all.map(|(name, series)| (name.clone(), round(series.median()).into()))
                .collect::<Map<_, _>>(),
        )
    }

    /// How many times the peer's median is ours, if there is a peer.
    pub(crate) fn ratio(&mut self) -> Option<f64> {
        let peer = self.0.iter().find(|(name, _)| name == "peer")?.1.median();
        let ours = self.of("ours").median();
        (ours > 0.0).then(|| round(peer / ours))
    }
}

/// To three places.
pub(crate) fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
