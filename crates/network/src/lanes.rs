//! The way of events to those who take them: two lanes, bounded, the one lossless and the other not.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::{Event, Topic};

/// What happens, in two lanes so that a flood of transactions never holds up a vote. Connections and subscriptions are told in both.
#[derive(Debug)]
pub struct Events {
    /// Everything except messages on [`Topic::Transactions`]. Lossless: while it is full nothing more is read from peers.
    pub consensus: Lane,
    /// Messages on [`Topic::Transactions`]. While it is full, further ones are dropped and counted. Who comes and goes waits for room
    /// without holding up the other lane.
    pub transactions: Lane,
}

/// One stream of events. Dropped, its events go nowhere and hold nothing up.
#[derive(Debug)]
pub struct Lane {
    receiver: mpsc::Receiver<Event>,
}

impl Lane {
    /// The next event; `None` once the network has been shut down. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }

    /// The next event if there is one already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.receiver.try_recv().ok()
    }
}

/// Comings and goings that wait for a lane that nobody takes from. Beyond, the oldest are forgotten.
const WAITING: usize = 4096;

/// The end of a lane where events enter.
#[derive(Debug)]
struct Entrance {
    sender: mpsc::Sender<Event>,
    /// What came while the lane was full, in order.
    waiting: VecDeque<Event>,
}

impl Entrance {
    fn push(&mut self, event: Event) {
        if self.waiting.is_empty() {
            match self.sender.try_send(event) {
                Err(TrySendError::Full(event)) => self.waiting.push_back(event),
                Ok(()) | Err(TrySendError::Closed(_)) => {}
            }
        } else {
            self.waiting.push_back(event);
        }
    }

    /// Waits for room for the first that waits, and sends it. Cancel safe.
    async fn flush(&mut self) {
        match self.sender.reserve().await {
            Ok(room) => {
                if let Some(event) = self.waiting.pop_front() {
                    room.send(event);
                }
            }
            Err(_) => self.waiting.clear(),
        }
    }
}

/// The ends of both lanes where events enter.
#[derive(Debug)]
pub(crate) struct Outbox {
    consensus: Entrance,
    transactions: Entrance,
}

/// Both lanes, each with room for so many events.
pub(crate) fn lanes(room: usize) -> (Outbox, Events) {
    let lane = || {
        let (sender, receiver) = mpsc::channel(room.max(1));
        (
            Entrance {
                sender,
                waiting: VecDeque::new(),
            },
            Lane { receiver },
        )
    };
    let ((consensus, consensus_lane), (transactions, transactions_lane)) = (lane(), lane());
    (
        Outbox {
            consensus,
            transactions,
        },
        Events {
            consensus: consensus_lane,
            transactions: transactions_lane,
        },
    )
}

impl Outbox {
    /// Sends an event to where it belongs. `false` if it is a transaction for which there is no room.
    pub(crate) fn send(&mut self, event: Event) -> bool {
        match &event {
            Event::Message(message) if message.topic == Topic::Transactions => {
                return self.transactions.waiting.is_empty()
                    && !matches!(
                        self.transactions.sender.try_send(event),
                        Err(TrySendError::Full(_))
                    );
            }
            Event::Listening(_)
            | Event::Connected(_)
            | Event::Disconnected(_)
            | Event::Subscribed(..) => {
                self.transactions.push(event.clone());
                if self.transactions.waiting.len() > WAITING {
                    self.transactions.waiting.pop_front();
                }
            }
            _ => {}
        }
        self.consensus.push(event);
        true
    }

    /// Whether reading from peers must stop: something of the lossless lane waits for room.
    pub(crate) fn is_full(&self) -> bool {
        !self.consensus.waiting.is_empty()
    }

    /// Waits for room and sends one of what waits; forever if nothing does. Cancel safe.
    pub(crate) async fn flush(&mut self) {
        let (consensus, transactions) = (
            !self.consensus.waiting.is_empty(),
            !self.transactions.waiting.is_empty(),
        );
        tokio::select! {
            () = self.consensus.flush(), if consensus => {}
            () = self.transactions.flush(), if transactions => {}
            else => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use libp2p::{PeerId, gossipsub};

    use super::*;
    use crate::{Message, MessageId};

    fn message(topic: Topic, number: u8) -> Event {
        let id = MessageId(gossipsub::MessageId::new(&[number]));
        Event::Message(Message {
            topic,
            id,
            from: PeerId::random(),
            publisher: None,
            bytes: Bytes::from(vec![number]),
        })
    }

    fn number(event: Option<Event>) -> u8 {
        match event {
            Some(Event::Message(message)) => message.bytes[0],
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_consensus_lane_keeps_all_in_order_and_says_that_it_is_full() {
        let (mut outbox, mut events) = lanes(2);
        for count in 0..5 {
            assert!(outbox.send(message(Topic::Consensus, count)));
            assert_eq!(outbox.is_full(), count >= 2);
        }
        for count in 0..5 {
            assert_eq!(number(events.consensus.next().await), count);
            if outbox.is_full() {
                outbox.flush().await;
            }
        }
        assert!(!outbox.is_full());
    }

    #[tokio::test]
    async fn the_transactions_lane_refuses_what_has_no_room_and_holds_up_nobody() {
        let (mut outbox, mut events) = lanes(2);
        assert!(outbox.send(message(Topic::Transactions, 0)));
        assert!(outbox.send(message(Topic::Transactions, 1)));
        assert!(!outbox.send(message(Topic::Transactions, 2)));
        assert!(!outbox.is_full());
        assert!(outbox.send(message(Topic::Liveness, 3)));
        assert_eq!(number(events.consensus.try_next()), 3);
        assert_eq!(number(events.transactions.try_next()), 0);
        assert_eq!(number(events.transactions.try_next()), 1);
    }

    #[tokio::test]
    async fn comings_and_goings_wait_in_the_transactions_lane_and_hold_up_nobody() {
        let (mut outbox, mut events) = lanes(2);
        for _ in 0..WAITING + 10 {
            assert!(outbox.send(Event::Disconnected(PeerId::random())));
            events.consensus.next().await.unwrap();
            assert!(!outbox.is_full());
        }
        assert_eq!(outbox.transactions.waiting.len(), WAITING);
        assert!(!outbox.send(message(Topic::Transactions, 0)));
        events.transactions.next().await.unwrap();
        outbox.flush().await;
        assert_eq!(outbox.transactions.waiting.len(), WAITING - 1);
    }

    #[tokio::test]
    async fn a_lane_that_nobody_takes_from_any_more_holds_nothing() {
        let (mut outbox, events) = lanes(1);
        outbox.send(message(Topic::Consensus, 0));
        outbox.send(message(Topic::Consensus, 1));
        assert!(outbox.is_full());
        drop(events);
        outbox.flush().await;
        assert!(!outbox.is_full());
        assert!(
            outbox.send(message(Topic::Transactions, 2)),
            "nobody wants it, so it is not missed"
        );
    }
}
