//! Upstream's `args_test.go`, test by test, and what it leaves out: the exact texts, the file's
//! leniency and our own settings.

mod environment;
mod file;
mod init;

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{Config, Env, Loaded};

/// A home as `init` leaves it.
fn home() -> TempDir {
    let home = TempDir::new().unwrap();
    fs::create_dir_all(home.path().join("cosmovisor")).unwrap();
    home
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn load(variables: &[(&str, &str)]) -> Result<Loaded, String> {
    let env: Env = variables.iter().copied().collect();
    Config::load(None, &env).map_err(|errors| errors.to_string())
}

/// Loads with a valid home and name, and what is given.
fn load_over(home: &Path, variables: &[(&str, &str)]) -> Result<Loaded, String> {
    let mut all = vec![("DAEMON_HOME", text(home)), ("DAEMON_NAME", "simd")];
    all.extend(variables);
    load(&all)
}

fn load_file(file: &Path, variables: &[(&str, &str)]) -> Result<Loaded, String> {
    let env: Env = variables.iter().copied().collect();
    Config::load(Some(file), &env).map_err(|errors| errors.to_string())
}

/// A file with a valid home and name, and what is given.
fn write_file(home: &Path, lines: &str) -> PathBuf {
    let file = home.join("config.toml");
    let text = format!(
        "daemon_home = '{}'\ndaemon_name = 'simd'\n{lines}\n",
        text(home)
    );
    fs::write(&file, text).unwrap();
    file
}
