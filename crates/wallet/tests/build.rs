//! Building: every action, what is refused with which code, reservations, and chains.

mod common;

use std::collections::HashSet;

use baton_ledger::{
    AssetId, Entries, Hash, Input, Output, OutputKind, Transaction, program,
    transaction::InputKind,
    vm::{self, Context, TxView},
};
use baton_wallet::{
    account::AccountName,
    answer::UnspentFilter,
    build::{BuildRequest, MERGE_INPUTS},
    estimate::{self, MERGE_NEU},
    template::WitnessComponent,
};
use common::{
    NOW, OTHER, build, code, control, funded, params, payment, request, sign, spend, xpub,
};
use serde_json::{Value, json};

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
