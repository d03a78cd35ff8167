//! Backup and restore: everything that the chain cannot tell, in one JSON.
//!
//! It is bytomd's, which each of the two restores from the other, and more: how many addresses were given out, and
//! the contracts. bytomd passes over what it does not know. Keys are in it as they are in their files, encrypted.

use baton_ledger::{AssetId, asset::VM_VERSION};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    account::{self, Account, MAX_ID_LEN, MAX_NUMBER, check_keys, keys_hash},
    asset::{self, Asset, Issuer},
    chainkd::XPub,
    contract::Contract,
    definition,
    error::WalletError,
    keystore::KeyImage,
    layout,
    path::DeriveRule,
    receiver, recovery,
    store::Draft,
    text::as_text,
    wallet::Wallet,
};

/// Most addresses of one branch that a backup may ask for at once; the rest is found in the chain.
pub const MAX_RESTORED_ADDRESSES: u64 = 100_000;

/// A backup of a wallet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Backup {
    /// The accounts.
    pub account_image: AccountImage,
    /// The assets.
    pub asset_image: AssetImage,
    /// The keys, encrypted.
    pub key_images: KeyImage,
    /// The contracts; bytomd has them not.
    pub contract_image: ContractImage,
}

/// The accounts of a backup.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountImage {
    /// Each account with its addresses.
    pub slices: Option<Vec<AccountSlice>>,
}

/// An account of a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountSlice {
    /// The account.
    pub account: SavedAccount,
    /// How many addresses an account of rule 0 has given out; 0 for others, as in bytomd.
    #[serde(default)]
    pub contract_index: u64,
    /// How many addresses were given out; bytomd has it not.
    #[serde(default)]
    pub address_index: u64,
    /// How many addresses for change were given out; bytomd has it not.
    #[serde(default)]
    pub change_address_index: u64,
}

/// An account, as a backup has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields of Account")]
pub struct SavedAccount {
    /// Always `account`.
    pub r#type: String,
    pub xpubs: Vec<XPub>,
    pub quorum: usize,
    pub key_index: u64,
    pub derive_rule: DeriveRule,
    pub id: String,
    pub alias: String,
}

/// The assets of a backup.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AssetImage {
    /// Each asset.
    pub assets: Option<Vec<SavedAsset>>,
}

/// An asset, as a backup has it. Those that a given program issues have no keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields of AssetInfo")]
pub struct SavedAsset {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub r#type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xpubs: Option<Vec<XPub>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_index: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub derive_rule: Option<u8>,
    #[serde(with = "as_text")]
    pub id: AssetId,
    pub alias: String,
    pub vm_version: u64,
    #[serde(with = "hex::serde")]
    pub issue_program: Vec<u8>,
    #[serde(with = "hex::serde")]
    pub raw_definition_byte: Vec<u8>,
    #[serde(default)]
    pub definition: Value,
}

/// The contracts of a backup.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContractImage {
    /// Each contract.
    pub contracts: Vec<Contract>,
}

/// What a restore did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// The ids of the accounts that are new here.
    pub accounts: Vec<String>,
    /// The ids of the accounts that were there, and stayed.
    pub known_accounts: Vec<String>,
    /// The assets that are new here.
    pub assets: Vec<AssetId>,
    /// The assets that were there, and stayed.
    pub known_assets: Vec<AssetId>,
}

impl Wallet {
    /// Everything of the wallet that the chain cannot tell, and these keys.
    pub fn backup(&self, key_images: KeyImage) -> Result<Backup, WalletError> {
        let snapshot = self.read()?;
        let draft = Draft::new(&*snapshot);
        let slices = account::all(&*snapshot)?
            .into_iter()
            .map(|account| {
                let address_index = receiver::last_number(&draft, &account, false)?;
                let two_branches = account.derive_rule == DeriveRule::Bip44;
                Ok(AccountSlice {
                    contract_index: if two_branches { 0 } else { address_index },
                    address_index,
                    change_address_index: if two_branches {
                        receiver::last_number(&draft, &account, true)?
                    } else {
                        0
                    },
                    account: SavedAccount {
                        r#type: "account".to_owned(),
                        xpubs: account.xpubs,
                        quorum: account.quorum,
                        key_index: account.key_index,
                        derive_rule: account.derive_rule,
                        id: account.id,
                        alias: account.alias,
                    },
                })
            })
            .collect::<Result<_, WalletError>>()?;
        let assets = self
            .assets()?
            .iter()
            .filter(|asset| asset.issuer != Issuer::Native)
            .map(SavedAsset::of)
            .collect();
        Ok(Backup {
            account_image: AccountImage {
                slices: Some(slices),
            },
            asset_image: AssetImage {
                assets: Some(assets),
            },
            key_images,
            contract_image: ContractImage {
                contracts: self.contracts()?,
            },
        })
    }

