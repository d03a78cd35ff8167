//! What can be wrong with a configuration. All that is wrong is told at once, a line each, in
//! Cosmovisor's words where it has some.

use std::{fmt, path::PathBuf};

use super::{go_text::quote, key::Key, time_format::TimeFormat};

/// Everything wrong with a configuration, one line each; never empty.
#[derive(Debug)]
pub struct ConfigErrors(pub(super) Vec<ConfigError>);

impl ConfigErrors {
    /// The single errors, in the order in which they are told.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }

    pub(super) fn of(errors: Vec<ConfigError>) -> Result<(), Self> {
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Self(errors))
        }
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

/// One thing wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A variable is neither `true` nor `false`.
    #[error(r#"env variable "{key}" must have a boolean value ("true" or "false"), got {}"#, quote(.got))]
    NotBoolean {
        /// The setting.
        key: Key,
        /// Its value in lower case.
        got: String,
    },
    /// Not one of the known time formats.
    #[error(
        r#"env variable "{}" must have a timeformat value ("{}"), got {}"#,
        Key::TimeFormat, TimeFormat::NAMES, quote(.got)
    )]
    NotTimeFormat {
        /// The value.
        got: String,
    },
    /// A variable is not a duration.
    #[error("invalid: {key}: could not parse '{got}' into a duration: {why}")]
    NotDuration {
        /// The setting.
        key: Key,
        /// Its value.
        got: String,
        /// What is wrong with it.
        why: super::GoDurationError,
    },
    /// A variable holds a duration of zero or less.
    #[error("invalid: {key}: must be greater than 0")]
    NotPositive {
        /// The setting.
        key: Key,
    },
    /// The file holds a duration of zero or less.
    #[error("invalid: {key}: must be greater than 0, got {got} from {place}")]
    NotPositiveInFile {
        /// The setting.
        key: Key,
        /// Its value.
        got: super::GoDuration,
        /// The key and file, or the variable, that holds it.
        place: String,
    },
    /// A variable is not a number.
    #[error("{key} could not be parsed to int: {why}")]
    NotInteger {
        /// The setting.
        key: Key,
        /// What is wrong with its value.
        why: String,
    },
    /// There is no file at the given path.
    #[error("config not found: at {} : stat {}: {why}", path.display(), path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
        /// The system's error.
        why: String,
    },
    /// The file cannot be read, or is no TOML.
    #[error("failed to read config file: {0}")]
    Unreadable(String),
    /// Values in the file have wrong types.
    #[error("failed to unmarshal configuration: {} error(s) decoding:\n\n{}", .0.len(), list(.0))]
    Undecodable(Vec<String>),
    /// No name.
    #[error("DAEMON_NAME is not set")]
    NameNotSet,
    /// No home.
    #[error("DAEMON_HOME is not set")]
    HomeNotSet,
    /// A home relative to an unknown directory.
    #[error("DAEMON_HOME must be an absolute path")]
    HomeNotAbsolute,
    /// `$DAEMON_HOME/cosmovisor` cannot be looked at.
    #[error("cannot stat home dir: stat {}: {why}", root.display())]
    HomeUnreachable {
        /// `$DAEMON_HOME/cosmovisor`.
        root: PathBuf,
        /// The system's error.
        why: String,
    },
    /// `$DAEMON_HOME/cosmovisor` is a file.
    #[error("{} is not a directory", root.display())]
    HomeNotDirectory {
        /// `$DAEMON_HOME/cosmovisor`.
        root: PathBuf,
    },
    /// No place for backups.
    #[error("DAEMON_DATA_BACKUP_DIR must not be empty")]
    BackupDirNotSet,
    /// A place for backups relative to an unknown directory.
    #[error("{} must be an absolute path", path.display())]
    BackupDirNotAbsolute {
        /// The value.
        path: PathBuf,
    },
    /// No directory at the place for backups.
    #[error(
        "{} must be a valid directory{}",
        quote(&path.to_string_lossy()),
        why.as_ref().map(|why| format!(": stat {}: {why}", path.display())).unwrap_or_default()
    )]
    BackupDirInvalid {
        /// The value.
        path: PathBuf,
        /// The system's error, if it is not just something else than a directory.
        why: Option<String>,
    },
    /// A data directory relative to an unknown directory.
    #[error("DAEMON_DATA_DIR must be an absolute path, got {}", path.display())]
    DataDirNotAbsolute {
        /// The value.
        path: PathBuf,
    },
    /// A setting of ours does not hold what it should.
    #[error("invalid: {key}: must be {expected}, got {} from {place}", quote(.got))]
    Unfit {
        /// The setting.
        key: Key,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        got: String,
        /// The variable, or the key and file, that holds it.
        place: String,
    },
    /// The `[baton]` table holds a key that means nothing: most likely a misspelt one.
    #[error("unknown key baton.{name} in {}: the [baton] table knows {known}", path.display())]
    UnknownKey {
        /// The key.
        name: String,
        /// The file.
        path: PathBuf,
        /// The known keys.
        known: String,
    },
}

fn list(errors: &[String]) -> String {
    let lines: Vec<_> = errors.iter().map(|error| format!("* {error}")).collect();
    lines.join("\n")
}
