//! Gossip: what is published, received and judged.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use libp2p::PeerId;
use libp2p::gossipsub::{self, MessageAcceptance, TopicHash};
use sha3::{Digest, Sha3_256};

use super::Service;
use crate::behaviour;
use crate::counters::place;
use crate::names::Names;
use crate::{Event, Message, MessageId, Penalty, PublishError, Topic, Verdict};

/// A slow peer is spoken of at most this often.
const SLOW_SAID: Duration = Duration::from_mins(1);

/// The topics by what they are called on the wire.
pub(super) struct Topics {
    hashes: [TopicHash; 4],
    topics: HashMap<TopicHash, Topic>,
}

/// How transactions travel: a byte, then the transaction.
///
/// Gossip remembers a message by the hash of all of it as soon as it is told to publish it, even if the queues of all peers are full, and
/// says of a second attempt that it was published already. Another first byte makes the second attempt another message.
#[derive(Default)]
pub(super) struct Attempts {
    /// The next first byte of transactions that reached nobody.
    next: HashMap<[u8; 32], u8>,
}

impl Attempts {
    /// Transactions remembered that reached nobody.
    const REMEMBERED: usize = 8192;

    fn wrap(&self, transaction: &[u8]) -> (Vec<u8>, u8) {
        let hash = || -> [u8; 32] { Sha3_256::digest(transaction).into() };
        let attempt = if self.next.is_empty() {
            0
        } else {
            self.next.get(&hash()).copied().unwrap_or(0)
        };
        let mut wrapped = Vec::with_capacity(1 + transaction.len());
        wrapped.push(attempt);
        wrapped.extend_from_slice(transaction);
        (wrapped, attempt)
    }

    fn ended(&mut self, transaction: &[u8], attempt: u8, reached_somebody: bool) {
        if reached_somebody && self.next.is_empty() {
            return;
        }
        let hash = Sha3_256::digest(transaction).into();
        if reached_somebody {
            self.next.remove(&hash);
        } else {
            if self.next.len() >= Self::REMEMBERED {
                self.next.clear();
            }
            self.next.insert(hash, attempt.wrapping_add(1));
        }
    }
}

impl Topics {
    pub(super) fn new(names: &Names) -> Self {
        let hashes = Topic::ALL.map(|topic| behaviour::topic(names, topic).hash());
        let topics = hashes.iter().cloned().zip(Topic::ALL).collect();
        Self { hashes, topics }
    }
}

impl Service {
    pub(super) fn publish(&mut self, topic: Topic, bytes: Bytes) -> Result<(), PublishError> {
        let (size, limit) = (bytes.len(), self.settings.limits.gossip_bytes(topic));
        if size > limit {
            return Err(PublishError::TooLarge { topic, size, limit });
        }
        let hash = self.topics.hashes[place(topic)].clone();
        let gossip = self.swarm.behaviour_mut().gossip(topic);
        let published = if topic == Topic::Transactions {
            let (wrapped, attempt) = self.attempts.wrap(&bytes);
            let published = gossip.publish(hash, wrapped);
            let full = matches!(published, Err(gossipsub::PublishError::AllQueuesFull(_)));
            self.attempts.ended(&bytes, attempt, !full);
            published
        } else {
            gossip.publish(hash, bytes)
        };
        match published {
            Ok(_) => {
                self.shared.counts.published[place(topic)].more();
                Ok(())
            }
            // everybody has it, or will
            Err(gossipsub::PublishError::Duplicate) => Ok(()),
            Err(gossipsub::PublishError::NoPeersSubscribedToTopic) => {
                Err(PublishError::NoPeers(topic))
            }
            Err(gossipsub::PublishError::AllQueuesFull(peers)) => {
                self.shared.counts.dropped[place(topic)].more();
                Err(PublishError::QueuesFull(topic, peers))
            }
            Err(error) => Err(PublishError::Other(topic, error.to_string())),
        }
    }

