//! A validator that is killed, again and again and at the worst places, and never signs twice.
//!
//! It is a process of its own: this program once more, told by its environment to be the validator. Three others run
//! here, and an observer notes every vote that it hears.

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_ledger::state::Genesis;
use baton_network::{Event, Network, PeerAddress, Settings, Topic};
use common::{LIMIT, Node, genesis, key, within};
use prost::Message;
use zeroize::Zeroizing;

const VICTIM: u8 = 4;

fn network_genesis() -> Genesis {
    genesis(&[1, 2, 3, VICTIM], 40)
}

/// The process that is killed. Not a test: without the environment of one it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    let Ok(home) = std::env::var("VICTIM_HOME") else {
        return;
    };
    common::log();
    if let Ok(point) = std::env::var("VICTIM_POINT") {
        let after: u32 = std::env::var("VICTIM_AFTER").unwrap().parse().unwrap();
        let passed = AtomicU32::new(0);
        let die = move || {
            if passed.fetch_add(1, Ordering::SeqCst) == after {
                // as dead as by a signal: nothing is flushed, no destructor runs
                std::process::abort();
            }
        };
        fail::cfg_callback(point, die).unwrap();
    }
    let peers = std::env::var("VICTIM_PEERS").unwrap();
    let peers: Vec<PeerAddress> = peers.split(' ').map(|peer| peer.parse().unwrap()).collect();
    let mut node = Node::at(PathBuf::from(home), VICTIM, &network_genesis());
    node.start(&peers).await;
    std::future::pending::<()>().await;
}

/// Starts the victim.
fn spawn(home: &Node, peers: &str, death: Option<(&str, u32)>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "victim", "--nocapture"])
        .env("VICTIM_HOME", home.home())
        .env("VICTIM_PEERS", peers)
        .stdout(Stdio::null());
    if std::env::var("LOG").is_err() && std::env::var("VLOG").is_err() {
        command.stderr(Stdio::null());
    }
    if let Some((point, after)) = death {
        command
            .env("VICTIM_POINT", point)
            .env("VICTIM_AFTER", after.to_string());
    }
    command.spawn().unwrap()
}

// A vote as it is on the wire, read without the crate's own codec.

#[derive(Clone, PartialEq, Message)]
struct Said {
    #[prost(message, optional, tag = "2")]
    vote: Option<Vote>,
    #[prost(message, optional, tag = "3")]
    proposal: Option<Proposal>,
}

#[derive(Clone, PartialEq, Message)]
struct Vote {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(uint64, tag = "2")]
    height: u64,
    #[prost(uint32, tag = "3")]
    round: u32,
    #[prost(bytes = "vec", optional, tag = "4")]
    block: Option<Vec<u8>>,
    #[prost(bytes = "vec", tag = "5")]
    validator: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Proposal {
    #[prost(uint64, tag = "1")]
    height: u64,
    #[prost(uint32, tag = "2")]
    round: u32,
    #[prost(bytes = "vec", tag = "3")]
    block: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    proposer: Vec<u8>,
}

/// What the victim was heard to say: height, round and step, and for what.
#[derive(Default)]
struct Heard {
    said: BTreeMap<(u64, u32, u32), Option<Vec<u8>>>,
    contradictions: Vec<String>,
}

impl Heard {
    fn note(&mut self, height: u64, round: u32, step: u32, block: Option<&[u8]>) {
        let before = self
            .said
            .entry((height, round, step))
            .or_insert_with(|| block.map(<[u8]>::to_vec));
        if before.as_deref() != block {
            let what =
                format!("height {height} round {round} step {step}: {before:?} and {block:?}");
            self.contradictions.push(what);
        }
    }

