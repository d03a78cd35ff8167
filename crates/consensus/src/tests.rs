//! Engines on a network that loses, delays and repeats messages, and splits: in memory, so that tests decide what is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use baton_chain::{Chain, Options, Pool, PoolSettings};
use baton_ledger::state::Genesis;
use baton_ledger::{AssetId, Output, Params, program};
use bytes::Bytes;
use malachite::consensus::SignedConsensusMsg;
use malachite::types::codec::Codec as _;
use malachite_core::{NilOrVal, Round, SignedMessage, VoteType};
use malachite_sync::PeerId;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::codec::Codec;
use crate::context::{BlockId, Domain, Height, Patience, Vote};
use crate::engine::Driver;
use crate::guard::{Guard, Mark, Place, Step};
use crate::key::tests::key;
use crate::proposer::ProposerHandle;
use crate::run::Role;
use crate::settings::EngineSettings;
use crate::swarm::{Ear, Failure, Heard, Swarm, Topic};

type Said = Heard<u64, u64>;

/// What all members of a network share.
#[derive(Clone, Default)]
struct Air(Arc<Mutex<Weather>>);

#[derive(Default)]
struct Weather {
    ears: BTreeMap<PeerId, mpsc::UnboundedSender<Said>>,
    statuses: BTreeMap<PeerId, Bytes>,
    /// Who asked what: the asker and its own name of the request.
    asked: BTreeMap<u64, (PeerId, u64)>,
    /// What nodes say to have is not heard any more.
    mute: bool,
    /// Those who hear only each other.
    island: BTreeSet<PeerId>,
    /// Of a thousand messages so many are lost, and so many heard twice.
    lost: u64,
    twice: u64,
    dice: u64,
    next: u64,
}

impl Weather {
    /// Numbers that look random and are the same in each run.
    fn roll(&mut self) -> u64 {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % 1000
    }

    fn apart(&self, one: PeerId, other: PeerId) -> bool {
        self.island.contains(&one) != self.island.contains(&other)
    }

    fn tell(&self, to: PeerId, said: Said) {
        if let Some(ear) = self.ears.get(&to) {
            // who is gone hears nothing
            let _ = ear.send(said);
        }
    }
}

/// One member.
#[derive(Clone)]
struct Member {
    air: Air,
    me: PeerId,
}

struct MemberEar(mpsc::UnboundedReceiver<Said>);

impl Air {
    fn with<T>(&self, work: impl FnOnce(&mut Weather) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn join(&self, number: u8) -> (Member, MemberEar) {
        let seed = baton_network::identity::peer_from_key(
            key(number).xpub()[..32].try_into().expect("32 bytes"),
        );
        let me = PeerId::from_bytes(&seed.expect("a key").to_bytes()).expect("a peer");
        let (ear, heard) = mpsc::unbounded_channel();
        self.with(|weather| {
            for (peer, other) in &weather.ears {
                let _ = other.send(Heard::Connected(me));
                let _ = ear.send(Heard::Connected(*peer));
            }
            for (from, bytes) in &weather.statuses {
                let (from, bytes) = (*from, bytes.clone());
                let _ = ear.send(Heard::Status { from, bytes });
            }
            weather.ears.insert(me, ear);
        });
        let air = self.clone();
        (Member { air, me }, MemberEar(heard))
    }

    fn leave(&self, member: PeerId) {
        self.with(|weather| {
            weather.ears.remove(&member);
            weather.statuses.remove(&member);
            for ear in weather.ears.values() {
                let _ = ear.send(Heard::Disconnected(member));
            }
        });
    }
}

impl Ear<Member> for MemberEar {
    async fn hear(&mut self) -> Option<Said> {
        self.0.recv().await
    }
}

impl Swarm for Member {
    type Outbound = u64;
    type Inbound = u64;

    fn local(&self) -> PeerId {
        self.me
    }

    async fn publish(&self, topic: Topic, bytes: Bytes) -> Result<(), String> {
        self.air.with(|weather| {
            let others: Vec<_> = weather.ears.keys().copied().collect();
            for to in others {
                if to == self.me || weather.apart(self.me, to) || weather.roll() < weather.lost {
                    continue;
                }
                let said = Heard::Gossip {
                    topic,
                    from: self.me,
                    publisher: Some(self.me),
                    bytes: bytes.clone(),
                };
                if weather.roll() < weather.twice {
                    weather.tell(to, said.clone());
                }
                weather.tell(to, said);
            }
        });
        Ok(())
    }

