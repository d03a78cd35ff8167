//! Building: every action, what is refused with which code, reservations, and chains.

mod common;

use std::collections::HashSet;

use baton_ledger::{
    AssetId, Entries, Hash, Input, Output, OutputKind, Transaction, program,
    transaction::InputKind,
    vm::{self, Context, TxView},
};
use baton_wallet::{
    Wallet,
    account::AccountName,
    answer::UnspentFilter,
    build::{BuildError, BuildRequest, MERGE_INPUTS},
    estimate::{self, MERGE_NEU},
    select::{SelectError, Want},
    store::MemoryStore,
    template::{Template, WitnessComponent},
};
use common::{Chain, params, payment, wallet, xprv, xpub};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const OTHER: &str = "sn1qzvhv65r6qkp57fn5ylgpwk6mzry0k5sltc0xkz";

fn later(minutes: i64) -> Timestamp {
    NOW + SignedDuration::from_mins(minutes)
}

/// A wallet with accounts `alice` (one key) and `both` (two of two), and BTM in outputs of these amounts for alice.
fn funded(amounts: &[u64]) -> (Wallet, Chain) {
    let wallet = wallet(MemoryStore::default());
    wallet.create_account(&[xpub(1)], 1, "alice").unwrap();
    wallet
        .create_account(&[xpub(1), xpub(2)], 2, "both")
        .unwrap();
    let program = wallet
        .create_receiver(AccountName::Alias("alice"), false)
        .unwrap()
        .control_program;
    let mut chain = Chain::default();
    let outputs = amounts
        .iter()
        .map(|amount| Output::original(AssetId::BTM, *amount, program.clone()))
        .collect();
    chain.mine(0, &[0x51], vec![payment(1, outputs)]);
    chain.follow(&wallet);
    (wallet, chain)
}

#[expect(clippy::needless_pass_by_value, reason = "made where it is passed")]
fn request(actions: Value) -> BuildRequest {
    serde_json::from_value(json!({ "actions": actions })).unwrap()
}

fn spend(amount: u64) -> Value {
    json!({"type": "spend_account", "account_alias": "alice", "asset_alias": "BTM", "amount": amount})
}

fn control(amount: u64) -> Value {
    json!({"type": "control_address", "asset_alias": "btm", "amount": amount, "address": OTHER})
}

fn build(wallet: &Wallet, actions: Value) -> Result<Template, BuildError> {
    wallet.build(&request(actions), NOW)
}

fn code(wallet: &Wallet, actions: Value) -> &'static str {
    build(wallet, actions).unwrap_err().code()
}

fn amounts(transaction: &Transaction) -> (Vec<u64>, Vec<u64>) {
    (
        transaction.inputs.iter().map(Input::amount).collect(),
        transaction
            .outputs
            .iter()
            .map(|output| output.amount)
            .collect(),
    )
}

/// Signs with the keys 1 and 2, as often as it takes.
fn sign(template: &mut Template) {
    let keys = [xprv(1), xprv(2)];
    for key in &keys {
        template
            .sign_by(|xpub, path, message| {
                (*xpub == key.xpub()).then(|| key.derive(path.selectors()).sign(message))
            })
            .unwrap();
    }
    assert!(template.is_complete());
}

/// What a signature check asks of a transaction.
struct Signed([u8; 32]);

impl TxView for Signed {
    fn signature_hash(&self) -> [u8; 32] {
        self.0
    }

    fn check_output(&self, _: &vm::OutputCheck<'_>) -> Result<bool, vm::Error> {
        Err(vm::Error::WrongContext)
    }
}

/// Runs the programs of all inputs; the gas that they used.
fn run(transaction: &Transaction) -> u64 {
    const GAS: u64 = 1_000_000;
    let entries = Entries::of(transaction);
    let mut used = 0;
    for (index, input) in transaction.inputs.iter().enumerate() {
        let form = program::executed_form(input.program(), |_| None);
        let signed = Signed(entries.signature_hash(index).unwrap().0);
        let mut context = Context::new(&form, input.arguments().unwrap());
        context.tx = Some(&signed);
        context.tx_version = Some(1);
        context.block_height = Some(1);
        used += GAS - vm::verify(&context, GAS).unwrap_or_else(|error| panic!("{error}"));
    }
    used
}

