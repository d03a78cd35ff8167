//! Random histories: no value comes from nowhere or gets lost, everyone finds the same state, and no bytes make a
//! block that panics.

mod support;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;

use baton_ledger::entry::ResultKind;
use baton_ledger::state::{
    self, Aids, Applied, Changes, Key as Record, MemoryState, State, Tip, Utxo, apply,
    check_spendable, decode_block, read, rewards, votes,
};
use baton_ledger::{
    AssetId, Block, Hash, InputKind, Mapped, Output, OutputKind, Params, Transaction, program,
};
use proptest::collection::vec;
use proptest::prelude::*;
use support::chain::{BTM, Chain, params, voted};
use support::{Key, issue, pay, sign, take, transaction};

/// What a transaction costs at most here.
const FEE: u64 = 1_000_000;

/// Who wants may spend: signatures are for other tests.
fn anyone() -> Vec<u8> {
    vec![0x51]
}

/// A number that picks something from a list.
#[derive(Debug, Clone, Copy)]
struct Pick(usize);

impl Pick {
    fn index(self, len: usize) -> usize {
        self.0 % len
    }
}

fn pick() -> impl Strategy<Value = Pick> {
    any::<usize>().prop_map(Pick)
}

#[derive(Debug, Clone)]
enum Step {
    Split(Pick, u64),
    Merge(Pick, Pick),
    Issue(Pick, u64),
    Move(Pick, Pick, u64),
    Retire(Pick, u64),
    Vote(Pick, u8),
    Veto(Pick),
    Register(Pick, u8),
}

/// Few enough to be none or all there are.
fn units() -> impl Strategy<Value = u64> {
    prop_oneof![0..3_u64, 0..1000_u64]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (pick(), 1..5_u64).prop_map(|(from, parts)| Step::Split(from, parts)),
        2 => (pick(), pick()).prop_map(|(one, other)| Step::Merge(one, other)),
        2 => (pick(), units()).prop_map(|(from, amount)| Step::Issue(from, amount)),
        2 => (pick(), pick(), units()).prop_map(|(of, from, part)| Step::Move(of, from, part)),
        1 => (pick(), 0..BTM).prop_map(|(from, amount)| Step::Retire(from, amount)),
        2 => (pick(), 1..4_u8).prop_map(|(from, key)| Step::Vote(from, key)),
        2 => pick().prop_map(Step::Veto),
        1 => (pick(), any::<u8>()).prop_map(|(from, number)| Step::Register(from, number)),
    ]
}

/// An output that may be spent.
type Output_ = (Mapped, usize);

/// A chain and what is known of its outputs.
struct World {
    chain: Chain,
    /// The outputs that are not spent, with those of the block in the making.
    live: BTreeMap<Hash, Output_>,
    spent: Vec<Output_>,
    issued: BTreeMap<AssetId, u64>,
    retired: BTreeMap<AssetId, u64>,
}

impl World {
    fn new() -> Self {
        let chain = Chain::new(params(), vec![pay(100 * BTM, anyone()); 6]);
        let mut world = Self {
            live: BTreeMap::new(),
            spent: Vec::new(),
            issued: BTreeMap::from([(AssetId::BTM, 600 * BTM)]),
            retired: BTreeMap::new(),
            chain,
        };
        let supply = world.chain.supply();
        world.take_in(&supply);
        world.advance(&[]);
        world
    }

    /// Notes what a transaction makes and spends.
    fn take_in(&mut self, transaction: &Mapped) {
        for (index, input) in transaction.entries().inputs.iter().enumerate() {
            if let Some(id) = input.spent_output_id {
                let output = self.live.remove(&id).expect("only live outputs are spent");
                self.spent.push(output);
            }
            if let InputKind::Issuance(issuance) = &transaction.transaction().inputs[index].kind {
                *self.issued.entry(issuance.asset_id()).or_default() += issuance.amount;
            }
        }
        let outputs = &transaction.transaction().outputs;
        for (position, entry) in transaction.entries().outputs.iter().enumerate() {
            let output = &outputs[position];
            if entry.kind == ResultKind::Retirement {
                *self.retired.entry(output.asset_id).or_default() += output.amount;
            } else if output.amount > 0 {
                self.live.insert(entry.id, (transaction.clone(), position));
            }
        }
    }

