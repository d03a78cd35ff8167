//! Assets that the wallet knows by an alias: those made here, and those it saw issued in the chain.
//!
//! The alias of an asset is folded (trimmed, capital letters) wherever it enters. BTM is always there, and nobody
//! can define or rename it. An asset seen in the chain is called by its id until it is renamed.

use baton_ledger::{
    AssetId,
    asset::{VM_VERSION, asset_id, definition_hash},
    program,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    account::{MAX_ALIAS_LEN, check_keys},
    chainkd::XPub,
    definition::{self, MAX_DEFINITION_LEN},
    error::WalletError,
    layout,
    path::KeyPath,
    store::{Draft, Order, Snapshot, pages},
    text::{as_bytes, as_text},
    wallet::Wallet,
};

/// Most bytes in an issuance program that is given.
pub const MAX_ISSUANCE_PROGRAM_LEN: usize = 64 * 1024;
/// The alias of BTM.
pub const BTM_ALIAS: &str = "BTM";

/// Who may issue an asset, as far as the wallet knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Issuer {
    /// Nobody: BTM.
    Native,
    /// Holders of keys.
    Keys {
        /// Their root keys, in the order of signatures.
        xpubs: Vec<XPub>,
        /// How many must sign.
        quorum: usize,
        /// The asset's number in this wallet, from 1 on.
        key_index: u64,
    },
    /// Whoever satisfies a program that was given.
    Program,
    /// Others: the asset was seen in the chain.
    External,
}

/// An asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// Its id.
    #[serde(with = "as_bytes")]
    pub id: AssetId,
    /// Its name here, in capital letters.
    pub alias: String,
    /// Who may issue it.
    pub issuer: Issuer,
    /// The program that decides on issues.
    pub issuance_program: Vec<u8>,
    /// What it is: the bytes of which the id is made.
    pub definition: Vec<u8>,
}

/// What `create-asset` is asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AssetRequest {
    /// Its name here.
    pub alias: String,
    /// The root keys of its issuers.
    pub root_xpubs: Vec<XPub>,
    /// How many must sign.
    pub quorum: usize,
    /// What it is.
    pub definition: Option<Map<String, Value>>,
    /// The height below which it can be issued; 0 for always.
    pub limit_height: u64,
    /// Decides on issues instead of keys.
    #[serde(with = "hex::serde")]
    pub issuance_program: Vec<u8>,
}

/// An asset, as `list-assets` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields of bytomd's answer")]
pub struct AssetInfo {
    pub r#type: String,
    pub xpubs: Option<Vec<XPub>>,
    pub quorum: usize,
    pub key_index: u64,
    pub derive_rule: u8,
    #[serde(with = "as_text")]
    pub id: AssetId,
    pub alias: String,
    pub vm_version: u64,
    #[serde(with = "hex::serde")]
    pub issue_program: Vec<u8>,
    #[serde(with = "hex::serde")]
    pub raw_definition_byte: Vec<u8>,
    pub definition: Value,
    pub limit_height: u64,
}

impl Asset {
    /// BTM.
    pub fn native() -> Self {
        Self {
            id: AssetId::BTM,
            alias: BTM_ALIAS.to_owned(),
            issuer: Issuer::Native,
            issuance_program: Vec::new(),
            definition: definition::of_btm(),
        }
    }

    /// What it is, as JSON; empty if it is none.
    pub fn definition_json(&self) -> Value {
        definition::from_bytes(&self.definition)
    }

    /// As `list-assets` shows it.
    pub fn info(&self) -> AssetInfo {
        let (kind, keys) = match &self.issuer {
            Issuer::Native => ("internal", None),
            Issuer::Keys {
                xpubs,
                quorum,
                key_index,
            } => ("asset", Some((xpubs, *quorum, *key_index))),
            Issuer::Program => ("", None),
            Issuer::External => ("external", None),
        };
        AssetInfo {
            r#type: kind.to_owned(),
            xpubs: keys.map(|(xpubs, ..)| xpubs.clone()),
            quorum: keys.map_or(0, |(_, quorum, _)| quorum),
            key_index: keys.map_or(0, |(.., key_index)| key_index),
            derive_rule: 0,
            id: self.id,
            alias: self.alias.clone(),
            vm_version: VM_VERSION,
            issue_program: self.issuance_program.clone(),
            raw_definition_byte: self.definition.clone(),
            definition: self.definition_json(),
            limit_height: program::limit_height(&self.issuance_program).unwrap_or(0),
        }
    }
}