    /// Brings back accounts, assets and contracts that are not here, all or none; then looks at the chain from its
    /// beginning again, and up to `chain_height` for addresses that the backup does not know.
    ///
    /// The keys are the keystore's to import.
    pub fn restore(&self, backup: &Backup, chain_height: u64) -> Result<Restored, WalletError> {
        let restored = self.change(|draft| {
            let mut restored = Restored::default();
            for slice in backup.account_image.slices.iter().flatten() {
                let account = slice.account.check()?;
                if draft.contains(&layout::account(&account.id))? {
                    restored.known_accounts.push(account.id.clone());
                } else {
                    refuse_rivals(draft, &account)?;
                    account::put(draft, &account)?;
                    restored.accounts.push(account.id.clone());
                }
                slice.give_out(draft, &account)?;
                recovery::begin(draft, &account, chain_height)?;
            }
            for saved in backup.asset_image.assets.iter().flatten() {
                let asset = saved.check()?;
                if draft.contains(&layout::asset(&asset.id))? {
                    restored.known_assets.push(asset.id);
                    continue;
                }
                restored.assets.push(asset.id);
                if let Issuer::Keys { key_index, .. } = asset.issuer {
                    let key = layout::meta("assets");
                    let last = draft.get::<u64>(&key)?.unwrap_or(0);
                    draft.put(key, &last.max(key_index));
                }
                asset::put(draft, &asset)?;
            }
            for contract in &backup.contract_image.contracts {
                let key = layout::contract(&contract.id);
                if !draft.contains(&key)? {
                    draft.put(key, contract);
                }
            }
            Ok(restored)
        })?;
        self.rescan(0)?;
        Ok(restored)
    }
}

impl AccountSlice {
    /// Makes the addresses that were given out.
    fn give_out(&self, draft: &mut Draft<'_>, account: &Account) -> Result<(), WalletError> {
        let plain = self.address_index.max(self.contract_index);
        for (change, wanted) in [(false, plain), (true, self.change_address_index)] {
            if account.branch(change) != change {
                continue;
            }
            let wanted = wanted.min(MAX_RESTORED_ADDRESSES);
            while receiver::last_number(draft, account, change)? < wanted {
                receiver::next(draft, account, change)?;
            }
        }
        Ok(())
    }
}

impl SavedAccount {
    fn check(&self) -> Result<Account, WalletError> {
        check_keys(&self.xpubs, self.quorum)?;
        if self.id.is_empty() || self.id.len() > MAX_ID_LEN {
            return Err(WalletError::BadId(self.id.len()));
        }
        if self.key_index > MAX_NUMBER {
            return Err(WalletError::TooManyAccounts);
        }
        Ok(Account {
            id: self.id.clone(),
            alias: account::fold(&self.alias)?,
            xpubs: self.xpubs.clone(),
            quorum: self.quorum,
            key_index: self.key_index,
            derive_rule: self.derive_rule,
        })
    }
}

/// Refuses an account whose alias, or whose keys and number, another account has.
fn refuse_rivals(draft: &Draft<'_>, account: &Account) -> Result<(), WalletError> {
    if draft.contains(&layout::account_alias(&account.alias))? {
        return Err(account::taken(account.alias.clone()));
    }
    // Accounts of this very backup are in the draft only, where their aliases and addresses tell.
    let first = account.program(false, 1)?;
    if let Some(other) = draft.get::<receiver::Receiver>(&layout::receiver(&first))? {
        return Err(WalletError::DuplicateAccount(other.account));
    }
    for other in account::all(draft.snapshot())? {
        let same_keys = keys_hash(&other.xpubs) == keys_hash(&account.xpubs);
        if same_keys && other.key_index == account.key_index {
            return Err(WalletError::DuplicateAccount(other.id));
        }
    }
    Ok(())
}

impl SavedAsset {
    fn of(asset: &Asset) -> Self {
        let info = asset.info();
        let keys = matches!(asset.issuer, Issuer::Keys { .. });
        let known = asset.issuer != Issuer::Program;
        Self {
            r#type: info.r#type,
            xpubs: info.xpubs,
            quorum: known.then_some(info.quorum),
            key_index: known.then_some(info.key_index),
            derive_rule: (keys || known).then_some(0),
            id: info.id,
            alias: info.alias,
            vm_version: info.vm_version,
            issue_program: info.issue_program,
            raw_definition_byte: info.raw_definition_byte,
            definition: info.definition,
        }
    }

    fn check(&self) -> Result<Asset, WalletError> {
        let definition = if self.raw_definition_byte.is_empty() {
            definition::to_bytes(self.definition.as_object())
        } else {
            self.raw_definition_byte.clone()
        };
        let issuer = match (self.r#type.as_str(), &self.xpubs) {
            ("external", _) => Issuer::External,
            (_, Some(xpubs)) => {
                let quorum = self.quorum.unwrap_or(0);
                check_keys(xpubs, quorum)?;
                Issuer::Keys {
                    xpubs: xpubs.clone(),
                    quorum,
                    key_index: self.key_index.unwrap_or(0),
                }
            }
            _ => Issuer::Program,
        };
        // External assets are called by their ids, in small letters.
        let alias = match issuer {
            Issuer::External => self.alias.clone(),
            _ => asset::fold(&self.alias)?,
        };
        let computed = baton_ledger::asset::asset_id(
            &self.issue_program,
            VM_VERSION,
            &baton_ledger::asset::definition_hash(&definition),
        );
        if computed != self.id && issuer != Issuer::External {
            return Err(WalletError::NoAsset(format!(
                "{}, whose program and definition make {computed}",
                self.id
            )));
        }
        Ok(Asset {
            id: self.id,
            alias,
            issuer,
            issuance_program: self.issue_program.clone(),
            definition,
        })
    }
}
