//! What a real bytomd answered, made again: templates, signatures, estimates, decoded transactions, and the backup.

mod common;

use baton_ledger::{AssetId, Transaction};
use baton_wallet::{
    Page, Wallet,
    account::AccountName,
    answer::{DecodedTransaction, UnspentFilter},
    asset::Asset,
    backup::{Backup, Restored},
    build::BuildRequest,
    estimate::estimate,
    keystore::{KeyImage, KeyStore, Settings, Strength},
    mnemonic::{Language, Mnemonic},
    store::MemoryStore,
    template::Template,
};
use common::{
    Chain, golden, golden_backup, golden_block, golden_chain, golden_keys, params, wallet,
};
use jiff::Timestamp;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// The captured wallet, restored, at the end of `chain`.
fn restored(chain: &Chain) -> Wallet {
    let wallet = wallet(MemoryStore::default());
    wallet
        .restore(&golden_backup(), chain.tip().unwrap())
        .unwrap();
    chain.follow(&wallet);
    wallet
}

fn request(actions: &Value) -> BuildRequest {
    serde_json::from_value(json!({ "actions": actions })).unwrap()
}

/// Equal as text too: the same fields in the same order.
#[track_caller]
fn same<T: serde::Serialize>(made: &T, captured: &Value) {
    let (made, captured) = (serde_json::to_value(made).unwrap(), captured.clone());
    assert_eq!(made, captured);
    assert_eq!(made.to_string(), captured.to_string());
}

/// Signs with the captured wallet's keys of these aliases, one after the other.
fn sign(template: &mut Template, aliases: &[&str]) -> bool {
    let keys = golden_keys();
    let mut complete = false;
    for alias in aliases {
        let (_, key) = keys.iter().find(|(other, _)| other == alias).unwrap();
        complete = template
            .sign_by(|xpub, path, message| {
                (*xpub == key.xpub()).then(|| key.derive(path.selectors()).sign(message))
            })
            .unwrap();
    }
    complete
}

/// Builds, estimates, signs and decodes a captured transaction; the signed one.
fn make_again(wallet: &Wallet, name: &str, signers: &[&str]) -> Transaction {
    let captured = golden(name);
    let mut template = wallet.build(&request(&captured["actions"]), NOW).unwrap();
    same(&template, &captured["template"]);
    let signed = sign(&mut template, signers);
    assert_eq!(json!(signed), captured["sign_complete"]);
    assert_eq!(signed, template.is_complete());
    same(&template, &captured["signed"]);
    same(
        &estimate(&template, &params()),
        &captured["estimate"]["data"],
    );
    let decoded = DecodedTransaction::of(&template.raw_transaction, params().prefix);
    same(&decoded, &captured["decoded"]["data"]);
    // What goes through JSON comes out the same.
    let again: Template = serde_json::from_value(captured["signed"].clone()).unwrap();
    assert_eq!(again, template);
    template.raw_transaction
}

#[test]
fn transactions_are_built_and_signed_as_bytomd_did() {
    let mut chain = golden_chain(153, "v2-more-rawblock-153");
    let wallet = restored(&chain);
    let alice2 = wallet.account(AccountName::Alias("alice2")).unwrap();
    let before = wallet.balances(Some(AccountName::Id(&alice2.id))).unwrap();
    assert_eq!(before[0].amount, 2_998_812_700 + 249 * 100_000_000);
    wallet
        .create_receiver(AccountName::Alias("multi"), false)
        .unwrap();
    for _ in 4..=6 {
        wallet
            .create_receiver(AccountName::Alias("alice2"), false)
            .unwrap();
    }
    // Each is in a block before the next is built, as it was there.
    for (name, signers) in [
        ("v2-more-fund-multi", ["alice"].as_slice()),
        ("v2-more-spend-multi-2of3", &["m1", "m3"]),
        ("v2-more-retire", &["alice"]),
        ("v2-more-vote", &["alice"]),
    ] {
        let transaction = make_again(&wallet, name, signers);
        chain.mine(0, &[0x51], vec![transaction]);
        chain.follow(&wallet);
    }
    let votes = wallet.votes(None).unwrap();
    let mut captured = golden("v2-more-account-votes")["data"].take();
    // Another vote of 2 BTM was not captured.
    captured[0]["total_vote_number"] = json!(300_000_000);
    captured[0]["vote_details"][0]["vote_number"] = json!(300_000_000);
    same(&votes, &captured);
}

