//! A block: a header that is signed, and the transactions it commits to.
//!
//! # Encoding
//! A byte of flags says what follows: `01` the header alone, `02` the transactions alone, `03` both. A header is
//! version, height, hash of the block before, timestamp, and three extensible strings: the commitment (the merkle
//! root), the witness (a varstr), and the sup links (a count and that many). (bytomd v2, `protocol/bc/types`.)
//!
//! What is not canonical is taken as bytomd takes it: suffixes of the three extensible strings are dropped. Unlike
//! bytomd, which reads a header off the front of anything, decoding a header wants flags `01` and no more bytes
//! than the header.

use crate::codec::{DecodeError, Reader, Writer, from_hex};
use crate::entry::entry_id;
use crate::hash::Hash;
use crate::merkle;
use crate::transaction::Transaction;

const HEADER: u8 = 1;
const TRANSACTIONS: u8 = 2;
const FULL: u8 = 3;

/// How many signatures a sup link has room for: one for each validator (bytomd v2, `MaxNumOfValidators`).
pub const SUP_LINK_SIGNATURES: usize = 10;

/// What is known of a block without its transactions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// The version of its rules, 1.
    pub version: u64,
    /// Its number; 0 is the genesis block.
    pub height: u64,
    /// The hash of the block before it; zeros for the genesis block.
    pub previous_block_hash: Hash,
    /// When it was made, in milliseconds since 1970.
    pub timestamp_ms: u64,
    /// The root of the merkle tree of its transactions' ids.
    pub transactions_merkle_root: Hash,
    /// The proposer's ed25519 signature, 64 bytes; empty in the genesis block. Not part of the hash.
    pub witness: Vec<u8>,
    /// The validators' votes from one checkpoint to another. Not part of the hash.
    pub sup_links: Vec<SupLink>,
}

/// Votes for the way from a checkpoint to the block that has the link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SupLink {
    /// The height of the checkpoint.
    pub source_height: u64,
    /// The hash of the checkpoint.
    pub source_hash: Hash,
    /// The signatures in the order of the validators; empty where one has not signed.
    pub signatures: [Vec<u8>; SUP_LINK_SIGNATURES],
}

impl Header {
    /// Reads a header (flags `01`).
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new("block header", bytes)?;
        read_flags(&mut r, "block header", HEADER)?;
        let header = Self::read(&mut r)?;
        r.finish("block header")?;
        Ok(header)
    }

    /// Reads a header from hexadecimal text, as in `block_header`.
    pub fn from_hex(text: &str) -> Result<Self, DecodeError> {
        Self::decode(&from_hex("block header", text)?)
    }

    /// Its bytes, with flags `01`.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![HEADER];
        self.write(&mut Writer::new(&mut bytes));
        bytes
    }

    /// Its bytes as hexadecimal text, as in `block_header`.
    pub fn to_hex(&self) -> String {
        hex::encode(self.encode())
    }

    /// The hash of the block: the id of the entry `blockheader`.
    pub fn hash(&self) -> Hash {
        entry_id("blockheader", |w| {
            w.u64_le(self.version);
            w.u64_le(self.height);
            w.bytes(self.previous_block_hash.as_bytes());
            w.u64_le(self.timestamp_ms);
            w.bytes(self.transactions_merkle_root.as_bytes());
        })
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = r.varint63("block version")?;
        let height = r.varint63("block height")?;
        let previous_block_hash = r.hash("previous block hash")?;
        let timestamp_ms = r.varint63("block timestamp")?;
        let (root, _) = r.extensible("block commitment", |r| r.hash("transaction merkle root"))?;
        let (witness, _) = r.extensible("block witness", |r| r.varstr("block signature"))?;
        let (sup_links, _) = r.extensible("sup links", |r| {
            let count = r.varint31("number of sup links")?;
            r.parts("sup link", count, SupLink::read)
        })?;
        Ok(Self {
            version,
            height,
            previous_block_hash,
            timestamp_ms,
            transactions_merkle_root: root,
            witness: witness.to_vec(),
            sup_links,
        })
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.varint(self.version);
        w.varint(self.height);
        w.bytes(self.previous_block_hash.as_bytes());
        w.varint(self.timestamp_ms);
        w.extensible(&[], |w| w.bytes(self.transactions_merkle_root.as_bytes()));
        w.extensible(&[], |w| w.varstr(&self.witness));
        w.extensible(&[], |w| {
            w.count(self.sup_links.len());
            for link in &self.sup_links {
                link.write(w);
            }
        });
    }
}

impl SupLink {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut link = Self {
            source_height: r.varint63("source height of a sup link")?,
            source_hash: r.hash("source hash of a sup link")?,
            signatures: Default::default(),
        };
        for signature in &mut link.signatures {
            *signature = r.varstr("signature of a sup link")?.to_vec();
        }
        Ok(link)
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.varint(self.source_height);
        w.bytes(self.source_hash.as_bytes());
        for signature in &self.signatures {
            w.varstr(signature);
        }
    }
}

/// A header and its transactions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// The transactions, the coinbase first.
    pub transactions: Vec<Transaction>,
}

