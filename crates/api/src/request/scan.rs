//! What Go says of a text that is not JSON: which character it stumbles over, and in what.
//!
//! Only asked once another reader has refused the text. The states and sentences are those that Go's `encoding/json` shows.

/// Why the text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stumble {
    /// It ends too early.
    End,
    /// A character has no business where it stands.
    Character { character: u8, context: String },
}

/// What may come next.
#[derive(Debug, Clone, Copy)]
enum State {
    Value,
    /// A value, or the end of the array.
    ValueOrEnd,
    Key,
    /// A key, or the end of the object.
    KeyOrEnd,
    AfterValue,
    Text,
    Escape,
    /// So many digits of `\uXXXX` are still to come.
    Unicode(u8),
    /// After `-`.
    Minus,
    /// After a leading zero, or within digits.
    Whole {
        more: bool,
    },
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
    /// Within a word, of which so many letters were read.
    Word(&'static str, usize),
}

/// What surrounds the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Around {
    Key,
    Member,
    Element,
}

/// Reads one value, and nothing else if it is to be `whole`; `None` if there is nothing to say against it.
pub(super) fn scan(text: &[u8], whole: bool) -> Option<Stumble> {
    let mut scanner = Scanner {
        state: State::Value,
        around: Vec::new(),
    };
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        if scanner.is_done() {
            let rest = text[at..].iter().find(|byte| !is_space(**byte));
            return rest.filter(|_| whole).map(|character| Stumble::Character {
                character: *character,
                context: "after top-level value".to_owned(),
            });
        }
        match scanner.step(*byte) {
            Ok(taken) => at += usize::from(taken),
            Err(context) => {
                return Some(Stumble::Character {
                    character: *byte,
                    context,
                });
            }
        }
    }
    let complete = scanner.around.is_empty() && scanner.ends_here();
    (!complete).then_some(Stumble::End)
}

/// As Go quotes a byte.
pub(super) fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        7..=13 => {
            let letter = [b'a', b'b', b't', b'n', b'v', b'f', b'r'][usize::from(byte - 7)];
            format!("'\\{}'", char::from(letter))
        }
        0..0x20 | 0x7f => format!("'\\x{byte:02x}'"),
        0x80..=0xa0 | 0xad => format!("'\\u{byte:04x}'"),
        other => format!("'{}'", char::from(other)),
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

struct Scanner {
    state: State,
    around: Vec<Around>,
}

impl Scanner {
    /// Whether the value is whole, whatever follows.
    fn is_done(&self) -> bool {
        self.around.is_empty() && matches!(self.state, State::AfterValue)
    }

    /// Whether a value may end here.
    fn ends_here(&self) -> bool {
        matches!(
            self.state,
            State::AfterValue | State::Whole { .. } | State::Fraction | State::ExponentDigits
        )
    }

