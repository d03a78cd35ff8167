//! Making a block out of what the pool has.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use baton_ledger::block::assemble;
use baton_ledger::state::{Applied, BlockRejection, coinbase};
use baton_ledger::{Hash, Header, Mapped, merkle};
use bytes::Bytes;

use crate::block::Draft;
use crate::chain::Chain;
use crate::check::{Known, validate};
use crate::error::{ChainError, Refused};
use crate::parallel;
use crate::pool::{Pool, Pooled};
use crate::reader::Reader;

/// What a block has besides its transactions, in bytes: a header and a count.
const HEADER_ROOM: usize = 512;

/// How often a draft is tried again without a transaction that turned out not to be valid. Then it ends before the next
/// such transaction.
const MAX_ATTEMPTS: usize = 8;

impl Chain {
    /// A block to be proposed after the tip: transactions in the order of arrival, parents before children, as many as
    /// its gas and bytes allow.
    ///
    /// `program` is who will be paid, `arbitrary` what the coinbase says after the height; it must not begin with a
    /// digit. `now_ms` is the clock, in milliseconds since 1970; the block is not earlier than the interval allows. A
    /// transaction that turns out not to be valid leaves the pool; the draft does without it.
    pub fn draft(
        &self,
        pool: &Pool,
        program: &[u8],
        arbitrary: &[u8],
        now_ms: u64,
    ) -> Result<Draft, ChainError> {
        let reader = self.read()?;
        let minting = self.minting(&reader, program, arbitrary)?;
        let options = &self.shared.options;
        let used = HEADER_ROOM + minting.bytes.len();
        let max_bytes = options.max_block_bytes.saturating_sub(used);
        let mut chosen = pool.first(self.params().max_block_gas, max_bytes);
        self.confirm(&reader, pool, &mut chosen)?;
        for attempt in 1.. {
            let header = self.header(&reader, &minting, &chosen, now_ms);
            let transactions = std::iter::once(&minting.transaction)
                .chain(chosen.iter().map(|pooled| &pooled.transaction));
            let known = chosen.iter().map(|pooled| (pooled.id(), pooled.gas));
            let known: Known = known.collect();
            let error = match self.apply(&reader, &header, transactions.cloned().collect(), &known)
            {
                Ok(applied) => return Ok(self.drafted(header, &minting, &chosen, applied)),
                Err(error) => error,
            };
            let Some((index, why)) = blamed(&error) else {
                return Err(ChainError::from(error));
            };
            let id = chosen[index].id();
            tracing::info!(%id, %why, "a transaction leaves the pool: it is not valid after all");
            pool.dismiss(&id, why);
            if attempt < MAX_ATTEMPTS {
                without(&mut chosen, &HashSet::from([id]));
            } else {
                // those before it are good
                chosen.truncate(index);
            }
        }
        unreachable!("each attempt has fewer transactions, and none is good")
    }

    fn minting(
        &self,
        reader: &Reader,
        program: &[u8],
        arbitrary: &[u8],
    ) -> Result<Minting, ChainError> {
        // the height takes a few bytes of what there may be
        let limit = self
            .params()
            .max_coinbase_arbitrary_bytes
            .saturating_sub(21);
        if arbitrary.len() > limit || arbitrary.first().is_some_and(u8::is_ascii_digit) {
            return Err(ChainError::Arbitrary(arbitrary.len(), limit));
        }
        let minting = coinbase::coinbase(reader, self.params(), program, arbitrary);
        let minting = minting.map_err(|error| reader.of_state(error))?;
        Ok(Minting {
            bytes: minting.encode(),
            transaction: Arc::new(Mapped::from(minting)),
        })
    }

