//! How fast one core judges transactions and applies blocks, and how much of that is checking signatures.
//!
//! `bench-ledger [--runs 7] [--transactions 1000]`
//!
//! Each figure is the median of the runs, which take turns, so that the machine's moods meet all alike. A run goes once
//! through all transactions, each with keys of its own: what was just used is not at hand. `read` is from bytes to
//! ids, `judge` is `validate_transaction`, `verify` nothing but the signatures of the same transactions, which is
//! the ceiling: no ledger that checks them one by one is faster. Signatures are not checked in batches, because a
//! batch takes some that bytomd refuses.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use baton_ledger::state::{Aids, Genesis, MemoryState, Start, State, Verdicts, apply, coinbase};
use baton_ledger::transaction::{Issuance, Spend, SpentOutput};
use baton_ledger::{
    AssetId, Block, BlockContext, GasStatus, Hash, Header, Input, InputKind, Mapped, Output,
    Params, Transaction, program, validate_transaction,
};
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use serde_json::json;

/// What there is in an output, and the fee, in neu.
const AMOUNT: u64 = 1_000_000_000;
const FEE: u64 = 10_000_000;

struct Options {
    runs: usize,
    transactions: usize,
}

fn main() -> Result<()> {
    let options = Options::read(std::env::args().skip(1))?;
    let count = options.transactions;
    let network = Network::new(count)?;
    let mut cases = vec![
        Case::new(
            "one-input P2WPKH transfer",
            (0..count).map(|i| network.transfer(i)),
        ),
        Case::new("2-of-3 P2WSH transfer", (0..count).map(multisig)),
        Case::new("issuance by one key", (0..count).map(issuance)),
    ];
    let mut blocks = Blocks::new(&network, &cases[0])?;
    for _ in 0..options.runs {
        for case in &mut cases {
            case.run(&network)?;
        }
        blocks.run(&network)?;
    }
    for case in &mut cases {
        case.report();
    }
    blocks.report(&mut cases[0]);
    Ok(())
}

impl Options {
    fn read(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            runs: 7,
            transactions: 1000,
        };
        while let Some(arg) = args.next() {
            let value = args
                .next()
                .with_context(|| format!("{arg} needs a value"))?;
            match arg.as_str() {
                "--runs" => options.runs = value.parse()?,
                "--transactions" => options.transactions = value.parse()?,
                other => bail!("unknown option {other}"),
            }
        }
        ensure!(options.runs > 0, "--runs must not be 0");
        ensure!(
            (1..=5000).contains(&options.transactions),
            "--transactions must be 1 to 5000, which is about what a block has gas for"
        );
        Ok(options)
    }
}

/// A key that is always the same for a number.
fn key(number: usize) -> SigningKey {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
    SigningKey::from_bytes(&seed)
}

fn public(key: &SigningKey) -> [u8; 32] {
    key.verifying_key().to_bytes()
}

fn address(key: &SigningKey) -> Vec<u8> {
    program::p2wpkh(&program::key_hash(&public(key)))
}

fn spend(source_id: Hash, position: usize, program: Vec<u8>) -> Input {
    let output = SpentOutput {
        source_id,
        asset_id: AssetId::BTM,
        amount: AMOUNT,
        source_position: position as u64,
        control_program: program,
        state_data: Vec::new(),
        suffix: Vec::new(),
    };
    Input::from(InputKind::Spend(Spend {
        output,
        arguments: Vec::new(),
    }))
}

fn pay(amount: u64, program: Vec<u8>) -> Output {
    Output::original(AssetId::BTM, amount, program)
}

/// A signature that a transaction carries.
struct Signed {
    key: [u8; 32],
    message: [u8; 32],
    signature: [u8; 64],
}

/// A transaction and the signatures that must be checked for it.
struct Made {
    transaction: Mapped,
    signed: Vec<Signed>,
}

impl Made {
    /// Signs each input with its keys; `more` follows the signatures in the witness.
    fn sign(inputs: Vec<Input>, outputs: Vec<Output>, by: &[(Vec<SigningKey>, Vec<u8>)]) -> Self {
        let unsigned = Mapped::from(Transaction {
            version: 1,
            time_range: 0,
            inputs,
            outputs,
        });
        let entries = unsigned.entries().clone();
        let mut transaction = unsigned.into_transaction();
        let mut signed = Vec::new();
        for (index, (keys, more)) in by.iter().enumerate() {
            let message = entries.signature_hash(index).unwrap_or_default();
            let mut witness = Vec::new();
            for key in keys {
                let signature = key.sign(message.as_bytes()).to_bytes();
                witness.push(signature.to_vec());
                signed.push(Signed {
                    key: public(key),
                    message: message.0,
                    signature,
                });
            }
            if !more.is_empty() {
                witness.push(more.clone());
            }
            if let Some(arguments) = transaction.inputs[index].arguments_mut() {
                *arguments = witness;
            }
        }
        Self {
            transaction: Mapped::from(transaction),
            signed,
        }
    }
}

