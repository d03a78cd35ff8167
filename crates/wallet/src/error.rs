//! What can go wrong in a wallet, and the codes by which Bytom's clients know it.

use baton_ledger::{AssetId, Hash, address::AddressError, program::MultisigError};

use crate::{
    account::{MAX_ALIAS_LEN, MAX_ID_LEN, MAX_KEYS},
    chainkd::XPub,
    path::PathError,
    store::StoreError,
};

/// Why the wallet refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record is not what the wallet wrote.
    #[error("the wallet's record {key} is damaged")]
    Damaged {
        /// Its key, in hexadecimal.
        key: String,
        /// What the decoder missed.
        source: postcard::Error,
    },
    /// A record that another one names is not there.
    #[error("the wallet's store has no {0}, although another record names it: rescan")]
    Missing(&'static str),
    /// The store was written by another version of the wallet.
    #[error("the wallet's store has layout {found}, this reads {wanted} only")]
    Layout {
        /// The version found.
        found: u32,
        /// The version known here.
        wanted: u32,
    },
    /// The store is of another network.
    #[error("the wallet's store is of the network {found:?}, not {wanted:?}")]
    Network {
        /// The store's.
        found: String,
        /// The wallet's.
        wanted: String,
    },

    /// An account or asset needs keys.
    #[error("at least one xpub is required")]
    NoKeys,
    /// More than [`MAX_KEYS`] keys.
    #[error("at most {MAX_KEYS} xpubs can share an account or asset, these are {0}")]
    TooManyKeys(usize),
    /// A key is named twice.
    #[error("xpubs cannot contain the same key more than once: duplicated key={0}")]
    DuplicateKey(XPub),
    /// The quorum is 0 or more than the keys.
    #[error("quorum {quorum} must be at least 1 and at most the number of xpubs, {keys}")]
    Quorum {
        /// How many must sign.
        quorum: usize,
        /// How many keys there are.
        keys: usize,
    },
    /// Nothing is left of the alias when white space is trimmed.
    #[error("null {0} alias")]
    EmptyAlias(&'static str),
    /// The alias is longer than [`MAX_ALIAS_LEN`].
    #[error("an alias has at most {MAX_ALIAS_LEN} bytes, this has {0}")]
    LongAlias(usize),
    /// An id from a backup is empty or longer than [`MAX_ID_LEN`].
    #[error("an account's id has 1 to {MAX_ID_LEN} bytes, this has {0}")]
    BadId(usize),
    /// Another account or asset has the alias, folded.
    #[error("duplicate {what} alias: {alias:?} is taken")]
    DuplicateAlias {
        /// `account` or `asset`.
        what: &'static str,
        /// The alias, folded.
        alias: String,
    },
    /// There are as many accounts as these keys can have.
    #[error("exceeded maximum accounts per xpub: {}", crate::account::MAX_NUMBER)]
    TooManyAccounts,
    /// The account has as many addresses as it can have.
    #[error(
        "exceeded maximum addresses per account: {}",
        crate::account::MAX_NUMBER
    )]
    TooManyAddresses,
    /// A restored account's keys and number are those of another.
    #[error("duplicate account with same xPubs and index: {0}")]
    DuplicateAccount(String),
    /// No such account.
    #[error("failed to find account: {0:?}")]
    NoAccount(String),
    /// No such asset.
    #[error("fail to find asset: {0}")]
    NoAsset(String),
    /// The asset is there already.
    #[error("duplicate asset id: {0}")]
    DuplicateAsset(AssetId),
    /// BTM cannot be defined or renamed.
    #[error("btm has been defined as the internal asset")]
    NativeAsset,
    /// The definition is longer than allowed.
    #[error("an asset's definition has at most {limit} bytes, this has {found}")]
    LongDefinition {
        /// Its length.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The program is longer than allowed.
    #[error("a program has at most {limit} bytes, this has {found}")]
    LongProgram {
        /// Its length.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The contract is there already.
    #[error("contract is duplicated: {}", hex::encode(.0))]
    DuplicateContract([u8; 32]),
    /// No such contract.
    #[error("contract not found: {}", hex::encode(.0))]
    NoContract([u8; 32]),
    /// The contract has no code.
    #[error("contract is empty")]
    EmptyContract,
    /// The account has no key with this public key, or none yet.
    #[error("Not found publickey for the account")]
    NoPublicKey,
    /// A path cannot be made.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Keys and quorum make no program.
    #[error(transparent)]
    Multisig(#[from] MultisigError),
    /// The text is no address of the network.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No program of the wallet belongs to the address.
    #[error("failed to find account control program: {0}")]
    NotOurs(String),

    /// The block is further on than the next one.
    #[error("block {found} does not follow the wallet's block {best:?}: attach from {wanted} on")]
    Gap {
        /// The block's height.
        found: u64,
        /// The wallet's best height, if it has one.
        best: Option<u64>,
        /// The height it waits for.
        wanted: u64,
    },
    /// The block does not build on the wallet's block.
    #[error("block {height} does not follow the wallet's block {best}: find the resume point")]
    Fork {
        /// The block's height.
        height: u64,
        /// The wallet's best block.
        best: Hash,
    },
    /// A sum of outputs would be negative.
    #[error(
        "the balance of account {account} in asset {asset} is less than one of its outputs: rescan"
    )]
    Balance {
        /// The account.
        account: String,
        /// The asset.
        asset: AssetId,
    },
    /// The pool that is watched is full.
    #[error("the wallet watches at most {0} unconfirmed transactions")]
    PoolFull(usize),
    /// No transaction with this id concerns the wallet.
    #[error("No transaction(tx_id={0}) from txpool")]
    NoTransaction(Hash),
}

impl WalletError {
    /// The code of the answer; `BTM000` is the one of faults without their own.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Quorum { .. } => "BTM200",
            Self::NoKeys => "BTM202",
            Self::DuplicateKey(_) => "BTM203",
            Self::DuplicateContract(_) => "BTM302",
            Self::NoContract(_) => "BTM303",
            Self::NoAccount(_) => "BTM709",
            Self::NoAsset(_) => "BTM710",
            _ => "BTM000",
        }
    }
}
