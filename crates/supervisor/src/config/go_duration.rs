//! Durations as Cosmovisor's configuration spells them: the grammar, the printed form and the error
//! texts of Go's `time.ParseDuration` and `Duration.String`
//! (<https://pkg.go.dev/time#ParseDuration>).

use std::{
    fmt::{self, Write},
    time::Duration,
};

/// A signed number of nanoseconds in Go's notation: `300ms`, `1h1m1.5s`, `-3m0s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(pub i64);

/// Why a text is no duration, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoDurationError {
    /// Not of the form `number unit` repeated, or too large for 64-bit nanoseconds.
    #[error("time: invalid duration {}", quote(.0))]
    Invalid(String),
    /// A number without a unit, such as the bare `600` that versions before 1.2 accepted.
    #[error("time: missing unit in duration {}", quote(.0))]
    MissingUnit(String),
    /// A unit other than ns, us, ms, s, m and h.
    #[error("time: unknown unit {} in duration {}", quote(.unit), quote(.text))]
    UnknownUnit {
        /// What stands in the place of a unit.
        unit: String,
        /// The whole text.
        text: String,
    },
}

/// The magnitude of Go's smallest duration, one more than that of its largest.
const LIMIT: u64 = 1 << 63;

impl GoDuration {
    /// Reads Go's notation. Surrounding blanks are not accepted.
    pub fn parse(text: &str) -> Result<Self, GoDurationError> {
        let invalid = || GoDurationError::Invalid(text.to_owned());
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total = 0u64;
        while !rest.is_empty() {
            let number;
            (number, rest) = Number::take(rest).ok_or_else(invalid)?;
            let end = rest.find(|c: char| c == '.' || c.is_ascii_digit());
            let (unit, after) = rest.split_at(end.unwrap_or(rest.len()));
            rest = after;
            if unit.is_empty() {
                return Err(GoDurationError::MissingUnit(text.to_owned()));
            }
            let nanoseconds = unit_length(unit).ok_or_else(|| GoDurationError::UnknownUnit {
                unit: unit.to_owned(),
                text: text.to_owned(),
            })?;
            total = number
                .times(nanoseconds)
                .and_then(|part| total.checked_add(part))
                .filter(|sum| *sum <= LIMIT)
                .ok_or_else(invalid)?;
        }
        let magnitude = i128::from(total);
        i64::try_from(if negative { -magnitude } else { magnitude })
            .map(Self)
            .map_err(|_| invalid())
    }

    /// The length, for durations greater than zero.
    pub fn positive(self) -> Option<Duration> {
        u64::try_from(self.0)
            .ok()
            .filter(|nanoseconds| *nanoseconds > 0)
            .map(Duration::from_nanos)
    }
}

impl From<Duration> for GoDuration {
    /// Saturates at Go's largest duration, about 292 years.
    fn from(length: Duration) -> Self {
        Self(i64::try_from(length.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let total = self.0.unsigned_abs();
        match total {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{total}ns"),
            1_000..1_000_000 => write!(f, "{}µs", decimal(total, 1_000)),
            1_000_000..1_000_000_000 => write!(f, "{}ms", decimal(total, 1_000_000)),
            _ => {
                let (minutes, below) = (total / MINUTE, total % MINUTE);
                if minutes >= 60 {
                    write!(f, "{}h", minutes / 60)?;
                }
                if minutes > 0 {
                    write!(f, "{}m", minutes % 60)?;
                }
                write!(f, "{}s", decimal(below, SECOND))
            }
        }
    }
}

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;

fn unit_length(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        // both the micro sign and the Greek letter
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => 60 * MINUTE,
        _ => return None,
    })
}

/// `12.34` taken apart, without its unit.
struct Number {
    whole: u64,
    fraction: u64,
    scale: f64,
}