fn multisig(number: usize) -> Made {
    let keys: Vec<SigningKey> = (0..3).map(|i| key(100_000 + 3 * number + i)).collect();
    let publics: Vec<[u8; 32]> = keys.iter().map(public).collect();
    let script = program::multisig(&publics, 2).expect("2 of 3 can sign");
    let from = spend(
        Hash([1; 32]),
        number,
        program::p2wsh(&program::script_hash(&script)),
    );
    let to = address(&key(200_000 + number));
    // the machine begins with the last key and the last signature: so nothing is checked in vain
    let by = [(keys[1..].to_vec(), script)];
    Made::sign(vec![from], vec![pay(AMOUNT - FEE, to)], &by)
}

fn issuance(number: usize) -> Made {
    let (issuer, payer) = (key(300_000 + number), key(400_000 + number));
    let minting = Issuance {
        nonce: number.to_le_bytes().to_vec(),
        amount: 1000,
        asset_definition: b"{}".to_vec(),
        vm_version: 1,
        issuance_program: program::issuance(&[public(&issuer)], 1, 0).expect("1 of 1 can sign"),
        arguments: Vec::new(),
    };
    let to = address(&payer);
    let outputs = vec![
        Output::original(minting.asset_id(), 1000, to.clone()),
        pay(AMOUNT - FEE, to.clone()),
    ];
    let inputs = vec![
        Input::from(InputKind::Issuance(minting)),
        spend(Hash([1; 32]), number, to),
    ];
    let witness = public(&payer).to_vec();
    Made::sign(
        inputs,
        outputs,
        &[(vec![issuer], Vec::new()), (vec![payer], witness)],
    )
}

/// A chain whose genesis pays each of many keys.
struct Network {
    params: Params,
    start: Start,
    state: MemoryState,
    source: Hash,
}

impl Network {
    fn new(keys: usize) -> Result<Self> {
        let mut xpub = [0; 64];
        xpub[..32].copy_from_slice(&public(&key(600_000)));
        let params = Params {
            coinbase_maturity_blocks: 1,
            ..Params::solonet(vec![xpub])
        };
        let outputs = (0..keys).map(|number| pay(AMOUNT, address(&key(number))));
        let genesis = Genesis::new(params, outputs.collect())?;
        let start = genesis.start()?;
        let source = Mapped::from(start.block.transactions[0].clone());
        Ok(Self {
            params: genesis.params().clone(),
            state: MemoryState::new(&start.changes, start.tip),
            source: source.entries().mux_id,
            start,
        })
    }

    /// The key of this number pays on what the genesis gave it.
    fn transfer(&self, number: usize) -> Made {
        let from = key(number);
        let to = address(&key(500_000 + number));
        let input = spend(self.source, number, address(&from));
        let witness = public(&from).to_vec();
        Made::sign(
            vec![input],
            vec![pay(AMOUNT - FEE, to)],
            &[(vec![from], witness)],
        )
    }

    fn judge(&self, transaction: &Mapped) -> Result<GasStatus> {
        let context = BlockContext {
            version: 1,
            height: 1,
            first: false,
            params: &self.params,
            contracts: &BTreeMap::new(),
        };
        Ok(validate_transaction(transaction, &context)?)
    }
}

/// Transactions of one kind, and how long going through all of them took in each run.
struct Case {
    name: &'static str,
    made: Vec<Made>,
    bytes: Vec<Vec<u8>>,
    read: Vec<Duration>,
    judge: Vec<Duration>,
    verify: Vec<Duration>,
}

impl Case {
    fn new(name: &'static str, made: impl Iterator<Item = Made>) -> Self {
        let made: Vec<Made> = made.collect();
        let encode = |made: &Made| made.transaction.transaction().encode();
        Self {
            name,
            bytes: made.iter().map(encode).collect(),
            made,
            read: Vec::new(),
            judge: Vec::new(),
            verify: Vec::new(),
        }
    }