#[test]
fn an_issue_is_built_and_signed_as_bytomd_did() {
    let mut chain = golden_chain(101, "v2-solo-rawblock-101");
    chain.mine_to(126);
    let wallet = restored(&chain);
    let gold = wallet.asset_by_alias("gold").unwrap();
    let actions = json!([
        {"type": "spend_account", "account_alias": "alice2", "asset_alias": "btm", "amount": 320_000_000},
        {"type": "issue", "asset_alias": "GOLD", "amount": 5000},
        {"type": "control_address", "asset_id": gold.id.to_string(), "amount": 5000, "address": "sn1q8cwgp88hgnxg83dlyc94m4alhe6mlqysr8q747"},
        {"type": "control_address", "asset_alias": "BTM", "amount": 300_000_000, "address": "sn1q8cwgp88hgnxg83dlyc94m4alhe6mlqysr8q747"},
    ]);
    let mut nonces = || Ok([0xc1, 0x36, 0xfe, 0xa6, 0xf4, 0xca, 0x63, 0x5f]);
    let mut template = wallet
        .build_with(&request(&actions), NOW, &mut nonces)
        .unwrap();
    same(&template, &golden("v2-sign-request")["transaction"]);
    assert!(sign(&mut template, &["alice"]));
    let signed = golden("v2-signed-tx");
    assert_eq!(
        json!(template.raw_transaction.to_hex()),
        signed["raw_transaction"]
    );
    let decoded = DecodedTransaction::of(&template.raw_transaction, params().prefix);
    same(&decoded, &golden("v2-decode-raw")["data"]);
    // `bytomd.md` §3.6 has this estimate, of another transaction like it.
    assert_eq!(estimate(&template, &params()).flexible_neu, 336_600);
}

#[test]
fn holders_sign_one_after_the_other_with_their_own_passwords() {
    let home = tempfile::tempdir().unwrap();
    let settings = Settings {
        strength: Strength::BYTOMD,
        ..Settings::default()
    };
    let keystore = KeyStore::new(home.path(), settings).unwrap();
    let keys = golden("v2-more-keys");
    for (alias, password) in [("m1", "pwm1"), ("m3", "pwm3")] {
        let phrase = keys[alias]["mnemonic"].as_str().unwrap();
        let phrase = Mnemonic::parse(phrase, Language::English).unwrap();
        keystore.import(alias, password, &phrase).unwrap();
    }
    let captured = golden("v2-more-spend-multi-2of3");
    let mut template: Template = serde_json::from_value(captured["template"].clone()).unwrap();

    let refused = template.sign(&mut keystore.unlocked("wrong")).unwrap();
    assert!(!refused.complete);
    assert_eq!(refused.refused.len(), 3);
    let json = serde_json::to_value(&template).unwrap();
    let signatures = |json: &Value| {
        json["signing_instructions"][0]["witness_components"][0]["signatures"].clone()
    };
    assert_eq!(signatures(&json), json!(["", "", ""]));

    let first = template.sign(&mut keystore.unlocked("pwm3")).unwrap();
    assert!(!first.complete);
    let json = serde_json::to_value(&template).unwrap();
    assert_eq!(signatures(&json)[0], "");
    assert_ne!(signatures(&json)[2], "");
    // The second holder has the template from the first, as text.
    let mut template: Template = serde_json::from_str(&json.to_string()).unwrap();
    let second = template.sign(&mut keystore.unlocked("pwm1")).unwrap();
    assert!(second.complete);
    same(&template, &captured["signed"]);
}

#[test]
fn a_wrong_password_signs_nothing_and_says_so() {
    let mut template: Template =
        serde_json::from_value(golden("v2-more-vote")["template"].clone()).unwrap();
    assert!(!template.sign_by(|_, _, _| None).unwrap());
    let json = serde_json::to_value(&template).unwrap();
    let component = &json["signing_instructions"][0]["witness_components"][0];
    assert_eq!(component["signatures"], json!([""]));
    let fields: Vec<_> = component.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["type", "quorum", "keys", "signatures"]);
}

