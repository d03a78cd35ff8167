//! The keystore on real directories: bytomd's files, the life of a key, and files that are no good.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::Duration,
};

use baton_wallet::{
    chainkd::{XPrv, XPub},
    keystore::{KeyImage, KeyStore, KeystoreError, Settings, Strength},
    mnemonic::{Language, Mnemonic},
    path::{DeriveRule, KeyPath},
};
use serde_json::{Value, json};
use tempfile::TempDir;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/bytomd-v2");
const ALICE: &str = "UTC--2026-11-21T02-05-12.471533407Z--3efce15e-28d4-4733-9c0b-2a57e6097e25";
const IMP: &str = "UTC--2026-11-21T02-18-22.629527231Z--f7562f3f-0208-464f-900a-d44719c141dc";
const UNICODE: &str = "UTC--2026-11-21T06-43-06.192412169Z--829088f6-1060-4144-8788-92b4ad49c201";
/// Of the key `alice`.
const PASSWORD: &str = "pw123";
/// Of the key `imp`.
const IMP_PASSWORD: &str = "p";

/// Quick to derive, for keys that these tests make.
fn quick() -> Settings {
    Settings {
        strength: Strength::new(16, 8, 1).unwrap(),
        open_for: Duration::from_hours(1),
    }
}

fn forgetful() -> Settings {
    Settings {
        open_for: Duration::ZERO,
        ..quick()
    }
}

fn empty() -> (TempDir, KeyStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = KeyStore::new(dir.path().join("keystore"), forgetful()).unwrap();
    (dir, store)
}

/// A keystore with copies of bytomd's two files.
fn bytomds() -> (TempDir, KeyStore) {
    let (dir, store) = empty();
    fs::create_dir(store.dir()).unwrap();
    for name in [ALICE, IMP] {
        fs::copy(Path::new(DATA).join(name), store.dir().join(name)).unwrap();
    }
    (dir, store)
}

fn golden(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(Path::new(DATA).join(name)).unwrap()).unwrap()
}

fn alice() -> XPub {
    serde_json::from_value(golden(ALICE)["xpub"].clone()).unwrap()
}

fn code<T: std::fmt::Debug>(result: Result<T, KeystoreError>) -> &'static str {
    result.unwrap_err().code()
}

#[test]
fn bytomds_keys_are_listed_as_it_lists_them_and_open() {
    let (_dir, store) = bytomds();
    let listing = store.list().unwrap();
    assert!(listing.unreadable.is_empty());
    let mut expected = golden("v2-list-keys.json")["data"].clone();
    for key in expected.as_array_mut().unwrap() {
        let name = Path::new(key["file"].as_str().unwrap())
            .file_name()
            .unwrap();
        key["file"] = store.dir().join(name).to_str().unwrap().into();
    }
    assert_eq!(serde_json::to_value(&listing.keys).unwrap(), expected);
    for (key, password) in listing.keys.iter().zip([PASSWORD, IMP_PASSWORD]) {
        assert!(store.check_password(&key.xpub, password).unwrap());
        assert!(!store.check_password(&key.xpub, "pw124").unwrap());
        let opened = store.unlocked(password).key(&key.xpub).unwrap();
        assert_eq!(opened.xpub(), key.xpub);
    }
}

#[test]
fn an_alias_that_it_escaped_and_a_password_beyond_ascii_are_read() {
    let (_dir, store) = empty();
    fs::create_dir(store.dir()).unwrap();
    fs::copy(Path::new(DATA).join(UNICODE), store.dir().join(UNICODE)).unwrap();
    let key = &store.list().unwrap().keys[0];
    assert_eq!(key.alias, "ünï <en> &");
    assert!(store.check_password(&key.xpub, "pässwort").unwrap());
    assert!(!store.check_password(&key.xpub, "passwort").unwrap());
    let taken = store.create("ÜNÏ <EN> &", "pw", Language::English);
    assert_eq!(code(taken), "BTM800");
}

#[test]
fn its_key_signs_as_it_signed() {
    let (_dir, store) = bytomds();
    let path = KeyPath::of_address(DeriveRule::Bip44, 1, false, 1).unwrap();
    let signature = store
        .unlocked(PASSWORD)
        .sign(&alice(), &path, b"test")
        .unwrap();
    let answer = golden("v2-more-sign-message.json");
    assert_eq!(
        hex::encode(signature),
        answer["res"]["data"]["signature"].as_str().unwrap()
    );
}

