//! What is asked and answered.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::access::Order;
use crate::namespace::{Name, Report};
use crate::upgrade::{Choice, Signed};

/// What a node is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// How are you?
    Status,
    /// Which namespaces are there?
    Namespaces,
    /// Start a namespace.
    Start {
        /// Which.
        name: Name,
    },
    /// Stop a namespace; `global` is the node.
    Stop {
        /// Which.
        name: Name,
    },
    /// Pay from the node key's own address.
    Pay {
        /// The namespace.
        name: Name,
        /// To whom.
        address: String,
        /// How much, in neu.
        amount_neu: u64,
    },
    /// Make, list or delete access tokens.
    Token {
        /// The namespace.
        name: Name,
        /// What is to be done.
        order: Order,
    },
    /// Which upgrade is planned, and who decides?
    Plan {
        /// The namespace.
        name: Name,
    },
    /// Sign a decision on an upgrade with the node's key.
    SignPlan {
        /// The namespace.
        name: Name,
        /// What is decided.
        choice: Choice,
    },
    /// Put a decision on the chain, with this node's signature and others.
    SubmitPlan {
        /// The namespace.
        name: Name,
        /// What is decided.
        choice: Choice,
        /// The signatures of others.
        signatures: Vec<Signed>,
    },
    /// A namespace was made on the disk: know it, and start it if its line in `config.toml` says so.
    Learn {
        /// Which.
        name: Name,
    },
    /// A namespace that is stopped is to be removed from the disk: forget it.
    Forget {
        /// Which.
        name: Name,
    },
}

/// What a node answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is done; with what was asked for.
    Done(serde_json::Value),
    /// It is not done, and why.
    Refused(String),
}

/// How a node is: first as a node of the Cosmos SDK tells it, so that tools made for those understand it.
#[derive(Debug, Clone, Serialize)]
pub struct StatusReport {
    /// Who it is.
    pub node_info: NodeInfo,
    /// How far it is.
    pub sync_info: SyncInfo,
    /// Its part in consensus.
    pub validator_info: ValidatorInfo,
    /// The rest.
    pub baton: Baton,
}

/// Who a node is.
#[derive(Debug, Clone, Serialize)]
pub struct NodeInfo {
    id: String,
    network: String,
    version: String,
    moniker: String,
}

/// How far a node is. Heights are texts, as in `CometBFT`.
#[derive(Debug, Clone, Serialize)]
pub struct SyncInfo {
    latest_block_hash: String,
    latest_app_hash: String,
    latest_block_height: String,
    latest_block_time: String,
    catching_up: bool,
}

/// A node's part in consensus.
#[derive(Debug, Clone, Serialize)]
pub struct ValidatorInfo {
    pub_key: String,
    voting_power: String,
}

/// What nodes of the Cosmos SDK do not tell.
#[derive(Debug, Clone, Serialize)]
pub struct Baton {
    /// The process.
    pub pid: u32,
    /// For how long it has run, in seconds.
    pub uptime_s: u64,
    /// Whether it can be sent work.
    pub ready: bool,
    /// Where its API listens.
    pub api: String,
    /// The chain at the root.
    pub global: Report,
    /// The others.
    pub namespaces: Vec<NamespaceReport>,
}

/// A namespace in a list.
#[derive(Debug, Clone, Serialize)]
pub struct NamespaceReport {
    /// Its name.
    pub name: Name,
    /// Where it is in its life.
    pub state: NamespaceState,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// How it is, if it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}

/// Where a namespace is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceState {
    /// It does not run.
    Stopped,
    /// Its parts are being opened.
    Starting,
    /// It runs.
    Running,
    /// Its parts are being closed.
    Stopping,
    /// It could not be started, or one of its parts died.
    Failed,
}

impl StatusReport {
    /// The status of a node whose `global` is so.
    pub(crate) fn new(
        global: Report,
        namespaces: Vec<NamespaceReport>,
        api: SocketAddr,
        uptime_s: u64,
    ) -> Self {
        Self {
            node_info: NodeInfo {
                id: global.peer_id.clone(),
                network: global.chain_id.clone(),
                version: crate::VERSION.to_owned(),
                moniker: global.moniker.clone(),
            },
            sync_info: SyncInfo {
                latest_block_hash: global.blocks.hash.to_uppercase(),
                latest_app_hash: global.blocks.app_hash.to_uppercase(),
                latest_block_height: height(&global).to_string(),
                latest_block_time: global.blocks.time.clone(),
                catching_up: global.syncing,
            },
            validator_info: ValidatorInfo {
                pub_key: global.node_xpub.clone(),
                voting_power: global.voting_power.to_string(),
            },
            baton: Baton {
                pid: std::process::id(),
                uptime_s,
                ready: global.health.is_ready(),
                api: api.to_string(),
                global,
                namespaces,
            },
        }
    }
}

/// The height as supervisors of Cosmos nodes expect it: when a node waits for an upgrade at a height, that block is
/// in its store already. Ours decides no block before another program takes over, and is one lower by itself.
fn height(report: &Report) -> u64 {
    match &report.halted {
        Some(_) => report.blocks.height + 1,
        None => report.blocks.height,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_lines_of_json_and_nothing_else_is_understood() {
        let line = serde_json::to_string(&Request::Start {
            name: "second".parse().unwrap(),
        });
        let line = line.unwrap();
        assert_eq!(line, r#"{"command":"start","name":"second"}"#);
        let read: Request = serde_json::from_str(&line).unwrap();
        assert!(matches!(read, Request::Start { .. }));
        for bad in [
            r#"{"command":"reboot"}"#,
            r#"{"command":"start","name":"../x"}"#,
            r#"{"command":"start"}"#,
            "{}",
        ] {
            assert!(serde_json::from_str::<Request>(bad).is_err(), "{bad}");
        }
    }
}
