//! What an upgrade must not forget: `cosmovisor/.baton/upgrade.json`.
//!
//! Written before each step begins (temporary file, sync, rename, sync of the directory). After
//! the upgrade it stays as the record of the last one, until the next begins.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::machine::{Stage, Step};
use crate::files::write_atomic;
use crate::plan::{Fingerprint, Plan};

/// The format that this version writes.
const FORMAT: u32 = 1;

/// One upgrade, as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// The format of this record.
    pub format: u32,
    /// The plan that is followed.
    pub plan: Plan,
    /// What `current` pointed to before, as it was written there.
    pub from: PathBuf,
    /// How the old process makes room for the new one.
    #[serde(default)]
    pub way: Way,
    /// How far it has come.
    pub stage: Stage,
    /// When it began, in seconds since 1970.
    pub begun_s: i64,
    /// The steps done, with their durations.
    pub steps: Vec<StepTime>,
    /// The backup that was made for it.
    pub backup: Option<PathBuf>,
    /// How long the node was down, from the request to stop to the start of the new binary.
    pub pause_ms: Option<u64>,
    /// The step that failed last, if one did.
    pub failure: Option<Failure>,
    /// When the new binary died before it was confirmed, in seconds since 1970.
    pub deaths: Vec<i64>,
    /// The operator starts the new binary himself.
    pub left_down: bool,
    /// Which writing of the binary was rolled back from.
    pub failed_binary: Option<Fingerprint>,
}

/// How the process of the old release makes room for that of the new one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// It is stopped, then the new one is started.
    #[default]
    StopAndStart,
    /// It stands still and answers until the new one has taken over from it: the relay.
    Relay,
}

/// A step done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTime {
    /// The step.
    pub step: Step,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The step.
    pub step: Step,
    /// What went wrong.
    pub error: String,
    /// When, in seconds since 1970.
    pub at_s: i64,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be read or written.
    #[error("{doing} the upgrade journal {}: {source}", .path.display())]
    Io {
        /// Reading or writing.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not what this version writes.
    #[error(
        "the upgrade journal {} cannot be understood ({why}); see what `current` points to and which backup exists, then move the file away",
        .path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl Journal {
    /// The beginning of an upgrade.
    pub fn new(plan: Plan, from: PathBuf, begun_s: i64) -> Self {
        Self {
            format: FORMAT,
            plan,
            from,
            way: Way::default(),
            stage: Stage::Due,
            begun_s,
            steps: Vec::new(),
            backup: None,
            pause_ms: None,
            failure: None,
            deaths: Vec::new(),
            left_down: false,
            failed_binary: None,
        }
    }

    /// What tells this try of this upgrade from every other one: its backup is found by it.
    pub fn id(&self) -> String {
        format!("{}@{}#{}", self.plan.name, self.plan.height, self.begun_s)
    }

    /// The file in Baton's directory.
    pub fn path(baton: &Path) -> PathBuf {
        baton.join("upgrade.json")
    }

    /// Reads it; `None` if there was no upgrade yet.
    pub fn load(baton: &Path) -> Result<Option<Self>, JournalError> {
        let path = Self::path(baton);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(JournalError::Io {
                    doing: "reading",
                    path,
                    source,
                });
            }
        };
        let unreadable = |why: String| JournalError::Unreadable {
            path: path.clone(),
            why,
        };
        let journal: Self = serde_json::from_slice(&text).map_err(|e| unreadable(e.to_string()))?;
        if journal.format != FORMAT {
            return Err(unreadable(format!(
                "format {}, this version knows {FORMAT}",
                journal.format
            )));
        }
        Ok(Some(journal))
    }

    /// Writes it, durably.
    pub fn save(&self, baton: &Path) -> Result<(), JournalError> {
        let path = Self::path(baton);
        let text = serde_json::to_vec_pretty(self).expect("a journal can always be encoded");
        write_atomic(&path, &text, 0o600).map_err(|source| JournalError::Io {
            doing: "writing",
            path,
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Journal {
        let plan = Plan {
            name: "v2".to_owned(),
            height: 100,
            info: String::new(),
        };
        Journal::new(plan, PathBuf::from("genesis"), 7)
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Journal::load(dir.path()).unwrap(), None);
        let mut written = journal();
        written.stage = Stage::BackedUp;
        written.backup = Some(PathBuf::from("/b/data-backup-2026-1-2"));
        written.save(dir.path()).unwrap();
        assert_eq!(Journal::load(dir.path()).unwrap(), Some(written));
    }

    #[test]
    fn what_it_does_not_understand_it_does_not_guess() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(Journal::path(dir.path()), "{").unwrap();
        let error = Journal::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("upgrade.json"), "{error}");
        let mut newer = journal();
        newer.format = 9;
        newer.save(dir.path()).unwrap();
        assert!(matches!(
            Journal::load(dir.path()),
            Err(JournalError::Unreadable { .. })
        ));
    }
}
