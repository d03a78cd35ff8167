//! A request's body, read as Go reads it: names of fields in any case, `null` for nothing, unknown fields and whatever follows the
//! value ignored, and complaints in Go's words.

mod field;
mod parse;
mod scan;

use serde_json::Value;

use crate::fault::Fault;
pub(crate) use field::{Field, Hex, Schema, hex_fault, structured};
pub(crate) use parse::{parse, parse_whole};

/// What an endpoint takes.
pub(crate) trait Request: Sized + Default + Send + 'static {
    /// How bytomd's complaints call it; empty if it has no name.
    const NAME: &'static str;
    /// The fields, for those who ask what to send.
    fn fields() -> Vec<FieldInfo>;
    /// The field of this name, in any case, and its own name.
    fn slot(&mut self, name: &str) -> Option<(&'static str, &mut dyn Slot)>;

    /// Reads a body.
    fn read(body: &[u8]) -> Result<Self, Fault> {
        let value = parse(body).map_err(Fault::body)?;
        Self::from_value(value, "api.").map_err(Fault::body)
    }

    /// Reads a value; `package` is where Go has the type.
    fn from_value(value: Value, package: &str) -> Result<Self, String> {
        let mut request = Self::default();
        let fields = match value {
            Value::Object(fields) => fields,
            Value::Null => return Ok(request),
            other => return Err(Complaint::of(&other, Self::NAME).alone(package)),
        };
        // Go reads on after a value of the wrong type, and tells the first one; a text that is wrong ends it
        let mut mistyped = None;
        for (name, value) in fields {
            let Some((name, slot)) = request.slot(&name) else {
                continue;
            };
            match slot.put(value) {
                Ok(()) => {}
                Err(Complaint::Text(wrong)) => return Err(wrong),
                Err(complaint) => {
                    mistyped.get_or_insert_with(|| complaint.in_field(Self::NAME, name));
                }
            }
        }
        mistyped.map_or(Ok(request), Err)
    }
}

/// A request whose body nobody looks at.
#[derive(Debug, Default)]
pub(crate) struct Ignored;

impl Request for Ignored {
    const NAME: &'static str = "";

    fn fields() -> Vec<FieldInfo> {
        Vec::new()
    }

    fn slot(&mut self, _: &str) -> Option<(&'static str, &mut dyn Slot)> {
        None
    }

    fn read(_: &[u8]) -> Result<Self, Fault> {
        Ok(Self)
    }
}

/// A request that may have no body at all.
#[derive(Debug, Default)]
pub(crate) struct Optional<R>(pub(crate) R);

impl<R: Request> Request for Optional<R> {
    const NAME: &'static str = R::NAME;

    fn fields() -> Vec<FieldInfo> {
        R::fields()
    }

    fn slot(&mut self, name: &str) -> Option<(&'static str, &mut dyn Slot)> {
        self.0.slot(name)
    }

    fn read(body: &[u8]) -> Result<Self, Fault> {
        if body.trim_ascii().is_empty() {
            Ok(Self::default())
        } else {
            R::read(body).map(Self)
        }
    }
}

/// Where a value goes.
pub(crate) trait Slot {
    fn put(&mut self, value: Value) -> Result<(), Complaint>;
}

impl<F: Field> Slot for F {
    fn put(&mut self, value: Value) -> Result<(), Complaint> {
        // `null` leaves what is there
        if !value.is_null() {
            *self = F::of(value)?;
        }
        Ok(())
    }
}

/// A field of a request.
#[derive(Debug)]
pub(crate) struct FieldInfo {
    pub(crate) name: &'static str,
    pub(crate) schema: Schema,
    pub(crate) doc: &'static str,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// It is of the wrong type.
    Type {
        /// What it is, in JSON's words.
        found: String,
        /// What it should be, in Go's.
        wanted: &'static str,
    },
    /// Its text is wrong.
    Text(String),
}

impl Complaint {
    pub(crate) fn of(value: &Value, wanted: &'static str) -> Self {
        let found = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            // Go tells which number, unless no number would do
            Value::Number(number) if field::is_number(wanted) => format!("number {number}"),
            Value::Number(_) => "number".to_owned(),
            Value::String(_) => "string".to_owned(),
            Value::Array(_) => "array".to_owned(),
            Value::Object(_) => "object".to_owned(),
        };
        Self::Type { found, wanted }
    }

    fn in_field(self, request: &str, field: &str) -> String {
        match self {
            Self::Type { found, wanted } => format!(
                "json: cannot unmarshal {found} into Go struct field {request}.{field} of type {wanted}"
            ),
            Self::Text(text) => text,
        }
    }

    pub(crate) fn alone(self, package: &str) -> String {
        match self {
            Self::Type { found, wanted } => {
                let (package, wanted) = match wanted {
                    "" => ("", "struct"),
                    named => (package, named),
                };
                format!("json: cannot unmarshal {found} into Go value of type {package}{wanted}")
            }
            Self::Text(text) => text,
        }
    }
}

