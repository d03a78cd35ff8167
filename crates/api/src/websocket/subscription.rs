//! What a client is to be told, and how far it has been: a value that can be written down, so that another process goes on from it.

use std::collections::BTreeMap;

use baton_chain::StoredBlock;
use baton_handover::websocket::Message;
use serde::{Deserialize, Serialize};

use super::{notification, request::Wish};
use crate::feeds::{Feed, Feeds};

/// What a client is to be told.
///
/// Blocks are not sent to the client's queue as they come: the client has a place in the chain, and is sent what follows it as fast as
/// it takes it. So a slow client is late, but misses no block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subscription {
    /// The next block, if blocks are wished for.
    blocks: Option<u64>,
    /// Whether transactions are.
    transactions: bool,
    /// By the alias of a feed, the next block to look at.
    feeds: BTreeMap<String, u64>,
    /// How many messages of the next block the client has had.
    sent: usize,
}

impl Subscription {
    /// Grants a wish; `next` is the height of the next block to come. The error is told to the client.
    pub(super) fn grant(
        &mut self,
        wish: Wish,
        next: u64,
        feeds: &Feeds,
        most_feeds: usize,
    ) -> Result<(), String> {
        match wish {
            Wish::Blocks { from_height } => {
                if from_height.is_some() || self.blocks.is_none() {
                    self.move_to(|own| own.blocks = Some(from_height.unwrap_or(next)));
                }
            }
            Wish::NoBlocks => self.move_to(|own| own.blocks = None),
            Wish::Transactions => self.transactions = true,
            Wish::NoTransactions => self.transactions = false,
            Wish::Feed { alias, from_height } => {
                feeds.get(&alias).map_err(|error| error.to_string())?;
                let known = self.feeds.contains_key(&alias);
                if !known && self.feeds.len() >= most_feeds {
                    return Err(format!(
                        "one WebSocket follows at most {most_feeds} feeds: stop another one"
                    ));
                }
                if from_height.is_some() || !known {
                    self.move_to(|own| {
                        own.feeds.insert(alias, from_height.unwrap_or(next));
                    });
                }
            }
            Wish::NoFeed { alias } => self.move_to(|own| {
                own.feeds.remove(&alias);
            }),
        }
        Ok(())
    }

    /// Changes places; what was sent of a block counts only while the same is sent of it.
    fn move_to(&mut self, change: impl FnOnce(&mut Self)) {
        change(self);
        self.sent = 0;
    }

    /// Whether the pool's news are of interest.
    pub(super) fn wants_transactions(&self) -> bool {
        self.transactions || !self.feeds.is_empty()
    }

    /// The next block of interest.
    pub(super) fn next_height(&self) -> Option<u64> {
        self.blocks
            .into_iter()
            .chain(self.feeds.values().copied())
            .min()
    }

    /// What the client is to be told of that block, without what it has been told. Feeds that are no more are left.
    pub(super) fn of_block(&mut self, block: &StoredBlock, feeds: &Feeds) -> Vec<Message> {
        let height = block.height();
        let mut messages = Vec::new();
        if self.blocks == Some(height) {
            messages.push(notification::block(&block.bytes));
        }
        let place = Some((height, block.hash()));
        let mut ended = Vec::new();
        for (alias, _) in self.feeds.iter().filter(|(_, next)| **next == height) {
            let Ok(feed) = feeds.get(alias) else {
                messages.push(notification::feed_ended(alias));
                ended.push(alias.clone());
                continue;
            };
            let matches = block.transactions.iter();
            messages.extend(
                matches
                    .filter(|mapped| feed.matches(mapped.transaction()))
                    .map(|mapped| notification::feed(alias, mapped, place)),
            );
        }
        for alias in ended {
            self.feeds.remove(&alias);
        }
        messages.drain(..self.sent.min(messages.len()));
        messages
    }

    /// One more message of the next block was sent.
    pub(super) fn sent_one(&mut self) {
        self.sent += 1;
    }

    /// The client has been told all of the block at this height.
    pub(super) fn done_with(&mut self, height: u64) {
        self.sent = 0;
        let places = self.blocks.iter_mut().chain(self.feeds.values_mut());
        for place in places.filter(|place| **place <= height) {
            *place = height + 1;
        }
    }

    /// What the client is to be told of a transaction that came into the pool.
    pub(super) fn of_transaction(
        &self,
        news: &super::NewTransaction,
        feeds: &Feeds,
    ) -> Vec<Message> {
        let mut messages = Vec::new();
        if self.transactions {
            messages.push(news.message.clone());
        }
        let mapped = &news.pooled.transaction;
        let matching = self.feeds.keys().filter_map(|alias| feeds.get(alias).ok());
        messages.extend(
            matching
                .filter(|feed: &Feed| feed.matches(mapped.transaction()))
                .map(|feed| notification::feed(&feed.alias, mapped, None)),
        );
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feeds() -> (Feeds, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let feeds = Feeds::open(&dir.path().join("f.redb")).unwrap();
        for alias in ["a", "b", "c"] {
            feeds.create(alias, "").unwrap();
        }
        (feeds, dir)
    }

    #[test]
    fn a_place_in_the_chain_is_kept() {
        let (feeds, _dir) = feeds();
        let mut own = Subscription::default();
        assert_eq!(own.next_height(), None);
        let blocks = |from_height| Wish::Blocks { from_height };
        own.grant(blocks(None), 8, &feeds, 2).unwrap();
        assert_eq!(own.next_height(), Some(8));
        // asking again changes nothing, asking for a height does
        own.grant(blocks(None), 9, &feeds, 2).unwrap();
        assert_eq!(own.next_height(), Some(8));
        own.grant(blocks(Some(3)), 9, &feeds, 2).unwrap();
        assert_eq!(own.next_height(), Some(3));
        own.done_with(3);
        assert_eq!(own.next_height(), Some(4));
        own.grant(Wish::NoBlocks, 9, &feeds, 2).unwrap();
        assert_eq!(own.next_height(), None);
    }

    #[test]
    fn feeds_have_places_of_their_own() {
        let (feeds, _dir) = feeds();
        let mut own = Subscription::default();
        let feed = |alias: &str, from_height| Wish::Feed {
            alias: alias.to_owned(),
            from_height,
        };
        own.grant(feed("a", Some(2)), 9, &feeds, 2).unwrap();
        own.grant(feed("b", None), 9, &feeds, 2).unwrap();
        assert!(own.grant(feed("c", None), 9, &feeds, 2).is_err());
        assert!(own.grant(feed("none", None), 9, &feeds, 2).is_err());
        own.done_with(2);
        assert_eq!(own.next_height(), Some(3));
        own.done_with(8);
        assert_eq!(own.next_height(), Some(9));
        let written = serde_json::to_vec(&own).unwrap();
        assert_eq!(
            serde_json::from_slice::<Subscription>(&written).unwrap(),
            own
        );
    }
}
