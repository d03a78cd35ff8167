//! `genesis.json`: where a chain begins, as people read and write it.
//!
//! Every parameter stands in it, none has a default, and names that are not known are refused, so that two nodes with
//! the same text have the same chain. The hash of the genesis block follows from the rest; where the file names it, it
//! is checked, so that a file that was changed by accident is noticed before the first block.
//!
//! ```json
//! { "format": 1, "chain_id": "solonet", "address_prefix": "sn",
//!   "federation": ["<128 hexadecimal digits>"], "federation_quorum": 0,
//!   "params": { "block_interval_ms": 1000, "max_block_gas": 10000000, … },
//!   "outputs": [ { "address": "sn1q…", "amount_neu": 100000000 },
//!                { "program": "51", "amount_neu": 5 },
//!                { "address": "sn1q…", "vote": "<128 hexadecimal digits>", "amount_neu": 100000000 } ],
//!   "block_hash": "<64 hexadecimal digits>" }
//! ```

mod file;

use std::path::{Path, PathBuf};
use std::{fs, io};

use baton_ledger::genesis::BYTOM_SUPPLY_NEU;
use baton_ledger::{AssetId, Genesis, Hash, Output, Params};

use crate::files;
use crate::node_key::NodeKey;

/// The id of the network that a node makes for itself.
pub const SOLONET: &str = "solonet";
/// The gas of a block in networks that are made here: ten thousand transfers take 18 million, and Bytom's 10 million would
/// be what limits a chain with a block each second.
pub const MAX_BLOCK_GAS: u64 = 50_000_000;
/// Larger files are no genesis, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// Why there is no genesis.
#[derive(Debug, thiserror::Error)]
pub enum GenesisFileError {
    /// The network needs a file, and there is none.
    #[error(
        "chain_id[{chain_id}] needs {}, and there is none: this node does not join Bytom's public networks; copy the \
         file of the network that you join, or make one of your own by `batond testnet`",
        .path.display()
    )]
    Missing {
        /// The network.
        chain_id: String,
        /// The file.
        path: PathBuf,
    },
    /// No network is of that name. (bytomd's text, and what to do.)
    #[error(
        "chain_id[{chain_id}] don't exist: it is mainnet, wisdom or solonet, or named by {}, which there is not",
        .path.display()
    )]
    ChainId {
        /// What was asked for.
        chain_id: String,
        /// The file.
        path: PathBuf,
    },
    /// The settings name another network than the file.
    #[error(
        "chain_id[{asked}] was asked for, but {} is of chain_id[{found}]; change the one or the other",
        .path.display()
    )]
    Other {
        /// What was asked for.
        asked: String,
        /// What the file is of.
        found: String,
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is too large.
    #[error("{} has {bytes} bytes, more than the limit of {MAX_BYTES}", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// It is no genesis.
    #[error("{}: {what}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
    /// The hash that the file names is not that of its block.
    #[error(
        "{}: block_hash is {named}, but the block that follows from the rest has {found}; get the file again from where \
         it comes from, or take block_hash out if you changed the file on purpose",
        .path.display()
    )]
    Hash {
        /// The file.
        path: PathBuf,
        /// The hash in the file.
        named: Hash,
        /// The hash of the block.
        found: Hash,
    },
}

/// Reads `genesis.json`; `Ok(None)` if there is none.
pub fn read(path: &Path) -> Result<Option<Genesis>, GenesisFileError> {
    let io = |source| GenesisFileError::Io {
        path: path.to_owned(),
        source,
    };
    let bytes = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    if bytes > MAX_BYTES {
        let path = path.to_owned();
        return Err(GenesisFileError::TooLarge { path, bytes });
    }
    let malformed = |what| GenesisFileError::Malformed {
        path: path.to_owned(),
        what,
    };
    let text = fs::read_to_string(path).map_err(io)?;
    let file: file::File =
        serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    let named = file.block_hash;
    let genesis = file.genesis().map_err(malformed)?;
    let found = genesis.block().hash();
    match named {
        Some(named) if named.0 != found => Err(GenesisFileError::Hash {
            path: path.to_owned(),
            named: named.0,
            found,
        }),
        _ => Ok(Some(genesis)),
    }
}

/// Writes `genesis.json`, whole or not at all.
pub fn write(path: &Path, genesis: &Genesis) -> Result<(), GenesisFileError> {
    files::write_atomic(path, text(genesis).as_bytes(), 0o644).map_err(|source| {
        GenesisFileError::Io {
            path: path.to_owned(),
            source,
        }
    })
}

/// The text of a genesis.
pub fn text(genesis: &Genesis) -> String {
    let file = file::File::of(genesis);
    let mut text = serde_json::to_string_pretty(&file).expect("numbers, texts and lists are JSON");
    text.push('\n');
    text
}