impl Wallet {
    /// Defines an asset. Nothing is issued by this.
    pub fn create_asset(&self, request: &AssetRequest) -> Result<Asset, WalletError> {
        let alias = fold(&request.alias)?;
        if alias == BTM_ALIAS {
            return Err(WalletError::NativeAsset);
        }
        let definition = definition::to_bytes(request.definition.as_ref());
        if definition.len() > MAX_DEFINITION_LEN {
            return Err(WalletError::LongDefinition {
                found: definition.len(),
                limit: MAX_DEFINITION_LEN,
            });
        }
        if request.issuance_program.len() > MAX_ISSUANCE_PROGRAM_LEN {
            return Err(WalletError::LongProgram {
                found: request.issuance_program.len(),
                limit: MAX_ISSUANCE_PROGRAM_LEN,
            });
        }
        if request.issuance_program.is_empty() {
            check_keys(&request.root_xpubs, request.quorum)?;
        }
        self.change(|draft| {
            let (issuer, issuance_program) = if request.issuance_program.is_empty() {
                by_keys(draft, request)?
            } else {
                (Issuer::Program, request.issuance_program.clone())
            };
            let asset = Asset {
                id: asset_id(&issuance_program, VM_VERSION, &definition_hash(&definition)),
                alias,
                issuer,
                issuance_program,
                definition,
            };
            // An asset seen in the chain that turns out to be one's own takes its place.
            match draft.get::<Asset>(&layout::asset(&asset.id))? {
                Some(known) if known.issuer == Issuer::External => {
                    draft.remove(layout::asset_alias(&known.alias));
                }
                Some(_) => return Err(WalletError::DuplicateAsset(asset.id)),
                None => draft.remove(layout::seen_asset(&asset.id)),
            }
            put(draft, &asset)?;
            Ok(asset)
        })
    }

    /// Gives an asset another alias.
    pub fn rename_asset(&self, id: &AssetId, alias: &str) -> Result<(), WalletError> {
        let alias = fold(alias)?;
        if *id == AssetId::BTM || alias == BTM_ALIAS {
            return Err(WalletError::NativeAsset);
        }
        self.change(|draft| {
            let mut asset = find(draft, id)?;
            if asset.alias == alias {
                return Ok(());
            }
            draft.remove(layout::asset_alias(&asset.alias));
            draft.remove(layout::seen_asset(id));
            asset.alias = alias;
            put(draft, &asset)
        })
    }

    /// The asset with this id.
    pub fn asset(&self, id: &AssetId) -> Result<Asset, WalletError> {
        find(&Draft::new(&*self.read()?), id)
    }

    /// The asset with this alias, in whatever case.
    pub fn asset_by_alias(&self, alias: &str) -> Result<Asset, WalletError> {
        by_alias(&*self.read()?, alias)
    }

    /// BTM, then all other assets in the order of their ids.
    pub fn assets(&self) -> Result<Vec<Asset>, WalletError> {
        let mut assets = vec![Asset::native()];
        for record in pages(&*self.read()?, layout::ASSETS, Order::Ascending) {
            let (key, value) = record?;
            assets.push(layout::decode(&key, &value)?);
        }
        Ok(assets)
    }
}

fn by_keys(
    draft: &mut Draft<'_>,
    request: &AssetRequest,
) -> Result<(Issuer, Vec<u8>), WalletError> {
    let key = layout::meta("assets");
    let key_index = draft.get::<u64>(&key)?.unwrap_or(0) + 1;
    draft.put(key, &key_index);
    let path = KeyPath::of_asset(key_index);
    let keys: Vec<[u8; 32]> = request
        .root_xpubs
        .iter()
        .map(|xpub| xpub.derive(path.selectors()).public_key())
        .collect();
    let program = program::issuance(&keys, request.quorum, request.limit_height)?;
    let issuer = Issuer::Keys {
        xpubs: request.root_xpubs.clone(),
        quorum: request.quorum,
        key_index,
    };
    Ok((issuer, program))
}

