//! The upgrades that this program can do: its registry of migrations, compiled in.
//!
//! A release that changes the rules of the ledger adds the plan's name here, with what it does to the state.

use baton_chain::Migrations;

/// The plan that a build with the feature `upgrade-example` can do, to practise on: it changes nothing in the state.
#[cfg(feature = "upgrade-example")]
const EXAMPLE: &str = "v2";

/// All migrations of this program.
pub fn migrations() -> Migrations {
    // a program that is older than this one
    fail::fail_point!("node::older", |_| Migrations::new());
    let migrations = Migrations::new();
    #[cfg(feature = "upgrade-example")]
    let migrations = migrations.with(EXAMPLE, |_| {
        tracing::info!(plan = EXAMPLE, "migrating");
        Ok(baton_ledger::state::Changes::default())
    });
    migrations
}
