//! Access tokens from the command line: through the node that runs on a home, or in the file of one that does not.
//!
//! The right to the home is enough, as it is for everything else that its owner does: so a node that trusts nobody, not even
//! its own machine, can be given its first token.

use std::time::Duration;

use baton_api::RecordsError;
use baton_api::tokens::{TokenError, Tokens};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::configuration::{Configuration, ConfigurationError};
use crate::control::{ControlError, Request, ask};
use crate::home::Home;
use crate::lock::{Lock, LockError};
use crate::namespace::Name;
use crate::settings::{Environment, Flags};

/// How long a node may take.
const ANSWER: Duration = Duration::from_secs(10);

/// What is to be done with tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Make one.
    Create {
        /// Its name.
        id: String,
        /// What its maker writes on it.
        kind: String,
    },
    /// List them, without their secrets.
    List,
    /// Delete one.
    Delete {
        /// Its name.
        id: String,
    },
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// There is no such namespace.
    #[error("there is no directory {}; `batond namespace list` names the namespaces", .0.display())]
    NoHome(std::path::PathBuf),
    /// The node that runs says no, or nothing.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The home's settings are not good.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// Somebody has the home and does not answer, such as a node that is starting.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The file cannot be opened.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The token is not good.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Does it, and tells what came of it as the API would.
pub fn perform(
    home: &Home,
    name: &Name,
    order: &Order,
    environment: &Environment,
) -> Result<Value, AccessError> {
    let request = Request::Token {
        name: name.clone(),
        order: order.clone(),
    };
    match ask(home, &request, ANSWER) {
        Err(ControlError::NotRunning(_)) => {}
        answered => return Ok(answered?),
    }
    let own = home.namespace(name);
    if !own.path().is_dir() {
        return Err(AccessError::NoHome(own.path().to_owned()));
    }
    let configuration = if name.is_global() {
        Configuration::load(own, &Flags::default(), environment)?
    } else {
        Configuration::of_namespace(own)?
    };
    let _lock = Lock::take(&home.lock())?;
    let tokens = Tokens::open(&configuration.paths.tokens())?;
    Ok(obey(&tokens, order)?)
}

/// Does it with the tokens that somebody has open.
pub(crate) fn obey(tokens: &Tokens, order: &Order) -> Result<Value, TokenError> {
    Ok(match order {
        Order::Create { id, kind } => json!(tokens.create(id, kind)?),
        Order::List => json!(tokens.list()),
        Order::Delete { id } => {
            if !tokens.list().iter().any(|token| token.id == *id) {
                return Err(TokenError::Unknown(id.clone()));
            }
            tokens.delete(id)?;
            Value::Null
        }
    })
}
