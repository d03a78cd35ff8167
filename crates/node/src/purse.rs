//! What belongs to the node's own key, and payments from it: rewards until there is an account, and on a solonet or a
//! generated network the whole supply.
//!
//! Nobody keeps an index of it. Blocks are searched from the newest down, since change and rewards are young, then the
//! genesis.

use std::time::{Duration, Instant};

use baton_chain::{Chain, ChainError, Origin, Pool, Reader, Refusal};
use baton_ledger::state::{Utxo, check_spendable};
use baton_ledger::transaction::{Spend, SpentOutput};
use baton_ledger::{
    AssetId, Entries, Hash, Input, InputKind, Mapped, Output, OutputKind, Transaction,
};

use crate::node_key::NodeKey;

/// The fee of a payment, in neu, as bytomcli's.
pub const FEE_NEU: u64 = 20_000_000;
/// The most outputs that a payment spends: each takes gas.
const MAX_INPUTS: usize = 20;
/// How long blocks are searched.
const MAX_SEARCH: Duration = Duration::from_secs(10);

/// Why there is no payment.
#[derive(Debug, thiserror::Error)]
pub enum PurseError {
    /// The chain cannot be read.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// There is too little.
    #[error(
        "the node key's own address {address} has {found_neu} neu to spend, {wanted_neu} neu are wanted (looked at the \
         blocks from {from_height} on{}); {}",
        if *.whole { "" } else { ", until the search took too long" }, remedy(*.waiting_neu)
    )]
    TooLittle {
        /// The address.
        address: String,
        /// What there is.
        found_neu: u64,
        /// What payments spend that wait for a block; their change can be spent after it.
        waiting_neu: u64,
        /// What is wanted.
        wanted_neu: u64,
        /// How far down was looked.
        from_height: u64,
        /// Whether all was looked at.
        whole: bool,
    },
    /// The amount is none.
    #[error("an amount of {0} neu cannot be paid")]
    Amount(u64),
    /// The pool does not take it.
    #[error("the transaction was not taken: {0}")]
    Refused(#[from] Refusal),
}

fn remedy(waiting_neu: u64) -> String {
    if waiting_neu > 0 {
        format!(
            "{waiting_neu} neu are in payments that wait for a block: ask again when they are in one"
        )
    } else {
        "rewards mature after some blocks".to_owned()
    }
}

/// The node key's money.
#[derive(Clone)]
pub(crate) struct Purse {
    chain: Chain,
    pool: Pool,
    key: NodeKey,
}

/// What was found.
#[derive(Debug, Default)]
struct Found {
    outputs: Vec<SpentOutput>,
    amount_neu: u64,
    /// What is spent in the pool.
    waiting_neu: u64,
    /// The lowest height that was looked at.
    from_height: u64,
    whole: bool,
}

impl Purse {
    pub(crate) fn new(chain: &Chain, pool: &Pool, key: &NodeKey) -> Self {
        Self {
            chain: chain.clone(),
            pool: pool.clone(),
            key: key.clone(),
        }
    }

    pub(crate) fn key(&self) -> &NodeKey {
        &self.key
    }

    /// Pays `outputs`, all of BTM, and the fee; the id of the transaction, which waits in the pool then. Blocks.
    pub(crate) fn pay(&self, outputs: Vec<Output>) -> Result<Hash, PurseError> {
        let mut wanted_neu = FEE_NEU;
        for output in &outputs {
            let sum = wanted_neu.checked_add(output.amount);
            let amount = output.amount;
            wanted_neu = sum
                .filter(|_| amount > 0)
                .ok_or(PurseError::Amount(amount))?;
        }
        let found = self.find(wanted_neu)?;
        if found.amount_neu < wanted_neu {
            let prefix = self.chain.params().prefix;
            let address = baton_ledger::Address::from_program(&self.key.program());
            return Err(PurseError::TooLittle {
                address: address.map_or_else(String::new, |address| address.encode(prefix)),
                found_neu: found.amount_neu,
                waiting_neu: found.waiting_neu,
                wanted_neu,
                from_height: found.from_height,
                whole: found.whole,
            });
        }
        let change = found.amount_neu - wanted_neu;
        let transaction = signed(&self.key, found.outputs, outputs, change);
        Ok(self.pool.submit(transaction, Origin::Local)?.id)
    }

    /// Finds outputs to spend in the next block, worth so much together if there are.
    fn find(&self, wanted_neu: u64) -> Result<Found, PurseError> {
        let reader = self.chain.read()?;
        let tip = reader.tip().height;
        let until = Instant::now() + MAX_SEARCH;
        let mut found = Found {
            from_height: tip,
            ..Found::default()
        };
        // The genesis first: where it pays this key there is no need to look any further.
        let heights = std::iter::once(0).chain((1..=tip).rev());
        for height in heights {
            self.look(&reader, height, &mut found)?;
            if height > 0 {
                found.from_height = height;
            }
            if found.amount_neu >= wanted_neu || found.outputs.len() == MAX_INPUTS {
                return Ok(found);
            }
            if Instant::now() >= until {
                return Ok(found);
            }
        }
        found.whole = true;
        Ok(found)
    }

