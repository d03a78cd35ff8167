//! One key, encrypted: the JSON of bytomd's key files, read and written.
//!
//! From the password scrypt derives 32 bytes. The first 16 encrypt the 64 bytes of the extended
//! secret key with AES-128 in counter mode; the other 16, hashed with the ciphertext by SHA3-256,
//! are the checksum that tells a wrong password (bytomd calls its function `Sha256`, but its files
//! prove SHA3). Alias and public key stand beside it in clear and unauthenticated: the public key
//! is checked against the secret one, the alias is only a name.

use std::path::Path;

use aes::cipher::{KeyIvInit, StreamCipher};
use serde::{Deserialize, Serialize};
use sha3::{Digest, Sha3_256};
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    KeystoreError,
    kdf::{DERIVED_LEN, Strength},
};
use crate::chainkd::{XPrv, XPub};

const VERSION: u32 = 1;
const KIND: &str = "bytom_kd";
const CIPHER: &str = "aes-128-ctr";
const KDF: &str = "scrypt";
/// Bytes of salt in new files.
const SALT_LEN: usize = 32;
const IV_LEN: usize = 16;

/// An encrypted key, as it stands in a file and in a backup. The order of the fields is bytomd's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFile {
    crypto: Crypto,
    id: String,
    #[serde(rename = "type")]
    kind: String,
    version: u32,
    /// The name its owner gave it, as stored.
    pub alias: String,
    /// The public key.
    pub xpub: XPub,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    #[serde(with = "hex")]
    ciphertext: Vec<u8>,
    cipherparams: CipherParams,
    kdf: String,
    kdfparams: KdfParams,
    #[serde(with = "hex")]
    mac: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct CipherParams {
    #[serde(with = "hex")]
    iv: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KdfParams {
    dklen: u64,
    n: u64,
    p: u32,
    r: u32,
    #[serde(with = "hex")]
    salt: Vec<u8>,
}

impl KeyFile {
    /// Encrypts `key` under `password`. Takes the time of one derivation.
    pub(super) fn seal(
        key: &XPrv,
        id: Uuid,
        alias: String,
        password: &str,
        strength: Strength,
    ) -> Result<Self, KeystoreError> {
        let mut salt = vec![0; SALT_LEN];
        getrandom::fill(&mut salt).map_err(KeystoreError::Random)?;
        let mut iv = vec![0; IV_LEN];
        getrandom::fill(&mut iv).map_err(KeystoreError::Random)?;
        let derived = strength.derive(password, &salt);
        let mut ciphertext = key.expose().to_vec();
        apply_cipher(&derived, &iv, &mut ciphertext);
        Ok(Self {
            crypto: Crypto {
                cipher: CIPHER.into(),
                mac: checksum(&derived, &ciphertext),
                ciphertext,
                cipherparams: CipherParams { iv },
                kdf: KDF.into(),
                kdfparams: KdfParams {
                    dklen: DERIVED_LEN as u64,
                    n: strength.n(),
                    p: strength.p(),
                    r: strength.r(),
                    salt,
                },
            },
            id: id.to_string(),
            kind: KIND.into(),
            version: VERSION,
            alias,
            xpub: key.xpub(),
        })
    }

    /// Whether everything but the password is as it must be; errors name `file`. Returns the
    /// strength.
    pub(super) fn check(&self, file: &Path) -> Result<Strength, KeystoreError> {
        let crypto = &self.crypto;
        for (what, found, known) in [
            ("version", self.version.to_string(), "1"),
            ("type", self.kind.clone(), KIND),
            ("cipher", crypto.cipher.clone(), CIPHER),
            ("kdf", crypto.kdf.clone(), KDF),
            ("dklen", crypto.kdfparams.dklen.to_string(), "32"),
            (
                "bytes of iv",
                crypto.cipherparams.iv.len().to_string(),
                "16",
            ),
            (
                "bytes of ciphertext",
                crypto.ciphertext.len().to_string(),
                "64",
            ),
        ] {
            if found != known {
                return Err(KeystoreError::Unsupported {
                    file: file.to_owned(),
                    what,
                    found,
                    known,
                });
            }
        }
        let KdfParams { n, r, p, .. } = crypto.kdfparams;
        Strength::new(n, r, p).ok_or_else(|| KeystoreError::Scrypt {
            file: file.to_owned(),
            n,
            r,
            p,
        })
    }

    /// Decrypts the key; errors name `file`. Takes the time of one derivation.
    pub(super) fn open(&self, file: &Path, password: &str) -> Result<XPrv, KeystoreError> {
        let crypto = &self.crypto;
        let derived = self.check(file)?.derive(password, &crypto.kdfparams.salt);
        if !bool::from(checksum(&derived, &crypto.ciphertext).ct_eq(&crypto.mac)) {
            return Err(KeystoreError::WrongPassword(file.to_owned()));
        }
        let mut secret = Zeroizing::new(crypto.ciphertext.clone());
        apply_cipher(&derived, &crypto.cipherparams.iv, &mut secret);
        let mismatch = |source| KeystoreError::Mismatch {
            file: file.to_owned(),
            source,
        };
        let key = XPrv::from_bytes(&secret).map_err(|fault| mismatch(Some(fault)))?;
        if key.xpub() == self.xpub {
            Ok(key)
        } else {
            Err(mismatch(None))
        }
    }

    /// The identifier that is part of the file's name, if it is a UUID; other text could lead out
    /// of the directory.
    pub(super) fn id(&self) -> Option<Uuid> {
        Uuid::parse_str(&self.id).ok()
    }
}

fn apply_cipher(derived: &[u8; DERIVED_LEN], iv: &[u8], data: &mut [u8]) {
    ctr::Ctr128BE::<aes::Aes128>::new_from_slices(&derived[..16], iv)
        .expect("16 bytes of key, and the vector's length was checked")
        .apply_keystream(data);
}

fn checksum(derived: &[u8; DERIVED_LEN], ciphertext: &[u8]) -> Vec<u8> {
    Sha3_256::new()
        .chain_update(&derived[16..])
        .chain_update(ciphertext)
        .finalize()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const GOLDEN: &str = include_str!(
        "../../tests/data/bytomd-v2/UTC--2026-11-21T02-05-12.471533407Z--3efce15e-28d4-4733-9c0b-2a57e6097e25"
    );

    fn cheap() -> Strength {
        Strength::new(2, 1, 1).unwrap()
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0_u64..64).prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            prop::collection::vec(any::<u8>(), 0..80).prop_map(|bytes| hex::encode(bytes).into()),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    #[test]
    fn bytomds_file_is_read_and_written_byte_for_byte() {
        let file: KeyFile = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(serde_json::to_string(&file).unwrap(), GOLDEN.trim_end());
        let key = file.open(Path::new("file"), "pw123").unwrap();
        assert_eq!(key.xpub(), file.xpub);
    }

    #[test]
    fn no_two_files_share_salt_or_vector() {
        let key = XPrv::root(b"seed");
        let seal = || KeyFile::seal(&key, Uuid::nil(), "a".into(), "pw", cheap()).unwrap();
        let (one, two) = (seal(), seal());
        assert_ne!(one.crypto.kdfparams.salt, two.crypto.kdfparams.salt);
        assert_ne!(one.crypto.cipherparams.iv, two.crypto.cipherparams.iv);
        assert_ne!(one.crypto.ciphertext, two.crypto.ciphertext);
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_opened_by_its_password_only(seed: [u8; 8], password: String, other: String) {
            let key = XPrv::root(&seed);
            let file = KeyFile::seal(&key, Uuid::nil(), "a".into(), &password, cheap()).unwrap();
            let read: KeyFile = serde_json::from_slice(&serde_json::to_vec(&file).unwrap()).unwrap();
            prop_assert_eq!(&read, &file);
            let opened = read.open(Path::new("file"), &password).unwrap();
            prop_assert_eq!(opened.expose(), key.expose());
            if other != password {
                let refused = read.open(Path::new("file"), &other);
                prop_assert!(matches!(refused, Err(KeystoreError::WrongPassword(_))));
            }
        }

        #[test]
        fn any_json_in_any_field_is_opened_or_refused(
            field in prop::sample::select(vec![
                "", "/crypto", "/crypto/cipher", "/crypto/ciphertext", "/crypto/cipherparams", "/crypto/cipherparams/iv",
                "/crypto/kdf", "/crypto/kdfparams", "/crypto/kdfparams/dklen", "/crypto/kdfparams/n", "/crypto/kdfparams/p",
                "/crypto/kdfparams/r", "/crypto/kdfparams/salt", "/crypto/mac", "/id", "/type", "/version", "/alias", "/xpub",
            ]),
            value in any_json(),
        ) {
            let key = XPrv::root(b"seed");
            let file = KeyFile::seal(&key, Uuid::nil(), "a".into(), "pw", cheap()).unwrap();
            let mut json = serde_json::to_value(&file).unwrap();
            *json.pointer_mut(field).unwrap() = value;
            if let Ok(file) = serde_json::from_value::<KeyFile>(json)
                && let Ok(opened) = file.open(Path::new("file"), "pw")
            {
                prop_assert_eq!(opened.xpub(), file.xpub);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = serde_json::from_slice::<KeyFile>(&bytes);
        }
    }
}
