//! What blocks do to the state, and which are rejected.

mod support;

use std::collections::BTreeMap;

use baton_ledger::state::{
    self, Aids, ApplyError, BlockRejection, Changes, Genesis, GenesisError, Key as Record,
    SpendFault, State, Utxo, UtxoKind, Validator, Verdicts, apply, coinbase, decode_block, read,
    rewards, validate_block, validators, votes,
};
use baton_ledger::{
    Block, GasStatus, Hash, InputKind, Mapped, Output, Params, Rejection, SupLink, Transaction,
    program,
};
use support::chain::{BTM, Chain, FEE, chain, params, spending, transfer, voted};
use support::{Key, pay, sign, spend, take, transaction};

fn utxo(chain: &Chain, transaction: &Mapped, position: usize) -> Option<Utxo> {
    let id = transaction.entries().outputs[position].id;
    read(&chain.state, &Record::Utxo(id)).unwrap()
}

#[test]
fn a_transfer_moves_an_output() {
    let mut chain = chain();
    let moved = transfer(&chain, 0, &Key::new(2));
    assert!(utxo(&chain, &chain.supply(), 0).is_some());
    let applied = chain.commit(std::slice::from_ref(&moved));
    assert_eq!(utxo(&chain, &chain.supply(), 0), None);
    let kind = UtxoKind::Normal;
    assert_eq!(utxo(&chain, &moved, 0), Some(Utxo { kind, height: 2 }));
    assert_eq!(applied.tip.height, 2);
    assert_eq!(applied.gas[1].fee_neu, FEE);
    assert_eq!(applied.app_hash(), chain.state.tip().unwrap().app_hash);
    assert_eq!(*applied.transactions[1], moved);
    // one output away, one new, and the reward of the proposer
    assert_eq!(applied.changes.0.len(), 3);
}

#[test]
fn an_output_is_spent_once() {
    let mut chain = chain();
    let (one, other) = (
        transfer(&chain, 0, &Key::new(2)),
        transfer(&chain, 0, &Key::new(3)),
    );
    let refused = |index, fault| BlockRejection::Spend {
        index,
        output: one.entries().inputs[0].spent_output_id.unwrap(),
        fault,
    };
    let twice = [one.clone(), other.clone()];
    assert_eq!(chain.rejection(&twice), refused(2, SpendFault::Spent));
    chain.commit(std::slice::from_ref(&one));
    assert_eq!(chain.rejection(&[other]), refused(1, SpendFault::Missing));
    assert_eq!(
        chain.rejection(std::slice::from_ref(&one)),
        refused(1, SpendFault::Missing)
    );
}

#[test]
fn an_output_may_be_spent_in_its_own_block_but_not_before_it() {
    let mut chain = chain();
    let first = transfer(&chain, 0, &Key::new(2));
    let to = vec![pay(1000 * BTM - 2 * FEE, Key::new(3).program())];
    let second = sign(transaction(vec![take(&first, 0)], to), &Key::new(2));
    let wrong = [second.clone(), first.clone()];
    assert!(matches!(
        chain.rejection(&wrong),
        BlockRejection::Spend {
            index: 1,
            fault: SpendFault::Missing,
            ..
        }
    ));
    let applied = chain.commit(&[first.clone(), second.clone()]);
    // what came and went in the block is no change
    assert!(
        !applied
            .changes
            .0
            .contains_key(&Record::Utxo(first.entries().outputs[0].id).encode())
    );
    assert!(utxo(&chain, &second, 0).is_some());
}

#[test]
fn an_output_of_nothing_is_none() {
    let mut chain = chain();
    let key = Key::new(1);
    let nothing = spending(
        &chain,
        0,
        vec![pay(0, key.program()), pay(1, key.program())],
    );
    chain.commit(std::slice::from_ref(&nothing));
    assert_eq!(utxo(&chain, &nothing, 0), None);
    assert!(utxo(&chain, &nothing, 1).is_some());
}

#[test]
fn a_coinbase_matures() {
    let chain = Chain::new(params(), vec![pay(BTM, Key::new(1).program())]);
    let early = spending(&chain, 0, vec![pay(1, vec![0x51])]);
    let from = 2;
    assert!(matches!(
        chain.rejection(&[early]),
        BlockRejection::Spend { fault: SpendFault::Immature { from: found }, .. } if found == from
    ));
}

