//! Listeners that a program opens by itself, and means to.
//!
//! Not everything can be claimed by name: a library may insist on binding its own socket. If the program closes it before the next
//! generation opens it anew, nothing is forgotten. It says so here, so that those that were forgotten can be told from these.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Addresses at which each generation listens by itself; from [`Handover::own_listeners`](crate::Handover::own_listeners).
#[derive(Debug, Clone, Default)]
pub struct OwnListeners(Arc<Mutex<BTreeSet<SocketAddr>>>);

impl OwnListeners {
    /// This process listens there, or is about to, and closes it before the next one opens it.
    pub fn add(&self, address: SocketAddr) {
        let mut addresses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.insert(address);
    }

    pub(crate) fn contains(&self, address: &SocketAddr) -> bool {
        let addresses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.contains(address)
    }
}
