//! A block being applied, one step after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::apply::{Effects, Migration, Verdicts};
use super::changes::Changes;
use super::election::elect;
use super::error::{ApplyError, BlockRejection, SpendFault, StateError};
use super::overlay::Overlay;
use super::record::{Contract, Key, Origin, Utxo, UtxoKind};
use super::{State, coinbase, record};
use crate::block::Header;
use crate::entry::{Mapped, ResultKind};
use crate::hash::{AssetId, Hash};
use crate::params::Params;
use crate::program::{Standard, script_hash};
use crate::transaction::{InputKind, Output, OutputKind};
use crate::upgrade::{self, Decision, Plan, SignedMessage, Situation};
use crate::validate::{BlockContext, GasStatus, check_time_range, validate_transaction};

/// Contracts by their hash.
type Called = BTreeMap<[u8; 32], Vec<u8>>;

/// A block being applied.
pub(super) struct Work<'a, S> {
    overlay: Overlay<'a, S>,
    state: &'a S,
    params: &'a Params,
    height: u64,
    votes_neu: u64,
    effects: Effects,
}

impl<'a, S: State> Work<'a, S> {
    pub(super) fn new(
        state: &'a S,
        params: &'a Params,
        height: u64,
    ) -> Result<Self, StateError<S::Error>> {
        let mut overlay = Overlay::new(state);
        let votes_neu = overlay.number(&Key::AllVotes)?;
        Ok(Self {
            overlay,
            state,
            params,
            height,
            votes_neu,
            effects: Effects::default(),
        })
    }

    /// Does the upgrade that is due, if there is one.
    pub(super) fn migrate(
        &mut self,
        migration: Option<&Migration>,
    ) -> Result<(), ApplyError<S::Error>> {
        let plan: Option<Plan> = self.overlay.get(&Key::Plan)?;
        let due = plan.filter(|plan| plan.height == self.height);
        match (due, migration) {
            (None, None) => Ok(()),
            (Some(plan), Some(migration)) if plan.name == migration.name => {
                self.overlay.remove(&Key::Plan)?;
                self.overlay.put(&Key::Done(&plan.name), &self.height)?;
                self.overlay.merge(&migration.changes)?;
                self.votes_neu = self.overlay.number(&Key::AllVotes)?;
                self.effects.upgraded = Some(plan);
                Ok(())
            }
            (Some(plan), _) => Err(ApplyError::UpgradeNeeded(plan)),
            (None, Some(migration)) => Err(ApplyError::NotDue {
                name: migration.name.clone(),
                height: self.height,
            }),
        }
    }

    /// Checks that the first transaction pays what is due; the proposer's program.
    pub(super) fn pay(
        &mut self,
        transactions: &[Arc<Mapped>],
    ) -> Result<Vec<u8>, ApplyError<S::Error>> {
        let Some(first) = transactions.first() else {
            return Err(ApplyError::from(BlockRejection::Coinbase("block is empty")));
        };
        let due = if coinbase::is_payday(self.height, self.params) {
            self.overlay.numbers(record::REWARDS)?
        } else {
            BTreeMap::new()
        };
        for program in due.keys() {
            self.overlay.remove(&Key::Reward(program))?;
        }
        let program = coinbase::check(first.transaction(), self.height, due)?;
        Ok(program.to_vec())
    }

    /// Finds a transaction valid, or believes who did.
    pub(super) fn judge(
        &self,
        header: &Header,
        index: usize,
        transaction: &Mapped,
        verdicts: Option<&dyn Verdicts>,
    ) -> Result<GasStatus, ApplyError<S::Error>> {
        let known = verdicts
            .filter(|_| index > 0)
            .and_then(|verdicts| verdicts.verdict(transaction));
        let judged = if let Some(status) = known {
            check_time_range(transaction.transaction().time_range, self.height).map(|()| status)
        } else {
            let contracts = self.called(transaction)?;
            let context = BlockContext {
                version: header.version,
                height: self.height,
                first: index == 0,
                params: self.params,
                contracts: &contracts,
            };
            validate_transaction(transaction, &context)
        };
        let id = transaction.id();
        judged.map_err(|rejection| {
            ApplyError::from(BlockRejection::Transaction {
                index,
                id,
                rejection,
            })
        })
    }

