//! What can go wrong with keys on disk, and the codes by which Bytom's clients know it.

use std::{io, path::PathBuf, sync::Arc};

use super::{
    MAX_ALIAS_LEN, MAX_FILE_LEN, MAX_KEYS, MAX_WAITING,
    kdf::{MAX_MEMORY_BYTES, MAX_WORK_BYTES},
};
use crate::chainkd::{KeyError, XPub};

/// Why the keystore refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// Another key has this alias, folded.
    #[error("duplicate key alias: {alias:?} is the alias of the key in {}", file.display())]
    DuplicateAlias {
        /// The alias asked for, folded.
        alias: String,
        /// The file of the key that has it.
        file: PathBuf,
    },
    /// The key is there already; two files with one key could not be told apart by their public
    /// key.
    #[error("duplicate key: {xpub} is the key {alias:?} in {}", file.display())]
    DuplicateKey {
        /// The key.
        xpub: XPub,
        /// The alias under which it is known.
        alias: String,
        /// Its file.
        file: PathBuf,
    },
    /// Nothing is left of the alias when white space is trimmed.
    #[error("a key needs an alias")]
    EmptyAlias,
    /// The alias is longer than [`MAX_ALIAS_LEN`].
    #[error("a key's alias has at most {MAX_ALIAS_LEN} bytes, this has {0}")]
    LongAlias(usize),
    /// No file holds this key.
    #[error("key not found: no file of the keystore holds {0}")]
    NotFound(XPub),
    /// Several files hold this key.
    #[error("multiple keys match {xpub}: remove all but one of {files:?}")]
    Ambiguous {
        /// The key.
        xpub: XPub,
        /// The files that hold it.
        files: Vec<PathBuf>,
    },
    /// The password does not open the file. Its checksum covers the password and the content alike,
    /// so damage looks the same.
    #[error("could not decrypt key with given passphrase: wrong password for {}, or its content is damaged", .0.display())]
    WrongPassword(PathBuf),
    /// The key cannot be used to sign.
    #[error("key not found or wrong password")]
    Locked {
        /// What stood in the way; shared, since it is remembered for the rest of the operation.
        source: Arc<KeystoreError>,
    },
    /// The file is not a key file.
    #[error("{} is not a key file", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What the JSON lacks.
        source: serde_json::Error,
    },
    /// The file is a key file of a kind that Bytom never wrote.
    #[error("{}: {what} is {found:?}, this reads {known:?} only", file.display())]
    Unsupported {
        /// The file.
        file: PathBuf,
        /// The field.
        what: &'static str,
        /// Its value.
        found: String,
        /// The value known here.
        known: &'static str,
    },
    /// The file asks for more memory or time than opening a key may take, or for parameters that
    /// scrypt does not have.
    #[error(
        "{}: scrypt with n={n}, r={r}, p={p} is not possible or above the limits of {} MiB of memory and {} MiB of work",
        file.display(), MAX_MEMORY_BYTES >> 20, MAX_WORK_BYTES >> 20
    )]
    Scrypt {
        /// The file.
        file: PathBuf,
        /// The cost.
        n: u64,
        /// The block size.
        r: u32,
        /// The parallelism.
        p: u32,
    },
    /// The file was opened, and what is inside is not the key that it names.
    #[error("{} does not hold the key that it names", file.display())]
    Mismatch {
        /// The file.
        file: PathBuf,
        /// Why not, if what it holds is no key at all.
        source: Option<KeyError>,
    },
    /// The file is longer than [`MAX_FILE_LEN`].
    #[error("{} is longer than {MAX_FILE_LEN} bytes, the limit of a key file", .0.display())]
    LongFile(PathBuf),
    /// There are more than [`MAX_KEYS`] keys.
    #[error("{} would hold more than {MAX_KEYS} keys, the limit of a keystore", .0.display())]
    TooManyKeys(PathBuf),
    /// Too many operations wait to derive a password.
    #[error(
        "{MAX_WAITING} operations wait to derive a password already, the limit of a keystore: try again later"
    )]
    Busy,
    /// The system refused.
    #[error("could not {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no random bytes.
    #[error("could not draw random bytes from the system")]
    Random(#[source] getrandom::Error),
}

impl KeystoreError {
    /// The code of the answer; `BTM000` is the one of faults without their own.
    pub fn code(&self) -> &'static str {
        match self {
            Self::DuplicateAlias { .. } => "BTM800",
            Self::NotFound(_) | Self::Ambiguous { .. } | Self::Locked { .. } => "BTM801",
            Self::WrongPassword(_) => "BTM802",
            _ => "BTM000",
        }
    }

    /// For `map_err` on a system call.
    pub(super) fn io(
        doing: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }
}
