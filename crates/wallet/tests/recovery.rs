//! Restoring a backup, and finding in the chain what the backup does not know.

mod common;

use baton_ledger::{AssetId, Output};
use baton_wallet::{
    Page, Wallet, WalletError,
    account::{Account, AccountName},
    backup::Backup,
    keystore::KeyImage,
    recovery::{ACCOUNT_GAP, GAP},
    store::MemoryStore,
};
use common::{Chain, on_each_store, payment, wallet, xpub};
use serde_json::json;

const ALICE: AccountName<'_> = AccountName::Alias("alice");

/// A chain in which each of these addresses of an account is paid to, one block each.
fn paid(account: &Account, addresses: &[(bool, u64)]) -> Chain {
    let mut chain = Chain::default();
    chain.mine_to(0);
    for (from, (change, number)) in addresses.iter().enumerate() {
        let program = account.program(*change, *number).unwrap();
        let output = Output::original(AssetId::BTM, 1, program);
        chain.mine(0, &[0x51], vec![payment(from as u64, vec![output])]);
    }
    chain
}

fn numbers(wallet: &Wallet, change: bool) -> u64 {
    let addresses = wallet.addresses(ALICE, Page::ALL).unwrap();
    addresses.iter().filter(|one| one.change == change).count() as u64
}

fn balance(wallet: &Wallet) -> u64 {
    wallet
        .balances(None)
        .unwrap()
        .iter()
        .map(|one| one.amount)
        .sum()
}

/// What is backed up of a wallet, through JSON.
fn backup_of(wallet: &Wallet) -> Backup {
    let backup = wallet.backup(KeyImage::default()).unwrap();
    serde_json::from_str(&serde_json::to_string(&backup).unwrap()).unwrap()
}

#[test]
fn a_backup_brings_back_what_was_given_out() {
    on_each_store(|open| {
        let first = wallet(MemoryStore::default());
        first.create_account(&[xpub(1)], 1, "alice").unwrap();
        first
            .create_account(&[xpub(1), xpub(2)], 2, "both")
            .unwrap();
        for change in [false, false, true, false] {
            first.create_receiver(ALICE, change).unwrap();
        }
        first
            .create_receiver(AccountName::Alias("both"), false)
            .unwrap();
        for request in [
            json!({"alias": "a", "root_xpubs": [xpub(1)], "quorum": 1}),
            json!({"alias": "b", "issuance_program": "51"}),
        ] {
            first
                .create_asset(&serde_json::from_value(request).unwrap())
                .unwrap();
        }
        first.create_contract("c", &[0x51]).unwrap();
        let backup = backup_of(&first);

        let again = open();
        again.restore(&backup, 0).unwrap();
        assert_eq!(backup_of(&again), backup);
        assert_eq!(
            again.addresses(ALICE, Page::ALL).unwrap(),
            first.addresses(ALICE, Page::ALL).unwrap()
        );
        // Once more changes nothing, and the numbers go on.
        let done = again.restore(&backup, 0).unwrap();
        assert_eq!(
            (
                done.accounts.len(),
                done.known_accounts.len(),
                done.known_assets.len()
            ),
            (0, 2, 2)
        );
        assert_eq!(backup_of(&again), backup);
        assert_eq!(
            again
                .create_account(&[xpub(1)], 1, "next")
                .unwrap()
                .key_index,
            2
        );
        let next = json!({"alias": "n", "root_xpubs": [xpub(1)], "quorum": 1});
        let next = again
            .create_asset(&serde_json::from_value(next).unwrap())
            .unwrap();
        assert_eq!(next.info().key_index, 2);
    });
}

#[test]
fn what_a_restore_would_mix_up_is_refused_whole() {
    let first = wallet(MemoryStore::default());
    first.create_account(&[xpub(1)], 1, "bob").unwrap();
    first.create_account(&[xpub(2)], 1, "alice").unwrap();
    let backup = backup_of(&first);
    let rival = |keys: u8, alias: &str| {
        let wallet = wallet(MemoryStore::default());
        wallet.create_account(&[xpub(keys)], 1, alias).unwrap();
        let error = wallet.restore(&backup, 0).unwrap_err();
        assert_eq!(wallet.accounts().unwrap().len(), 1, "{error}");
        error
    };
    assert!(matches!(
        rival(9, "alice"),
        WalletError::DuplicateAlias { .. }
    ));
    assert!(matches!(
        rival(2, "other"),
        WalletError::DuplicateAccount(_)
    ));
    let mut bad = serde_json::to_value(&backup).unwrap();
    bad["account_image"]["slices"][0]["account"]["quorum"] = 5.into();
    let bad: Backup = serde_json::from_value(bad).unwrap();
    let error = wallet(MemoryStore::default()).restore(&bad, 0).unwrap_err();
    assert_eq!(error.code(), "BTM200");
    let nulls: Backup = serde_json::from_value(json!({
        "account_image": {"slices": null}, "asset_image": {"assets": null}, "key_images": {"xkeys": null},
    }))
    .unwrap();
    wallet(MemoryStore::default()).restore(&nulls, 0).unwrap();
}

