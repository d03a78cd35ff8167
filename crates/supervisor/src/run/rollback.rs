//! Taking an upgrade back by hand: the previous release, and the data from before it.
//!
//! The same steps as an automatic roll-back, driven to their end while no supervisor runs. An
//! interruption is finished by the next start, like that of any other procedure.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::voice;
use crate::config::{Config, Loaded};
use crate::node::identity;
use crate::node::lock::{self, LockError};
use crate::records::Records;
use crate::telling::Event;
use crate::upgrade::steps::Steps;
use crate::upgrade::{self, Action, Journal, JournalError, Machine, Policy, Stage};

/// What a roll-back does, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// The upgrade that is taken back.
    pub name: String,
    /// Its height.
    pub height: u64,
    /// What `current` points to afterwards.
    pub to: PathBuf,
    /// The backup whose data is put back; none if the data is kept.
    pub backup: Option<PathBuf>,
}

/// Why nothing was rolled back.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// A supervisor runs, or its lock cannot be had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The node still runs.
    #[error("the node (pid {0}) is still running; stop it first")]
    NodeRuns(i32),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// There was no upgrade.
    #[error("there is nothing to roll back: no upgrade has been made on {}", .0.display())]
    NoUpgrade(PathBuf),
    /// The last upgrade was not made, or was taken back already.
    #[error("there is nothing to roll back: the upgrade {name} is at the stage {stage}", stage = .stage.name())]
    NotMade {
        /// The upgrade.
        name: String,
        /// How far it is.
        stage: Stage,
    },
    /// Its data was not backed up.
    #[error(
        "there is no backup from before the upgrade {0}: the old binary would meet the new data; --keep-data points `current` back and leaves the data as it is"
    )]
    NoBackup(String),
    /// A step failed.
    #[error("{step}: {error}; run it again, or start the supervisor: it goes on from there")]
    Step {
        /// Which.
        step: &'static str,
        /// Why.
        error: String,
    },
}

/// What [`perform`] would do.
pub fn plan(config: &Config, keep_data: bool) -> Result<Rollback, RollbackError> {
    Ok(look(config, keep_data)?.1)
}

fn look(config: &Config, keep_data: bool) -> Result<(Journal, Rollback), RollbackError> {
    let layout = config.layout();
    let mut journal = Journal::load(&layout.baton())?
        .ok_or_else(|| RollbackError::NoUpgrade(config.home.clone()))?;
    if !matches!(
        journal.stage,
        Stage::Switched
            | Stage::Prepared
            | Stage::Started
            | Stage::Confirmed
            | Stage::RollingBack
            | Stage::DataRestored
    ) {
        return Err(RollbackError::NotMade {
            name: journal.plan.name,
            stage: journal.stage,
        });
    }
    if keep_data {
        journal.backup = None;
    } else if journal.backup.is_none() {
        return Err(RollbackError::NoBackup(journal.plan.name));
    }
    let rollback = Rollback {
        name: journal.plan.name.clone(),
        height: journal.plan.height,
        to: journal.from.clone(),
        backup: journal.backup.clone(),
    };
    Ok((journal, rollback))
}

/// Points `current` back to the release before the last upgrade and, unless the data is to be
/// kept, puts its backup in the place of the data.
pub async fn perform(loaded: Loaded, keep_data: bool) -> Result<Rollback, RollbackError> {
    let config = Arc::new(loaded.config);
    let layout = config.layout();
    let _lock = lock::take(&layout.baton())?;
    if let Some(process) = Records::new(&layout.baton())
        .last_life()
        .and_then(|life| life.process)
        && identity::is_alive(&process)
    {
        return Err(RollbackError::NodeRuns(process.pid));
    }
    let (mut journal, rollback) = look(&config, keep_data)?;
    if !matches!(journal.stage, Stage::RollingBack | Stage::DataRestored) {
        journal.stage = Stage::RollingBack;
    }
    let telling = voice(&config, &layout, BTreeMap::new(), None);
    let steps = Arc::new(Steps::new(
        config.clone(),
        layout.clone(),
        telling.clone(),
        Arc::new(AtomicBool::new(false)),
    ));
    let policy = Policy {
        restart: false,
        rollback: None,
    };
    let mut machine = Machine::new(journal, policy);
    let mut actions = machine.resume();
    while let Some(action) = actions.first().cloned() {
        actions.remove(0);
        match action {
            Action::Record => machine.journal.save(&layout.baton())?,
            Action::Perform(step) => {
                let begun = Instant::now();
                let done = steps
                    .clone()
                    .perform(step, &machine.journal)
                    .await
                    .map_err(|e| RollbackError::Step {
                        step: step.name(),
                        error: e.to_string(),
                    })?;
                done.note_in(&mut machine.journal);
                actions.extend(machine.step(upgrade::Event::Done {
                    took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
                    changed: true,
                }));
            }
            _ => {}
        }
    }
    telling.tell(Event::RolledBack {
        name: rollback.name.clone(),
        from: layout.cased(&rollback.name),
        to: rollback.to.display().to_string(),
        backup: rollback.backup.clone(),
        why: "the operator asked for it".to_owned(),
    });
    telling.shutdown(Duration::from_secs(2)).await;
    Ok(rollback)
}
