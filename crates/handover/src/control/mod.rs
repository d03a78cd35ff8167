//! What a running server can be asked, and what it answers.
//!
//! A client connects to the socket of a generation in the control directory and sends one request. Status is answered at once, an
//! upgrade or a roll-back by progress and then an end. `join` turns the connection into the channel of a handover;
//! `introduce` brings the channel along. Who asks is known from the kernel: the server's own user or root, nobody else.
//!
//! Requests and replies are JSON, so that a newer command can talk to an older server and the other way round: keys that are not known
//! are ignored, a request that is not known is refused in words.

mod client;
mod server;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::report::{Report, UnixMillis, maybe_micros, micros};

pub(crate) use self::client::join;
pub use self::client::{ControlError, Found, generations, introduce, roll_back, status, upgrade};
pub(crate) use self::server::{Incoming, Requester, Server};

/// The version of requests and replies.
pub const VERSION: u32 = 1;

/// A handover that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UpgradeRequest {
    /// The successor's executable, as an absolute path; the server's own if there is none.
    #[serde(default)]
    pub exec: Option<PathBuf>,
    /// The successor's arguments; the server's own if there are none.
    #[serde(default)]
    pub arguments: Option<Vec<String>>,
    /// Take everything back just before the commit.
    #[serde(default)]
    pub dry_run: bool,
    /// How long the successor may take until it is warm; the server's own setting if there is none.
    #[serde(rename = "timeout_us", with = "maybe_micros", default)]
    pub timeout: Option<Duration>,
    /// Keep the predecessor asleep after the commit.
    #[serde(default)]
    pub staged: bool,
}

/// A successor that a supervisor has started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// Its process.
    pub pid: u32,
    /// The nonce it was started with.
    pub nonce: String,
    /// How long it may take until it is warm; the server's own setting if there is none.
    #[serde(rename = "timeout_us", with = "maybe_micros", default)]
    pub timeout: Option<Duration>,
    /// Take everything back just before the commit.
    #[serde(default)]
    pub dry_run: bool,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub(crate) enum Request {
    Status,
    Upgrade(UpgradeRequest),
    RollBack,
    Join,
    Introduce(Introduction),
}

/// A request as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) version: u32,
    #[serde(flatten)]
    pub(crate) request: Request,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub(crate) enum Reply {
    Status(Box<Generation>),
    Progress(Progress),
    Report(Box<Report>),
    Busy(Busy),
    /// It will not be done, and nothing was.
    Refused {
        reason: String,
    },
    /// Done, and there is nothing more to tell.
    Done,
}

/// How far a handover is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The phase that begins, as in the protocol.
    pub phase: String,
    /// What is being waited for, in words.
    #[serde(default)]
    pub detail: String,
}

/// A handover runs already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    /// Who or what asked for it.
    pub asked_by: String,
    /// When it began.
    #[serde(rename = "since_unix_ms")]
    pub since: UnixMillis,
    /// The generation that is to take over.
    pub to: u64,
    /// The phase it is in.
    pub phase: String,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a handover to generation {} has been running for {} s (asked by {}; phase {})",
            self.to,
            self.since.ago().as_secs(),
            self.asked_by,
            self.phase
        )
    }
}

/// A listener, socket or file that can be shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareableStatus {
    /// Its name.
    pub name: String,
    /// Its address or path, with its kind, as in `tcp 0.0.0.0:80`.
    pub address: String,
}

/// An exclusive resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExclusiveStatus {
    /// Its name.
    pub name: String,
    /// Whether this generation has it now.
    pub held: bool,
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateStatus {
    /// Its name.
    pub name: String,
    /// The version in which it would be written.
    pub version: u32,
}

/// Connections that moved in, or came back after the last roll-back, and are served again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenUp {
    /// How many, so far.
    pub connections: u64,
    /// The longest time that one of them stood still: from its predecessor's last look at it to its being served again.
    #[serde(rename = "longest_freeze_us", with = "micros")]
    pub longest_freeze: Duration,
}

/// How one generation stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// The server's name.
    pub name: String,
    /// Its number.
    pub generation: u64,
    /// Its process.
    pub pid: u32,
    /// Its executable.
    #[serde(default)]
    pub program: String,
    /// Its phase, as in the protocol: `serving`, `drain`, `asleep`, …
    pub phase: String,
    /// Since when it is in that phase.
    #[serde(rename = "since_unix_ms")]
    pub since: UnixMillis,
    /// Its listeners, sockets and files.
    #[serde(default)]
    pub shareables: Vec<ShareableStatus>,
    /// Its exclusive resources.
    #[serde(default)]
    pub exclusives: Vec<ExclusiveStatus>,
    /// Its states.
    #[serde(default)]
    pub states: Vec<StateStatus>,
    /// Its live connections, by kind.
    #[serde(default)]
    pub connections: BTreeMap<String, u64>,
    /// Of these, those that stood still for a handover and are served again.
    #[serde(default)]
    pub taken_up: TakenUp,
    /// When it closes what it has not finished by then, if it drains.
    #[serde(rename = "drains_until_unix_ms", default)]
    pub drains_until: Option<UnixMillis>,
    /// What came of the last handover that it took part in as the predecessor.
    #[serde(default)]
    pub last: Option<Report>,
}

#[cfg(test)]
mod tests;
