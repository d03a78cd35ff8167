//! The node's home: its configuration files, and what it leaves there for others to read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use toml_edit::DocumentMut;

use crate::disk;
use crate::settings::{BadSettings, Settings};
use crate::version::Version;

/// `mocknode-events.jsonl` grows to about this many bytes and no further.
const MAX_EVENTS: u64 = 4 << 20;

const CONFIG_TOML: &str = r#"# The consensus engine's configuration; mocknode reads and writes rpc.laddr only.
proxy_app = "tcp://127.0.0.1:26658"
moniker = "mocknode"
db_backend = "goleveldb"
db_dir = "data"

[rpc]
laddr = "tcp://127.0.0.1:0"

[p2p]
laddr = "tcp://0.0.0.0:26656"
"#;

const APP_TOML: &str = r#"# The application's configuration.

[grpc]
enable = true
# the address in use; it is chosen by [mock] grpc
address = "127.0.0.1:0"

# Every flag of `mocknode start` may stand here under its name; a table
# [mock.version.NAME] holds for one version only.
[mock]
rpc = "127.0.0.1:0"
grpc = "127.0.0.1:0"
"#;

/// Why the home cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HomeError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {what}", path.display())]
    Toml { path: PathBuf, what: String },
    #[error("genesis.json file already exists: {}", .0.display())]
    Initialised(PathBuf),
    #[error("{} does not begin with an exit code between 0 and 255", .0.display())]
    Codes(PathBuf),
    #[error(transparent)]
    Settings(#[from] BadSettings),
}

/// A node's home directory.
#[derive(Clone, Debug)]
pub(crate) struct Home(pub(crate) PathBuf);