    /// The outputs that the next block may spend and that are as wanted.
    fn spendable(&self, wanted: impl Fn(&Output) -> bool) -> Vec<Output_> {
        let height = self.chain.height() + 1;
        let may_be_spent = |id: &Hash, output: &Output| {
            let utxo: Option<Utxo> = read(&self.chain.state, &Record::Utxo(*id)).unwrap();
            match utxo {
                Some(utxo) => check_spendable(&utxo, height, self.chain.params()).is_ok(),
                // made in this block; a vote is locked
                None => output.kind == OutputKind::Original,
            }
        };
        self.live
            .iter()
            .filter(|(id, (transaction, position))| {
                let output = &transaction.transaction().outputs[*position];
                wanted(output) && may_be_spent(id, output)
            })
            .map(|(_, output)| output.clone())
            .collect()
    }

    /// Outputs of BTM with which a transaction can be paid.
    fn purses(&self, least: u64) -> Vec<Output_> {
        self.spendable(|output| {
            output.asset_id == AssetId::BTM
                && output.kind == OutputKind::Original
                && output.amount >= least + FEE
        })
    }

    /// The transaction of a step, if there is something to take the step with.
    fn make(&self, step: &Step) -> Option<Transaction> {
        let amount = |output: &Output_| output.0.transaction().outputs[output.1].amount;
        let input = |output: &Output_| take(&output.0, output.1);
        let one_of = |pick: &Pick, outputs: Vec<Output_>| {
            (!outputs.is_empty()).then(|| outputs[pick.index(outputs.len())].clone())
        };
        let made = match step {
            Step::Split(from, parts) => {
                let purse = one_of(from, self.purses(0))?;
                let rest = amount(&purse) - FEE;
                let mut outputs = vec![pay(rest / parts, anyone()); usize::try_from(*parts).ok()?];
                outputs[0].amount += rest % parts;
                transaction(vec![input(&purse)], outputs)
            }
            Step::Merge(one, other) => {
                let (one, other) = (one_of(one, self.purses(0))?, one_of(other, self.purses(0))?);
                if one == other {
                    return None;
                }
                let outputs = vec![pay(amount(&one) + amount(&other) - FEE, anyone())];
                transaction(vec![input(&one), input(&other)], outputs)
            }
            Step::Issue(from, units) => {
                let purse = one_of(from, self.purses(0))?;
                let issued = issue(*units, anyone());
                let outputs = vec![
                    Output::original(issued.asset_id(), *units, anyone()),
                    pay(amount(&purse) - FEE, anyone()),
                ];
                transaction(vec![issued, input(&purse)], outputs)
            }
            Step::Move(of, from, part) => {
                let of = one_of(of, self.spendable(|output| output.asset_id != AssetId::BTM))?;
                let purse = one_of(from, self.purses(0))?;
                let part = amount(&of).min(*part);
                let asset = of.0.transaction().outputs[of.1].asset_id;
                let outputs = vec![
                    Output::original(asset, part, program::retire(b"gone")),
                    Output::original(asset, amount(&of) - part, anyone()),
                    pay(amount(&purse) - FEE, anyone()),
                ];
                transaction(vec![input(&of), input(&purse)], outputs)
            }
            Step::Retire(from, part) => {
                let purse = one_of(from, self.purses(*part))?;
                let outputs = vec![
                    pay(*part, program::retire(b"")),
                    pay(amount(&purse) - part - FEE, anyone()),
                ];
                transaction(vec![input(&purse)], outputs)
            }
            Step::Vote(from, key) => {
                let purse = one_of(from, self.purses(BTM))?;
                let given = amount(&purse) / 2 + BTM / 2;
                let outputs = vec![
                    Output::vote(given, anyone(), voted(*key).to_vec()),
                    pay(amount(&purse) - given - FEE / 2, anyone()),
                ];
                transaction(vec![input(&purse)], outputs)
            }
            Step::Veto(of) => {
                let votes = self.spendable(|output| output.kind != OutputKind::Original);
                let vote = one_of(of, votes)?;
                transaction(vec![input(&vote)], vec![pay(amount(&vote) - FEE, anyone())])
            }
            Step::Register(from, number) => {
                let purse = one_of(from, self.purses(BTM))?;
                let outputs = vec![
                    pay(BTM, program::register_contract(&[0x51, *number])),
                    pay(amount(&purse) - BTM - FEE, anyone()),
                ];
                transaction(vec![input(&purse)], outputs)
            }
        };
        // the proposer's outputs are paid to a key
        Some(sign(made, &Key::new(200)).into_transaction())
    }

