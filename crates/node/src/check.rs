//! `batond config check`: everything that would keep a home from being started, told at once, changing nothing.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use baton_ledger::{Address, Genesis};

use crate::configuration::{Configuration, ConfigurationError};
use crate::files;
use crate::genesis;
use crate::home::{Home, Paths};
use crate::lock::Lock;
use crate::namespace::Name;
use crate::node_key::NodeKey;
use crate::settings::{Environment, Flags, Problem};

/// What is told when everybody needs a token and there is none.
pub(crate) const NOBODY_MAY_ASK: &str = "it is off and there is no access token, so that nobody may ask this node anything; make one: \
                                         batond token create NAME";

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// What keeps the node from being started.
    pub problems: Vec<Problem>,
    /// What is accepted, and should be known.
    pub warnings: Vec<Problem>,
    /// The process that runs on the home; its ports are not looked at.
    pub running: Option<u32>,
}

/// Looks at a home and those of its namespaces.
pub fn check(home: &Home, flags: &Flags, environment: &Environment) -> Findings {
    let mut check = Check {
        findings: Findings {
            running: Lock::holder(&home.lock()),
            ..Findings::default()
        },
        namespace: Name::global(),
        ports: BTreeMap::new(),
    };
    if !home.path().is_dir() {
        let what = "there is no such directory; `batond init` makes it";
        check.problem(home.path().display(), what);
        return check.findings;
    }
    let loaded = Configuration::load(home.clone(), flags, environment);
    let Some(configuration) = check.loaded(home, loaded) else {
        return check.findings;
    };
    check.home(&configuration);
    for listed in &configuration.settings.namespaces {
        check.namespace = listed.name.clone();
        let home = home.namespace(&listed.name);
        if !home.path().is_dir() {
            let what = format_args!(
                "config.toml lists namespace {}, and there is no such directory; `batond namespace create` makes it",
                listed.name
            );
            check.problem(home.path().display(), what);
            continue;
        }
        let loaded = Configuration::of_namespace(home.clone());
        if let Some(configuration) = check.loaded(&home, loaded) {
            check.home(&configuration);
        }
    }
    check.findings
}

struct Check {
    findings: Findings,
    /// Whose home is looked at.
    namespace: Name,
    /// The addresses that were taken so far, and for what.
    ports: BTreeMap<SocketAddr, String>,
}

impl Check {
    fn place(&self, place: impl std::fmt::Display) -> String {
        if self.namespace.is_global() {
            place.to_string()
        } else {
            format!("namespace {}: {place}", self.namespace)
        }
    }

    fn problem(&mut self, place: impl std::fmt::Display, what: impl std::fmt::Display) {
        let place = self.place(place);
        self.findings.problems.push(Problem::new(place, what));
    }

    fn warning(&mut self, place: impl std::fmt::Display, what: impl std::fmt::Display) {
        let place = self.place(place);
        self.findings.warnings.push(Problem::new(place, what));
    }

    fn loaded(
        &mut self,
        home: &Home,
        loaded: Result<Configuration, ConfigurationError>,
    ) -> Option<Configuration> {
        match loaded {
            Ok(configuration) => {
                for warning in &configuration.warnings {
                    self.warning(&warning.place, &warning.what);
                }
                Some(configuration)
            }
            Err(ConfigurationError::Problems(problems)) => {
                for problem in problems {
                    self.problem(problem.place, problem.what);
                }
                None
            }
            Err(ConfigurationError::Document(error)) => {
                self.problem(home.config().display(), error);
                None
            }
        }
    }

    fn home(&mut self, configuration: &Configuration) {
        let Configuration {
            home,
            paths,
            settings,
            ..
        } = configuration;
        for warning in open_to_others(home, paths) {
            self.warning(warning.place, warning.what);
        }
        match NodeKey::read(&paths.node_key) {
            Ok(key) => match genesis::of_home(&home.genesis(), &settings.chain_id, &key) {
                Ok(genesis) => self.chain(configuration, &genesis, &key),
                Err(error) => self.problem("genesis", error),
            },
            Err(error) => {
                self.problem("node key", error);
                if let Err(error) = genesis::read(&home.genesis()) {
                    self.problem("genesis", error);
                }
            }
        }
        if settings.api.asks_everybody() && !paths.tokens().exists() {
            self.warning("auth.trust_loopback", NOBODY_MAY_ASK);
        }
        self.ports(configuration);
    }

    fn chain(&mut self, configuration: &Configuration, genesis: &Genesis, key: &NodeKey) {
        let params = genesis.params();
        if let Some(address) = &configuration.settings.mining_address
            && let Err(error) = Address::decode(address, params.prefix)
        {
            self.problem("mining_address", error);
        }
        if configuration.settings.mining && !params.federation.contains(&key.xpub()) {
            self.warning(
                "mining",
                "this node's key is not in the federation of the genesis: it proposes blocks only once it is elected",
            );
        }
    }

