//! From what was typed to what is sent.
//!
//! Most bodies are a list of [`Field`]s: a key, where its value comes from, what it must look like. The few that are
//! more than that have a function each, in the modules below.

mod block;
mod build;
mod field;
mod json;
mod unlock;

use std::fmt;

use serde_json::{Map, Value};

pub(crate) use block::{block, block_of_flags, merkle_proof};
pub(crate) use build::build;
pub use field::{Field, Kind, Sent, Source};
pub(crate) use field::{amount, argument, flag, rest};
pub(crate) use json::{chain_templates, posted, raw_transactions, signed, templates, whole};

use crate::input::Input;
use crate::table::{Body, Command};

/// Why no request can be made of what was typed. Its text is for whoever typed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint(pub String);

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Complaint {}

impl Complaint {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl Command {
    /// The body of its request; `None` if it sends none.
    pub fn request(&self, input: &Input) -> Result<Option<Value>, Complaint> {
        match &self.body {
            Body::Empty => Ok(None),
            Body::Fields(fields) => {
                let mut object = Map::new();
                for field in *fields {
                    if let Some(value) = field.value(input)? {
                        object.insert(field.key.to_owned(), value);
                    }
                }
                // a command with nothing but optional flags, none of them given
                Ok((!object.is_empty()).then_some(Value::Object(object)))
            }
            Body::Made(make) => make(input).map(Some),
        }
    }
}
