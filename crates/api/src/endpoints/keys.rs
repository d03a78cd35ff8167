//! Keys in the keystore.

use baton_wallet::{
    chainkd::XPub,
    mnemonic::{Language, Mnemonic},
};
use serde::Serialize;

use crate::{
    fault::{Fault, told},
    namespace::Namespace,
    reply::{Answer, Reply},
    request::{Ignored, request},
    table::{Endpoint, Lane},
};

pub(super) fn table() -> Vec<Endpoint> {
    vec![
        Endpoint::wallet("create-key", Lane::Keys, create)
            .doc("Makes a key, or takes in the one of twelve words; the words of a new one are told here and nowhere else.")
            .example(r#"{"alias":"alice","password":"secret","language":"en"}"#),
        Endpoint::wallet("update-key-alias", Lane::Write, rename)
            .doc("Gives a key another alias.")
            .example(XPUB_AND_ALIAS),
        Endpoint::wallet("list-keys", Lane::Read, list).doc("The keys."),
        Endpoint::wallet("delete-key", Lane::Keys, delete)
            .doc("Deletes a key with its file. What only it can sign is lost without its twelve words.")
            .example(XPUB_AND_PASSWORD),
        Endpoint::wallet("reset-key-password", Lane::Keys, reset)
            .doc("Puts a key under another password.")
            .example(r#"{"xpub":"96de0361f1aba7e629d1425c097a1035678020482fe865960ba03e90f844d0f15639a5eddb71ac901c7164f82e3c1250ed1ff05509f127f1c5cc1da45fa64df5","old_password":"secret","new_password":"better"}"#),
        Endpoint::wallet("check-key-password", Lane::Keys, check)
            .doc("Whether a password opens a key.")
            .example(XPUB_AND_PASSWORD),
    ]
}

const XPUB_AND_ALIAS: &str = r#"{"xpub":"96de0361f1aba7e629d1425c097a1035678020482fe865960ba03e90f844d0f15639a5eddb71ac901c7164f82e3c1250ed1ff05509f127f1c5cc1da45fa64df5","new_alias":"bob"}"#;
const XPUB_AND_PASSWORD: &str = r#"{"xpub":"96de0361f1aba7e629d1425c097a1035678020482fe865960ba03e90f844d0f15639a5eddb71ac901c7164f82e3c1250ed1ff05509f127f1c5cc1da45fa64df5","password":"secret"}"#;

request! {
    /// A key to be made.
    Create {
        alias: String => "its name",
        password: String => "what opens it",
        mnemonic: String => "twelve words; without them the key is a new one",
        language: String => "the words' language: en, zh_CN, zh_TW, it, ja, ko or es",
    }
}

#[derive(Serialize)]
struct Created {
    alias: String,
    xpub: XPub,
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mnemonic: Option<String>,
}

fn create(namespace: &Namespace, request: Create) -> Answer {
    let keys = namespace.keys()?;
    let language: Language = match request.language.as_str() {
        "" => Language::English,
        code => code.parse()?,
    };
    let (info, phrase) = if request.mnemonic.is_empty() {
        let (info, phrase) = keys.create(&request.alias, &request.password, language)?;
        (info, Some(phrase.phrase().to_string()))
    } else {
        let phrase = Mnemonic::parse(&request.mnemonic, language)?;
        if !phrase.has_valid_checksum() {
            tracing::warn!(
                alias = request.alias,
                "the twelve words of a key have a wrong checksum: was one mistyped?"
            );
        }
        (
            keys.import(&request.alias, &request.password, &phrase)?,
            None,
        )
    };
    Ok(Reply::of(&Created {
        alias: info.alias,
        xpub: info.xpub,
        file: info.file.to_string_lossy().into_owned(),
        mnemonic: phrase,
    }))
}

/// A key that is not named is one that is not there.
fn named(xpub: Option<XPub>) -> Result<XPub, Fault> {
    xpub.ok_or_else(|| {
        Fault::refused(
            "BTM801",
            "key not found or wrong password: no xpub is given",
        )
    })
}

request! {
    /// A key and its new name.
    Rename {
        xpub: Option<XPub> => "the key",
        new_alias: String => "its new alias",
    }
}

fn rename(namespace: &Namespace, request: Rename) -> Answer {
    let xpub = named(request.xpub)?;
    namespace.keys()?.update_alias(&xpub, &request.new_alias)?;
    Ok(Reply::none())
}

fn list(namespace: &Namespace, _: Ignored) -> Answer {
    let listing = namespace.keys()?.list()?;
    for error in &listing.unreadable {
        tracing::warn!(error = told(error), "a file of the keystore is passed over");
    }
    Ok(Reply::of(&listing.keys))
}

request! {
    /// A key and its password.
    WithPassword {
        xpub: Option<XPub> => "the key",
        password: String => "what opens it",
    }
}

fn delete(namespace: &Namespace, request: WithPassword) -> Answer {
    let xpub = named(request.xpub)?;
    namespace.keys()?.delete(&xpub, &request.password)?;
    Ok(Reply::none())
}

#[derive(Serialize)]
struct Checked {
    check_result: bool,
}

fn check(namespace: &Namespace, request: WithPassword) -> Answer {
    let check_result = match request.xpub {
        Some(xpub) => namespace.keys()?.check_password(&xpub, &request.password)?,
        None => false,
    };
    Ok(Reply::of(&Checked { check_result }))
}

request! {
    /// A key and its passwords.
    Reset {
        xpub: Option<XPub> => "the key",
        old_password: String => "what opens it now",
        new_password: String => "what is to open it",
    }
}

#[derive(Serialize)]
struct Changed {
    changed: bool,
}

fn reset(namespace: &Namespace, request: Reset) -> Answer {
    let changed = match request.xpub {
        Some(xpub) => {
            namespace
                .keys()?
                .reset_password(&xpub, &request.old_password, &request.new_password)?
        }
        None => false,
    };
    Ok(Reply::of(&Changed { changed }))
}
