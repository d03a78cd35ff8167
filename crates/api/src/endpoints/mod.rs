//! The endpoints, by subject.

mod blocks;
mod health;
mod network;

use crate::table::Endpoint;

pub(crate) use health::{figures, healthz, readyz};

/// All endpoints, in the order in which they are told.
pub(crate) fn all() -> Vec<Endpoint> {
    let mut all = Vec::new();
    for subject in [blocks::table, network::table] {
        all.extend(subject());
    }
    all
}
