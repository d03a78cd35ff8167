//! The table of commands: one row says all there is to know about one.
//!
//! A row is a constant of plain data, built by a chain of `const` calls: what the command is called, which arguments
//! and flags it takes, what of them goes into the body of the request, how the answer is printed. Parsing, help,
//! completions and execution all read these rows; none of them knows a command by name.

mod accounts;
mod assets;
mod chain;
mod contracts;
mod feeds;
mod keys;
mod node;
mod row;
mod tokens;
mod transactions;
mod upgrades;
mod wallet;

pub use row::{Answer, Arguments, Body, Command, Endpoint, Flag, FlagKind, Origin, Requirement};
pub(crate) use row::{
    addition, at_least, between, count, exactly, in_v1, number, row, switch, text,
};

/// Every command, in no particular order.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    [
        tokens::ROWS,
        accounts::ROWS,
        assets::ROWS,
        chain::ROWS,
        contracts::ROWS,
        feeds::ROWS,
        keys::ROWS,
        node::ROWS,
        transactions::ROWS,
        upgrades::ROWS,
        wallet::ROWS,
    ]
    .into_iter()
    .flatten()
}

/// The command of this name.
pub fn find(name: &str) -> Option<&'static Command> {
    commands().find(|command| command.name == name)
}

#[cfg(test)]
mod tests;