#[test]
fn a_backup_is_bytomds_and_comes_back() {
    let (_dir, store) = bytomds();
    let image = store.export_image().unwrap();
    let theirs = &golden("v2-backup-wallet.json")["data"]["key_images"];
    assert_eq!(&serde_json::to_value(&image).unwrap(), theirs);

    let (_dir, other) = empty();
    let restored = other
        .import_image(&serde_json::from_value(theirs.clone()).unwrap())
        .unwrap();
    assert_eq!((restored.written.len(), restored.known.len()), (2, 0));
    assert!(other.check_password(&alice(), PASSWORD).unwrap());
    let again = other.import_image(&image).unwrap();
    assert_eq!((again.written.len(), again.known.len()), (0, 2));
    assert_eq!(other.export_image().unwrap(), image);
    assert_eq!(
        serde_json::from_str::<KeyImage>(r#"{"xkeys":null}"#).unwrap(),
        KeyImage::default()
    );
}

#[test]
fn a_bad_backup_changes_nothing() {
    let image = || golden("v2-backup-wallet.json")["data"]["key_images"].clone();
    let refused = |image: Value| {
        let (_dir, store) = empty();
        let error = store
            .import_image(&serde_json::from_value(image).unwrap())
            .unwrap_err();
        assert!(!store.dir().exists());
        error
    };
    let mut greedy = image();
    greedy["xkeys"][1]["crypto"]["kdfparams"]["n"] = (1_u64 << 40).into();
    assert!(matches!(refused(greedy), KeystoreError::Scrypt { n, .. } if n == 1 << 40));
    let mut same = image();
    same["xkeys"][1]["alias"] = " ALICE ".into();
    assert_eq!(refused(same).code(), "BTM800");
    let mut astray = image();
    astray["xkeys"][0]["id"] = "../../outside".into();
    let (_dir, store) = empty();
    for key in store
        .import_image(&serde_json::from_value(astray).unwrap())
        .unwrap()
        .written
    {
        assert_eq!(key.file.parent().unwrap(), store.dir());
    }
}

#[test]
fn a_key_lives_from_its_creation_to_its_deletion() {
    let (_dir, store) = empty();
    assert!(store.list().unwrap().keys.is_empty());
    let (key, phrase) = store.create(" Alice ", "first", Language::Korean).unwrap();
    assert_eq!(key.alias, "alice");
    assert_eq!(XPrv::root(&*phrase.seed()).xpub(), key.xpub);
    assert_eq!(store.list().unwrap().keys, std::slice::from_ref(&key));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(store.dir()), mode(&key.file)), (0o700, 0o600));

    assert!(!store.reset_password(&key.xpub, "wrong", "second").unwrap());
    assert!(store.reset_password(&key.xpub, "first", "second").unwrap());
    assert!(!store.check_password(&key.xpub, "first").unwrap());
    assert!(store.check_password(&key.xpub, "second").unwrap());

    store.update_alias(&key.xpub, "Bob\t").unwrap();
    assert_eq!(store.list().unwrap().keys[0].alias, "bob");
    store.update_alias(&key.xpub, "BOB").unwrap();
    assert!(store.check_password(&key.xpub, "second").unwrap());
    assert_eq!(mode(&key.file), 0o600);

    assert_eq!(code(store.delete(&key.xpub, "first")), "BTM802");
    store.delete(&key.xpub, "second").unwrap();
    assert_eq!(code(store.delete(&key.xpub, "second")), "BTM801");
    assert_eq!(
        fs::read_dir(store.dir()).unwrap().count(),
        0,
        "nothing is left behind"
    );

    let back = store.import("alice", "third", &phrase).unwrap();
    assert_eq!(back.xpub, key.xpub);
}

#[test]
fn a_new_file_has_bytomds_name_and_shape() {
    let (_dir, store) = empty();
    let (key, _) = store.create("alice", "pw", Language::English).unwrap();
    let name = key.file.file_name().unwrap().to_str().unwrap();
    let shape = |text: &str| text.replace(|c: char| c.is_ascii_hexdigit(), "0");
    assert_eq!(shape(name), shape(ALICE));
    let text = fs::read_to_string(&key.file).unwrap();
    let ours: Value = serde_json::from_str(&text).unwrap();
    assert!(name.ends_with(ours["id"].as_str().unwrap()));
    let fields = |value: &Value| {
        let mut found = Vec::new();
        collect_fields(value, "", &mut found);
        found
    };
    assert_eq!(fields(&ours), fields(&golden(ALICE)));
}

fn collect_fields(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                collect_fields(inner, &format!("{at}/{name}"), found);
            }
        }
        Value::String(_) => found.push(format!("{at}: text")),
        _ => found.push(format!("{at}: number")),
    }
}

#[test]
fn new_files_are_stronger_unless_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let store = KeyStore::new(dir.path(), Settings::default()).unwrap();
    let (key, _) = store.create("alice", "pw", Language::English).unwrap();
    let file: Value = serde_json::from_slice(&fs::read(&key.file).unwrap()).unwrap();
    let params = &file["crypto"]["kdfparams"];
    assert_eq!(
        (&params["n"], &params["r"], &params["p"]),
        (&json!(131_072), &json!(8), &json!(1))
    );
    assert!(store.check_password(&key.xpub, "pw").unwrap());
}

