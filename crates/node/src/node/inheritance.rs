//! What one process of a node tells the next in memory.

use std::collections::BTreeMap;

use baton_handover::State;
use baton_wallet::reservation::Reserved;
use serde::{Deserialize, Serialize};

use crate::namespace::{Legacy, Name};

/// Its name among the states of a handover.
pub(super) const STATE: &str = "namespaces";

/// How all namespaces were left. Raise the version whenever the written form changes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Inheritance {
    pub(super) namespaces: BTreeMap<Name, Was>,
}

impl State for Inheritance {
    const VERSION: u32 = 2;
}

/// The name of the other state.
pub(super) const RESERVATIONS: &str = "reservations";

/// What the wallets of those that ran had reserved. Apart from the rest, so that processes of which only one knows of it hand over to
/// each other.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Reservations {
    pub(super) namespaces: BTreeMap<Name, Reserved>,
}

impl State for Reservations {
    const VERSION: u32 = 1;
}

/// What a namespace was doing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Was {
    /// It ran, and is to run.
    Running(Legacy),
    /// Somebody has stopped it, or nobody started it.
    Stopped,
    /// It could not be started, or a part of it died.
    Failed(String),
}