impl Home {
    /// The home given by `--home`, else by `MOCKNODE_HOME`, else by `DAEMON_HOME` (a supervisor
    /// sets it, and runs `pre-upgrade` without arguments), else `~/.mocknode`.
    pub(crate) fn find(flag: Option<PathBuf>) -> Self {
        let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty());
        let given = flag
            .or_else(|| variable("MOCKNODE_HOME").map(PathBuf::from))
            .or_else(|| variable("DAEMON_HOME").map(PathBuf::from));
        let user = || PathBuf::from(variable("HOME").unwrap_or_default()).join(".mocknode");
        Self(given.unwrap_or_else(user))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join("config").join(name)
    }

    fn read(&self, name: &str) -> Result<String, HomeError> {
        let path = self.file(name);
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            other => other.map_err(|source| HomeError::Io { path, source }),
        }
    }

    fn write(&self, name: &str, text: &str) -> Result<(), HomeError> {
        let path = self.file(name);
        disk::replace(&path, text.as_bytes(), 0o644)
            .map_err(|source| HomeError::Io { path, source })
    }

    /// The data directory.
    pub(crate) fn data(&self, settings: &Settings) -> PathBuf {
        let dir = settings.data_dir.as_deref().unwrap_or(Path::new("data"));
        self.0.join(dir)
    }

    /// The settings of `version`: `flags` over `config/app.toml`.
    pub(crate) fn settings(
        &self,
        flags: &Settings,
        version: &Version,
    ) -> Result<Settings, HomeError> {
        Ok(flags.over(&self.read("app.toml")?, version)?)
    }

    /// Writes the configuration with `settings` in it, and an empty data directory.
    pub(crate) fn init(
        &self,
        moniker: &str,
        chain_id: &str,
        settings: &Settings,
        overwrite: bool,
    ) -> Result<(), HomeError> {
        let genesis = self.file("genesis.json");
        if genesis.exists() && !overwrite {
            return Err(HomeError::Initialised(genesis));
        }
        for dir in [self.0.join("config"), self.data(settings)] {
            fs::create_dir_all(&dir).map_err(|source| HomeError::Io { path: dir, source })?;
        }
        let mut config = self.document("config.toml", CONFIG_TOML)?;
        config["moniker"] = toml_edit::value(moniker);
        if let Some(rpc) = settings.rpc.as_deref().filter(|rpc| *rpc != "off") {
            config["rpc"]["laddr"] = toml_edit::value(laddr(rpc));
        }
        self.write("config.toml", &config.to_string())?;

        let mut app = self.document("app.toml", APP_TOML)?;
        let given = settings.to_table().to_string();
        let given = parse(&self.file("app.toml"), &given)?;
        for (key, value) in given.iter() {
            app["mock"][key] = value.clone();
        }
        self.write("app.toml", &app.to_string())?;
        let text = json!({ "chain_id": chain_id, "initial_height": "1", "app_state": {} });
        self.write("genesis.json", &format!("{text:#}\n"))
    }

    /// Makes what is missing of a home that was never initialised.
    pub(crate) fn ensure(&self, settings: &Settings) -> Result<(), HomeError> {
        if self.file("genesis.json").exists() {
            return Ok(());
        }
        self.init("mocknode", "mock-1", settings, false)
    }

    /// The chain's name.
    pub(crate) fn chain_id(&self) -> String {
        let text = self.read("genesis.json").unwrap_or_default();
        let genesis: Value = serde_json::from_str(&text).unwrap_or_default();
        genesis["chain_id"].as_str().unwrap_or("mock-1").to_owned()
    }

    /// The document in `config/<name>`, or the text it starts with.
    fn document(&self, name: &str, initial: &str) -> Result<DocumentMut, HomeError> {
        let text = self.read(name)?;
        let text = if text.is_empty() { initial } else { &text };
        parse(&self.file(name), text)
    }

    /// A string in one of the configuration files.
    fn string(&self, name: &str, table: &str, key: &str) -> Result<Option<String>, HomeError> {
        let document = parse(&self.file(name), &self.read(name)?)?;
        let value = document.get(table).and_then(|table| table.get(key));
        Ok(value.and_then(|v| v.as_str()).map(str::to_owned))
    }

    /// The address in `config/config.toml` at which the RPC listens.
    pub(crate) fn rpc_address(&self) -> Result<Option<String>, HomeError> {
        self.string("config.toml", "rpc", "laddr")
    }

    /// The address in `config/app.toml` at which gRPC listens.
    pub(crate) fn grpc_address(&self) -> Result<Option<String>, HomeError> {
        self.string("app.toml", "grpc", "address")
    }

    /// Notes where the RPC listens, for those who read `config/config.toml`.
    pub(crate) fn publish_rpc(&self, address: SocketAddr) -> Result<(), HomeError> {
        self.publish(
            "config.toml",
            CONFIG_TOML,
            ["rpc", "laddr"],
            &laddr(&address.to_string()),
        )
    }

    /// Notes where gRPC listens, for those who read `config/app.toml`.
    pub(crate) fn publish_grpc(&self, address: SocketAddr) -> Result<(), HomeError> {
        self.publish(
            "app.toml",
            APP_TOML,
            ["grpc", "address"],
            &address.to_string(),
        )
    }

    fn publish(
        &self,
        name: &str,
        initial: &str,
        [table, key]: [&str; 2],
        address: &str,
    ) -> Result<(), HomeError> {
        let mut document = self.document(name, initial)?;
        let known = document.get(table).and_then(|t| t.get(key));
        if known.and_then(|v| v.as_str()) == Some(address) {
            return Ok(());
        }
        document[table][key] = toml_edit::value(address);
        self.write(name, &document.to_string())
    }

    /// How often the node has crashed as its settings asked for.
    pub(crate) fn failures(&self) -> u64 {
        let text = fs::read_to_string(self.0.join("mocknode-failures")).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    /// Notes one more of these crashes; if it cannot be noted it is not counted.
    pub(crate) fn count_failure(&self) {
        let count = self.failures() + 1;
        let _ = fs::write(self.0.join("mocknode-failures"), format!("{count}\n"));
    }

    /// The exit code of this call of `pre-upgrade`: the first number in `<home>/pre-upgrade-exit`,
    /// which is removed from it unless it is the last, so that `31 31 0` fails twice. `None` if
    /// there is no such file.
    pub(crate) fn pre_upgrade_code(&self) -> Result<Option<u8>, HomeError> {
        let path = self.0.join("pre-upgrade-exit");
        let failed = |source| HomeError::Io {
            path: path.clone(),
            source,
        };
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(failed)?,
        };
        let mut codes = text.split_whitespace();
        let code = codes.next().and_then(|code| code.parse().ok());
        let code = code.ok_or_else(|| HomeError::Codes(path.clone()))?;
        let rest: Vec<&str> = codes.collect();
        if !rest.is_empty() {
            fs::write(&path, rest.join(" ") + "\n").map_err(failed)?;
        }
        Ok(Some(code))
    }

    /// Appends `event` to `mocknode-events.jsonl`, by which tests and the curious can see
    /// afterwards what happened. It is best effort: a node does not fail for its diary.
    pub(crate) fn record(&self, version: &Version, event: &str, details: Value) {
        let mut entry = json!({
            "time": jiff::Timestamp::now().to_string(),
            "event": event,
            "version": version.0,
            "pid": std::process::id(),
        });
        if let (Value::Object(entry), Value::Object(details)) = (&mut entry, details) {
            entry.extend(details);
        }
        let path = self.0.join("mocknode-events.jsonl");
        let full = fs::metadata(&path).is_ok_and(|meta| meta.len() > MAX_EVENTS);
        if full {
            return;
        }
        let file = OpenOptions::new().create(true).append(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(format!("{entry}\n").as_bytes()));
    }
}