impl Number {
    fn take(text: &str) -> Option<(Self, &str)> {
        let (whole_digits, mut rest) = split_digits(text);
        let mut whole = 0u64;
        for digit in whole_digits.bytes() {
            whole = whole
                .checked_mul(10)?
                .checked_add(u64::from(digit - b'0'))
                .filter(|value| *value <= LIMIT)?;
        }
        let (mut fraction, mut scale, mut digits) = (0u64, 1f64, whole_digits.len());
        if let Some(after) = rest.strip_prefix('.') {
            let (fraction_digits, after) = split_digits(after);
            rest = after;
            digits += fraction_digits.len();
            for digit in fraction_digits.bytes() {
                let longer = fraction
                    .checked_mul(10)
                    .and_then(|value| value.checked_add(u64::from(digit - b'0')));
                // digits beyond 64 bits are below a nanosecond and are dropped
                let Some(longer) = longer.filter(|value| *value <= LIMIT) else {
                    break;
                };
                fraction = longer;
                scale *= 10.0;
            }
        }
        (digits > 0).then_some((
            Self {
                whole,
                fraction,
                scale,
            },
            rest,
        ))
    }

    fn times(&self, unit: u64) -> Option<u64> {
        // floating point, because Go rounds `0.3333333333333333333h` to 20 minutes that way
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a fraction of a unit is positive and below 2^42"
        )]
        let fraction = (self.fraction as f64 * (unit as f64 / self.scale)) as u64;
        self.whole.checked_mul(unit)?.checked_add(fraction)
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

/// `value / unit` in decimal without trailing zeros.
fn decimal(value: u64, unit: u64) -> String {
    let digits = unit.ilog10() as usize;
    let text = format!("{}.{:0digits$}", value / unit, value % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The quotes of Go's `time` package, which escape every byte outside ASCII.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..0x80 => quoted.push(char::from(byte)),
            _ => {
                let _ = write!(quoted, "\\x{byte:02x}");
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<String, String> {
        GoDuration::parse(text)
            .map(|duration| duration.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn reads_and_prints_as_go_does() {
        for (text, printed) in [
            ("0", "0s"),
            ("-0", "0s"),
            (".5s", "500ms"),
            ("5.s", "5s"),
            ("1us", "1µs"),
            ("1µs", "1µs"),
            ("1μs", "1µs"),
            ("1ns", "1ns"),
            ("+1s", "1s"),
            ("-3m", "-3m0s"),
            ("600s", "10m0s"),
            ("1h1h", "2h0m0s"),
            ("1h1m1.5s", "1h1m1.5s"),
            ("1ms2us", "1.002ms"),
            ("0.3333333333333333333h", "20m0s"),
            ("1.0000000000000000000000001s", "1s"),
            ("9223372036854775807ns", "2562047h47m16.854775807s"),
            ("2562047h47m16.854775807s", "2562047h47m16.854775807s"),
            ("-9223372036854775808ns", "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(read(text), Ok(printed.to_owned()), "{text}");
        }
    }

    #[test]
    fn refuses_in_gos_words() {
        for (text, error) in [
            ("", r#"time: invalid duration """#),
            ("bad", r#"time: invalid duration "bad""#),
            (".", r#"time: invalid duration ".""#),
            (".s", r#"time: invalid duration ".s""#),
            (" 5s", r#"time: invalid duration " 5s""#),
            ("é", r#"time: invalid duration "\xc3\xa9""#),
            ("2562048h", r#"time: invalid duration "2562048h""#),
            (
                "9223372036854775808ns",
                r#"time: invalid duration "9223372036854775808ns""#,
            ),
            (
                "99999999999999999999999s",
                r#"time: invalid duration "99999999999999999999999s""#,
            ),
            ("600", r#"time: missing unit in duration "600""#),
            ("1.5.5s", r#"time: missing unit in duration "1.5.5s""#),
            ("1d", r#"time: unknown unit "d" in duration "1d""#),
            ("1 s", r#"time: unknown unit " s" in duration "1 s""#),
            ("1h-1m", r#"time: unknown unit "h-" in duration "1h-1m""#),
            ("1s\"", r#"time: unknown unit "s\"" in duration "1s\"""#),
            ("1\u{1}", r#"time: unknown unit "\x01" in duration "1\x01""#),
        ] {
            assert_eq!(read(text), Err(error.to_owned()), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(nanoseconds: i64) {
            let printed = GoDuration(nanoseconds).to_string();
            prop_assert_eq!(GoDuration::parse(&printed), Ok(GoDuration(nanoseconds)));
        }

        #[test]
        fn never_panics(text in "[-+.0-9nuµmsh ]{0,24}") {
            let _ = GoDuration::parse(&text);
        }
    }
}