    /// The contracts that the transaction calls and that earlier blocks registered.
    fn called(&self, transaction: &Mapped) -> Result<Called, StateError<S::Error>> {
        let mut contracts = BTreeMap::new();
        for input in &transaction.transaction().inputs {
            let Some(Standard::CallContract(hash)) = Standard::of(input.program()) else {
                continue;
            };
            let found: Option<Contract> = super::read(self.state, &Key::Contract(*hash))?;
            if let Some(contract) = found {
                contracts.insert(*hash, contract.program);
            }
        }
        Ok(contracts)
    }

    /// Spends what the transaction spends.
    pub(super) fn spend(
        &mut self,
        index: usize,
        transaction: &Mapped,
    ) -> Result<(), ApplyError<S::Error>> {
        let entries = transaction.entries().inputs.iter();
        for (entry, input) in entries.zip(&transaction.transaction().inputs) {
            let Some(output) = entry.spent_output_id else {
                continue;
            };
            let refuse = |fault| {
                ApplyError::from(BlockRejection::Spend {
                    index,
                    output,
                    fault,
                })
            };
            let key = Key::Utxo(output);
            let touched = self.overlay.is_touched(&key);
            let Some(utxo) = self.overlay.get::<Utxo>(&key)? else {
                return Err(refuse(if touched {
                    SpendFault::Spent
                } else {
                    SpendFault::Missing
                }));
            };
            check_spendable(&utxo, self.height, self.params).map_err(refuse)?;
            self.overlay.remove(&key)?;
            if let InputKind::Veto(veto) = &input.kind {
                self.unvote(&veto.vote, veto.output.amount)?;
            }
        }
        Ok(())
    }

    fn unvote(&mut self, key: &[u8], amount: u64) -> Result<(), StateError<S::Error>> {
        let key = Key::Votes(key);
        let votes = self.overlay.number(&key)?.saturating_sub(amount);
        self.overlay.put_number(&key, votes)?;
        self.votes_neu = self.votes_neu.saturating_sub(amount);
        Ok(())
    }

    fn vote(&mut self, key: &[u8], amount: u64) -> Result<(), StateError<S::Error>> {
        let key = Key::Votes(key);
        let votes = self.overlay.number(&key)?.saturating_add(amount);
        self.overlay.put_number(&key, votes)?;
        self.votes_neu = self.votes_neu.saturating_add(amount);
        Ok(())
    }

    /// Makes the outputs of transaction `index`.
    pub(super) fn make(
        &mut self,
        index: usize,
        transaction: &Mapped,
    ) -> Result<(), ApplyError<S::Error>> {
        let entries = transaction.entries().outputs.iter();
        let outputs = entries.zip(&transaction.transaction().outputs);
        for (position, (entry, output)) in outputs.enumerate() {
            let kind = match (entry.kind, &output.kind) {
                (ResultKind::Retirement, _) => {
                    self.obey(index, transaction, position, output)?;
                    continue;
                }
                (ResultKind::Vote, OutputKind::Vote(key)) => {
                    self.vote(key, output.amount)?;
                    UtxoKind::Vote
                }
                _ if index == 0 => UtxoKind::Coinbase,
                _ => UtxoKind::Normal,
            };
            if output.amount > 0 {
                let height = self.height;
                self.overlay
                    .put_new(&Key::Utxo(entry.id), &Utxo { kind, height });
            }
        }
        Ok(())
    }

