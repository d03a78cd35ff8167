//! How one process of the node made room for the next, as data.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::{micros, millis};
use super::words;

/// Which way was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// The old process answered until the new one had taken over its sockets, connections and data.
    HandedOver,
    /// The old process was stopped, then the new one started.
    StoppedAndStarted,
}

impl How {
    /// In the operator's words.
    pub fn text(self) -> &'static str {
        match self {
            Self::HandedOver => "handed over",
            Self::StoppedAndStarted => "stopped and started",
        }
    }
}

/// One process made room for the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What for: `reload`, `upgrade v2`.
    pub why: String,
    /// Which way was used.
    pub how: How,
    /// The old process.
    pub from: u32,
    /// The new one.
    pub to: u32,
    /// The release's directory below `cosmovisor/`, such as `upgrades/v2`.
    pub release: String,
    /// The binary.
    pub binary: PathBuf,
    /// All of it.
    #[serde(rename = "took_ms", with = "millis")]
    pub took: Duration,
    /// For how long nobody accepted a connection (they waited in the kernel), or no node ran.
    #[serde(rename = "pause_us", with = "micros")]
    pub pause: Duration,
    /// The longest time for which a connection stood still.
    #[serde(default)]
    pub longest_freeze_us: Option<u64>,
    /// The connections that moved, by kind.
    #[serde(default)]
    pub moved: BTreeMap<String, u64>,
    /// The phases, in their order.
    #[serde(default)]
    pub phases: Vec<Phase>,
}

/// One phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Its name, as in the protocol.
    pub phase: String,
    /// How long it took.
    #[serde(rename = "took_us", with = "micros")]
    pub took: Duration,
}

impl Change {
    /// The one line that says it.
    pub fn sentence(&self) -> String {
        let moved: u64 = self.moved.values().sum();
        let pause = words::short(self.pause);
        let meanwhile = match self.how {
            How::HandedOver => {
                format!("nobody accepted for {pause}, {moved} connections moved")
            }
            How::StoppedAndStarted => format!("without a node for {pause}"),
        };
        format!(
            "{}: {} from pid {} to pid {} in {}, {meanwhile}",
            self.why,
            self.how.text(),
            self.from,
            self.to,
            words::short(self.took)
        )
    }
}