#[test]
fn every_action_that_takes_value_makes_its_output() {
    let (wallet, _) = funded(&[1_000_000_000]);
    let validator = xpub(9).to_string();
    let template = build(
        &wallet,
        json!([
            spend(700_000_000),
            control(1),
            {"type": "control_program", "asset_alias": "BTM", "amount": 2, "control_program": "51"},
            {"type": "retire", "asset_alias": "BTM", "amount": 3, "arbitrary": "0102"},
            {"type": "retire", "asset_alias": "BTM", "amount": 4},
            {"type": "register_contract", "asset_alias": "BTM", "amount": 100_000_000, "contract": "51"},
            {"type": "vote_output", "asset_alias": "BTM", "amount": 200_000_000, "address": OTHER, "vote": validator},
        ]),
    )
    .unwrap();
    let transaction = &template.raw_transaction;
    let outputs: Vec<_> = transaction
        .outputs
        .iter()
        .map(|output| (output.amount, hex::encode(&output.control_program)))
        .collect();
    let to_other = "0014132ecd507a05834f267427d0175b5b10c8fb521f";
    assert_eq!(outputs[0].0, 300_000_000, "what is over comes first");
    let expected = [
        (1, to_other),
        (2, "51"),
        (3, "6a020102"),
        (4, "6a"),
        (100_000_000, "6a046263727001010151"),
        (200_000_000, to_other),
    ];
    for (made, wanted) in outputs[1..].iter().zip(expected) {
        assert_eq!((made.0, made.1.as_str()), wanted);
    }
    assert_eq!(outputs.len(), 7);
    assert_eq!(
        transaction.outputs[6].kind,
        OutputKind::Vote(xpub(9).as_bytes().to_vec())
    );
    assert_eq!(template.fee, 700_000_000 - 300_000_010);
    assert_eq!(
        Transaction::decode(&transaction.encode()).unwrap(),
        *transaction
    );
}

#[test]
fn signed_inputs_of_every_kind_satisfy_their_programs() {
    let (wallet, mut chain) = funded(&[1_000_000_000]);
    let alice = AccountName::Alias("alice");
    let both = wallet
        .create_receiver(AccountName::Alias("both"), true)
        .unwrap();
    let own = wallet.create_receiver(alice, true).unwrap();
    let asset: baton_wallet::asset::AssetRequest = serde_json::from_value(json!({
        "alias": "gold", "root_xpubs": [xpub(2), xpub(1)], "quorum": 2, "limit_height": 99,
    }))
    .unwrap();
    wallet.create_asset(&asset).unwrap();
    let validator = xpub(9).to_string();
    let mut first = build(
        &wallet,
        json!([
            spend(900_000_000),
            {"type": "issue", "asset_alias": "gold", "amount": 77},
            {"type": "control_address", "asset_alias": "gold", "amount": 77, "address": both.address},
            {"type": "control_address", "asset_alias": "BTM", "amount": 300_000_000, "address": both.address},
            {"type": "vote_output", "asset_alias": "BTM", "amount": 500_000_000, "address": own.address, "vote": validator},
        ]),
    )
    .unwrap();
    let estimated = estimate::estimate(&first, &params());
    sign(&mut first);
    let vm_neu = run(&first.raw_transaction) * 200;
    // Enough, and not more than a tenth too much.
    assert!(
        (vm_neu..vm_neu * 11 / 10).contains(&estimated.vm_neu),
        "{vm_neu} of {estimated:?}"
    );
    let signed_storage = first.raw_transaction.size() as u64 * 200;
    assert!(estimated.storage_neu.abs_diff(signed_storage) < 4_000);

    chain.mine(0, &[0x51], vec![first.raw_transaction]);
    chain.mine_to(12);
    chain.follow(&wallet);
    let mut second = build(
        &wallet,
        json!([
            {"type": "veto", "account_alias": "alice", "asset_alias": "BTM", "amount": 200_000_000, "vote": validator},
            {"type": "spend_account", "account_alias": "both", "asset_alias": "gold", "amount": 70},
            {"type": "spend_account", "account_alias": "both", "asset_alias": "btm", "amount": 100_000_000},
            {"type": "retire", "asset_alias": "gold", "amount": 70},
            control(200_000_000),
        ]),
    )
    .unwrap();
    let transaction = &second.raw_transaction;
    assert!(matches!(transaction.inputs[0].kind, InputKind::Veto(_)));
    assert_eq!(
        amounts(transaction),
        (
            vec![500_000_000, 77, 300_000_000],
            vec![300_000_000, 7, 200_000_000, 70, 200_000_000]
        )
    );
    sign(&mut second);
    run(&second.raw_transaction);
    chain.mine(0, &[0x51], vec![second.raw_transaction]);
    chain.follow(&wallet);
    assert!(wallet.votes(None).unwrap().is_empty());
}