    fn run(&mut self, network: &Network) -> Result<()> {
        let start = Instant::now();
        for bytes in &self.bytes {
            black_box(Mapped::from(Transaction::decode(bytes)?));
        }
        self.read.push(start.elapsed());
        let start = Instant::now();
        for made in &self.made {
            black_box(network.judge(&made.transaction)?);
        }
        self.judge.push(start.elapsed());
        let start = Instant::now();
        for signed in self.made.iter().flat_map(|made| &made.signed) {
            let key = VerifyingKey::from_bytes(&signed.key)?;
            let signature = Signature::from_bytes(&signed.signature);
            key.verify(&signed.message, &signature)?;
        }
        self.verify.push(start.elapsed());
        Ok(())
    }

    fn report(&mut self) {
        let count = self.made.len();
        let signatures = self.made[0].signed.len();
        let [read, judge, verify] =
            [&mut self.read, &mut self.judge, &mut self.verify].map(|times| median(times));
        let whole = read + judge;
        let line = json!({
            "bench": "ledger",
            "figure": "transactions validated a second on one core",
            "kind": self.name,
            "signatures": signatures,
            "per_second": per_second(count, whole),
            "read_us": each_us(count, read),
            "judge_us": each_us(count, judge),
            "verify_us": each_us(count, verify),
            "signature_share": share(verify, whole),
            "ceiling_per_second": per_second(count, verify),
            "of_ceiling": share(verify, whole),
            "judged_per_second": per_second(count, judge),
        });
        println!("{line}");
    }
}

/// What the pool knows of the transactions of a block.
struct Known(BTreeMap<Hash, GasStatus>);

impl Verdicts for Known {
    fn verdict(&self, transaction: &Mapped) -> Option<GasStatus> {
        self.0.get(&transaction.id()).copied()
    }
}

/// A block of transfers, applied over and over.
struct Blocks {
    block: Block,
    known: Known,
    stranger: Vec<Duration>,
    familiar: Vec<Duration>,
}

impl Blocks {
    fn new(network: &Network, transfers: &Case) -> Result<Self> {
        let mut transactions = vec![coinbase::coinbase(
            &network.state,
            &network.params,
            &program::anyone(),
            b"",
        )?];
        let mut known = BTreeMap::new();
        for made in &transfers.made {
            transactions.push(made.transaction.transaction().clone());
            known.insert(made.transaction.id(), network.judge(&made.transaction)?);
        }
        let tip = network.state.tip()?;
        let mut block = Block {
            header: Header {
                version: 1,
                height: 1,
                previous_block_hash: network.start.block.hash(),
                timestamp_ms: tip.timestamp_ms + network.params.block_interval_ms,
                ..Header::default()
            },
            transactions,
        };
        block.header.transactions_merkle_root = block.merkle_root();
        Ok(Self {
            block,
            known: Known(known),
            stranger: Vec::new(),
            familiar: Vec::new(),
        })
    }

    fn run(&mut self, network: &Network) -> Result<()> {
        for (verdicts, times) in [
            (None, &mut self.stranger),
            (Some(&self.known as &dyn Verdicts), &mut self.familiar),
        ] {
            let aids = Aids {
                verdicts,
                ..Aids::default()
            };
            let start = Instant::now();
            black_box(apply(&network.state, &network.params, &self.block, aids)?);
            times.push(start.elapsed());
        }
        Ok(())
    }

    fn report(&mut self, transfers: &mut Case) {
        let count = transfers.made.len();
        let verify = median(&mut transfers.verify);
        for (name, verify, times) in [
            ("none was seen before", verify, &mut self.stranger),
            (
                "all are known to be valid",
                Duration::ZERO,
                &mut self.familiar,
            ),
        ] {
            let time = median(times);
            let line = json!({
                "bench": "ledger",
                "figure": "blocks applied a second on one core",
                "transfers": count,
                "which": name,
                "per_second": round(1.0 / time.as_secs_f64()),
                "transactions_per_second": per_second(count, time),
                "block_ms": round(time.as_secs_f64() * 1e3),
                "signature_share": share(verify, time),
            });
            println!("{line}");
        }
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn per_second(count: usize, time: Duration) -> f64 {
    (count as f64 / time.as_secs_f64()).round()
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn each_us(count: usize, time: Duration) -> f64 {
    round(time.as_secs_f64() * 1e6 / count as f64)
}

fn share(part: Duration, whole: Duration) -> f64 {
    round(part.as_secs_f64() / whole.as_secs_f64())
}

fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
