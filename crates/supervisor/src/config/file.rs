//! The configuration file. Its keys are decoded as leniently as Cosmovisor's library does it
//! (numbers for texts, `"1"` for true), and a variable that is set and not empty overrides its key,
//! decoded the same way.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use toml::{Table, Value};

use super::{
    Env, Ignored, Source,
    error::ConfigError,
    go_duration::GoDuration,
    go_text,
    key::Key,
    reading::{Finished, Origin, ignored_variables},
    time_format::TimeFormat,
};

/// The largest file that is read. Cosmovisor's own has under one KiB.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A file, and the environment over it.
pub(super) struct FromFile<'a> {
    path: PathBuf,
    env: &'a Env,
    table: Table,
    baton: Table,
    undecodable: Vec<String>,
    errors: Vec<ConfigError>,
    ignored: Vec<Ignored>,
}

impl<'a> FromFile<'a> {
    /// Reads the file; the settings are decoded one by one afterwards.
    pub(super) fn open(path: &Path, env: &'a Env) -> Result<Self, ConfigError> {
        let mut table = lower_keys(parse(&read(path)?)?);
        let baton = match table.remove("baton") {
            Some(Value::Table(baton)) => lower_keys(baton),
            Some(other) => {
                return Err(ConfigError::Undecodable(vec![unconvertible(
                    "baton",
                    "map[string]interface {}",
                    &other,
                )]));
            }
            None => Table::new(),
        };
        let mut from = Self {
            path: path.to_owned(),
            env,
            table,
            baton,
            undecodable: Vec::new(),
            errors: Vec::new(),
            ignored: ignored_variables(env),
        };
        from.note_unknown_keys();
        Ok(from)
    }

    fn note_unknown_keys(&mut self) {
        let (own, top): (Vec<_>, Vec<_>) = Key::COSMOVISOR
            .into_iter()
            .chain(Key::BATON)
            .partition(|key| key.in_baton_table());
        let names = |keys: &[Key]| keys.iter().map(|key| key.file_name()).collect::<Vec<_>>();
        let known = names(&top);
        // Cosmovisor passes over what it does not know, and so must a drop-in
        let unknown = self.table.keys().filter(|name| !known.contains(name));
        self.ignored.extend(unknown.map(|name| Ignored {
            name: name.clone(),
            source: Source::File,
        }));
        let known = names(&own);
        let misspelt = self.baton.keys().filter(|name| !known.contains(name));
        self.errors
            .extend(misspelt.map(|name| ConfigError::UnknownKey {
                name: name.clone(),
                path: self.path.clone(),
                known: known.join(", "),
            }));
    }

    fn variable(&self, key: Key) -> Option<Value> {
        let value = self.env.non_empty(key.env_name())?;
        Some(Value::String(value.to_string_lossy().into_owned()))
    }

    fn in_file(&self, key: Key) -> Option<&Value> {
        let table = if key.in_baton_table() {
            &self.baton
        } else {
            &self.table
        };
        table.get(&key.file_name())
    }

    fn value(&self, key: Key) -> Option<Value> {
        self.variable(key).or_else(|| self.in_file(key).cloned())
    }

    fn decode<T>(
        &mut self,
        key: Key,
        decode: impl FnOnce(&str, &Value) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(key)?;
        decode(&key.file_name(), &value)
            .map_err(|error| self.undecodable.push(error))
            .ok()
    }

    fn place(&self, key: Key) -> String {
        match self.source(key) {
            Source::File => format!("{} in {}", key.file_path(), self.path.display()),
            _ => "the environment".to_owned(),
        }
    }
}

