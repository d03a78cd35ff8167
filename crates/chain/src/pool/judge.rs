//! Whether a transaction may wait for a block: all that can be told without looking at who waits already.

use std::sync::Arc;
use std::time::SystemTime;

use baton_ledger::entry::ResultKind;
use baton_ledger::program::Standard;
use baton_ledger::state::{Key, Utxo};
use baton_ledger::upgrade::{self, Decision, SignedMessage, Situation};
use baton_ledger::validate::{check_relay, is_lasting};
use baton_ledger::{Hash, Mapped, Transaction};
use bytes::Bytes;

use super::pooled::{Origin, Pooled, spent};
use super::refusal::Refusal;
use super::settings::PoolSettings;
use crate::chain::Chain;
use crate::check::validate;
use crate::error::ChainError;
use crate::reader::Reader;

/// What of a block is left for others than the coinbase at least, in bytes.
const COINBASE_ROOM: usize = 64 << 10;

/// A transaction that is good by itself.
pub(super) struct Judged {
    pub(super) pooled: Arc<Pooled>,
    /// The outputs it spends, as far as the state has them.
    pub(super) inputs: Vec<(Hash, Option<Utxo>)>,
}

/// Judges a transaction by the state that `reader` sees.
pub(super) fn judge(
    chain: &Chain,
    settings: &PoolSettings,
    reader: &Reader,
    mapped: Mapped,
    origin: Origin,
    arrived: SystemTime,
) -> Result<Judged, Refusal> {
    let params = chain.params();
    let height = reader.tip().height + 1;
    let max_fee_neu = match origin {
        Origin::Local => settings.max_fee_neu,
        Origin::Peer => u64::MAX,
    };
    check_relay(&mapped, max_fee_neu, params)?;
    let limit = chain
        .options()
        .max_block_bytes
        .saturating_sub(COINBASE_ROOM);
    if mapped.size() > limit {
        let bytes = mapped.size();
        return Err(Refusal::Size { bytes, limit });
    }
    let bytes = mapped.transaction().encode();
    if Transaction::decode(&bytes).as_ref() != Ok(mapped.transaction()) {
        return Err(Refusal::NotCanonical);
    }
    let valid = validate(reader, params, height, &mapped);
    let gas = valid.map_err(|error| reader.of_state(error))??;
    let (used, limit) = (gas.used, params.max_block_gas);
    if used > limit {
        return Err(Refusal::Gas { used, limit });
    }
    let plans = check_plan(chain, reader, &mapped)?;
    let inputs = unspent(reader, &mapped)?;
    let valid_at = (!is_lasting(mapped.transaction())).then_some(height);
    let pooled = Arc::new(Pooled {
        transaction: Arc::new(mapped),
        bytes: Bytes::from(bytes),
        gas,
        arrived,
        valid_at,
        plans,
    });
    Ok(Judged { pooled, inputs })
}

/// The outputs that a transaction spends, as far as the state has them.
pub(super) fn unspent(
    reader: &Reader,
    transaction: &Mapped,
) -> Result<Vec<(Hash, Option<Utxo>)>, ChainError> {
    let outputs = spent(transaction);
    outputs
        .map(|output| Ok((output, reader.utxo(&output)?)))
        .collect()
}

/// Whether the transaction decides on the upgrade plan, and if so, whether the next block may hold that.
pub(super) fn check_plan(chain: &Chain, reader: &Reader, mapped: &Mapped) -> Result<bool, Refusal> {
    let entries = mapped.entries().outputs.iter();
    let outputs = entries.zip(&mapped.transaction().outputs);
    let mut messages = outputs
        .filter(|(entry, _)| entry.kind == ResultKind::Retirement)
        .filter(|(_, output)| {
            let program = Standard::of(&output.control_program);
            !matches!(program, Some(Standard::RegisterContract(_)))
        })
        .filter_map(|(_, output)| SignedMessage::in_program(&output.control_program))
        .peekable();
    if messages.peek().is_none() {
        return Ok(false);
    }
    let mut plan = reader.plan()?;
    let sequence: u64 = reader.record(&Key::PlanSequence)?.unwrap_or(0);
    for (sequence, message) in (sequence..).zip(messages) {
        let message = message?;
        let name = match &message.message.decision {
            Decision::Schedule(plan) => &plan.name,
            Decision::Cancel { name } => name,
        };
        let situation = Situation {
            params: chain.params(),
            genesis: chain.genesis_hash(),
            height: reader.tip().height + 1,
            sequence,
            plan,
            done: reader.record(&Key::Done(name))?,
        };
        plan = upgrade::obey(&message, &situation)?;
    }
    Ok(true)
}