/// A field's name, also of one that is a word of Rust.
pub(crate) fn name(field: &'static str) -> &'static str {
    field.strip_prefix("r#").unwrap_or(field)
}

/// Declares what an endpoint takes: a struct, the way to read it, and what is told of it.
macro_rules! request {
    ($(#[$attr:meta])* $name:ident $(($go:literal))? {
        $($field:ident: $type:ty => $doc:literal),* $(,)?
    }) => {
        $(#[$attr])*
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            $(pub(crate) $field: $type,)*
        }

        impl $crate::request::Request for $name {
            const NAME: &'static str = concat!($($go)?);

            fn fields() -> Vec<$crate::request::FieldInfo> {
                vec![$($crate::request::FieldInfo {
                    name: $crate::request::name(stringify!($field)),
                    schema: <$type as $crate::request::Field>::schema(),
                    doc: $doc,
                }),*]
            }

            fn slot(&mut self, name: &str) -> Option<(&'static str, &mut dyn $crate::request::Slot)> {
                $(if $crate::request::name(stringify!($field)).eq_ignore_ascii_case(name) {
                    return Some(($crate::request::name(stringify!($field)), &mut self.$field));
                })*
                let _ = name;
                None
            }
        }
    };
}
pub(crate) use request;

#[cfg(test)]
mod tests {
    use super::*;

    request! {
        /// For tests.
        Sample("SampleReq") {
            block_height: u64 => "a height",
            quorum: i64 => "a number",
            name: String => "a text",
            on: bool => "a switch",
            data: Hex => "bytes",
            many: Vec<u64> => "numbers",
        }
    }

    fn read(body: &str) -> Result<Sample, String> {
        Sample::read(body.as_bytes()).map_err(|fault| {
            let body = String::from_utf8(fault.body_bytes()).unwrap();
            let body: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["code"], "BTM002");
            let detail = body["detail"].as_str().unwrap();
            let rest = ": check request parameters for missing and/or incorrect values";
            detail.strip_suffix(rest).unwrap().to_owned()
        })
    }

    #[test]
    fn names_are_read_in_any_case_and_nothing_is_zero() {
        let sample =
            read(r#"{"Block_Height":7,"NAME":"x","none":[{}],"on":null,"data":"0aFF"} junk"#)
                .unwrap();
        assert_eq!((sample.block_height, sample.quorum), (7, 0));
        assert_eq!(
            (sample.name.as_str(), sample.data.0.as_slice()),
            ("x", [10, 255].as_slice())
        );
        assert!(!sample.on && sample.many.is_empty());
        assert_eq!(read("null").unwrap().block_height, 0);
        assert_eq!(read(r#"{"name":"a","Name":"b"}"#).unwrap().name, "b");
    }

    /// The texts are those of a bytomd v2.0.6.
    #[test]
    fn complaints_are_gos() {
        let told = |body: &str| read(body).unwrap_err();
        assert_eq!(told(""), "EOF");
        assert_eq!(told(" \n"), "EOF");
        assert_eq!(told(r#"{"name":"#), "unexpected EOF");
        assert_eq!(
            told("{x}"),
            "invalid character 'x' looking for beginning of object key string"
        );
        assert_eq!(
            told("x"),
            "invalid character 'x' looking for beginning of value"
        );
        assert_eq!(
            told(r#"{"block_height":"a"}"#),
            "json: cannot unmarshal string into Go struct field SampleReq.block_height of type uint64"
        );
        assert_eq!(
            told(r#"{"block_height":-1}"#),
            "json: cannot unmarshal number -1 into Go struct field SampleReq.block_height of type uint64"
        );
        assert_eq!(
            told(r#"{"name":5,"block_height":{}}"#),
            "json: cannot unmarshal number into Go struct field SampleReq.name of type string"
        );
        assert_eq!(
            told(r#"{"data":"abc"}"#),
            "encoding/hex: odd length hex string"
        );
        assert_eq!(
            told(r#"{"data":"zz"}"#),
            "encoding/hex: invalid byte: U+007A 'z'"
        );
        assert_eq!(
            told("[]"),
            "json: cannot unmarshal array into Go value of type api.SampleReq"
        );
    }
}