impl Block {
    /// Reads a full block (flags `03`).
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new("block", bytes)?;
        read_flags(&mut r, "block", FULL)?;
        let header = Header::read(&mut r)?;
        let transactions = read_transactions(&mut r)?;
        r.finish("block")?;
        Ok(Self {
            header,
            transactions,
        })
    }

    /// Reads a full block from hexadecimal text, as in `raw_block`.
    pub fn from_hex(text: &str) -> Result<Self, DecodeError> {
        Self::decode(&from_hex("block", text)?)
    }

    /// Its bytes, with flags `03`. bytomd's `get-block` tells twice this length as `size`.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FULL];
        let mut w = Writer::new(&mut bytes);
        self.header.write(&mut w);
        write_transactions(&self.transactions, &mut w);
        bytes
    }

    /// Its bytes as hexadecimal text, as in `raw_block`.
    pub fn to_hex(&self) -> String {
        hex::encode(self.encode())
    }

    /// Its hash, that of its header.
    pub fn hash(&self) -> Hash {
        self.header.hash()
    }

    /// The merkle root its header must have.
    pub fn merkle_root(&self) -> Hash {
        let ids: Vec<Hash> = self.transactions.iter().map(Transaction::id).collect();
        merkle::root(&ids)
    }
}

/// The bytes of a full block (flags `03`), of a header and transactions that are encoded already.
pub fn assemble<'a>(
    header: &Header,
    transactions: impl ExactSizeIterator<Item = &'a [u8]>,
) -> Vec<u8> {
    let mut bytes = vec![FULL];
    let mut w = Writer::new(&mut bytes);
    header.write(&mut w);
    w.count(transactions.len());
    for transaction in transactions {
        w.bytes(transaction);
    }
    bytes
}

/// The bytes of a block's transactions alone (flags `02`).
pub fn encode_transactions(transactions: &[Transaction]) -> Vec<u8> {
    let mut bytes = vec![TRANSACTIONS];
    write_transactions(transactions, &mut Writer::new(&mut bytes));
    bytes
}

/// Reads a block's transactions alone (flags `02`).
pub fn decode_transactions(bytes: &[u8]) -> Result<Vec<Transaction>, DecodeError> {
    let mut r = Reader::new("transactions of a block", bytes)?;
    read_flags(&mut r, "transactions of a block", TRANSACTIONS)?;
    let transactions = read_transactions(&mut r)?;
    r.finish("transactions of a block")?;
    Ok(transactions)
}

fn read_flags(r: &mut Reader<'_>, what: &'static str, wanted: u8) -> Result<(), DecodeError> {
    let found = r.byte("serialization flags of a block")?;
    if found == wanted {
        Ok(())
    } else {
        Err(DecodeError::Flags {
            what,
            found,
            wanted,
        })
    }
}

fn read_transactions(r: &mut Reader<'_>) -> Result<Vec<Transaction>, DecodeError> {
    let count = r.varint31("number of transactions")?;
    r.parts("transaction", count, Transaction::read)
}

fn write_transactions(transactions: &[Transaction], w: &mut Writer<'_>) {
    w.count(transactions.len());
    for transaction in transactions {
        transaction.write(w);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_tell_what_follows() {
        let block = Block::default();
        let error = Header::decode(&block.encode()).unwrap_err().to_string();
        assert_eq!(
            error,
            "unsupported serflags 0x3: a block header starts with 0x1"
        );
        let error = Block::from_hex("00").unwrap_err().to_string();
        assert_eq!(error, "unsupported serflags 0x0: a block starts with 0x3");
        assert!(decode_transactions(&block.encode()).is_err());
        assert_eq!(decode_transactions(&[TRANSACTIONS, 0]), Ok(Vec::new()));
    }

    #[test]
    fn a_block_is_assembled_as_it_is_encoded() {
        let block = Block {
            header: Header {
                height: 7,
                ..Header::default()
            },
            transactions: crate::genesis::bytom_transactions(),
        };
        let parts: Vec<Vec<u8>> = block.transactions.iter().map(Transaction::encode).collect();
        let assembled = assemble(&block.header, parts.iter().map(Vec::as_slice));
        assert_eq!(assembled, block.encode());
    }

    #[test]
    fn suffixes_are_dropped() {
        let header = Header::default();
        let mut bytes = header.encode();
        // the empty list of sup links, in an extensible string, with two bytes more
        assert_eq!(bytes.pop(), Some(0));
        assert_eq!(bytes.pop(), Some(1));
        bytes.extend([3, 0, 9, 9]);
        assert_eq!(Header::decode(&bytes), Ok(header));
        bytes.push(0);
        assert!(matches!(
            Header::decode(&bytes),
            Err(DecodeError::Trailing { .. })
        ));
    }

    #[test]
    fn a_count_of_sup_links_reserves_nothing() {
        let mut bytes = Header::default().encode();
        bytes.truncate(bytes.len() - 2);
        bytes.extend([5, 0xff, 0xff, 0xff, 0xff, 7]);
        let error = Header::decode(&bytes).unwrap_err().to_string();
        assert!(error.starts_with("reading sup link 0: "), "{error}");
    }

    #[test]
    fn votes_and_signature_are_not_in_the_hash() {
        let mut header = Header {
            height: 5,
            ..Header::default()
        };
        let hash = header.hash();
        header.witness = vec![1; 64];
        header.sup_links.push(SupLink::default());
        assert_eq!(header.hash(), hash);
        header.timestamp_ms = 1;
        assert_ne!(header.hash(), hash);
    }
}