    /// Whether the addresses can be listened at, unless the node does so already.
    fn ports(&mut self, configuration: &Configuration) {
        let settings = &configuration.settings;
        let peers = (!settings.vault_mode).then_some(settings.p2p.laddr);
        let mut wanted = vec![("p2p.laddr", peers)];
        if self.namespace.is_global() {
            wanted.push(("api_addr", Some(settings.api_addr)));
            wanted.push(("rpc.laddr", settings.rpc_addr));
            wanted.push(("prof_laddr", settings.metrics_addr));
        }
        for (key, address) in wanted {
            let Some(address) = address.filter(|address| address.port() != 0) else {
                continue;
            };
            let own = self.place(key);
            if let Some(other) = self.ports.get(&address).cloned() {
                self.problem(key, format_args!("{address} is that of {other} too"));
                continue;
            }
            self.ports.insert(address, own);
            if self.findings.running.is_none()
                && let Err(error) = TcpListener::bind(address)
            {
                self.problem(key, format_args!("cannot listen at {address}: {error}"));
            }
        }
    }
}

/// Directories that others can look into, and key files of the wallet that they can read: those are encrypted, and nobody's
/// business all the same.
pub(crate) fn open_to_others(home: &Home, paths: &Paths) -> Vec<Problem> {
    let directories = [home.path(), &paths.data, &paths.keystore].map(Path::to_owned);
    let keys = std::fs::read_dir(&paths.keystore).into_iter().flatten();
    let keys = keys.flatten().map(|entry| entry.path());
    let all = directories.into_iter().map(|path| (path, 0o700));
    let all = all.chain(keys.map(|path| (path, 0o600)));
    all.filter_map(|(path, good)| {
        let mode = files::open_to_others(&path).ok()??;
        let path = path.display();
        let what =
            format_args!("mode {mode:04o} lets others look into it; `chmod {good:o} {path}`");
        Some(Problem::new(&path, what))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::{Request, init};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        init(&home, Request::default()).unwrap();
        (dir, home)
    }

    fn checked(home: &Home, flags: &[(&str, &str)]) -> Findings {
        let flags = flags
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        check(home, &flags, &Environment::default())
    }

    const FREE: [(&str, &str); 2] = [("api_addr", "127.0.0.1:0"), ("p2p.laddr", "127.0.0.1:0")];

    #[test]
    fn a_new_home_has_nothing_wrong() {
        let (_dir, home) = home();
        assert_eq!(checked(&home, &FREE), Findings::default());
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let (_dir, home) = home();
        let at = |name: &str| home.path().join(name);
        fs::set_permissions(at("node_key.txt"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(at("data"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(at("genesis.json"), "{}").unwrap();
        let mut config = fs::read_to_string(home.config()).unwrap();
        config.push_str("\n[[namespace]]\nname = \"second\"\n");
        fs::write(home.config(), config).unwrap();
        let busy = TcpListener::bind("127.0.0.1:0").unwrap();
        let busy = busy.local_addr().unwrap().to_string();
        let found = checked(&home, &[("api_addr", &busy), ("p2p.laddr", &busy)]);
        let problems: Vec<_> = found.problems.iter().map(ToString::to_string).collect();
        let wanted = [
            "chmod 600",
            "genesis.json",
            "cannot listen",
            "that of p2p.laddr too",
            "second",
        ];
        assert_eq!(problems.len(), wanted.len(), "{problems:#?}");
        for (problem, wanted) in problems.iter().zip(wanted) {
            assert!(problem.contains(wanted), "{problem} has no {wanted}");
        }
        assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
        assert!(found.warnings[0].what.contains("chmod 700"));
    }

    #[test]
    fn a_busy_port_is_a_problem_unless_the_node_has_it_itself() {
        let (_dir, home) = home();
        let busy = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = busy.local_addr().unwrap().to_string();
        let flags = [("api_addr", address.as_str()), FREE[1]];
        let found = checked(&home, &flags);
        assert!(found.problems[0].what.contains(&address), "{found:?}");
        let _lock = Lock::take(&home.lock()).unwrap();
        let found = checked(&home, &flags);
        assert_eq!(
            (found.problems, found.running),
            (vec![], Some(std::process::id()))
        );
    }

    #[test]
    fn a_home_that_is_not_there_and_a_file_that_is_not_toml() {
        let dir = tempfile::tempdir().unwrap();
        let nowhere = Home::at(dir.path().join("nowhere"));
        let found = checked(&nowhere, &FREE);
        assert!(found.problems[0].what.contains("batond init"), "{found:?}");
        let here = Home::at(dir.path());
        fs::write(here.config(), "a = = 1").unwrap();
        let found = checked(&here, &FREE);
        assert!(
            found.problems[0]
                .what
                .starts_with("While parsing config: (1, 5)"),
            "{found:?}"
        );
    }
}
