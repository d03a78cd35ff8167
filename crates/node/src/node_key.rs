//! The node's key: one chainkd secret, as bytomd keeps it (`node_key.txt`, 128 hexadecimal digits and no more).

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use baton_ledger::params::Xpub;
use baton_wallet::chainkd::{KEY_LEN, KeyError, XPrv};
use zeroize::Zeroizing;

use crate::files;

/// The secret that a validator signs with, and its public half by which others know it.
#[derive(Clone)]
pub struct NodeKey(XPrv);

/// Why there is no node key.
#[derive(Debug, thiserror::Error)]
pub enum NodeKeyError {
    /// There is no file.
    #[error("fail on open private key file {}: there is none; `batond init` makes one", .0.display())]
    Missing(PathBuf),
    /// It cannot be read or written.
    #[error("fail on open private key file {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read it.
    #[error(
        "{} has mode {mode:04o}: others than its owner can read or write this node's key, with which they could sign in \
         its place; `chmod 600 {}` if nobody did",
        .path.display(), .path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is no key.
    #[error("{} is no node key: {source}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// A key is there already.
    #[error("{} is there already; move it away if you want another key", .0.display())]
    Exists(PathBuf),
}

impl NodeKey {
    /// A new key, from the system's randomness.
    pub fn generate() -> Self {
        let mut seed = Zeroizing::new([0; 64]);
        getrandom::fill(&mut seed[..]).expect("the kernel gives random bytes once it has booted");
        Self(XPrv::root(&seed[..]))
    }

    /// Reads a key that only its owner can read.
    pub fn read(path: &Path) -> Result<Self, NodeKeyError> {
        let io = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => NodeKeyError::Missing(path.to_owned()),
            _ => NodeKeyError::Io {
                path: path.to_owned(),
                source,
            },
        };
        if let Some(mode) = files::open_to_others(path).map_err(io)? {
            return Err(NodeKeyError::Open {
                path: path.to_owned(),
                mode,
            });
        }
        let text = Zeroizing::new(fs::read(path).map_err(io)?);
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        let read = hex::decode_to_slice(text.trim_ascii(), &mut bytes[..])
            .map_err(|_| KeyError::Text)
            .and_then(|()| XPrv::from_bytes(&bytes[..]));
        read.map(Self).map_err(|source| NodeKeyError::Malformed {
            path: path.to_owned(),
            source,
        })
    }

    /// Writes the key to a new file of mode 0600; never over another.
    pub fn write_new(&self, path: &Path) -> Result<(), NodeKeyError> {
        let io = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => NodeKeyError::Exists(path.to_owned()),
            _ => NodeKeyError::Io {
                path: path.to_owned(),
                source,
            },
        };
        let text = Zeroizing::new(hex::encode(self.0.expose()));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(io)?;
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| files::sync_parent(path));
        written.map_err(|source| {
            // half a key is none; it was made here just now
            let _ = fs::remove_file(path);
            io(source)
        })
    }

    /// The extended public key.
    pub fn xpub(&self) -> Xpub {
        *self.0.xpub().as_bytes()
    }

    /// The secret.
    pub fn secret(&self) -> &XPrv {
        &self.0
    }

    /// The seed of the key by which peers know this node: it follows from the node's key, and tells nothing of it.
    pub fn peer_seed(&self) -> Zeroizing<[u8; 32]> {
        let child = self.0.hardened_child(b"baton peer identity");
        let mut seed = Zeroizing::new([0; 32]);
        seed.copy_from_slice(&child.expose()[32..]);
        seed
    }

    /// The control program that this key alone can spend from (P2WPKH).
    pub fn program(&self) -> Vec<u8> {
        let hash = baton_ledger::program::key_hash(&self.0.xpub().public_key());
        baton_ledger::program::p2wpkh(&hash)
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({}, secret not shown)", hex::encode(self.xpub()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_written_is_read_and_is_not_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node_key.txt");
        assert!(matches!(
            NodeKey::read(&path),
            Err(NodeKeyError::Missing(_))
        ));
        let key = NodeKey::generate();
        key.write_new(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read(&path).unwrap().len(), 128);
        assert_eq!(NodeKey::read(&path).unwrap().xpub(), key.xpub());
        assert!(matches!(key.write_new(&path), Err(NodeKeyError::Exists(_))));
        assert!(!format!("{key:?}").contains(&hex::encode(&key.0.expose()[..8])));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node_key.txt");
        NodeKey::generate().write_new(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = NodeKey::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("0640") && error.contains("chmod 600"),
            "{error}"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "ab").unwrap();
        let error = NodeKey::read(&path).unwrap_err().to_string();
        assert!(error.contains("is no node key"), "{error}");
    }
}
