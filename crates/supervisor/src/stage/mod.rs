//! The commands that prepare a home and end: `init`, `add-upgrade`, `add-batch-upgrade`,
//! `prepare-upgrade` and `show-upgrade-info`.
//!
//! Each does what Cosmovisor 1.7.1 does, with its log lines, texts, modes and results. What differs
//! is that nothing is left half-done: every file is written beside its place, synced and renamed
//! into it, and what was there is kept unless its replacement was asked for.

pub mod add_batch;
pub mod add_upgrade;
pub mod csv;
pub mod init;
mod place;
pub mod prepare;
pub mod show;

#[cfg(test)]
mod testing;