#[test]
fn a_particular_output_is_spent_with_arguments_or_by_its_holder() {
    let (wallet, _) = funded(&[5, 7]);
    let outputs = wallet.unspent_outputs(&UnspentFilter::default()).unwrap();
    let action = |id: &str, arguments: Value| json!([{"type": "spend_account_unspent_output", "output_id": id, "arguments": arguments}, control(1)]);
    let id = outputs[0].id.to_string();
    let plain = build(&wallet, action(&id, Value::Null)).unwrap();
    assert_eq!(plain.signing_instructions[0].witness_components.len(), 2);
    assert_eq!(code(&wallet, action(&id, Value::Null)), "BTM702");
    assert_eq!(
        code(&wallet, action(&"1".repeat(64), Value::Null)),
        "BTM703"
    );
    assert_eq!(
        code(
            &wallet,
            json!([{"type": "spend_account_unspent_output"}, control(1)])
        ),
        "BTM707"
    );

    let id = outputs[1].id.to_string();
    let unknown = json!([{"type": "float", "raw_data": {"value": 1.5}}]);
    assert_eq!(code(&wallet, action(&id, unknown)), "BTM711");
    let arguments = json!([
        {"type": "raw_tx_signature", "raw_data": {"xpub": xpub(3), "derivation_path": ["0102"]}},
        {"type": "data", "raw_data": {"value": "c0ffee"}},
        {"type": "string", "raw_data": {"value": "hé"}},
        {"type": "integer", "raw_data": {"value": 258}},
        {"type": "integer", "raw_data": {"value": 0}},
        {"type": "boolean", "raw_data": {"value": true}},
        {"type": "boolean", "raw_data": {"value": false}},
    ]);
    let template = build(&wallet, action(&id, arguments)).unwrap();
    let components = &template.signing_instructions[0].witness_components;
    assert!(matches!(
        &components[0],
        WitnessComponent::RawTxSignature { quorum: 1, .. }
    ));
    let data: Vec<String> = components[1..]
        .iter()
        .map(|component| match component {
            WitnessComponent::Data { value } => hex::encode(value),
            WitnessComponent::RawTxSignature { .. } => unreachable!(),
        })
        .collect();
    assert_eq!(data, ["c0ffee", "68c3a9", "0201", "", "01", ""]);
}

