//! Transaction feeds: named filters whose matches WebSockets are told of.
//!
//! bytomd v1 has feeds and tells their matches to its own log; here a client subscribes to them (see [the README](crate)).

mod filter;

use std::path::Path;

use baton_ledger::{InputKind, Output, OutputKind, Transaction, program};
use serde::{Deserialize, Serialize};

pub use filter::{FilterError, Param};

use crate::records::{Records, RecordsError};

/// Most feeds.
pub const MAX_FEEDS: usize = 1_024;
/// Most bytes in an alias and in a filter.
pub const MAX_TEXT_LEN: usize = 1_024;

/// The feeds of a namespace, in one file.
#[derive(Debug)]
pub struct Feeds(Records<String>);

/// A feed. In JSON as bytomd v1's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// Its name.
    pub alias: String,
    /// What is looked for, as it was written.
    pub filter: String,
    /// What is looked for.
    pub param: Param,
}

/// Why there is no such feed.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The alias is empty or too long.
    #[error("a feed's alias has 1 to {MAX_TEXT_LEN} bytes, this has {0}")]
    Alias(usize),
    /// The filter cannot be read.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// There is a feed of this alias.
    #[error("txfeed {0:?} already exists: duplicate feed alias")]
    Duplicate(String),
    /// There is no feed of this alias.
    #[error("txfeed {0:?} not found")]
    Unknown(String),
    /// There are as many as there can be.
    #[error("there are {MAX_FEEDS} feeds, the most there can be: delete some")]
    TooMany,
    /// The file failed.
    #[error(transparent)]
    Records(#[from] RecordsError),
}

impl Feeds {
    /// Opens the file of feeds, or makes it.
    pub fn open(path: &Path) -> Result<Self, RecordsError> {
        Records::open(
            path,
            "put a backup of this file in its place, or remove it and create all feeds anew",
        )
        .map(Self)
    }

    /// Writes a copy of the file.
    pub fn copy_to(&self, path: &Path) -> Result<(), RecordsError> {
        self.0.copy_to(path)
    }

    /// Makes a feed. Waits for the disk.
    pub fn create(&self, alias: &str, filter: &str) -> Result<Feed, FeedError> {
        let feed = Feed::new(alias, filter)?;
        self.0.change(alias, |all| {
            if all.contains_key(alias) {
                return Err(FeedError::Duplicate(alias.to_owned()));
            }
            if all.len() >= MAX_FEEDS {
                return Err(FeedError::TooMany);
            }
            Ok(Some(filter.to_owned()))
        })?;
        Ok(feed)
    }

    /// Gives a feed another filter. Waits for the disk.
    pub fn update(&self, alias: &str, filter: &str) -> Result<Feed, FeedError> {
        let feed = Feed::new(alias, filter)?;
        self.0.change(alias, |all| {
            if all.contains_key(alias) {
                Ok(Some(filter.to_owned()))
            } else {
                Err(FeedError::Unknown(alias.to_owned()))
            }
        })?;
        Ok(feed)
    }

    /// Deletes a feed. Waits for the disk.
    pub fn delete(&self, alias: &str) -> Result<(), FeedError> {
        self.0.change(alias, |all| {
            if all.contains_key(alias) {
                Ok(None)
            } else {
                Err(FeedError::Unknown(alias.to_owned()))
            }
        })
    }

    /// The feed of this alias.
    pub fn get(&self, alias: &str) -> Result<Feed, FeedError> {
        let all = self.0.all();
        let filter = all
            .get(alias)
            .ok_or_else(|| FeedError::Unknown(alias.to_owned()))?;
        Feed::new(alias, filter)
    }

    /// All feeds, by alias.
    pub fn list(&self) -> Result<Vec<Feed>, FeedError> {
        let all = self.0.all();
        all.iter()
            .map(|(alias, filter)| Feed::new(alias, filter))
            .collect()
    }
}

impl Feed {
    fn new(alias: &str, filter: &str) -> Result<Self, FeedError> {
        if alias.is_empty() || alias.len() > MAX_TEXT_LEN {
            return Err(FeedError::Alias(alias.len()));
        }
        Ok(Self {
            alias: alias.to_owned(),
            filter: filter.to_owned(),
            param: filter.parse()?,
        })
    }

