//! The blocks of a real bytomd v2 do what they did there.

use std::collections::BTreeMap;
use std::path::Path;

use baton_ledger::entry::{ResultKind, spent_output_id};
use baton_ledger::state::{
    Aids, Applied, Changes, Key, MemoryState, Record, State, Tip, Utxo, UtxoKind, apply, coinbase,
    read, votes,
};
use baton_ledger::{AssetId, Block, Hash, InputKind, Mapped, Params};
use serde_json::Value;

fn recorded(name: &str) -> Block {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bytomd-v2");
    let text = std::fs::read_to_string(directory.join(format!("v2-{name}.json"))).unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    Block::from_hex(answer["data"]["raw_block"].as_str().unwrap()).unwrap()
}

/// The state before a block, as far as the block needs it.
fn before(block: &Block, params: &Params, due: &BTreeMap<Vec<u8>, u64>) -> MemoryState {
    let tip = Tip {
        height: block.header.height - 1,
        hash: block.header.previous_block_hash,
        timestamp_ms: block.header.timestamp_ms - params.block_interval_ms,
        app_hash: Hash::ZERO,
    };
    let mut records = Changes::default();
    for input in block
        .transactions
        .iter()
        .flat_map(|transaction| &transaction.inputs)
    {
        if let Some(id) = spent_output_id(input) {
            let utxo = Utxo {
                kind: UtxoKind::Coinbase,
                height: block.header.height - params.coinbase_maturity_blocks,
            };
            records
                .0
                .insert(Key::Utxo(id).encode(), Some(utxo.encode()));
        }
    }
    for (program, neu) in due {
        records
            .0
            .insert(Key::Reward(program).encode(), Some(neu.encode()));
    }
    MemoryState::new(&records, tip)
}

fn replay(name: &str, due: &BTreeMap<Vec<u8>, u64>) -> (MemoryState, Applied) {
    let params = Params::solonet(vec![[1; 64]]);
    let mut block = recorded(name);
    // Casper's votes, which are not part of the block's hash
    block.header.sup_links.clear();
    let mut state = before(&block, &params, due);
    let applied = apply(&state, &params, &block, Aids::default())
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(applied.tip.hash, block.hash());
    state.commit(&applied.changes, applied.tip);
    (state, applied)
}

#[test]
fn recorded_blocks_are_applied() {
    let none = BTreeMap::new();
    let mut made = 0;
    for name in [
        "solo-rawblock-1",
        "solo-rawblock-100",
        "solo-rawblock-127",
        "more-rawblock-153",
        "more-rawblock-159",
        "more-rawblock-163",
        "more-rawblock-167",
    ] {
        let (state, applied) = replay(name, &none);
        for transaction in &applied.transactions[1..] {
            let outputs = transaction.transaction().outputs.iter();
            for (output, entry) in outputs.zip(&transaction.entries().outputs) {
                let found: Option<Utxo> = read(&state, &Key::Utxo(entry.id)).unwrap();
                let lives = entry.kind != ResultKind::Retirement && output.amount > 0;
                assert_eq!(found.is_some(), lives, "{name}");
                made += 1;
            }
            for input in &transaction.entries().inputs {
                if let Some(id) = input.spent_output_id {
                    assert_eq!(read::<_, Utxo>(&state, &Key::Utxo(id)).unwrap(), None);
                }
            }
        }
    }
    assert!(made > 20, "{made} outputs");
}

#[test]
fn the_recorded_veto_takes_its_vote_back() {
    let block = recorded("more-rawblock-167");
    let mut inputs = block.transactions[1].inputs.iter();
    let veto = inputs.find_map(|input| match &input.kind {
        InputKind::Veto(veto) => Some(veto),
        _ => None,
    });
    let (key, amount) = veto.map(|veto| (&veto.vote, veto.output.amount)).unwrap();
    assert_eq!(amount, 200_000_000);
    let params = Params::solonet(vec![[1; 64]]);
    let mut state = before(&block, &params, &BTreeMap::new());
    let voted =
        [Key::Votes(key), Key::AllVotes].map(|key| (key.encode(), Some(500_000_000_u64.encode())));
    state.commit(&Changes(BTreeMap::from(voted)), state.tip().unwrap());
    let applied = apply(&state, &params, &block, Aids::default()).unwrap();
    state.commit(&applied.changes, applied.tip);
    let left = 300_000_000;
    assert_eq!(
        votes(&state).unwrap(),
        BTreeMap::from([(key.clone(), left)])
    );
    assert_eq!(read(&state, &Key::AllVotes).unwrap(), Some(left));
}

#[test]
fn the_recorded_epoch_is_paid() {
    let block = recorded("solo-rawblock-101");
    let paid = &block.transactions[0].outputs[0];
    assert_eq!((paid.asset_id, paid.amount), (AssetId::BTM, 28_538_812_700));
    let params = Params::solonet(vec![[1; 64]]);
    let earned: u64 = (1..=100).map(|height| params.reward_neu(height, 0)).sum();
    let due = BTreeMap::from([(paid.control_program.clone(), earned)]);
    let (_, applied) = replay("solo-rawblock-101", &due);
    // and this node would have made the very same transaction
    let state = before(&block, &params, &due);
    let made = coinbase::coinbase(&state, &params, &paid.control_program, b"").unwrap();
    assert_eq!(Mapped::from(made), *applied.transactions[0]);
}
