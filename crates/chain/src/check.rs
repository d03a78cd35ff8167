//! Judging a proposed block, once: what was found out is kept until it is committed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, MutexGuard, PoisonError};

use baton_ledger::program::Standard;
use baton_ledger::state::{
    Aids, Applied, Contract, Key, Migration, State, StateError, Verdicts, apply_mapped,
    check_clock, decode_block, read,
};
use baton_ledger::upgrade::Plan;
use baton_ledger::validate::BlockContext;
use baton_ledger::{
    Block, GasStatus, Hash, Header, Mapped, Params, Rejection, Transaction, validate_transaction,
};
use bytes::Bytes;

use crate::block::{Checked, Decision};
use crate::chain::Chain;
use crate::error::{ChainError, Refused};
use crate::parallel;
use crate::pool::Pool;
use crate::reader::Reader;

/// How many blocks that follow the tip are remembered as applied: one of each of the last rounds.
const MAX_CANDIDATES: usize = 4;

/// Blocks that were applied to the tip and not committed.
#[derive(Default)]
pub(crate) struct Candidates(Vec<Candidate>);

/// One of them.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) bytes: Bytes,
    pub(crate) header: Header,
    pub(crate) applied: Arc<Applied>,
}

impl Candidates {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The candidate with these bytes, if it follows the tip with this hash.
    fn find(&self, bytes: &Bytes, tip: Hash) -> Option<&Candidate> {
        let mut candidates = self.0.iter();
        candidates.find(|known| known.header.previous_block_hash == tip && known.bytes == *bytes)
    }

    fn take(&mut self, bytes: &Bytes, tip: Hash) -> Option<Candidate> {
        let found = self.find(bytes, tip).cloned();
        found.inspect(|_| self.clear())
    }

    fn put(&mut self, candidate: Candidate) {
        if self.0.len() == MAX_CANDIDATES {
            self.0.remove(0);
        }
        self.0.push(candidate);
    }
}

/// Verdicts on the transactions of one block.
#[derive(Default)]
pub(crate) struct Known(HashMap<Hash, GasStatus>);

impl FromIterator<(Hash, GasStatus)> for Known {
    fn from_iter<I: IntoIterator<Item = (Hash, GasStatus)>>(verdicts: I) -> Self {
        Self(verdicts.into_iter().collect())
    }
}

impl Verdicts for Known {
    fn verdict(&self, transaction: &Mapped) -> Option<GasStatus> {
        self.0.get(&transaction.id()).copied()
    }
}

