//! What a block changes, and the hash that chains all changes since the genesis.
//!
//! Changes are encoded as a count and, in ascending order of the keys, for each: the key (a varstr), and `00` if the
//! record is removed or `01` and the record (a varstr). The order makes the encoding, and with it the `AppHash`, the same
//! wherever the changes were made.

use std::collections::BTreeMap;

use sha3::{Digest, Sha3_256};

use crate::codec::{DecodeError, Reader, Writer};
use crate::hash::Hash;

/// The records that a block writes (`Some`) or removes (`None`), by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes(pub BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl Changes {
    /// Their bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut Writer::new(&mut bytes));
        bytes
    }

    /// Reads their bytes, which must be in order and without repetition.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new("changes", bytes)?;
        let count = r.varint31("number of changes")?;
        let mut last: Option<Vec<u8>> = None;
        let parts = r.parts("change", count, |r| {
            let key = r.varstr("key of a change")?.to_vec();
            let out_of_order = DecodeError::Flags {
                what: "change after the one before it",
                found: key.first().copied().unwrap_or(0),
                wanted: last
                    .as_ref()
                    .and_then(|key| key.first().copied())
                    .unwrap_or(0),
            };
            if last.as_ref().is_some_and(|last| *last >= key) {
                return Err(out_of_order);
            }
            let record = match r.byte("flag of a change")? {
                0 => None,
                1 => Some(r.varstr("record of a change")?.to_vec()),
                found => {
                    return Err(DecodeError::Flags {
                        what: "record of a change",
                        found,
                        wanted: 1,
                    });
                }
            };
            last = Some(key.clone());
            Ok((key, record))
        })?;
        r.finish("changes")?;
        Ok(Self(parts.into_iter().collect()))
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
