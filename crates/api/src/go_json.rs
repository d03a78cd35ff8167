//! JSON as Go's encoder writes it: `<`, `>`, `&` and the line separators of Unicode are escaped, so that the text may stand in a page.

use std::io;

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter};

/// Appends the value's JSON.
pub(crate) fn write<T: Serialize + ?Sized>(to: &mut Vec<u8>, value: &T) {
    let mut serializer = serde_json::Serializer::with_formatter(to, Go);
    value
        .serialize(&mut serializer)
        .expect("answers have texts for keys, and memory does not fail");
}

/// The value's JSON.
pub(crate) fn to_vec<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    write(&mut bytes, value);
    bytes
}

struct Go;

impl Formatter for Go {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let bytes = fragment.as_bytes();
        let (mut done, mut at) = (0, 0);
        while at < bytes.len() {
            let (escape, length): (&[u8], usize) = match bytes[at] {
                b'<' => (b"\\u003c", 1),
                b'>' => (b"\\u003e", 1),
                b'&' => (b"\\u0026", 1),
                0xe2 if bytes[at..].starts_with("\u{2028}".as_bytes()) => (b"\\u2028", 3),
                0xe2 if bytes[at..].starts_with("\u{2029}".as_bytes()) => (b"\\u2029", 3),
                _ => {
                    at += 1;
                    continue;
                }
            };
            writer.write_all(&bytes[done..at])?;
            writer.write_all(escape)?;
            at += length;
            done = at;
        }
        writer.write_all(&bytes[done..])
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        let short: &[u8] = match escape {
            CharEscape::Quote => b"\\\"",
            CharEscape::ReverseSolidus | CharEscape::Solidus => b"\\\\",
            CharEscape::LineFeed => b"\\n",
            CharEscape::CarriageReturn => b"\\r",
            CharEscape::Tab => b"\\t",
            CharEscape::Backspace => b"\\u0008",
            CharEscape::FormFeed => b"\\u000c",
            CharEscape::AsciiControl(byte) => {
                return write!(writer, "\\u{byte:04x}");
            }
        };
        writer.write_all(short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_may_stand_in_a_page() {
        let text = "<a href=\"x\">&\u{2028}\u{2029}é\u{20ac}\u{1}\u{8}\n\\/</a>";
        let written = String::from_utf8(to_vec(text)).unwrap();
        assert_eq!(
            written,
            r#""\u003ca href=\"x\"\u003e\u0026\u2028\u2029é€\u0001\u0008\n\\/\u003c/a\u003e""#
        );
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    }
}
