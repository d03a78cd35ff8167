//! Keys, paths and messages agree with what a real bytomd v2 answered (`data/bytomd-v2/`).

use baton_ledger::program;
use baton_wallet::{
    chainkd::{XPrv, XPub},
    message,
    mnemonic::{Language, Mnemonic},
    path::{DeriveRule, KeyPath},
};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn xpub(value: &Value) -> XPub {
    serde_json::from_value(value.clone()).unwrap()
}

fn root_of(phrase: &str) -> XPrv {
    let phrase = Mnemonic::parse(phrase, Language::English).unwrap();
    assert!(phrase.has_valid_checksum());
    XPrv::root(&*phrase.seed())
}

fn alice() -> XPrv {
    root_of("season version dilemma crowd filter lecture trim strategy viable atom young oven")
}

fn address(index: u64) -> KeyPath {
    KeyPath::of_address(DeriveRule::Bip44, 1, false, index).unwrap()
}

#[test]
fn the_phrases_it_made_give_the_keys_it_listed() {
    let keys = json(include_str!("data/bytomd-v2/v2-more-keys.json"));
    for (alias, key) in keys.as_object().unwrap() {
        let root = root_of(key["mnemonic"].as_str().unwrap());
        assert_eq!(root.xpub(), xpub(&key["xpub"]), "{alias}");
    }
    let listed = json(include_str!("data/bytomd-v2/v2-list-keys.json"));
    assert_eq!(alice().xpub(), xpub(&listed["data"][0]["xpub"]));
}

#[test]
fn its_phrases_give_its_keys_and_signatures_in_every_language() {
    let keys = json(include_str!("data/bytomd-v2/languages.json"));
    let keys = keys.as_array().unwrap();
    assert_eq!(keys.len(), Language::ALL.len());
    let path = KeyPath::from_selectors(vec![vec![1, 2], vec![3]]).unwrap();
    for (key, language) in keys.iter().zip(Language::ALL) {
        assert_eq!(key["language"], language.code());
        let phrase = Mnemonic::parse(key["mnemonic"].as_str().unwrap(), language).unwrap();
        assert!(phrase.has_valid_checksum());
        assert_eq!(*phrase.phrase(), key["mnemonic"].as_str().unwrap());
        let root = XPrv::root(&*phrase.seed());
        assert_eq!(root.xpub(), xpub(&key["xpub"]));
        let signature = root.derive(path.selectors()).sign(b"message");
        assert_eq!(hex::encode(signature), key["signature"].as_str().unwrap());
    }
}

#[test]
fn the_node_key_is_an_extended_key() {
    let bytes = hex::decode(include_str!("data/bytomd-v2/v2-node_key.txt").trim()).unwrap();
    let key = XPrv::from_bytes(&bytes).unwrap();
    // `node_xpub` of its `net-info`.
    assert_eq!(
        key.xpub().to_string(),
        "5ec5ed328e2a0ab1f864912a68cd34735a6512fb8bfe27be46220d69f444c175\
         dbaf56541c41c184444dc741b867b280fb09c933cd2cb711a264c7636f859703"
    );
}

#[test]
fn public_keys_lie_where_it_said() {
    let answer = json(include_str!("data/bytomd-v2/v2-more-pubkeys.json"));
    let root = xpub(&answer["data"]["root_xpub"]);
    let infos = answer["data"]["pubkey_infos"].as_array().unwrap();
    assert_eq!(infos.len(), 6);
    for (info, index) in infos.iter().zip(1..) {
        let path: KeyPath = serde_json::from_value(info["derivation_path"].clone()).unwrap();
        assert_eq!(path, address(index));
        let key = root.derive(path.selectors()).public_key();
        assert_eq!(hex::encode(key), info["pubkey"].as_str().unwrap());
    }
}

#[test]
fn an_assets_issuance_keys_follow_rule_0() {
    let asset = json(include_str!("data/bytomd-v2/v2-more-asset-2of2.json"));
    let asset = asset.get("data").unwrap_or(&asset);
    let path = KeyPath::of_asset(asset["key_index"].as_u64().unwrap());
    let program = asset["issue_program"].as_str().unwrap();
    for root in asset["xpubs"].as_array().unwrap() {
        let key = hex::encode(xpub(root).derive(path.selectors()).public_key());
        assert!(program.contains(&format!("20{key}")), "{key} in {program}");
    }
}

#[test]
fn the_first_address_and_its_signed_message_are_the_same() {
    let key = alice().xpub().derive(address(1).selectors()).public_key();
    assert_eq!(
        hex::encode(key),
        "625ee34bd28a473c978936641eaf34ecb8400c753238544a8054890cafe519a2"
    );
    let program = program::p2wpkh(&program::key_hash(&key));
    assert_eq!(
        hex::encode(&program),
        "0014132ecd507a05834f267427d0175b5b10c8fb521f"
    );
    let signed = message::sign(&alice(), &address(1), b"hello");
    assert_eq!(
        hex::encode(signed.signature),
        "939186be2353ebaa6a295c030a9491f6c9c1d787368dd2264b7665445753cb66\
         335d6a80b4eb17de3c43e30bbdfee4a0f9957683df43a49ea2dda9912ac8fb05"
    );
    let answer = json(include_str!("data/bytomd-v2/v2-more-sign-message.json"));
    let answer = &answer["res"]["data"];
    assert_eq!(signed.derived_xpub, xpub(&answer["derived_xpub"]));
    // The message was `test`.
    let signature = hex::decode(answer["signature"].as_str().unwrap()).unwrap();
    assert_eq!(
        alice().derive(address(1).selectors()).sign(b"test"),
        *signature
    );
    let verified =
        |message: &[u8]| message::verify(&program, &signed.derived_xpub, message, &signature);
    assert!(verified(b"test"));
    assert!(!verified(b"tests"));
}