    /// Runs those programs again that may not be satisfied at this height, and does without those that are not.
    fn confirm(
        &self,
        reader: &Reader,
        pool: &Pool,
        chosen: &mut Vec<Arc<Pooled>>,
    ) -> Result<(), ChainError> {
        let height = reader.tip().height + 1;
        let unsure = chosen.iter().filter(|pooled| !pooled.is_valid_at(height));
        let unsure: Vec<Arc<Pooled>> = unsure.cloned().collect();
        if unsure.is_empty() {
            return Ok(());
        }
        let judged = parallel::map(unsure, |pooled| {
            let valid = validate(reader, self.params(), height, &pooled.transaction);
            valid.map(|valid| (pooled.id(), valid))
        });
        let (mut good, mut bad) = (HashMap::new(), HashSet::new());
        for judged in judged {
            let (id, valid) = judged.map_err(|error| reader.of_state(error))?;
            match valid {
                Ok(gas) => drop(good.insert(id, gas)),
                Err(rejection) => {
                    pool.dismiss(&id, rejection.to_string());
                    bad.insert(id);
                }
            }
        }
        pool.confirm(&good, height);
        without(chosen, &bad);
        // a program that took another way may have used more
        let mut used = 0_u64;
        let mut fitting = 0;
        for pooled in chosen.iter_mut() {
            if let Some(gas) = good.get(&pooled.id()) {
                Arc::make_mut(pooled).gas = *gas;
            }
            used = used.saturating_add(pooled.gas.used);
            fitting += usize::from(used <= self.params().max_block_gas);
        }
        chosen.truncate(fitting);
        Ok(())
    }

    fn header(
        &self,
        reader: &Reader,
        minting: &Minting,
        chosen: &[Arc<Pooled>],
        now_ms: u64,
    ) -> Header {
        let tip = reader.tip();
        let ids = std::iter::once(minting.transaction.id());
        let ids: Vec<Hash> = ids.chain(chosen.iter().map(|pooled| pooled.id())).collect();
        Header {
            version: 1,
            height: tip.height + 1,
            previous_block_hash: tip.hash,
            timestamp_ms: now_ms.max(tip.timestamp_ms + self.params().block_interval_ms),
            transactions_merkle_root: merkle::root(&ids),
            ..Header::default()
        }
    }

    fn drafted(
        &self,
        header: Header,
        minting: &Minting,
        chosen: &[Arc<Pooled>],
        applied: Applied,
    ) -> Draft {
        let mut encodings = vec![minting.bytes.as_slice()];
        encodings.extend(chosen.iter().map(|pooled| pooled.bytes.as_ref()));
        let bytes = Bytes::from(assemble(&header, encodings.into_iter()));
        let draft = Draft {
            height: header.height,
            hash: applied.tip.hash,
            bytes: bytes.clone(),
            transactions: applied.transactions.len(),
            gas: applied.gas.iter().map(|gas| gas.used).sum(),
        };
        self.remember(bytes, header, applied);
        draft
    }
}

/// The coinbase of a block in the making.
struct Minting {
    transaction: Arc<Mapped>,
    bytes: Vec<u8>,
}

/// Which of the chosen transactions made a block invalid, and why, if it was one of them.
fn blamed(error: &Refused) -> Option<(usize, String)> {
    let Refused::Rejected(rejection) = error else {
        return None;
    };
    let (index, why) = match &**rejection {
        BlockRejection::Transaction {
            index, rejection, ..
        } => (index, rejection.to_string()),
        BlockRejection::Spend { index, fault, .. } => (index, fault.to_string()),
        BlockRejection::Plan { index, error, .. } => (index, error.to_string()),
        _ => return None,
    };
    // the first is the coinbase
    Some((index.checked_sub(1)?, why))
}

/// Takes some transactions out, and those that spend what they make, or what those make.
fn without(chosen: &mut Vec<Arc<Pooled>>, bad: &HashSet<Hash>) {
    if bad.is_empty() {
        return;
    }
    let mut gone: HashSet<Hash> = HashSet::new();
    chosen.retain(|pooled| {
        let stays = !bad.contains(&pooled.id()) && !pooled.spent().any(|id| gone.contains(&id));
        if !stays {
            let outputs = pooled.transaction.entries().outputs.iter();
            gone.extend(outputs.map(|output| output.id));
        }
        stays
    });
}
