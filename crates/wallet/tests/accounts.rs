//! Accounts, addresses, assets and contracts, on each kind of store.

mod common;

use baton_ledger::{AssetId, Params};
use baton_wallet::{
    Page, Wallet, WalletError,
    account::AccountName,
    asset::{Asset, AssetRequest, BTM_ALIAS},
    store::{MemoryStore, RedbStore},
};
use common::{golden, on_each_store, wallet, xpub};
use serde_json::{Value, json};

const ALICE: AccountName<'_> = AccountName::Alias("alice");

#[test]
fn an_account_has_a_number_of_its_own_under_its_keys() {
    on_each_store(|open| {
        let wallet = open();
        let alice = wallet.create_account(&[xpub(1)], 1, " Alice ").unwrap();
        assert_eq!((alice.alias.as_str(), alice.key_index), ("alice", 1));
        let bob = wallet.create_account(&[xpub(1)], 1, "bob").unwrap();
        assert_eq!(bob.key_index, 2);
        let both = wallet
            .create_account(&[xpub(1), xpub(2)], 2, "both")
            .unwrap();
        assert_eq!(both.key_index, 1);
        let turned = wallet
            .create_account(&[xpub(2), xpub(1)], 1, "turned")
            .unwrap();
        assert_eq!(turned.key_index, 2, "the order of keys does not matter");
        drop(wallet);

        let wallet = open();
        assert_eq!(wallet.accounts().unwrap().len(), 4);
        assert_eq!(wallet.account(AccountName::Alias("ALICE")).unwrap(), alice);
        assert_eq!(wallet.account(AccountName::Id(&bob.id)).unwrap(), bob);
        let carol = wallet.create_account(&[xpub(1)], 1, "carol").unwrap();
        assert_eq!(carol.key_index, 3);
    });
}

#[test]
fn what_makes_no_account_is_refused_with_its_code() {
    let wallet = wallet(MemoryStore::default());
    wallet.create_account(&[xpub(1)], 1, "alice").unwrap();
    let code = |keys: &[u8], quorum, alias: &str| {
        let keys: Vec<_> = keys.iter().copied().map(xpub).collect();
        wallet
            .create_account(&keys, quorum, alias)
            .unwrap_err()
            .code()
    };
    assert_eq!(code(&[], 1, "x"), "BTM202");
    assert_eq!(code(&[1, 1], 1, "x"), "BTM203");
    assert_eq!(code(&[1], 0, "x"), "BTM200");
    assert_eq!(code(&[1], 2, "x"), "BTM200");
    assert_eq!(code(&[1], 1, " "), "BTM000");
    assert_eq!(code(&[1], 1, "ALICE"), "BTM000");
    assert!(matches!(
        wallet.create_account(&[xpub(1)], 1, &"x".repeat(257)),
        Err(WalletError::LongAlias(257))
    ));
    let unknown = wallet.account(AccountName::Alias("eve")).unwrap_err();
    assert_eq!(unknown.code(), "BTM709");
    assert_eq!(wallet.accounts().unwrap().len(), 1);
}

#[test]
fn a_number_of_an_address_is_given_out_once() {
    on_each_store(|open| {
        let account = open().create_account(&[xpub(1)], 1, "alice").unwrap();
        let mut given = Vec::new();
        for change in [false, true, false, false] {
            // The wallet is opened again for each: what was given out was on the disk.
            given.push(open().create_receiver(ALICE, change).unwrap());
        }
        let wallet = open();
        let listed = wallet.addresses(ALICE, Page::ALL).unwrap();
        let order: Vec<_> = listed
            .iter()
            .map(|one| (one.key_index, one.change))
            .collect();
        assert_eq!(order, [(1, false), (1, true), (2, false), (3, false)]);
        assert_eq!(listed[1].address, given[1].address);
        let page = wallet.addresses(ALICE, Page { from: 1, count: 2 }).unwrap();
        assert_eq!(page, listed[1..3]);
        assert!(
            wallet
                .addresses(ALICE, Page { from: 1, count: 0 })
                .unwrap()
                .is_empty()
        );
        assert!(
            wallet
                .addresses(ALICE, Page { from: 9, count: 5 })
                .unwrap()
                .is_empty()
        );

        let (program, receiver) = wallet.look_up_address(&given[3].address).unwrap();
        assert_eq!(program, given[3].control_program);
        let receiver = receiver.unwrap();
        assert_eq!((receiver.account, receiver.number), (account.id, 3));
        let keys = wallet.public_keys(ALICE, None).unwrap();
        assert_eq!(keys.pubkey_infos.len(), 4);
        let third = &keys.pubkey_infos[3];
        let only = wallet.public_keys(ALICE, Some(&third.pubkey)).unwrap();
        assert_eq!(only.pubkey_infos, std::slice::from_ref(third));
        assert!(wallet.public_keys(ALICE, Some(&[0; 32])).is_err());
        let (root, path) = wallet.signer(&given[3].address).unwrap();
        assert_eq!((root, path), (xpub(1), third.derivation_path.clone()));
    });
}

