//! The bytes of an asset's definition, of which its id is made: JSON as Go writes it.
//!
//! bytomd indents by two spaces, sorts keys, reads every number as a double and escapes what HTML knows. Whoever
//! defines the same asset gets the same id only if all of this is the same.

use std::fmt::Write;

use serde_json::{Map, Number, Value};

/// Most bytes in a definition.
pub const MAX_DEFINITION_LEN: usize = 64 * 1024;

/// The bytes of a definition; none is an empty one.
pub(crate) fn to_bytes(definition: Option<&Map<String, Value>>) -> Vec<u8> {
    let mut text = String::new();
    write_object(&mut text, definition.unwrap_or(&Map::new()), 0);
    text.into_bytes()
}

/// The definition in the bytes, empty if they are no JSON.
pub(crate) fn from_bytes(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| Value::Object(Map::new()))
}

/// BTM's, with the keys in the order of Go.
pub(crate) fn of_btm() -> Vec<u8> {
    let definition = serde_json::json!({
        "decimals": 8,
        "description": "Bytom Official Issue",
        "name": "BTM",
        "symbol": "BTM",
    });
    to_bytes(definition.as_object())
}

fn write_value(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(number) => write_number(text, number),
        Value::String(string) => write_string(text, string),
        Value::Array(items) if items.is_empty() => text.push_str("[]"),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                new_line(text, index, depth + 1);
                write_value(text, item, depth + 1);
            }
            end_line(text, depth);
            text.push(']');
        }
        Value::Object(object) => write_object(text, object, depth),
    }
}

fn write_object(text: &mut String, object: &Map<String, Value>, depth: usize) {
    if object.is_empty() {
        text.push_str("{}");
        return;
    }
    let mut entries: Vec<_> = object.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    text.push('{');
    for (index, (key, value)) in entries.into_iter().enumerate() {
        new_line(text, index, depth + 1);
        write_string(text, key);
        text.push_str(": ");
        write_value(text, value, depth + 1);
    }
    end_line(text, depth);
    text.push('}');
}

fn new_line(text: &mut String, index: usize, depth: usize) {
    if index > 0 {
        text.push(',');
    }
    end_line(text, depth);
}

fn end_line(text: &mut String, depth: usize) {
    text.push('\n');
    for _ in 0..depth {
        text.push_str("  ");
    }
}

/// The shortest digits that make the same double; with an exponent below 1e-6 and from 1e21 on.
fn write_number(text: &mut String, number: &Number) {
    let double = number.as_f64().unwrap_or_default();
    let size = double.abs();
    let written = if double == 0.0 || (1e-6..1e21).contains(&size) {
        write!(text, "{double}")
    } else {
        let exponent = format!("{double:e}");
        // Rust writes 1e21 where Go writes 1e+21.
        match exponent.split_once('e') {
            Some((digits, power)) if !power.starts_with('-') => write!(text, "{digits}e+{power}"),
            _ => write!(text, "{exponent}"),
        }
    };
    written.expect("writing to a string cannot fail");
}

fn write_string(text: &mut String, string: &str) {
    text.push('"');
    for letter in string.chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                write!(text, "\\u{:04x}", u32::from(letter))
                    .expect("writing to a string cannot fail");
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(definition: &Value) -> String {
        String::from_utf8(to_bytes(definition.as_object())).unwrap()
    }

    #[test]
    fn keys_are_sorted_and_indented() {
        let definition = serde_json::json!({"b": {"d": [1, {}], "c": null}, "a": [], "é": true});
        assert_eq!(
            text(&definition),
            "{\n  \"a\": [],\n  \"b\": {\n    \"c\": null,\n    \"d\": [\n      1,\n      {}\n    ]\n  },\n  \"é\": true\n}"
        );
        assert_eq!(to_bytes(None), b"{}");
    }

    #[test]
    fn numbers_are_doubles() {
        let definition = serde_json::json!({"n": [8, -0.5, 1e21, 1e-7, 12_345_678_901_234_567_890_u64, 1e20, 2.5e-8, 0]});
        let numbers: Vec<String> = text(&definition)
            .lines()
            .filter(|line| line.starts_with("    "))
            .map(|line| line.trim().trim_end_matches(',').to_owned())
            .collect();
        assert_eq!(
            numbers,
            [
                "8",
                "-0.5",
                "1e+21",
                "1e-7",
                "12345678901234567000",
                "100000000000000000000",
                "2.5e-8",
                "0"
            ]
        );
    }

    #[test]
    fn what_html_knows_is_escaped() {
        let definition = serde_json::json!({"<": "a&b>\u{1}\u{2028}\"\\\n"});
        assert_eq!(
            text(&definition),
            r#"{
  "\u003c": "a\u0026b\u003e\u0001\u2028\"\\\n"
}"#
        );
    }

    #[test]
    fn what_is_no_json_is_an_empty_definition() {
        assert_eq!(from_bytes(b"\xff"), serde_json::json!({}));
        assert_eq!(from_bytes(b"{\"a\":1}"), serde_json::json!({"a": 1}));
    }
}
