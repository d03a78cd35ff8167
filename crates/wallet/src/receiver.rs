//! Receivers: the addresses of accounts, each with the control program that pays to it.
//!
//! A number is given out once: it is on the disk before the address is told. Whose a program is, is one look-up.

use baton_ledger::{Address, program};
use serde::{Deserialize, Serialize};

use crate::{
    account::{self, Account, AccountName, MAX_NUMBER},
    chainkd::XPub,
    error::WalletError,
    layout,
    path::{DeriveRule, KeyPath},
    store::{Draft, Order, Snapshot, pages},
    wallet::{Page, Wallet},
};

/// An address of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receiver {
    /// The account's id.
    pub account: String,
    /// Its number in its branch, from 1 on.
    pub number: u64,
    /// Whether it is of the branch for change.
    pub change: bool,
    /// Its control program.
    pub program: Vec<u8>,
}

/// A new address, as `create-account-receiver` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverInfo {
    /// Its control program.
    #[serde(with = "hex::serde")]
    pub control_program: Vec<u8>,
    /// Its text on this network.
    pub address: String,
}

/// An address, as `list-addresses` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields of bytomd's answer")]
pub struct AddressInfo {
    pub account_alias: String,
    pub account_id: String,
    pub address: String,
    #[serde(with = "hex::serde")]
    pub control_program: Vec<u8>,
    pub change: bool,
    pub key_index: u64,
}

/// The keys of an account's first holder, as `list-pubkeys` shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeys {
    /// The holder's root key.
    pub root_xpub: XPub,
    /// One for each address: the branch for change, then the other.
    pub pubkey_infos: Vec<PublicKeyInfo>,
}

/// The key of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeyInfo {
    /// The ed25519 public key.
    #[serde(with = "hex::serde")]
    pub pubkey: [u8; 32],
    /// The way to it from the root.
    pub derivation_path: KeyPath,
}

/// What guards an address: its program, and what a witness must show of it.
pub(crate) struct Guard {
    pub(crate) path: KeyPath,
    /// The public key, or the script of several.
    pub(crate) shown: Vec<u8>,
    pub(crate) program: Vec<u8>,
}

impl Account {
    pub(crate) fn path(&self, change: bool, number: u64) -> Result<KeyPath, WalletError> {
        Ok(KeyPath::of_address(
            self.derive_rule,
            self.key_index,
            change,
            number,
        )?)
    }

    /// What guards an address of this account.
    pub(crate) fn guard(&self, change: bool, number: u64) -> Result<Guard, WalletError> {
        let path = self.path(change, number)?;
        let keys: Vec<[u8; 32]> = self
            .xpubs
            .iter()
            .map(|xpub| xpub.derive(path.selectors()).public_key())
            .collect();
        let (shown, program) = guarded_by(&keys, self.quorum)?;
        Ok(Guard {
            path,
            shown,
            program,
        })
    }

    /// The control program of an address of this account.
    pub fn program(&self, change: bool, number: u64) -> Result<Vec<u8>, WalletError> {
        Ok(self.guard(change, number)?.program)
    }

    /// The control programs of a branch's addresses from number `first` on, without end. Quicker than one by one:
    /// the way to the branch is gone once.
    pub(crate) fn programs(
        &self,
        change: bool,
        first: u64,
    ) -> Result<impl Iterator<Item = Result<Vec<u8>, WalletError>>, WalletError> {
        let path = self.path(change, first)?;
        let way = path
            .selectors()
            .split_last()
            .map_or(&[][..], |(_, way)| way);
        let branches: Vec<XPub> = self.xpubs.iter().map(|xpub| xpub.derive(way)).collect();
        Ok((first..).map(move |number| {
            let path = self.path(change, number)?;
            let selector = path.selectors().last().map_or(&[][..], Vec::as_slice);
            let keys: Vec<_> = branches
                .iter()
                .map(|branch| branch.child(selector).public_key())
                .collect();
            Ok(guarded_by(&keys, self.quorum)?.1)
        }))
    }

    /// Rule 0 has one branch only.
    pub(crate) fn branch(&self, change: bool) -> bool {
        change && self.derive_rule == DeriveRule::Bip44
    }
}

/// What a witness must show to pass a program that wants these keys, and the program.
fn guarded_by(keys: &[[u8; 32]], quorum: usize) -> Result<(Vec<u8>, Vec<u8>), WalletError> {
    if let [key] = keys {
        return Ok((key.to_vec(), program::p2wpkh(&program::key_hash(key))));
    }
    let script = program::multisig(keys, quorum)?;
    let program = program::p2wsh(&program::script_hash(&script));
    Ok((script, program))
}

impl Wallet {
    /// Makes the next address of an account, of the branch for change or of the other.
    pub fn create_receiver(
        &self,
        name: AccountName<'_>,
        change: bool,
    ) -> Result<ReceiverInfo, WalletError> {
        let program = self.change(|draft| {
            let account = account::find(draft.snapshot(), name)?;
            Ok(next(draft, &account, change)?.program)
        })?;
        Ok(ReceiverInfo {
            address: self.address_of(&program),
            control_program: program,
        })
    }

