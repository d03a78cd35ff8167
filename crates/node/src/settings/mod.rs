//! The settings: what the operator decided, gathered from flags, environment and `config.toml`, and judged all at once.

mod document;
mod keys;
mod p2p;
mod sources;

use std::net::SocketAddr;
use std::path::{Component, Path};
use std::time::Duration;

pub use document::{Document, DocumentError, Listed, text as document_text};
pub use keys::{KEYS, Key, Kind, Treatment, Unfit, Value};
pub use p2p::P2p;
pub use sources::{Environment, Flags, Problem, Source, Values};

use crate::logging;
use baton_network::{PeerAddress, Proxy};
use zeroize::Zeroizing;

/// What a namespace is told to do.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches that do not depend on each other"
)]
pub struct Settings {
    /// The network, `""` for that of `genesis.json`.
    pub chain_id: String,
    /// A name for people.
    pub node_alias: String,
    /// The name that peers see.
    pub moniker: String,
    /// Where the API listens.
    pub api_addr: SocketAddr,
    /// Whether to propose blocks.
    pub mining: bool,
    /// Who is rewarded, if not the wallet's mining address.
    pub mining_address: Option<String>,
    /// Whether to stay offline.
    pub vault_mode: bool,
    /// The directory of the stores, under the home.
    pub db_dir: String,
    /// The directory of key files, under the home.
    pub keys_dir: String,
    /// The file of the node's key, under the home.
    pub private_key_file: String,
    /// What is logged, and where to.
    pub log: logging::Settings,
    /// Where metrics are served besides the API.
    pub metrics_addr: Option<SocketAddr>,
    /// Where `GET /status` answers as `CometBFT` does.
    pub rpc_addr: Option<SocketAddr>,
    /// How long a stop waits for each part.
    pub stop_grace: Duration,
    /// Peers.
    pub p2p: P2p,
    /// The wallet; `None` with `wallet.disable`.
    pub wallet: Option<WalletSettings>,
    /// Whether all transactions are indexed.
    pub transaction_index: bool,
    /// The highest fee of a transaction sent through the API, in neu.
    pub max_fee_neu: u64,
    /// The API.
    pub api: Api,
    /// Whether blocks without transactions are proposed.
    pub empty_blocks: bool,
    /// The namespaces besides `global`.
    pub namespaces: Vec<Listed>,
}

/// The wallet's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalletSettings {
    /// Whether it looks at all blocks again at the start.
    pub rescan: bool,
}

/// The API's settings.
#[derive(Debug, Clone)]
pub struct Api {
    /// Whether tokens are not asked for at all.
    pub auth_disabled: bool,
    /// Whether loopback needs no token.
    pub trust_loopback: bool,
    /// Whether the dashboard is served.
    pub dashboard: bool,
    /// The most WebSocket clients.
    pub max_websockets: usize,
    /// The most requests of a WebSocket client in hand.
    pub max_websocket_requests: usize,
    /// The most bytes of a request's body.
    pub max_body_bytes: usize,
    /// The most connections.
    pub max_connections: usize,
    /// Origins that may use it from a page.
    pub cors_origins: Vec<String>,
}

impl Api {
    /// Whether everybody needs a token.
    pub fn asks_everybody(&self) -> bool {
        !self.auth_disabled && !self.trust_loopback
    }
}

impl Settings {
    /// Judges the values; what cannot be accepted is told all at once.
    pub fn of(mut values: Values, file: &Document) -> Result<Judged, Vec<Problem>> {
        let mut judge = Judge {
            values: &values,
            problems: Vec::new(),
        };
        let settings = judge.settings(file);
        let found = judge.problems;
        values.problems.extend(found);
        if values.problems.is_empty() {
            Ok(Judged {
                settings,
                warnings: values.warnings,
            })
        } else {
            Err(values.problems)
        }
    }

    /// The settings that nobody has changed, for a network.
    pub fn default_for(chain_id: &str) -> Self {
        let flags = Flags::from([("chain_id".to_owned(), chain_id.to_owned())]);
        let file = Document::default();
        let values = Values::gather(&flags, &Environment::default(), &file);
        Self::of(values, &file)
            .expect("the defaults of the table are good")
            .settings
    }
}

/// Settings that are good, and what is to be said about them.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The settings.
    pub settings: Settings,
    /// What was accepted but has no effect.
    pub warnings: Vec<Problem>,
}

/// Turns values into settings, noting what is wrong.
struct Judge<'a> {
    values: &'a Values,
    problems: Vec<Problem>,
}

