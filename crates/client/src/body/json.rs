//! Arguments that are JSON: templates, signed transactions, whole requests.
//!
//! Such an argument is the text itself, or `@FILE`, or `-` for the standard input; no JSON that we take begins so.

use std::fs::File;
use std::io::{self, Read};

use baton_wallet::template::Template;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Complaint, field};
use crate::input::Input;

/// More than any backup of a wallet; a file beyond it is a mistake.
const MAX_JSON_BYTES: u64 = 256 << 20;

/// The JSON that an argument is or names.
pub(crate) fn read(argument: &str) -> Result<Value, Complaint> {
    let loaded;
    let (what, text) = match (argument, argument.strip_prefix('@')) {
        ("-", _) => {
            loaded = load("standard input", io::stdin().lock())?;
            ("standard input", loaded.as_str())
        }
        (_, Some(path)) => {
            let file = File::open(path).map_err(|error| Complaint(format!("{path}: {error}")))?;
            loaded = load(path, file)?;
            (path, loaded.as_str())
        }
        _ => ("the argument", argument),
    };
    serde_json::from_str(text).map_err(|error| Complaint(format!("{what} is not JSON: {error}")))
}

fn load(what: &str, from: impl Read) -> Result<String, Complaint> {
    let mut text = String::new();
    let complain = |why: &dyn std::fmt::Display| Complaint(format!("{what}: {why}"));
    from.take(MAX_JSON_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| complain(&error))?;
    if text.len() as u64 > MAX_JSON_BYTES {
        return Err(complain(&format!("over {MAX_JSON_BYTES} bytes")));
    }
    Ok(text)
}

/// A template, read whole and written anew: what the node gets is what we understood.
pub(crate) fn template(value: Value) -> Result<Value, Complaint> {
    let complain = |error: serde_json::Error| Complaint(format!("not a template: {error}"));
    let template = Template::deserialize(value).map_err(complain)?;
    serde_json::to_value(template).map_err(complain)
}

/// `submit-transaction`: an object with the signed transaction.
pub(crate) fn signed(input: &Input) -> Result<Value, Complaint> {
    let raw = raw_transaction(&read(input.argument(0))?)?;
    Ok(json!({ "raw_transaction": raw }))
}

/// `submit-transactions`: several of them.
pub(crate) fn raw_transactions(input: &Input) -> Result<Value, Complaint> {
    let raws: Result<Vec<_>, _> = input
        .arguments()
        .iter()
        .map(|argument| raw_transaction(&read(argument)?))
        .collect();
    Ok(json!({ "raw_transactions": raws? }))
}

fn raw_transaction(value: &Value) -> Result<String, Complaint> {
    let raw = value["raw_transaction"].as_str().ok_or_else(|| {
        Complaint::new(r#"an object with a "raw_transaction" is wanted, such as sign-transaction's "transaction""#)
    })?;
    field::transaction(raw)
}

/// `sign-transactions`: a list of templates and the password.
pub(crate) fn templates(input: &Input) -> Result<Value, Complaint> {
    Ok(json!({ "password": input.flag("password"), "transactions": list(input)? }))
}

/// `estimate-chain-transaction-gas`: a list of templates.
pub(crate) fn chain_templates(input: &Input) -> Result<Value, Complaint> {
    Ok(json!({ "transaction_templates": list(input)? }))
}

fn list(input: &Input) -> Result<Value, Complaint> {
    match read(input.argument(0))? {
        Value::Array(items) => items.into_iter().map(template).collect(),
        _ => Err(Complaint::new("a list of templates is wanted: [{…}, {…}]")),
    }
}

/// The first argument is the body.
pub(crate) fn whole(input: &Input) -> Result<Value, Complaint> {
    read(input.argument(0))
}

/// `post`: the second argument is the body, or there is none.
pub(crate) fn posted(input: &Input) -> Result<Value, Complaint> {
    match input.argument(1) {
        "" => Ok(Value::Null),
        argument => read(argument),
    }
}
