//! Namespaces on the disk: made, listed and removed, whether a node runs or not.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::Name;
use crate::configuration::{Configuration, ConfigurationError};
use crate::files;
use crate::home::Home;
use crate::init::{self, InitError, Made};
use crate::lock::{Lock, LockError};
use crate::settings::{Environment, Flags, Listed, Value};

/// How many ports after that of `global` are looked at for a free one.
const PORTS: u16 = 1_000;

/// Why a namespace is not made or removed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// `global` is not made or removed.
    #[error(
        "global is the chain at the root of the home: `batond init` makes it, and it is not destroyed"
    )]
    Global,
    /// The node's settings cannot be read.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// There is no node's home.
    #[error("{} is no home: there is no config.toml; `batond init` makes one", .0.display())]
    NoHome(PathBuf),
    /// There is one of that name.
    #[error("there is a namespace {0} already")]
    Exists(Name),
    /// There is none of that name.
    #[error("there is no namespace {0}; `batond namespace list` names them")]
    Unknown(Name),
    /// Its home cannot be made.
    #[error(transparent)]
    Init(#[from] InitError),
    /// It is in use.
    #[error("namespace {name} is in use: {source}")]
    InUse {
        /// Its name.
        name: Name,
        /// By whom.
        source: LockError,
    },
    /// `config.toml` cannot be changed.
    #[error("{}: {what}", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is in the way.
        what: String,
    },
    /// A file or directory cannot be written or removed.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Makes a namespace's home and lists it in the node's `config.toml`.
///
/// One whose making was cut short is gone on with; one whose home is there and which is not listed is listed.
pub fn create(
    home: &Home,
    name: &Name,
    mut request: init::Request,
    start: bool,
) -> Result<Made, AdminError> {
    if name.is_global() {
        return Err(AdminError::Global);
    }
    let configuration = configuration(home)?;
    if configuration
        .settings
        .namespaces
        .iter()
        .any(|listed| listed.name == *name)
    {
        return Err(AdminError::Exists(name.clone()));
    }
    let parent = home.namespaces();
    files::make_private_dir(&parent).map_err(|source| io(&parent, source))?;
    if !request.chosen.contains_key("p2p.laddr") {
        let laddr = free_address(home, &configuration);
        request
            .chosen
            .insert("p2p.laddr", Value::Text(format!("tcp://{laddr}")));
    }
    let made = init::init(&home.namespace(name), request)?;
    change_config(&home.config(), |namespaces| {
        let mut entry = Table::new();
        entry.insert("name", value(name.as_str()));
        entry.insert("start", value(start));
        namespaces.push(entry);
    })?;
    Ok(made)
}

/// The namespaces in the node's `config.toml`.
pub fn list(home: &Home) -> Result<Vec<Listed>, AdminError> {
    Ok(configuration(home)?.settings.namespaces)
}

/// Removes a namespace: its line in `config.toml`, and all its files, keys among them. A node that runs must have
/// forgotten it.
pub fn destroy(home: &Home, name: &Name) -> Result<(), AdminError> {
    if name.is_global() {
        return Err(AdminError::Global);
    }
    let own = home.namespace(name);
    let listed = list(home)?.iter().any(|listed| listed.name == *name);
    if !listed && !own.path().exists() {
        return Err(AdminError::Unknown(name.clone()));
    }
    if own.path().exists() {
        // nobody can start it any more from here on
        let _lock = Lock::take(&own.lock()).map_err(|source| AdminError::InUse {
            name: name.clone(),
            source,
        })?;
        unlist(home, name)?;
        // what is removed in part must not look like a namespace
        let doomed = own.path().with_file_name(format!(".destroyed-{name}"));
        let failed = |source| io(&doomed, source);
        if doomed.exists() {
            fs::remove_dir_all(&doomed).map_err(failed)?;
        }
        fs::rename(own.path(), &doomed).map_err(failed)?;
        files::sync_parent(&doomed).map_err(failed)?;
        fs::remove_dir_all(&doomed).map_err(failed)?;
    } else {
        unlist(home, name)?;
    }
    Ok(())
}

fn unlist(home: &Home, name: &Name) -> Result<(), AdminError> {
    change_config(&home.config(), |namespaces| {
        namespaces.retain(|entry| entry.get("name").and_then(Item::as_str) != Some(name.as_str()));
    })
}

