//! How the wallet's records lie in its store: every key, and the encoding of every value.
//!
//! A key begins with a letter that says what it is of. Numbers are written big endian, so that the order of keys is
//! the order of numbers; an account's id is preceded by its length, so that no id is the beginning of another.
//! Values are in postcard's format.
//!
//! | key | value |
//! |---|---|
//! | `m` name | facts about the wallet itself |
//! | `h` height | hash of a recent block |
//! | `A` account | [`Account`](crate::account::Account) |
//! | `a` alias | an account's id |
//! | `k` hash of root keys | the last account number under these keys |
//! | `n` account, change | the last address number of the branch |
//! | `p` program | [`Receiver`](crate::receiver::Receiver) |
//! | `q` account, address number, change | its program |
//! | `S` asset | [`Asset`](crate::asset::Asset) |
//! | `s` alias | an asset's id |
//! | `x` asset | an asset that was issued in the chain and not met by an account yet |
//! | `C` contract | [`Contract`](crate::contract::Contract) |
//! | `U` output | [`Unspent`](crate::unspent::Unspent) |
//! | `u` account, asset, vote, amount, output | from which height on it can be spent: outputs of an account, greatest amount first |
//! | `z` output | a spent output and the height of its spending |
//! | `b` account, asset | sum of its outputs |
//! | `v` account, vote | sum of its votes |
//! | `T` height, position | a transaction that concerns the wallet |
//! | `t` account or none, height, position | nothing: an account's, or all, transactions |
//! | `i` transaction | its height and position |
//! | `r` account | what is being recovered of it |
//! | `w` program | a program that is looked out for in a recovery |
//! | `R` account | an account that may be recovered |
//! | `y` hash of root keys | keys whose accounts are being recovered |

use baton_ledger::{AssetId, Hash};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::WalletError;

/// The version of this layout; a store of another is refused.
pub(crate) const VERSION: u32 = 1;

/// Encodes a record.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("records have lengths and no maps")
}

/// Decodes the record that was found under `key`.
pub(crate) fn decode<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, WalletError> {
    postcard::from_bytes(value).map_err(|source| WalletError::Damaged {
        key: hex::encode(key),
        source,
    })
}

