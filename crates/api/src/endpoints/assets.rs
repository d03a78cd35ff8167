//! Assets: what they are called here and who may issue them.

use baton_ledger::AssetId;
use baton_wallet::{
    WalletError,
    asset::{Asset, AssetRequest},
    chainkd::XPub,
};
use serde_json::{Map, Value};

use super::accounts::quorum;
use crate::{
    fault::Fault,
    namespace::Namespace,
    reply::{Answer, Reply},
    request::{Hex, request},
    table::{Endpoint, Fresh, Lane},
};

pub(super) fn table() -> Vec<Endpoint> {
    vec![
        Endpoint::wallet("create-asset", Lane::Write, create)
            .doc("Defines an asset; nothing is issued by this.")
            .example(r#"{"alias":"GOLD","root_xpubs":["96de0361f1aba7e629d1425c097a1035678020482fe865960ba03e90f844d0f15639a5eddb71ac901c7164f82e3c1250ed1ff05509f127f1c5cc1da45fa64df5"],"quorum":1,"definition":{"decimals":8}}"#),
        Endpoint::wallet("update-asset-alias", Lane::Write, rename)
            .doc("Gives an asset another alias.")
            .example(r#"{"id":"d081e3930d7d4b3d2279233e7af58d60bd3a38e253f30f862f224f4624b1dda8","alias":"SILVER"}"#),
        Endpoint::wallet("get-asset", Lane::Read, get)
            .fresh(Fresh::Wallet)
            .doc("An asset.")
            .example(r#"{"id":"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"}"#),
        Endpoint::wallet("list-assets", Lane::Read, list)
            .fresh(Fresh::Wallet)
            .doc("The assets: all that the wallet knows, or one.")
            .example(r#"{"id":""}"#),
    ]
}

request! {
    /// A new asset.
    Create {
        alias: String => "its name here",
        root_xpubs: Vec<XPub> => "the root keys of those who may issue it",
        quorum: i64 => "how many of them must sign",
        definition: Option<Map<String, Value>> => "what it is: part of its id, and told to everyone",
        limit_height: u64 => "the height below which it can be issued; 0 for always",
        issuance_program: Hex => "what decides on issues instead of keys",
    }
}

fn create(namespace: &Namespace, request: Create) -> Answer {
    let asset = namespace.wallet()?.create_asset(&AssetRequest {
        alias: request.alias,
        root_xpubs: request.root_xpubs,
        quorum: quorum(request.quorum),
        definition: request.definition,
        limit_height: request.limit_height,
        issuance_program: request.issuance_program.0,
    })?;
    Ok(Reply::of(&asset.info()))
}

request! {
    /// An asset and its new name.
    Rename {
        id: String => "the asset's id",
        alias: String => "its new alias",
    }
}

fn rename(namespace: &Namespace, request: Rename) -> Answer {
    if request.alias.trim().is_empty() {
        return Err(WalletError::EmptyAlias("asset").into());
    }
    let id = asset_id(&request.id)?;
    namespace.wallet()?.rename_asset(&id, &request.alias)?;
    Ok(Reply::none())
}

request! {
    /// Which asset.
    OfAsset {
        id: String => "the asset's id",
    }
}

fn get(namespace: &Namespace, request: OfAsset) -> Answer {
    let asset = namespace.wallet()?.asset(&asset_id(&request.id)?)?;
    Ok(Reply::of(&asset.info()))
}

fn list(namespace: &Namespace, request: OfAsset) -> Answer {
    let wallet = namespace.wallet()?;
    let assets: Vec<Asset> = match request.id.as_str() {
        "" => wallet.assets()?,
        id => match wallet.asset(&asset_id(id)?) {
            Err(WalletError::NoAsset(_)) => Vec::new(),
            found => vec![found?],
        },
    };
    let infos: Vec<_> = assets.iter().map(Asset::info).collect();
    Ok(Reply::of(&infos))
}

/// An asset's id, or what bytomd says of a text that is none.
fn asset_id(text: &str) -> Result<AssetId, Fault> {
    text.parse().map_err(|_| match text.len() {
        64 => Fault::plain(format!("asset id {text:?} is not hexadecimal")),
        length => Fault::plain(format!("bad length hash string {length}")),
    })
}
