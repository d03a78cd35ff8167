//! The configuration: Cosmovisor's 17 settings and ours, from the environment or from a file.
//!
//! Two sources, one rule each. Without a file the environment is read, strictly. With a file
//! (`--cosmovisor-config`) its keys are read, and variables that are set and not empty override
//! them. What neither names takes its documented default. All errors are collected and told
//! together, in Cosmovisor's order and words, so that one try shows everything there is to mend.
//!
//! [`Config::load`] is the way in. It returns [`Loaded`], which knows beside the [`Config`] where
//! each value came from, and prints what the `config` command shows.

mod baton;
mod detail;
mod env;
mod error;
mod file;
mod go_duration;
/// Go's texts and spelling rules.
pub mod go_text;
mod key;
mod reading;
mod time_format;
mod validate;
mod write;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use self::{file::FromFile, reading::FromEnv};

pub use crate::backup::Mode as BackupMode;
pub use baton::{BatonSettings, Relay, RestartPolicy, Rollback};
pub use env::Env;
pub use error::{ConfigError, ConfigErrors};
pub use go_duration::{GoDuration, GoDurationError};
pub use key::Key;
pub use time_format::TimeFormat;

/// How long a node may take to stop when `DAEMON_SHUTDOWN_GRACE` is unset. Upstream kills it at
/// once, which tears databases.
pub const DEFAULT_SHUTDOWN_GRACE: Duration = Duration::from_secs(30);

/// Every setting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the operator's, independent of the others"
)]
pub struct Config {
    /// `DAEMON_HOME`: the directory that holds `cosmovisor/` and, by default, `data/`.
    pub home: PathBuf,
    /// `DAEMON_NAME`: the file name of the node's executable.
    pub name: String,
    /// `DAEMON_ALLOW_DOWNLOAD_BINARIES`: fetch missing binaries from the addresses in plans.
    pub allow_download_binaries: bool,
    /// `DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM`: refuse addresses without a checksum.
    pub download_must_have_checksum: bool,
    /// `DAEMON_RESTART_AFTER_UPGRADE`: start the new binary at once.
    pub restart_after_upgrade: bool,
    /// `DAEMON_RESTART_DELAY`: how long to wait between stopping the old binary and the upgrade.
    pub restart_delay: Duration,
    /// `DAEMON_SHUTDOWN_GRACE`: how long a node may take to stop before it is killed; unset,
    /// [`DEFAULT_SHUTDOWN_GRACE`].
    pub shutdown_grace: Option<Duration>,
    /// `DAEMON_POLL_INTERVAL`: how often to look for a plan; more than zero.
    pub poll_interval: Duration,
    /// `UNSAFE_SKIP_BACKUP`: upgrade without a backup.
    pub skip_backup: bool,
    /// `DAEMON_DATA_BACKUP_DIR`: where backups go.
    pub data_backup_dir: PathBuf,
    /// `DAEMON_PREUPGRADE_MAX_RETRIES`: how often `pre-upgrade` is tried again; negative lets it
    /// always fail.
    pub preupgrade_max_retries: i64,
    /// `DAEMON_GRPC_ADDRESS`: host and port of the node's gRPC service.
    pub grpc_address: String,
    /// `COSMOVISOR_DISABLE_LOGS`: print no log.
    pub disable_logs: bool,
    /// `COSMOVISOR_COLOR_LOGS`: print the log in colours.
    pub color_logs: bool,
    /// `COSMOVISOR_TIMEFORMAT_LOGS`: how the log spells the time.
    pub time_format: TimeFormat,
    /// `COSMOVISOR_CUSTOM_PREUPGRADE`: a script below `cosmovisor/` that runs before the switch.
    pub custom_preupgrade: Option<String>,
    /// `COSMOVISOR_DISABLE_RECASE`: keep plan names as they are written.
    pub disable_recase: bool,
    /// `DAEMON_DATA_DIR`: the node's data directory, by default `$DAEMON_HOME/data`.
    pub data_dir: PathBuf,
    /// The `BATON_*` settings.
    pub baton: BatonSettings,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Neither the environment nor the file names it.
    Default,
    /// A variable.
    Environment,
    /// The configuration file.
    File,
}

/// A configuration and where it came from. Displays as the output of the `config` command.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The configuration file, if one was given.
    pub file: Option<PathBuf>,
    /// Names in the environment and the file that look like settings and are none.
    pub ignored: Vec<Ignored>,
    /// What [`Config::load_for_init`] passed over: settings it replaced by their defaults.
    pub dropped: Option<ConfigErrors>,
    sources: BTreeMap<Key, Source>,
}

/// A name that looks like a setting and is none: most likely a misspelt one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// The name as it was found.
    pub name: String,
    /// Where it was found.
    pub source: Source,
}

impl Loaded {
    /// The settings that somebody has set, by name, without secrets.
    pub fn changed(&self) -> BTreeMap<String, String> {
        detail::changed(self)
    }

    /// Where a setting's value came from.
    pub fn source(&self, key: Key) -> Source {
        self.sources.get(&key).copied().unwrap_or(Source::Default)
    }
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&detail::describe(self))
    }
}

impl Config {
    /// Where things lie in this home.
    pub fn layout(&self) -> crate::layout::Layout {
        crate::layout::Layout::new(&self.home, &self.name, &self.data_dir, !self.disable_recase)
    }

    /// Reads the configuration from the environment or, if one is given, from a file that the
    /// environment overrides; then checks it. An empty path is no file.
    pub fn load(file: Option<&Path>, env: &Env) -> Result<Loaded, ConfigErrors> {
        let file = file.filter(|path| !path.as_os_str().is_empty());
        let (loaded, reading) = match file {
            Some(path) => reading::read(FromFile::open(path, env)?),
            None => reading::read(FromEnv::new(env)),
        };
        let mut errors = reading.of_cosmovisor;
        if let [ConfigError::Undecodable(_)] = errors[..] {
            return Err(ConfigErrors(errors));
        }
        errors.extend(validate::all(&loaded.config));
        errors.extend(reading.of_baton);
        ConfigErrors::of(errors)?;
        Ok(loaded)
    }

    /// Reads the configuration from the environment for `init`, which works on a home that is yet
    /// to be made: only name and home are checked, and settings that cannot be read take their
    /// defaults and are told in [`Loaded::dropped`].
    pub fn load_for_init(env: &Env) -> Result<Loaded, ConfigErrors> {
        let (mut loaded, mut reading) = reading::read(FromEnv::new(env));
        ConfigErrors::of(validate::identity(&loaded.config))?;
        reading.of_cosmovisor.append(&mut reading.of_baton);
        loaded.dropped = ConfigErrors::of(reading.of_cosmovisor).err();
        Ok(loaded)
    }
}
