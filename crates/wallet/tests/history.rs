//! Random histories: whatever blocks bring, and however often the wallet goes back.

mod common;

use baton_ledger::{AssetId, Entries, Hash, Input, InputKind, Output, Transaction};
use baton_wallet::{Wallet, answer::UnspentFilter, store::MemoryStore};
use common::{Chain, account, check_sums, pay, payment, state, wallet, xpub};
use proptest::prelude::*;

/// What happens in one block of a random history.
#[derive(Debug, Clone)]
enum Event {
    Pay {
        account: usize,
        amount: u64,
    },
    Vote {
        account: usize,
        amount: u64,
        validator: u8,
    },
    /// Spends the n-th output of those there, to an account or to a stranger.
    Spend {
        nth: usize,
        to: Option<usize>,
    },
    Reward {
        account: usize,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..2_usize, 0..9_u64).prop_map(|(account, amount)| Event::Pay { account, amount }),
        (0..2_usize, 1..9_u64, 0..2_u8).prop_map(|(account, amount, validator)| Event::Vote {
            account,
            amount,
            validator
        }),
        (any::<usize>(), prop::option::of(0..2_usize))
            .prop_map(|(nth, to)| Event::Spend { nth, to }),
        (0..2_usize).prop_map(|account| Event::Reward { account }),
    ]
}

/// Makes the block of these events; `wallet` knows what can be spent.
fn mine(chain: &mut Chain, wallet: &Wallet, programs: &[Vec<u8>], events: &[Event], salt: u64) {
    let mut there: Vec<Hash> = wallet
        .unspent_outputs(&UnspentFilter::default())
        .unwrap()
        .iter()
        .map(|one| one.id)
        .collect();
    let (mut transactions, mut reward) = (Vec::new(), (0, vec![0x51]));
    for (index, event) in events.iter().enumerate() {
        let from = salt * 100 + index as u64;
        match event {
            Event::Pay { account, amount } => {
                transactions.push(pay(from, *amount, &programs[*account]));
            }
            Event::Vote {
                account,
                amount,
                validator,
            } => {
                let vote = xpub(*validator).as_bytes().to_vec();
                transactions.push(payment(
                    from,
                    vec![Output::vote(*amount, programs[*account].clone(), vote)],
                ));
            }
            Event::Spend { nth, to } if !there.is_empty() => {
                let id = there.swap_remove(nth % there.len());
                let output = wallet.unspent_output(&id).unwrap().unwrap();
                let program = to.map_or(vec![0x51], |to| programs[to].clone());
                transactions.push(Transaction {
                    version: 1,
                    time_range: 0,
                    inputs: vec![output.input()],
                    outputs: vec![Output::original(output.asset_id, output.amount, program)],
                });
            }
            Event::Spend { .. } => {}
            Event::Reward { account } => reward = (from + 1, programs[*account].clone()),
        }
    }
    // What the last transaction made is spent in the same block.
    if let Some(last) = transactions.last().filter(|_| salt.is_multiple_of(2))
        && let Some(output) = last
            .outputs
            .first()
            .filter(|output| programs.contains(&output.control_program))
        && matches!(output.kind, baton_ledger::OutputKind::Original)
    {
        let entries = Entries::of(last);
        let spent = baton_ledger::transaction::SpentOutput {
            source_id: entries.mux_id,
            asset_id: output.asset_id,
            amount: output.amount,
            source_position: 0,
            control_program: output.control_program.clone(),
            state_data: Vec::new(),
            suffix: Vec::new(),
        };
        let input = Input::from(InputKind::Spend(baton_ledger::transaction::Spend {
            output: spent,
            arguments: Vec::new(),
        }));
        let outputs = vec![Output::original(
            AssetId::BTM,
            output.amount,
            programs[0].clone(),
        )];
        transactions.push(Transaction {
            version: 1,
            time_range: 0,
            inputs: vec![input],
            outputs,
        });
    }
    chain.mine(reward.0, &reward.1, transactions);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever happens: sums are the sums of outputs; going back to any block and forward again, with the store
    /// opened anew, ends in the same state; and so does a wallet that sees everything for the first time.
    #[test]
    fn sums_hold_and_every_way_leads_to_the_same_state(
        history in prop::collection::vec(prop::collection::vec(event(), 0..4), 1..12),
        back_to in 0..14_u64,
        lose in 0..14_usize,
    ) {
        let store = MemoryStore::default();
        let mut wallet = wallet(store.clone());
        let programs = [account(&wallet, "alice", 1).1, account(&wallet, "bob", 2).1];
        let fresh = MemoryStore::default();
        fresh.commit_all_of(&store);

        let mut chain = Chain::default();
        for (salt, events) in history.iter().enumerate() {
            mine(&mut chain, &wallet, &programs, events, salt as u64);
            wallet = common::wallet(store.clone());
            chain.follow(&wallet);
            check_sums(&wallet);
        }
        let end = state(&wallet);

        wallet.rescan(back_to).unwrap();
        check_sums(&wallet);
        wallet = common::wallet(store.clone());
        chain.follow(&wallet);
        prop_assert_eq!(&state(&wallet), &end);

        let mut shorter = chain.clone();
        shorter.blocks.truncate(lose);
        shorter.follow(&wallet);
        check_sums(&wallet);
        let first_time = common::wallet(fresh);
        shorter.follow(&first_time);
        prop_assert_eq!(&state(&wallet), &state(&first_time));
        chain.follow(&wallet);
        chain.follow(&first_time);
        prop_assert_eq!(&state(&wallet), &end);
        prop_assert_eq!(&state(&first_time), &end);
    }
}

/// Copies a store.
trait CommitAll {
    fn commit_all_of(&self, other: &MemoryStore);
}

impl CommitAll for MemoryStore {
    fn commit_all_of(&self, other: &MemoryStore) {
        use baton_wallet::store::{Order, Store};
        let records = other
            .snapshot()
            .unwrap()
            .scan(&[], &[0xff], Order::Ascending, usize::MAX)
            .unwrap();
        self.commit(
            records
                .into_iter()
                .map(|(key, value)| (key, Some(value)))
                .collect(),
        )
        .unwrap();
    }
}