#[test]
fn each_refusal_has_its_code() {
    let (wallet, _) = funded(&[100]);
    for (actions, wanted) in [
        (json!([]), "BTM706"),
        (json!([spend(1)]), "BTM706"),
        (json!([{"amount": 1}]), "BTM704"),
        (json!([{"type": "burn"}]), "BTM704"),
        (
            json!([spend(1), {"type": "retire", "amount": "x"}]),
            "BTM705",
        ),
        (
            json!([spend(1), {"type": "retire", "amount": -1}]),
            "BTM705",
        ),
        (
            json!([spend(1), {"type": "retire", "asset_id": "ff", "amount": 1}]),
            "BTM705",
        ),
        (
            json!([spend(1), {"type": "control_program", "control_program": "5"}]),
            "BTM705",
        ),
        (
            json!([spend(1), {"type": "retire", "asset_alias": "BTM"}]),
            "BTM707",
        ),
        (
            json!([spend(1), {"type": "vote_output", "asset_alias": "BTM", "amount": 1}]),
            "BTM707",
        ),
        (
            json!([{"type": "spend_account", "asset_alias": "BTM", "amount": 1}, control(1)]),
            "BTM707",
        ),
        (
            json!([{"type": "veto", "account_alias": "alice", "asset_alias": "BTM", "amount": 1}, control(1)]),
            "BTM707",
        ),
        (json!([spend(1), control(1 << 63)]), "BTM708"),
        (
            json!([spend(1 << 63), spend(1 << 63), control(1)]),
            "BTM708",
        ),
        (
            json!([{"type": "spend_account", "account_alias": "eve", "amount": 1}, control(1)]),
            "BTM709",
        ),
        (
            json!([{"type": "spend_account", "account_id": "eve", "asset_alias": "BTM", "amount": 1}, control(1)]),
            "BTM709",
        ),
        (
            json!([spend(1), {"type": "retire", "asset_alias": "eve", "amount": 1}]),
            "BTM710",
        ),
        (
            json!([{"type": "issue", "asset_id": "11".repeat(32), "amount": 1}, control(1)]),
            "BTM710",
        ),
        (
            json!([{"type": "issue", "asset_alias": "BTM", "amount": 1}, control(1)]),
            "BTM710",
        ),
        (
            json!([spend(1), {"type": "control_address", "asset_alias": "BTM", "amount": 1, "address": "bn1x"}]),
            "BTM000",
        ),
        (
            json!([spend(1), {"type": "register_contract", "asset_alias": "BTM", "amount": 1, "contract": "51"}]),
            "BTM000",
        ),
        (json!([spend(101), control(1)]), "BTM700"),
    ] {
        let text = actions.to_string();
        let error = build(&wallet, actions).unwrap_err();
        assert_eq!(error.code(), wanted, "{text}: {error}");
    }
    assert!(
        wallet.list_reservations(NOW).is_empty(),
        "a refusal reserves nothing"
    );
    // After a reservation, a fault further on releases it.
    let fault = json!([spend(1), {"type": "retire", "asset_alias": "BTM"}]);
    assert_eq!(code(&wallet, fault), "BTM707");
    assert!(build(&wallet, json!([spend(100), control(1)])).is_ok());
    let many: Vec<Value> = (0..1001).map(|_| control(1)).collect();
    assert_eq!(code(&wallet, json!(many)), "BTM706");
}

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
    assert_eq!(amounts(&second), (vec![40], vec![1]));
}

#[test]
fn spends_of_one_account_and_asset_are_one_and_a_base_is_built_upon() {
    let (wallet, _) = funded(&[100, 30]);
    let template = build(&wallet, json!([spend(60), control(1), spend(60)])).unwrap();
    assert_eq!(
        amounts(&template.raw_transaction),
        (vec![100, 30], vec![10, 1])
    );
    for held in wallet.list_reservations(NOW) {
        wallet.release_reservation(held.id);
    }
    let base = payment(7, vec![Output::original(AssetId::BTM, 9, vec![0x51])]);
    let request = json!({
        "base_transaction": base.to_hex(),
        "actions": [spend(100), control(1)],
        "ttl": 0,
        "time_range": 50,
    });
    let mut template = wallet
        .build(&serde_json::from_value(request).unwrap(), NOW)
        .unwrap();
    let transaction = &template.raw_transaction;
    assert_eq!((transaction.time_range, transaction.inputs.len()), (50, 2));
    assert_eq!(amounts(transaction).1, [9, 1]);
    assert_eq!(template.signing_instructions[0].position, 1);
    sign(&mut template);
    run_last(&template.raw_transaction);
    let null: BuildRequest = serde_json::from_value(json!({"base_transaction": null})).unwrap();
    assert!(null.base_transaction.is_none());
}

