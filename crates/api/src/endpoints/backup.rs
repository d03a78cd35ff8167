//! Backups of the wallet: everything that the chain cannot tell, and the keys as they are in their files, encrypted.

use baton_wallet::backup::Backup;
use serde_json::{Map, Value};

use super::walleting::look_again;
use crate::{
    fault::Fault,
    namespace::Namespace,
    reply::{Answer, Reply},
    request::{Ignored, request, structured},
    table::{Endpoint, Lane},
};

pub(super) fn table() -> Vec<Endpoint> {
    vec![
        Endpoint::wallet("backup-wallet", Lane::Read, backup)
            .doc("A backup of accounts, assets, contracts and encrypted keys. For this machine only."),
        Endpoint::wallet("restore-wallet", Lane::Write, restore)
            .doc("Brings back a backup, and looks at the chain again. For this machine only.")
            .example(r#"{"account_image":{"slices":[]},"asset_image":{"assets":[]},"key_images":{"xkeys":[]}}"#),
    ]
}

fn backup(namespace: &Namespace, _: Ignored) -> Answer {
    let keys = namespace.keys()?.export_image()?;
    Ok(Reply::of(&namespace.wallet()?.backup(keys)?))
}

request! {
    /// A backup.
    Restore("WalletImage") {
        account_image: Map<String, Value> => "the accounts",
        asset_image: Map<String, Value> => "the assets",
        key_images: Map<String, Value> => "the keys",
        contract_image: Map<String, Value> => "the contracts; bytomd has none",
    }
}

fn restore(namespace: &Namespace, request: Restore) -> Answer {
    let mut image = Map::new();
    for (name, part) in [
        ("account_image", request.account_image),
        ("asset_image", request.asset_image),
        ("key_images", request.key_images),
        ("contract_image", request.contract_image),
    ] {
        if !part.is_empty() {
            image.insert(name.to_owned(), part.into());
        }
    }
    if image.is_empty() {
        return Err(Fault::plain(
            "nothing to restore: account_image, asset_image and key_images are missing",
        ));
    }
    let backup: Backup =
        structured(image.into()).map_err(|complaint| Fault::body(complaint.alone("")))?;
    let (wallet, keys) = (namespace.wallet()?, namespace.keys()?);
    keys.import_image(&backup.key_images)
        .map_err(|error| Fault::from(error).context("restore key images"))?;
    wallet
        .restore(&backup, namespace.parts.chain.tip().height)
        .map_err(|error| Fault::from(error).context("restore account image"))?;
    look_again(namespace, 0)?;
    Ok(Reply::none())
}