    fn hear(&mut self, bytes: &[u8], victim: &[u8]) {
        // messages on the liveness topic have a vote in the same place
        let Ok(said) = Said::decode(bytes) else {
            return;
        };
        if let Some(vote) = said.vote.filter(|vote| vote.validator == victim) {
            self.note(vote.height, vote.round, vote.kind, vote.block.as_deref());
        }
        if let Some(proposal) = said.proposal.filter(|said| said.proposer == victim) {
            self.note(proposal.height, proposal.round, 0, Some(&proposal.block));
        }
    }
}

/// A peer that only listens.
async fn observe(genesis: &Genesis, peers: &[PeerAddress]) -> (Network, Arc<Mutex<Heard>>) {
    let home = tempfile::tempdir().unwrap();
    let name = hex::encode(genesis.block().header.hash().as_bytes());
    let mut settings = Settings::new(name, "solonet", Zeroizing::new([77; 32]), home.path());
    settings.keep_dial = peers.to_vec();
    let (network, mut events) = Network::start(settings).await.unwrap();
    let heard = Arc::new(Mutex::new(Heard::default()));
    let notes = heard.clone();
    let victim = key(VICTIM).xpub()[..32].to_vec();
    tokio::spawn(async move {
        let _home = home;
        while let Some(event) = events.consensus.next().await {
            if let Event::Message(message) = event
                && matches!(message.topic, Topic::Consensus | Topic::Liveness)
            {
                notes.lock().unwrap().hear(&message.bytes, &victim);
            }
        }
    });
    (network, heard)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_that_is_killed_at_any_point_never_signs_twice() {
    common::log();
    let genesis = network_genesis();
    let mut others: Vec<_> = (1..=3).map(|number| Node::new(number, &genesis)).collect();
    others[0].start(&[]).await;
    let first = others[0].address();
    for node in &mut others[1..] {
        node.start(std::slice::from_ref(&first)).await;
    }
    let addresses: Vec<PeerAddress> = others.iter().map(Node::address).collect();
    let peers: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let peers = peers.join(" ");
    let (observer, heard) = observe(&genesis, &addresses).await;
    let mut victim = Node::new(VICTIM, &genesis);

    let points = [
        "guard::before_write",
        "guard::before_flush",
        "guard::after_flush",
        "wal::before_flush",
        "wal::after_flush",
        "proposals::before_commit",
        "consensus::before_commit",
        "consensus::after_commit",
        "consensus::before_publish",
    ];
    for (number, point) in (0..).zip(points) {
        // some way into the run, each point at another step of a round
        let child = spawn(&victim, &peers, Some((point, 3 + number)));
        let status = within(point, tokio::task::spawn_blocking(|| wait(child))).await;
        assert!(!status.unwrap().success(), "it died at {point}");
        if point == "consensus::before_commit" {
            // what it decided is gone, too: it must come from the others
            std::fs::remove_file(victim.home().join("fastsync.redb")).unwrap();
        }
    }
    // and by kill -9, whenever that hits
    for number in 0..8 {
        let mut child = spawn(&victim, &peers, None);
        tokio::time::sleep(Duration::from_millis(150 + 61 * number)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }

    victim.start(&addresses).await;
    let height = others[0].height();
    victim.reaches(height + 10).await;
    let voted = victim.engine().figures().guard.signed;
    assert!(voted > 0, "it votes again");
    let heard = std::mem::take(&mut *heard.lock().unwrap());
    assert!(heard.said.len() > 50, "{} votes heard", heard.said.len());
    assert_eq!(heard.contradictions, Vec::<String>::new());
    for node in &others {
        assert_eq!(node.engine().figures().equivocations, 0);
    }
    let at = height + 5;
    let hash = |node: &Node| node.chain().read().unwrap().app_hash_at(at).unwrap();
    assert_eq!(hash(&victim), hash(&others[0]));
    observer.shutdown().await;
    victim.stop().await;
    for node in &mut others {
        node.stop().await;
    }
}

/// Waits for the process's end; kills it if that does not come.
fn wait(mut child: Child) -> std::process::ExitStatus {
    let began = std::time::Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if began.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("the fault point was not reached");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
