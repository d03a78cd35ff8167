//! Following the chain, going back, and what accounts hold afterwards.

mod common;

use baton_ledger::{AssetId, Hash, Input, InputKind, Output, Transaction};
use baton_wallet::{
    Page, WalletError,
    account::AccountName,
    answer::{History, HistoryFilter, UnspentFilter},
    follow::{Attached, REMEMBERED_BLOCKS},
    store::MemoryStore,
};
use common::{
    Chain, NOW, account, check_sums, on_each_store, pay, payment, spending, state, wallet, xpub,
};

#[test]
fn outputs_come_and_go_with_blocks() {
    on_each_store(|open| {
        let wallet = open();
        let (alice, program) = account(&wallet, "alice", 1);
        let (_, to_bob) = account(&wallet, "bob", 2);
        let mut chain = Chain::default();
        chain.mine_to(2);
        chain.mine(77, &program, vec![pay(1, 100, &program)]);
        chain.follow(&wallet);
        let outputs = wallet.unspent_outputs(&UnspentFilter::default()).unwrap();
        let mut seen: Vec<_> = outputs
            .iter()
            .map(|one| (one.amount, one.valid_height))
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, [(77, 13), (100, 0)], "a reward matures");

        let spent = outputs.iter().find(|one| one.amount == 100).unwrap().id;
        let vote = Output::vote(30, program.clone(), xpub(9).as_bytes().to_vec());
        let change = Output::original(AssetId::BTM, 20, to_bob.clone());
        let transaction = spending(&wallet, &[spent], vec![vote, change]);
        chain.mine(0, &[0x51], vec![transaction.clone()]);
        chain.follow(&wallet);
        check_sums(&wallet);
        let balances = wallet.balances(Some(AccountName::Id(&alice))).unwrap();
        assert_eq!(balances.len(), 1);
        assert_eq!(balances[0].amount, 77 + 30);
        let votes = wallet.votes(None).unwrap();
        assert_eq!((votes.len(), votes[0].total_vote_number), (1, 30));

        let info = wallet.transaction(&transaction.id()).unwrap();
        assert_eq!((info.block_height, info.block_index), (4, 1));
        assert_eq!(info.inputs[0].account_alias, "alice");
        assert_eq!(info.outputs[1].account_alias, "bob");
        assert_eq!(info.outputs[0].asset_alias, "BTM");
        drop(wallet);
        let wallet = open();
        check_sums(&wallet);
        assert_eq!(wallet.best().unwrap().unwrap().hash, chain.hash_at(4));
    });
}

#[test]
fn a_block_is_taken_once_and_in_its_turn() {
    let wallet = wallet(MemoryStore::default());
    let (_, program) = account(&wallet, "alice", 1);
    let mut chain = Chain::default();
    chain.mine(5, &program, Vec::new());
    chain.mine(7, &program, Vec::new());
    chain.mine_to(3);
    let error = wallet.attach_block(&chain.blocks[1]).unwrap_err();
    assert!(
        matches!(
            error,
            WalletError::Gap {
                found: 1,
                best: None,
                wanted: 0
            }
        ),
        "{error}"
    );
    let new = Attached::New { transactions: 1 };
    assert_eq!(wallet.attach_block(&chain.blocks[0]).unwrap(), new);
    assert_eq!(
        wallet.attach_block(&chain.blocks[0]).unwrap(),
        Attached::Already
    );
    assert_eq!(wallet.attach_block(&chain.blocks[1]).unwrap(), new);
    assert!(matches!(
        wallet.attach_block(&chain.blocks[3]),
        Err(WalletError::Gap {
            found: 3,
            best: Some(1),
            wanted: 2
        })
    ));
    assert_eq!(wallet.balances(None).unwrap()[0].amount, 12);
}

