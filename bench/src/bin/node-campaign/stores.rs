//! What the stores say when nobody has them open any more.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result};
use baton_bench::node::Home;
use baton_chain::{Chain, Options};
use baton_consensus::context::BlockId;
use baton_consensus::decode_certificate;
use baton_ledger::{Block, Genesis, Hash, Mapped};

use super::blocks::Blocks;
use super::signatures::Signatures;

/// A store, read whole.
struct Store {
    /// For each height the block's id and the hash of the state after it.
    heights: BTreeMap<u64, (BlockId, Hash)>,
    transactions: HashMap<Hash, u64>,
}

/// Compares all stores with their genesis, with each other, and with what clients were given.
pub(crate) fn compare(
    homes: &[Home],
    genesis: &Genesis,
    blocks: &Blocks,
    signatures: &mut Signatures,
) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let mut agreed: BTreeMap<u64, (BlockId, Hash)> = BTreeMap::new();
    for (number, home) in homes.iter().enumerate() {
        let path = home.path().join("data/core.redb");
        let read = read(&path, genesis, signatures, &mut faults, number);
        let store = read.with_context(|| path.display().to_string())?;
        for (height, here) in &store.heights {
            let there = agreed.entry(*height).or_insert(*here);
            if there != here {
                faults.push(format!(
                    "FORK: height {height} of node {number} is {here:?}, of others {there:?}"
                ));
            }
        }
        let tip = store
            .heights
            .last_key_value()
            .map_or(0, |(height, _)| *height);
        for (height, seen) in blocks.ids.range(..=tip) {
            if store.heights.get(height).map(|(id, _)| id) != Some(seen) {
                faults.push(format!(
                    "block {height} of node {number} is another than clients got"
                ));
            }
        }
        let missing = blocks
            .transactions
            .iter()
            .filter(|(_, height)| **height <= tip);
        let missing = missing.filter(|(id, height)| store.transactions.get(id) != Some(*height));
        let missing = missing.count();
        if missing > 0 {
            faults.push(format!(
                "{missing} transactions that clients saw in blocks are lost in node {number}"
            ));
        }
    }
    let tip = agreed.last_key_value().map_or(0, |(height, _)| *height);
    if tip < blocks.height() {
        faults.push(format!(
            "clients saw height {}, no node has more than {tip}",
            blocks.height()
        ));
    }
    faults.truncate(20);
    Ok(faults)
}

fn read(
    path: &Path,
    genesis: &Genesis,
    signatures: &mut Signatures,
    faults: &mut Vec<String>,
    number: usize,
) -> Result<Store> {
    let chain = Chain::open(path, genesis, Options::default())?;
    if let Err(error) = chain.verify(|_| ()) {
        faults.push(format!("the store of node {number}: {error}"));
    }
    let reader = chain.read()?;
    let mut store = Store {
        heights: BTreeMap::new(),
        transactions: HashMap::new(),
    };
    for height in 1..=reader.tip().height {
        let decided = reader.decided(height)?.context("a block is missing")?;
        let state = reader.app_hash_at(height)?.context("a state is missing")?;
        let id = BlockId::of(&decided.bytes);
        store.heights.insert(height, (id, state));
        for transaction in Block::decode(&decided.bytes)?.transactions {
            let transaction = Mapped::from(transaction).id();
            if let Some(other) = store.transactions.insert(transaction, height) {
                faults.push(format!(
                    "{transaction} is in the blocks {other} and {height} of node {number}"
                ));
            }
        }
        let certificate = decode_certificate(&decided.certificate)?;
        if certificate.value_id != id || certificate.height.0 != height {
            faults.push(format!(
                "the certificate of block {height} of node {number} is for another block"
            ));
        }
        signatures.add_certificate(&certificate);
    }
    Ok(store)
}