    /// Takes a byte, or sees by it that a number has ended and leaves it.
    fn step(&mut self, byte: u8) -> Result<bool, String> {
        let digit = byte.is_ascii_digit();
        self.state = match (self.state, byte) {
            (
                State::Value | State::ValueOrEnd | State::Key | State::KeyOrEnd | State::AfterValue,
                byte,
            ) if is_space(byte) => return Ok(true),
            (State::ValueOrEnd, b']') | (State::KeyOrEnd, b'}') => {
                self.around.pop();
                State::AfterValue
            }
            (State::Value | State::ValueOrEnd, byte) => self.value(byte)?,
            (State::Key | State::KeyOrEnd, b'"')
            | (State::Escape, b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => {
                State::Text
            }
            (State::Key | State::KeyOrEnd, _) => {
                return Err("looking for beginning of object key string".to_owned());
            }
            (State::AfterValue, byte) => self.after_value(byte)?,
            (State::Text, b'"') => State::AfterValue,
            (State::Text, b'\\') => State::Escape,
            (State::Text, 0..0x20) => return Err("in string literal".to_owned()),
            (State::Text, _) => State::Text,
            (State::Escape, b'u') => State::Unicode(4),
            (State::Escape, _) => return Err("in string escape code".to_owned()),
            (State::Unicode(left), byte) if byte.is_ascii_hexdigit() => match left {
                1 => State::Text,
                left => State::Unicode(left - 1),
            },
            (State::Unicode(_), _) => {
                return Err("in \\u hexadecimal character escape".to_owned());
            }
            (State::Minus, _) if digit => State::Whole { more: byte != b'0' },
            (State::Minus, _) => return Err("in numeric literal".to_owned()),
            (State::Whole { more: true }, _) if digit => self.state,
            (State::Whole { .. }, b'.') => State::Point,
            (State::Whole { .. } | State::Fraction, b'e' | b'E') => State::Exponent,
            (State::Point | State::Fraction, _) if digit => State::Fraction,
            (State::Point, _) => {
                return Err("after decimal point in numeric literal".to_owned());
            }
            (State::Exponent, b'+' | b'-') => State::ExponentSign,
            (State::Exponent | State::ExponentSign | State::ExponentDigits, _) if digit => {
                State::ExponentDigits
            }
            (State::Exponent | State::ExponentSign, _) => {
                return Err("in exponent of numeric literal".to_owned());
            }
            (State::Whole { .. } | State::Fraction | State::ExponentDigits, _) => {
                self.state = State::AfterValue;
                return Ok(false);
            }
            (State::Word(word, read), byte) => {
                let expected = word.as_bytes()[read];
                if byte != expected {
                    let expected = char::from(expected);
                    return Err(format!("in literal {word} (expecting '{expected}')"));
                }
                if read + 1 == word.len() {
                    State::AfterValue
                } else {
                    State::Word(word, read + 1)
                }
            }
        };
        Ok(true)
    }

    fn value(&mut self, first: u8) -> Result<State, String> {
        Ok(match first {
            b'{' => {
                self.around.push(Around::Key);
                State::KeyOrEnd
            }
            b'[' => {
                self.around.push(Around::Element);
                State::ValueOrEnd
            }
            b'"' => State::Text,
            b'-' => State::Minus,
            b'0'..=b'9' => State::Whole {
                more: first != b'0',
            },
            b't' => State::Word("true", 1),
            b'f' => State::Word("false", 1),
            b'n' => State::Word("null", 1),
            _ => return Err("looking for beginning of value".to_owned()),
        })
    }

    fn after_value(&mut self, byte: u8) -> Result<State, String> {
        let around = self.around.last_mut();
        let around = around.ok_or_else(|| "after top-level value".to_owned())?;
        match (*around, byte) {
            (Around::Key, b':') => {
                *around = Around::Member;
                Ok(State::Value)
            }
            (Around::Key, _) => Err("after object key".to_owned()),
            (Around::Member, b',') => {
                *around = Around::Key;
                Ok(State::Key)
            }
            (Around::Element, b',') => Ok(State::Value),
            (Around::Member, b'}') | (Around::Element, b']') => {
                self.around.pop();
                Ok(State::AfterValue)
            }
            (Around::Member, _) => Err("after object key:value pair".to_owned()),
            (Around::Element, _) => Err("after array element".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The sentences are those of a bytomd v2.0.6 (go 1.1x).
    #[test]
    fn stumbles_are_gos() {
        for (text, character, context) in [
            ("{\"a\":tru}", b'}', "in literal true (expecting 'e')"),
            ("{\"a\":01}", b'1', "after object key:value pair"),
            ("{\"a\":\"\n\"}", b'\n', "in string literal"),
            (
                "{\"a\":1,}",
                b'}',
                "looking for beginning of object key string",
            ),
            ("[1,]", b']', "looking for beginning of value"),
            ("{\"a\":1e}", b'}', "in exponent of numeric literal"),
            ("{\"a\":-}", b'}', "in numeric literal"),
            ("{\"a\":1.}", b'}', "after decimal point in numeric literal"),
            ("{\"a\":\"\\x\"}", b'x', "in string escape code"),
            (
                "{\"a\":\"\\u00g\"}",
                b'g',
                "in \\u hexadecimal character escape",
            ),
            ("[1 2", b'2', "after array element"),
            ("{\"a\" 1}", b'1', "after object key"),
            ("\u{ff}", 0xc3, "looking for beginning of value"),
            ("{} x", b'x', "after top-level value"),
            ("0[", b'[', "after top-level value"),
        ] {
            let context = context.to_owned();
            let wanted = Stumble::Character { character, context };
            assert_eq!(scan(text.as_bytes(), true), Some(wanted), "{text}");
        }
        for text in ["", "{", "[1,", "\"", "{\"a\":", "tru", "-", "1e"] {
            assert_eq!(scan(text.as_bytes(), true), Some(Stumble::End), "{text}");
        }
        for text in [
            "{}",
            " [] ",
            "0",
            "-1.5e+3",
            "null",
            "{\"a\":[1,2.0,\"\\u00e9\"]}",
        ] {
            assert_eq!(scan(text.as_bytes(), true), None, "{text}");
        }
        assert_eq!(scan(b"{} x", false), None);
    }

    #[test]
    fn bytes_are_quoted_as_go_quotes_them() {
        let all: Vec<String> = [b'x', b'\'', b'"', b'\n', 0, 0x7f, 0xc3, 0x85]
            .into_iter()
            .map(quoted)
            .collect();
        assert_eq!(
            all,
            [
                "'x'",
                r"'\''",
                "'\"'",
                r"'\n'",
                r"'\x00'",
                r"'\x7f'",
                "'Ã'",
                r"'\u0085'"
            ]
        );
    }

    proptest! {
        /// Whatever serde reads, this has nothing against; and the other way round, but for what Go overlooks.
        #[test]
        fn both_readers_agree(text in r#"[\[\]{}:,"a-e0-9\\u+.tnrl -]{0,24}"#) {
            let read = serde_json::from_str::<serde_json::Value>(&text);
            let stumble = scan(text.as_bytes(), true);
            match read {
                Ok(_) => prop_assert_eq!(stumble, None),
                Err(error) => {
                    let said = error.to_string();
                    let overlooked = ["out of range", "surrogate", "end of hex escape"];
                    let overlooks = overlooked.iter().any(|one| said.contains(one));
                    prop_assert!(stumble.is_some() || overlooks, "{}: {}", text, said);
                }
            }
        }
    }
}
