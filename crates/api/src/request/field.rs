//! The types that fields of requests have.

use baton_ledger::Transaction;
use baton_wallet::{chainkd::XPub, template::Template};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::Complaint;

/// What a field's JSON is, as a schema of OpenAPI.
pub(crate) type Schema = Value;

/// A value that a field may have.
pub(crate) trait Field: Sized {
    /// Go's type.
    const GO: &'static str;

    /// What to send.
    fn schema() -> Schema;
    /// Reads a value that is not `null`.
    fn of(value: Value) -> Result<Self, Complaint>;
}

/// Whether Go's type takes numbers.
pub(super) fn is_number(go: &str) -> bool {
    matches!(go, "uint64" | "uint" | "uint16" | "int")
}

impl Field for String {
    const GO: &'static str = "string";

    fn schema() -> Schema {
        json!({"type": "string"})
    }

    fn of(value: Value) -> Result<Self, Complaint> {
        match value {
            Value::String(text) => Ok(text),
            other => Err(Complaint::of(&other, Self::GO)),
        }
    }
}

impl Field for bool {
    const GO: &'static str = "bool";

    fn schema() -> Schema {
        json!({"type": "boolean"})
    }

    fn of(value: Value) -> Result<Self, Complaint> {
        match value {
            Value::Bool(on) => Ok(on),
            other => Err(Complaint::of(&other, Self::GO)),
        }
    }
}

macro_rules! number {
    ($type:ty, $go:literal, $read:ident, $schema:expr) => {
        impl Field for $type {
            const GO: &'static str = $go;

            fn schema() -> Schema {
                $schema
            }

            fn of(value: Value) -> Result<Self, Complaint> {
                let number = value.$read().and_then(|number| number.try_into().ok());
                number.ok_or_else(|| Complaint::of(&value, Self::GO))
            }
        }
    };
}

number!(
    u64,
    "uint64",
    as_u64,
    json!({"type": "integer", "minimum": 0})
);
number!(
    usize,
    "uint",
    as_u64,
    json!({"type": "integer", "minimum": 0})
);
number!(
    u16,
    "uint16",
    as_u64,
    json!({"type": "integer", "minimum": 0, "maximum": 65535})
);
number!(i64, "int", as_i64, json!({"type": "integer"}));

/// Bytes, in hexadecimal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl Field for Hex {
    const GO: &'static str = "json.HexBytes";

    fn schema() -> Schema {
        json!({"type": "string", "format": "hex"})
    }

    fn of(value: Value) -> Result<Self, Complaint> {
        let text = text(value, Self::GO)?;
        hex::decode(&text)
            .map(Self)
            .map_err(|error| Complaint::Text(hex_fault(&text, error)))
    }
}

/// What Go says of text that is not hexadecimal.
pub(crate) fn hex_fault(text: &str, error: hex::FromHexError) -> String {
    match error {
        hex::FromHexError::InvalidHexCharacter { index, .. } => {
            go_invalid_byte(text.as_bytes()[index])
        }
        // Go looks at the bytes first
        _ => match text.bytes().find(|byte| !byte.is_ascii_hexdigit()) {
            Some(byte) => go_invalid_byte(byte),
            None => "encoding/hex: odd length hex string".to_owned(),
        },
    }
}

fn go_invalid_byte(byte: u8) -> String {
    let character = char::from(byte);
    if character.is_control() {
        format!("encoding/hex: invalid byte: U+{byte:04X}")
    } else {
        format!("encoding/hex: invalid byte: U+{byte:04X} '{character}'")
    }
}

impl Field for Option<Hex> {
    const GO: &'static str = Hex::GO;

    fn schema() -> Schema {
        Hex::schema()
    }

    fn of(value: Value) -> Result<Self, Complaint> {
        Hex::of(value).map(Some)
    }
}

impl Field for Option<XPub> {
    const GO: &'static str = "chainkd.XPub";

    fn schema() -> Schema {
        json!({"type": "string", "format": "hex", "minLength": 128, "maxLength": 128})
    }