impl Origin for FromFile<'_> {
    fn flag(&mut self, key: Key) -> Option<bool> {
        self.decode(key, decode_bool)
    }

    fn time_format(&mut self) -> Option<TimeFormat> {
        let got = self.decode(Key::TimeFormat, decode_text)?;
        let format = TimeFormat::from_name(&got);
        if format.is_none() {
            self.errors.push(ConfigError::NotTimeFormat { got });
        }
        format
    }

    fn duration(&mut self, key: Key) -> Option<Duration> {
        let got = self.decode(key, decode_duration)?;
        // `init` writes 0 for a delay or a grace that is not set
        let unset = got.0 == 0 && key != Key::PollInterval;
        let duration = got.positive();
        if duration.is_none() && !unset {
            let place = self.place(key);
            self.errors
                .push(ConfigError::NotPositiveInFile { key, got, place });
        }
        duration
    }

    fn integer(&mut self, key: Key) -> Option<i64> {
        self.decode(key, decode_integer)
    }

    fn text(&mut self, key: Key) -> Option<OsString> {
        // straight from the environment, where a path need not be Unicode
        if let Some(value) = self.env.non_empty(key.env_name()) {
            return Some(value.to_owned());
        }
        self.decode(key, decode_text).map(OsString::from)
    }

    fn own(&mut self, key: Key) -> Option<(String, String)> {
        let text = match self.value(key)? {
            Value::String(text) if text.is_empty() => return None,
            Value::String(text) => text,
            Value::Boolean(false) if key == Key::Rollback => "off".to_owned(),
            Value::Array(values) => {
                let texts: Vec<_> = values.iter().map(shown).collect();
                texts.join(",")
            }
            other => shown(&other),
        };
        Some((text, self.place(key)))
    }

    fn source(&self, key: Key) -> Source {
        if self.variable(key).is_some() {
            Source::Environment
        } else if self.in_file(key).is_some() {
            Source::File
        } else {
            Source::Default
        }
    }

    fn finish(mut self) -> Finished {
        // a setting that cannot be decoded would be told a second time as one that is not set
        if !self.undecodable.is_empty() {
            self.undecodable.sort();
            self.errors = vec![ConfigError::Undecodable(self.undecodable)];
        }
        Finished {
            errors: self.errors,
            ignored: self.ignored,
            file: Some(self.path),
        }
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |verb: &str, error: &io::Error| {
        let why = go_text::io_error(error);
        ConfigError::Unreadable(format!("{verb} {}: {why}", path.display()))
    };
    let metadata = std::fs::metadata(path).map_err(|error| ConfigError::NotFound {
        path: path.to_owned(),
        why: go_text::io_error(&error),
    })?;
    let extension = extension(path);
    if extension != "toml" {
        return Err(ConfigError::Unreadable(format!(
            "Unsupported Config Type {}",
            go_text::quote(&extension)
        )));
    }
    if metadata.is_dir() {
        let error = io::Error::from(rustix::io::Errno::ISDIR);
        return Err(unreadable("read", &error));
    }
    if !metadata.is_file() {
        return Err(ConfigError::Unreadable(format!(
            "{} is not a regular file",
            path.display()
        )));
    }
    let file = File::open(path).map_err(|error| unreadable("open", &error))?;
    let mut text = String::new();
    let read = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| unreadable("read", &error))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(ConfigError::Unreadable(format!(
            "{} is larger than {MAX_FILE_BYTES} bytes",
            path.display()
        )));
    }
    Ok(text)
}

/// What follows the last dot of the file name, also of a name that starts with it.
fn extension(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.rsplit_once('.')
        .map_or_else(String::new, |(_, extension)| extension.to_owned())
}

fn parse(text: &str) -> Result<Table, ConfigError> {
    text.parse().map_err(|error: toml::de::Error| {
        let why = error.to_string();
        ConfigError::Unreadable(format!("While parsing config: toml: {}", why.trim_end()))
    })
}

fn lower_keys(table: Table) -> Table {
    table
        .into_iter()
        .map(|(name, value)| (name.to_lowercase(), value))
        .collect()
}

fn decode_bool(name: &str, value: &Value) -> Result<bool, String> {
    match value {
        Value::Boolean(value) => Ok(*value),
        Value::Integer(value) => Ok(*value != 0),
        Value::Float(value) => Ok(*value != 0.0),
        Value::String(text) if text.is_empty() => Ok(false),
        Value::String(text) => {
            go_text::parse_bool(text).map_err(|why| format!("cannot parse '{name}' as bool: {why}"))
        }
        other => Err(unconvertible(name, "bool", other)),
    }
}

fn decode_integer(name: &str, value: &Value) -> Result<i64, String> {
    match value {
        Value::String(text) if text.is_empty() => Ok(0),
        Value::String(text) => go_text::parse_literal(text)
            .map_err(|why| format!("cannot parse '{name}' as int: {why}")),
        other => number(other).ok_or_else(|| unconvertible(name, "int", other)),
    }
}

fn decode_duration(name: &str, value: &Value) -> Result<GoDuration, String> {
    match value {
        Value::String(text) => {
            GoDuration::parse(text).map_err(|why| format!("error decoding '{name}': {why}"))
        }
        other => number(other)
            .map(GoDuration)
            .ok_or_else(|| unconvertible(name, "time.Duration", other)),
    }
}

fn decode_text(name: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Boolean(value) => Ok(i32::from(*value).to_string()),
        Value::Integer(value) => Ok(value.to_string()),
        Value::Float(value) => Ok(value.to_string()),
        other => Err(unconvertible(name, "string", other)),
    }
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Boolean(value) => Some(i64::from(*value)),
        Value::Integer(value) => Some(*value),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "fractions are dropped, and what is too large saturates"
        )]
        Value::Float(value) => Some(*value as i64),
        _ => None,
    }
}

fn unconvertible(name: &str, expected: &str, value: &Value) -> String {
    let kind = match value {
        Value::Array(_) => "[]interface {}",
        Value::Table(_) => "map[string]interface {}",
        Value::Datetime(moment) => match (moment.date, moment.time, moment.offset) {
            (Some(_), None, None) => "toml.LocalDate",
            (None, Some(_), None) => "toml.LocalTime",
            (_, _, None) => "toml.LocalDateTime",
            _ => "time.Time",
        },
        Value::String(_) => "string",
        Value::Boolean(_) => "bool",
        Value::Integer(_) => "int64",
        Value::Float(_) => "float64",
    };
    let value = shown(value);
    format!(
        "'{name}' expected type '{expected}', got unconvertible type '{kind}', value: '{value}'"
    )
}

/// A value in the notation of Go's `%v`.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let values: Vec<_> = values.iter().map(shown).collect();
            format!("[{}]", values.join(" "))
        }
        Value::Table(table) => {
            let entries: Vec<_> = table
                .iter()
                .map(|(name, value)| format!("{name}:{}", shown(value)))
                .collect();
            format!("map[{}]", entries.join(" "))
        }
        other => other.to_string(),
    }
}
