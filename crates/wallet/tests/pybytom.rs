//! Keys, paths, phrases, programs and messages agree with pybytom's in every language (`data/make_vectors.py`).

use baton_ledger::program;
use baton_wallet::{
    chainkd::XPrv,
    message,
    mnemonic::{Language, Mnemonic},
    path::{DeriveRule, KeyPath},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vector {
    language: String,
    entropy: String,
    mnemonic: String,
    seed: String,
    xprv: String,
    xpub: String,
    children: Vec<Child>,
}

#[derive(Deserialize)]
struct Child {
    kind: String,
    numbers: Vec<u64>,
    selectors: KeyPath,
    xprv: String,
    xpub: String,
    program: String,
    message: String,
    signature: String,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("data/vectors.json")).unwrap()
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

#[test]
fn phrases_give_the_same_roots_in_every_language() {
    let vectors = vectors();
    for language in Language::ALL {
        assert!(
            vectors
                .iter()
                .any(|vector| vector.language == language.code())
        );
    }
    for vector in vectors {
        let language: Language = vector.language.parse().unwrap();
        let entropy = bytes(&vector.entropy).try_into().unwrap();
        let made = Mnemonic::from_entropy(&entropy, language);
        assert_eq!(*made.phrase(), vector.mnemonic);
        let read = Mnemonic::parse(&vector.mnemonic, language).unwrap();
        assert!(read.has_valid_checksum());
        assert_eq!(hex::encode(read.seed()), vector.seed);
        let root = XPrv::root(&*read.seed());
        assert_eq!(hex::encode(root.expose()), vector.xprv);
        assert_eq!(root.xpub().to_string(), vector.xpub);
    }
}

#[test]
fn paths_lead_to_the_same_keys_programs_and_signatures() {
    for vector in vectors() {
        let root = XPrv::from_bytes(&bytes(&vector.xprv)).unwrap();
        for child in vector.children {
            let path = match (child.kind.as_str(), child.numbers.as_slice()) {
                ("bip44", &[account, change, address]) => {
                    KeyPath::of_address(DeriveRule::Bip44, account, change == 1, address).unwrap()
                }
                ("account", &[account, address]) => {
                    KeyPath::of_address(DeriveRule::Bip32, account, false, address).unwrap()
                }
                ("asset", &[asset]) => KeyPath::of_asset(asset),
                other => panic!("no such path: {other:?}"),
            };
            assert_eq!(path, child.selectors);
            assert_eq!(
                hex::encode(root.derive(path.selectors()).expose()),
                child.xprv
            );
            let xpub = root.xpub().derive(path.selectors());
            assert_eq!(xpub.to_string(), child.xpub);
            let program = program::p2wpkh(&program::key_hash(&xpub.public_key()));
            assert_eq!(hex::encode(&program), child.program);

            let text = bytes(&child.message);
            let signed = message::sign(&root, &path, &text);
            assert_eq!(hex::encode(signed.signature), child.signature);
            assert_eq!(signed.derived_xpub, xpub);
            assert!(message::verify(&program, &xpub, &text, &signed.signature));
        }
    }
}
