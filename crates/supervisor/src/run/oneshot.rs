//! The node's other commands: `version`, `query`, `keys`, `init` and the like.
//!
//! They run the current binary and nothing else: no lock, no watching, no upgrade, be a plan due
//! or not. (Upstream runs them like `start`, so that a monitoring call can take a backup and
//! switch the binary.) They stay in our process group, so that they can ask for a passphrase.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use tokio::process::Command;
use tracing::info;

use super::resume::strings;
use crate::binary::{self, BinaryError};
use crate::config::Config;
use crate::layout::{Layout, LinkError, Release};
use crate::life::{Ended, Signal};
use crate::logging;
use crate::node::signals::{self, Arrived};
use crate::node::spawn;

/// Node commands that end by themselves, by the first word that is no flag. Whatever is not
/// among them may be a way of running the node, and is watched.
const ONE_SHOT: &[&str] = &[
    "add-consumer-section",
    "add-genesis-account",
    "add-ica-config",
    "add-wasm-genesis-message",
    "bootstrap-state",
    "collect-gentxs",
    "comet",
    "cometbft",
    "completion",
    "config",
    "confix",
    "debug",
    "export",
    "genesis",
    "gentx",
    "help",
    "init",
    "keys",
    "migrate",
    "module-hash-by-height",
    "pre-upgrade",
    "prune",
    "q",
    "query",
    "rollback",
    "snapshots",
    "status",
    "tendermint",
    "tx",
    "unsafe-reset-all",
    "validate-genesis",
    "version",
];

/// Why a command could not be run.
#[derive(Debug, thiserror::Error)]
pub enum OneShotError {
    /// There is no current release.
    #[error("error creating symlink to genesis: {0}")]
    Link(#[from] LinkError),
    /// Its binary cannot be run.
    #[error("current binary is invalid: {0}")]
    Binary(#[from] BinaryError),
    /// The system refused.
    #[error("{}", spawn::refused(.path, .args, .source))]
    Start {
        /// The binary.
        path: PathBuf,
        /// Its arguments.
        args: Vec<String>,
        /// What the system said.
        source: io::Error,
    },
}

/// Whether these arguments of `run` name a command that ends by itself.
///
/// `comet start`-like subcommands of a group do not exist; a group's commands all end.
pub fn is_one_shot(args: &[OsString]) -> bool {
    let args = strings(args);
    // `--help` and `--version` end whatever they stand beside.
    if args
        .iter()
        .any(|arg| matches!(arg.as_str(), "--help" | "-h" | "--version"))
    {
        return true;
    }
    args.first()
        .is_some_and(|first| ONE_SHOT.contains(&first.as_str()))
}

/// Runs the current binary with these arguments, to its end.
pub async fn run(config: &Config, args: &[OsString]) -> Result<Ended, OneShotError> {
    let layout = config.layout();
    let bin = current_binary(&layout)?;
    let shown = logging::list(strings(args));
    info!(args = %shown, path = %spawn::real_path(&bin).display(), "running app");
    let mut command = Command::new(&bin);
    command.args(args).current_dir(layout.root());
    let start = |source| OneShotError::Start {
        path: bin.clone(),
        args: strings(args),
        source,
    };
    // Listened to before the start, so that no signal falls between.
    let mut signals = signals::listen().map_err(start)?;
    let mut child = command.spawn().map_err(start)?;
    loop {
        tokio::select! {
            status = child.wait() => return Ok(spawn::how(status.map_err(start)?)),
            Some(arrived) = signals.recv() => match arrived {
                // The terminal has sent these to the child already.
                Arrived::ForNode(Signal::Int | Signal::Quit | Signal::Winch) | Arrived::Child => {}
                Arrived::ForNode(signal) => {
                    if let Some(pid) = child.id() {
                        spawn::send(pid.cast_signed(), signal);
                    }
                }
            }
        }
    }
}

/// The output of a command of the current binary, for `version -o json`.
pub async fn output(config: &Config, args: &[&str]) -> Result<std::process::Output, OneShotError> {
    let layout = config.layout();
    let bin = current_binary(&layout)?;
    Command::new(&bin)
        .args(args)
        .current_dir(layout.root())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| OneShotError::Start {
            path: bin,
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            source,
        })
}

/// The current binary. A home that cannot be written to has no `current` made; what would be
/// linked is run.
fn current_binary(layout: &Layout) -> Result<PathBuf, OneShotError> {
    let release = match layout.running() {
        Ok(release) => release,
        Err(LinkError::Io { .. }) if !exists(&layout.current()) => Release::Genesis,
        Err(e) => return Err(e.into()),
    };
    let bin = layout.bin(&release);
    binary::ensure(&bin)?;
    Ok(bin)
}

fn exists(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_by_itself_is_told_from_what_runs_the_node() {
        let one_shot = |line: &str| {
            let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            is_one_shot(&args)
        };
        for line in [
            "version",
            "version --long --output json",
            "query bank balances x",
            "status --home /x",
            "start --help",
            "keys add me",
            "--version",
        ] {
            assert!(one_shot(line), "{line}");
        }
        for line in [
            "start",
            "start --home /x",
            "node",
            "foo bar 1234 file",
            "second run --verbose",
            "--home /x start",
            "",
        ] {
            assert!(!one_shot(line), "{line}");
        }
    }
}
