//! One line of the log. The format is that of zerolog's `ConsoleWriter`
//! (<https://pkg.go.dev/github.com/rs/zerolog#ConsoleWriter>) as Cosmovisor 1.7.1 prints it.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use jiff::Zoned;
use serde::de::IgnoredAny;
use tracing::Level;

use crate::config::{TimeFormat, go_text::quote};

/// What is the same for all lines.
pub(super) struct Style {
    pub(super) colors: bool,
    pub(super) time_format: TimeFormat,
}

/// An event.
pub(super) struct Line {
    pub(super) time: Zoned,
    pub(super) level: Level,
    pub(super) message: String,
    pub(super) fields: Vec<(String, Value)>,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    /// Printed as it is: a number, a truth value, a list.
    Bare(String),
    /// Put in quotes where it could be misread.
    Text(String),
}

impl Value {
    /// The value of a field that came formatted: a list in JSON, or a text.
    pub(super) fn formatted(text: String) -> Self {
        let list = text.starts_with('[') && serde_json::from_str::<Vec<IgnoredAny>>(&text).is_ok();
        if list {
            Self::Bare(text)
        } else {
            Self::Text(text)
        }
    }

    fn shown(&self) -> Cow<'_, str> {
        let risky = |byte| !(b'!'..=b'~').contains(&byte) || byte == b'\\' || byte == b'"';
        match self {
            Self::Text(text) if text.bytes().any(risky) => quote(text).into(),
            Self::Text(text) | Self::Bare(text) => text.into(),
        }
    }
}

const BOLD: u8 = 1;
const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;
const BLUE: u8 = 34;
const CYAN: u8 = 36;
const GREY: u8 = 90;

impl Line {
    /// The line with its line break.
    pub(super) fn render(mut self, style: &Style) -> String {
        let paint = |color: Option<u8>, text: &str| match color {
            Some(code) if style.colors => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        };
        let (level, color) = match self.level {
            Level::ERROR => ("ERR", Some(RED)),
            Level::WARN => ("WRN", Some(YELLOW)),
            Level::INFO => ("INF", Some(GREEN)),
            Level::DEBUG => ("DBG", None),
            Level::TRACE => ("TRC", Some(BLUE)),
        };
        let weight = (self.level <= Level::INFO).then_some(BOLD);
        let mut line = format!(
            "{} {} {}",
            paint(Some(GREY), &spell(&self.time, style.time_format)),
            paint(color, level),
            paint(weight, &self.message),
        );
        self.fields
            .sort_by(|(a, _), (b, _)| (a != "error", a).cmp(&(b != "error", b)));
        for (name, value) in &self.fields {
            let mut value = value.shown().into_owned();
            if name == "error" {
                value = paint(Some(RED), &paint(Some(BOLD), &value));
            }
            let _ = write!(line, " {}{value}", paint(Some(CYAN), &format!("{name}=")));
        }
        line.push('\n');
        line
    }
}

/// The time as the format has it, to the second: zerolog keeps no fractions.
fn spell(time: &Zoned, format: TimeFormat) -> String {
    let pattern = match format {
        TimeFormat::Empty => return "<nil>".to_owned(),
        TimeFormat::Layout => "%m/%d %I:%M:%S%p '%y %z",
        TimeFormat::Ansic => "%a %b %e %H:%M:%S %Y",
        TimeFormat::UnixDate => "%a %b %e %H:%M:%S %Z %Y",
        TimeFormat::RubyDate => "%a %b %d %H:%M:%S %z %Y",
        TimeFormat::Rfc822 => "%d %b %y %H:%M %Z",
        TimeFormat::Rfc822z => "%d %b %y %H:%M %z",
        TimeFormat::Rfc850 => "%A, %d-%b-%y %H:%M:%S %Z",
        TimeFormat::Rfc1123 => "%a, %d %b %Y %H:%M:%S %Z",
        TimeFormat::Rfc1123z => "%a, %d %b %Y %H:%M:%S %z",
        TimeFormat::Rfc3339 | TimeFormat::Rfc3339nano if time.offset().is_zero() => {
            "%Y-%m-%dT%H:%M:%SZ"
        }
        TimeFormat::Rfc3339 | TimeFormat::Rfc3339nano => "%Y-%m-%dT%H:%M:%S%:z",
        TimeFormat::Kitchen => "%-I:%M%p",
    };
    time.strftime(pattern).to_string()
}

/// A list for a field's value, printed without quotes around it: `args=["start","--home"]`.
pub fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> impl fmt::Display + fmt::Debug {
    let items: Vec<_> = items.into_iter().collect();
    let texts: Vec<_> = items.iter().map(AsRef::as_ref).collect();
    List(serde_json::json!(texts).to_string())
}

