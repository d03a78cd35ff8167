//! The wallet: keys, accounts, addresses, and the building and signing of transactions.
#![doc = ""]
#![doc = include_str!("../README.md")]

pub mod chainkd;
pub mod keystore;
pub mod message;
pub mod mnemonic;
pub mod path;
