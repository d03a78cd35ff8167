//! Every setting there is, in one table: flags, environment, `config.toml` and its comments are all made from it.

use std::fmt;

/// What a setting's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Switch,
    /// A whole number, at least and at most so much.
    Number(u64, u64),
    /// Any text.
    Text,
}

/// A value, whoever gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of [`Kind::Switch`].
    Switch(bool),
    /// Of [`Kind::Number`].
    Number(u64),
    /// Of [`Kind::Text`].
    Text(String),
}

/// What the node does with a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It obeys; `init` writes the line as a comment.
    Used,
    /// It obeys; `init` writes the line itself.
    Written,
    /// bytomd knows it and this node has no use for it: a warning says why, when it is set to something else than the
    /// default.
    Ignored(&'static str),
}

/// A setting.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name in `config.toml`, with the table before the dot; also that of the flag.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// The value if nobody gives one, as it is written on a command line.
    pub default: &'static str,
    /// What happens to it.
    pub treatment: Treatment,
    /// What it decides, in a sentence or two.
    pub help: &'static str,
}

impl Key {
    /// The name of its environment variable: `TM_P2P_LADDR` of `p2p.laddr`.
    pub fn variable(&self) -> String {
        let name = self.name.to_ascii_uppercase().replace(['.', '-'], "_");
        format!("TM_{name}")
    }

    /// The value if nobody gives one.
    pub fn default_value(&self) -> Value {
        self.parse(self.default)
            .expect("the defaults of the table are tested")
    }

    /// Reads a value as it is written on a command line or in the environment.
    pub fn parse(&self, text: &str) -> Result<Value, Unfit> {
        let unfit = || Unfit {
            found: text.to_owned(),
            wanted: self.kind,
        };
        match self.kind {
            Kind::Text => Ok(Value::Text(text.to_owned())),
            // as Go's strconv.ParseBool, by which bytomd reads them
            Kind::Switch => match text {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Switch(true)),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Switch(false)),
                _ => Err(unfit()),
            },
            Kind::Number(least, most) => text
                .parse()
                .ok()
                .filter(|number| (least..=most).contains(number))
                .map(Value::Number)
                .ok_or_else(unfit),
        }
    }
}

