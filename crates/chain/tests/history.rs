//! Random histories on disk are those in memory, however blocks come and however often the process dies.

mod common;

use std::collections::BTreeMap;

use baton_chain::{Options, Origin, PoolSettings};
use baton_ledger::state::{self, MemoryState, State, Utxo, apply, check_spendable, decode_block};
use baton_ledger::{Block, Hash, Mapped, Output, OutputKind, Params, program};
use bytes::Bytes;
use common::support::chain::{params, voted};
use common::support::{Key, issue, pay, sign, take, transaction};
use common::{BTM, FEE, Node, genesis_of, plain};
use proptest::collection::vec;
use proptest::prelude::*;

/// How a block comes to the chain.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// Its transactions wait in the pool, and this node proposes it.
    Pool,
    /// Another node proposes it.
    Checked,
    /// It comes decided.
    Decided,
    /// The process is killed after it.
    Killed,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Split(usize),
    Merge(usize, usize),
    Issue(usize),
    Vote(usize, u8),
    Veto(usize),
    Register(usize, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let pick = any::<usize>;
    prop_oneof![
        4 => pick().prop_map(Step::Split),
        2 => (pick(), pick()).prop_map(|(one, other)| Step::Merge(one, other)),
        1 => pick().prop_map(Step::Issue),
        2 => (pick(), 1..4_u8).prop_map(|(from, key)| Step::Vote(from, key)),
        2 => pick().prop_map(Step::Veto),
        1 => (pick(), any::<u8>()).prop_map(|(from, number)| Step::Register(from, number)),
    ]
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![
        3 => Just(Way::Pool),
        3 => Just(Way::Checked),
        2 => Just(Way::Decided),
        1 => Just(Way::Killed),
    ]
}

/// The chain on disk, and what it should be.
struct World {
    node: Option<Node>,
    model: MemoryState,
    params: Params,
    /// Outputs that are not spent, by their ids.
    live: BTreeMap<Hash, (Mapped, usize)>,
    votes: BTreeMap<u64, BTreeMap<Vec<u8>, u64>>,
}

fn options() -> Options {
    Options {
        transaction_index: true,
        // small, so that blocks are read again
        recent_bytes: 20_000,
        ..Options::default()
    }
}

impl World {
    fn new() -> Self {
        let genesis = genesis_of(params(), 8);
        let start = genesis.start().unwrap();
        let model = MemoryState::new(&start.changes, start.tip);
        let node = Node::with(genesis, options(), PoolSettings::default());
        let mut world = Self {
            model,
            params: node.genesis.params().clone(),
            live: BTreeMap::new(),
            votes: BTreeMap::from([(0, BTreeMap::new())]),
            node: Some(node),
        };
        world.take_in(&world.node().supply());
        let first = world.node().chain.block(1).unwrap().unwrap();
        world.follow(&first.to_block());
        world
    }

    fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    fn take_in(&mut self, mapped: &Mapped) {
        for input in &mapped.entries().inputs {
            if let Some(id) = input.spent_output_id {
                self.live.remove(&id);
            }
        }
        for (position, output) in mapped.transaction().outputs.iter().enumerate() {
            if output.amount > 0 && !output.is_retirement() {
                let id = mapped.entries().outputs[position].id;
                self.live.insert(id, (mapped.clone(), position));
            }
        }
    }

    /// Leads the model on.
    fn follow(&mut self, block: &Block) {
        let applied = apply(&self.model, &self.params, block, state::Aids::default()).unwrap();
        self.model.commit(&applied.changes, applied.tip);
        if applied.effects.validators.is_some() {
            let votes = state::votes(&self.model).unwrap();
            self.votes.insert(applied.tip.height, votes);
        }
        for mapped in &applied.transactions {
            self.take_in(mapped);
        }
    }

