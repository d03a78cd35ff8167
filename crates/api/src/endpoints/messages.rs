//! Messages that holders of addresses sign.

use baton_ledger::Address;
use baton_wallet::{chainkd::XPub, message};
use serde::Serialize;

use crate::{
    fault::Fault,
    namespace::Namespace,
    reply::{Answer, Reply},
    request::{Hex, hex_fault, request},
    table::{Endpoint, Lane},
};

pub(super) fn table() -> Vec<Endpoint> {
    vec![
        Endpoint::wallet("sign-message", Lane::Keys, sign)
            .doc("Signs a message with the key of an address.")
            .example(r#"{"address":"sn1qzvhv65r6qkp57fn5ylgpwk6mzry0k5sltc0xkz","message":"68656c6c6f","password":"secret"}"#),
        Endpoint::always("verify-message", Lane::Check, verify)
            .doc("Whether the holder of an address signed a message.")
            .example(r#"{"address":"sn1qzvhv65r6qkp57fn5ylgpwk6mzry0k5sltc0xkz","derived_xpub":"96de0361f1aba7e629d1425c097a1035678020482fe865960ba03e90f844d0f15639a5eddb71ac901c7164f82e3c1250ed1ff05509f127f1c5cc1da45fa64df5","message":"68656c6c6f","signature":"939186be2353ebaa6a295c030a9491f6c9c1d787368dd2264b7665445753cb66335d6a80b4eb17de3c43e30bbdfee4a0f9957683df43a49ea2dda9912ac8fb05"}"#),
    ]
}

request! {
    /// What to sign.
    Sign {
        address: String => "who signs",
        message: Hex => "what is signed",
        password: String => "what opens the key",
    }
}

#[derive(Serialize)]
struct Signed {
    #[serde(with = "hex::serde")]
    signature: [u8; 64],
    derived_xpub: XPub,
}

fn sign(namespace: &Namespace, request: Sign) -> Answer {
    let (xpub, path) = namespace.wallet()?.signer(&request.address)?;
    let keys = namespace.keys()?;
    let root = keys.unlocked(&request.password).key(&xpub)?;
    let signed = message::sign(&root, &path, &request.message.0);
    Ok(Reply::of(&Signed {
        signature: signed.signature,
        derived_xpub: signed.derived_xpub,
    }))
}

request! {
    /// What was signed.
    Verify {
        address: String => "who is said to have signed",
        derived_xpub: Option<XPub> => "the address's key",
        message: Hex => "what was signed",
        signature: String => "the signature",
    }
}

#[derive(Serialize)]
struct Verified {
    result: bool,
}

fn verify(namespace: &Namespace, request: Verify) -> Answer {
    let prefix = namespace.parts.chain.params().prefix;
    let text = &request.signature;
    let signature = hex::decode(text).map_err(|error| Fault::plain(hex_fault(text, error)))?;
    let result = match (
        Address::decode(&request.address, prefix),
        request.derived_xpub,
    ) {
        (Ok(address), Some(xpub)) => {
            message::verify(&address.program(), &xpub, &request.message.0, &signature)
        }
        _ => false,
    };
    Ok(Reply::of(&Verified { result }))
}