#[test]
fn an_invalid_transaction_makes_an_invalid_block() {
    let chain = chain();
    let mut unsigned = transfer(&chain, 0, &Key::new(2)).into_transaction();
    unsigned.inputs[0].arguments_mut().unwrap().clear();
    let rejected = chain.rejection(&[Mapped::from(unsigned)]);
    assert_eq!(rejected.code(), 763);
    let BlockRejection::Transaction {
        index: 1,
        rejection,
        ..
    } = rejected
    else {
        panic!("{rejected}")
    };
    assert!(matches!(rejection, Rejection::Program { input: 0, .. }));
}

#[test]
fn headers_follow_each_other() {
    let chain = chain();
    let tip = chain.state.tip().unwrap();
    let block = chain.block(&[]);
    let wrong = |change: &dyn Fn(&mut Block)| {
        let mut block = block.clone();
        change(&mut block);
        chain.rejection_of(&block)
    };
    assert_eq!(
        wrong(&|block| block.header.version = 2),
        BlockRejection::Version(2)
    );
    let rejected = wrong(&|block| block.header.height = 3);
    assert_eq!(rejected, BlockRejection::Height { tip: 1, height: 3 });
    let rejected = wrong(&|block| block.header.previous_block_hash = Hash::ZERO);
    assert_eq!(
        rejected,
        BlockRejection::Previous {
            tip: tip.hash,
            wanted: Hash::ZERO
        }
    );
    let rejected = wrong(&|block| block.header.timestamp_ms -= 1);
    assert!(matches!(rejected, BlockRejection::Early { .. }));
    let rejected = wrong(&|block| block.header.timestamp_ms = u64::MAX);
    assert_eq!(rejected, BlockRejection::NotCanonical);
    let rejected = wrong(&|block| block.header.sup_links.push(SupLink::default()));
    assert_eq!(rejected, BlockRejection::SupLinks(1));
    assert_eq!(
        wrong(&|block| block.header.witness = vec![0; 65]),
        BlockRejection::Witness(65)
    );
    let rejected = wrong(&|block| block.header.transactions_merkle_root = Hash::ZERO);
    assert!(matches!(rejected, BlockRejection::MerkleRoot { .. }));

    let now = block.header.timestamp_ms - chain.params().max_time_offset_ms;
    let at = |now| validate_block(&chain.state, chain.params(), &block, now, Aids::default());
    assert!(at(now).is_ok());
    let Err(ApplyError::Rejected(rejected)) = at(now - 1) else {
        panic!("from the future")
    };
    assert!(matches!(*rejected, BlockRejection::Late { .. }));
}

#[test]
fn a_block_has_one_spelling() {
    let chain = chain();
    let block = chain.block(&[]);
    let bytes = block.encode();
    assert_eq!(decode_block(&bytes), Ok(block));
    // the version 1, spelt long
    let mut long = bytes.clone();
    long.splice(1..2, [0x81, 0]);
    assert_eq!(decode_block(&long), Err(BlockRejection::NotCanonical));
    assert!(matches!(
        decode_block(&bytes[1..]),
        Err(BlockRejection::Decode(_))
    ));
}

#[test]
fn the_coinbase_pays_what_is_due_and_nothing_else() {
    let chain = chain();
    let good = chain.block(&[]).transactions[0].clone();
    let wrong = |change: &dyn Fn(&mut Transaction)| {
        let mut minting = good.clone();
        change(&mut minting);
        chain.rejection_of(&chain.block_of(vec![minting])).code()
    };
    assert_eq!(wrong(&|minting| minting.outputs[0].amount = 1), 734);
    assert_eq!(wrong(&|minting| minting.outputs.clear()), 734);
    assert_eq!(
        wrong(&|minting| minting.outputs.push(pay(0, vec![0x51]))),
        734
    );
    assert_eq!(
        wrong(&|minting| minting.outputs[0].state_data.push(vec![])),
        734
    );
    assert_eq!(
        wrong(&|minting| minting.outputs[0].control_program = vec![0x51; 129]),
        734
    );
    assert_eq!(wrong(&|minting| minting.time_range = 2), 734);
    assert_eq!(wrong(&|minting| minting.version = 2), 730);
    assert_eq!(
        wrong(&|minting| minting.inputs[0].witness_suffix.push(1)),
        734
    );
    let arbitrary = |bytes: &'static [u8]| {
        wrong(&move |minting| {
            if let InputKind::Coinbase(coinbase) = &mut minting.inputs[0].kind {
                coinbase.arbitrary = bytes.to_vec();
            }
        })
    };
    for other in [&b"\x003"[..], b"\x0025", b"2", b""] {
        assert_eq!(arbitrary(other), 734);
    }
    assert_eq!(chain.rejection_of(&chain.block_of(Vec::new())).code(), 734);
    let transfer = transfer(&chain, 0, &Key::new(2)).into_transaction();
    assert_eq!(
        chain
            .rejection_of(&chain.block_of(vec![transfer.clone()]))
            .code(),
        734
    );
    let second = chain.block_of(vec![good.clone(), transfer, good.clone()]);
    assert_eq!(chain.rejection_of(&second).code(), 734);
    // a note after the height is free
    let noted = coinbase::coinbase(&chain.state, chain.params(), &[0x51], b" hello").unwrap();
    assert!(chain.apply(&chain.block_of(vec![noted])).is_ok());
    // too long a note
    let noted = coinbase::coinbase(&chain.state, chain.params(), &[0x51], &[b' '; 128]).unwrap();
    assert_eq!(chain.rejection_of(&chain.block_of(vec![noted])).code(), 736);
}

