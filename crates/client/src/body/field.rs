//! One field of a request: its key, where its value comes from, what it must look like.

use baton_ledger::Transaction;
use serde_json::{Map, Value, json};

use super::{Complaint, json};
use crate::input::Input;

/// One field of a request.
#[derive(Debug)]
pub struct Field {
    /// Its key.
    pub key: &'static str,
    /// Where its value comes from.
    pub source: Source,
    /// What its value is.
    pub kind: Kind,
    /// When it is sent.
    pub sent: Sent,
    /// What stands before the complaint about a bad value.
    pub complaint: &'static str,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// The argument at this place.
    Argument(usize),
    /// All arguments from this place on.
    Rest(usize),
    /// The flag of this name.
    Flag(&'static str),
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, as it is.
    Text,
    /// `true`, or anything else for false.
    Bool,
    /// An integer.
    Number,
    /// An unsigned integer.
    Count,
    /// Bytes, as hexadecimal digits.
    Hex,
    /// An extended public key: 64 bytes.
    Xpub,
    /// A list of extended public keys, `null` if there are none.
    Xpubs,
    /// `name:value`, as an object.
    Definition,
    /// A transaction with signing instructions.
    Template,
    /// A transaction, as hexadecimal digits.
    Transaction,
    /// A list of any JSON.
    Jsons,
}

/// When a field is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Always, with an empty value if there is none.
    Always,
    /// Unless its value is empty.
    IfNotEmpty,
    /// If its flag or argument was given.
    IfGiven,
}

const fn from(key: &'static str, source: Source) -> Field {
    Field {
        key,
        source,
        kind: Kind::Text,
        sent: Sent::Always,
        complaint: "",
    }
}

/// A field from the argument at this place: text, until told otherwise.
pub(crate) const fn argument(key: &'static str, place: usize) -> Field {
    from(key, Source::Argument(place))
}

/// A field from all arguments from this place on.
pub(crate) const fn rest(key: &'static str, place: usize) -> Field {
    from(key, Source::Rest(place))
}

/// A field from a flag: text, until told otherwise.
pub(crate) const fn flag(key: &'static str, name: &'static str) -> Field {
    from(key, Source::Flag(name))
}

impl Field {
    pub(crate) const fn is(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    pub(crate) const fn if_not_empty(mut self) -> Self {
        self.sent = Sent::IfNotEmpty;
        self
    }

    pub(crate) const fn if_given(mut self) -> Self {
        self.sent = Sent::IfGiven;
        self
    }

    pub(crate) const fn complains(mut self, complaint: &'static str) -> Self {
        self.complaint = complaint;
        self
    }

    /// Its value; `None` if it is not sent.
    pub(crate) fn value(&self, input: &Input) -> Result<Option<Value>, Complaint> {
        let typed: &[String] = match self.source {
            Source::Argument(place) => input.arguments().get(place..=place).unwrap_or_default(),
            Source::Rest(place) => input.rest(place),
            Source::Flag(name) => &[input.flag(name).to_owned()],
        };
        let is_given = match self.source {
            Source::Flag(name) => input.is_given(name),
            Source::Argument(_) | Source::Rest(_) => !typed.is_empty(),
        };
        let is_empty = typed.iter().all(String::is_empty);
        match self.sent {
            Sent::IfGiven if !is_given => return Ok(None),
            Sent::IfNotEmpty if is_empty => return Ok(None),
            _ => {}
        }
        let first = typed.first().map_or("", String::as_str);
        read(self.kind, first, typed)
            .map(Some)
            .map_err(|complaint| Complaint(format!("{}{complaint}", self.complaint)))
    }
}

fn read(kind: Kind, first: &str, all: &[String]) -> Result<Value, Complaint> {
    Ok(match kind {
        Kind::Text => json!(first),
        Kind::Bool => json!(first.eq_ignore_ascii_case("true")),
        Kind::Number => json!(number(first)?),
        Kind::Count => json!(amount(first)?),
        Kind::Hex => json!(hex(first)?),
        Kind::Xpub => json!(xpub(first)?),
        Kind::Xpubs if all.is_empty() => Value::Null,
        Kind::Xpubs => list(all, xpub)?,
        Kind::Definition => definition(first)?,
        Kind::Template => json::template(json::read(first)?)?,
        Kind::Transaction => json!(transaction(first)?),
        Kind::Jsons => list(all, json::read)?,
    })
}

fn list<T: Into<Value>>(
    all: &[String],
    read: fn(&str) -> Result<T, Complaint>,
) -> Result<Value, Complaint> {
    let items: Result<Vec<T>, _> = all.iter().map(|item| read(item)).collect();
    items.map(Value::from)
}

fn number(text: &str) -> Result<i64, Complaint> {
    text.parse()
        .map_err(|_| Complaint(format!("{text:?} is not a whole number")))
}

/// An amount of an asset, in its smallest unit.
pub(crate) fn amount(text: &str) -> Result<u64, Complaint> {
    text.parse().map_err(|_| {
        Complaint(format!(
            "{text:?} is not a whole number from 0 to {}",
            u64::MAX
        ))
    })
}

/// Bytes, in lower case. The complaints are those of bytomcli.
pub(crate) fn hex(text: &str) -> Result<String, Complaint> {
    if let Some(wrong) = text.bytes().find(|digit| !digit.is_ascii_hexdigit()) {
        let shown = char::from(wrong);
        let code = u32::from(wrong);
        return Err(Complaint(format!(
            "encoding/hex: invalid byte: U+{code:04X} '{shown}'"
        )));
    }
    if text.len() % 2 == 1 {
        return Err(Complaint::new("encoding/hex: odd length hex string"));
    }
    Ok(text.to_ascii_lowercase())
}

/// Only the form is checked here; whether it is a point of the curve, the node says.
pub(crate) fn xpub(text: &str) -> Result<String, Complaint> {
    hex(text)
        .ok()
        .filter(|digits| digits.len() == 2 * baton_wallet::chainkd::KEY_LEN)
        .ok_or_else(|| Complaint::new("bad key string"))
}

/// A transaction that can be read, as the hexadecimal digits that stand for it.
pub(crate) fn transaction(text: &str) -> Result<String, Complaint> {
    let digits = hex(text)?;
    Transaction::from_hex(&digits)
        .map(|transaction| transaction.to_hex())
        .map_err(|error| Complaint(error.to_string()))
}

fn definition(text: &str) -> Result<Value, Complaint> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    match text.split(':').collect::<Vec<_>>()[..] {
        [name, value] => Ok(Value::Object(Map::from_iter([(
            name.to_owned(),
            json!(value),
        )]))),
        _ => Err(Complaint::new("Invalid definition")),
    }
}
