//! Baton's small notes in `cosmovisor/.baton`, beside the upgrade's journal.
//!
//! `node.json` is what one supervisor leaves for the next about the node it started;
//! `operator-plan.json` marks the plan file as written by `add-upgrade` rather than by a node.
//! Both may be lost without harm: less is known then, and less is assumed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::facts::{LastLife, OperatorPlan};
use crate::files::{write_atomic, write_quickly};
use crate::plan::Fingerprint;

/// The notes of one home.
#[derive(Debug, Clone)]
pub struct Records {
    baton: PathBuf,
}

impl Records {
    /// The notes in Baton's directory.
    pub fn new(baton: &Path) -> Self {
        Self {
            baton: baton.to_owned(),
        }
    }

    /// What the last supervisor left about its node.
    pub fn last_life(&self) -> Option<LastLife> {
        self.read("node.json")
    }

    /// Leaves the same for the next supervisor.
    pub fn save_last_life(&self, life: &LastLife) -> io::Result<()> {
        // The start of the node does not wait for the disk: after a power cut there is no node left
        // that this could tell of, and less is assumed.
        let text = serde_json::to_vec(life).map_err(io::Error::other)?;
        write_quickly(&self.baton.join("node.json"), &text, 0o600)
    }

    /// The mark of the last plan that `add-upgrade` wrote.
    pub fn operator_plan(&self) -> Option<OperatorPlan> {
        self.read("operator-plan.json")
    }

    /// Marks this writing of the plan file as the operator's.
    pub fn mark_operator_plan(&self, plan_file: Fingerprint) -> io::Result<()> {
        crate::node::lock::make_directory(&self.baton)?;
        self.write("operator-plan.json", &OperatorPlan { plan_file })
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.baton.join(name)).ok()?).ok()
    }

    fn write(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_vec(value).map_err(io::Error::other)?;
        write_atomic(&self.baton.join(name), &text, 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_not_known() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::new(dir.path());
        assert_eq!(records.last_life(), None);
        let life = LastLife {
            release: "genesis".to_owned(),
            plan_file: None,
            process: None,
            ended: true,
            plan_file_at_end: None,
            too_early: None,
            generation: 3,
            ..LastLife::default()
        };
        records.save_last_life(&life).unwrap();
        assert_eq!(records.last_life(), Some(life));
        fs::write(dir.path().join("node.json"), "{").unwrap();
        assert_eq!(records.last_life(), None);
    }
}