fn configuration(home: &Home) -> Result<Configuration, AdminError> {
    if !home.config().exists() {
        return Err(AdminError::NoHome(home.path().to_owned()));
    }
    let nothing = (Flags::new(), Environment::default());
    Ok(Configuration::load(home.clone(), &nothing.0, &nothing.1)?)
}

/// An address for peers that no other namespace has, and nobody listens at now.
fn free_address(home: &Home, global: &Configuration) -> SocketAddr {
    let base = global.settings.p2p.laddr;
    let others = global.settings.namespaces.iter().filter_map(|listed| {
        let other = Configuration::of_namespace(home.namespace(&listed.name)).ok()?;
        Some(other.settings.p2p.laddr.port())
    });
    let mut taken: BTreeSet<u16> = others.collect();
    taken.extend([base.port(), global.settings.api_addr.port()]);
    let ports = (1..PORTS).filter_map(|offset| base.port().checked_add(offset));
    let free = ports
        .filter(|port| !taken.contains(port))
        .map(|port| SocketAddr::new(base.ip(), port))
        .find(|address| TcpListener::bind(address).is_ok());
    // none: the kernel picks one at each start
    free.unwrap_or(SocketAddr::new(base.ip(), 0))
}

/// Changes the list in `config.toml`, and leaves all else in it as it is.
fn change_config(path: &Path, change: impl FnOnce(&mut ArrayOfTables)) -> Result<(), AdminError> {
    let text = fs::read_to_string(path).map_err(|source| io(path, source))?;
    let config = |what: String| AdminError::Config {
        path: path.to_owned(),
        what,
    };
    let mut document: DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| config(error.to_string()))?;
    let entry = document
        .entry("namespace")
        .or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let namespaces = entry
        .as_array_of_tables_mut()
        .ok_or_else(|| config("namespace is written otherwise than as [[namespace]]".to_owned()))?;
    change(namespaces);
    if namespaces.is_empty() {
        document.remove("namespace");
    }
    let mode = files::mode(path).map_err(|source| io(path, source))?;
    files::write_atomic(path, document.to_string().as_bytes(), mode)
        .map_err(|source| io(path, source))
}

fn io(path: &Path, source: io::Error) -> AdminError {
    AdminError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        init::init(&home, init::Request::default()).unwrap();
        (dir, home)
    }

    #[test]
    fn a_namespace_is_made_listed_and_removed_and_the_rest_stays() {
        let (_dir, home) = node();
        let before = fs::read_to_string(home.config()).unwrap();
        let (second, third): (Name, Name) = ("second".parse().unwrap(), "third".parse().unwrap());
        create(&home, &second, init::Request::default(), true).unwrap();
        create(&home, &third, init::Request::default(), false).unwrap();
        let error = create(&home, &second, init::Request::default(), true).unwrap_err();
        assert!(matches!(error, AdminError::Exists(_)));
        let listed = list(&home).unwrap();
        let listed: Vec<_> = listed
            .iter()
            .map(|one| (one.name.as_str(), one.start))
            .collect();
        assert_eq!(listed, [("second", true), ("third", false)]);
        let port = |name: &Name| {
            let configuration = Configuration::of_namespace(home.namespace(name)).unwrap();
            configuration.settings.p2p.laddr.port()
        };
        assert_ne!(port(&second), port(&third));
        destroy(&home, &second).unwrap();
        assert!(!home.namespace(&second).path().exists());
        assert!(matches!(
            destroy(&home, &second),
            Err(AdminError::Unknown(_))
        ));
        destroy(&home, &third).unwrap();
        assert_eq!(fs::read_to_string(home.config()).unwrap(), before);
        assert_eq!(fs::read_dir(home.namespaces()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_in_use_is_not_removed() {
        let (_dir, home) = node();
        let name: Name = "second".parse().unwrap();
        create(&home, &name, init::Request::default(), true).unwrap();
        let lock = Lock::take(&home.namespace(&name).lock()).unwrap();
        assert!(matches!(
            destroy(&home, &name),
            Err(AdminError::InUse { .. })
        ));
        assert_eq!(list(&home).unwrap().len(), 1);
        drop(lock);
        destroy(&home, &name).unwrap();
        assert!(matches!(
            destroy(&home, &Name::global()),
            Err(AdminError::Global)
        ));
    }
}
