//! What this program does to the state when an upgrade is due.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use baton_ledger::state::{Changes, Migration, State, Tip};
use baton_ledger::upgrade::Plan;

use crate::error::ChainError;

/// A state to be read by a migration, wherever it is kept.
#[derive(Clone, Copy)]
pub struct Snapshot<'a>(pub(crate) &'a dyn State<Error = ChainError>);

impl State for Snapshot<'_> {
    type Error = ChainError;

    fn tip(&self) -> Result<Tip, ChainError> {
        self.0.tip()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ChainError> {
        self.0.get(key)
    }

    fn scan(&self, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, ChainError> {
        self.0.scan(prefix)
    }
}

/// A migration: the changes it makes to a state, told from the state alone, so that all nodes make the same.
pub type Migrate = Arc<dyn Fn(&Snapshot<'_>) -> Result<Changes, String> + Send + Sync>;

/// The migrations that this program has, by the names of their plans.
#[derive(Clone, Default)]
pub struct Migrations(BTreeMap<String, Migrate>);

impl Migrations {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the migration for the plan of this name.
    #[must_use]
    pub fn with(
        mut self,
        name: impl Into<String>,
        migrate: impl Fn(&Snapshot<'_>) -> Result<Changes, String> + Send + Sync + 'static,
    ) -> Self {
        self.0.insert(name.into(), Arc::new(migrate));
        self
    }

    /// Whether there is one for a plan of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// What is to be done before the next block if `due` is due before it; `None` if nothing is due.
    pub(crate) fn prepare(
        &self,
        due: Option<&Plan>,
        state: &dyn State<Error = ChainError>,
    ) -> Result<Option<Migration>, ChainError> {
        let Some(plan) = due else {
            return Ok(None);
        };
        let name = plan.name.clone();
        let Some(migrate) = self.0.get(&name) else {
            return Err(ChainError::UpgradeNeeded(plan.clone()));
        };
        match migrate(&Snapshot(state)) {
            Ok(changes) => Ok(Some(Migration { name, changes })),
            Err(why) => Err(ChainError::Migration { name, why }),
        }
    }
}

impl fmt::Debug for Migrations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
