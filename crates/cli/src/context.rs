//! What every command works with: the environment, the configuration file, and the stream that
//! results go to.

use std::path::PathBuf;

use baton_supervisor::config::{Config, ConfigErrors, Env, Loaded};
use baton_supervisor::logging;

use crate::console;

/// The circumstances of a command.
#[derive(Debug)]
pub(crate) struct Context {
    /// The environment, with what flags put over it.
    pub(crate) env: Env,
    /// The configuration file, if one is given.
    pub(crate) config_file: Option<PathBuf>,
    /// Which face is shown.
    pub(crate) face: Face,
}

/// Which executable this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    /// Cosmovisor's, which prints results to stderr.
    Cosmovisor,
    /// Ours, which prints them to stdout.
    Baton,
}

impl Context {
    /// The configuration, checked.
    pub(crate) fn load(&self) -> Result<Loaded, ConfigErrors> {
        Config::load(self.config_file.as_deref(), &self.env)
    }

    /// The home alone, for commands that look at what happened there: they must work with
    /// settings that no supervisor would start with.
    pub(crate) fn home(&self) -> Result<PathBuf, ConfigErrors> {
        match self.load() {
            Ok(loaded) => Ok(loaded.config.home),
            Err(errors) => match self.env.non_empty("DAEMON_HOME").map(PathBuf::from) {
                Some(home) if home.is_absolute() => Ok(home),
                _ => Err(errors),
            },
        }
    }

    /// Prints the log from now on, as configured.
    pub(crate) fn start_log(&self, config: &Config) {
        // A second subscriber in one process is refused; the first goes on.
        let _ = logging::init(&logging::Settings::new(config, &self.env));
    }

    /// Prints a result, on a line of its own.
    pub(crate) fn say(&self, result: &str) {
        let line = format!("{result}\n");
        match self.face {
            Face::Cosmovisor => console::err(&line),
            Face::Baton => console::out(&line),
        }
    }
}
