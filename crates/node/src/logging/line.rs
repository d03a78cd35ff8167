//! One event as one line: text as logrus writes it, which bytomd's operators parse, or JSON.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::Format;

/// Longer lines are cut, in bytes: some events carry whole messages of peers.
const MAX_LINE: usize = 16 << 10;

/// Renders an event; the line ends with a newline.
pub(super) fn render(
    format: Format,
    now: Timestamp,
    event: &Event<'_>,
    module: &str,
    namespace: Option<&str>,
    places: bool,
) -> String {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let metadata = event.metadata();
    if places && let (Some(file), Some(line)) = (metadata.file(), metadata.line()) {
        fields.rest.push(("file", format!("{file}:{line}").into()));
    }
    if let Some(namespace) = namespace {
        fields.rest.push(("namespace", namespace.into()));
    }
    fields.rest.push(("module", module.into()));
    line(
        format,
        now,
        word(*metadata.level()),
        &fields.message,
        &fields.rest,
    )
}

/// Writes one line.
pub(super) fn line(
    format: Format,
    now: Timestamp,
    level: &str,
    message: &str,
    fields: &[(&str, Value)],
) -> String {
    let mut line = match format {
        Format::Text => text(now, level, message, fields),
        Format::Json => {
            let mut object = Map::new();
            object.insert("time".to_owned(), now.to_string().into());
            object.insert("level".to_owned(), level.into());
            object.insert("msg".to_owned(), cut(message).into());
            for (name, value) in fields {
                let value = match value {
                    Value::String(text) => cut(text).into(),
                    other => other.clone(),
                };
                object.insert((*name).to_owned(), value);
            }
            Value::Object(object).to_string()
        }
    };
    line.push('\n');
    line
}

fn text(now: Timestamp, level: &str, message: &str, fields: &[(&str, Value)]) -> String {
    let seconds = now.strftime("%Y-%m-%dT%H:%M:%SZ");
    let mut line = format!("time=\"{seconds}\" level={level} msg={}", quoted(message));
    for (name, value) in fields {
        let value = match value {
            Value::String(text) => quoted(text),
            other => other.to_string(),
        };
        write!(line, " {name}={value}").expect("a string takes what is written to it");
    }
    if line.len() > MAX_LINE {
        line.truncate(line.floor_char_boundary(MAX_LINE));
        line.push('…');
    }
    line
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_LINE)]
}

/// The word as it is, or between quotes if it has more than what logrus leaves bare.
fn quoted(text: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "-._/@^+".contains(c);
    if !text.is_empty() && text.chars().all(bare) {
        text.to_owned()
    } else {
        format!("{text:?}")
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// The message and the fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    rest: Vec<(&'static str, Value)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("message", other) => self.message = other.to_string(),
            (name, value) => self.rest.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, value.to_string().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_795_226_742, 0);

    #[test]
    fn text_is_as_logrus_writes_it() {
        let fields = [
            ("height", 6.into()),
            ("config", "/home/me/config.toml".into()),
            ("why", "a \"b\"\nc".into()),
            ("module", "cmd".into()),
        ];
        assert_eq!(
            line(Format::Text, NOW, "info", "Initialized bytom", &fields),
            "time=\"2026-11-21T02:05:42Z\" level=info msg=\"Initialized bytom\" height=6 \
             config=/home/me/config.toml why=\"a \\\"b\\\"\\nc\" module=cmd\n"
        );
    }

    #[test]
    fn json_is_one_object_and_both_are_bounded() {
        let fields = [("height", 6.into())];
        assert_eq!(
            line(Format::Json, NOW, "warning", "late", &fields),
            "{\"time\":\"2026-11-21T02:05:42Z\",\"level\":\"warning\",\"msg\":\"late\",\"height\":6}\n"
        );
        let long = "ü".repeat(MAX_LINE);
        for format in [Format::Text, Format::Json] {
            assert!(line(format, NOW, "info", &long, &[]).len() < MAX_LINE + 100);
        }
    }
}
