//! How fast a node takes transfers into its pool and into blocks on the disk, and how fast it starts after it was
//! killed.
//!
//! `bench-chain [--transfers 10000] [--blocks 10] [--unspent 1000000] [--dir DIR]`
//!
//! The chain is one validator's. First outputs are made until there are `--unspent` of them; then each block has
//! `--transfers` transfers of one input and two outputs, signed beforehand. `submit` is `Pool::submit_many` with all of
//! them, on all cores; `draft`, `check`, `commit` and `settle` are what follows on the way of a block, `commit` with
//! its sync to the disk; `cpu` is what all that takes of the cores' time for a block. Meanwhile somebody reads each
//! millisecond: a snapshot, an output, a head and the block at the tip. Then the process that has the store open is
//! killed and another opens it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use baton_chain::{Chain, Decision, Options, Origin, Pool, PoolSettings};
use baton_ledger::state::Genesis;
use baton_ledger::transaction::{Spend, SpentOutput};
use baton_ledger::{AssetId, Input, InputKind, Mapped, Output, Params, Transaction, program};
use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use hdrhistogram::Histogram;
use serde_json::json;

/// What an output has that is to be spent, and what a transfer pays, in neu.
const AMOUNT: u64 = 10_000_000;
const FEE: u64 = 1_000_000;
/// How many outputs a transaction makes that makes many.
const FAN: usize = 2_000;
const FAN_FEE: u64 = 60_000_000;
/// Enough for 10 000 transfers.
const MAX_BLOCK_GAS: u64 = 50_000_000;

struct Arguments {
    transfers: usize,
    blocks: usize,
    unspent: usize,
    directory: Option<PathBuf>,
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1).peekable();
    match args.peek().map(String::as_str) {
        Some("hold") => hold(Path::new(&args.nth(1).context("a path is wanted")?)),
        Some("open") => open(Path::new(&args.nth(1).context("a path is wanted")?)),
        _ => measure(&Arguments::read(args)?),
    }
}

