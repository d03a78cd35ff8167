//! The halt before an upgrade that another program must do, told as nodes of the Cosmos SDK (0.50) tell it, so that
//! Cosmovisor and `baton` take it from there.

use std::io;
use std::path::{Path, PathBuf};

use baton_ledger::upgrade::Plan;
use serde::Serialize;
use tracing::error;

use crate::files;

/// `upgrade-info.json`: the fields and their order are those of `x/upgrade`'s `Plan` in JSON, empty ones left out.
#[derive(Debug, Serialize)]
pub struct InfoFile<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    /// A field that nobody uses any more, always Go's zero.
    time: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    height: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    info: &'a str,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference to the field"
)]
fn is_zero(height: &u64) -> bool {
    *height == 0
}

/// The file could not be written; a supervisor will not know of the upgrade.
#[derive(Debug, thiserror::Error)]
#[error("writing {}: {source}", .path.display())]
pub struct HaltError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl<'a> InfoFile<'a> {
    /// What is written for a plan.
    pub fn of(plan: &'a Plan) -> Self {
        Self {
            name: &plan.name,
            time: "0001-01-01T00:00:00Z",
            height: plan.height,
            info: &plan.info,
        }
    }

    /// As Go's `encoding/json` writes it: without spaces, and with what HTML could mistake escaped.
    pub fn text(&self) -> String {
        let text = serde_json::to_string(self).expect("texts and a number are JSON");
        // outside of strings JSON has none of these
        text.replace('&', "\\u0026")
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('\u{2028}', "\\u2028")
            .replace('\u{2029}', "\\u2029")
    }
}

/// Tells that the chain waits for another program: in a file for the supervisor, and in the log.
///
/// The file comes first: who reads the line may look for it. A file that says the same already is left alone, so that
/// a supervisor that watches it is not told twice.
pub(crate) fn halt(path: &Path, plan: &Plan) -> Result<(), HaltError> {
    let text = InfoFile::of(plan).text();
    let told = std::fs::read_to_string(path).is_ok_and(|found| found == text);
    let written = if told {
        Ok(())
    } else {
        files::write_atomic(path, text.as_bytes(), 0o600)
    };
    error!(
        "UPGRADE \"{}\" NEEDED at height: {}: {}",
        plan.name, plan.height, plan.info
    );
    written.map_err(|source| HaltError {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    fn plan(info: &str) -> Plan {
        Plan {
            name: "v2".to_owned(),
            height: 49,
            info: info.to_owned(),
        }
    }

    #[test]
    fn the_text_is_that_of_the_sdk() {
        assert_eq!(
            InfoFile::of(&plan("{\"a\":\"b&c<d>\"}")).text(),
            "{\"name\":\"v2\",\"time\":\"0001-01-01T00:00:00Z\",\"height\":49,\
             \"info\":\"{\\\"a\\\":\\\"b\\u0026c\\u003cd\\u003e\\\"}\"}"
        );
        assert_eq!(
            InfoFile::of(&plan("")).text(),
            "{\"name\":\"v2\",\"time\":\"0001-01-01T00:00:00Z\",\"height\":49}"
        );
    }

    #[test]
    fn the_file_is_its_owners_and_is_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("upgrade-info.json");
        halt(&path, &plan("x")).unwrap();
        let first = fs::metadata(&path).unwrap();
        assert_eq!(first.permissions().mode() & 0o777, 0o600);
        halt(&path, &plan("x")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().ino(), first.ino());
        halt(&path, &plan("y")).unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("\"y\""));
    }
}
