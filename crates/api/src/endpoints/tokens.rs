//! Access tokens.

use crate::{
    namespace::Namespace,
    reply::{Answer, Reply},
    request::{Ignored, request},
    table::{Endpoint, Lane},
};

pub(super) fn table() -> Vec<Endpoint> {
    vec![
        Endpoint::always("create-access-token", Lane::Write, create)
            .doc("Makes a token for a client on another machine. Its secret is told here and nowhere else.")
            .example(r#"{"id":"shop","type":"client"}"#),
        Endpoint::always("list-access-tokens", Lane::Here, list)
            .doc("The tokens, without their secrets. For this machine only."),
        Endpoint::always("delete-access-token", Lane::Write, delete)
            .doc("Deletes a token; it is no good from then on.")
            .example(r#"{"id":"shop"}"#),
        Endpoint::always("check-access-token", Lane::Here, check)
            .doc("Whether a token and its secret are good.")
            .example(r#"{"id":"shop","secret":"00"}"#),
    ]
}

request! {
    /// A token to be made.
    Create {
        id: String => "its name: letters, digits, _ and -",
        r#type: String => "whatever its maker wants to write on it",
    }
}

fn create(namespace: &Namespace, request: Create) -> Answer {
    let tokens = &namespace.parts.tokens;
    Ok(Reply::of(&tokens.create(&request.id, &request.r#type)?))
}

fn list(namespace: &Namespace, _: Ignored) -> Answer {
    Ok(Reply::of(&namespace.parts.tokens.list()))
}

request! {
    /// Which token.
    Delete {
        id: String => "the token's name",
    }
}

fn delete(namespace: &Namespace, request: Delete) -> Answer {
    namespace.parts.tokens.delete(&request.id)?;
    Ok(Reply::none())
}

request! {
    /// A token and its secret.
    Check {
        id: String => "the token's name",
        secret: String => "its secret",
    }
}

fn check(namespace: &Namespace, request: Check) -> Answer {
    namespace.parts.tokens.check(&request.id, &request.secret)?;
    Ok(Reply::none())
}
