//! The first JSON value of a body, and what Go says if there is none.

use serde::Deserialize;
use serde_json::Value;

use super::scan::{Stumble, quoted, scan};

/// Reads the first value; whatever follows is ignored. The error is Go's text.
pub(crate) fn parse(body: &[u8]) -> Result<Value, String> {
    read(body, false)
}

/// Reads a text that is one value and nothing else. The error is Go's text.
pub(crate) fn parse_whole(body: &[u8]) -> Result<Value, String> {
    match read(body, true) {
        Err(error) if error == "EOF" || error == "unexpected EOF" => {
            Err("unexpected end of JSON input".to_owned())
        }
        read => read,
    }
}

fn read(body: &[u8], whole: bool) -> Result<Value, String> {
    // bytes that are no text become U+FFFD, as Go has it
    let text = String::from_utf8_lossy(body);
    let mut reader = serde_json::Deserializer::from_str(&text);
    let value = Value::deserialize(&mut reader).and_then(|value| {
        if whole {
            reader.end()?;
        }
        Ok(value)
    });
    value.map_err(|error| complaint(body, whole, &error))
}

fn complaint(body: &[u8], whole: bool, error: &serde_json::Error) -> String {
    match scan(body, whole) {
        Some(Stumble::Character { character, context }) => {
            format!("invalid character {} {context}", quoted(character))
        }
        Some(Stumble::End) if body.trim_ascii().is_empty() => "EOF".to_owned(),
        Some(Stumble::End) => "unexpected EOF".to_owned(),
        None if error.to_string().starts_with("recursion limit") => "exceeded max depth".to_owned(),
        // Go reads it, this does not: a number out of range, or half a character
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_counts() {
        assert_eq!(parse(b"{} {").unwrap(), serde_json::json!({}));
        assert_eq!(parse(b" [1]x").unwrap(), serde_json::json!([1]));
        let lossy = parse(b"{\"a\":\"\xff\"}").unwrap();
        assert_eq!(lossy["a"], "\u{fffd}");
    }

    #[test]
    fn faults_are_told_in_gos_words() {
        let told = |body: &str| parse(body.as_bytes()).unwrap_err();
        assert_eq!(told(r#"{"a" 1}"#), "invalid character '1' after object key");
        assert_eq!(
            told("]"),
            "invalid character ']' looking for beginning of value"
        );
        let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
        assert_eq!(told(&deep), "exceeded max depth");
        for broken in ["\"", "{", "{\"a\"", "[1,", "tru"] {
            assert_eq!(told(broken), "unexpected EOF", "{broken}");
        }
        for empty in ["", " \n"] {
            assert_eq!(told(empty), "EOF");
        }
        let whole = |body: &str| parse_whole(body.as_bytes()).unwrap_err();
        assert_eq!(whole(""), "unexpected end of JSON input");
        assert_eq!(whole("{} x"), "invalid character 'x' after top-level value");
    }
}
