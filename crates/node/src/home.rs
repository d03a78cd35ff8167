//! The home: one directory with everything that a chain of this node needs, laid out as bytomd's.
//!
//! ```text
//! config.toml  genesis.json  node_key.txt  LOCK  batond.sock  handover/
//! keystore/  log/  data/{core,accesstoken,txfeeds,wallet,trace,fastsync}.redb  data/{consensus/,pool,peers.json,bans.json}
//! namespaces/<name>/…            the same again
//! ```

use std::path::{Path, PathBuf};

use crate::namespace::Name;
use crate::settings::{Environment, Settings};

/// What the default home is called, in the user's own directory.
const DEFAULT: &str = ".batond";

/// The paths of a home that do not depend on its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// The home at a path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The home that was asked for: `--home`, else `TM_HOME`, else that of the Cosmovisor that runs batond, else
    /// `~/.batond`. A leading `~/` or `$HOME/` stands for the user's own directory.
    pub fn find(flag: Option<&str>, environment: &Environment) -> Self {
        let users = environment.get("HOME").map(Path::new);
        let supervised = || {
            (environment.get("DAEMON_NAME") == Some("batond"))
                .then(|| environment.get("DAEMON_HOME"))
        };
        let asked = flag
            .or_else(|| environment.get("TM_HOME"))
            .or_else(|| supervised().flatten())
            // a variable that is set to nothing says nothing
            .filter(|asked| !asked.is_empty());
        match asked {
            Some(asked) => Self(expand(asked, users)),
            None => Self(users.unwrap_or(Path::new(".")).join(DEFAULT)),
        }
    }

    /// The same, whatever directory the process goes to; paths are told to clients.
    #[must_use]
    pub fn absolute(self) -> Self {
        match std::path::absolute(&self.0) {
            Ok(path) => Self(path),
            Err(_) => self,
        }
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The settings.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// Where the chain begins.
    pub fn genesis(&self) -> PathBuf {
        self.0.join("genesis.json")
    }

    /// What one process at a time holds.
    pub fn lock(&self) -> PathBuf {
        self.0.join("LOCK")
    }

    /// Where a running node is asked and told.
    pub fn socket(&self) -> PathBuf {
        self.0.join("batond.sock")
    }

    /// Where processes of a node that runs without a supervisor find each other, to hand over.
    pub fn handover(&self) -> PathBuf {
        self.0.join("handover")
    }

    /// The home of a namespace of the node whose home this is.
    #[must_use]
    pub fn namespace(&self, name: &Name) -> Self {
        if name.is_global() {
            self.clone()
        } else {
            Self(self.namespaces().join(name.as_str()))
        }
    }

    /// Where the homes of namespaces are.
    pub fn namespaces(&self) -> PathBuf {
        self.0.join("namespaces")
    }

    /// The paths that settings decide.
    pub fn paths(&self, settings: &Settings) -> Paths {
        Paths {
            data: self.0.join(&settings.db_dir),
            keystore: self.0.join(&settings.keys_dir),
            node_key: self.0.join(&settings.private_key_file),
            log: self.0.join(&settings.log.directory),
        }
    }
}

fn expand(path: &str, users: Option<&Path>) -> PathBuf {
    let rest = path
        .strip_prefix("~/")
        .or_else(|| path.strip_prefix("$HOME/"));
    match (rest, users) {
        (Some(rest), Some(users)) => users.join(rest),
        (None, Some(users)) if path == "~" || path == "$HOME" => users.to_owned(),
        _ => PathBuf::from(path),
    }
}

/// The paths of a home that its settings decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The stores.
    pub data: PathBuf,
    /// The wallet's key files.
    pub keystore: PathBuf,
    /// The node's key.
    pub node_key: PathBuf,
    /// Log files.
    pub log: PathBuf,
}

impl Paths {
    /// Blocks, state and indexes.
    pub fn core(&self) -> PathBuf {
        self.data.join("core.redb")
    }

    /// Access tokens.
    pub fn tokens(&self) -> PathBuf {
        self.data.join("accesstoken.redb")
    }

    /// Transactions that clients watch for.
    pub fn feeds(&self) -> PathBuf {
        self.data.join("txfeeds.redb")
    }

    /// The wallet.
    pub fn wallet(&self) -> PathBuf {
        self.data.join("wallet.redb")
    }

    /// Contract instances.
    pub fn trace(&self) -> PathBuf {
        self.data.join("trace.redb")
    }

    /// The transactions that were in the pool at the last stop.
    pub fn pool(&self) -> PathBuf {
        self.data.join("pool")
    }

    /// What tells a supervisor that an upgrade is due.
    pub fn upgrade_info(&self) -> PathBuf {
        self.data.join("upgrade-info.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_found_as_bytomd_finds_it() {
        let bare = Environment::from_iter([("HOME", "/home/me")]);
        let of = |flag, environment: &Environment| Home::find(flag, environment).0;
        assert_eq!(of(None, &bare), Path::new("/home/me/.batond"));
        assert_eq!(of(Some("~/x"), &bare), Path::new("/home/me/x"));
        assert_eq!(of(Some("$HOME/x"), &bare), Path::new("/home/me/x"));
        assert_eq!(of(Some("~"), &bare), Path::new("/home/me"));
        assert_eq!(of(Some("/srv/~/x"), &bare), Path::new("/srv/~/x"));
        let set = Environment::from_iter([("HOME", "/home/me"), ("TMHOME", "/srv/a")]);
        assert_eq!(of(None, &set), Path::new("/srv/a"));
        assert_eq!(of(Some("/srv/b"), &set), Path::new("/srv/b"));
        let empty = Environment::from_iter([("HOME", "/home/me"), ("TM_HOME", "")]);
        assert_eq!(of(None, &empty), Path::new("/home/me/.batond"));
        let nowhere = Environment::default();
        assert_eq!(of(None, &nowhere), Path::new("./.batond"));
    }

    #[test]
    fn a_supervisor_of_another_node_decides_nothing() {
        let of = |name: &str| {
            let set = [
                ("HOME", "/home/me"),
                ("DAEMON_HOME", "/srv/d"),
                ("DAEMON_NAME", name),
            ];
            Home::find(None, &Environment::from_iter(set)).0
        };
        assert_eq!(of("batond"), Path::new("/srv/d"));
        assert_eq!(of("gaiad"), Path::new("/home/me/.batond"));
    }

    #[test]
    fn namespaces_have_homes_of_their_own() {
        let home = Home::at("/h");
        assert_eq!(home.namespace(&Name::global()), home);
        let second = home.namespace(&"second".parse().unwrap());
        assert_eq!(
            second.config(),
            Path::new("/h/namespaces/second/config.toml")
        );
    }
}