#[test]
fn a_name_can_be_changed_and_an_account_forgotten() {
    on_each_store(|open| {
        let wallet = open();
        wallet.create_account(&[xpub(1)], 1, "alice").unwrap();
        wallet.create_account(&[xpub(1)], 1, "bob").unwrap();
        assert!(wallet.rename_account(ALICE, "Bob").is_err());
        wallet.rename_account(ALICE, "ALICE").unwrap();
        wallet.rename_account(ALICE, "Anna").unwrap();
        assert!(wallet.account(ALICE).is_err());
        let anna = AccountName::Alias("anna");
        let program = wallet.create_receiver(anna, false).unwrap().control_program;
        wallet.delete_account(anna).unwrap();
        assert_eq!(wallet.receiver(&program).unwrap(), None);
        assert_eq!(wallet.accounts().unwrap().len(), 1);
        let anna = wallet.create_account(&[xpub(1)], 1, "anna").unwrap();
        assert_eq!(
            anna.key_index, 3,
            "the number of a forgotten account stays taken"
        );
    });
}

#[test]
fn blocks_pay_to_the_first_account_until_told_otherwise() {
    let wallet = wallet(MemoryStore::default());
    assert_eq!(wallet.mining_program().unwrap(), None);
    wallet.create_account(&[xpub(1)], 1, "alice").unwrap();
    let program = wallet.mining_program().unwrap().unwrap();
    assert_eq!(wallet.mining_program().unwrap().unwrap(), program);
    assert!(wallet.receiver(&program).unwrap().is_some());
    wallet.delete_account(ALICE).unwrap();
    assert_eq!(
        wallet.mining_program().unwrap(),
        None,
        "nobody has its keys at hand any more"
    );
    let other = "sn1qzvhv65r6qkp57fn5ylgpwk6mzry0k5sltc0xkz";
    wallet.set_mining_address(other).unwrap();
    assert_eq!(
        hex::encode(wallet.mining_program().unwrap().unwrap()),
        "0014132ecd507a05834f267427d0175b5b10c8fb521f"
    );
    assert!(
        wallet
            .set_mining_address("bn1qzvhv65r6qkp57fn5ylgpwk6mzry0k5sltc0xkz")
            .is_err()
    );
}

#[test]
fn a_store_of_another_network_is_refused() {
    let store = MemoryStore::default();
    wallet(store.clone());
    let error = Wallet::open(store, Params::mainnet()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the wallet's store is of the network \"solonet\", not \"mainnet\""
    );
}

#[test]
fn a_second_wallet_on_one_file_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("wallet.redb");
    let _first = wallet(RedbStore::open(&path).unwrap());
    assert!(RedbStore::open(&path).is_err());
}

fn request(json: Value) -> AssetRequest {
    serde_json::from_value(json).unwrap()
}