/// Remembers an asset that a transaction of the chain issues, if it says what it is.
pub(crate) fn see(
    draft: &mut Draft<'_>,
    issuance: &baton_ledger::transaction::Issuance,
) -> Result<(), WalletError> {
    if issuance.asset_definition.len() > MAX_DEFINITION_LEN
        || issuance.issuance_program.len() > MAX_ISSUANCE_PROGRAM_LEN
        || serde_json::from_slice::<Map<String, Value>>(&issuance.asset_definition).is_err()
    {
        return Ok(());
    }
    let id = issuance.asset_id();
    if draft.contains(&layout::asset(&id))? || draft.contains(&layout::seen_asset(&id))? {
        return Ok(());
    }
    // bytomd keeps the small letters of the id, unlike those of any other alias.
    let asset = Asset {
        id,
        alias: id.to_string(),
        issuer: Issuer::External,
        issuance_program: issuance.issuance_program.clone(),
        definition: issuance.asset_definition.clone(),
    };
    draft.put(layout::seen_asset(&id), &asset);
    Ok(())
}

/// Lists an asset that a transaction of an account has, if it was seen before.
pub(crate) fn meet(draft: &mut Draft<'_>, id: &AssetId) -> Result<(), WalletError> {
    let seen_key = layout::seen_asset(id);
    if let Some(asset) = draft.get::<Asset>(&seen_key)? {
        draft.remove(seen_key);
        if !draft.contains(&layout::asset(id))? {
            draft.put(layout::asset(id), &asset);
        }
    }
    Ok(())
}

/// The asset, if it was made, met or seen.
pub(crate) fn known(draft: &Draft<'_>, id: &AssetId) -> Result<Option<Asset>, WalletError> {
    if *id == AssetId::BTM {
        return Ok(Some(Asset::native()));
    }
    let listed = draft.get(&layout::asset(id))?;
    match listed {
        Some(asset) => Ok(Some(asset)),
        None => draft.get(&layout::seen_asset(id)),
    }
}

pub(crate) fn find(draft: &Draft<'_>, id: &AssetId) -> Result<Asset, WalletError> {
    known(draft, id)?.ok_or_else(|| WalletError::NoAsset(id.to_string()))
}

pub(crate) fn by_alias(snapshot: &dyn Snapshot, alias: &str) -> Result<Asset, WalletError> {
    let folded = alias.trim().to_uppercase();
    if folded == BTM_ALIAS {
        return Ok(Asset::native());
    }
    let draft = Draft::new(snapshot);
    match draft.get::<[u8; 32]>(&layout::asset_alias(&folded))? {
        Some(id) => find(&draft, &AssetId(id)),
        // Assets from outside are known by their id too.
        None => match alias.trim().parse() {
            Ok(id) => find(&draft, &id),
            Err(_) => Err(WalletError::NoAsset(alias.to_owned())),
        },
    }
}

/// Writes an asset, unless another has its alias.
pub(crate) fn put(draft: &mut Draft<'_>, asset: &Asset) -> Result<(), WalletError> {
    let alias_key = layout::asset_alias(&asset.alias);
    if draft.contains(&alias_key)? {
        return Err(WalletError::DuplicateAlias {
            what: "asset",
            alias: asset.alias.clone(),
        });
    }
    draft.put(alias_key, asset.id.as_bytes());
    draft.put(layout::asset(&asset.id), asset);
    Ok(())
}

/// The alias as it is kept: without white space around it, in capital letters.
pub(crate) fn fold(alias: &str) -> Result<String, WalletError> {
    let alias = alias.trim().to_uppercase();
    if alias.is_empty() {
        return Err(WalletError::EmptyAlias("asset"));
    }
    if alias.len() > MAX_ALIAS_LEN {
        return Err(WalletError::LongAlias(alias.len()));
    }
    Ok(alias)
}
