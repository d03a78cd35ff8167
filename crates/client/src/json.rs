//! JSON as bytomcli prints it: keys sorted, numbers as they came, HTML characters escaped.
//!
//! `serde_json::Value` cannot be used for this: it rounds numbers that do not fit 64 bits or a double.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::de::Error as _;
use serde_json::value::RawValue;

/// Deeper answers are refused: no node nests a tenth of it.
const MAX_DEPTH: usize = 100;

/// A JSON value that prints what was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`, `true`, `false`, or a number with all its digits.
    Plain(String),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// An object; of a key that comes twice, the last value.
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// Reads one value.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        Self::read_at(text, 0)
    }

    fn read_at(text: &str, depth: usize) -> Result<Self, serde_json::Error> {
        if depth > MAX_DEPTH {
            let error = format!("nested more than {MAX_DEPTH} deep");
            return Err(serde_json::Error::custom(error));
        }
        let inner = |raw: &RawValue| Self::read_at(raw.get(), depth + 1);
        Ok(match text.trim_start().as_bytes().first() {
            Some(b'{') => {
                let raw: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
                let fields = raw.into_iter().map(|(key, raw)| Ok((key, inner(raw)?)));
                Self::Object(fields.collect::<Result<_, serde_json::Error>>()?)
            }
            Some(b'[') => {
                let raw: Vec<&RawValue> = serde_json::from_str(text)?;
                Self::List(raw.into_iter().map(inner).collect::<Result<_, _>>()?)
            }
            Some(b'"') => Self::Text(serde_json::from_str(text)?),
            _ => {
                let raw: &RawValue = serde_json::from_str(text)?;
                Self::Plain(raw.get().to_owned())
            }
        })
    }

    /// The field of an object; `None` too if it is `null`, or if this is no object.
    pub fn field(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.get(key).filter(|field| !field.is_null()),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, Self::Plain(text) if text == "null")
    }

    /// On one line.
    pub fn compact(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, None);
        text
    }

    /// On many lines, indented by two spaces a level.
    pub fn pretty(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, Some(0));
        text
    }

    /// `level` is the depth of indentation; `None` for one line.
    fn write(&self, to: &mut String, level: Option<usize>) {
        match self {
            Self::Plain(text) => to.push_str(text),
            Self::Text(text) => quote(text, to),
            Self::List(items) => enclosed(to, level, ['[', ']'], items, |to, item, level| {
                item.write(to, level);
            }),
            Self::Object(fields) => {
                enclosed(to, level, ['{', '}'], fields, |to, (key, value), level| {
                    quote(key, to);
                    to.push_str(if level.is_some() { ": " } else { ":" });
                    value.write(to, level);
                });
            }
        }
    }
}

fn enclosed<T>(
    to: &mut String,
    level: Option<usize>,
    [open, close]: [char; 2],
    items: impl IntoIterator<Item = T>,
    write: impl Fn(&mut String, T, Option<usize>),
) {
    let new_line = |to: &mut String, level: Option<usize>| {
        if let Some(level) = level {
            to.push('\n');
            to.extend(std::iter::repeat_n("  ", level));
        }
    };
    let inner = level.map(|level| level + 1);
    to.push(open);
    let mut is_empty = true;
    for item in items {
        if !is_empty {
            to.push(',');
        }
        is_empty = false;
        new_line(to, inner);
        write(to, item, inner);
    }
    if !is_empty {
        new_line(to, level);
    }
    to.push(close);
}

fn quote(text: &str, to: &mut String) {
    to.push('"');
    for letter in text.chars() {
        match letter {
            '"' => to.push_str("\\\""),
            '\\' => to.push_str("\\\\"),
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            '\t' => to.push_str("\\t"),
            '\u{8}' => to.push_str("\\b"),
            '\u{c}' => to.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                write!(to, "\\u{:04x}", u32::from(letter)).expect("a string takes all");
            }
            _ => to.push(letter),
        }
    }
    to.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Json::read(&nested(MAX_DEPTH)).is_ok());
        let error = Json::read(&nested(MAX_DEPTH + 2)).unwrap_err();
        assert_eq!(error.to_string(), "nested more than 100 deep");
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "[1,]", "nul", "01", "{} {}", "\"\\ud800\""] {
            assert!(Json::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_was_read_is_what_is_written() {
        for text in [
            r#"{"a":18446744073709551616,"b":[1.50,-0,1E+3,true,null,"\u003c\u2028é😀"],"c":{}}"#,
            "[]",
            "\"\\b\\f\\n\\r\\t\\u0001\\\"\\\\\"",
        ] {
            assert_eq!(Json::read(text).unwrap().compact(), text);
        }
    }
}