    fn of(value: Value) -> Result<Self, Complaint> {
        let text = text(value, Self::GO)?;
        // bytomd says no more
        text.parse()
            .map(Some)
            .map_err(|_| Complaint::Text("bad key string".to_owned()))
    }
}

impl Field for XPub {
    const GO: &'static str = "chainkd.XPub";

    fn schema() -> Schema {
        Option::<Self>::schema()
    }

    fn of(value: Value) -> Result<Self, Complaint> {
        Option::<Self>::of(value)?.ok_or_else(|| Complaint::Text("bad key string".to_owned()))
    }
}

impl Field for Option<Transaction> {
    const GO: &'static str = "types.Tx";

    fn schema() -> Schema {
        json!({"type": "string", "format": "hex", "description": "a transaction's encoding"})
    }

    fn of(value: Value) -> Result<Self, Complaint> {
        let text = text(value, Self::GO)?;
        let bytes = hex::decode(&text).map_err(|error| Complaint::Text(hex_fault(&text, error)))?;
        Transaction::decode(&bytes)
            .map(Some)
            .map_err(|error| Complaint::Text(crate::fault::told(&error)))
    }
}

impl Field for Transaction {
    const GO: &'static str = "types.Tx";

    fn schema() -> Schema {
        Option::<Self>::schema()
    }

    fn of(value: Value) -> Result<Self, Complaint> {
        let read = Option::<Self>::of(value)?;
        read.ok_or_else(|| Complaint::Text("a transaction is missing".to_owned()))
    }
}

impl Field for Option<Template> {
    const GO: &'static str = "txbuilder.Template";

    fn schema() -> Schema {
        json!({"type": "object", "description": "what build-transaction answers"})
    }

    fn of(value: Value) -> Result<Self, Complaint> {
        match &value {
            // in bytomd's words it is missing
            Value::Null => Ok(None),
            Value::Object(fields) if fields.get("raw_transaction").is_none_or(Value::is_null) => {
                Ok(None)
            }
            Value::Object(_) => structured(value).map(Some),
            other => Err(Complaint::of(other, Self::GO)),
        }
    }
}

impl Field for Option<Map<String, Value>> {
    const GO: &'static str = "map[string]interface {}";

    fn schema() -> Schema {
        Map::<String, Value>::schema()
    }

    fn of(value: Value) -> Result<Self, Complaint> {
        Map::of(value).map(Some)
    }
}

impl Field for Map<String, Value> {
    const GO: &'static str = "map[string]interface {}";

    fn schema() -> Schema {
        json!({"type": "object"})
    }

    fn of(value: Value) -> Result<Self, Complaint> {
        match value {
            Value::Object(map) => Ok(map),
            other => Err(Complaint::of(&other, Self::GO)),
        }
    }
}

impl Field for Value {
    const GO: &'static str = "interface {}";

    fn schema() -> Schema {
        json!({})
    }

    fn of(value: Value) -> Result<Self, Complaint> {
        Ok(value)
    }
}

macro_rules! list {
    ($($type:ty, $go:literal);* $(;)?) => {
        $(impl Field for Vec<$type> {
            const GO: &'static str = $go;

            fn schema() -> Schema {
                json!({"type": "array", "items": <$type>::schema()})
            }

            fn of(value: Value) -> Result<Self, Complaint> {
                match value {
                    Value::Array(values) => values.into_iter().map(<$type>::of).collect(),
                    other => Err(Complaint::of(&other, Self::GO)),
                }
            }
        })*
    };
}

list! {
    u64, "[]uint64";
    Hex, "[]json.HexBytes";
    XPub, "[]chainkd.XPub";
    Transaction, "[]types.Tx";
    Option<Template>, "[]txbuilder.Template";
    Map<String, Value>, "[]map[string]interface {}";
}

/// The text of a value that has no other form.
fn text(value: Value, go: &'static str) -> Result<String, Complaint> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(Complaint::of(&other, go)),
    }
}

/// A value whose type knows how to read it.
pub(crate) fn structured<T: DeserializeOwned>(value: Value) -> Result<T, Complaint> {
    serde_json::from_value(value).map_err(|error| Complaint::Text(error.to_string()))
}