#[test]
fn a_wallet_heals_whatever_the_chain_lost() {
    on_each_store(|open| {
        let wallet = open();
        let (_, program) = account(&wallet, "alice", 1);
        let mut chain = Chain::default();
        chain.mine_to(3);
        let fork = chain.clone();
        chain.mine(10, &program, vec![pay(1, 100, &program)]);
        chain.mine(20, &program, Vec::new());
        chain.follow(&wallet);
        let before = state(&wallet);

        // The chain lost its tail: the wallet goes back with it, and forward again.
        let resume = wallet
            .resume_point(fork.tip(), |height| fork.hash_at(height))
            .unwrap();
        assert_eq!((resume.next_height, resume.went_back), (4, 2));
        assert!(wallet.balances(None).unwrap().is_empty());
        drop(wallet);
        let wallet = open();
        chain.follow(&wallet);
        assert_eq!(state(&wallet), before);

        // The tail that came back is another one.
        let mut other = fork.clone();
        other.mine(1, &program, Vec::new());
        let longer = {
            other.mine_to(6);
            other
        };
        let error = wallet.attach_block(&longer.blocks[6]).unwrap_err();
        assert!(
            matches!(error, WalletError::Fork { height: 6, .. }),
            "{error}"
        );
        longer.follow(&wallet);
        assert_eq!(wallet.balances(None).unwrap()[0].amount, 1);
        check_sums(&wallet);

        // Another chain altogether, and none.
        let mut else_chain = Chain::default();
        else_chain.mine(3, &program, Vec::new());
        else_chain.follow(&wallet);
        assert_eq!(wallet.balances(None).unwrap()[0].amount, 3);
        Chain::default().follow(&wallet);
        assert_eq!(wallet.best().unwrap(), None);
        assert!(wallet.balances(None).unwrap().is_empty());
    });
}

#[test]
fn a_chain_that_is_far_behind_means_a_new_beginning() {
    let wallet = wallet(MemoryStore::default());
    let (_, program) = account(&wallet, "alice", 1);
    let mut chain = Chain::default();
    chain.mine(5, &program, Vec::new());
    chain.mine_to(REMEMBERED_BLOCKS + 10);
    chain.follow(&wallet);
    let tail = chain.blocks.split_off(5);
    let resume = wallet
        .resume_point(chain.tip(), |height| chain.hash_at(height))
        .unwrap();
    assert_eq!(resume.next_height, 0, "the hash is forgotten");
    chain.blocks.extend(tail);
    chain.follow(&wallet);
    assert_eq!(wallet.balances(None).unwrap()[0].amount, 5);
}

#[test]
fn a_rescan_finds_what_an_address_made_later_had() {
    let wallet = wallet(MemoryStore::default());
    let (alice, program) = account(&wallet, "alice", 1);
    let found = wallet
        .account(AccountName::Id(&alice))
        .unwrap()
        .program(false, 2)
        .unwrap();
    let mut chain = Chain::default();
    chain.mine_to(2);
    chain.mine(0, &[0x51], vec![pay(1, 10, &program), pay(2, 100, &found)]);
    chain.mine_to(6);
    chain.follow(&wallet);
    wallet
        .create_receiver(AccountName::Id(&alice), false)
        .unwrap();
    assert_eq!(wallet.balances(None).unwrap()[0].amount, 10);

    wallet.rescan(3).unwrap();
    let progress = wallet.progress().unwrap();
    assert_eq!(progress.height, Some(2));
    let rescan = progress.rescan.unwrap();
    assert_eq!((rescan.from_height, rescan.to_height), (3, 6));
    for block in &chain.blocks[3..6] {
        wallet.attach_block(block).unwrap();
    }
    assert!(wallet.progress().unwrap().rescan.is_some());
    chain.follow(&wallet);
    assert_eq!(wallet.progress().unwrap().rescan, None);
    assert_eq!(wallet.balances(None).unwrap()[0].amount, 110);
    wallet.rescan(100).unwrap();
    assert_eq!(wallet.progress().unwrap().height, Some(6));
}