impl Judge<'_> {
    fn settings(&mut self, file: &Document) -> Settings {
        let values = self.values;
        self.backend();
        Settings {
            chain_id: values.text("chain_id"),
            node_alias: values.text("node_alias"),
            moniker: values.text("moniker"),
            api_addr: self.api_addr(),
            mining: values.switch("mining"),
            mining_address: optional(values.text("mining_address")),
            vault_mode: values.switch("vault_mode"),
            db_dir: self.relative("db_dir"),
            keys_dir: self.relative("keys_dir"),
            private_key_file: self.relative("private_key_file"),
            log: self.log(),
            metrics_addr: self.optional_addr("prof_laddr"),
            rpc_addr: self.optional_addr("rpc.laddr"),
            stop_grace: Duration::from_secs(values.number("stop_grace")),
            p2p: self.p2p(),
            wallet: (!values.switch("wallet.disable")).then(|| WalletSettings {
                rescan: values.switch("wallet.rescan"),
            }),
            transaction_index: values.switch("wallet.txindex"),
            max_fee_neu: values.number("wallet.max_tx_fee"),
            api: Api {
                auth_disabled: values.switch("auth.disable"),
                trust_loopback: values.switch("auth.trust_loopback"),
                dashboard: values.switch("web.dashboard"),
                max_websockets: self.count("ws.max_num_websockets"),
                max_websocket_requests: self.count("ws.max_num_concurrent_reqs"),
                max_body_bytes: self.count("api.max_body"),
                max_connections: self.count("api.max_connections"),
                cors_origins: list(&values.text("api.cors_origins")),
            },
            empty_blocks: values.switch("consensus.empty_blocks"),
            namespaces: self.namespaces(file),
        }
    }

    fn problem(&mut self, key: &str, what: impl std::fmt::Display) {
        let place = self.values.place(key);
        self.problems.push(Problem::new(place, what));
    }

    fn backend(&mut self) {
        let backend = self.values.text("db_backend");
        if !["leveldb", "memdb", "redb"].contains(&backend.as_str()) {
            // bytomd's text
            self.problem(
                "db_backend",
                format_args!("Param db_backend [{backend}] is invalid, use leveldb or memdb"),
            );
        }
    }

    fn count(&self, key: &str) -> usize {
        usize::try_from(self.values.number(key)).unwrap_or(usize::MAX)
    }

    /// A path that stays under the home.
    fn relative(&mut self, key: &str) -> String {
        let text = self.values.text(key);
        let inside = Path::new(&text)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if text.is_empty() || !inside {
            self.problem(key, format_args!("{text:?} is not a path under the home"));
        }
        text
    }

    fn api_addr(&mut self) -> SocketAddr {
        match socket_addr(&self.values.text("api_addr")) {
            Ok(address) => address,
            Err(what) => {
                self.problem("api_addr", what);
                SocketAddr::from(([127, 0, 0, 1], 0))
            }
        }
    }

    fn optional_addr(&mut self, key: &str) -> Option<SocketAddr> {
        let text = optional(self.values.text(key))?;
        match socket_addr(&text) {
            Ok(address) => Some(address),
            Err(what) => {
                self.problem(key, what);
                None
            }
        }
    }

    fn log(&mut self) -> logging::Settings {
        let values = self.values;
        let format = match values.text("log.format").as_str() {
            "text" => logging::Format::Text,
            "json" => logging::Format::Json,
            other => {
                self.problem("log.format", format_args!("{other:?} is not text or json"));
                logging::Format::Text
            }
        };
        logging::Settings {
            level: logging::Level::of(&values.text("log_level")),
            directory: self.relative("log_file"),
            format,
            to_stderr: values.switch("log.stderr"),
            max_file_bytes: values.number("log.max_file_mb") << 20,
            keep_days: values.number("log.keep_days"),
            places: false,
        }
    }

    fn p2p(&mut self) -> P2p {
        let values = self.values;
        P2p {
            laddr: match socket_addr(&values.text("p2p.laddr")) {
                Ok(address) => address,
                Err(what) => {
                    self.problem("p2p.laddr", what);
                    SocketAddr::from(([127, 0, 0, 1], 0))
                }
            },
            seeds: self.peers("p2p.seeds"),
            keep_dial: self.peers("p2p.keep_dial"),
            max_peers: self.count("p2p.max_num_peers"),
            lan_discoverable: values.switch("p2p.lan_discoverable"),
            upnp: !values.switch("p2p.skip_upnp"),
            handshake_timeout: Duration::from_secs(values.number("p2p.handshake_timeout")),
            dial_timeout: Duration::from_secs(values.number("p2p.dial_timeout")),
            proxy: self.proxy(),
        }
    }

    fn proxy(&mut self) -> Option<Proxy> {
        let values = self.values;
        let address = optional(values.text("p2p.proxy_address"))?;
        let login = optional(values.text("p2p.proxy_username"))
            .map(|user| (user, Zeroizing::new(values.text("p2p.proxy_password"))));
        match address.parse() {
            Ok(address) => Some(Proxy { address, login }),
            Err(error) => {
                self.problem("p2p.proxy_address", error);
                None
            }
        }
    }

    fn peers(&mut self, key: &str) -> Vec<PeerAddress> {
        let mut peers = Vec::new();
        for text in list(&self.values.text(key)) {
            match text.parse() {
                Ok(peer) => peers.push(peer),
                Err(error) => self.problem(key, error),
            }
        }
        peers
    }

    fn namespaces(&mut self, file: &Document) -> Vec<Listed> {
        for (index, listed) in file.namespaces.iter().enumerate() {
            let name = &listed.name;
            let before = &file.namespaces[..index];
            if name.is_global() {
                let what = "global is the chain at the root of the home and is not listed";
                self.problems
                    .push(Problem::new("config.toml: [[namespace]]", what));
            } else if before.iter().any(|other| other.name == *name) {
                let what = format_args!("{name} is listed twice");
                self.problems
                    .push(Problem::new("config.toml: [[namespace]]", what));
            }
        }
        file.namespaces.clone()
    }
}