    pub(super) fn verdict(&mut self, id: &MessageId, from: PeerId, verdict: Verdict) {
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        let known = self
            .swarm
            .behaviour_mut()
            .transactions
            .report_message_validation_result(&id.0, &from, acceptance);
        if !known && verdict == Verdict::Accept {
            tracing::debug!(peer = %from, "a transaction was judged too late to be passed on");
        }
        if verdict == Verdict::Reject {
            self.charge(
                from,
                Penalty::ILLEGAL,
                "a transaction that no honest node passes on",
            );
        }
    }

    pub(super) fn gossiped(&mut self, event: gossipsub::Event, kind: Topic) {
        match event {
            gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            } => {
                // others are filtered out by the subscription filter
                let Some(&topic) = self.topics.topics.get(&message.topic) else {
                    return;
                };
                self.shared.counts.received[place(topic)].more();
                let mut bytes = Bytes::from(message.data);
                let id = MessageId(message_id);
                if topic == Topic::Transactions {
                    if bytes.is_empty() {
                        return self.verdict(&id, propagation_source, Verdict::Reject);
                    }
                    bytes.advance(1);
                }
                self.message(Message {
                    topic,
                    id,
                    from: propagation_source,
                    publisher: message.source,
                    bytes,
                });
            }
            gossipsub::Event::Subscribed { peer_id, topic } => {
                let Some(&topic) = self.topics.topics.get(&topic) else {
                    return;
                };
                let Some(peer) = self.peers.get_mut(&peer_id) else {
                    return;
                };
                if peer.subscribed.insert(topic) && peer.introduction.is_some() {
                    self.emit(Event::Subscribed(peer_id, topic));
                }
            }
            gossipsub::Event::Unsubscribed { peer_id, topic } => {
                if let (Some(topic), Some(peer)) =
                    (self.topics.topics.get(&topic), self.peers.get_mut(&peer_id))
                {
                    peer.subscribed.remove(topic);
                }
            }
            gossipsub::Event::SlowPeer {
                peer_id,
                failed_messages,
            } => {
                let lost = failed_messages.total() + failed_messages.timeout;
                self.slow(peer_id, kind, u64::try_from(lost).unwrap_or(u64::MAX));
            }
            gossipsub::Event::GossipsubNotSupported { .. } => {}
        }
    }

    fn message(&mut self, message: Message) {
        let (topic, id, from) = (message.topic, message.id.clone(), message.from);
        // also of a peer whose handshake is not done: gossip takes the first copy for the only one, and it is as good as any other
        if !self.emit(Event::Message(message)) {
            self.shared.counts.dropped[place(topic)].more();
            tracing::debug!(peer = %from, %topic, "a message was dropped: nobody takes them fast enough");
            if topic == Topic::Transactions {
                self.verdict(&id, from, Verdict::Ignore);
            }
        }
    }

    /// Charges peers that have sent invalid messages since this was last called.
    pub(super) fn charge_invalid(&mut self) {
        let gossip = &self.swarm.behaviour().consensus;
        let mut guilty = Vec::new();
        for (id, peer) in &mut self.peers {
            let score = gossip.peer_score(id).unwrap_or(0.0);
            // it rises by itself, and falls by one at least with each invalid message
            if score < peer.invalid - 0.5 {
                guilty.push(*id);
            }
            peer.invalid = score;
        }
        for peer in guilty {
            self.charge(
                peer,
                Penalty::ILLEGAL,
                "gossip with a wrong signature or beyond the size limit",
            );
        }
    }

    /// A peer did not take messages that were meant for it.
    fn slow(&mut self, id: PeerId, kind: Topic, lost: u64) {
        if lost == 0 {
            return;
        }
        self.shared.counts.dropped[place(kind)].add(lost);
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let now = Instant::now();
        peer.slow.0 += lost;
        if peer
            .slow
            .1
            .is_none_or(|said| now.saturating_duration_since(said) >= SLOW_SAID)
        {
            let messages = std::mem::take(&mut peer.slow.0);
            peer.slow.1 = Some(now);
            tracing::warn!(peer = %id, messages, "a peer is too slow: messages for it were dropped");
        }
    }
}