    fn look(&self, reader: &Reader, height: u64, found: &mut Found) -> Result<(), PurseError> {
        let Some(block) = reader.block(height)? else {
            return Ok(());
        };
        let program = self.key.program();
        for mapped in &block.transactions {
            let transaction = mapped.transaction();
            let own = transaction
                .outputs
                .iter()
                .enumerate()
                .filter(|(_, output)| {
                    output.control_program == program
                        && output.asset_id == AssetId::BTM
                        && output.kind == OutputKind::Original
                        && output.amount > 0
                });
            for (position, output) in own {
                if found.outputs.len() == MAX_INPUTS {
                    return Ok(());
                }
                let spent = spending(mapped, position, output);
                let id = spent_id(&spent);
                let utxo: Option<Utxo> = reader.utxo(&id)?;
                let next = reader.tip().height + 1;
                let ripe = utxo
                    .is_some_and(|utxo| check_spendable(&utxo, next, self.chain.params()).is_ok());
                if !ripe {
                    continue;
                }
                if self.pool.spender(&id).is_some() {
                    found.waiting_neu = found.waiting_neu.saturating_add(output.amount);
                } else {
                    found.amount_neu += output.amount;
                    found.outputs.push(spent);
                }
            }
        }
        Ok(())
    }
}

fn spending(maker: &Mapped, position: usize, output: &Output) -> SpentOutput {
    SpentOutput {
        source_id: maker.entries().mux_id,
        asset_id: output.asset_id,
        amount: output.amount,
        source_position: position as u64,
        control_program: output.control_program.clone(),
        state_data: output.state_data.clone(),
        suffix: output.commitment_suffix.clone(),
    }
}

fn input(output: SpentOutput) -> Input {
    Input::from(InputKind::Spend(Spend {
        output,
        arguments: Vec::new(),
    }))
}

fn spent_id(output: &SpentOutput) -> Hash {
    baton_ledger::entry::spent_output_id(&input(output.clone())).expect("it spends an output")
}

/// A transaction that pays `outputs` and the change, signed (P2WPKH: signature and public key).
fn signed(
    key: &NodeKey,
    spent: Vec<SpentOutput>,
    mut outputs: Vec<Output>,
    change: u64,
) -> Transaction {
    if change > 0 {
        outputs.push(Output::original(AssetId::BTM, change, key.program()));
    }
    let mut transaction = Transaction {
        version: 1,
        time_range: 0,
        inputs: spent.into_iter().map(input).collect(),
        outputs,
    };
    let entries = Entries::of(&transaction);
    let public = key.secret().xpub().public_key().to_vec();
    for (index, input) in transaction.inputs.iter_mut().enumerate() {
        let hash = entries
            .signature_hash(index)
            .expect("there is an entry for each input");
        let signature = key.secret().sign(hash.as_bytes()).to_vec();
        if let Some(arguments) = input.arguments_mut() {
            *arguments = vec![signature, public.clone()];
        }
    }
    transaction
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::genesis;
    use baton_chain::{Options, PoolSettings};
    use baton_ledger::program;

    #[test]
    fn the_genesis_can_be_paid_out_and_no_more_than_that() {
        let dir = tempfile::tempdir().unwrap();
        let key = NodeKey::generate();
        let genesis = genesis::solonet(&key);
        let path = dir.path().join("core.redb");
        let chain = Chain::open(&path, &genesis, Options::default()).unwrap();
        let pool = Pool::open(&chain, PoolSettings::default(), None).unwrap();
        let purse = Purse::new(&chain, &pool, &key);
        let to = |amount| {
            vec![Output::original(
                AssetId::BTM,
                amount,
                program::p2wpkh(&[7; 20]),
            )]
        };
        // what the genesis makes must mature, as all that a coinbase makes
        let error = purse.pay(to(5)).unwrap_err().to_string();
        assert!(
            error.contains("has 0 neu to spend, 20000005 neu are wanted"),
            "{error}"
        );
        assert!(matches!(purse.pay(to(0)), Err(PurseError::Amount(0))));
        assert!(matches!(
            purse.pay(to(u64::MAX)),
            Err(PurseError::Amount(_))
        ));
    }

    #[test]
    fn what_is_signed_satisfies_the_node_keys_program() {
        let key = NodeKey::generate();
        let spent = SpentOutput {
            source_id: Hash([1; 32]),
            asset_id: AssetId::BTM,
            amount: 100_000_000,
            source_position: 0,
            control_program: key.program(),
            state_data: Vec::new(),
            suffix: Vec::new(),
        };
        let outputs = vec![Output::original(
            AssetId::BTM,
            50_000_000,
            program::p2wpkh(&[7; 20]),
        )];
        let transaction = signed(&key, vec![spent], outputs, 30_000_000);
        let params = baton_ledger::Params::solonet(vec![key.xpub()]);
        let mapped = Mapped::from(transaction);
        let context = baton_ledger::BlockContext {
            version: 1,
            height: 1,
            first: false,
            params: &params,
            contracts: &BTreeMap::new(),
        };
        let status = baton_ledger::validate_transaction(&mapped, &context).unwrap();
        assert_eq!(status.fee_neu, FEE_NEU);
    }
}
