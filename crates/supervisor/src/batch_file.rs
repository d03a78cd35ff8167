//! The batch list on disk, and the turns that [`crate::batch`] decides on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::batch::{self, Turn};
use crate::files::write_atomic;
use crate::layout::Layout;
use crate::plan::{self, Fingerprint, Plan, PlanError};
use crate::records::Records;

/// How long a list may be incomplete because it is still being written.
const WRITING: Duration = Duration::from_secs(1);

/// The list, read again only when the file changes.
#[derive(Debug)]
pub struct BatchFile {
    path: PathBuf,
    seen: Option<Fingerprint>,
    list: Vec<Plan>,
    /// Since when the file is there and incomplete, until that is told.
    incomplete: Option<(Instant, String)>,
}

/// What came of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turned {
    /// Nothing.
    Nothing,
    /// The next plan was written.
    Wrote(Plan),
    /// These were missed and set aside in this file.
    Missed(Vec<Plan>, PathBuf),
}

impl BatchFile {
    /// The list at this path, not yet read.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            seen: None,
            list: Vec::new(),
            incomplete: None,
        }
    }

    /// Reads the list if it has changed; what cannot be read counts as empty, and is told once.
    pub fn read(&mut self) {
        let now = Fingerprint::of(&self.path).ok();
        if now == self.seen {
            if let Some((_, why)) = self
                .incomplete
                .take_if(|(since, _)| since.elapsed() >= WRITING)
            {
                self.tell_unreadable(&why);
            }
            return;
        }
        self.seen = now;
        self.incomplete = None;
        self.list = match fs::read(&self.path).map(|text| batch::parse(&text)) {
            Ok(Ok(list)) => list,
            Ok(Err(PlanError::Incomplete(why))) => {
                self.incomplete = Some((Instant::now(), why));
                Vec::new()
            }
            Ok(Err(e)) => {
                self.tell_unreadable(&e.to_string());
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
    }

    fn tell_unreadable(&self, why: &str) {
        warn!(error = why, path = %self.path.display(), "failed to load batch upgrade file");
    }

    /// No plan is waiting in it.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Does what the list wants: see [`batch::turn`].
    pub fn turn(
        &mut self,
        layout: &Layout,
        records: &Records,
        pending: bool,
        running_height: Option<u64>,
        height: Option<u64>,
    ) -> io::Result<Turned> {
        match batch::turn(&self.list, pending, true, running_height, height) {
            Turn::Nothing => Ok(Turned::Nothing),
            Turn::Write(next, rest) => {
                let path = layout.plan_file();
                write_atomic(&path, next.to_json().as_bytes(), 0o600)?;
                if let Ok(Some(file)) = plan::read_file(&path) {
                    records.mark_operator_plan(file.fingerprint)?;
                }
                // Only now: a crash in between writes the same plan again.
                self.replace(rest)?;
                info!(
                    name = next.name,
                    height = next.height,
                    "next plan of the batch list"
                );
                Ok(Turned::Wrote(next))
            }
            Turn::Missed(missed, rest) => {
                let mut aside = self.path.clone().into_os_string();
                aside.push(".missed");
                let aside = PathBuf::from(aside);
                let before = fs::read(&aside)
                    .ok()
                    .and_then(|text| batch::parse(&text).ok())
                    .unwrap_or_default();
                let all: Vec<Plan> = before
                    .into_iter()
                    .filter(|plan| !missed.contains(plan))
                    .chain(missed.iter().cloned())
                    .collect();
                write_atomic(&aside, batch::to_json(&all).as_bytes(), 0o600)?;
                self.replace(rest)?;
                Ok(Turned::Missed(missed, aside))
            }
        }
    }

    fn replace(&mut self, list: Vec<Plan>) -> io::Result<()> {
        write_atomic(&self.path, batch::to_json(&list).as_bytes(), 0o600)?;
        self.list = list;
        self.seen = Fingerprint::of(&self.path).ok();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(name: &str, height: u64) -> Plan {
        Plan {
            name: name.to_owned(),
            height,
            info: String::new(),
        }
    }

    #[test]
    fn a_list_that_stays_incomplete_is_told_once_and_can_still_be_completed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("upgrade-info.json.batch");
        let mut file = BatchFile::new(&path);
        fs::write(&path, "[{").unwrap();
        file.read();
        assert!(file.incomplete.is_some(), "it may still be written");
        let deadline = Instant::now() + Duration::from_secs(20);
        while file.incomplete.is_some() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
            file.read();
        }
        assert!(file.incomplete.is_none(), "told, and not again");
        fs::write(&path, batch::to_json(&[plan("a", 5)])).unwrap();
        file.read();
        assert!(!file.is_empty());
    }

    #[test]
    fn entries_are_written_in_turn_and_missed_ones_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir_all(&data).unwrap();
        fs::create_dir_all(dir.path().join("cosmovisor/.baton")).unwrap();
        let layout = Layout::new(dir.path(), "noded", &data, true);
        let records = Records::new(&layout.baton());
        let list = [plan("a", 5), plan("b", 9), plan("c", 12)];
        fs::write(layout.batch_file(), batch::to_json(&list)).unwrap();

        let mut file = BatchFile::new(&layout.batch_file());
        file.read();
        let aside = data.join("upgrade-info.json.batch.missed");
        assert_eq!(
            file.turn(&layout, &records, false, None, Some(7)).unwrap(),
            Turned::Missed(vec![plan("a", 5)], aside.clone())
        );
        assert_eq!(
            file.turn(&layout, &records, false, None, Some(7)).unwrap(),
            Turned::Wrote(plan("b", 9))
        );
        let written = plan::read_file(&layout.plan_file()).unwrap().unwrap();
        assert_eq!(written.content, Ok(plan("b", 9)));
        assert_eq!(
            records.operator_plan().unwrap().plan_file,
            written.fingerprint
        );
        assert_eq!(
            file.turn(&layout, &records, true, None, Some(8)).unwrap(),
            Turned::Nothing
        );
        assert_eq!(
            file.turn(&layout, &records, false, Some(12), None).unwrap(),
            Turned::Missed(vec![plan("c", 12)], aside.clone())
        );
        assert!(file.is_empty());
        assert_eq!(
            batch::parse(&fs::read(aside).unwrap()).unwrap(),
            [plan("a", 5), plan("c", 12)]
        );
    }
}