    async fn status(&self, bytes: Bytes) {
        self.air.with(|weather| {
            if weather.mute {
                return;
            }
            weather.statuses.insert(self.me, bytes.clone());
            let others: Vec<_> = weather.ears.keys().copied().collect();
            for to in others {
                if to != self.me && !weather.apart(self.me, to) {
                    let (from, bytes) = (self.me, bytes.clone());
                    weather.tell(to, Heard::Status { from, bytes });
                }
            }
        });
    }

    async fn request(&self, peer: PeerId, bytes: Bytes) -> u64 {
        self.air.with(|weather| {
            weather.next += 1;
            let id = weather.next;
            if weather.apart(self.me, peer) || !weather.ears.contains_key(&peer) {
                let (from, reason) = (peer, Failure::Unreachable);
                weather.tell(self.me, Heard::RequestFailed { id, from, reason });
            } else {
                weather.asked.insert(id, (self.me, id));
                let from = self.me;
                weather.tell(peer, Heard::Request { id, from, bytes });
            }
            id
        })
    }

    async fn cancel(&self, id: u64) {
        self.air.with(|weather| weather.asked.remove(&id));
    }

    async fn respond(&self, id: u64, bytes: Bytes) {
        self.air.with(|weather| {
            if let Some((asker, id)) = weather.asked.remove(&id) {
                let from = self.me;
                weather.tell(asker, Heard::Response { id, from, bytes });
            }
        });
    }

    async fn decline(&self, id: u64) {
        self.air.with(|weather| {
            if let Some((asker, id)) = weather.asked.remove(&id) {
                let (from, reason) = (self.me, Failure::Io);
                weather.tell(asker, Heard::RequestFailed { id, from, reason });
            }
        });
    }

    async fn blame(&self, peer: PeerId, reason: String) {
        panic!("{peer} is blamed, and nobody here misbehaves: {reason}");
    }
}

/// A node on such a network.
struct Node {
    /// Kept until the node is dropped.
    home: Option<TempDir>,
    chain: Chain,
    member: Member,
    driver: Driver<Member, MemberEar>,
}

impl Node {
    async fn start(air: &Air, number: u8, genesis: &Genesis) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut node = Self::start_at(air, number, genesis, home.path()).await;
        node.home = Some(home);
        node
    }

    async fn start_at(air: &Air, number: u8, genesis: &Genesis, home: &Path) -> Self {
        Self::start_with(air, number, genesis, home, number).await
    }

    /// The same with the key of another number.
    async fn start_with(air: &Air, number: u8, genesis: &Genesis, home: &Path, signer: u8) -> Self {
        let path = home.join("core.redb");
        let chain = Chain::open(&path, genesis, Options::default()).unwrap();
        let pool = Pool::open(&chain, PoolSettings::default(), None).unwrap();
        let mut settings = EngineSettings::new(home);
        settings.patience = Patience {
            propose: Duration::from_millis(400),
            prevote: Duration::from_millis(150),
            precommit: Duration::from_millis(150),
        };
        settings.status_interval = Duration::from_millis(150);
        settings.sync.timeout = Duration::from_secs(1);
        settings.listen_first = Duration::from_millis(300);
        let (member, ear) = air.join(number);
        let mining = ProposerHandle::new(true, Some(program::p2wpkh(&[number; 20])));
        let signer = Some(key(signer));
        let opening = Driver::open(
            settings,
            chain.clone(),
            pool,
            member.clone(),
            signer,
            mining,
        );
        let mut driver = opening.await.unwrap();
        driver.begin(ear).await.unwrap();
        Self {
            home: None,
            chain,
            member,
            driver,
        }
    }

    fn height(&self) -> u64 {
        self.chain.tip().height
    }

    fn guard(&self) -> &Guard {
        self.driver.guard.as_deref().expect("it has a key")
    }

    /// Waits until it may sign; the height of its chain then.
    async fn may_sign(&self) -> u64 {
        let mut status = self.driver.board.watch();
        let wait = status.wait_for(|status| status.abstains.is_none());
        let waited = tokio::time::timeout(Duration::from_mins(1), wait).await;
        waited.expect("it signs in the end").unwrap();
        self.height()
    }

    async fn stop(self) {
        self.member.air.leave(self.member.me);
        self.driver.stop().await.unwrap();
        self.chain.close();
    }

    async fn reaches(&self, height: u64) {
        let mut tips = self.chain.watch();
        let wait = tips.wait_for(|tip| tip.height >= height);
        let waited = tokio::time::timeout(Duration::from_mins(1), wait).await;
        let what = format!("{:?} at {} of {height}", self.driver, self.height());
        waited.expect(&what).unwrap();
    }
}