#[test]
fn transactions_are_paged_from_the_newest_on() {
    let wallet = wallet(MemoryStore::default());
    let (alice, program) = account(&wallet, "alice", 1);
    let (bob, to_bob) = account(&wallet, "bob", 2);
    let mut chain = Chain::default();
    chain.mine_to(0);
    for n in 0..300 {
        let program = if n % 3 == 0 { &to_bob } else { &program };
        chain.mine(0, &[0x51], vec![pay(n, n + 1, program)]);
    }
    chain.follow(&wallet);
    let pending = pay(1000, 5000, &program);
    wallet.add_unconfirmed(&pending, NOW).unwrap();
    let amounts = |account: &str, unconfirmed, from, count| -> Vec<u64> {
        let filter = HistoryFilter {
            account_id: account.to_owned(),
            unconfirmed,
            page: Page { from, count },
            ..HistoryFilter::default()
        };
        match wallet.transactions(&filter).unwrap() {
            History::Summaries(list) => list.iter().map(|one| one.outputs[0].amount).collect(),
            History::Details(_) => unreachable!(),
        }
    };
    assert_eq!(amounts("", false, 0, 3), [300, 299, 298]);
    assert_eq!(amounts("", true, 0, 2), [5000, 300]);
    assert_eq!(amounts("", true, 1, 2), [300, 299]);
    assert_eq!(amounts("", true, 3, 1), [298]);
    assert_eq!(amounts(&bob, true, 98, 5), [4, 1]);
    assert_eq!(amounts(&alice, true, 0, 2), [5000, 300]);
    assert_eq!(amounts("", true, 0, 0).len(), 301);
    assert_eq!(amounts("", true, 5, 0), [0_u64; 0]);
    assert_eq!(amounts("", true, 301, 5), [0_u64; 0]);
    assert_eq!(amounts("nobody", true, 0, 0), [0_u64; 0]);
}

#[test]
fn the_pool_is_shown_until_a_block_takes_it() {
    let wallet = wallet(MemoryStore::default());
    let (_, program) = account(&wallet, "alice", 1);
    let mut chain = Chain::default();
    chain.mine(0, &[0x51], vec![pay(1, 100, &program)]);
    chain.follow(&wallet);
    let output = wallet.unspent_outputs(&UnspentFilter::default()).unwrap()[0].id;
    let one = spending(
        &wallet,
        &[output],
        vec![Output::original(AssetId::BTM, 60, program.clone())],
    );
    let rival = spending(
        &wallet,
        &[output],
        vec![Output::original(AssetId::BTM, 61, program.clone())],
    );
    let stranger = pay(9, 1, &[0x51]);
    assert!(wallet.add_unconfirmed(&one, NOW).unwrap());
    assert!(wallet.add_unconfirmed(&one, NOW).unwrap());
    assert!(!wallet.add_unconfirmed(&stranger, NOW).unwrap());
    let with_pool = UnspentFilter {
        unconfirmed: true,
        ..UnspentFilter::default()
    };
    let amounts = || -> Vec<u64> {
        let outputs = wallet.unspent_outputs(&with_pool).unwrap();
        outputs.iter().map(|one| one.amount).collect()
    };
    assert_eq!(amounts(), [100, 60]);
    let info = wallet.transaction(&one.id()).unwrap();
    assert_eq!((info.block_height, info.block_hash), (0, Hash::ZERO));
    wallet.remove_unconfirmed(&one.id());
    assert_eq!(amounts(), [100]);
    let missing = wallet.transaction(&one.id()).unwrap_err();
    assert!(
        missing.to_string().starts_with("No transaction(tx_id="),
        "{missing}"
    );

    wallet.add_unconfirmed(&one, NOW).unwrap();
    chain.mine(0, &[0x51], vec![rival]);
    chain.follow(&wallet);
    assert_eq!(amounts(), [61], "its rival made it impossible");
    assert!(wallet.unconfirmed_transaction(&one.id()).is_err());
}