/// A value that a setting cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {wanted}")]
pub struct Unfit {
    /// The value.
    pub found: String,
    /// What it should be.
    pub wanted: Kind,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch => f.write_str("true or false"),
            Self::Number(least, most) => write!(f, "a whole number from {least} to {most}"),
            Self::Text => f.write_str("a text"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch(on) => on.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// The setting of that name.
pub(super) fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

const fn used(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Key {
    Key {
        name,
        kind,
        default,
        treatment: Treatment::Used,
        help,
    }
}

const fn written(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Key {
    Key {
        treatment: Treatment::Written,
        ..used(name, kind, default, help)
    }
}

const fn ignored(name: &'static str, kind: Kind, default: &'static str, why: &'static str) -> Key {
    Key {
        treatment: Treatment::Ignored(why),
        ..used(
            name,
            kind,
            default,
            "Accepted for bytomd's sake and ignored",
        )
    }
}

use Kind::{Number, Switch, Text};

/// A day, in seconds.
const DAY: u64 = 86_400;

/// All settings, as they stand in `config.toml`: those without a table first, then table by table.
pub const KEYS: &[Key] = &[
    written(
        "chain_id",
        Text,
        "",
        "The network: mainnet, wisdom (the test network), solonet, or whatever genesis.json names",
    ),
    written(
        "api_addr",
        Text,
        "0.0.0.0:9888",
        "Where the HTTP and WebSocket API listens; LISTEN in the environment wins over it",
    ),
    written("node_alias", Text, "", "A name for this node, for people"),
    used("moniker", Text, "anonymous", "The name that peers see"),
    used(
        "mining",
        Switch,
        "false",
        "Propose blocks when this node is a validator",
    ),
    used(
        "mining_address",
        Text,
        "",
        "Who is rewarded for this node's blocks; empty: the wallet's mining address, else the node key's own address",
    ),
    used(
        "vault_mode",
        Switch,
        "false",
        "Offline: no peers, no discovery, no blocks but those that are there",
    ),
    used(
        "db_dir",
        Text,
        "data",
        "The directory of the stores, under the home",
    ),
    used(
        "keys_dir",
        Text,
        "keystore",
        "The directory of the wallet's key files, under the home",
    ),
    used(
        "private_key_file",
        Text,
        "node_key.txt",
        "The file of the node's key, under the home; readable by its owner only",
    ),
    used(
        "log_level",
        Text,
        "",
        "debug, info, warn, error or fatal; empty: info",
    ),
    used(
        "log_file",
        Text,
        "log",
        "The directory of the log files, under the home; one file for each module and day",
    ),
    used(
        "prof_laddr",
        Text,
        "",
        "Where Prometheus metrics are served besides the API; bytomd serves Go profiles there, which there are none of",
    ),
    used(
        "stop_grace",
        Number(1, 3_600),
        "30",
        "How long, in seconds, a node that stops waits for requests in hand, and again for each part",
    ),
    ignored("db_backend", Text, "leveldb", "all stores are redb files"),
    ignored(
        "fast_sync",
        Switch,
        "true",
        "a node always catches up as fast as it can",
    ),
    used(
        "p2p.laddr",
        Text,
        "tcp://0.0.0.0:46656",
        "Where peers connect to",
    ),
    written(
        "p2p.seeds",
        Text,
        "",
        "Peers to begin with, as host:port, comma separated",
    ),
    used(
        "p2p.keep_dial",
        Text,
        "",
        "Peers that are always dialled again, as host:port, comma separated",
    ),
    used(
        "p2p.max_num_peers",
        Number(1, 1_000),
        "20",
        "The most peers at once",
    ),
    used(
        "p2p.lan_discoverable",
        Switch,
        "true",
        "Find peers in the local network by mDNS",
    ),
    used(
        "p2p.skip_upnp",
        Switch,
        "false",
        "Do not ask the router for a port",
    ),
    used(
        "p2p.handshake_timeout",
        Number(1, DAY),
        "30",
        "How long a handshake may take, in seconds",
    ),
    used(
        "p2p.dial_timeout",
        Number(1, DAY),
        "3",
        "How long dialling may take, in seconds",
    ),
    used(
        "p2p.proxy_address",
        Text,
        "",
        "A SOCKS5 proxy, as host:port, through which all peers are dialled",
    ),
    used(
        "p2p.proxy_username",
        Text,
        "",
        "The user at the proxy, if it asks for one",
    ),
    used("p2p.proxy_password", Text, "", "The password at the proxy"),
    ignored(
        "p2p.node_key",
        Text,
        "",
        "bytomd v1 only; a node has one key, private_key_file",
    ),
    ignored(
        "p2p.node_key_file",
        Text,
        "nodekey",
        "bytomd v1 only; a node has one key, private_key_file",
    ),
    used("wallet.disable", Switch, "false", "Run without a wallet"),
    used(
        "wallet.rescan",
        Switch,
        "false",
        "Let the wallet look at all blocks again at the start",
    ),
    used(
        "wallet.txindex",
        Switch,
        "false",
        "Keep an index of all transactions, not only the wallet's",
    ),
    used(
        "wallet.max_tx_fee",
        Number(0, 1 << 62),
        "1000000000",
        "The most that a transaction sent through the API may pay as a fee, in neu",
    ),
    used(
        "auth.disable",
        Switch,
        "false",
        "Let everyone use the API without a token",
    ),
    used(
        "auth.trust_loopback",
        Switch,
        "true",
        "Let loopback use the API without a token; turn it off behind a proxy, where everyone comes from loopback",
    ),
    used(
        "web.closed",
        Switch,
        "false",
        "Do not open a browser; this node opens none either way",
    ),
    used(
        "web.dashboard",
        Switch,
        "true",
        "Serve the dashboard at /dashboard/",
    ),
    used(
        "ws.max_num_websockets",
        Number(0, 100_000),
        "25",
        "The most WebSocket clients at once",
    ),
    used(
        "ws.max_num_concurrent_reqs",
        Number(1, 10_000),
        "20",
        "The most requests of a WebSocket client in hand at once",
    ),
    used(
        "api.max_body",
        Number(1, 1 << 30),
        "10485760",
        "The most bytes of a request's body",
    ),
    used(
        "api.max_connections",
        Number(1, 1_000_000),
        "4096",
        "The most connections to the API at once",
    ),
    used(
        "api.cors_origins",
        Text,
        "",
        "Origins whose pages may use the API, comma separated; * for all; empty: none",
    ),
    written(
        "rpc.laddr",
        Text,
        "",
        "Where GET /status answers as CometBFT does, for tools of Cosmos nodes (tcp://127.0.0.1:26657); empty: nowhere, and \
         supervisors ask `batond status`",
    ),
    used(
        "consensus.empty_blocks",
        Switch,
        "true",
        "Propose blocks that have no transactions",
    ),
    used("log.format", Text, "text", "text or json"),
    used(
        "log.stderr",
        Switch,
        "false",
        "Write the log to standard error and not into files",
    ),
    used(
        "log.max_file_mb",
        Number(1, 10_000),
        "64",
        "A log file that grows larger, in MiB, is put aside; four of those are kept for each module and day",
    ),
    used(
        "log.keep_days",
        Number(1, 3_650),
        "7",
        "For how many days log files are kept",
    ),
    ignored(
        "simd.enable",
        Switch,
        "false",
        "bytomd v1 only; there is no proof of work",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_fit_and_every_name_is_there_once() {
        for key in KEYS {
            let value = key.parse(key.default).unwrap();
            assert_eq!(value.to_string(), key.default, "{}", key.name);
            let same = KEYS.iter().filter(|other| other.name == key.name);
            assert_eq!(same.count(), 1, "{}", key.name);
        }
    }

    #[test]
    fn tables_stand_together_after_what_has_none() {
        let tables: Vec<_> = KEYS
            .iter()
            .map(|key| key.name.split_once('.').map_or("", |(table, _)| table))
            .collect();
        let mut runs = tables.clone();
        runs.dedup();
        let mut each = runs.clone();
        each.sort_unstable();
        each.dedup();
        assert_eq!(runs.len(), each.len(), "{runs:?}");
        assert_eq!(runs[0], "");
    }

    #[test]
    fn numbers_out_of_range_and_odd_switches_are_unfit() {
        let peers = key("p2p.max_num_peers").unwrap();
        assert_eq!(peers.parse("20"), Ok(Value::Number(20)));
        for text in ["0", "-1", "1001", "many", ""] {
            let error = peers.parse(text).unwrap_err().to_string();
            assert!(error.contains("a whole number from 1 to 1000"), "{error}");
        }
        let mining = key("mining").unwrap();
        assert_eq!(mining.parse("T"), Ok(Value::Switch(true)));
        assert!(mining.parse("yes").is_err());
        assert_eq!(peers.variable(), "TM_P2P_MAX_NUM_PEERS");
    }
}
