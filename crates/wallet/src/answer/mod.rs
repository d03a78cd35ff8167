//! What the wallet answers: bytomd's JSON, field by field.
//!
//! The structures are written with serde as bytomd writes them, in its order and with its omissions; their fields
//! have the meaning of their names there, so that they are not explained again.
#![allow(missing_docs, reason = "the fields of bytomd's answers")]

mod annotate;
mod balances;
mod history;
mod outputs;

pub use self::{
    annotate::{AnnotatedInput, AnnotatedOutput, DecodedTransaction},
    balances::{AccountVotes, Balance, VoteDetail},
    history::{History, HistoryFilter, Summary, TransactionInfo, TransactionSummary},
    outputs::{UnspentFilter, UnspentInfo},
};

use baton_ledger::AssetId;
use serde_json::Value;

use crate::{asset, error::WalletError, store::Draft};

/// The asset, or what stands for one that the wallet does not know: named by its id, undefined.
fn asset_or_id(draft: &Draft<'_>, id: &AssetId) -> Result<(String, Value), WalletError> {
    Ok(match asset::known(draft, id)? {
        Some(asset) => (asset.alias.clone(), asset.definition_json()),
        None => (id.to_string(), Value::Object(serde_json::Map::new())),
    })
}

fn is_none_or_empty(text: &str) -> bool {
    text.is_empty()
}