/// The genesis of a home: that of its file, which has to be of the network that was asked for; a solonet makes its own.
pub fn of_home(path: &Path, chain_id: &str, key: &NodeKey) -> Result<Genesis, GenesisFileError> {
    if let Some(genesis) = read(path)? {
        let found = &genesis.params().chain_id;
        if chain_id.is_empty() || chain_id == found {
            return Ok(genesis);
        }
        return Err(GenesisFileError::Other {
            asked: chain_id.to_owned(),
            found: found.clone(),
            path: path.to_owned(),
        });
    }
    let path = path.to_owned();
    let chain_id = chain_id.to_owned();
    match chain_id.as_str() {
        SOLONET => Ok(solonet(key)),
        "mainnet" | "wisdom" => Err(GenesisFileError::Missing { chain_id, path }),
        _ => Err(GenesisFileError::ChainId { chain_id, path }),
    }
}

/// The genesis that a node makes for itself: it is the only validator, and has all there is.
pub fn solonet(key: &NodeKey) -> Genesis {
    let outputs = vec![Output::original(
        AssetId::BTM,
        BYTOM_SUPPLY_NEU,
        key.program(),
    )];
    Genesis::new(params(key), outputs).expect("a key that was read or made can sign")
}

/// What a network that is made here decides, if it is not told otherwise: as the ledger's solonet, with room for more
/// transactions in a block. The federation is the one node.
pub(crate) fn params(key: &NodeKey) -> Params {
    let like = Genesis::solonet(key.xpub(), key.program());
    let like = like.expect("a key that was read or made can sign");
    Params {
        max_block_gas: MAX_BLOCK_GAS,
        max_time_offset_ms: max_time_offset_ms(like.params().block_interval_ms),
        ..like.params().clone()
    }
}

/// How far ahead of a validator's clock the time of a block may be that it votes for: half of the interval, as in Bytom's main
/// network, but no less than what clocks differ by. All wait for such a block to be due, so that a proposer whose clock is
/// ahead should be refused, and not slow the chain.
pub(crate) fn max_time_offset_ms(block_interval_ms: u64) -> u64 {
    (block_interval_ms / 2).max(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(genesis: &Genesis) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("genesis.json");
        write(&path, genesis).unwrap();
        (dir, path)
    }

    #[test]
    fn a_clock_that_is_ahead_slows_no_chain_by_more_than_it_must() {
        let solonet = solonet(&NodeKey::generate());
        let params = solonet.params();
        assert_eq!(params.block_interval_ms, 1_000);
        assert_eq!(params.max_time_offset_ms, 1_000);
        assert_eq!(max_time_offset_ms(6_000), 3_000, "as Bytom's main network");
    }

    #[test]
    fn what_is_written_is_read() {
        let genesis = solonet(&NodeKey::generate());
        let (_dir, path) = written(&genesis);
        assert_eq!(read(&path).unwrap(), Some(genesis));
    }

    #[test]
    fn a_change_is_noticed_by_the_hash() {
        let (_dir, path) = written(&solonet(&NodeKey::generate()));
        let text = fs::read_to_string(&path).unwrap();
        let changed = text.replace("\"epoch_blocks\": 100", "\"epoch_blocks\": 10");
        assert_ne!(changed, text);
        fs::write(&path, &changed).unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, GenesisFileError::Hash { .. }), "{error}");
        let mut value: serde_json::Value = serde_json::from_str(&changed).unwrap();
        value.as_object_mut().unwrap().remove("block_hash");
        fs::write(&path, value.to_string()).unwrap();
        let genesis = read(&path).unwrap().unwrap();
        assert_eq!(genesis.params().epoch_blocks, 10);
    }

    #[test]
    fn what_is_wrong_in_the_file_is_named() {
        let (_dir, path) = written(&solonet(&NodeKey::generate()));
        let good: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let with = |pointer: &str, new: serde_json::Value| {
            let mut value = good.clone();
            *value.pointer_mut(pointer).unwrap() = new;
            fs::write(&path, value.to_string()).unwrap();
            read(&path).unwrap_err().to_string()
        };
        for (pointer, new, wanted) in [
            ("/format", serde_json::json!(2), "format 2"),
            ("/address_prefix", serde_json::json!("S"), "address prefix"),
            ("/federation/0", serde_json::json!("00"), "federation"),
            ("/outputs/0/address", serde_json::json!("bn1q"), "output 0"),
            ("/outputs", serde_json::json!([]), "without outputs"),
            ("/params", serde_json::json!({"x": 1}), "unknown field `x`"),
            (
                "/params/max_block_gas",
                serde_json::json!(0),
                "max_block_gas",
            ),
        ] {
            let error = with(pointer, new);
            assert!(error.contains(wanted), "{error} has no {wanted}");
            assert!(error.contains("genesis.json"), "{error}");
        }
    }

    #[test]
    fn only_a_solonet_needs_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("genesis.json");
        let key = NodeKey::generate();
        let of = |chain_id: &str| of_home(&path, chain_id, &key);
        assert_eq!(of("solonet").unwrap().params().federation, [key.xpub()]);
        let error = of("mainnet").unwrap_err().to_string();
        assert!(error.contains("batond testnet"), "{error}");
        for missing in ["", "testnet"] {
            let error = of(missing).unwrap_err().to_string();
            let wanted = format!("chain_id[{missing}] don't exist");
            assert!(error.starts_with(&wanted), "{error}");
        }
        write(&path, &solonet(&key)).unwrap();
        assert!(of("").is_ok());
        let error = of("wisdom").unwrap_err().to_string();
        assert!(error.contains("is of chain_id[solonet]"), "{error}");
    }
}