#[test]
fn aliases_are_compared_folded_and_keys_are_not_doubled() {
    let (_dir, store) = bytomds();
    // bytomd stored the alias of an imported key as it was typed.
    let mut imp = golden(IMP);
    imp["alias"] = "Imp ".into();
    fs::write(store.dir().join(IMP), imp.to_string()).unwrap();
    assert_eq!(store.list().unwrap().keys[1].alias, "Imp ");
    let phrase = Mnemonic::from_entropy(&[7; 16], Language::English);
    for alias in ["alice", "ALICE", " Alice\n", "imp", "IMP"] {
        assert_eq!(
            code(store.import(alias, "pw", &phrase)),
            "BTM800",
            "{alias:?}"
        );
        assert_eq!(code(store.create(alias, "pw", Language::English)), "BTM800");
    }
    assert_eq!(code(store.update_alias(&alice(), "imP")), "BTM800");
    store.import("carol", "pw", &phrase).unwrap();
    let double = store.import("dave", "pw", &phrase).unwrap_err();
    assert_eq!(double.code(), "BTM000");
    assert!(double.to_string().contains("carol"), "{double}");
    assert!(matches!(
        store.import(" \t", "pw", &phrase),
        Err(KeystoreError::EmptyAlias)
    ));
    assert!(matches!(
        store.import(&"x".repeat(257), "pw", &phrase),
        Err(KeystoreError::LongAlias(257))
    ));
    assert_eq!(store.list().unwrap().keys.len(), 3);
}

#[test]
fn the_directory_is_looked_at_each_time() {
    let (_dir, store) = bytomds();
    assert_eq!(store.list().unwrap().keys.len(), 2);
    let path = store.dir().join(ALICE);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"alice\"", "\"alicf\"")).unwrap();
    assert_eq!(store.list().unwrap().keys[0].alias, "alicf");
    let twin = store.dir().join("twin");
    fs::copy(&path, &twin).unwrap();
    match store.check_password(&alice(), PASSWORD).unwrap_err() {
        KeystoreError::Ambiguous { files, .. } => assert_eq!(files.len(), 2),
        other => panic!("{other}"),
    }
    fs::remove_file(&path).unwrap();
    assert!(store.check_password(&alice(), PASSWORD).unwrap());
    fs::remove_file(&twin).unwrap();
    assert!(!store.check_password(&alice(), PASSWORD).unwrap());
}

#[test]
fn what_is_no_key_is_passed_over_or_named() {
    let (_dir, store) = bytomds();
    let put = |name: &str, content: &[u8]| {
        let path = store.dir().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    put(".hidden", b"x");
    put("backup~", b"x");
    fs::create_dir(store.dir().join("directory")).unwrap();
    symlink(store.dir().join(ALICE), store.dir().join("symlink")).unwrap();
    let mut nameless = golden(ALICE);
    nameless["alias"] = "".into();
    let bad = [
        put("a-empty", b""),
        put("b-binary", &[0xff; 100]),
        put("c-cut", &fs::read(store.dir().join(ALICE)).unwrap()[..300]),
        put("d-nameless", nameless.to_string().as_bytes()),
        put("e-long", &vec![b' '; 70_000]),
    ];
    let listing = store.list().unwrap();
    assert_eq!(listing.keys.len(), 2);
    let told: Vec<_> = listing.unreadable.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), bad.len(), "{told:?}");
    for (told, path) in told.iter().zip(&bad) {
        assert!(told.contains(path.to_str().unwrap()), "{told}");
    }
    assert!(store.check_password(&alice(), PASSWORD).unwrap());
    assert!(
        store.export_image().is_err(),
        "a backup does not leave out a file in silence"
    );
}

