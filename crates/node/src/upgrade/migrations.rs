//! The upgrades that this program can do: its registry of migrations, compiled in.
//!
//! A release that changes the rules of the ledger adds the plan's name here, with what it does to the state.

use std::sync::atomic::{AtomicBool, Ordering};

use baton_chain::Migrations;

/// The plan to practise on: it changes nothing in the state.
const EXAMPLE: &str = "v2";

/// Whether this program can do it.
static CAN_EXAMPLE: AtomicBool = AtomicBool::new(cfg!(feature = "upgrade-example"));

/// Makes this program one that can do the plan `v2`, which changes nothing, or one that cannot: for those who show an upgrade with
/// one build.
pub fn practise(can: bool) {
    CAN_EXAMPLE.store(can, Ordering::Relaxed);
}

/// All migrations of this program.
pub fn migrations() -> Migrations {
    // a program that is older than this one
    fail::fail_point!("node::older", |_| Migrations::new());
    let migrations = Migrations::new();
    if !CAN_EXAMPLE.load(Ordering::Relaxed) {
        return migrations;
    }
    migrations.with(EXAMPLE, |_| {
        tracing::info!(plan = EXAMPLE, "migrating");
        Ok(baton_ledger::state::Changes::default())
    })
}