#[test]
fn an_epoch_is_paid_in_the_first_block_of_the_next() {
    let mut chain = chain();
    let reward = chain.params().block_reward_neu / 2;
    let mine = chain.proposer.clone();
    let other = Key::new(201).program();
    chain.run_to(3);
    chain.proposer.clone_from(&other);
    let fee = chain.commit(&[transfer(&chain, 0, &Key::new(2))]).gas[1].fee_neu;
    chain.run_to(5);
    let due = BTreeMap::from([
        (mine.clone(), 3 * reward),
        (other.clone(), 2 * reward + fee),
    ]);
    assert_eq!(rewards(&chain.state).unwrap(), due);
    let block = chain.block(&[]);
    let paid = &block.transactions[0].outputs;
    assert_eq!(paid.len(), 2);
    assert_eq!(paid[0], pay(2 * reward + fee, other.clone()));
    assert_eq!(paid[1], pay(3 * reward, mine));
    // neither more nor less nor otherwise
    for missing in [false, true] {
        let mut wrong = block.transactions[0].clone();
        if missing {
            wrong.outputs.truncate(1);
        } else {
            wrong.outputs[1].amount += 1;
        }
        assert_eq!(chain.rejection_of(&chain.block_of(vec![wrong])).code(), 734);
    }
    let applied = chain.commit(&[]);
    assert_eq!(
        rewards(&chain.state).unwrap(),
        BTreeMap::from([(other, reward)])
    );
    let minted = utxo(&chain, &applied.transactions[0], 1).unwrap();
    assert_eq!((minted.kind, minted.height), (UtxoKind::Coinbase, 6));
}

#[test]
fn bytoms_own_epoch_is_paid_as_recorded() {
    // block 101 of a bytomd v2.0.6 on a solonet paid 28538812700 neu
    let genesis = Genesis::bytom(Params::solonet(vec![voted(61)])).unwrap();
    let start = genesis.start().unwrap();
    assert_eq!(
        start.block.hash().to_string(),
        "512e726d7b90091003f9f0a14ddc6218ce8b25b6c606faf81a552b4e6036d065"
    );
    let earned: u64 = (1..=100)
        .map(|height| genesis.params().reward_neu(height, 0))
        .sum();
    assert_eq!(earned, 28_538_812_700);
    assert_eq!(
        start.validators,
        [Validator {
            xpub: voted(61),
            power: 1
        }]
    );
}

#[test]
fn votes_elect_validators() {
    let mut chain = chain();
    let key = Key::new(1);
    let (one, two) = (voted(61), voted(62));
    let outputs = vec![
        Output::vote(300 * BTM, key.program(), one.to_vec()),
        Output::vote(200 * BTM, key.program(), two.to_vec()),
        Output::vote(200 * BTM, key.program(), two.to_vec()),
    ];
    let voting = spending(&chain, 0, outputs);
    chain.commit(std::slice::from_ref(&voting));
    assert_eq!(
        votes(&chain.state).unwrap(),
        BTreeMap::from([(one.to_vec(), 300 * BTM), (two.to_vec(), 400 * BTM)])
    );
    assert_eq!(validators(&chain.state).unwrap().len(), 4);
    chain.run_to(4);
    let applied = chain.commit(&[]);
    let elected = vec![
        Validator {
            xpub: two,
            power: 400 * BTM,
        },
        Validator {
            xpub: one,
            power: 300 * BTM,
        },
    ];
    assert_eq!(applied.effects.validators.as_ref(), Some(&elected));
    assert_eq!(validators(&chain.state).unwrap(), elected);

    // votes are locked for ten blocks
    let back = |position: usize| {
        let amount = voting.transaction().outputs[position].amount;
        let inputs = vec![take(&voting, position)];
        sign(
            transaction(inputs, vec![pay(amount - FEE, key.program())]),
            &key,
        )
    };
    let from = 12;
    assert!(matches!(
        chain.rejection(&[back(1)]),
        BlockRejection::Spend { fault: SpendFault::Locked { from: found }, .. } if found == from
    ));
    chain.run_to(11);
    chain.commit(&[back(0), back(1)]);
    assert_eq!(
        votes(&chain.state).unwrap(),
        BTreeMap::from([(two.to_vec(), 200 * BTM)])
    );
    chain.run_to(14);
    let applied = chain.commit(&[back(2)]);
    // nobody is left but the federation
    let found = applied.effects.validators.unwrap();
    assert!(found.iter().all(|validator| validator.power == 1));
    assert_eq!(found.len(), 4);
}