/// Runs the program of the last input only.
fn run_last(transaction: &Transaction) {
    let mut entries = Entries::of(transaction);
    let index = transaction.inputs.len() - 1;
    let input = &transaction.inputs[index];
    let form = program::executed_form(input.program(), |_| None);
    let signed = Signed(entries.signature_hash(index).unwrap().0);
    entries.inputs.clear();
    let mut context = Context::new(&form, input.arguments().unwrap());
    context.tx = Some(&signed);
    vm::verify(&context, 100_000).unwrap();
}

#[test]
fn more_inputs_than_a_transaction_can_have_are_merged_before() {
    let (wallet, mut chain) = funded(&[10_000_000; 200]);
    assert_eq!(
        code(&wallet, json!([spend(1_990_000_000), control(1)])),
        "BTM706"
    );
    assert!(wallet.list_reservations(NOW).is_empty());
    let wanted = 300_000_000;
    let request = request(json!([spend(wanted), control(wanted - 20_000_000)]));
    let mut templates = wallet.build_chain(&request, NOW).unwrap();
    let last = templates.last().unwrap().clone();
    assert_eq!(last.raw_transaction.inputs.len(), 1);
    assert_eq!(last.fee, 20_000_000);
    let merging = templates.len() - 1;
    assert!(templates[..merging].iter().all(|one| one.fee == MERGE_NEU));
    let outputs: usize = wallet
        .list_reservations(NOW)
        .iter()
        .map(|held| held.outputs.len())
        .sum();
    assert_eq!(merging, (outputs - 1).div_ceil(MERGE_INPUTS - 1));
    assert_eq!(
        estimate::estimate_chain(&templates, &params())
            .unwrap()
            .chain_tx_neu,
        MERGE_NEU * merging as u64
    );
    assert!(estimate::estimate_chain(&[], &params()).is_none());

    // Every one can be signed and spends what those before it made.
    let mut there: HashSet<Hash> = wallet
        .unspent_outputs(&UnspentFilter::default())
        .unwrap()
        .iter()
        .map(|one| one.id)
        .collect();
    for template in &mut templates {
        sign(template);
        run(&template.raw_transaction);
        let entries = Entries::of(&template.raw_transaction);
        for input in &entries.inputs {
            assert!(
                there.remove(&input.spent_output_id.unwrap()),
                "it is there once"
            );
        }
        there.extend(entries.outputs.iter().map(|output| output.id));
    }
    let before = wallet.balances(None).unwrap()[0].amount;
    chain.mine(
        0,
        &[0x51],
        templates
            .into_iter()
            .map(|one| one.raw_transaction)
            .collect(),
    );
    chain.follow(&wallet);
    let after = wallet.balances(None).unwrap()[0].amount;
    assert_eq!(before - after, wanted + MERGE_NEU * merging as u64);
}

#[test]
fn chains_refuse_what_they_cannot_merge() {
    let (wallet, _) = funded(&[1000; 6]);
    let chain = |actions: Value| wallet.build_chain(&request(actions), NOW);
    let one = chain(json!([spend(500), control(1)])).unwrap();
    assert_eq!(one.len(), 1, "one output needs no merging");
    assert_eq!(
        chain(json!([spend(3000), control(1)])).unwrap_err().code(),
        "BTM700"
    );
    let gold = json!({"type": "spend_account", "account_alias": "alice", "asset_id": "11".repeat(32), "amount": 1});
    assert!(
        chain(json!([gold, control(1)]))
            .unwrap_err()
            .to_string()
            .contains("only support BTM")
    );
    assert_eq!(wallet.list_reservations(NOW).len(), 1);
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
