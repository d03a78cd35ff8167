//! Reserving outputs: what is free, what is not and why, and for how long.

mod common;

use std::collections::HashSet;

use baton_ledger::AssetId;
use baton_wallet::{
    account::AccountName,
    build::{BuildError, BuildRequest},
    select::{SelectError, Want},
};
use common::{NOW, build, code, control, funded, later, request, sign, spend, xpub};
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;

#[test]
fn too_little_immature_and_reserved_are_told_apart() {
    let (wallet, mut chain) = funded(&[100, 50]);
    let program = wallet
        .create_receiver(AccountName::Alias("alice"), false)
        .unwrap()
        .control_program;
    chain.mine(1000, &program, Vec::new());
    chain.follow(&wallet);
    let try_it = |amount| code(&wallet, json!([spend(amount), control(1)]));
    assert_eq!(try_it(1151), "BTM700");
    assert_eq!(try_it(1150), "BTM701");
    assert_eq!(try_it(151), "BTM701");
    let held = build(&wallet, json!([spend(100), control(1)])).unwrap();
    assert_eq!(held.raw_transaction.inputs.len(), 1);
    assert_eq!(try_it(150), "BTM702");
    assert_eq!(try_it(151), "BTM701");
    assert!(build(&wallet, json!([spend(50), control(1)])).is_ok());
    chain.mine_to(11);
    chain.follow(&wallet);
    assert!(build(&wallet, json!([spend(1000), control(1)])).is_ok());
    assert_eq!(try_it(1), "BTM702");
}

#[test]
fn reservations_end_by_time_by_number_and_by_output() {
    let (wallet, _) = funded(&[100]);
    let mut request = request(json!([spend(1), control(1)]));
    wallet.build(&request, NOW).unwrap();
    let held = wallet.list_reservations(NOW);
    assert_eq!((held.len(), held[0].expires_at), (1, later(30)));
    assert!(wallet.build(&request, later(29)).is_err());
    request.ttl = serde_json::from_value::<BuildRequest>(json!({"ttl": 60_000}))
        .unwrap()
        .ttl;
    wallet.build(&request, later(30)).unwrap();
    let held = wallet.list_reservations(later(30));
    assert_eq!((held.len(), held[0].expires_at), (1, later(31)));
    assert!(wallet.release_reservation(held[0].id));
    assert!(!wallet.release_reservation(held[0].id));
    wallet.build(&request, later(30)).unwrap();
    let output = wallet.list_reservations(later(30))[0].outputs[0].id;
    assert!(wallet.release_output(&output));
    assert!(!wallet.release_output(&output));
    request.ttl = SignedDuration::from_hours(25);
    assert!(matches!(wallet.build(&request, NOW), Err(BuildError::Ttl)));
    request.ttl = SignedDuration::from_secs(-1);
    assert!(matches!(wallet.build(&request, NOW), Err(BuildError::Ttl)));
    let text: BuildRequest = serde_json::from_value(json!({"ttl": "10m"})).unwrap();
    assert_eq!(text.ttl, SignedDuration::from_mins(10));
}

#[test]
fn another_process_of_the_wallet_holds_what_was_reserved() {
    let (wallet, _) = funded(&[100, 100]);
    build(&wallet, json!([spend(1), control(1)])).unwrap();
    build(&wallet, json!([spend(1), control(1)])).unwrap();
    let held = wallet.list_reservations(NOW);
    assert!(wallet.release_reservation(held[1].id));
    let written = serde_json::to_string(&wallet.reserved()).unwrap();

    let (next, _) = funded(&[100, 100]);
    next.reserve_again(serde_json::from_str(&written).unwrap());
    assert_eq!(next.list_reservations(NOW), held[..1]);
    build(&next, json!([spend(1), control(1)])).unwrap();
    let both = next.list_reservations(NOW);
    assert_eq!(both[1].outputs[0].id, held[1].outputs[0].id, "what is free");
    assert!(both[1].id > held[1].id, "no number comes twice");
    assert!(next.list_reservations(later(30)).is_empty());

    // What contradicts itself is not taken twice.
    let (third, _) = funded(&[100, 100]);
    for _ in 0..2 {
        third.reserve_again(serde_json::from_str(&written).unwrap());
    }
    assert_eq!(third.list_reservations(NOW), held[..1]);
}

#[test]
fn what_the_pool_makes_is_spent_when_asked_and_what_it_spends_is_not() {
    let (wallet, _) = funded(&[100]);
    let mut first = build(&wallet, json!([spend(60), control(60)])).unwrap();
    sign(&mut first);
    wallet.add_unconfirmed(&first.raw_transaction, NOW).unwrap();
    // Its reservation over, the output is still not free: the pool spends it.
    let when = later(60);
    let again = |unconfirmed: bool| {
        let mut spend = spend(40);
        spend["use_unconfirmed"] = unconfirmed.into();
        wallet.build(&request(json!([spend, control(1)])), when)
    };
    assert_eq!(again(false).unwrap_err().code(), "BTM702");
    let second = again(true).unwrap().raw_transaction;
    assert_eq!(second.inputs.len(), 1);
    assert_eq!(second.inputs[0].amount(), 40);
}