    /// Applies the next block with these steps.
    fn advance(&mut self, steps: &[Step]) -> Block {
        let mut transactions = Vec::new();
        for step in steps {
            if let Some(made) = self.make(step) {
                let mapped = Mapped::from(made);
                self.take_in(&mapped);
                transactions.push(mapped);
            }
        }
        let block = self.chain.block(&transactions);
        let applied = self.chain.apply(&block).unwrap();
        self.check_same(&block, &applied);
        self.chain.state.commit(&applied.changes, applied.tip);
        self.take_in(&applied.transactions[0]);
        let minted = self
            .chain
            .params()
            .reward_neu(self.chain.height(), self.all_votes());
        *self.issued.entry(AssetId::BTM).or_default() += minted;
        block
    }

    fn all_votes(&self) -> u64 {
        read(&self.chain.state, &Record::AllVotes)
            .unwrap()
            .unwrap_or(0)
    }

    /// Whoever applies the block, however it came and however the state is kept, finds the same.
    fn check_same(&self, block: &Block, applied: &Applied) {
        let sent = decode_block(&block.encode()).unwrap();
        let elsewhere = Hashed::of(&self.chain.state);
        let again = apply(&elsewhere, self.chain.params(), &sent, Aids::default()).unwrap();
        assert_eq!(again, *applied);
        let changes = Changes::decode(&applied.changes.encode()).unwrap();
        assert_eq!(changes, applied.changes);
    }

    /// What the state says is what the history says.
    fn check_balance(&self) {
        let mut unspent: BTreeMap<AssetId, u64> = BTreeMap::new();
        let mut voted: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for (id, (transaction, position)) in &self.live {
            let known: Option<Utxo> = read(&self.chain.state, &Record::Utxo(*id)).unwrap();
            assert!(known.is_some());
            let output = &transaction.transaction().outputs[*position];
            *unspent.entry(output.asset_id).or_default() += output.amount;
            if let OutputKind::Vote(key) = &output.kind {
                *voted.entry(key.clone()).or_default() += output.amount;
            }
        }
        let outputs = self.chain.state.records().keys();
        let outputs = outputs.filter(|key| key[0] == b'u').count();
        assert_eq!(outputs, self.live.len());
        assert_eq!(votes(&self.chain.state).unwrap(), voted);
        assert_eq!(self.all_votes(), voted.values().sum::<u64>());
        let due: u64 = rewards(&self.chain.state).unwrap().values().sum();
        for (asset, issued) in &self.issued {
            let of = |sums: &BTreeMap<AssetId, u64>| sums.get(asset).copied().unwrap_or(0);
            let due = if *asset == AssetId::BTM { due } else { 0 };
            assert_eq!(of(&unspent) + of(&self.retired) + due, *issued, "{asset}");
        }
    }

