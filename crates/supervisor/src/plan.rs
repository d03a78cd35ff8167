//! A plan: an upgrade to come, as a node or an operator wrote it.
//!
//! Nodes write `upgrade-info.json` in place and not atomically, so a reader meets it empty and in
//! halves; and every SDK from 0.42 to 0.54 has a shape of its own. Reading tells the three cases
//! apart: a plan, not yet a plan (wait for the rest), never a plan (say so).

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The largest plan file that is read, in bytes. Real ones have under 4 KiB.
pub const MAX_PLAN_BYTES: u64 = 1 << 20;

/// An upgrade to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The upgrade's name, as it was written; [`crate::layout::Layout::cased`] is what it is
    /// compared by.
    pub name: String,
    /// The block at which the old binary stops.
    pub height: u64,
    /// What the proposal said, such as where the binaries are.
    #[serde(default)]
    pub info: String,
}

/// Why a text is not a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The writer has not finished, or died before it did.
    #[error("incomplete: {0}")]
    Incomplete(String),
    /// It will never be a plan.
    #[error("invalid upgrade-info.json content: {0}")]
    Malformed(String),
}

impl Plan {
    /// Reads a plan.
    ///
    /// Field names are matched in any case, unknown ones are skipped, and the height may be a
    /// number or a string: what Go's decoder and gogoproto's between them accept.
    pub fn parse(text: &[u8]) -> Result<Self, PlanError> {
        if text.iter().all(u8::is_ascii_whitespace) {
            return Err(PlanError::Incomplete("the file is empty".to_owned()));
        }
        let value: Value = serde_json::from_slice(text).map_err(|e| {
            if e.is_eof() {
                PlanError::Incomplete(e.to_string())
            } else {
                PlanError::Malformed(e.to_string())
            }
        })?;
        Self::from_value(&value)
    }

    pub(crate) fn from_value(value: &Value) -> Result<Self, PlanError> {
        let malformed = |text: String| PlanError::Malformed(text);
        let Value::Object(fields) = value else {
            return Err(malformed("not a JSON object".to_owned()));
        };
        let field = |name: &str| {
            fields
                .get(name)
                .or_else(|| {
                    let mut any_case = fields.iter().filter(|(k, _)| k.eq_ignore_ascii_case(name));
                    any_case.next_back().map(|(_, v)| v)
                })
                .filter(|v| !v.is_null())
        };
        let text = |name: &str| match field(name) {
            None => Ok(String::new()),
            Some(Value::String(s)) => Ok(s.clone()),
            Some(other) => Err(malformed(format!("{name} must be a string, not {other}"))),
        };
        let name = text("name")?;
        if name.is_empty() {
            return Err(malformed(
                "name cannot be empty: invalid request".to_owned(),
            ));
        }
        let height = match field("height") {
            None => 0,
            Some(Value::Number(n)) => n
                .as_i64()
                .ok_or_else(|| malformed(format!("height {n} is not a whole number")))?,
            Some(Value::String(s)) => s
                .parse()
                .map_err(|_| malformed(format!("height {s:?} is not a whole number")))?,
            Some(other) => return Err(malformed(format!("height must be a number, not {other}"))),
        };
        let height = u64::try_from(height)
            .ok()
            .filter(|h| *h > 0)
            .ok_or_else(|| {
                malformed("height must be greater than 0: invalid request".to_owned())
            })?;
        if let Some(time) = field("time")
            && !time
                .as_str()
                .is_some_and(|t| t.starts_with("0001-01-01T00:00:00"))
        {
            return Err(malformed(
                "time-based upgrades have been deprecated in the SDK: invalid request".to_owned(),
            ));
        }
        if field("upgraded_client_state").is_some() {
            return Err(malformed(
                "upgrade logic for IBC has been moved to the IBC module: invalid request"
                    .to_owned(),
            ));
        }
        Ok(Self {
            name,
            height,
            info: text("info")?,
        })
    }

    /// The plan as nodes and Cosmovisor write it, byte for byte: Go's `json.Marshal` of the SDK's
    /// `Plan`, with its escaping of `<`, `>` and `&`.
    pub fn to_json(&self) -> String {
        let mut json = format!(
            r#"{{"name":{},"time":"0001-01-01T00:00:00Z","height":{}"#,
            go_string(&self.name),
            self.height
        );
        if !self.info.is_empty() {
            json.push_str(r#","info":"#);
            json.push_str(&go_string(&self.info));
        }
        json.push('}');
        json
    }
}

/// A string as Go's JSON encoder writes it.
fn go_string(text: &str) -> String {
    serde_json::to_string(text)
        .expect("a string can always be encoded")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// Which writing of a file this is. Two readings that differ mean that it was written between
/// them; no clock is compared, so a clock that jumps cannot mislead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    inode: u64,
    modified_ns: i64,
    size: u64,
}

impl Fingerprint {
    /// Of the file at this path, links followed.
    pub fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|meta| Self::from(&meta))
    }
}