#[test]
fn a_retired_vote_counts_for_nothing() {
    let mut chain = chain();
    let vote = Output::vote(300 * BTM, program::retire(b""), vec![1; 64]);
    chain.commit(&[spending(&chain, 0, vec![vote])]);
    assert_eq!(votes(&chain.state).unwrap(), BTreeMap::new());
}

#[test]
fn a_contract_is_called_from_the_next_block_on() {
    let mut chain = chain();
    let contract = program::assemble("5 EQUAL").unwrap();
    let hash = program::script_hash(&contract);
    let call = program::call_contract(&hash);
    let outputs = vec![
        pay(BTM, program::register_contract(&contract)),
        pay(BTM - 1, program::register_contract(&[0x51])),
        pay(5 * BTM, call),
    ];
    let registering = spending(&chain, 0, outputs);
    let calling = |argument: u8| {
        let mut calling = transaction(vec![take(&registering, 2)], vec![pay(BTM, vec![0x51])]);
        *calling.inputs[0].arguments_mut().unwrap() = vec![vec![argument]];
        Mapped::from(calling)
    };
    // in the same block the contract is not there yet, and anyone passes
    assert!(
        chain
            .apply(&chain.block(&[registering.clone(), calling(4)]))
            .is_ok()
    );
    let applied = chain.commit(std::slice::from_ref(&registering));
    // the second had too little
    assert_eq!(applied.effects.contracts, [hash]);
    let found: state::Contract = read(&chain.state, &Record::Contract(hash))
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.transaction_id, found.program),
        (registering.id(), contract)
    );
    assert_eq!(chain.rejection(&[calling(4)]).code(), 766);
    assert!(chain.apply(&chain.block(&[calling(5)])).is_ok());
}

#[test]
fn a_block_holds_so_much_gas() {
    let narrow = Params {
        max_block_gas: 3_000,
        ..params()
    };
    let outputs = vec![pay(BTM, Key::new(1).program()); 2];
    let mut chain = Chain::new(narrow, outputs);
    chain.run_to(1);
    let of = |position| spending(&chain, position, vec![pay(BTM - FEE, vec![0x51])]);
    assert!(chain.apply(&chain.block(&[of(0)])).is_ok());
    assert!(matches!(
        chain.rejection(&[of(0), of(1)]),
        BlockRejection::Gas { limit: 3_000, .. }
    ));
}

struct Known(BTreeMap<Hash, GasStatus>);

impl Verdicts for Known {
    fn verdict(&self, transaction: &Mapped) -> Option<GasStatus> {
        self.0.get(&transaction.id()).copied()
    }
}

#[test]
fn what_is_known_to_be_valid_is_not_run_again() {
    let chain = chain();
    let good = transfer(&chain, 0, &Key::new(2));
    let block = chain.block(std::slice::from_ref(&good));
    let judged = chain.apply(&block).unwrap();
    let known = Known(BTreeMap::from([(good.id(), judged.gas[1])]));
    let aids = Aids {
        verdicts: Some(&known),
        ..Aids::default()
    };
    assert_eq!(
        apply(&chain.state, chain.params(), &block, aids).unwrap(),
        judged
    );
    // it is believed whatever it says; but not that it is in time, or that there is something to spend
    let mut unsigned = good.into_transaction();
    unsigned.inputs[0].arguments_mut().unwrap().clear();
    let block = chain.block(&[Mapped::from(unsigned.clone())]);
    assert!(apply(&chain.state, chain.params(), &block, aids).is_ok());
    unsigned.time_range = 1;
    let late = Mapped::from(unsigned);
    let block = chain.block(std::slice::from_ref(&late));
    let known = Known(BTreeMap::from([(late.id(), judged.gas[1])]));
    let aids = Aids {
        verdicts: Some(&known),
        ..Aids::default()
    };
    let error = apply(&chain.state, chain.params(), &block, aids).unwrap_err();
    assert!(
        error.to_string().contains("invalid transaction time range"),
        "{error}"
    );
}

