//! What a block changes, and the hash that chains all changes since the genesis.
//!
//! Changes are encoded as a count and, in ascending order of the keys, for each: the key (a varstr), and `00` if the
//! record is removed or `01` and the record (a varstr). The order makes the encoding, and with it the `AppHash`, the same
//! wherever the changes were made.

use std::collections::BTreeMap;

use sha3::{Digest, Sha3_256};
use thiserror::Error;

use crate::codec::{DecodeError, Reader, Writer};
use crate::hash::Hash;

/// The records that a block writes (`Some`) or removes (`None`), by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes(pub BTreeMap<Vec<u8>, Option<Vec<u8>>>);

/// Why bytes are no changes.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ChangesError {
    /// They are not even well formed.
    #[error("reading changes: {0}")]
    Decode(#[from] DecodeError),
    /// A change neither writes nor removes.
    #[error("change {index} has the flag {flag}: 0 or 1 wanted")]
    Flag {
        /// The number of the change.
        index: usize,
        /// Its flag.
        flag: u8,
    },
    /// A key is not greater than the one before it.
    #[error("the key of change {index} is not after the one before it")]
    Order {
        /// The number of the change.
        index: usize,
    },
}

impl Changes {
    /// Their bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut Writer::new(&mut bytes));
        bytes
    }

    /// Reads their bytes, which must be in order and without repetition.
    pub fn decode(bytes: &[u8]) -> Result<Self, ChangesError> {
        let mut r = Reader::new("changes", bytes)?;
        let mut changes = BTreeMap::new();
        for index in 0..r.varint31("number of changes")? {
            let key = r.varstr("key of a change")?.to_vec();
            let record = match r.byte("flag of a change")? {
                0 => None,
                1 => Some(r.varstr("record of a change")?.to_vec()),
                flag => return Err(ChangesError::Flag { index, flag }),
            };
            let last = changes.last_key_value();
            if last.is_some_and(|(last, _)| *last >= key) {
                return Err(ChangesError::Order { index });
            }
            changes.insert(key, record);
        }
        r.finish("changes")?;
        Ok(Self(changes))
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.count(self.0.len());
        for (key, record) in &self.0 {
            w.varstr(key);
            match record {
                None => w.bytes(&[0]),
                Some(record) => {
                    w.bytes(&[1]);
                    w.varstr(record);
                }
            }
        }
    }

    /// SHA3-256 of their bytes.
    pub fn hash(&self) -> Hash {
        let mut hasher = Sha3_256::new();
        self.write(&mut Writer::new(&mut hasher));
        Hash(hasher.finalize().into())
    }

    /// The `AppHash` after them: SHA3-256 of the one before, the height (eight bytes, least significant first) and their
    /// [hash](Self::hash).
    pub fn app_hash(&self, before: Hash, height: u64) -> Hash {
        crate::hash::sha3_256(&[
            before.as_bytes(),
            &height.to_le_bytes(),
            self.hash().as_bytes(),
        ])
    }
}
