//! `add-batch-upgrade`: several upgrades at once, to be switched to one after another.
//!
//! Each is added as by `add-upgrade --force`, with a plan file of its own, and the list of all
//! their plans is what the supervisor takes them from. The list replaces the one before, whole.
//! Everything that can be checked is checked before anything is written.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tracing::warn;

use super::add_upgrade::{AddError, Upgrade, check_executable, put_binary, tell_of_plan};
use super::csv::{self, CsvError, Rules};
use super::place::Fresh;
use crate::batch;
use crate::config::Config;
use crate::config::go_text::io_error;
use crate::plan::{MAX_PLAN_BYTES, Plan};

/// One upgrade of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, in any case.
    pub name: String,
    /// Its binary.
    pub executable: PathBuf,
    /// The height to switch at; more than zero.
    pub height: i64,
}

/// Why the upgrades were not added.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// Neither a file nor a list.
    #[error("either --upgrade-file or --upgrade-list must be provided")]
    Nothing,
    /// The file cannot be opened.
    #[error("error opening upgrade CSV file {}: open {}: {}", .path.display(), .path.display(), io_error(.source))]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("error parsing upgrade CSV file {}: read {}: {}", .path.display(), .path.display(), io_error(.source))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is too large.
    #[error("error parsing upgrade CSV file {}: larger than {MAX_PLAN_BYTES} bytes", .0.display())]
    TooLarge(PathBuf),
    /// The file is not what it should be.
    #[error("error parsing upgrade CSV file {}: {source}", .path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CsvError,
    },
    /// An entry is not `name:path:height`.
    #[error("argument at position {position} ([{}]) is invalid", .parts.join(" "))]
    Entry {
        /// Which one, counted from 0.
        position: usize,
        /// Its parts.
        parts: Vec<String>,
    },
    /// A height is not a number above zero.
    #[error("upgrade height at position {position} ({height}) is invalid")]
    Height {
        /// Which one, counted from 0.
        position: usize,
        /// What it says.
        height: String,
    },
    /// One of the upgrades cannot be added.
    #[error(transparent)]
    Add(#[from] AddError),
    /// A plan cannot be written.
    #[error("failed to write the plan to {}: {}", .path.display(), io_error(.source))]
    Plan {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The list cannot be written.
    #[error("error writing combined JSON to file: open {}: {}", .path.display(), io_error(.source))]
    List {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The entries of a file with a line `name,path,height` for each upgrade.
pub fn from_file(path: &Path) -> Result<Vec<Entry>, BatchError> {
    let file = File::open(path).map_err(|source| BatchError::Open {
        path: path.to_owned(),
        source,
    })?;
    let mut text = String::new();
    let read = file.take(MAX_PLAN_BYTES + 1).read_to_string(&mut text);
    read.map_err(|source| BatchError::Read {
        path: path.to_owned(),
        source,
    })?;
    if text.len() as u64 > MAX_PLAN_BYTES {
        return Err(BatchError::TooLarge(path.to_owned()));
    }
    let rules = Rules {
        trim_leading_space: true,
        fields: Some(3),
    };
    let records = csv::read(&text, rules).map_err(|source| BatchError::Parse {
        path: path.to_owned(),
        source,
    })?;
    entries(records)
}

/// The entries of a list whose items read `name:path:height`.
pub fn from_list(items: &[String]) -> Result<Vec<Entry>, BatchError> {
    let split = |item: &String| item.split(':').map(str::to_owned).collect();
    entries(items.iter().map(split).collect())
}

fn entries(records: Vec<Vec<String>>) -> Result<Vec<Entry>, BatchError> {
    let entry = |(position, parts): (usize, Vec<String>)| {
        let [name, path, height] = &parts[..] else {
            return Err(BatchError::Entry { position, parts });
        };
        let digits = height.strip_prefix(['+', '-']).unwrap_or(height);
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        match height.parse() {
            Ok(number) if is_number && number > 0 => Ok(Entry {
                name: base_name(name).to_owned(),
                executable: PathBuf::from(path),
                height: number,
            }),
            _ => Err(BatchError::Height {
                position,
                height: height.clone(),
            }),
        }
    };
    records.into_iter().enumerate().map(entry).collect()
}

/// What follows the last slash, as Go's `filepath.Base` has it.
fn base_name(name: &str) -> &str {
    let name = name.trim_end_matches('/');
    name.rsplit_once('/').map_or(name, |(_, base)| base)
}

/// Adds all of them, and replaces the list that the supervisor works through.
pub fn add_batch(config: &Config, entries: &[Entry]) -> Result<(), BatchError> {
    let layout = config.layout();
    for entry in entries {
        check_executable(&entry.executable)?;
        layout.release_of(&entry.name).map_err(AddError::from)?;
    }
    let list = layout.batch_file();
    if entries.is_empty() {
        warn!(
            "no upgrades are given; the list {} is emptied",
            list.display()
        );
    }
    let mut plans = Vec::new();
    for entry in entries {
        let upgrade = Upgrade {
            name: &entry.name,
            executable: &entry.executable,
            height: entry.height,
            force: true,
        };
        let plan = Plan {
            name: put_binary(&layout, &upgrade)?,
            height: entry.height.unsigned_abs(),
            info: String::new(),
        };
        let path = layout
            .plan_file()
            .with_file_name(format!("upgrade-info.json.{}", entry.name));
        // The list itself, which is written below, would take the place of one of this name.
        if path != list {
            let written = Fresh::of(plan.to_json().as_bytes(), &path, 0o755);
            written
                .and_then(Fresh::replace)
                .map_err(|source| BatchError::Plan {
                    path: path.clone(),
                    source,
                })?;
        }
        tell_of_plan(&path, &plan);
        plans.push(plan);
    }
    Fresh::of(batch::to_json(&plans).as_bytes(), &list, 0o600)
        .and_then(Fresh::replace)
        .map_err(|source| BatchError::List { path: list, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::testing::{Home, logged, mode};
    use std::fs;

    fn file(home: &Home, text: &str) -> PathBuf {
        let path = home.at("list.csv");
        fs::write(&path, text).unwrap();
        path
    }

    fn list(items: &[&str]) -> Result<Vec<Entry>, String> {
        let items: Vec<_> = items.iter().map(|item| (*item).to_owned()).collect();
        from_list(&items).map_err(|e| e.to_string())
    }

    fn entry(name: &str, path: &str, height: i64) -> Entry {
        Entry {
            name: name.to_owned(),
            executable: PathBuf::from(path),
            height,
        }
    }

    #[test]
    fn entries_come_from_a_file_or_a_list() {
        let home = Home::new();
        let want = [entry("v5", "/b/5", 500), entry("V6", "b 6", 600)];
        let path = file(&home, "v5, /b/5,500\n\nV6,b 6, 600\n");
        assert_eq!(from_file(&path).unwrap(), want);
        assert_eq!(list(&["v5:/b/5:500", "V6:b 6:600"]).unwrap(), want);
        assert_eq!(list(&["a/b/c/:x:5"]).unwrap(), [entry("c", "x", 5)]);
        assert_eq!(list(&[]).unwrap(), []);
    }

    #[test]
    fn what_is_no_entry_is_told_by_its_position() {
        for (items, says) in [
            (
                &["v5:x:5", "V7:bin1"][..],
                "argument at position 1 ([V7 bin1]) is invalid",
            ),
            (
                &["a:b:3:4"],
                "argument at position 0 ([a b 3 4]) is invalid",
            ),
            (&["V7:b:x"], "upgrade height at position 0 (x) is invalid"),
            (&["V7:b:0"], "upgrade height at position 0 (0) is invalid"),
            (&["V7:b:-3"], "upgrade height at position 0 (-3) is invalid"),
            (
                &["V7:b:99999999999999999999"],
                "upgrade height at position 0 (99999999999999999999) is invalid",
            ),
        ] {
            assert_eq!(list(items).unwrap_err(), says);
        }
    }

    #[test]
    fn what_is_wrong_with_the_file_is_told() {
        let home = Home::new();
        let path = file(&home, "v5,x\n");
        let says = |path: &Path| from_file(path).unwrap_err().to_string();
        assert_eq!(
            says(&path),
            format!(
                "error parsing upgrade CSV file {}: record on line 1: wrong number of fields",
                path.display()
            )
        );
        let missing = home.at("nosuch.csv");
        assert_eq!(
            says(&missing),
            format!(
                "error opening upgrade CSV file {0}: open {0}: no such file or directory",
                missing.display()
            )
        );
        let directory = home.at("data");
        assert_eq!(
            says(&directory),
            format!(
                "error parsing upgrade CSV file {0}: read {0}: is a directory",
                directory.display()
            )
        );
        let large = file(
            &home,
            &" ".repeat(usize::try_from(MAX_PLAN_BYTES).unwrap() + 1),
        );
        assert!(says(&large).contains("larger than 1048576 bytes"));
    }

    #[test]
    fn every_upgrade_gets_its_binary_its_plan_and_its_place_in_the_list() {
        let home = Home::new();
        let new = home.executable("new");
        let new = new.to_str().unwrap();
        let entries = [entry("v5", new, 500), entry("V6", new, 600)];
        let (result, log) = logged(|| add_batch(&home.config, &entries));
        result.unwrap();
        let data = home.at("data");
        assert_eq!(log.len(), 6);
        assert_eq!(
            log[5],
            format!(
                "INFO {}/upgrade-info.json.V6 created, v6 upgrade binary will switch at height 600",
                data.display()
            )
        );
        for name in ["v5", "v6"] {
            assert_eq!(
                mode(&home.at(&format!("cosmovisor/upgrades/{name}/bin/simd"))),
                0o755
            );
        }
        assert_eq!(
            home.read("data/upgrade-info.json.V6"),
            r#"{"name":"v6","time":"0001-01-01T00:00:00Z","height":600}"#
        );
        assert_eq!(mode(&home.at("data/upgrade-info.json.v5")), 0o755);
        let list = home.at("data/upgrade-info.json.batch");
        assert_eq!(mode(&list), 0o600);
        assert_eq!(
            home.read("data/upgrade-info.json.batch"),
            r#"[
  {
    "name": "v5",
    "time": "0001-01-01T00:00:00Z",
    "height": 500
  },
  {
    "name": "v6",
    "time": "0001-01-01T00:00:00Z",
    "height": 600
  }
]"#
        );
        assert_eq!(batch::parse(&fs::read(list).unwrap()).unwrap().len(), 2);
        assert!(!home.at("data/upgrade-info.json").exists());
    }

    #[test]
    fn one_that_cannot_be_added_stops_all_before_anything_is_written() {
        let home = Home::new();
        let new = home.executable("new");
        let new = new.to_str().unwrap();
        for (bad, says) in [
            (
                entry("v6", "/no/such", 6),
                "invalid executable path: stat /no/such: no such file or directory",
            ),
            (
                entry("..", new, 6),
                "upgrade name \"..\" cannot be used as a directory name",
            ),
        ] {
            let error = add_batch(&home.config, &[entry("v5", new, 5), bad]).unwrap_err();
            assert_eq!(error.to_string(), says);
        }
        assert!(!home.at("cosmovisor/upgrades").exists());
        assert_eq!(fs::read_dir(home.at("data")).unwrap().count(), 0);
    }

    #[test]
    fn an_upgrade_called_batch_does_not_disturb_the_list() {
        let home = Home::new();
        let new = home.executable("new");
        add_batch(&home.config, &[entry("batch", new.to_str().unwrap(), 5)]).unwrap();
        let list = fs::read(home.at("data/upgrade-info.json.batch")).unwrap();
        assert_eq!(batch::parse(&list).unwrap()[0].name, "batch");
    }

    #[test]
    fn no_entries_empty_the_list_and_say_so() {
        let home = Home::new();
        let (result, log) = logged(|| add_batch(&home.config, &[]));
        result.unwrap();
        assert!(log[0].starts_with("WARN no upgrades are given"), "{log:?}");
        assert_eq!(home.read("data/upgrade-info.json.batch"), "[]");
    }
}