    /// An output that the next block may spend and that `wanted` likes.
    fn pick(
        &self,
        number: usize,
        taken: &[Hash],
        wanted: impl Fn(&Output) -> bool,
    ) -> Option<(Mapped, usize)> {
        let height = self.model.tip().unwrap().height + 1;
        let fit: Vec<_> = self
            .live
            .iter()
            .filter(|(id, (mapped, position))| {
                let key = state::Key::Utxo(**id);
                let utxo: Utxo = state::read(&self.model, &key).unwrap().unwrap();
                !taken.contains(id)
                    && wanted(&mapped.transaction().outputs[*position])
                    && check_spendable(&utxo, height, &self.params).is_ok()
            })
            .collect();
        (!fit.is_empty()).then(|| fit[number % fit.len()].1.clone())
    }

    fn make(&self, step: Step, taken: &mut Vec<Hash>) -> Option<Mapped> {
        let purse = |number, taken: &[Hash]| {
            self.pick(number, taken, |output| {
                output.kind == OutputKind::Original
                    && output.asset_id == baton_ledger::AssetId::BTM
                    && output.amount > 3 * BTM
            })
        };
        let amount = |of: &(Mapped, usize)| of.0.transaction().outputs[of.1].amount;
        let own = || Key::new(1).program();
        let (inputs, outputs) = match step {
            Step::Split(from) => {
                let from = purse(from, taken)?;
                let half = amount(&from) / 2;
                (
                    vec![take(&from.0, from.1)],
                    vec![pay(half, own()), pay(amount(&from) - half - FEE, own())],
                )
            }
            Step::Merge(one, other) => {
                let one = purse(one, taken)?;
                taken.push(one.0.entries().outputs[one.1].id);
                let other = purse(other, taken)?;
                let sum = amount(&one) + amount(&other) - FEE;
                (
                    vec![take(&one.0, one.1), take(&other.0, other.1)],
                    vec![pay(sum, own())],
                )
            }
            Step::Issue(from) => {
                let from = purse(from, taken)?;
                let issued = issue(7, vec![0x51]);
                let outputs = vec![
                    Output::original(issued.asset_id(), 7, own()),
                    pay(amount(&from) - FEE, own()),
                ];
                (vec![take(&from.0, from.1), issued], outputs)
            }
            Step::Vote(from, key) => {
                let from = purse(from, taken)?;
                let given = amount(&from) / 2;
                let vote = Output::vote(given, own(), voted(key).to_vec());
                (
                    vec![take(&from.0, from.1)],
                    vec![vote, pay(amount(&from) - given - FEE, own())],
                )
            }
            Step::Veto(from) => {
                let vote = self.pick(from, taken, |output| output.kind != OutputKind::Original)?;
                (
                    vec![take(&vote.0, vote.1)],
                    vec![pay(amount(&vote) - FEE, own())],
                )
            }
            Step::Register(from, number) => {
                let from = purse(from, taken)?;
                let contract = program::register_contract(&[0x51, number]);
                (
                    vec![take(&from.0, from.1)],
                    vec![pay(BTM, contract), pay(amount(&from) - BTM - FEE, own())],
                )
            }
        };
        let made = sign(transaction(inputs, outputs), &Key::new(1));
        // what the proposers were paid is the proposers'
        let made = sign(plain(&made), &Key::new(200));
        let made = sign(plain(&made), &Key::new(201));
        let spent = made.entries().inputs.iter();
        taken.extend(spent.filter_map(|input| input.spent_output_id));
        Some(made)
    }

