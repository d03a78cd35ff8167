//! A wallet whose process ends between any two commits, and many threads at one wallet.

mod common;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use baton_ledger::{AssetId, Output, Transaction};
use baton_wallet::{
    Page, Wallet, WalletError,
    account::AccountName,
    answer::{HistoryFilter, UnspentFilter},
    backup::Backup,
    keystore::KeyImage,
    select::{SelectError, Want},
    store::{Batch, MemoryStore, Snapshot, Store, StoreError},
};
use common::{Chain, params, payment, wallet, xpub};
use jiff::{SignedDuration, Timestamp};

const ALICE: AccountName<'_> = AccountName::Alias("alice");

/// A store that makes so many commits and no more, as if the process had ended.
struct Mortal {
    store: MemoryStore,
    commits_left: Arc<AtomicUsize>,
}

impl Store for Mortal {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.store.snapshot()
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let left = self
            .commits_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        if left.is_err() {
            return Err(StoreError::Write {
                path: "mortal".into(),
                source: "the process ended".into(),
            });
        }
        self.store.commit(batch)
    }
}

fn follow(chain: &Chain, wallet: &Wallet) -> Result<(), WalletError> {
    let resume = wallet.resume_point(chain.tip(), |height| chain.hash_at(height))?;
    for block in &chain.blocks[usize::try_from(resume.next_height).unwrap()..] {
        wallet.attach_block(block)?;
    }
    Ok(())
}

/// A life: a restored account, a chain that loses its tail, a rescan. Tells the addresses it was given.
fn live(
    wallet: &Wallet,
    backup: &Backup,
    chains: &[Chain; 2],
    given: &mut Vec<String>,
) -> Result<(), WalletError> {
    wallet.restore(backup, 6)?;
    follow(&chains[0], wallet)?;
    given.push(wallet.create_receiver(ALICE, false)?.address);
    follow(&chains[1], wallet)?;
    given.push(wallet.create_receiver(ALICE, true)?.address);
    wallet.rescan(2)?;
    follow(&chains[1], wallet)
}

fn state(wallet: &Wallet) -> String {
    let outputs = wallet.unspent_outputs(&UnspentFilter::default()).unwrap();
    let history = HistoryFilter {
        detail: true,
        ..HistoryFilter::default()
    };
    // Those that were given out in the first life and the second are more than in one.
    let addresses = wallet.addresses(ALICE, Page::ALL).unwrap();
    serde_json::json!([
        wallet.balances(None).unwrap(),
        wallet.votes(None).unwrap(),
        outputs,
        wallet.transactions(&history).unwrap(),
        addresses
            .iter()
            .filter(|one| !one.change && one.key_index <= 40)
            .collect::<Vec<_>>(),
    ])
    .to_string()
}

