//! A chain of blocks without consensus, for wallets to follow; and the accounts of the captured answers.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::collections::BTreeMap;

use baton_ledger::{
    AssetId, Block, Hash, Header, Input, InputKind, Output, Params, Transaction,
    transaction::{Coinbase, SpentOutput},
};
use baton_wallet::{
    Wallet,
    account::AccountName,
    answer::{HistoryFilter, UnspentFilter},
    backup::Backup,
    build::{BuildError, BuildRequest},
    chainkd::{XPrv, XPub},
    mnemonic::{Language, Mnemonic},
    store::{MemoryStore, RedbStore, Store},
    template::Template,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub fn params() -> Params {
    Params::solonet(Vec::new())
}

pub fn xprv(n: u8) -> XPrv {
    XPrv::root(&[n; 32])
}

pub fn xpub(n: u8) -> XPub {
    xprv(n).xpub()
}

pub fn wallet(store: impl Store + 'static) -> Wallet {
    Wallet::open(store, params()).unwrap()
}

/// Runs a test on each kind of store; the function opens the same store again and again.
pub fn on_each_store(test: impl Fn(&dyn Fn() -> Wallet)) {
    let memory = MemoryStore::default();
    test(&|| wallet(memory.clone()));
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("wallet.redb");
    test(&|| wallet(RedbStore::open(&path).unwrap()));
}

/// Blocks that follow each other.
#[derive(Clone, Default)]
pub struct Chain {
    pub blocks: Vec<Block>,
}

impl Chain {
    pub fn tip(&self) -> Option<u64> {
        (self.blocks.len() as u64).checked_sub(1)
    }

    pub fn hash_at(&self, height: u64) -> Option<Hash> {
        Some(self.blocks.get(usize::try_from(height).unwrap())?.hash())
    }

    /// Adds a block with a coinbase that pays `reward` to `program`.
    pub fn mine(&mut self, reward: u64, program: &[u8], transactions: Vec<Transaction>) -> &Block {
        let height = self.blocks.len() as u64;
        let coinbase = Transaction {
            version: 1,
            time_range: 0,
            inputs: vec![Input::from(InputKind::Coinbase(Coinbase {
                arbitrary: [b"\0", height.to_string().as_bytes()].concat(),
            }))],
            outputs: vec![Output::original(AssetId::BTM, reward, program.to_vec())],
        };
        let mut all = vec![coinbase];
        all.extend(transactions);
        let mut block = Block {
            header: Header {
                version: 1,
                height,
                previous_block_hash: self.blocks.last().map(Block::hash).unwrap_or_default(),
                timestamp_ms: 1_700_000_000_000 + height * 6_000,
                ..Header::default()
            },
            transactions: all,
        };
        block.header.transactions_merkle_root = block.merkle_root();
        self.blocks.push(block);
        self.blocks.last().unwrap()
    }

    /// Adds empty blocks until the tip is at `height`.
    pub fn mine_to(&mut self, height: u64) {
        while self.tip().is_none_or(|tip| tip < height) {
            self.mine(0, &[0x51], Vec::new());
        }
    }

    /// Lets a wallet follow up to the tip.
    pub fn follow(&self, wallet: &Wallet) {
        let resume = wallet
            .resume_point(self.tip(), |height| self.hash_at(height))
            .unwrap();
        for block in &self.blocks[usize::try_from(resume.next_height).unwrap()..] {
            wallet.attach_block(block).unwrap();
        }
    }
}

/// A transaction that comes from an output of others, numbered `from`.
pub fn payment(from: u64, outputs: Vec<Output>) -> Transaction {
    let mut source = [0xee; 32];
    source[..8].copy_from_slice(&from.to_be_bytes());
    let output = SpentOutput {
        source_id: Hash(source),
        asset_id: AssetId::BTM,
        amount: outputs.iter().map(|output| output.amount).sum::<u64>() + 1,
        source_position: 0,
        control_program: vec![0x51],
        state_data: Vec::new(),
        suffix: Vec::new(),
    };
    Transaction {
        version: 1,
        time_range: 0,
        inputs: vec![Input::from(InputKind::Spend(
            baton_ledger::transaction::Spend {
                output,
                arguments: Vec::new(),
            },
        ))],
        outputs,
    }
}

/// An answer of the real bytomd.
pub fn golden(name: &str) -> Value {
    let path = format!(
        "{}/tests/data/bytomd-v2/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The backup of the captured wallet, with the account `multi` that was made after it.
pub fn golden_backup() -> Backup {
    let mut backup = golden("v2-backup-wallet")["data"].take();
    let mut multi = golden("v2-more-account-multi")["data"].take();
    multi["type"] = "account".into();
    let slices = backup["account_image"]["slices"].as_array_mut().unwrap();
    slices.push(serde_json::json!({ "account": multi, "contract_index": 0 }));
    serde_json::from_value(backup).unwrap()
}

/// The transactions of a captured block, without its coinbase.
pub fn golden_transactions(name: &str) -> Vec<Transaction> {
    let block = golden_block(name);
    block.transactions[1..].to_vec()
}

pub fn golden_block(name: &str) -> Block {
    let answer = golden(name);
    Block::from_hex(answer["data"]["raw_block"].as_str().unwrap()).unwrap()
}

/// A chain of empty blocks with one captured block's transactions at its height, all of them.
pub fn golden_chain(height: u64, name: &str) -> Chain {
    let mut chain = Chain::default();
    chain.mine_to(height);
    let last = chain.blocks.last_mut().unwrap();
    last.transactions = golden_block(name).transactions;
    last.header.transactions_merkle_root = last.merkle_root();
    chain
}

/// The root keys of the captured wallet, by alias.
pub fn golden_keys() -> Vec<(String, XPrv)> {
    let mut keys = vec![(
        "alice".to_owned(),
        "season version dilemma crowd filter lecture trim strategy viable atom young oven"
            .to_owned(),
    )];
    for (alias, key) in golden("v2-more-keys").as_object().unwrap() {
        keys.push((alias.clone(), key["mnemonic"].as_str().unwrap().to_owned()));
    }
    keys.into_iter()
        .map(|(alias, phrase)| {
            let phrase = Mnemonic::parse(&phrase, Language::English).unwrap();
            (alias, XPrv::root(&*phrase.seed()))
        })
        .collect()
}

pub fn account(wallet: &Wallet, alias: &str, key: u8) -> (String, Vec<u8>) {
    let id = wallet.create_account(&[xpub(key)], 1, alias).unwrap().id;
    let receiver = wallet.create_receiver(AccountName::Id(&id), false).unwrap();
    (id, receiver.control_program)
}

pub fn pay(from: u64, amount: u64, program: &[u8]) -> Transaction {
    payment(
        from,
        vec![Output::original(AssetId::BTM, amount, program.to_vec())],
    )
}

/// A transaction that spends what `wallet` has in these outputs, and pays to others.
pub fn spending(wallet: &Wallet, ids: &[Hash], outputs: Vec<Output>) -> Transaction {
    let inputs = ids
        .iter()
        .map(|id| wallet.unspent_output(id).unwrap().unwrap().input())
        .collect();
    Transaction {
        version: 1,
        time_range: 0,
        inputs,
        outputs,
    }
}

/// Everything that can be asked about what accounts hold.
pub fn state(wallet: &Wallet) -> (String, String, String, String) {
    let json = |value: serde_json::Value| value.to_string();
    let history = HistoryFilter {
        detail: true,
        ..HistoryFilter::default()
    };
    (
        json(serde_json::to_value(wallet.balances(None).unwrap()).unwrap()),
        json(serde_json::to_value(wallet.votes(None).unwrap()).unwrap()),
        json(
            serde_json::to_value(wallet.unspent_outputs(&UnspentFilter::default()).unwrap())
                .unwrap(),
        ),
        json(serde_json::to_value(wallet.transactions(&history).unwrap()).unwrap()),
    )
}

/// Checks that the sums are the sums of the outputs.
pub fn check_sums(wallet: &Wallet) {
    let mut balances: BTreeMap<(String, AssetId), u64> = BTreeMap::new();
    for output in wallet.unspent_outputs(&UnspentFilter::default()).unwrap() {
        *balances
            .entry((output.account_id, output.asset_id))
            .or_default() += output.amount;
    }
    balances.retain(|_, sum| *sum > 0);
    let listed: BTreeMap<_, _> = wallet
        .balances(None)
        .unwrap()
        .into_iter()
        .map(|balance| ((balance.account_id, balance.asset_id), balance.amount))
        .collect();
    assert_eq!(listed, balances);
}

pub const NOW: Timestamp = Timestamp::UNIX_EPOCH;
pub const OTHER: &str = "sn1qzvhv65r6qkp57fn5ylgpwk6mzry0k5sltc0xkz";

pub fn later(minutes: i64) -> Timestamp {
    NOW + SignedDuration::from_mins(minutes)
}

/// A wallet with accounts `alice` (one key) and `both` (two of two), and BTM in outputs of these amounts for alice.
pub fn funded(amounts: &[u64]) -> (Wallet, Chain) {
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
pub fn request(actions: Value) -> BuildRequest {
    serde_json::from_value(json!({ "actions": actions })).unwrap()
}

pub fn spend(amount: u64) -> Value {
    json!({"type": "spend_account", "account_alias": "alice", "asset_alias": "BTM", "amount": amount})
}

pub fn control(amount: u64) -> Value {
    json!({"type": "control_address", "asset_alias": "btm", "amount": amount, "address": OTHER})
}

pub fn build(wallet: &Wallet, actions: Value) -> Result<Template, BuildError> {
    wallet.build(&request(actions), NOW)
}

pub fn code(wallet: &Wallet, actions: Value) -> &'static str {
    build(wallet, actions).unwrap_err().code()
}

/// Signs with the keys 1 and 2, as often as it takes.
pub fn sign(template: &mut Template) {
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