#[test]
fn a_backup_of_bytomd_is_restored_and_found_again_in_the_chain() {
    let backup: Backup =
        serde_json::from_value(golden("v2-backup-wallet")["data"].clone()).unwrap();
    let mut chain = golden_chain(153, "v2-more-rawblock-153");
    chain.mine_to(160);
    let wallet = wallet(MemoryStore::default());
    let done = wallet.restore(&backup, 160).unwrap();
    assert_eq!((done.accounts.len(), done.assets.len()), (2, 1));
    chain.follow(&wallet);
    same(
        &wallet.accounts().unwrap(),
        &golden("v2-list-accounts")["data"],
    );
    let infos: Vec<_> = wallet.assets().unwrap().iter().map(Asset::info).collect();
    same(&infos, &golden("v2-list-assets")["data"]);
    // The backup does not say how many addresses there were; the chain does.
    let alice2 = AccountName::Alias("alice2");
    let addresses = wallet.addresses(alice2, Page::ALL).unwrap();
    let numbers: Vec<_> = addresses.iter().map(|one| one.key_index).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(wallet.balances(None).unwrap().len(), 1);

    // What bytomd wrote is in what is written here, and more.
    let ours = serde_json::to_value(wallet.backup(backup.key_images.clone()).unwrap()).unwrap();
    let slice = &ours["account_image"]["slices"][0];
    assert_eq!(slice["address_index"], 3);
    let mut theirs = golden("v2-backup-wallet")["data"].take();
    assert_eq!(ours["key_images"], theirs["key_images"]);
    assert_eq!(ours["asset_image"], theirs["asset_image"]);
    for (index, slice) in theirs["account_image"]["slices"]
        .as_array_mut()
        .unwrap()
        .iter()
        .enumerate()
    {
        let ours = &ours["account_image"]["slices"][index];
        assert_eq!(ours["account"].to_string(), slice["account"].to_string());
        assert_eq!(ours["contract_index"], slice["contract_index"]);
    }
}

#[test]
fn addresses_of_a_shared_account_are_bytomds() {
    let wallet = wallet(MemoryStore::default());
    wallet.restore(&golden_backup(), 0).unwrap();
    let multi = AccountName::Alias("multi");
    let receiver = wallet.create_receiver(multi, false).unwrap();
    same(&receiver, &golden("v2-more-receiver-multi"));
    same(
        &wallet.addresses(multi, Page::ALL).unwrap(),
        &golden("v2-more-addresses")["data"],
    );
    let alice2 = AccountName::Alias("alice2");
    for _ in 0..6 {
        wallet.create_receiver(alice2, false).unwrap();
    }
    same(
        &wallet.public_keys(alice2, None).unwrap(),
        &golden("v2-more-pubkeys")["data"],
    );
}

#[test]
fn unspent_outputs_have_bytomds_fields() {
    let chain = golden_chain(101, "v2-solo-rawblock-101");
    let wallet = restored(&chain);
    let outputs = wallet.unspent_outputs(&UnspentFilter::default()).unwrap();
    let captured = golden("v2-decode-raw")["data"]["inputs"][0].take();
    same(
        &outputs,
        &json!([{
            "account_alias": "alice2",
            "id": captured["spent_output_id"],
            "asset_id": captured["asset_id"],
            "asset_alias": "BTM",
            "amount": 28_538_812_700_u64,
            "account_id": "840d4683-7ceb-4c52-ab1a-df8502dd5078",
            "address": captured["address"],
            "control_program_index": 2,
            "program": captured["control_program"],
            "source_id": "9c673d75ecc9f848f8359887e9197ebfdae46335aab1079f5824aec8e322f617",
            "source_pos": 0,
            "valid_height": 111,
            "change": false,
            "derive_rule": 0,
        }]),
    );
    same(
        &wallet.balances(None).unwrap(),
        &json!([{
            "account_id": "840d4683-7ceb-4c52-ab1a-df8502dd5078",
            "account_alias": "alice2",
            "asset_alias": "BTM",
            "asset_id": AssetId::BTM.to_string(),
            "amount": 28_538_812_700_u64,
            "asset_definition": {"decimals": 8, "description": "Bytom Official Issue", "name": "BTM", "symbol": "BTM"},
        }]),
    );
}

#[test]
fn transactions_of_blocks_are_described_as_bytomd_does() {
    for height in [159, 163, 167] {
        let described = golden(&format!("v2-more-block-{height}"));
        let block = golden_block(&format!("v2-more-rawblock-{height}"));
        let described = described.get("data").unwrap_or(&described);
        let described = described["transactions"].as_array().unwrap();
        assert_eq!(described.len(), block.transactions.len());
        for (transaction, described) in block.transactions.iter().zip(described) {
            let ours = DecodedTransaction::of(transaction, params().prefix);
            same(&ours.inputs, &described["inputs"]);
            same(&ours.outputs, &described["outputs"]);
            assert_eq!(json!(ours.tx_id.to_string()), described["id"]);
        }
    }
}

#[test]
fn an_empty_backup_restores_nothing() {
    let wallet = wallet(MemoryStore::default());
    let empty: Backup = serde_json::from_str("{}").unwrap();
    assert_eq!(wallet.restore(&empty, 0).unwrap(), Restored::default());
    assert_eq!(
        wallet
            .backup(KeyImage::default())
            .unwrap()
            .account_image
            .slices,
        Some(Vec::new())
    );
}