#[test]
fn a_life_that_ends_at_any_commit_goes_on_where_it_was() {
    let first = wallet(MemoryStore::default());
    first.create_account(&[xpub(1)], 1, "alice").unwrap();
    let backup = first.backup(KeyImage::default()).unwrap();
    let alice = first.account(ALICE).unwrap();
    let to = |number| alice.program(false, number).unwrap();

    let mut chain = Chain::default();
    chain.mine(5, &to(1), Vec::new());
    let vote = Output::vote(8, to(2), xpub(9).as_bytes().to_vec());
    chain.mine(
        0,
        &[0x51],
        vec![payment(
            1,
            vec![vote, Output::original(AssetId::BTM, 7, to(40))],
        )],
    );
    follow(&chain, &first).unwrap();
    first.restore(&backup, 6).unwrap();
    follow(&chain, &first).unwrap();
    let spent = first.unspent_outputs(&UnspentFilter::default()).unwrap();
    let spent = spent.iter().find(|one| one.amount == 7).unwrap().id;
    let spending = |amount| Transaction {
        version: 1,
        time_range: 0,
        inputs: vec![first.unspent_output(&spent).unwrap().unwrap().input()],
        outputs: vec![Output::original(AssetId::BTM, amount, to(3))],
    };
    let mut other = chain.clone();
    chain.mine(0, &[0x51], vec![spending(6)]);
    chain.mine_to(5);
    other.mine(0, &[0x51], vec![spending(4)]);
    other.mine_to(6);
    let chains = [chain, other];

    let (unharmed, mut given) = (wallet(MemoryStore::default()), Vec::new());
    live(&unharmed, &backup, &chains, &mut given).unwrap();
    let end = state(&unharmed);

    let mut ended = 0;
    for commits in 0.. {
        let store = MemoryStore::default();
        wallet(store.clone());
        let mortal = Mortal {
            store: store.clone(),
            commits_left: Arc::new(AtomicUsize::new(commits)),
        };
        let mut given = Vec::new();
        let lived = Wallet::open(mortal, params())
            .and_then(|wallet| live(&wallet, &backup, &chains, &mut given));
        if lived.is_ok() {
            break;
        }
        ended += 1;
        let again = wallet(store);
        let mut given_later = Vec::new();
        live(&again, &backup, &chains, &mut given_later).unwrap();
        let all: HashSet<&String> = given.iter().chain(&given_later).collect();
        assert_eq!(
            all.len(),
            given.len() + given_later.len(),
            "no address twice"
        );
        assert_eq!(state(&again), end, "after {commits} commits");
    }
    assert!(ended > 15, "it ended at {ended} commits");
}

#[test]
fn many_threads_share_a_wallet() {
    let wallet = wallet(MemoryStore::default());
    let account = wallet.create_account(&[xpub(1)], 1, "alice").unwrap().id;
    let program = wallet
        .create_receiver(ALICE, false)
        .unwrap()
        .control_program;
    let mut chain = Chain::default();
    let outputs = vec![Output::original(AssetId::BTM, 10, program.clone()); 40];
    chain.mine(0, &[0x51], vec![payment(1, outputs)]);
    chain.follow(&wallet);
    for number in 0..30 {
        chain.mine(
            3,
            &program,
            vec![payment(
                2 + number,
                vec![Output::original(AssetId::BTM, 1, program.clone())],
            )],
        );
    }
    let now = Timestamp::UNIX_EPOCH;
    let want = Want {
        account: &account,
        asset: AssetId::BTM,
        amount: 15,
        vote: &[],
        unconfirmed: false,
    };
    let reserved: Vec<_> = std::thread::scope(|scope| {
        scope.spawn(|| chain.follow(&wallet));
        let addresses = scope.spawn(|| {
            let given: HashSet<String> = (0..20)
                .map(|_| wallet.create_receiver(ALICE, false).unwrap().address)
                .collect();
            given.len()
        });
        let readers = [(); 2].map(|()| {
            scope.spawn(|| {
                for _ in 0..50 {
                    let sum = wallet.balances(None).unwrap()[0].amount;
                    assert!((400..=400 + 30 * 4).contains(&sum), "{sum}");
                }
            })
        });
        let builders = [(); 4].map(|()| {
            scope.spawn(|| {
                let mut outputs = Vec::new();
                loop {
                    match wallet.reserve(&want, now, now + SignedDuration::from_mins(1)) {
                        Ok(selected) => {
                            outputs.extend(selected.outputs.into_iter().map(|one| one.id));
                        }
                        Err(SelectError::Reserved { .. } | SelectError::Immature { .. }) => {
                            break outputs;
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        });
        assert_eq!(addresses.join().unwrap(), 20);
        for reader in readers {
            reader.join().unwrap();
        }
        builders
            .into_iter()
            .flat_map(|builder| builder.join().unwrap())
            .collect()
    });
    let different: HashSet<_> = reserved.iter().collect();
    assert_eq!(different.len(), reserved.len());
    assert!(reserved.len() >= 36, "{}", reserved.len());
}
