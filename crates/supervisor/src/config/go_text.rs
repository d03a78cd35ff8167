//! The texts that Go's standard library contributes to Cosmovisor's messages, and its rules for
//! spelling numbers, booleans and paths.

use std::{
    fmt::Write,
    io,
    path::{Path, PathBuf},
};

/// `strconv.Quote`, the verb `%q`: double quotes, printable characters as they are.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            '\r' => quoted.push_str("\\r"),
            c if is_printable(c) => quoted.push(c),
            c if c.is_ascii() => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(c));
            }
            c => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
        }
    }
    quoted.push('"');
    quoted
}

/// Whether Go prints the character in quotes as it is: the only blank that passes is the space.
fn is_printable(c: char) -> bool {
    let invisible = matches!(c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    c == ' ' || !(c.is_control() || c.is_whitespace() || invisible)
}

/// `strconv.ParseBool`: `1 t T TRUE true True` and their opposites.
pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!(
            "strconv.ParseBool: parsing {}: invalid syntax",
            quote(text)
        )),
    }
}

/// `strconv.Atoi`: decimal digits with an optional sign.
pub fn parse_decimal(text: &str) -> Result<i64, String> {
    integer(text, text.strip_prefix(['+', '-']).unwrap_or(text), 10)
        .map_err(|why| format!("strconv.Atoi: parsing {}: {why}", quote(text)))
}

/// `strconv.ParseInt` with base 0: also `0x1f`, `0b1`, `0o17`, `017` and `1_000`.
pub fn parse_literal(text: &str) -> Result<i64, String> {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = body.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    // an underscore may stand between digits, or between the prefix and the first digit
    let prefixed = base != 10;
    let well_placed =
        !digits.ends_with('_') && !digits.contains("__") && (prefixed || !digits.starts_with('_'));
    let read = if well_placed {
        integer(text, &digits.replace('_', ""), base)
    } else {
        Err("invalid syntax")
    };
    read.map_err(|why| format!("strconv.ParseInt: parsing {}: {why}", quote(text)))
}

fn integer(text: &str, digits: &str, base: u32) -> Result<i64, &'static str> {
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return Err("invalid syntax");
    }
    let signed = format!("{}{digits}", if text.starts_with('-') { "-" } else { "" });
    i64::from_str_radix(&signed, base).map_err(|_| "value out of range")
}

/// An operating system error as Go prints it: `no such file or directory`.
pub fn io_error(error: &io::Error) -> String {
    let text = error.to_string();
    let Some(code) = error.raw_os_error() else {
        return text;
    };
    let text = text
        .strip_suffix(&format!(" (os error {code})"))
        .unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(chars).collect()
    })
}

/// `filepath.Join`: the path below `base`, with `.`, `..` and doubled slashes resolved in the text.
pub fn join(base: &Path, below: impl AsRef<Path>) -> PathBuf {
    use std::path::Component;
    let mut clean = PathBuf::new();
    // unlike PathBuf::push, a leading slash of what is below does not start over
    let parts = base.components().chain(
        below
            .as_ref()
            .components()
            .filter(|part| *part != Component::RootDir),
    );
    for part in parts {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(clean.components().next_back(), Some(Component::Normal(_))) =>
            {
                clean.pop();
            }
            Component::ParentDir if clean.has_root() => {}
            part => clean.push(part),
        }
    }
    clean
}

/// `url.PathEscape`: the text as one segment of a path.
pub fn path_escape(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~')
        .remove(b'$')
        .remove(b'&')
        .remove(b'+')
        .remove(b'=')
        .remove(b':')
        .remove(b'@');
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// `strings.ToLower`: letter by letter, so without the special case of a final sigma.
pub fn to_lower(text: &str) -> String {
    text.chars()
        .map(|c| c.to_lowercase().next().unwrap_or(c))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_go_does() {
        assert_eq!(quote("a\"b\\c"), r#""a\"b\\c""#);
        assert_eq!(quote("é\n\t\u{1}\u{7f}"), r#""é\n\t\x01\x7f""#);
        assert_eq!(quote("\u{a0}\u{200b}"), r#""\u00a0\u200b""#);
    }

    #[test]
    fn reads_numbers_as_go_does() {
        assert_eq!(parse_decimal("+5"), Ok(5));
        assert_eq!(parse_decimal("-9223372036854775808"), Ok(i64::MIN));
        for text in ["", "x", "0x10", "1_0", " 5", "5.0", "+", "--1"] {
            assert_eq!(
                parse_decimal(text),
                Err(format!("strconv.Atoi: parsing \"{text}\": invalid syntax"))
            );
        }
        assert_eq!(
            parse_decimal("99999999999999999999"),
            Err("strconv.Atoi: parsing \"99999999999999999999\": value out of range".to_owned())
        );
        for (text, value) in [
            ("0", 0),
            ("10", 10),
            ("1_0", 10),
            ("0x1F", 31),
            ("0x_1f", 31),
            ("-0b11", -3),
            ("0o17", 15),
            ("017", 15),
        ] {
            assert_eq!(parse_literal(text), Ok(value), "{text}");
        }
        for text in ["", "_1", "1_", "1__0", "0x", "08", "q"] {
            assert!(parse_literal(text).is_err(), "{text}");
        }
    }

    #[test]
    fn errors_of_the_system_read_as_gos() {
        let missing = std::fs::metadata("/no/such/file").unwrap_err();
        assert_eq!(io_error(&missing), "no such file or directory");
    }

    #[test]
    fn joins_and_cleans() {
        for (base, below, joined) in [
            ("/foo", "cosmovisor", "/foo/cosmovisor"),
            ("/longer/prefix/", "cosmovisor", "/longer/prefix/cosmovisor"),
            ("/a//b/./../c", "x", "/a/c/x"),
            ("/..", "x", "/x"),
            ("/a", "/b", "/a/b"),
            ("../a", "x", "../a/x"),
            ("/a", "../../..", "/"),
        ] {
            assert_eq!(join(Path::new(base), below), Path::new(joined));
        }
    }

    #[test]
    fn escapes_segments() {
        assert_eq!(path_escape("some spaces"), "some%20spaces");
        assert_eq!(path_escape("a/b?ü"), "a%2Fb%3F%C3%BC");
        assert_eq!(path_escape("v1.2-rc_3~$&+=:@"), "v1.2-rc_3~$&+=:@");
        assert_eq!(path_escape("(!*',;)"), "%28%21%2A%27%2C%3B%29");
    }

    #[test]
    fn lowers_letter_by_letter() {
        assert_eq!(to_lower("MyUpgradeÜ"), "myupgradeü");
        assert_eq!(to_lower("ΟΔΟΣ"), "οδοσ");
    }
}