    /// Whether a transaction has what is looked for: one output, or one input, of which all holds. Without `trans_type` outputs are
    /// looked at only, since what an input spends was an output before.
    pub fn matches(&self, transaction: &Transaction) -> bool {
        let param = &self.param;
        let output = |output: &Output| {
            let kind = output_type(output);
            let fits = param.trans_type.is_empty() || param.trans_type == kind;
            fits && param.holds(&output.asset_id, output.amount)
        };
        if transaction.outputs.iter().any(output) {
            return true;
        }
        transaction.inputs.iter().any(|input| {
            let kind = match &input.kind {
                InputKind::Issuance(_) => "issue",
                InputKind::Spend(_) => "spend",
                InputKind::Coinbase(_) => "coinbase",
                InputKind::Veto(_) => "veto",
            };
            param.trans_type == kind && param.holds(&input.asset_id(), input.amount())
        })
    }
}

fn output_type(output: &Output) -> &'static str {
    match &output.kind {
        _ if program::is_unspendable(&output.control_program) => "retire",
        OutputKind::Original => "control",
        OutputKind::Vote(_) => "vote",
    }
}

#[cfg(test)]
mod tests {
    use baton_ledger::{AssetId, Input, transaction::Coinbase};

    use super::*;

    fn transaction() -> Transaction {
        let vote = vec![7; 64];
        Transaction {
            version: 1,
            time_range: 0,
            inputs: vec![Input::from(InputKind::Coinbase(Coinbase {
                arbitrary: Vec::new(),
            }))],
            outputs: vec![
                Output::original(AssetId::BTM, 70, vec![0x51]),
                Output::original(AssetId([1; 32]), 5, program::retire(b"x")),
                Output::vote(900, vec![0x51], vote),
            ],
        }
    }

    fn matches(filter: &str) -> bool {
        Feed::new("f", filter).unwrap().matches(&transaction())
    }

    #[test]
    fn one_output_or_input_must_have_all() {
        let btm = AssetId::BTM;
        assert!(matches(&format!("asset_id='{btm}'")));
        assert!(matches(&format!(
            "asset_id='{btm}' AND amount_lower_limit = 50 AND amount_upper_limit = 100"
        )));
        assert!(!matches(&format!(
            "asset_id='{btm}' AND amount_lower_limit = 71 AND amount_upper_limit = 100"
        )));
        assert!(matches("amount_lower_limit=900"));
        assert!(!matches("amount_lower_limit=901"));
        assert!(matches("trans_type='retire'"));
        assert!(matches("trans_type='retire' AND amount_upper_limit=5"));
        assert!(!matches("trans_type='retire' AND amount_lower_limit=6"));
        assert!(matches("trans_type='coinbase'"));
        assert!(matches("trans_type='vote' AND amount_lower_limit=900"));
        assert!(!matches("trans_type='spend'"));
        assert!(matches(""), "no filter keeps nothing back");
    }

    #[test]
    fn feeds_survive_and_have_their_names_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("txfeeds.redb");
        {
            let feeds = Feeds::open(&path).unwrap();
            feeds.create("f1", "amount_lower_limit = 1").unwrap();
            assert!(matches!(
                feeds.create("f1", ""),
                Err(FeedError::Duplicate(_))
            ));
            assert!(matches!(feeds.create("", ""), Err(FeedError::Alias(0))));
            assert!(matches!(
                feeds.create("f2", "x=1"),
                Err(FeedError::Filter(_))
            ));
            feeds.create("f2", "").unwrap();
            feeds.update("f2", "amount_upper_limit = 2").unwrap();
            assert!(matches!(feeds.update("f3", ""), Err(FeedError::Unknown(_))));
            assert!(matches!(feeds.delete("f3"), Err(FeedError::Unknown(_))));
        }
        let feeds = Feeds::open(&path).unwrap();
        let list = feeds.list().unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(
            serde_json::to_value(&list[1]).unwrap(),
            serde_json::json!({"alias": "f2", "filter": "amount_upper_limit = 2", "param": {"upperlimit": 2}})
        );
        feeds.delete("f2").unwrap();
        assert!(matches!(feeds.get("f2"), Err(FeedError::Unknown(_))));
        feeds.get("f1").unwrap();
    }
}