#[test]
fn a_damaged_key_is_refused_and_its_file_named() {
    let damage = |field: &str, value: Value| -> (PathBuf, KeystoreError) {
        let (_dir, store) = bytomds();
        let path = store.dir().join(ALICE);
        let mut file = golden(ALICE);
        *file.pointer_mut(field).unwrap() = value;
        fs::write(&path, file.to_string()).unwrap();
        let xpub = store.list().unwrap().keys[0].xpub;
        (path, store.delete(&xpub, PASSWORD).unwrap_err())
    };
    let other = golden(IMP);
    for (field, value, expected) in [
        ("/crypto/mac", other["crypto"]["mac"].clone(), "BTM802"),
        (
            "/crypto/ciphertext",
            other["crypto"]["ciphertext"].clone(),
            "BTM802",
        ),
        ("/crypto/ciphertext", "00".into(), "BTM000"),
        (
            "/crypto/cipherparams/iv",
            other["crypto"]["cipherparams"]["iv"].clone(),
            "BTM000",
        ),
        ("/crypto/cipherparams/iv", "00".into(), "BTM000"),
        ("/crypto/cipher", "aes-256-gcm".into(), "BTM000"),
        ("/crypto/kdf", "argon2id".into(), "BTM000"),
        ("/crypto/kdfparams/n", (1_u64 << 31).into(), "BTM000"),
        ("/crypto/kdfparams/n", 4097.into(), "BTM000"),
        ("/crypto/kdfparams/p", u32::MAX.into(), "BTM000"),
        ("/crypto/kdfparams/dklen", 64.into(), "BTM000"),
        ("/version", 2.into(), "BTM000"),
        ("/type", "geth".into(), "BTM000"),
    ] {
        let (path, error) = damage(field, value);
        assert_eq!(error.code(), expected, "{field}: {error}");
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{field}: {error}"
        );
    }
    // Another key's file under this key's name.
    let (path, error) = damage(
        "/xpub",
        Mnemonic::from_entropy(&[1; 16], Language::English).xpub_text(),
    );
    assert!(
        matches!(&error, KeystoreError::Mismatch { file, .. } if *file == path),
        "{error}"
    );
}

trait XPubText {
    fn xpub_text(&self) -> Value;
}

impl XPubText for Mnemonic {
    fn xpub_text(&self) -> Value {
        XPrv::root(&*self.seed()).xpub().to_string().into()
    }
}

#[test]
fn many_signatures_under_one_password_derive_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = KeyStore::new(dir.path(), forgetful()).unwrap();
    let (key, _) = store.create("alice", "pw", Language::English).unwrap();
    let path = KeyPath::of_asset(1);
    let before = store.derivations();
    let mut unlocked = store.unlocked("pw");
    for _ in 0..100 {
        unlocked.sign(&key.xpub, &path, b"digest").unwrap();
    }
    assert_eq!(store.derivations(), before + 1);
    let mut wrong = store.unlocked("wrong");
    for _ in 0..100 {
        assert_eq!(code(wrong.sign(&key.xpub, &path, b"digest")), "BTM801");
    }
    assert_eq!(store.derivations(), before + 2);
    store
        .unlocked("pw")
        .sign(&key.xpub, &path, b"digest")
        .unwrap();
    assert_eq!(
        store.derivations(),
        before + 3,
        "this store remembers nothing across operations"
    );
}

#[test]
fn a_key_stays_open_for_the_right_password_until_it_is_wiped() {
    let dir = tempfile::tempdir().unwrap();
    let store = KeyStore::new(dir.path(), quick()).unwrap();
    let (key, _) = store.create("alice", "pw", Language::English).unwrap();
    let check = |password| store.check_password(&key.xpub, password).unwrap();
    let cost = |password| {
        let before = store.derivations();
        (check(password), store.derivations() - before)
    };
    assert_eq!(cost("pw"), (true, 1));
    assert_eq!(cost("pw"), (true, 0));
    assert_eq!(cost("wrong"), (false, 1));
    assert_eq!(cost("wrong"), (false, 1), "guessing stays slow");
    assert_eq!(cost("pw"), (true, 0));
    store.wipe();
    assert_eq!(cost("pw"), (true, 1));
    assert!(store.reset_password(&key.xpub, "pw", "new").unwrap());
    assert_eq!(
        cost("pw"),
        (false, 1),
        "the former password is not remembered"
    );
    assert_eq!(cost("new"), (true, 1));
    fs::remove_file(&key.file).unwrap();
    assert_eq!(cost("new"), (false, 0), "a removed key is gone at once");
}

#[test]
fn two_at_once_cannot_take_one_alias() {
    let (_dir, store) = empty();
    let made: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| usize::from(store.create("alice", "pw", Language::English).is_ok()))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(made, 1);
    assert_eq!(store.list().unwrap().keys.len(), 1);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("file");
    fs::write(&blocked, "").unwrap();
    let store = KeyStore::new(&blocked, quick()).unwrap();
    let error = store.create("alice", "pw", Language::English).unwrap_err();
    assert!(
        error.to_string().contains(blocked.to_str().unwrap()),
        "{error}"
    );
}

#[test]
fn nothing_secret_is_printed() {
    let (_dir, store) = bytomds();
    let mut unlocked = store.unlocked(PASSWORD);
    let key = unlocked.key(&alice()).unwrap();
    let printed = format!("{store:?} {unlocked:?} {key:?}");
    assert!(!printed.contains(PASSWORD));
    assert!(!printed.contains(&hex::encode(&key.expose()[..8])));
}