#[test]
fn assets_are_those_that_bytomd_makes() {
    let wallet = wallet(MemoryStore::default());
    let listed = golden("v2-list-assets")["data"].take();
    let gold = &listed[1];
    wallet
        .create_asset(&request(json!({
            "alias": " gold ",
            "root_xpubs": gold["xpubs"],
            "quorum": 1,
            "definition": {"symbol": "GOLD", "name": "GOLD", "decimals": 8, "description": {}},
        })))
        .unwrap();
    let infos: Vec<_> = wallet.assets().unwrap().iter().map(Asset::info).collect();
    assert_eq!(
        serde_json::to_string(&infos).unwrap(),
        serde_json::to_string(&listed).unwrap()
    );
    // bytomd's fourth asset: two keys.
    let silver = golden("v2-more-asset-2of2")["data"].take();
    for alias in ["a", "b"] {
        let other = json!({"alias": alias, "root_xpubs": [silver["xpubs"][0]], "quorum": 1});
        wallet.create_asset(&request(other)).unwrap();
    }
    let made = wallet
        .create_asset(&request(json!({
            "alias": "silver", "root_xpubs": silver["xpubs"], "quorum": 2, "definition": silver["definition"],
        })))
        .unwrap();
    assert_eq!(
        serde_json::to_string(&made.info()).unwrap(),
        serde_json::to_string(&silver).unwrap()
    );
}

#[test]
fn an_assets_alias_is_its_own() {
    on_each_store(|open| {
        let wallet = open();
        let asset = |alias: &str, symbol: &str| {
            wallet.create_asset(&request(json!({
                "alias": alias, "issuance_program": "51", "definition": {"symbol": symbol},
            })))
        };
        let gold = asset("gold", "G").unwrap();
        assert_eq!(gold.info().xpubs, None);
        assert!(matches!(
            asset("Gold", "H"),
            Err(WalletError::DuplicateAlias { .. })
        ));
        assert!(matches!(
            asset("other", "G"),
            Err(WalletError::DuplicateAsset(_))
        ));
        assert!(matches!(asset("btm", "B"), Err(WalletError::NativeAsset)));
        assert!(matches!(asset(" ", "B"), Err(WalletError::EmptyAlias(_))));
        let silver = asset("silver", "S").unwrap();
        assert!(wallet.rename_asset(&silver.id, "GOLD").is_err());
        assert!(wallet.rename_asset(&AssetId::BTM, "x").is_err());
        assert_eq!(
            wallet
                .rename_asset(&AssetId([1; 32]), "x")
                .unwrap_err()
                .code(),
            "BTM710"
        );
        wallet.rename_asset(&gold.id, " aurum").unwrap();
        wallet.rename_asset(&silver.id, "gold").unwrap();
        assert_eq!(wallet.asset_by_alias("Gold").unwrap().id, silver.id);
        assert_eq!(wallet.asset(&gold.id).unwrap().alias, "AURUM");
        assert_eq!(wallet.asset_by_alias(BTM_ALIAS).unwrap().id, AssetId::BTM);
        assert_eq!(wallet.asset_by_alias("eve").unwrap_err().code(), "BTM710");
    });
}

#[test]
fn a_limited_asset_says_so() {
    let wallet = wallet(MemoryStore::default());
    let asset = wallet
        .create_asset(&request(json!({
            "alias": "x", "root_xpubs": [xpub(1)], "quorum": 1, "limit_height": 1000,
        })))
        .unwrap();
    assert_eq!(asset.info().limit_height, 1000);
    let without = json!({"alias": "y", "quorum": 1});
    assert_eq!(
        wallet.create_asset(&request(without)).unwrap_err().code(),
        "BTM202"
    );
}

#[test]
fn contracts_are_kept_as_bytomd_shows_them() {
    on_each_store(|open| {
        let wallet = open();
        let made = wallet.create_contract(" c1", &[0x51]).unwrap();
        let listed = golden("v2-list-contracts")["data"].take();
        assert_eq!(
            serde_json::to_string(&open_list(&wallet)).unwrap(),
            serde_json::to_string(&listed).unwrap()
        );
        let again = wallet.create_contract("c2", &[0x51]).unwrap_err();
        assert_eq!(again.code(), "BTM302");
        wallet.rename_contract(&made.id, "c3").unwrap();
        assert_eq!(wallet.contract(&made.id).unwrap().alias, "c3");
        assert_eq!(wallet.contract(&[0; 32]).unwrap_err().code(), "BTM303");
        assert!(wallet.create_contract("c", &[]).is_err());
    });
}

fn open_list(wallet: &Wallet) -> Vec<baton_wallet::contract::Contract> {
    wallet.contracts().unwrap()
}