fn key(letter: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![letter];
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

/// Ids of accounts have at most [`crate::account::MAX_ID_LEN`] bytes.
fn account_len(id: &str) -> [u8; 1] {
    [u8::try_from(id.len()).unwrap_or(u8::MAX)]
}

pub(crate) fn meta(name: &str) -> Vec<u8> {
    key(b'm', &[name.as_bytes()])
}

pub(crate) fn block_hash(height: u64) -> Vec<u8> {
    key(b'h', &[&height.to_be_bytes()])
}

pub(crate) fn account(id: &str) -> Vec<u8> {
    key(b'A', &[id.as_bytes()])
}

pub(crate) const ACCOUNTS: &[u8] = b"A";

pub(crate) fn account_alias(alias: &str) -> Vec<u8> {
    key(b'a', &[alias.as_bytes()])
}

pub(crate) fn account_number(keys: &Hash) -> Vec<u8> {
    key(b'k', &[keys.as_bytes()])
}

pub(crate) fn address_number(account: &str, change: bool) -> Vec<u8> {
    key(
        b'n',
        &[&account_len(account), account.as_bytes(), &[change.into()]],
    )
}

pub(crate) fn receiver(program: &[u8]) -> Vec<u8> {
    key(b'p', &[program])
}

pub(crate) fn receivers_of(account: &str) -> Vec<u8> {
    key(b'q', &[&account_len(account), account.as_bytes()])
}

pub(crate) fn receiver_of(account: &str, number: u64, change: bool) -> Vec<u8> {
    key(
        b'q',
        &[
            &account_len(account),
            account.as_bytes(),
            &number.to_be_bytes(),
            &[change.into()],
        ],
    )
}

pub(crate) fn asset(id: &AssetId) -> Vec<u8> {
    key(b'S', &[id.as_bytes()])
}

pub(crate) const ASSETS: &[u8] = b"S";

pub(crate) fn seen_asset(id: &AssetId) -> Vec<u8> {
    key(b'x', &[id.as_bytes()])
}

pub(crate) fn asset_alias(alias: &str) -> Vec<u8> {
    key(b's', &[alias.as_bytes()])
}

pub(crate) fn contract(id: &[u8; 32]) -> Vec<u8> {
    key(b'C', &[id])
}

pub(crate) const CONTRACTS: &[u8] = b"C";

pub(crate) fn unspent(id: &Hash) -> Vec<u8> {
    key(b'U', &[id.as_bytes()])
}

pub(crate) const UNSPENT: &[u8] = b"U";

pub(crate) fn unspent_of_account(account: &str) -> Vec<u8> {
    key(b'u', &[&account_len(account), account.as_bytes()])
}

/// The outputs of an account that can be taken for each other; `vote` is empty for original ones.
pub(crate) fn unspent_alike(account: &str, asset: &AssetId, vote: &[u8]) -> Vec<u8> {
    let vote_len = u16::try_from(vote.len()).unwrap_or(u16::MAX).to_be_bytes();
    key(
        b'u',
        &[
            &account_len(account),
            account.as_bytes(),
            asset.as_bytes(),
            &vote_len,
            vote,
        ],
    )
}

pub(crate) fn unspent_of(
    account: &str,
    asset: &AssetId,
    vote: &[u8],
    amount: u64,
    id: &Hash,
) -> Vec<u8> {
    let mut key = unspent_alike(account, asset, vote);
    key.extend_from_slice(&(!amount).to_be_bytes());
    key.extend_from_slice(id.as_bytes());
    key
}

/// The amount in a key made by [`unspent_of`].
pub(crate) fn unspent_amount(key: &[u8]) -> Option<u64> {
    let (rest, _) = key.split_last_chunk::<32>()?;
    rest.last_chunk().map(|amount| !u64::from_be_bytes(*amount))
}

/// The output that a key made by [`unspent_of`] is of.
pub(crate) fn unspent_id(key: &[u8]) -> Option<Hash> {
    key.last_chunk().map(|id| Hash(*id))
}

pub(crate) fn spent(id: &Hash) -> Vec<u8> {
    key(b'z', &[id.as_bytes()])
}

pub(crate) fn balances_of(account: &str) -> Vec<u8> {
    key(b'b', &[&account_len(account), account.as_bytes()])
}

pub(crate) fn balance(account: &str, asset: &AssetId) -> Vec<u8> {
    let mut key = balances_of(account);
    key.extend_from_slice(asset.as_bytes());
    key
}

pub(crate) fn votes_of(account: &str) -> Vec<u8> {
    key(b'v', &[&account_len(account), account.as_bytes()])
}

pub(crate) fn vote(account: &str, vote: &[u8]) -> Vec<u8> {
    let mut key = votes_of(account);
    key.extend_from_slice(vote);
    key
}

/// Where a transaction is in the chain.
pub(crate) type Place = (u64, u32);

pub(crate) fn transaction((height, position): Place) -> Vec<u8> {
    key(b'T', &[&height.to_be_bytes(), &position.to_be_bytes()])
}

pub(crate) const TRANSACTIONS: &[u8] = b"T";

/// The transactions of an account, or of all accounts together.
pub(crate) fn transactions_of(account: Option<&str>) -> Vec<u8> {
    let account = account.unwrap_or_default();
    key(b't', &[&account_len(account), account.as_bytes()])
}

pub(crate) fn transaction_of(account: Option<&str>, (height, position): Place) -> Vec<u8> {
    let mut key = transactions_of(account);
    key.extend_from_slice(&height.to_be_bytes());
    key.extend_from_slice(&position.to_be_bytes());
    key
}

/// Where the transaction is that a key made by [`transaction_of`] or [`transaction`] is of.
pub(crate) fn place(key: &[u8]) -> Option<Place> {
    let (rest, position) = key.split_last_chunk::<4>()?;
    let (_, height) = rest.split_last_chunk::<8>()?;
    Some((u64::from_be_bytes(*height), u32::from_be_bytes(*position)))
}

pub(crate) fn transaction_id(id: &Hash) -> Vec<u8> {
    key(b'i', &[id.as_bytes()])
}

pub(crate) fn recovery(account: &str) -> Vec<u8> {
    key(b'r', &[account.as_bytes()])
}

pub(crate) const RECOVERIES: &[u8] = b"r";

pub(crate) fn lookout(program: &[u8]) -> Vec<u8> {
    key(b'w', &[program])
}

pub(crate) fn hidden_account(id: &str) -> Vec<u8> {
    key(b'R', &[id.as_bytes()])
}

pub(crate) fn recovered_keys(keys: &Hash) -> Vec<u8> {
    key(b'y', &[keys.as_bytes()])
}

pub(crate) const RECOVERED_KEYS: &[u8] = b"y";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greater_amounts_come_first_and_newer_transactions_last() {
        let id = Hash::OF_NOTHING;
        let of = |amount| unspent_of("a", &AssetId::BTM, &[], amount, &id);
        assert!(of(2) < of(1) && of(u64::MAX) < of(2));
        assert_eq!(unspent_id(&of(1)), Some(id));
        assert_eq!(unspent_amount(&of(7)), Some(7));
        assert!(transaction_of(None, (255, 1)) < transaction_of(None, (256, 0)));
        assert_eq!(place(&transaction_of(Some("a"), (9, 3))), Some((9, 3)));
        assert_eq!(place(&transaction((9, 3))), Some((9, 3)));
    }

    #[test]
    fn no_account_is_within_another() {
        assert!(!receivers_of("ab").starts_with(&receivers_of("a")));
        assert!(!transactions_of(Some("a")).starts_with(&transactions_of(None)));
        let plain = unspent_alike("a", &AssetId::BTM, &[]);
        assert!(!unspent_alike("a", &AssetId::BTM, &[0; 64]).starts_with(&plain));
    }
}