#[test]
fn a_vote_in_the_pool_is_locked_like_one_in_a_block() {
    let (wallet, mut chain) = funded(&[100]);
    chain.mine_to(50);
    chain.follow(&wallet);
    let own = wallet
        .create_receiver(AccountName::Alias("alice"), false)
        .unwrap();
    let validator = xpub(9).to_string();
    let vote = json!([
        spend(100),
        {"type": "vote_output", "asset_alias": "BTM", "amount": 90, "address": own.address, "vote": validator},
    ]);
    let mut template = build(&wallet, vote).unwrap();
    sign(&mut template);
    let veto = |unconfirmed: bool| {
        json!([
            {"type": "veto", "account_alias": "alice", "asset_alias": "BTM", "amount": 90, "vote": validator, "use_unconfirmed": unconfirmed},
            control(1),
        ])
    };
    wallet
        .add_unconfirmed(&template.raw_transaction, NOW)
        .unwrap();
    assert_eq!(code(&wallet, veto(true)), "BTM701");
    assert_eq!(code(&wallet, veto(false)), "BTM700");
    chain.mine(0, &[0x51], vec![template.raw_transaction]);
    chain.mine_to(60);
    chain.follow(&wallet);
    assert_eq!(code(&wallet, veto(false)), "BTM701");
    chain.mine_to(61);
    chain.follow(&wallet);
    assert!(build(&wallet, veto(false)).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However reserving, releasing and the passing of time follow each other: no output is in two reservations,
    /// each holds enough, and the reason of a refusal is the true one.
    #[test]
    fn no_output_is_reserved_twice(
        amounts in prop::collection::vec(1..50_u64, 1..12),
        steps in prop::collection::vec((0..4_u8, 1..120_u64), 1..30),
    ) {
        let (wallet, _) = funded(&amounts);
        let account = wallet.account(AccountName::Alias("alice")).unwrap().id;
        let total: u128 = amounts.iter().map(|amount| u128::from(*amount)).sum();
        let mut now = NOW;
        for (step, number) in steps {
            let held = wallet.list_reservations(now);
            let held_sum: u128 = held.iter().flat_map(|one| &one.outputs).map(|one| u128::from(one.amount)).sum();
            match step {
                0 | 1 => {
                    let want = Want { account: &account, asset: AssetId::BTM, amount: number, vote: &[], unconfirmed: false };
                    let until = now + SignedDuration::from_mins(5);
                    match wallet.reserve(&want, now, until) {
                        Ok(selected) => {
                            let sum: u64 = selected.outputs.iter().map(|one| one.amount).sum();
                            prop_assert_eq!(sum, number + selected.change);
                        }
                        Err(SelectError::Insufficient { .. }) => prop_assert!(total < u128::from(number)),
                        Err(SelectError::Reserved { .. }) => {
                            prop_assert!(total >= u128::from(number) && total - held_sum < u128::from(number));
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
                2 => if let Some(one) = held.first() {
                    prop_assert!(wallet.release_reservation(one.id));
                },
                _ => now += SignedDuration::from_mins(i64::try_from(number % 7).unwrap()),
            }
            let mut seen = HashSet::new();
            for one in wallet.list_reservations(now) {
                prop_assert!(one.expires_at > now);
                for output in &one.outputs {
                    prop_assert!(seen.insert(output.id), "{} is held twice", output.id);
                }
            }
        }
    }

    /// Whatever JSON comes as actions: an answer, never a panic, and nothing stays reserved after a refusal.
    #[test]
    fn actions_of_any_shape_are_answered(kind in 0..10_usize, fields in prop::collection::vec((0..9_usize, 0..8_usize), 0..6)) {
        let (wallet, _) = funded(&[100]);
        let kinds = ["spend_account", "spend_account_unspent_output", "issue", "control_address", "control_program",
            "retire", "register_contract", "vote_output", "veto", "?"];
        let names = ["account_id", "account_alias", "asset_id", "asset_alias", "amount", "address", "vote", "arguments", "output_id"];
        let values = [json!(null), json!(""), json!("alice"), json!("BTM"), json!(1), json!(u64::MAX), json!([{}]), json!("11".repeat(32))];
        let mut action = json!({"type": kinds[kind]});
        for (name, value) in fields {
            action[names[name]] = values[value].clone();
        }
        for actions in [json!([action.clone(), control(1)]), json!([spend(1), action])] {
            if let Err(error) = build(&wallet, actions) {
                prop_assert!(error.code().starts_with("BTM"));
                prop_assert!(wallet.list_reservations(NOW).is_empty());
            }
            for held in wallet.list_reservations(NOW) {
                wallet.release_reservation(held.id);
            }
        }
    }
}