#[test]
fn changes_are_read_as_written() {
    let mut chain = chain();
    let applied = chain.commit(&[transfer(&chain, 0, &Key::new(2))]);
    let bytes = applied.changes.encode();
    assert_eq!(Changes::decode(&bytes), Ok(applied.changes.clone()));
    assert_eq!(Changes::default().encode(), [0]);
    // the same key twice, and keys out of order
    for wrong in [
        &[2, 1, 5, 0, 1, 5, 0][..],
        &[2, 1, 6, 0, 1, 5, 0],
        &[1, 1, 5, 2],
        &[1],
    ] {
        assert!(Changes::decode(wrong).is_err());
    }
    let before = Hash([1; 32]);
    assert_ne!(
        applied.changes.app_hash(before, 2),
        applied.changes.app_hash(before, 3)
    );
    assert_ne!(
        applied.changes.app_hash(before, 2),
        applied.changes.app_hash(Hash::ZERO, 2)
    );
}

#[test]
fn no_chain_begins_without_sense() {
    let supply = || vec![pay(1, vec![0x51])];
    let refused = |params: Params| Genesis::new(params, supply()).unwrap_err();
    let number = |params| match refused(params) {
        GenesisError::Number { name, .. } => name,
        other => panic!("{other}"),
    };
    assert_eq!(
        number(Params {
            epoch_blocks: 0,
            ..params()
        }),
        "epoch_blocks"
    );
    assert_eq!(
        number(Params {
            gas_price_neu: 0,
            ..params()
        }),
        "gas_price_neu"
    );
    // no block's coinbase would be valid
    assert_eq!(
        number(Params {
            max_coinbase_arbitrary_bytes: 20,
            ..params()
        }),
        "max_coinbase_arbitrary_bytes"
    );
    assert_eq!(
        number(Params {
            max_validators: 0,
            ..params()
        }),
        "max_validators"
    );
    assert_eq!(
        refused(Params {
            chain_id: String::new(),
            ..params()
        }),
        GenesisError::ChainId(0)
    );
    assert_eq!(
        refused(Params {
            federation: Vec::new(),
            ..params()
        }),
        GenesisError::Federation(0, 10)
    );
    assert_eq!(
        refused(Params {
            federation: vec![voted(61); 2],
            ..params()
        }),
        GenesisError::Member(1)
    );
    assert_eq!(
        refused(Params {
            federation_quorum: 5,
            ..params()
        }),
        GenesisError::Quorum {
            quorum: 5,
            members: 4
        }
    );
    assert_eq!(
        Genesis::new(params(), Vec::new()),
        Err(GenesisError::Outputs)
    );
    let vote = Output::vote(1, vec![0x51], vec![1; 64]);
    assert_eq!(
        Genesis::new(params(), vec![vote]),
        Err(GenesisError::Vote(0))
    );
    let much = vec![pay(1 << 62, vec![0x51]); 2];
    assert!(matches!(
        Genesis::new(params(), much),
        Err(GenesisError::Number { .. })
    ));

    let one = Genesis::new(params(), supply()).unwrap().start().unwrap();
    let other = Params {
        block_interval_ms: 6_001,
        ..params()
    };
    let other = Genesis::new(other, supply()).unwrap().start().unwrap();
    assert_ne!(one.block.hash(), other.block.hash());
    assert_ne!(one.tip.app_hash, other.tip.app_hash);
}

#[test]
fn a_solonet_begins_with_one_validator() {
    let genesis = Genesis::solonet(voted(65), Key::new(1).program()).unwrap();
    let start = genesis.start().unwrap();
    assert_eq!(
        start.validators,
        [Validator {
            xpub: voted(65),
            power: 1
        }]
    );
    assert_eq!(genesis.params().reward_neu(1, 0), 570_776_255);
}

#[test]
fn a_stranger_spends_nothing() {
    let chain = chain();
    let stranger = transaction(
        vec![spend(support::made_up(BTM, Key::new(1).program()))],
        vec![pay(1, vec![0x51])],
    );
    assert!(matches!(
        chain.rejection(&[sign(stranger, &Key::new(1))]),
        BlockRejection::Spend {
            index: 1,
            fault: SpendFault::Missing,
            ..
        }
    ));
}
