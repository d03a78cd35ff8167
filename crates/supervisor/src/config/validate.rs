//! What must be true of the settings before a command may use them.

use std::{fs::metadata, path::Path};

use super::{Config, error::ConfigError, go_text};

/// Everything a running supervisor needs.
pub(super) fn all(config: &Config) -> Vec<ConfigError> {
    let mut errors = identity(config);
    let home_is_known = config.home.is_absolute();
    errors.extend(home_is_known.then(|| root(config)).flatten());
    errors.extend((!config.skip_backup).then(|| backup_dir(config)).flatten());
    // an unknown home is already told
    if home_is_known && !config.data_dir.is_absolute() {
        errors.push(ConfigError::DataDirNotAbsolute {
            path: config.data_dir.clone(),
        });
    }
    errors
}

/// That there is a name and a home, which need not exist yet.
pub(super) fn identity(config: &Config) -> Vec<ConfigError> {
    let name = config.name.is_empty().then_some(ConfigError::NameNotSet);
    let home = match &config.home {
        home if is_empty(home) => Some(ConfigError::HomeNotSet),
        home if !home.is_absolute() => Some(ConfigError::HomeNotAbsolute),
        _ => None,
    };
    name.into_iter().chain(home).collect()
}

fn root(config: &Config) -> Option<ConfigError> {
    let root = config.layout().root();
    match metadata(&root) {
        Ok(found) if found.is_dir() => None,
        Ok(_) => Some(ConfigError::HomeNotDirectory { root }),
        Err(error) => Some(ConfigError::HomeUnreachable {
            root,
            why: go_text::io_error(&error),
        }),
    }
}

fn backup_dir(config: &Config) -> Option<ConfigError> {
    let path = config.data_backup_dir.clone();
    if is_empty(&path) {
        return Some(ConfigError::BackupDirNotSet);
    }
    if !path.is_absolute() {
        return Some(ConfigError::BackupDirNotAbsolute { path });
    }
    let why = match metadata(&path) {
        Ok(found) if found.is_dir() => return None,
        Ok(_) => None,
        Err(error) => Some(go_text::io_error(&error)),
    };
    Some(ConfigError::BackupDirInvalid { path, why })
}

fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}