#[test]
fn assets_of_others_are_known_by_what_they_say() {
    let wallet = wallet(MemoryStore::default());
    let (_, program) = account(&wallet, "alice", 1);
    let issue = |definition: &[u8]| baton_ledger::transaction::Issuance {
        nonce: vec![1],
        amount: 9,
        asset_definition: definition.to_vec(),
        vm_version: 1,
        issuance_program: vec![0x51],
        arguments: Vec::new(),
    };
    let mut chain = Chain::default();
    // Nobody here has it yet.
    let stranger = issue(b"{\"name\":\"y\"}");
    let later = stranger.asset_id();
    let mut transactions = vec![Transaction {
        version: 1,
        time_range: 0,
        outputs: vec![Output::original(later, 9, vec![0x51])],
        inputs: vec![Input::from(InputKind::Issuance(stranger))],
    }];
    for definition in [b"{\"name\":\"x\"}".as_slice(), b"no json", b"[1]"] {
        let issuance = issue(definition);
        let output = Output::original(issuance.asset_id(), 9, program.clone());
        transactions.push(Transaction {
            version: 1,
            time_range: 0,
            inputs: vec![Input::from(InputKind::Issuance(issuance))],
            outputs: vec![output],
        });
    }
    chain.mine(0, &[0x51], transactions);
    chain.follow(&wallet);
    let known = issue(b"{\"name\":\"x\"}").asset_id();
    let asset = wallet.asset(&known).unwrap();
    assert_eq!(
        (asset.alias.clone(), asset.info().r#type.as_str()),
        (known.to_string(), "external")
    );
    assert_eq!(wallet.assets().unwrap().len(), 2);
    assert_eq!(
        wallet.balances(None).unwrap().len(),
        3,
        "the others are shown too"
    );
    assert_eq!(wallet.asset(&later).unwrap().alias, later.to_string());
    let paid = payment(5, vec![Output::original(later, 2, program)]);
    chain.mine(0, &[0x51], vec![paid]);
    chain.follow(&wallet);
    assert_eq!(wallet.assets().unwrap().len(), 3);
    wallet.rename_asset(&known, "theirs").unwrap();
    assert_eq!(wallet.asset_by_alias("theirs").unwrap().id, known);
}

#[test]
fn forgetting_an_account_leaves_the_others_whole() {
    let wallet = wallet(MemoryStore::default());
    let (_, program) = account(&wallet, "alice", 1);
    let (bob, to_bob) = account(&wallet, "bob", 2);
    let mut chain = Chain::default();
    let both = payment(
        1,
        vec![
            Output::original(AssetId::BTM, 5, program.clone()),
            Output::original(AssetId::BTM, 6, to_bob.clone()),
        ],
    );
    chain.mine(1, &program, vec![both.clone(), pay(2, 7, &program)]);
    chain.follow(&wallet);
    let first = wallet.unspent_outputs(&UnspentFilter::default()).unwrap();
    let seven = first.iter().find(|one| one.amount == 7).unwrap().id;
    let spending = spending(
        &wallet,
        &[seven],
        vec![Output::original(AssetId::BTM, 2, program)],
    );
    chain.mine(0, &[0x51], vec![spending]);
    chain.follow(&wallet);
    wallet.delete_account(AccountName::Alias("alice")).unwrap();
    check_sums(&wallet);
    let balances = wallet.balances(None).unwrap();
    assert_eq!((balances.len(), balances[0].amount), (1, 6));
    let all = HistoryFilter {
        detail: true,
        ..HistoryFilter::default()
    };
    let History::Details(list) = wallet.transactions(&all).unwrap() else {
        unreachable!()
    };
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].tx_id, both.id());
    assert_eq!(list[0].outputs[1].account_id, bob);
    assert_eq!(list[0].outputs[0].account_id, "");
    chain.mine_to(3);
    chain.follow(&wallet);
    wallet.rescan(0).unwrap();
    chain.follow(&wallet);
    check_sums(&wallet);
}