#[test]
fn addresses_are_found_as_long_as_the_gap_is_not_too_wide() {
    on_each_store(|open| {
        let mut backup = {
            let first = wallet(MemoryStore::default());
            first.create_account(&[xpub(1)], 1, "alice").unwrap();
            serde_json::to_value(backup_of(&first)).unwrap()
        };
        // As bytomd writes it.
        let slice = backup["account_image"]["slices"][0]
            .as_object_mut()
            .unwrap();
        slice.remove("address_index");
        slice.remove("change_address_index");
        let backup: Backup = serde_json::from_value(backup).unwrap();

        let wallet = open();
        wallet.restore(&backup, 0).unwrap();
        let alice = wallet.account(ALICE).unwrap();
        let mut chain = paid(
            &alice,
            &[
                (false, GAP),
                (false, 2 * GAP),
                (true, 5),
                (false, 1),
                (false, 3 * GAP + 1),
            ],
        );
        wallet.restore(&backup, chain.tip().unwrap()).unwrap();
        drop(wallet);
        let wallet = open();
        chain.follow(&wallet);
        assert_eq!(
            (numbers(&wallet, false), numbers(&wallet, true)),
            (2 * GAP, 5)
        );
        assert_eq!(balance(&wallet), 4);
        // The recovery is over: what is paid to unknown addresses now is not found.
        let late = paid(&alice, &[(false, 2 * GAP + 1)]);
        let mut last = late.blocks[1].clone();
        chain.mine(0, &[0x51], last.transactions.split_off(1));
        chain.follow(&wallet);
        assert_eq!(balance(&wallet), 4);
        // Its own next addresses are known from then on.
        wallet.create_receiver(ALICE, false).unwrap();
        wallet.rescan(0).unwrap();
        chain.follow(&wallet);
        assert_eq!(balance(&wallet), 5);
    });
}

#[test]
fn accounts_of_keys_are_found() {
    let keys = [xpub(1), xpub(2)];
    let all = wallet(MemoryStore::default());
    let accounts: Vec<Account> = (1..=14)
        .map(|number| all.create_account(&keys, 2, &format!("a{number}")).unwrap())
        .collect();
    // Each is within reach of the one before.
    let mut chain = Chain::default();
    chain.mine_to(0);
    for (from, index) in [(1, 3), (2, 9), (3, 14)] {
        let program = accounts[index - 1].program(index == 9, 2).unwrap();
        chain.mine(
            7,
            &program,
            vec![payment(
                from,
                vec![Output::original(AssetId::BTM, 1, program.clone())],
            )],
        );
    }
    let wallet = wallet(MemoryStore::default());
    let known = wallet.create_account(&keys, 2, "known").unwrap();
    wallet
        .recover_accounts(&keys, chain.tip().unwrap())
        .unwrap();
    assert_eq!(
        wallet.accounts().unwrap(),
        [known],
        "nobody sees them before they are found"
    );
    chain.follow(&wallet);
    let mut found: Vec<u64> = wallet
        .accounts()
        .unwrap()
        .iter()
        .map(|one| one.key_index)
        .collect();
    found.sort_unstable();
    assert_eq!(found, [1, 3, 9, 14]);
    assert_eq!(ACCOUNT_GAP, 9 - 3);
    assert_eq!(balance(&wallet), 3 * 8);
    let third = wallet
        .accounts()
        .unwrap()
        .into_iter()
        .find(|one| one.key_index == 3)
        .unwrap();
    assert!(third.alias.ends_with(":3"), "{}", third.alias);
    assert_eq!(
        wallet.create_account(&keys, 2, "next").unwrap().key_index,
        15
    );
    assert_eq!(
        wallet.recover_accounts(&[], 0).unwrap_err().code(),
        "BTM202"
    );
}

#[test]
fn an_account_can_be_forgotten_while_it_is_recovered() {
    let first = wallet(MemoryStore::default());
    first.create_account(&[xpub(1)], 1, "alice").unwrap();
    let backup = backup_of(&first);
    let chain = paid(
        &first.account(ALICE).unwrap(),
        &[(false, 1), (false, 2), (false, 3)],
    );
    let wallet = wallet(MemoryStore::default());
    wallet.restore(&backup, 3).unwrap();
    for block in &chain.blocks[..2] {
        wallet.attach_block(block).unwrap();
    }
    wallet.delete_account(ALICE).unwrap();
    chain.follow(&wallet);
    assert!(wallet.balances(None).unwrap().is_empty());
    wallet.restore(&backup, 3).unwrap();
    chain.follow(&wallet);
    assert_eq!(balance(&wallet), 3);
}