struct List(String);

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use jiff::{civil::date, tz::TimeZone};

    use super::*;

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    #[test]
    fn colours_as_cosmovisor_does() {
        let render = |level, fields: Vec<(&str, Value)>| {
            let line = Line {
                time: date(2026, 11, 21)
                    .at(3, 51, 0, 0)
                    .to_zoned(TimeZone::UTC)
                    .unwrap(),
                level,
                message: "hi".to_owned(),
                fields: fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
            };
            line.render(&Style {
                colors: true,
                time_format: TimeFormat::Kitchen,
            })
        };
        assert_eq!(
            render(
                Level::ERROR,
                vec![
                    ("attempt", Value::Bare("1".to_owned())),
                    ("error", text("exit status 31"))
                ]
            ),
            "\x1b[90m3:51AM\x1b[0m \x1b[31mERR\x1b[0m \x1b[1mhi\x1b[0m \
             \x1b[36merror=\x1b[0m\x1b[31m\x1b[1m\"exit status 31\"\x1b[0m\x1b[0m \
             \x1b[36mattempt=\x1b[0m1\n"
        );
        assert_eq!(
            render(Level::INFO, vec![("module", text("cosmovisor"))]),
            "\x1b[90m3:51AM\x1b[0m \x1b[32mINF\x1b[0m \x1b[1mhi\x1b[0m \
             \x1b[36mmodule=\x1b[0mcosmovisor\n"
        );
        assert!(render(Level::WARN, vec![]).contains(" \x1b[33mWRN\x1b[0m "));
        assert!(render(Level::DEBUG, vec![]).ends_with(" DBG hi\n"));
    }

    #[test]
    fn quotes_what_could_be_misread() {
        for (value, shown) in [
            ("/x/a", "/x/a"),
            ("", ""),
            ("x'y=", "x'y="),
            ("a b", r#""a b""#),
            ("é", "\"é\""),
            ("a\\b", r#""a\\b""#),
            ("a\nb", r#""a\nb""#),
            ("\"", r#""\"""#),
        ] {
            assert_eq!(text(value).shown(), shown);
        }
        let formatted = |value: &str| Value::formatted(value.to_owned()).shown().into_owned();
        assert_eq!(formatted(r#"["a b"]"#), r#"["a b"]"#);
        assert_eq!(formatted("[]"), "[]");
        assert_eq!(formatted("[a b]"), r#""[a b]""#);
    }

    /// The expected lines are what Go prints for these moments in UTC, São Paulo, Kolkata and London.
    #[test]
    fn spells_the_time_as_go_does() {
        let formats = &TimeFormat::ALL[1..];
        for (zone, moment, spelled) in GO_TIMES {
            let zone = TimeZone::posix(zone).unwrap();
            let time = moment
                .parse::<jiff::Timestamp>()
                .unwrap()
                .to_zoned(zone.clone());
            let lines: Vec<_> = formats.iter().map(|format| spell(&time, *format)).collect();
            assert_eq!(
                lines,
                spelled.lines().collect::<Vec<_>>(),
                "{zone:?} {moment}"
            );
        }
    }

    const GO_TIMES: [(&str, &str, &str); 4] = [
        (
            "UTC0",
            "2026-11-21T15:04:05Z",
            "11/21 03:04:05PM '26 +0000\n\
             Sat Nov 21 15:04:05 2026\n\
             Sat Nov 21 15:04:05 UTC 2026\n\
             Sat Nov 21 15:04:05 +0000 2026\n\
             21 Nov 26 15:04 UTC\n\
             21 Nov 26 15:04 +0000\n\
             Saturday, 21-Nov-26 15:04:05 UTC\n\
             Sat, 21 Nov 2026 15:04:05 UTC\n\
             Sat, 21 Nov 2026 15:04:05 +0000\n\
             2026-11-21T15:04:05Z\n\
             2026-11-21T15:04:05Z\n\
             3:04PM",
        ),
        (
            "<-03>3",
            "2026-02-03T03:00:59Z",
            "02/03 12:00:59AM '26 -0300\n\
             Tue Feb  3 00:00:59 2026\n\
             Tue Feb  3 00:00:59 -03 2026\n\
             Tue Feb 03 00:00:59 -0300 2026\n\
             03 Feb 26 00:00 -03\n\
             03 Feb 26 00:00 -0300\n\
             Tuesday, 03-Feb-26 00:00:59 -03\n\
             Tue, 03 Feb 2026 00:00:59 -03\n\
             Tue, 03 Feb 2026 00:00:59 -0300\n\
             2026-02-03T00:00:59-03:00\n\
             2026-02-03T00:00:59-03:00\n\
             12:00AM",
        ),
        (
            "IST-5:30",
            "2026-07-01T06:30:00Z",
            "07/01 12:00:00PM '26 +0530\n\
             Wed Jul  1 12:00:00 2026\n\
             Wed Jul  1 12:00:00 IST 2026\n\
             Wed Jul 01 12:00:00 +0530 2026\n\
             01 Jul 26 12:00 IST\n\
             01 Jul 26 12:00 +0530\n\
             Wednesday, 01-Jul-26 12:00:00 IST\n\
             Wed, 01 Jul 2026 12:00:00 IST\n\
             Wed, 01 Jul 2026 12:00:00 +0530\n\
             2026-07-01T12:00:00+05:30\n\
             2026-07-01T12:00:00+05:30\n\
             12:00PM",
        ),
        (
            "GMT0BST,M3.5.0/1,M10.5.0",
            "2026-01-09T00:07:08Z",
            "01/09 12:07:08AM '26 +0000\n\
             Fri Jan  9 00:07:08 2026\n\
             Fri Jan  9 00:07:08 GMT 2026\n\
             Fri Jan 09 00:07:08 +0000 2026\n\
             09 Jan 26 00:07 GMT\n\
             09 Jan 26 00:07 +0000\n\
             Friday, 09-Jan-26 00:07:08 GMT\n\
             Fri, 09 Jan 2026 00:07:08 GMT\n\
             Fri, 09 Jan 2026 00:07:08 +0000\n\
             2026-01-09T00:07:08Z\n\
             2026-01-09T00:07:08Z\n\
             12:07AM",
        ),
    ];
}