fn genesis() -> Genesis {
    let params = Params {
        block_interval_ms: 20,
        ..Params::solonet((1..=4).map(|number| key(number).xpub()).collect())
    };
    let supply = Output::original(AssetId::BTM, 100_000_000, program::anyone());
    Genesis::new(params, vec![supply]).unwrap()
}

async fn start(air: &Air) -> Vec<Node> {
    let genesis = genesis();
    let mut nodes = Vec::new();
    for number in 1..=4 {
        nodes.push(Node::start(air, number, &genesis).await);
    }
    nodes
}

/// All chains are one as far as they go, and nobody was caught signing twice.
async fn end(nodes: Vec<Node>) {
    let shortest = nodes.iter().map(Node::height).min().unwrap();
    for height in 0..=shortest {
        let hashes = nodes
            .iter()
            .map(|node| node.chain.read().unwrap().app_hash_at(height).unwrap());
        let hashes: BTreeSet<_> = hashes.collect();
        assert_eq!(hashes.len(), 1, "height {height}");
    }
    for node in nodes {
        assert_eq!(node.driver.figures().equivocations, 0);
        assert_eq!(node.driver.figures().unreadable, 0);
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_lost_or_heard_twice_do_not_stop_the_chain() {
    let air = Air::default();
    air.with(|weather| (weather.lost, weather.twice) = (60, 150));
    let nodes = start(&air).await;
    for node in &nodes {
        node.reaches(10).await;
    }
    end(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_halves_decide_nothing_and_go_on_together() {
    let air = Air::default();
    let nodes = start(&air).await;
    for node in &nodes {
        node.reaches(3).await;
    }
    let island: BTreeSet<_> = nodes[..2].iter().map(|node| node.member.me).collect();
    air.with(|weather| weather.island = island);
    // what was on its way when they split may still be decided
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before: Vec<_> = nodes.iter().map(Node::height).collect();
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let after: Vec<_> = nodes.iter().map(Node::height).collect();
    assert_eq!(before, after);
    air.with(|weather| weather.island.clear());
    let height = after.iter().max().unwrap() + 5;
    for node in &nodes {
        node.reaches(height).await;
    }
    end(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_cut_off_catches_up() {
    let air = Air::default();
    let nodes = start(&air).await;
    nodes[3].reaches(2).await;
    air.with(|weather| weather.island = BTreeSet::from([nodes[3].member.me]));
    let height = nodes[0].height() + 20;
    nodes[0].reaches(height).await;
    assert!(nodes[3].height() < height - 10);
    air.with(|weather| weather.island.clear());
    for node in &nodes {
        node.reaches(height + 5).await;
    }
    assert!(nodes[3].driver.figures().synced > 0);
    end(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_speak_is_missing() {
    let air = Air::default();
    let genesis = genesis();
    let nodes = [
        Node::start(&air, 1, &genesis).await,
        Node::start(&air, 2, &genesis).await,
    ];
    let absent: BTreeSet<_> = [3, 4].map(|number| key(number).xpub()).into();
    for (node, own) in nodes.iter().zip([1, 2]) {
        let named = async {
            loop {
                let missing = node.driver.board.voices.missing(Instant::now());
                let named: BTreeSet<_> = missing.iter().map(|one| one.xpub).collect();
                // nobody hears itself
                let others = named.into_iter().filter(|xpub| *xpub != key(own).xpub());
                if others.collect::<BTreeSet<_>>() == absent {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let named = tokio::time::timeout(Duration::from_mins(1), named).await;
        named.expect("the two that do not run are named");
    }
    end(Vec::from(nodes)).await;
}

/// Has the guard of a node among others remember that it voted for a block of height 1, in this step.
fn vote(home: &Path, genesis: &Genesis, step: Step) {
    let settings = EngineSettings::new(home);
    std::fs::create_dir_all(&settings.directory).unwrap();
    let domain = Domain(*genesis.block().hash().as_bytes());
    let key = key(1);
    let guard = Guard::open(&settings.guard(), &key, domain, 0, false).unwrap();
    let mark = Mark {
        place: Place {
            height: 1,
            round: 0,
            step,
        },
        block: Some(BlockId([7; 32])),
        pol_round: None,
    };
    guard.sign(&key, mark, b"a vote").unwrap();
}

/// The height up to which a node signs nothing when it starts with this in the place of its log.
async fn floor_after(genesis: &Genesis, step: Step, log: Option<&[u8]>) -> u64 {
    let home = tempfile::tempdir().unwrap();
    vote(home.path(), genesis, step);
    let path = EngineSettings::new(home.path()).wal(Role::Signing);
    if let Some(log) = log {
        std::fs::write(&path, log).unwrap();
    }
    let air = Air::default();
    // it says what it has to the other, which listens for it
    let other = Node::start(&air, 2, genesis).await;
    let node = Node::start_at(&air, 1, genesis, home.path()).await;
    assert_eq!(path.with_file_name("wal.damaged-1").exists(), log.is_some());
    let floor = node.driver.guard.as_ref().unwrap().floor();
    if floor > 0 {
        let mut status = node.driver.board.watch();
        let told = status.wait_for(|status| {
            let abstains = status.abstains.as_ref();
            abstains.is_some_and(|one| one.until == Some(floor))
        });
        let told = tokio::time::timeout(Duration::from_mins(1), told).await;
        told.expect("it says that it abstains").unwrap();
    }
    end(vec![node, other]).await;
    floor
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_lost_its_log_after_a_precommit_signs_nothing_at_that_height() {
    let genesis = genesis();
    // it may be locked on the block, and does not know it any more
    for log in [Some(b"damaged".as_slice()), None] {
        let floor = floor_after(&genesis, Step::Precommit, log).await;
        assert_eq!(floor, 1, "{log:?}");
    }
    // a prevote locks nobody, and is not given twice
    let floor = floor_after(&genesis, Step::Prevote, Some(b"damaged")).await;
    assert_eq!(floor, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_from_a_backup_signs_nothing_at_heights_it_had_signed() {
    let air = Air::default();
    let genesis = genesis();
    let mut nodes = start(&air).await;
    let home = tempfile::tempdir().unwrap();
    let first = nodes.pop().unwrap();
    first.reaches(3).await;
    let backup = first.home.as_ref().unwrap().path().to_owned();
    first.driver.stop().await.unwrap();
    first.member.air.leave(first.member.me);
    first.chain.close();
    copy(&backup, home.path());
    let node = Node::start_at(&air, 4, &genesis, &backup).await;
    let old = node.height();
    node.may_sign().await;
    until("all say to have more than the backup", || {
        let peers = node.driver.board.peers();
        let mut claims = peers.iter().filter_map(|(_, claim)| *claim);
        claims.all(|claim| claim.tip > old + 5)
    })
    .await;
    // what peers say first is old when it is heard
    air.with(|weather| weather.mute = true);
    let height = node.height() + 10;
    until("it has signed", || node.guard().last_signed() >= height).await;
    node.stop().await;
    let signed = Guard::open(
        &EngineSettings::new(&backup).guard(),
        &key(4),
        Domain(*genesis.block().hash().as_bytes()),
        height,
        false,
    );
    let signed = signed.unwrap().last_signed();
    let node = Node::start_at(&air, 4, &genesis, home.path()).await;
    assert_eq!(node.height(), old);
    node.reaches(old + 3).await;
    // by now it would sign if it could
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(node.height() < signed, "{} {signed}", node.height());
    assert!(node.driver.board.status().abstains.is_some());
    air.with(|weather| weather.mute = false);
    let from = node.may_sign().await;
    assert!(from >= signed, "{from} {signed}");
    until("it signs again", || node.guard().last_signed() > signed).await;
    nodes.push(node);
    end(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_that_votes_twice_is_caught() {
    let air = Air::default();
    let genesis = genesis();
    let mut nodes = Vec::new();
    for number in 1..=3 {
        nodes.push(Node::start(&air, number, &genesis).await);
    }
    // the fourth votes for everything
    let (liar, mut ear) = air.join(4);
    let domain = Domain(*genesis.block().hash().as_bytes());
    let lying = async {
        while nodes[0].driver.figures().equivocations == 0 {
            let height = Height(nodes[0].height() + 1);
            for value in [NilOrVal::Nil, NilOrVal::Val(BlockId([7; 32]))] {
                let vote = Vote {
                    kind: VoteType::Prevote,
                    height,
                    round: Round::new(0),
                    value,
                    validator: key(4).address(),
                };
                let signature = key(4).sign(&domain.vote(&vote));
                let said = SignedConsensusMsg::Vote(SignedMessage::new(vote, signature));
                let bytes = Codec.encode(&said).unwrap();
                liar.publish(Topic::Consensus, bytes).await.unwrap();
            }
            let _ = tokio::time::timeout(Duration::from_millis(5), ear.hear()).await;
        }
    };
    let caught = tokio::time::timeout(Duration::from_mins(1), lying).await;
    caught.expect("it is caught");
    air.leave(liar.me);
    for node in nodes {
        node.stop().await;
    }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_mins(1), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.expect(what);
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
