//! An unspent output: what the wallet needs to know of it to show it and to spend it.

use baton_ledger::{
    AssetId, Entries, Hash, Params, Transaction,
    entry::ResultKind,
    transaction::{Input, InputKind, OutputKind, Spend, SpentOutput, Veto},
};
use serde::{Deserialize, Serialize};

use crate::{receiver::Receiver, text::as_bytes};

/// An output that pays to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unspent {
    /// Its id.
    #[serde(with = "as_bytes")]
    pub id: Hash,
    /// The mux of the transaction that made it.
    #[serde(with = "as_bytes")]
    pub source_id: Hash,
    /// Its number in that transaction.
    pub source_position: u64,
    /// The asset.
    #[serde(with = "as_bytes")]
    pub asset_id: AssetId,
    /// Units of it.
    pub amount: u64,
    /// Its control program.
    pub program: Vec<u8>,
    /// The state of a contract.
    pub state_data: Vec<Vec<u8>>,
    /// The extended public key it votes for; empty if it is no vote.
    pub vote: Vec<u8>,
    /// The account it pays to.
    pub account: String,
    /// The number of its address.
    pub number: u64,
    /// Whether its address is one for change.
    pub change: bool,
    /// The height of its block; 0 while it is unconfirmed.
    pub height: u64,
    /// It can be spent once the chain has this height.
    pub valid_height: u64,
}

impl Unspent {
    /// The output `position` of a transaction in the block at `height`, which pays to `receiver`. `None` if nothing
    /// can be spent: it is retired or empty.
    pub fn of(
        transaction: &Transaction,
        entries: &Entries,
        position: usize,
        receiver: &Receiver,
        height: u64,
        params: &Params,
    ) -> Option<Self> {
        let output = transaction.outputs.get(position)?;
        let entry = entries.outputs.get(position)?;
        let minted = matches!(
            transaction.inputs.first().map(|input| &input.kind),
            Some(InputKind::Coinbase(_))
        );
        let (vote, valid_height) = match (entry.kind, &output.kind) {
            (ResultKind::Original, _) if output.amount == 0 => return None,
            (ResultKind::Original, _) if minted => (
                Vec::new(),
                height.saturating_add(params.coinbase_maturity_blocks),
            ),
            (ResultKind::Original, _) => (Vec::new(), 0),
            (ResultKind::Vote, OutputKind::Vote(vote)) => (
                vote.clone(),
                height.saturating_add(params.vote_lock_blocks(height)),
            ),
            _ => return None,
        };
        Some(Self {
            id: entry.id,
            source_id: entries.mux_id,
            source_position: position as u64,
            asset_id: output.asset_id,
            amount: output.amount,
            program: output.control_program.clone(),
            state_data: output.state_data.clone(),
            vote,
            account: receiver.account.clone(),
            number: receiver.number,
            change: receiver.change,
            height,
            valid_height,
        })
    }

    /// The input that spends it, without a witness.
    pub fn input(&self) -> Input {
        let output = SpentOutput {
            source_id: self.source_id,
            asset_id: self.asset_id,
            amount: self.amount,
            source_position: self.source_position,
            control_program: self.program.clone(),
            state_data: self.state_data.clone(),
            suffix: Vec::new(),
        };
        Input::from(if self.vote.is_empty() {
            InputKind::Spend(Spend {
                output,
                arguments: Vec::new(),
            })
        } else {
            InputKind::Veto(Veto {
                output,
                vote: self.vote.clone(),
                arguments: Vec::new(),
            })
        })
    }
}
