//! `data/upgrade-info.json`, the file by which a node tells its supervisor that it stopped for an
//! upgrade.
//!
//! Written as Cosmos nodes write it: Go's JSON (empty fields omitted, `&`, `<` and `>` escaped),
//! mode 0600, in place. In place is the point: a reader may see half a file.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chain::Plan;

/// Which fields the file has; they changed with the SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PlanShape {
    /// SDK 0.42: name and height.
    #[value(name = "0.42")]
    #[serde(rename = "0.42")]
    NameHeight,
    /// SDK 0.43 to 0.45: name, height and info.
    #[value(name = "0.43")]
    #[serde(rename = "0.43")]
    NameHeightInfo,
    /// SDK 0.46 and later: name, time, height and info.
    #[value(name = "0.46")]
    #[serde(rename = "0.46")]
    Plan,
}

/// Where the file is, below the node's data directory.
pub(crate) fn path(data: &Path) -> PathBuf {
    data.join("upgrade-info.json")
}

/// Writes `plan`, halting for `pause` half-way. `height` is the block at which the node stopped.
pub(crate) fn write(
    data: &Path,
    plan: &Plan,
    height: u64,
    shape: PlanShape,
    pause: Duration,
) -> io::Result<()> {
    let text = render(plan, height, shape);
    let (first, second) = text.as_bytes().split_at(text.len() / 2);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path(data))?;
    file.write_all(first)?;
    thread::sleep(pause);
    file.write_all(second)
}

fn render(plan: &Plan, height: u64, shape: PlanShape) -> String {
    let name = || ("name", quoted(&plan.name));
    let time = || ("time", quoted("0001-01-01T00:00:00Z"));
    let at = || ("height", height.to_string());
    let info = || ("info", quoted(&plan.info));
    let fields = match shape {
        PlanShape::NameHeight => vec![name(), at()],
        PlanShape::NameHeightInfo => vec![name(), at(), info()],
        PlanShape::Plan => vec![name(), time(), at(), info()],
    };
    let fields: Vec<String> = fields
        .into_iter()
        .filter(|(_, value)| value != "\"\"")
        .map(|(key, value)| format!("\"{key}\":{value}"))
        .collect();
    format!("{{{}}}", fields.join(","))
}

/// A JSON string as Go's `encoding/json` writes it.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for c in Value::from(text).to_string().chars() {
        match c {
            '&' | '<' | '>' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// The name and height in the file, as a new binary reads them to find out which stores to add;
/// `None` if there is no file.
pub(crate) fn read(data: &Path) -> io::Result<Option<(String, u64)>> {
    let text = match fs::read_to_string(path(data)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let value: Value = serde_json::from_str(&text)?;
    let name = value["name"].as_str().unwrap_or_default().to_owned();
    let height = match &value["height"] {
        Value::String(text) => text.parse().unwrap_or(0),
        other => other.as_u64().unwrap_or(0),
    };
    Ok(Some((name, height)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn plan(info: &str) -> Plan {
        Plan {
            name: "v2".into(),
            height: 49,
            info: info.into(),
        }
    }

    #[test]
    fn the_shapes_of_the_sdk() {
        let of = |shape| render(&plan("a&b<c>\"d\"\u{2028}"), 49, shape);
        assert_eq!(of(PlanShape::NameHeight), r#"{"name":"v2","height":49}"#);
        assert_eq!(
            of(PlanShape::NameHeightInfo),
            r#"{"name":"v2","height":49,"info":"a\u0026b\u003cc\u003e\"d\"\u2028"}"#
        );
        assert_eq!(
            of(PlanShape::Plan),
            r#"{"name":"v2","time":"0001-01-01T00:00:00Z","height":49,"info":"a\u0026b\u003cc\u003e\"d\"\u2028"}"#
        );
        assert_eq!(
            render(&plan(""), 49, PlanShape::Plan),
            r#"{"name":"v2","time":"0001-01-01T00:00:00Z","height":49}"#
        );
    }

    #[test]
    fn the_file_is_private_and_overwritten_in_place() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        write(
            dir.path(),
            &plan("long"),
            49,
            PlanShape::Plan,
            Duration::ZERO,
        )
        .unwrap();
        write(
            dir.path(),
            &plan(""),
            50,
            PlanShape::NameHeight,
            Duration::ZERO,
        )
        .unwrap();
        let meta = fs::metadata(path(dir.path())).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
        assert_eq!(read(dir.path()).unwrap(), Some(("v2".into(), 50)));
    }
}