    /// The addresses of an account, by their numbers.
    pub fn addresses(
        &self,
        name: AccountName<'_>,
        page: Page,
    ) -> Result<Vec<AddressInfo>, WalletError> {
        let snapshot = self.read()?;
        let account = account::find(&*snapshot, name)?;
        let prefix = layout::receivers_of(&account.id);
        page.of(pages(&*snapshot, &prefix, Order::Ascending))
            .map(|record| {
                let (key, value) = record?;
                let program: Vec<u8> = layout::decode(&key, &value)?;
                let receiver =
                    find(&*snapshot, &program)?.ok_or(WalletError::Missing("address"))?;
                Ok(AddressInfo {
                    account_alias: account.alias.clone(),
                    account_id: account.id.clone(),
                    address: self.address_of(&program),
                    control_program: program,
                    change: receiver.change,
                    key_index: receiver.number,
                })
            })
            .collect()
    }

    /// The public keys of an account's addresses; only `wanted` if it is given.
    pub fn public_keys(
        &self,
        name: AccountName<'_>,
        wanted: Option<&[u8]>,
    ) -> Result<PublicKeys, WalletError> {
        let snapshot = self.read()?;
        let account = account::find(&*snapshot, name)?;
        let root_xpub = account.xpubs[0];
        let mut pubkey_infos = Vec::new();
        for change in [true, false] {
            if account.branch(change) != change {
                continue;
            }
            for number in 1..=last_number(&Draft::new(&*snapshot), &account, change)? {
                let derivation_path = account.path(change, number)?;
                let pubkey = root_xpub.derive(derivation_path.selectors()).public_key();
                if wanted.is_none_or(|wanted| wanted == pubkey) {
                    pubkey_infos.push(PublicKeyInfo {
                        pubkey,
                        derivation_path,
                    });
                }
            }
        }
        if pubkey_infos.is_empty() {
            return Err(WalletError::NoPublicKey);
        }
        Ok(PublicKeys {
            root_xpub,
            pubkey_infos,
        })
    }

    /// Whose a control program is, if it is the wallet's.
    pub fn receiver(&self, program: &[u8]) -> Result<Option<Receiver>, WalletError> {
        find(&*self.read()?, program)
    }

    /// Reads an address of this network: its program, and whose it is if it is the wallet's.
    pub fn look_up_address(
        &self,
        address: &str,
    ) -> Result<(Vec<u8>, Option<Receiver>), WalletError> {
        let program = Address::decode(address, self.params().prefix)?.program();
        let receiver = self.receiver(&program)?;
        Ok((program, receiver))
    }

    /// Who signs for an address and how: the root key and the path to the address's own. For `sign-message`; an
    /// address of several keys signs with its first.
    pub fn signer(&self, address: &str) -> Result<(XPub, KeyPath), WalletError> {
        let (_, receiver) = self.look_up_address(address)?;
        let receiver = receiver.ok_or_else(|| WalletError::NotOurs(address.to_owned()))?;
        let account = self.account(AccountName::Id(&receiver.account))?;
        Ok((
            account.xpubs[0],
            account.path(receiver.change, receiver.number)?,
        ))
    }

    /// The address to which blocks pay; made for the first account if none was set. `None` without accounts.
    pub fn mining_program(&self) -> Result<Option<Vec<u8>>, WalletError> {
        let key = layout::meta(MINING);
        self.change(|draft| {
            if let Some(program) = draft.get(&key)? {
                return Ok(Some(program));
            }
            let Some(account) = account::all(draft.snapshot())?.into_iter().next() else {
                return Ok(None);
            };
            let program = next(draft, &account, false)?.program;
            draft.put(key, &program);
            Ok(Some(program))
        })
    }

    /// Has blocks pay to this address, the wallet's or another.
    pub fn set_mining_address(&self, address: &str) -> Result<(), WalletError> {
        let program = Address::decode(address, self.params().prefix)?.program();
        self.change(|draft| {
            draft.put(layout::meta(MINING), &program);
            Ok(())
        })
    }

    /// The address of a control program, empty if it has none.
    pub(crate) fn address_of(&self, program: &[u8]) -> String {
        Address::from_program(program)
            .map(|address| address.encode(self.params().prefix))
            .unwrap_or_default()
    }
}

/// Where the program is to which blocks pay.
pub(crate) const MINING: &str = "mining";

pub(crate) fn find(
    snapshot: &dyn Snapshot,
    program: &[u8],
) -> Result<Option<Receiver>, WalletError> {
    Draft::new(snapshot).get(&layout::receiver(program))
}

pub(crate) fn last_number(
    draft: &Draft<'_>,
    account: &Account,
    change: bool,
) -> Result<u64, WalletError> {
    let key = layout::address_number(&account.id, account.branch(change));
    Ok(draft.get(&key)?.unwrap_or(0))
}

/// Makes the next address of a branch.
pub(crate) fn next(
    draft: &mut Draft<'_>,
    account: &Account,
    change: bool,
) -> Result<Receiver, WalletError> {
    let change = account.branch(change);
    let number = last_number(draft, account, change)? + 1;
    if number > MAX_NUMBER {
        return Err(WalletError::TooManyAddresses);
    }
    let receiver = Receiver {
        account: account.id.clone(),
        number,
        change,
        program: account.program(change, number)?,
    };
    put(draft, &receiver);
    Ok(receiver)
}

/// Writes the address with the next number.
pub(crate) fn put(draft: &mut Draft<'_>, receiver: &Receiver) {
    draft.put(layout::receiver(&receiver.program), receiver);
    draft.put(
        layout::receiver_of(&receiver.account, receiver.number, receiver.change),
        &receiver.program,
    );
    draft.put(
        layout::address_number(&receiver.account, receiver.change),
        &receiver.number,
    );
}
