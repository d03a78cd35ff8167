//! The wallet: keys, accounts, addresses, and the building and signing of transactions.
#![doc = ""]
#![doc = include_str!("../README.md")]

pub mod account;
pub mod answer;
pub mod asset;
pub mod backup;
pub mod build;
pub mod chainkd;
pub mod contract;
mod definition;
mod error;
pub mod estimate;
pub mod follow;
mod holdings;
pub mod keystore;
mod layout;
pub mod message;
pub mod mnemonic;
pub mod path;
mod pool;
pub mod receiver;
pub mod recovery;
pub mod reservation;
mod rewind;
pub mod select;
pub mod sign;
pub mod store;
pub mod template;
mod text;
mod transactions;
mod unspent;
mod wallet;

pub use definition::MAX_DEFINITION_LEN;
pub use error::WalletError;
pub use pool::MAX_UNCONFIRMED;
pub use unspent::Unspent;
pub use wallet::{Page, Wallet};