#[test]
fn every_change_of_an_answer_is_another_generation() {
    let wallet = wallet(MemoryStore::default());
    let mut last = wallet.generation();
    let mut changed = |what: &str| {
        let now = wallet.generation();
        assert_ne!(now, last, "{what}");
        last = now;
    };
    let (alice, program) = account(&wallet, "alice", 1);
    changed("an account");
    let mut chain = Chain::default();
    chain.mine(77, &program, vec![pay(1, 100, &program)]);
    chain.follow(&wallet);
    changed("a block");
    let before = wallet.generation();
    chain.mine(78, &program, vec![]);
    chain.follow(&wallet);
    assert!(
        wallet.generation() >= before + 2,
        "once for the store, once for the pool, which is settled after it"
    );
    changed("another block");
    let waiting = pay(2, 5, &program);
    assert!(wallet.add_unconfirmed(&waiting, NOW).unwrap());
    changed("a transaction in the pool");
    wallet.remove_unconfirmed(&waiting.id());
    changed("a transaction that left the pool");
    let before = wallet.generation();
    wallet.balances(Some(AccountName::Id(&alice))).unwrap();
    chain.follow(&wallet);
    assert_eq!(wallet.generation(), before, "nothing changed");
    wallet.delete_account(AccountName::Id(&alice)).unwrap();
    assert_ne!(wallet.generation(), before, "an account that is gone");
}

#[test]
fn blocks_in_one_batch_make_the_wallet_that_they_make_one_by_one() {
    on_each_store(|open| {
        let wallet = open();
        let (_, program) = account(&wallet, "alice", 1);
        let (_, to_bob) = account(&wallet, "bob", 2);
        let mut chain = Chain::default();
        chain.mine_to(1);
        chain.mine(77, &program, vec![pay(1, 100, &program)]);
        chain.follow(&wallet);
        let outputs = wallet.unspent_outputs(&UnspentFilter::default()).unwrap();
        let spent = outputs.iter().find(|one| one.amount == 100).unwrap().id;
        // made and spent within the blocks of one batch
        let moved = spending(
            &wallet,
            &[spent],
            vec![Output::original(AssetId::BTM, 90, to_bob)],
        );
        chain.mine(5, &program, vec![moved]);
        chain.mine(6, &program, vec![pay(2, 8, &program)]);
        chain.follow(&wallet);
        let one_by_one = state(&wallet);

        wallet.rescan(0).unwrap();
        assert_ne!(state(&wallet), one_by_one);
        assert_eq!(
            wallet.attach_blocks(&chain.blocks).unwrap(),
            chain.blocks.len()
        );
        assert_eq!(state(&wallet), one_by_one);
        check_sums(&wallet);
        assert_eq!(wallet.progress().unwrap().rescan, None);
        assert_eq!(wallet.best().unwrap().unwrap().hash, chain.hash_at(4));

        // known ones are taken again and change nothing; one that does not fit changes nothing either
        assert_eq!(
            wallet.attach_blocks(&chain.blocks[2..]).unwrap(),
            chain.blocks.len() - 2
        );
        let before = wallet.best().unwrap();
        chain.mine(1, &program, Vec::new());
        chain.mine(1, &program, Vec::new());
        let unfit = [
            chain.blocks[5].clone(),
            chain.blocks[3].clone(),
            chain.blocks[6].clone(),
        ];
        assert_eq!(wallet.attach_blocks(&unfit).unwrap(), 3);
        wallet.rescan(5).unwrap();
        let gap = [
            chain.blocks[5].clone(),
            chain.blocks[6].clone(),
            chain.blocks[6].clone(),
        ];
        let mut gap = gap.to_vec();
        gap[1].header.height += 1;
        assert!(matches!(
            wallet.attach_blocks(&gap),
            Err(WalletError::Gap { .. })
        ));
        assert_eq!(
            wallet.best().unwrap().unwrap().height,
            before.unwrap().height
        );
    });
}