    /// Does what a retirement asks for besides being one.
    fn obey(
        &mut self,
        index: usize,
        transaction: &Mapped,
        position: usize,
        output: &Output,
    ) -> Result<(), ApplyError<S::Error>> {
        if index == 0 && self.height > 0 {
            return Ok(());
        }
        if let Some(Standard::RegisterContract(program)) = Standard::of(&output.control_program) {
            let least = self.params.min_contract_output_neu;
            if output.asset_id == AssetId::BTM && output.amount >= least {
                self.register(program, transaction.id())?;
            }
            return Ok(());
        }
        let Some(message) = SignedMessage::in_program(&output.control_program) else {
            return Ok(());
        };
        let refuse = |error| BlockRejection::Plan {
            index,
            position,
            error,
        };
        let message = message.map_err(refuse)?;
        let name = match &message.message.decision {
            Decision::Schedule(plan) => &plan.name,
            Decision::Cancel { name } => name,
        };
        let origin: Option<Origin> = self.overlay.get(&Key::Genesis)?;
        let sequence = self.overlay.number(&Key::PlanSequence)?;
        let situation = Situation {
            params: self.params,
            genesis: origin.map_or(Hash::ZERO, |origin| origin.block_hash),
            height: self.height,
            sequence,
            plan: self.overlay.get(&Key::Plan)?,
            done: self.overlay.get(&Key::Done(name))?,
        };
        let plan = upgrade::obey(&message, &situation).map_err(refuse)?;
        match &plan {
            Some(plan) => self.overlay.put(&Key::Plan, plan)?,
            None => self.overlay.remove(&Key::Plan)?,
        }
        self.overlay.put(&Key::PlanSequence, &(sequence + 1))?;
        self.effects.plan_changed = Some(plan);
        Ok(())
    }

    fn register(
        &mut self,
        program: &[u8],
        transaction_id: Hash,
    ) -> Result<(), StateError<S::Error>> {
        let hash = script_hash(program);
        let key = Key::Contract(hash);
        if self.overlay.get::<Contract>(&key)?.is_none() {
            let contract = Contract {
                transaction_id,
                program: program.to_vec(),
            };
            self.overlay.put(&key, &contract)?;
            self.effects.contracts.push(hash);
        }
        Ok(())
    }

    /// Credits the proposer.
    pub(super) fn reward(
        &mut self,
        program: &[u8],
        fees_neu: u64,
    ) -> Result<(), StateError<S::Error>> {
        let reward = self.params.reward_neu(self.height, self.votes_neu);
        let key = Key::Reward(program);
        let earned = self.overlay.number(&key)?;
        let earned = earned.saturating_add(reward).saturating_add(fees_neu);
        self.overlay.put_number(&key, earned)
    }

    /// Ends the epoch if it is time, and tells what there is to be told.
    pub(super) fn finish(mut self) -> Result<(Changes, Effects), StateError<S::Error>> {
        self.overlay.put_number(&Key::AllVotes, self.votes_neu)?;
        if self.height.is_multiple_of(self.params.epoch_blocks.max(1)) {
            let elected = elect(&self.overlay.numbers(record::VOTES)?, self.params);
            self.overlay.put(&Key::Validators, &elected)?;
            self.effects.validators = Some(elected);
        }
        let plan: Option<Plan> = self.overlay.get(&Key::Plan)?;
        self.effects.upgrade_due = plan.filter(|plan| plan.height == self.height + 1);
        Ok((self.overlay.finish(), self.effects))
    }

    /// Notes where the chain begins.
    pub(super) fn found(&mut self, block_hash: Hash) {
        let params_hash = self.params.hash();
        let origin = Origin {
            block_hash,
            params_hash,
        };
        self.overlay.put_new(&Key::Genesis, &origin);
    }
}

/// Whether an output may be spent in a block at `height`.
pub fn check_spendable(utxo: &Utxo, height: u64, params: &Params) -> Result<(), SpendFault> {
    let from = utxo.spendable_from(height, params);
    if from <= height {
        return Ok(());
    }
    Err(match utxo.kind {
        UtxoKind::Vote => SpendFault::Locked { from },
        UtxoKind::Normal | UtxoKind::Coinbase => SpendFault::Immature { from },
    })
}
