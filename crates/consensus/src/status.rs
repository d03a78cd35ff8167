//! What others may know about consensus while it runs.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use baton_ledger::upgrade::Plan;
use malachite_sync::PeerId;
use tokio::sync::watch;

use crate::clocks::Clocks;
use crate::guard::GuardCounts;
use crate::voices::Voices;

/// How consensus is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The height that is being decided; 0 before the first.
    pub height: u64,
    /// The round.
    pub round: u32,
    /// Whether this node is a validator at this height.
    pub validator: bool,
    /// Whether it is this node's turn to propose in this round.
    pub proposing: bool,
    /// The highest block that a connected peer says to have; 0 if there is none.
    pub peer_height: u64,
    /// Whether peers are ahead, so that blocks are fetched from them.
    pub syncing: bool,
    /// Consensus waits for another program: no block is decided before it takes over.
    pub halted: Option<Plan>,
    /// What went wrong last, until it is mended.
    pub last_error: Option<String>,
    /// This node signs nothing at present: it has just started and listens for peers that are ahead, or the sign guard
    /// refused.
    pub abstains: Option<Abstention>,
}

/// Why and how long a validator keeps silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abstention {
    /// The height after which it votes again, if that is known.
    pub until: Option<u64>,
    /// Why, and what to do about it.
    pub reason: String,
    /// It has just started, and listens first: each start of a validator among others begins so.
    pub listens: bool,
}

/// Figures for metrics; all count from the start of the engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Blocks committed.
    pub committed: u64,
    /// Of these, fetched from peers.
    pub synced: u64,
    /// Rounds that began beyond the first of a height.
    pub extra_rounds: u64,
    /// Blocks drafted by this node.
    pub drafted: u64,
    /// Proposed blocks that were refused.
    pub refused_blocks: u64,
    /// Validators that were caught signing twice.
    pub equivocations: u64,
    /// Messages from peers that could not be read.
    pub unreadable: u64,
    /// Flushes of the write-ahead log.
    pub wal_flushes: u64,
    /// Microseconds spent in committing blocks.
    pub commit_micros: u64,
    /// What the sign guard did.
    pub guard: GuardCounts,
}

/// Where the parts of the engine write what [`Status`] tells.
#[derive(Debug)]
pub(crate) struct Board {
    status: watch::Sender<Status>,
    peers: Mutex<BTreeMap<PeerId, Option<Claim>>>,
    figures: Mutex<Figures>,
    /// Who was heard of.
    pub(crate) voices: Voices,
    /// Whose clock is wrong.
    pub(crate) clocks: Clocks,
    /// Whether a peer has said what it has, and the highest height of which anything was heard.
    heard: (watch::Sender<bool>, watch::Sender<u64>),
}

/// What a peer says to have: blocks from `oldest` to `tip`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) tip: u64,
    pub(crate) oldest: u64,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self {
            status: watch::Sender::default(),
            peers: Mutex::default(),
            figures: Mutex::default(),
            voices: Voices::default(),
            clocks: Clocks::default(),
            heard: Default::default(),
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Changes the status, and tells those who watch if it is another then.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            // a peer that is one block ahead has just heard of it sooner
            status.syncing = status.halted.is_none() && status.peer_height > status.height;
            *status != before
        });
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut Figures)) {
        count(&mut self.figures.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn figures(&self) -> Figures {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The height of a peer's last block, as it says.
    pub(crate) fn tip_of(&self, peer: &PeerId) -> Option<u64> {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.get(peer)?.map(|claim| claim.tip)
    }

    /// A peer is connected.
    pub(crate) fn connected(&self, peer: PeerId) {
        self.with_peers(|peers| {
            peers.entry(peer).or_insert(None);
        });
    }

    /// A peer is gone.
    pub(crate) fn disconnected(&self, peer: PeerId) {
        self.with_peers(|peers| {
            peers.remove(&peer);
        });
    }

    /// A peer said what it has.
    pub(crate) fn claims(&self, peer: PeerId, claim: Claim) {
        self.with_peers(|peers| {
            peers.insert(peer, Some(claim));
        });
    }

    /// The connected peers and what they said last.
    pub(crate) fn peers(&self) -> Vec<(PeerId, Option<Claim>)> {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.iter().map(|(peer, claim)| (*peer, *claim)).collect()
    }

    fn with_peers(&self, change: impl FnOnce(&mut BTreeMap<PeerId, Option<Claim>>)) {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut peers);
        let claims = peers.values().flatten();
        let highest = claims.map(|claim| claim.tip).max();
        drop(peers);
        if highest.is_some() {
            self.heard.0.send_replace(true);
        }
        self.change(|status| status.peer_height = highest.unwrap_or(0));
        self.heard_of(highest.unwrap_or(0));
    }

    /// Waits until any peer has said what it has.
    pub(crate) async fn hears_a_claim(&self) {
        let mut heard = self.heard.0.subscribe();
        // an error would mean that the sender, which is ours, is gone
        let _ = heard.wait_for(|heard| *heard).await;
    }

    /// Something was said about a height.
    pub(crate) fn heard_of(&self, height: u64) {
        self.heard.1.send_if_modified(|highest| {
            let higher = height > *highest;
            *highest = height.max(*highest);
            higher
        });
    }

    /// Waits until something was said about this height or a later one.
    pub(crate) async fn hears_of(&self, height: u64) {
        let mut heard = self.heard.1.subscribe();
        // an error would mean that the sender, which is ours, is gone
        let _ = heard.wait_for(|highest| *highest >= height).await;
    }
}