impl From<&fs::Metadata> for Fingerprint {
    fn from(meta: &fs::Metadata) -> Self {
        Self {
            inode: meta.ino(),
            modified_ns: meta
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(meta.mtime_nsec()),
            size: meta.size(),
        }
    }
}

/// The plan file as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanFile {
    /// Which writing it is.
    pub fingerprint: Fingerprint,
    /// Its permission bits: nodes write 0600, `add-upgrade` 0755.
    pub mode: u32,
    /// When it was written, in nanoseconds since 1970 by the file system's clock.
    pub modified_ns: i64,
    /// What it says.
    pub content: Result<Plan, PlanError>,
}

/// Reads the plan file; `None` if there is none.
pub fn read_file(path: &Path) -> io::Result<Option<PlanFile>> {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let fingerprint = Fingerprint::from(&meta);
    let content = if !meta.is_file() {
        Err(PlanError::Malformed("not a regular file".to_owned()))
    } else if meta.size() > MAX_PLAN_BYTES {
        Err(PlanError::Malformed(format!(
            "{} bytes, more than the {MAX_PLAN_BYTES} that are read",
            meta.size()
        )))
    } else {
        Plan::parse(&fs::read(path)?)
    };
    Ok(Some(PlanFile {
        fingerprint,
        mode: meta.mode() & 0o7777,
        modified_ns: fingerprint.modified_ns,
        content,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Plan, PlanError> {
        Plan::parse(text.as_bytes())
    }

    fn plan(name: &str, height: u64, info: &str) -> Plan {
        Plan {
            name: name.to_owned(),
            height,
            info: info.to_owned(),
        }
    }

    #[test]
    fn every_shape_of_the_sdk_is_read() {
        for (text, want) in [
            (r#"{"name":"v2","height":49}"#, plan("v2", 49, "")),
            (
                r#"{"name":"v2","height":49,"info":"x"}"#,
                plan("v2", 49, "x"),
            ),
            (
                r#"{"name":"V2","time":"0001-01-01T00:00:00Z","height":"49","info":""}"#,
                plan("V2", 49, ""),
            ),
            (
                r#"{"Name":"v2","HEIGHT":49,"upgraded_client_state":null,"new":[1]}"#,
                plan("v2", 49, ""),
            ),
        ] {
            assert_eq!(parse(text).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn halves_are_waited_for_and_nonsense_is_named() {
        for half in ["", " \n", r#"{"na"#, r#"{"name":"v2","height":4"#] {
            assert!(
                matches!(parse(half), Err(PlanError::Incomplete(_))),
                "{half}"
            );
        }
        for (bad, says) in [
            ("{}", "name cannot be empty"),
            (r#"{"name":"v2","heigh":"123"}"#, "greater than 0"),
            (r#"{"name":"v2","height":-1}"#, "greater than 0"),
            (r#"{"name":"v2","height":1.5}"#, "not a whole number"),
            (
                r#"{"name":"v2","height":1,"info":3}"#,
                "info must be a string",
            ),
            (
                r#"{"name":"v2","height":1,"time":"2021-01-01T00:00:00Z"}"#,
                "time-based",
            ),
            ("[]", "not a JSON object"),
            ("{]", "key must be a string"),
        ] {
            let error = parse(bad).unwrap_err();
            assert!(matches!(error, PlanError::Malformed(_)), "{bad}");
            assert!(error.to_string().contains(says), "{bad}: {error}");
        }
    }

    #[test]
    fn a_plan_is_written_as_go_writes_it() {
        assert_eq!(
            plan("v2", 300, "").to_json(),
            r#"{"name":"v2","time":"0001-01-01T00:00:00Z","height":300}"#
        );
        assert_eq!(
            plan("v2", 3, r#"{"a":"<x>&y"}"#).to_json(),
            r#"{"name":"v2","time":"0001-01-01T00:00:00Z","height":3,"info":"{\"a\":\"\u003cx\u003e\u0026y\"}"}"#
        );
    }

    #[test]
    fn a_second_writing_has_another_fingerprint() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("upgrade-info.json");
        assert!(read_file(&path).unwrap().is_none());
        crate::files::write_atomic(&path, b"{}", 0o600).unwrap();
        let one = read_file(&path).unwrap().unwrap();
        assert_eq!(one.mode, 0o600);
        assert_eq!(
            one,
            read_file(&path).unwrap().unwrap(),
            "reading changes nothing"
        );
        crate::files::write_atomic(&dir.path().join("other"), b"{}", 0o600).unwrap();
        fs::rename(dir.path().join("other"), &path).unwrap();
        let two = read_file(&path).unwrap().unwrap();
        assert_ne!(one.fingerprint, two.fingerprint);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = Plan::parse(&bytes);
        }

        #[test]
        fn what_is_written_is_read(name in "[a-z0-9<>&\"]{1,20}", height in 1u64..1 << 62, info: String) {
            let plan = plan(&name, height, &info);
            proptest::prop_assert_eq!(Plan::parse(plan.to_json().as_bytes()), Ok(plan));
        }
    }
}