    fn advance(&mut self, steps: &[Step], way: Way) {
        let mut taken = Vec::new();
        let made: Vec<Mapped> = steps
            .iter()
            .filter_map(|step| self.make(*step, &mut taken))
            .collect();
        let node = self.node();
        let all = made.iter().map(plain).collect();
        for answer in node.pool.submit_many(all, Origin::Peer) {
            assert!(!answer.unwrap().orphan);
        }
        let draft = node.draft();
        assert_eq!(draft.transactions, made.len() + 1);
        let now = node.now_ms();
        let block = decode_block(&draft.bytes).unwrap();
        match way {
            Way::Pool => drop(node.commit(draft.bytes.clone())),
            Way::Checked | Way::Killed => {
                // bytes of its own, so that nothing is known of them
                let other = another(&block, &self.model, &self.params);
                let bytes = Bytes::from(other.encode());
                node.chain.check(&bytes, now, &node.pool).unwrap();
                node.commit(bytes);
                return self.committed(&other, way);
            }
            Way::Decided => {
                let other = another(&block, &self.model, &self.params);
                node.commit(Bytes::from(other.encode()));
                return self.committed(&other, way);
            }
        }
        self.committed(&block, way);
    }

    fn committed(&mut self, block: &Block, way: Way) {
        self.follow(block);
        if matches!(way, Way::Killed) {
            let node = self.node.take().unwrap();
            self.node = Some(node.reopen(options()));
        }
        let (node, tip) = (self.node(), self.model.tip().unwrap());
        assert_eq!(node.chain.tip(), tip);
        assert_eq!(
            node.chain.validators(),
            state::validators(&self.model).unwrap()
        );
        assert!(node.pool.is_empty());
        let reader = node.chain.read().unwrap();
        for (index, transaction) in (0..).zip(&block.transactions) {
            let (located, found) = reader.transaction(&transaction.id()).unwrap().unwrap();
            assert_eq!((located.height, located.index), (tip.height, index));
            assert_eq!(found.transaction(), transaction);
        }
    }

    fn check(&self) {
        let node = self.node();
        let reader = node.chain.read().unwrap();
        assert_eq!(reader.scan(&[]).unwrap(), *self.model.records());
        assert_eq!(reader.unspent_count().unwrap(), self.live.len() as u64);
        for prefix in [&b"v"[..], b"r", b"u", b"uu", b"\xff"] {
            assert_eq!(
                reader.scan(prefix).unwrap(),
                self.model.scan(prefix).unwrap()
            );
        }
        let tip = reader.tip();
        assert_eq!(
            reader.votes_at(None).unwrap(),
            state::votes(&self.model).unwrap()
        );
        for height in 0..tip.height {
            let votes = self.votes.range(..=height).next_back().unwrap().1;
            assert_eq!(reader.votes_at(Some(height)).unwrap(), *votes);
        }
        let verified = node.chain.verify(|_| ()).unwrap();
        assert_eq!(verified.tip, tip);
        assert_eq!(verified.records, self.model.records().len());
    }
}

/// Another proposer's block with the same transactions.
fn another(block: &Block, state: &MemoryState, params: &Params) -> Block {
    let mut other = block.clone();
    let program = Key::new(201).program();
    other.transactions[0] = state::coinbase::coinbase(state, params, &program, b" other").unwrap();
    other.header.transactions_merkle_root = other.merkle_root();
    other
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_history_on_disk_is_that_in_memory(
        history in vec((vec(step(), 0..5), way()), 1..20),
    ) {
        let mut world = World::new();
        for (steps, way) in &history {
            world.advance(steps, *way);
        }
        world.check();
    }
}

#[test]
fn a_long_history_goes_through_epochs_and_deaths() {
    let mut world = World::new();
    let small = |number: usize| u8::try_from(number).unwrap();
    for round in 0..30_usize {
        let steps = [
            Step::Split(round),
            Step::Vote(round, small(round % 3 + 1)),
            Step::Issue(round),
            Step::Veto(round),
            Step::Register(round, small(round % 5)),
            Step::Merge(round, 2 * round),
        ];
        let way = [Way::Pool, Way::Checked, Way::Decided, Way::Killed][round % 4];
        world.advance(&steps[..=round % 6], way);
    }
    world.check();
    assert!(
        world
            .node()
            .chain
            .validators()
            .iter()
            .any(|validator| validator.power > 1)
    );
    assert!(world.votes.len() > 5);
}