impl Chain {
    pub(crate) fn candidates(&self) -> MutexGuard<'_, Candidates> {
        let candidates = self.shared.candidates.lock();
        candidates.unwrap_or_else(PoisonError::into_inner)
    }

    /// Judges a block that was proposed to follow the tip.
    ///
    /// `now_ms` is the clock, in milliseconds since 1970. What the pool has found out about the block's transactions is
    /// believed.
    pub fn check(&self, bytes: &Bytes, now_ms: u64, pool: &Pool) -> Result<Checked, Refused> {
        let limit = self.shared.options.max_block_bytes;
        if bytes.len() > limit {
            let bytes = bytes.len();
            return Err(Refused::Size { bytes, limit });
        }
        let known = self.candidates().find(bytes, self.tip().hash).cloned();
        let candidate = match known {
            Some(candidate) => candidate,
            None => self.judge(bytes, Some(pool))?,
        };
        check_clock(&candidate.header, self.params(), now_ms)?;
        let applied = &candidate.applied;
        Ok(Checked {
            tip: applied.tip,
            transactions: applied.transactions.len(),
            gas: applied.gas.iter().map(|gas| gas.used).sum(),
        })
    }

    /// What the block does that was decided.
    pub(crate) fn decided(&self, decision: &Decision) -> Result<(Header, Applied), ChainError> {
        let known = self.candidates().take(&decision.bytes, self.tip().hash);
        let candidate = match known {
            Some(candidate) => candidate,
            None => self.judge(&decision.bytes, None)?,
        };
        self.candidates().clear();
        let applied = Arc::unwrap_or_clone(candidate.applied);
        Ok((candidate.header, applied))
    }

    /// Applies a block to the tip and remembers it.
    fn judge(&self, bytes: &Bytes, pool: Option<&Pool>) -> Result<Candidate, Refused> {
        let Block {
            header,
            transactions,
        } = decode_block(bytes)?;
        let reader = self.read()?;
        let mut mapped = parallel::map(transactions, |transaction: Transaction| {
            Arc::new(Mapped::from(transaction))
        });
        let known = self.verdicts(&reader, &header, &mut mapped, pool)?;
        let applied = self.apply(&reader, &header, mapped, &known)?;
        let candidate = Candidate {
            bytes: bytes.clone(),
            header,
            applied: Arc::new(applied),
        };
        self.candidates().put(candidate.clone());
        Ok(candidate)
    }

    /// Remembers a block that this node made.
    pub(crate) fn remember(&self, bytes: Bytes, header: Header, applied: Applied) {
        let applied = Arc::new(applied);
        self.candidates().put(Candidate {
            bytes,
            header,
            applied,
        });
    }

    /// Applies a block to the state that `reader` sees, with the migration that is due.
    pub(crate) fn apply(
        &self,
        reader: &Reader,
        header: &Header,
        transactions: Vec<Arc<Mapped>>,
        known: &Known,
    ) -> Result<Applied, Refused> {
        let migration = self.migration(reader, header)?;
        let aids = Aids {
            migration: migration.as_ref(),
            verdicts: Some(known),
        };
        let applied = apply_mapped(reader, self.params(), header, transactions, aids);
        applied.map_err(Refused::from)
    }

    /// What is to be done to the state before a block, if an upgrade is due before it.
    pub(crate) fn migration<S: State<Error = ChainError>>(
        &self,
        state: &S,
        header: &Header,
    ) -> Result<Option<Migration>, Refused> {
        let plan: Option<Plan> = read(state, &Key::Plan)?;
        let due = plan.filter(|plan| plan.height == header.height);
        let migrations = &self.shared.options.migrations;
        let migration = migrations.prepare(due.as_ref(), state);
        migration.map_err(|error| match error {
            ChainError::UpgradeNeeded(plan) => Refused::UpgradeNeeded(plan),
            other => Refused::Failed(other),
        })
    }

    /// Finds out which transactions are valid: from the pool, or by running their programs.
    fn verdicts(
        &self,
        reader: &Reader,
        header: &Header,
        transactions: &mut [Arc<Mapped>],
        pool: Option<&Pool>,
    ) -> Result<Known, ChainError> {
        let mut known = Known::default();
        if let Some(pool) = pool {
            known.0 = pool.known(transactions, header.height);
        }
        let judged = known.judge(reader, self.params(), header.height, transactions);
        judged.map_err(|error| reader.of_state(error))?;
        Ok(known)
    }
}

impl Known {
    /// Judges the transactions of a block on all cores. Those that are not valid, or that are few, are left to the
    /// ledger, which tells why.
    pub(crate) fn judge<S: State + Sync>(
        &mut self,
        state: &S,
        params: &Params,
        height: u64,
        transactions: &[Arc<Mapped>],
    ) -> Result<(), StateError<S::Error>> {
        let unknown = transactions.iter().skip(1);
        let unknown = unknown.filter(|mapped| !self.0.contains_key(&mapped.id()));
        let unknown: Vec<&Arc<Mapped>> = unknown.collect();
        if unknown.len() < parallel::WORTHWHILE {
            return Ok(());
        }
        let found = parallel::map(unknown, |mapped| {
            let valid = validate(state, params, height, mapped)?;
            Ok((mapped.id(), valid.ok()))
        });
        for verdict in found {
            let (id, valid) = verdict?;
            self.0.extend(valid.map(|gas| (id, gas)));
        }
        Ok(())
    }
}

/// Whether a transaction is valid in a block at `height` by itself.
pub(crate) fn validate<S: State>(
    state: &S,
    params: &Params,
    height: u64,
    transaction: &Mapped,
) -> Result<Result<GasStatus, Rejection>, StateError<S::Error>> {
    let mut contracts = BTreeMap::new();
    for input in &transaction.transaction().inputs {
        if let Some(Standard::CallContract(hash)) = Standard::of(input.program()) {
            let found: Option<Contract> = read(state, &Key::Contract(*hash))?;
            contracts.extend(found.map(|contract| (*hash, contract.program)));
        }
    }
    let context = BlockContext {
        version: 1,
        height,
        first: false,
        params,
        contracts: &contracts,
    };
    Ok(validate_transaction(transaction, &context))
}