fn optional(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// The parts of a list; bytomd's help says that `;` separates and its code that `,` does, so both do.
fn list(text: &str) -> Vec<String> {
    text.split([',', ';'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Reads `host:port`, `:port` for all interfaces, with or without `tcp://`.
fn socket_addr(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix("tcp://").unwrap_or(text);
    let whole = match bare.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => bare.replacen("localhost:", "127.0.0.1:", 1),
    };
    whole.parse().map_err(|_| {
        format!("{text:?} is not an address to listen at: ip:port wanted, such as 127.0.0.1:9888")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(file: &str) -> Result<Judged, Vec<Problem>> {
        let file = Document::parse(file).unwrap();
        let values = Values::gather(&Flags::new(), &Environment::default(), &file);
        Settings::of(values, &file)
    }

    #[test]
    fn a_home_of_bytomd_is_understood() {
        let file = "fast_sync = true\ndb_backend = \"leveldb\"\napi_addr = \"0.0.0.0:9888\"\nnode_alias = \"\"\n\
                    chain_id = \"solonet\"\n[p2p]\nladdr = \"tcp://0.0.0.0:46658\"\nseeds = \"\"\n";
        let judged = judged(file).unwrap();
        assert_eq!(judged.warnings, []);
        let settings = judged.settings;
        assert_eq!(settings.chain_id, "solonet");
        assert_eq!(settings.p2p.laddr.to_string(), "0.0.0.0:46658");
        assert_eq!(settings.api_addr.to_string(), "0.0.0.0:9888");
        assert_eq!(settings.max_fee_neu, 1_000_000_000);
        assert!(settings.wallet.is_some() && !settings.mining);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let file = "db_backend = \"foo\"\napi_addr = \"here\"\ndb_dir = \"../data\"\nstop_grace = -1\n\
                    [p2p]\nseeds = \"1.2.3.4:5,nowhere\"\nproxy_address = \"127.0.0.1\"\n\
                    [log]\nformat = \"xml\"\n[[namespace]]\nname = \"global\"\n";
        let problems: Vec<_> = judged(file)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect();
        let wanted = [
            "stop_grace",
            "Param db_backend [foo] is invalid, use leveldb or memdb",
            "api_addr",
            "db_dir",
            "log.format",
            "nowhere",
            "p2p.proxy_address",
            "global is the chain",
        ];
        assert_eq!(problems.len(), wanted.len(), "{problems:#?}");
        for (problem, wanted) in problems.iter().zip(wanted) {
            assert!(problem.contains(wanted), "{problem} has no {wanted}");
        }
    }

    #[test]
    fn addresses_are_read_as_bytomd_reads_them() {
        for (text, wanted) in [
            ("tcp://0.0.0.0:46656", "0.0.0.0:46656"),
            (":9888", "0.0.0.0:9888"),
            ("localhost:1", "127.0.0.1:1"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(socket_addr(text).unwrap().to_string(), wanted);
        }
        assert!(socket_addr("127.0.0.1").is_err());
    }
}
