//! Blocks of the chain, proofs and votes.

use std::sync::Arc;

use baton_chain::{Chain, StoredBlock};
use baton_ledger::{Hash, Header, Mapped};
use baton_wallet::answer::{AnnotatedInput, AnnotatedOutput};
use serde::{Serialize, Serializer};

use crate::{
    fault::Fault,
    namespace::Namespace,
    reply::{Answer, Reply},
    request::{Hex, Ignored, request},
    table::{Endpoint, Fresh, Lane},
};

pub(super) fn table() -> Vec<Endpoint> {
    vec![
        Endpoint::always("get-block-count", Lane::Here, block_count)
            .doc("The height of the last block."),
        Endpoint::always("get-block-hash", Lane::Here, block_hash).doc("The hash of the last block."),
        Endpoint::always("chain-status", Lane::Here, chain_status)
            .doc("The last block, which is final: blocks are decided once."),
        Endpoint::always("get-block", Lane::Read, block)
            .fresh(Fresh::Always)
            .doc("A block with its transactions, by hash or height.")
            .example(r#"{"block_height":1}"#),
        Endpoint::always("get-raw-block", Lane::Read, raw_block)
            .fresh(Fresh::Always)
            .doc("A block's encoding, by hash or height.")
            .example(r#"{"block_height":1}"#),
        Endpoint::always("get-block-header", Lane::Read, block_header)
            .fresh(Fresh::Always)
            .doc("A block header's encoding, by hash or height.")
            .example(r#"{"block_height":1}"#),
        Endpoint::always("get-merkle-proof", Lane::Read, merkle_proof)
            .fresh(Fresh::Always)
            .doc("Shows that transactions are in a block.")
            .example(r#"{"tx_ids":["51a0e4d63153fdbe3ee51f84116f4110cc6a77c6435f22da674b0fdb068aa691"],"block_hash":"512e726d7b90091003f9f0a14ddc6218ce8b25b6c606faf81a552b4e6036d065"}"#),
        Endpoint::always("get-vote-result", Lane::Read, vote_result)
            .doc("The votes for each validator, at the end of the epoch of a block; without one, now.")
            .example(r#"{"block_height":100}"#),
    ]
}

/// Hashes as texts.
pub(super) fn text<T: std::fmt::Display, S: Serializer>(
    value: &T,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

#[derive(Serialize)]
struct BlockCount {
    block_count: u64,
}

fn block_count(namespace: &Namespace, _: Ignored) -> Answer {
    Ok(Reply::of(&BlockCount {
        block_count: namespace.parts.chain.tip().height,
    }))
}

#[derive(Serialize)]
struct BlockHash {
    #[serde(serialize_with = "text")]
    block_hash: Hash,
}

fn block_hash(namespace: &Namespace, _: Ignored) -> Answer {
    Ok(Reply::of(&BlockHash {
        block_hash: namespace.parts.chain.tip().hash,
    }))
}

#[derive(Serialize)]
struct ChainStatus {
    current_height: u64,
    #[serde(serialize_with = "text")]
    current_hash: Hash,
    finalized_height: u64,
    #[serde(serialize_with = "text")]
    finalized_hash: Hash,
    justified_height: u64,
    #[serde(serialize_with = "text")]
    justified_hash: Hash,
}

fn chain_status(namespace: &Namespace, _: Ignored) -> Answer {
    let tip = namespace.parts.chain.tip();
    Ok(Reply::of(&ChainStatus {
        current_height: tip.height,
        current_hash: tip.hash,
        finalized_height: tip.height,
        finalized_hash: tip.hash,
        justified_height: tip.height,
        justified_hash: tip.hash,
    }))
}

request! {
    /// Which block. A hash that has not 32 bytes is passed over, as in bytomd.
    BlockReq("BlockReq") {
        block_height: u64 => "the height of a block",
        block_hash: Hex => "the hash of a block; it comes before the height",
    }
}

impl BlockReq {
    fn hash(&self) -> Option<Hash> {
        hash(&self.block_hash)
    }

    fn find(&self, chain: &Chain) -> Result<Arc<StoredBlock>, Fault> {
        if let Some(hash) = self.hash() {
            return by_hash(chain, &hash);
        }
        let block = chain.block(self.block_height)?;
        block.ok_or_else(|| no_height(self.block_height))
    }
}

/// A hash, if the bytes are one.
pub(super) fn hash(bytes: &Hex) -> Option<Hash> {
    bytes.0.as_slice().try_into().ok().map(Hash)
}

pub(super) fn by_hash(chain: &Chain, hash: &Hash) -> Result<Arc<StoredBlock>, Fault> {
    let block = chain.block_by_hash(hash)?;
    block.ok_or_else(|| no_hash(hash))
}

fn no_hash(hash: &Hash) -> Fault {
    Fault::plain(format!("There are no blockHeader with given hash {hash}"))
}

fn no_height(height: u64) -> Fault {
    Fault::plain(format!(
        "can't find block in given height: There are no BlockHash with given height {height}"
    ))
}

#[derive(Serialize)]
struct Block {
    #[serde(serialize_with = "text")]
    hash: Hash,
    /// bytomd counts digits.
    size: usize,
    version: u64,
    height: u64,
    validator: String,
    #[serde(serialize_with = "text")]
    previous_block_hash: Hash,
    timestamp: u64,
    #[serde(serialize_with = "text")]
    transaction_merkle_root: Hash,
    transactions: Vec<BlockTx>,
}

/// A transaction in a block or in the pool.
#[derive(Serialize)]
pub(super) struct BlockTx {
    #[serde(serialize_with = "text")]
    id: Hash,
    version: u64,
    size: usize,
    time_range: u64,
    inputs: Vec<AnnotatedInput>,
    outputs: Vec<AnnotatedOutput>,
    #[serde(serialize_with = "text")]
    mux_id: Hash,
}

impl BlockTx {
    pub(super) fn of(namespace: &Namespace, mapped: &Mapped) -> Self {
        let (transaction, entries) = (mapped.transaction(), mapped.entries());
        let prefix = namespace.parts.chain.params().prefix;
        Self {
            id: entries.transaction_id,
            version: transaction.version,
            size: transaction.size(),
            time_range: transaction.time_range,
            inputs: AnnotatedInput::all(transaction, entries, prefix),
            outputs: AnnotatedOutput::all(transaction, entries, prefix),
            mux_id: entries.mux_id,
        }
    }
}

fn validator(block: &StoredBlock) -> String {
    block.head.proposer.map(hex::encode).unwrap_or_default()
}

fn block(namespace: &Namespace, request: BlockReq) -> Answer {
    let block = request.find(&namespace.parts.chain)?;
    let header = block.header();
    Ok(Reply::of(&Block {
        hash: block.hash(),
        size: block.bytes.len() * 2,
        version: header.version,
        height: header.height,
        validator: validator(&block),
        previous_block_hash: header.previous_block_hash,
        timestamp: header.timestamp_ms,
        transaction_merkle_root: header.transactions_merkle_root,
        transactions: block
            .transactions
            .iter()
            .map(|mapped| BlockTx::of(namespace, mapped))
            .collect(),
    }))
}

#[derive(Serialize)]
struct RawBlock {
    #[serde(with = "hex::serde")]
    raw_block: Vec<u8>,
    validator: String,
}

fn raw_block(namespace: &Namespace, request: BlockReq) -> Answer {
    let block = request.find(&namespace.parts.chain)?;
    Ok(Reply::of(&RawBlock {
        raw_block: block.bytes.to_vec(),
        validator: validator(&block),
    }))
}

#[derive(Serialize)]
struct BlockHeader {
    block_header: String,
}

fn block_header(namespace: &Namespace, request: BlockReq) -> Answer {
    let block = request.find(&namespace.parts.chain)?;
    Ok(Reply::of(&BlockHeader {
        block_header: block.header().to_hex(),
    }))
}

request! {
    /// What is to be shown.
    MerkleProofReq("MerkleBlockReq") {
        tx_ids: Vec<Hex> => "ids of transactions",
        block_hash: Hex => "the hash of the block; without it, that of the genesis block is meant",
    }
}

#[derive(Serialize)]
struct MerkleProof {
    block_header: String,
    tx_hashes: Vec<String>,
    flags: Vec<u8>,
    matched_tx_ids: Option<Vec<String>>,
}

fn merkle_proof(namespace: &Namespace, request: MerkleProofReq) -> Answer {
    let chain = &namespace.parts.chain;
    let block = match hash(&request.block_hash) {
        Some(hash) => by_hash(chain, &hash)?,
        None => by_hash(chain, &chain.genesis_hash())?,
    };
    let wanted: std::collections::HashSet<Hash> = request.tx_ids.iter().filter_map(hash).collect();
    let ids = block.transaction_ids();
    let proof = baton_ledger::merkle::Proof::new(&ids, |id| wanted.contains(id));
    let texts = |hashes: Vec<Hash>| -> Vec<String> { hashes.iter().map(Hash::to_string).collect() };
    let matched: Vec<Hash> = ids.into_iter().filter(|id| wanted.contains(id)).collect();
    let header: &Header = block.header();
    Ok(Reply::of(&MerkleProof {
        block_header: header.to_hex(),
        tx_hashes: texts(proof.hashes),
        flags: proof.flags,
        matched_tx_ids: (!matched.is_empty()).then(|| texts(matched)),
    }))
}

#[derive(Serialize)]
struct Votes {
    vote: String,
    vote_number: u64,
}

fn vote_result(namespace: &Namespace, request: BlockReq) -> Answer {
    let reader = namespace.parts.chain.read()?;
    let height = match request.hash() {
        Some(hash) => {
            let height = reader.height_of(&hash)?;
            Some(height.ok_or_else(|| no_hash(&hash))?)
        }
        None if request.block_height == 0 => None,
        None if request.block_height > reader.tip().height => {
            return Err(Fault::plain(format!(
                "can't find block header in given height: There are no BlockHash with given height {}",
                request.block_height
            )));
        }
        None => Some(request.block_height),
    };
    let mut votes: Vec<Votes> = reader
        .votes_at(height)?
        .into_iter()
        .map(|(key, vote_number)| Votes {
            vote: hex::encode(key),
            vote_number,
        })
        .collect();
    // those with most votes first, as they are elected
    votes.sort_by(|a, b| b.vote_number.cmp(&a.vote_number).then(b.vote.cmp(&a.vote)));
    Ok(Reply::of(&votes))
}