fn parse(path: &Path, text: &str) -> Result<DocumentMut, HomeError> {
    text.parse()
        .map_err(|error: toml_edit::TomlError| HomeError::Toml {
            path: path.to_owned(),
            what: error.to_string(),
        })
}

/// An address as `rpc.laddr` has it.
fn laddr(address: &str) -> String {
    if address.contains("://") {
        address.to_owned()
    } else {
        format!("tcp://{address}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_writes_what_start_reads_and_never_overwrites_unasked() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home(dir.path().join("node"));
        let given = Settings {
            rpc: Some("127.0.0.1:1234".into()),
            plan: vec!["v2:5:a \"quoted\" info".parse().unwrap()],
            ..Settings::default()
        };
        home.init("me", "chain-9", &given, false).unwrap();
        let v1 = Version("v1".into());
        let read = home.settings(&Settings::default(), &v1).unwrap();
        assert_eq!(read.plan, given.plan);
        assert_eq!(read.rpc, given.rpc);
        assert_eq!(
            home.rpc_address().unwrap().as_deref(),
            Some("tcp://127.0.0.1:1234")
        );
        assert_eq!(home.chain_id(), "chain-9");
        let error = home.init("me", "chain-9", &given, false).unwrap_err();
        assert!(matches!(error, HomeError::Initialised(_)));
        home.init("me", "chain-10", &given, true).unwrap();
        home.ensure(&given).unwrap();
        assert_eq!(home.chain_id(), "chain-10");
    }

    #[test]
    fn pre_upgrade_codes_are_used_up_but_for_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home(dir.path().to_owned());
        assert_eq!(home.pre_upgrade_code().unwrap(), None);
        fs::write(dir.path().join("pre-upgrade-exit"), "31 30\n0").unwrap();
        let codes: Vec<_> = (0..4)
            .map(|_| home.pre_upgrade_code().unwrap().unwrap())
            .collect();
        assert_eq!(codes, [31, 30, 0, 0]);
        fs::write(dir.path().join("pre-upgrade-exit"), "256").unwrap();
        assert!(home.pre_upgrade_code().is_err());
    }

    #[test]
    fn publishing_an_address_keeps_the_rest_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home(dir.path().to_owned());
        fs::create_dir(dir.path().join("config")).unwrap();
        let text = "# mine\n[rpc] # here\nladdr = \"tcp://1.2.3.4:5\"\nother = 1 # kept\n";
        fs::write(home.file("config.toml"), text).unwrap();
        home.publish_rpc("127.0.0.1:77".parse().unwrap()).unwrap();
        let now = fs::read_to_string(home.file("config.toml")).unwrap();
        assert_eq!(now, text.replace("1.2.3.4:5", "127.0.0.1:77"));
        home.publish_grpc("127.0.0.1:78".parse().unwrap()).unwrap();
        assert_eq!(
            home.grpc_address().unwrap().as_deref(),
            Some("127.0.0.1:78")
        );
        fs::write(home.file("config.toml"), "[rpc").unwrap();
        let error = home
            .publish_rpc("127.0.0.1:77".parse().unwrap())
            .unwrap_err();
        assert!(error.to_string().contains("config.toml"), "{error}");
    }
}
