//! The first JSON value of a body, and what Go says if there is none.

use serde::Deserialize;
use serde_json::{Value, error::Category};

/// Reads the first value; whatever follows is ignored. The error is Go's text.
pub(crate) fn parse(body: &[u8]) -> Result<Value, String> {
    // bytes that are no text become U+FFFD, as Go has it
    let text = String::from_utf8_lossy(body);
    let text = text.as_ref();
    if text.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
        return Err("EOF".to_owned());
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    Value::deserialize(&mut reader).map_err(|error| complaint(text, &error))
}

/// Reads a text that is one value and nothing else. The error is Go's text.
pub(crate) fn parse_whole(body: &[u8]) -> Result<Value, String> {
    let ended = |error: String| match error.as_str() {
        "EOF" | "unexpected EOF" => "unexpected end of JSON input".to_owned(),
        _ => error,
    };
    let value = parse(body).map_err(ended)?;
    let text = String::from_utf8_lossy(body);
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(value),
        Err(error) => Err(complaint(&text, &error)),
    }
}

fn complaint(text: &str, error: &serde_json::Error) -> String {
    if error.classify() == Category::Eof {
        return "unexpected EOF".to_owned();
    }
    let said = error.to_string();
    if said.starts_with("recursion limit") {
        return "exceeded max depth".to_owned();
    }
    let context = match said.split(" at line").next().unwrap_or_default() {
        "expected value" => "looking for beginning of value",
        "key must be a string" => "looking for beginning of object key string",
        "expected `:`" => "after object key",
        "expected `,` or `}`" => "after object key:value pair",
        "expected `,` or `]`" => "after array element",
        "expected ident" => "in literal",
        "invalid escape" => "in string escape code",
        "trailing characters" => "after top-level value",
        "invalid number" => "in numeric literal",
        "trailing comma" => "looking for beginning of value or object key string",
        said if said.starts_with("control character") => "in string literal",
        other => return other.to_owned(),
    };
    match character(text, error) {
        Some(character) => format!("invalid character {} {context}", quoted(character)),
        None => "unexpected EOF".to_owned(),
    }
}

/// The character at which reading stopped.
fn character(text: &str, error: &serde_json::Error) -> Option<char> {
    let line = text.split('\n').nth(error.line().saturating_sub(1))?;
    let mut at = error.column().saturating_sub(1).min(line.len());
    while !line.is_char_boundary(at) {
        at -= 1;
    }
    line[at..].chars().next()
}

/// As Go quotes a character.
fn quoted(character: char) -> String {
    match character {
        '\'' => r"'\''".to_owned(),
        '"' => "'\"'".to_owned(),
        other => format!("'{}'", other.escape_default()),
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
            told(r#"{"a":1 "b":2}"#),
            "invalid character '\"' after object key:value pair"
        );
        assert_eq!(told("[1 2]"), "invalid character '2' after array element");
        assert_eq!(
            told("]"),
            "invalid character ']' looking for beginning of value"
        );
        assert_eq!(told(&"[".repeat(100_000)), "exceeded max depth");
        for broken in ["\"", "{", "{\"a\"", "[1,", "tru"] {
            assert_eq!(told(broken), "unexpected EOF", "{broken}");
        }
    }
}
