//! Making a home: a key, settings with a comment for each, and, for a solonet, where its chain begins.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use baton_ledger::Genesis;

use crate::files;
use crate::genesis::{self, GenesisFileError, SOLONET};
use crate::home::Home;
use crate::node_key::{NodeKey, NodeKeyError};
use crate::settings::{self, Settings, Value};

/// What kind of home is wanted.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The network; `testnet` is another name of `wisdom`, and nothing stands for a solonet.
    pub chain_id: String,
    /// Where the chain begins, for networks that are not a solonet.
    pub genesis: Option<Genesis>,
    /// Lines of `config.toml` that differ from the defaults.
    pub chosen: BTreeMap<&'static str, Value>,
    /// The key, if it was made before.
    pub key: Option<NodeKey>,
}

/// What was done.
#[derive(Debug)]
pub enum Made {
    /// There was a home already, and it is as it was.
    Already {
        /// Its settings.
        config: PathBuf,
    },
    /// There is one now.
    New {
        /// Its settings.
        config: PathBuf,
        /// The node's extended public key.
        xpub: String,
        /// The network needs a genesis file, which has to be brought here.
        wants_genesis: Option<PathBuf>,
    },
}

/// Why there is no home.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is no such network.
    #[error(
        "--chain_id {0:?}: mainnet, testnet (the same as wisdom) or solonet wanted; for another network, give its \
         genesis file by --genesis"
    )]
    ChainId(String),
    /// The key cannot be made or read.
    #[error(transparent)]
    Key(#[from] NodeKeyError),
    /// The genesis cannot be written.
    #[error(transparent)]
    Genesis(#[from] GenesisFileError),
    /// A file or directory cannot be made.
    #[error("making {}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Makes a home, or leaves the one that is there as it is.
///
/// `config.toml` is written last: a home without it is not finished, and `init` goes on with it, keeping its key.
pub fn init(home: &Home, request: Request) -> Result<Made, InitError> {
    let config = home.config();
    if config.exists() {
        return Ok(Made::Already { config });
    }
    let chain_id = chain_id(&request)?;
    let defaults = Settings::default_for(&chain_id);
    let paths = home.paths(&defaults);
    for directory in [home.path(), &paths.data, &paths.keystore] {
        files::make_private_dir(directory).map_err(|source| io(directory, source))?;
    }
    let key = match request.key {
        Some(key) => {
            key.write_new(&paths.node_key)?;
            key
        }
        None if paths.node_key.exists() => NodeKey::read(&paths.node_key)?,
        None => {
            let key = NodeKey::generate();
            key.write_new(&paths.node_key)?;
            key
        }
    };
    let own = request
        .genesis
        .or_else(|| (chain_id == SOLONET).then(|| genesis::solonet(&key)));
    let file = home.genesis();
    let has_genesis = match own {
        Some(_) if file.exists() => true,
        Some(genesis) => {
            genesis::write(&file, &genesis)?;
            true
        }
        None => file.exists(),
    };
    let mut chosen = request.chosen;
    chosen.entry("p2p.laddr").or_insert_with(|| {
        let port = match chain_id.as_str() {
            "mainnet" => 46_657,
            "wisdom" => 46_656,
            _ => 46_658,
        };
        Value::Text(format!("tcp://0.0.0.0:{port}"))
    });
    chosen.insert("chain_id", Value::Text(chain_id));
    let text = settings::document_text(&chosen);
    files::write_atomic(&config, text.as_bytes(), 0o644).map_err(|source| io(&config, source))?;
    Ok(Made::New {
        config,
        xpub: hex::encode(key.xpub()),
        wants_genesis: (!has_genesis).then_some(file),
    })
}

fn chain_id(request: &Request) -> Result<String, InitError> {
    if let Some(genesis) = &request.genesis {
        let found = &genesis.params().chain_id;
        if !request.chain_id.is_empty() && request.chain_id != *found {
            return Err(InitError::ChainId(request.chain_id.clone()));
        }
        return Ok(found.clone());
    }
    let known = match request.chain_id.as_str() {
        "" | SOLONET => SOLONET,
        "mainnet" => "mainnet",
        "testnet" | "wisdom" => "wisdom",
        other => return Err(InitError::ChainId(other.to_owned())),
    };
    Ok(known.to_owned())
}

fn io(path: &Path, source: io::Error) -> InitError {
    InitError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn of(chain_id: &str) -> Request {
        Request {
            chain_id: chain_id.to_owned(),
            ..Request::default()
        }
    }

    #[test]
    fn a_solonet_is_ready_to_start_and_its_secrets_are_its_owners() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        let made = init(&home, of("")).unwrap();
        let Made::New {
            xpub,
            wants_genesis: None,
            ..
        } = made
        else {
            panic!("{made:?}");
        };
        let at = |name: &str| home.path().join(name);
        assert_eq!(mode(home.path()), 0o700);
        assert_eq!(mode(&at("data")), 0o700);
        assert_eq!(mode(&at("keystore")), 0o700);
        assert_eq!(mode(&at("node_key.txt")), 0o600);
        assert_eq!(mode(&at("config.toml")), 0o644);
        let key = NodeKey::read(&at("node_key.txt")).unwrap();
        assert_eq!(xpub, hex::encode(key.xpub()));
        let genesis = genesis::read(&at("genesis.json")).unwrap().unwrap();
        assert_eq!(genesis.params().federation, [key.xpub()]);
        let config = fs::read_to_string(at("config.toml")).unwrap();
        assert!(config.contains("\nchain_id = \"solonet\"\n"), "{config}");
        assert!(
            config.contains("\nladdr = \"tcp://0.0.0.0:46658\"\n"),
            "{config}"
        );
    }

    #[test]
    fn a_second_init_changes_nothing_and_one_that_was_cut_short_goes_on_with_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        init(&home, of("solonet")).unwrap();
        let config = fs::read(home.config()).unwrap();
        let key = fs::read(dir.path().join("node_key.txt")).unwrap();
        assert!(matches!(
            init(&home, of("mainnet")).unwrap(),
            Made::Already { .. }
        ));
        assert_eq!(fs::read(home.config()).unwrap(), config);
        fs::remove_file(home.config()).unwrap();
        assert!(matches!(
            init(&home, of("solonet")).unwrap(),
            Made::New { .. }
        ));
        assert_eq!(fs::read(dir.path().join("node_key.txt")).unwrap(), key);
        assert_eq!(fs::read(home.config()).unwrap(), config);
    }

    #[test]
    fn a_network_wants_its_genesis_and_a_name_that_is_none_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("a"));
        let made = init(&home, of("testnet")).unwrap();
        assert!(
            matches!(
                made,
                Made::New {
                    wants_genesis: Some(_),
                    ..
                }
            ),
            "{made:?}"
        );
        let config = fs::read_to_string(home.config()).unwrap();
        assert!(config.contains("chain_id = \"wisdom\""), "{config}");
        let home = Home::at(dir.path().join("b"));
        let error = init(&home, of("foo")).unwrap_err().to_string();
        assert!(error.contains("\"foo\""), "{error}");
        assert!(!home.path().exists());
    }
}