    /// The next block with one thing wrong in it, in several ways.
    fn check_wrong(&self, step: &Step) {
        let Some(made) = self.make(step) else {
            return;
        };
        let good = Mapped::from(made.clone());
        let refused = |transactions: &[Mapped]| {
            let block = self.chain.block(transactions);
            assert!(self.chain.apply(&block).is_err(), "{transactions:?}");
        };
        assert!(
            self.chain
                .apply(&self.chain.block(std::slice::from_ref(&good)))
                .is_ok()
        );
        refused(&[good.clone(), good.clone()]);
        let mut greedy = made.clone();
        greedy.outputs[0].amount += 2 * FEE;
        refused(&[Mapped::from(greedy)]);
        let mut minting = self.chain.block(&[]).transactions[0].clone();
        minting.outputs[0].amount += 1;
        assert!(
            self.chain
                .apply(&self.chain.block_of(vec![minting, made]))
                .is_err()
        );
        if let Some((transaction_, position)) = self.spent.last() {
            let amount = transaction_.transaction().outputs[*position].amount;
            let inputs = vec![take(transaction_, *position)];
            let again = transaction(inputs, vec![pay(amount.saturating_sub(FEE), anyone())]);
            refused(&[Mapped::from(again)]);
        }
    }
}

/// A state in a map without order.
struct Hashed {
    tip: Tip,
    records: HashMap<Vec<u8>, Vec<u8>>,
}

impl Hashed {
    fn of(state: &MemoryState) -> Self {
        let tip = state.tip().unwrap();
        let records = state.records().clone().into_iter().collect();
        Self { tip, records }
    }
}

impl State for Hashed {
    type Error = Infallible;

    fn tip(&self) -> Result<Tip, Infallible> {
        Ok(self.tip)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.records.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Infallible> {
        let found = self.records.iter();
        let found = found.filter(|(key, _)| key.starts_with(prefix));
        Ok(found
            .map(|(key, record)| (key.clone(), record.clone()))
            .collect())
    }
}

fn history() -> impl Strategy<Value = Vec<Vec<Step>>> {
    vec(vec(step(), 0..5), 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_comes_from_nowhere_or_gets_lost(history in history(), wrong in step()) {
        let mut world = World::new();
        for steps in &history {
            world.advance(steps);
            world.check_balance();
            world.check_wrong(&wrong);
        }
    }

    #[test]
    fn no_damage_makes_a_block_panic(
        history in vec(vec(step(), 1..5), 1..8),
        damages in vec(vec((pick(), any::<u8>()), 1..4), 30),
    ) {
        let mut world = World::new();
        let mut before = world.chain.state.clone();
        let mut last = None;
        for steps in &history {
            before = world.chain.state.clone();
            last = Some(world.advance(steps));
        }
        let good = last.expect("there is a block");
        let params: &Params = world.chain.params();
        for damage in &damages {
            let mut bytes = good.encode();
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            if let Ok(mut block) = decode_block(&bytes) {
                // an error or not, but no panic; also when the merkle root fits
                let _ = apply(&before, params, &block, Aids::default());
                block.header.transactions_merkle_root = block.merkle_root();
                let _ = apply(&before, params, &block, Aids::default());
            }
        }
        prop_assert!(apply(&before, params, &good, Aids::default()).is_ok());
    }
}

#[test]
fn a_long_history_runs_through_epochs() {
    // votes, then rewards and elections for five epochs
    let mut world = World::new();
    for round in 0..25_u8 {
        let steps = match round % 5 {
            0 => vec![
                Step::Split(Pick(round.into()), 4),
                Step::Vote(Pick(round.into()), round % 3 + 1),
            ],
            1 => vec![Step::Issue(Pick(round.into()), 77)],
            2 => vec![Step::Move(Pick(round.into()), Pick(round.into()), 7)],
            3 => vec![
                Step::Veto(Pick(round.into())),
                Step::Retire(Pick(round.into()), 5),
            ],
            _ => vec![Step::Register(Pick(round.into()), round)],
        };
        world.advance(&steps);
        world.check_balance();
    }
    let elected = state::validators(&world.chain.state).unwrap();
    assert!(elected.iter().any(|validator| validator.power > 1));
    assert!(world.chain.height() > 25);
}
