//! The store's own records, as bytes.

use std::collections::BTreeMap;

use baton_ledger::Header;
use baton_ledger::codec::{DecodeError, Reader, Writer};
use baton_ledger::params::XPUB_LEN;
use baton_ledger::state::{Record, Tip};

use crate::block::Head;

/// The tip: height, timestamp, hash, `AppHash`.
pub(crate) fn encode_tip(tip: &Tip) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut w = Writer::new(&mut bytes);
    w.varint(tip.height);
    w.varint(tip.timestamp_ms);
    w.bytes(tip.hash.as_bytes());
    w.bytes(tip.app_hash.as_bytes());
    bytes
}

/// Reads the tip.
pub(crate) fn decode_tip(bytes: &[u8]) -> Result<Tip, DecodeError> {
    let mut r = Reader::new("tip", bytes)?;
    let tip = Tip {
        height: r.varint63("height of the tip")?,
        timestamp_ms: r.varint63("timestamp of the tip")?,
        hash: r.hash("hash of the tip")?,
        app_hash: r.hash("AppHash of the tip")?,
    };
    r.finish("tip")?;
    Ok(tip)
}

/// Hash, `AppHash`, proposer (a varstr, empty for nobody), round, size, number of transactions, header (a varstr).
impl Record for Head {
    const NAME: &'static str = "head of a block";

    fn write(&self, w: &mut Writer<'_>) {
        w.bytes(self.hash.as_bytes());
        w.bytes(self.app_hash.as_bytes());
        w.varstr(self.proposer.as_ref().map_or(&[], |xpub| xpub.as_slice()));
        w.varint(self.round.into());
        w.count(self.size);
        w.count(self.transactions);
        w.varstr(&self.header.encode());
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let hash = r.hash("hash of a block")?;
        let app_hash = r.hash("AppHash of a block")?;
        let proposer = r.varstr("proposer of a block")?;
        let round = r.varint63("round of a block")?;
        Ok(Self {
            hash,
            app_hash,
            proposer: <[u8; XPUB_LEN]>::try_from(proposer).ok(),
            round: u32::try_from(round).unwrap_or(u32::MAX),
            size: r.varint31("size of a block")?,
            transactions: r.varint31("number of transactions")?,
            header: Header::decode(r.varstr("header of a block")?)?,
        })
    }
}

/// Numbers by keys, such as votes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Numbers(pub(crate) BTreeMap<Vec<u8>, u64>);

impl Record for Numbers {
    const NAME: &'static str = "list of votes";

    fn write(&self, w: &mut Writer<'_>) {
        w.count(self.0.len());
        for (key, number) in &self.0 {
            w.varstr(key);
            w.varint(*number);
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = r.varint31("number of votes")?;
        let numbers = r.parts("vote", count, |r| {
            Ok((r.varstr("key")?.to_vec(), r.varint63("votes")?))
        })?;
        Ok(Self(numbers.into_iter().collect()))
    }
}