impl Arguments {
    fn read(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut read = Self {
            transfers: 10_000,
            blocks: 10,
            unspent: 1_000_000,
            directory: None,
        };
        while let Some(arg) = args.next() {
            let value = args
                .next()
                .with_context(|| format!("{arg} needs a value"))?;
            match arg.as_str() {
                "--transfers" => read.transfers = value.parse()?,
                "--blocks" => read.blocks = value.parse()?,
                "--unspent" => read.unspent = value.parse()?,
                "--dir" => read.directory = Some(value.into()),
                other => bail!("unknown option {other}"),
            }
        }
        ensure!(read.blocks > 0, "--blocks must not be 0");
        ensure!(
            (1..=12_000).contains(&read.transfers),
            "--transfers must be 1 to 12000, which is what a block has bytes for"
        );
        Ok(read)
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn own_program() -> Vec<u8> {
    program::p2wpkh(&program::key_hash(key().verifying_key().as_bytes()))
}

fn genesis() -> Result<Genesis> {
    let mut xpub = [0; 64];
    xpub[..32].copy_from_slice(key().verifying_key().as_bytes());
    let params = Params {
        block_interval_ms: 1,
        coinbase_maturity_blocks: 1,
        max_block_gas: MAX_BLOCK_GAS,
        ..Params::solonet(vec![xpub])
    };
    let supply = Output::original(AssetId::BTM, 1 << 60, own_program());
    Ok(Genesis::new(params, vec![supply])?)
}

fn chain(path: &Path) -> Result<Chain> {
    Ok(Chain::open(path, &genesis()?, Options::default())?)
}

/// Spends an output of a transaction of our own.
fn spend(of: &Mapped, position: usize, outputs: Vec<Output>) -> Mapped {
    let output = &of.transaction().outputs[position];
    let spent = SpentOutput {
        source_id: of.entries().mux_id,
        asset_id: output.asset_id,
        amount: output.amount,
        source_position: position as u64,
        control_program: output.control_program.clone(),
        state_data: Vec::new(),
        suffix: Vec::new(),
    };
    let made = Mapped::from(Transaction {
        version: 1,
        time_range: 0,
        inputs: vec![Input::from(InputKind::Spend(Spend {
            output: spent,
            arguments: Vec::new(),
        }))],
        outputs,
    });
    let hash = made.entries().signature_hash(0).expect("there is an input");
    let signature = key().sign(hash.as_bytes()).to_bytes().to_vec();
    let witness = vec![signature, key().verifying_key().as_bytes().to_vec()];
    let mut transaction = made.into_transaction();
    *transaction.inputs[0].arguments_mut().expect("it spends") = witness;
    Mapped::from(transaction)
}

struct Node {
    chain: Chain,
    pool: Pool,
}

/// What the steps of blocks took.
#[derive(Default)]
struct Spans(Vec<(&'static str, Vec<Duration>)>);

impl Spans {
    fn time<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = work();
        let took = start.elapsed();
        match self.0.iter_mut().find(|(other, _)| *other == name) {
            Some((_, times)) => times.push(took),
            None => self.0.push((name, vec![took])),
        }
        done
    }
}

impl Node {
    /// Makes a block out of the pool and commits it; how many transactions it has besides the coinbase.
    fn advance(&self, spans: &mut Spans) -> Result<usize> {
        let Self { chain, pool } = self;
        let now = chain.tip().timestamp_ms + 1;
        let draft = spans.time("draft", || chain.draft(pool, &program::anyone(), b"", now))?;
        spans.time("check", || chain.check(&draft.bytes, now, pool))?;
        let decision = Decision {
            bytes: draft.bytes,
            certificate: Bytes::from_static(&[1; 100]),
            round: 0,
            proposer: [1; 64],
        };
        let committed = spans.time("commit", || chain.commit(decision))?;
        spans.time("settle", || pool.block_committed(&committed));
        Ok(committed.transactions().len() - 1)
    }

    fn submit(&self, transactions: Vec<Transaction>, spans: &mut Spans) -> Result<()> {
        let answers = spans.time("submit", || {
            self.pool.submit_many(transactions, Origin::Peer)
        });
        for answer in answers {
            ensure!(!answer?.orphan, "an orphan");
        }
        Ok(())
    }

    /// Makes `count` outputs and more, in transactions of many.
    fn make_outputs(&self, count: usize) -> Result<Vec<Mapped>> {
        let genesis = genesis()?.block().transactions[0].clone();
        let mut last = Mapped::from(genesis);
        let mut last_position = 0;
        let mut fans = Vec::new();
        self.advance(&mut Spans::default())?;
        while fans.len() * FAN < count {
            let mut waiting = Vec::new();
            for _ in 0..20 {
                let whole = last.transaction().outputs[last_position].amount;
                let rest = whole - FAN as u64 * AMOUNT - FAN_FEE;
                let mut outputs = vec![Output::original(AssetId::BTM, AMOUNT, own_program()); FAN];
                outputs.push(Output::original(AssetId::BTM, rest, own_program()));
                last = spend(&last, last_position, outputs);
                last_position = FAN;
                waiting.push(last.transaction().clone());
                fans.push(last.clone());
            }
            self.submit(waiting, &mut Spans::default())?;
            while !self.pool.is_empty() {
                self.advance(&mut Spans::default())?;
            }
        }
        Ok(fans)
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let directory = arguments.directory.as_deref().unwrap_or(temporary.path());
    let path = directory.join("core.redb");
    let chain = chain(&path)?;
    let pool = Pool::open(&chain, PoolSettings::default(), None)?;
    let node = Node { chain, pool };
    let wanted = arguments
        .unspent
        .max(arguments.transfers * arguments.blocks);
    let fans = node.make_outputs(wanted)?;
    let unspent = node.chain.read()?.unspent_count()?;
    let mut outputs = fans
        .iter()
        .flat_map(|fan| (0..FAN).map(move |position| (fan, position)));
    let mut spans = Spans::default();
    let reads = Reads::begin(&node.chain);
    let mut cpu = Vec::new();
    for _ in 0..arguments.blocks {
        let transfers = outputs.by_ref().take(arguments.transfers);
        let transfers = transfers.map(|(fan, position)| {
            let half = (AMOUNT - FEE) / 2;
            let payment = Output::original(AssetId::BTM, half, program::p2wpkh(&[9; 20]));
            let change = Output::original(AssetId::BTM, half, own_program());
            spend(fan, position, vec![payment, change]).into_transaction()
        });
        let transfers: Vec<Transaction> = transfers.collect();
        let before = cpu_time();
        node.submit(transfers, &mut spans)?;
        let count = node.advance(&mut spans)?;
        cpu.push(cpu_time().saturating_sub(before));
        ensure!(count == arguments.transfers, "a block of {count} transfers");
    }
    let reads = reads.end()?;
    cpu.sort_unstable();
    let block = node
        .chain
        .block(node.chain.tip().height)?
        .context("the tip")?;
    let mut line = serde_json::Map::new();
    line.insert("bench".into(), json!("chain"));
    line.insert("transfers".into(), json!(arguments.transfers));
    line.insert("unspent".into(), json!(unspent));
    line.insert("block_bytes".into(), json!(block.bytes.len()));
    let mut whole = Duration::ZERO;
    for (name, times) in &mut spans.0 {
        times.sort_unstable();
        let median = times[times.len() / 2];
        let longest = times[times.len() - 1];
        whole += median;
        line.insert(format!("{name}_ms"), json!(millis(median)));
        line.insert(format!("{name}_longest_ms"), json!(millis(longest)));
    }
    let transfers = u32::try_from(arguments.transfers)?;
    let a_second = |took: Duration| (f64::from(transfers) / took.as_secs_f64()).round();
    line.insert("transfers_a_second".into(), json!(a_second(whole)));
    line.insert("cpu_ms".into(), json!(millis(cpu[cpu.len() / 2])));
    for (name, quantile) in [
        ("read_p50_us", 0.5),
        ("read_p99_us", 0.99),
        ("read_longest_us", 1.0),
    ] {
        line.insert(name.into(), json!(reads.value_at_quantile(quantile)));
    }
    line.insert("store_bytes".into(), json!(std::fs::metadata(&path)?.len()));
    line.insert("resident_kib".into(), json!(resident_kib()?));
    println!("{}", serde_json::Value::Object(line));
    node.chain.close();
    drop(node.pool);
    start(&path)
}

/// Somebody who reads while blocks are committed.
struct Reads {
    done: Arc<AtomicBool>,
    reading: JoinHandle<Result<Histogram<u64>>>,
}

impl Reads {
    fn begin(chain: &Chain) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let (chain, ended) = (chain.clone(), done.clone());
        let reading = thread::spawn(move || {
            let mut took = Histogram::new(3)?;
            while !ended.load(Ordering::Relaxed) {
                let start = Instant::now();
                let reader = chain.read()?;
                let tip = reader.tip();
                reader.utxo(&tip.hash)?;
                reader.head(tip.height / 2)?.context("a head")?;
                chain.block(tip.height)?.context("the tip")?;
                took.record(u64::try_from(start.elapsed().as_micros())?)?;
                thread::sleep(Duration::from_millis(1));
            }
            Ok(took)
        });
        Self { done, reading }
    }

    /// What the reads took, in microseconds.
    fn end(self) -> Result<Histogram<u64>> {
        self.done.store(true, Ordering::Relaxed);
        let joined = self.reading.join();
        joined.map_err(|_| anyhow!("the reader panicked"))?
    }
}

/// What this process has taken of the cores' time.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 10_000.0).round() / 10.0
}

fn resident_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.context("VmRSS")?.trim().trim_end_matches(" kB");
    Ok(number.parse()?)
}

/// Kills a process that has committed a block, and measures the next start.
fn start(path: &Path) -> Result<()> {
    let this = std::env::current_exe()?;
    for _ in 0..3 {
        let mut holder = Command::new(&this)
            .arg("hold")
            .arg(path)
            .stdout(Stdio::piped())
            .spawn()?;
        let output = holder.stdout.take().context("its output")?;
        let mut word = String::new();
        BufReader::new(output).read_line(&mut word)?;
        holder.kill()?;
        holder.wait()?;
        ensure!(word.trim() == "committed", "it said {word:?}");
        let status = Command::new(&this).arg("open").arg(path).status()?;
        ensure!(status.success(), "it did not open");
    }
    Ok(())
}

/// Commits a block and waits to be killed.
fn hold(path: &Path) -> Result<()> {
    let chain = chain(path)?;
    let pool = Pool::open(&chain, PoolSettings::default(), None)?;
    let node = Node { chain, pool };
    node.advance(&mut Spans::default())?;
    println!("committed");
    loop {
        std::thread::park();
    }
}

/// Opens the store and tells how long that took.
fn open(path: &Path) -> Result<()> {
    let start = Instant::now();
    let chain = chain(path)?;
    let took = start.elapsed();
    let unspent = chain.read()?.unspent_count()?;
    let line = json!({
        "bench": "chain start after kill -9",
        "height": chain.tip().height,
        "unspent": unspent,
        "open_ms": millis(took),
        "resident_kib": resident_kib()?,
    });
    println!("{line}");
    Ok(())
}
