//! `config.toml`: read, and written with a comment for every setting.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use super::keys::{KEYS, Key, Kind, Treatment, Value};
use crate::namespace::Name;

/// Larger files are none of ours, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// The table of namespaces.
const NAMESPACE: &str = "namespace";

/// A `config.toml` as it was read; names and values are judged later, all at once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document {
    /// The values, with the table before the dot.
    pub values: BTreeMap<String, toml::Value>,
    /// The namespaces besides `global`.
    pub namespaces: Vec<Listed>,
}

/// A `[[namespace]]`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Its name, and that of its directory.
    pub name: Name,
    /// Whether it is started with the node.
    #[serde(default = "yes")]
    pub start: bool,
}

fn yes() -> bool {
    true
}

/// Why a `config.toml` cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It is not TOML, at that line and column. (bytomd's text.)
    #[error("While parsing config: ({line}, {column}): {message}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// It cannot be read.
    #[error("reading {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is too large.
    #[error("{path} has {bytes} bytes, more than the limit of {MAX_BYTES}")]
    TooLarge {
        /// The file.
        path: String,
        /// Its size.
        bytes: u64,
    },
}

impl Document {
    /// Reads a file; one that is not there is an empty one, as in bytomd.
    pub fn read(path: &Path) -> Result<Self, DocumentError> {
        let unread = |source| DocumentError::Read {
            path: path.display().to_string(),
            source,
        };
        let bytes = match fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(unread(error)),
        };
        if bytes > MAX_BYTES {
            return Err(DocumentError::TooLarge {
                path: path.display().to_string(),
                bytes,
            });
        }
        Self::parse(&fs::read_to_string(path).map_err(unread)?)
    }

    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        let table: toml::Table = toml::from_str(text).map_err(|error| syntax(text, &error))?;
        let mut document = Self::default();
        for (name, value) in table {
            match value {
                value if name == NAMESPACE => {
                    document.namespaces =
                        value.try_into().map_err(|error| DocumentError::Syntax {
                            line: line_of(text, "[[namespace]]"),
                            column: 1,
                            message: format!("[[namespace]]: {error}"),
                        })?;
                }
                toml::Value::Table(table) => {
                    let inner = table
                        .into_iter()
                        .map(|(inner, value)| (format!("{name}.{inner}"), value));
                    document.values.extend(inner);
                }
                value => {
                    document.values.insert(name, value);
                }
            }
        }
        Ok(document)
    }
}

fn syntax(text: &str, error: &toml::de::Error) -> DocumentError {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = &text[..text.floor_char_boundary(at)];
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    DocumentError::Syntax {
        line: before.matches('\n').count() + 1,
        column,
        message: error.message().to_owned(),
    }
}

fn line_of(text: &str, start: &str) -> usize {
    let line = text
        .lines()
        .position(|line| line.trim_start().starts_with(start));
    line.map_or(1, |line| line + 1)
}

/// The text of a `config.toml`: every setting with what it decides, `chosen` ones and those that bytomd's file has as
/// lines, the others as comments with their defaults.
pub fn text(chosen: &BTreeMap<&'static str, Value>) -> String {
    let mut text = String::from(
        "# This is a TOML config file.\n# For more information, see https://github.com/toml-lang/toml\n\
         #\n# Settings of batond. A flag wins over the environment, the environment over this file, this file over the\n\
         # defaults, which the comments show. `batond config check` tells what is wrong here.\n",
    );
    let mut table = "";
    for key in KEYS {
        if matches!(key.treatment, Treatment::Ignored(_)) {
            continue;
        }
        let (own, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if own != table {
            table = own;
            write!(text, "\n[{own}]\n").expect("a string takes what is written to it");
        }
        line(&mut text, key, name, chosen.get(key.name));
    }
    text.push_str(
        "\n# More chains in this process, each with a home of its own under namespaces/<name>/.\n\
         # `batond namespace create <name>` makes one and writes these lines.\n\
         # [[namespace]]\n# name = \"second\"\n# start = true\n",
    );
    text
}

fn line(text: &mut String, key: &Key, name: &str, chosen: Option<&Value>) {
    let written = key.treatment == Treatment::Written || chosen.is_some();
    let default = key.default_value();
    let value = spelled(chosen.unwrap_or(&default));
    let variable = key.variable();
    let mark = if written { "" } else { "# " };
    write!(
        text,
        "\n# {}. ({variable})\n{mark}{name} = {value}\n",
        key.help
    )
    .expect("a string takes what is written to it");
}

fn spelled(value: &Value) -> String {
    match value {
        Value::Switch(on) => on.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => toml::Value::String(text.clone()).to_string(),
    }
}

/// A value in the file as one would write it on the command line; `None` for lists, tables and dates.
pub(super) fn plain(value: &toml::Value, kind: Kind) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(on) => Some(on.to_string()),
        toml::Value::Float(number) if kind == Kind::Text => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_and_says_nothing_new() {
        let chosen = BTreeMap::from([
            ("chain_id", Value::Text("solonet".to_owned())),
            ("p2p.laddr", Value::Text("tcp://0.0.0.0:46658".to_owned())),
        ]);
        let document = Document::parse(&text(&chosen)).unwrap();
        let values: BTreeMap<_, _> = document
            .values
            .iter()
            .map(|(name, value)| (name.as_str(), plain(value, Kind::Text).unwrap()))
            .collect();
        assert_eq!(
            values,
            BTreeMap::from([
                ("chain_id", "solonet".to_owned()),
                ("api_addr", "0.0.0.0:9888".to_owned()),
                ("node_alias", String::new()),
                ("p2p.laddr", "tcp://0.0.0.0:46658".to_owned()),
                ("p2p.seeds", String::new()),
                ("rpc.laddr", String::new()),
            ])
        );
        // with every comment mark taken away each setting is there once
        let bare = text(&chosen).lines().fold(String::new(), |all, line| {
            let bare = line.strip_prefix("# ").filter(|bare| {
                bare.starts_with(|c: char| c.is_ascii_lowercase()) && bare.contains(" = ")
            });
            all + bare.unwrap_or(line) + "\n"
        });
        let all = Document::parse(&bare.replace("name = \"second\"\nstart = true\n", "")).unwrap();
        let used = KEYS
            .iter()
            .filter(|key| !matches!(key.treatment, Treatment::Ignored(_)));
        assert_eq!(all.values.len(), used.count());
    }

    #[test]
    fn what_is_not_toml_is_told_with_its_place() {
        let error = Document::parse("a = 1\n[p2p]\nladdr = = 3\n").unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("While parsing config: (3, 9): "),
            "{error}"
        );
    }

    #[test]
    fn namespaces_are_listed() {
        let text = "chain_id = \"solonet\"\n[[namespace]]\nname = \"b\"\n[[namespace]]\nname = \"c\"\nstart = false\n";
        let document = Document::parse(text).unwrap();
        let listed: Vec<_> = document
            .namespaces
            .iter()
            .map(|listed| (listed.name.as_str(), listed.start))
            .collect();
        assert_eq!(listed, [("b", true), ("c", false)]);
        let error = Document::parse("a = 1\n[[namespace]]\nname = \"../x\"\n").unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("(2, 1)") && error.contains("../x"),
            "{error}"
        );
    }
}
