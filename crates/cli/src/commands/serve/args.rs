//! The command line of `serve`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use baton_supervisor::config::RestartPolicy;
use baton_supervisor::life::Signal;
use baton_supervisor::serve::Listen;
use clap::{Args, Subcommand, ValueHint};

use crate::commands::handover::time;

/// `serve`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct ServeArgs {
    #[command(subcommand)]
    pub(super) command: Option<ServeCommand>,
    #[command(flatten)]
    pub(super) serving: Serving,
}

/// What can be asked of one that runs.
#[derive(Debug, Subcommand)]
pub(crate) enum ServeCommand {
    /// Show who serves, since when, on which sockets, and what became of the last reload
    ///
    /// Exit code 1 if nobody serves.
    Status(StatusArgs),
    /// Put another process in the place of the one that serves
    ///
    /// The next process is started beside it, with the same sockets. When that is ready the old one is asked to end, and finishes its
    /// connections. If it is not, it is ended, the old one serves on, and this says why with exit code 1.
    Reload(ReloadArgs),
    /// End the server and its supervisor
    Stop(Place),
}

/// Which one.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// What it is called; the program's file name by default
    // As the global flag of that id, which this one stands in for.
    #[arg(id = "name", long = "name", value_name = "NAME")]
    pub(super) name: Option<OsString>,
    /// Where its state is; `$RUNTIME_DIRECTORY`, `$XDG_RUNTIME_DIR/baton/NAME` or `/run/baton/NAME` by default
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) state_dir: Option<PathBuf>,
}

/// How it is to be shown.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(super) place: Place,
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// How it is to be reloaded.
#[derive(Debug, Args)]
pub(crate) struct ReloadArgs {
    #[command(flatten)]
    pub(super) place: Place,
    /// What came of it as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Another program or other arguments, from now on; as before by default
    #[arg(last = true, value_name = "PROGRAM")]
    pub(super) program: Vec<String>,
}

/// What is served, and how.
#[derive(Debug, Args)]
pub(crate) struct Serving {
    /// A socket to hold: NAME=IP:PORT, NAME=/PATH[,mode=660] or NAME=@ABSTRACT; a NAME alone for one that systemd passes
    #[arg(long, value_name = "NAME=ADDRESS")]
    pub(super) listen: Vec<Listen>,
    #[command(flatten)]
    pub(super) place: Place,
    /// A process is ready when it says READY=1 (`sd_notify`)
    #[arg(long)]
    pub(super) ready_notify: bool,
    /// A process is ready when it answers this path with 2xx on the socket `ready`, which each process has for itself
    #[arg(long, value_name = "PATH", value_parser = path)]
    pub(super) ready_url: Option<String>,
    /// A process is ready when it has lived so long (after the above); 3s unless one of the above is asked for
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) ready_after: Option<Duration>,
    /// How long a process may take until it is ready
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "1m")]
    pub(super) ready_timeout: Duration,
    /// Hand the sockets over in nginx's variable, and end it with QUIT
    #[arg(long)]
    pub(super) nginx: bool,
    /// What asks a process to end: TERM, INT, QUIT, HUP, USR1, USR2 or WINCH [default: TERM]
    #[arg(long, value_name = "SIGNAL", value_parser = signal)]
    pub(super) stop_signal: Option<Signal>,
    /// How long a process may take to finish before it is killed
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "30s")]
    pub(super) grace: Duration,
    /// Whether a server that ended by itself is started again: never, on-failure or always
    #[arg(long, value_name = "WHEN", value_parser = policy, default_value = "on-failure")]
    pub(super) restart: RestartPolicy,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM", value_hint = ValueHint::CommandWithArguments)]
    pub(super) program: Vec<OsString>,
}

fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    if text.contains("://") {
        return Err(
            "give the path only, such as /health: it is asked on the socket `ready`, since on a shared one the old process may answer"
                .to_owned(),
        );
    }
    Err("expected a path, such as /health".to_owned())
}

fn signal(text: &str) -> Result<Signal, String> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    [
        Signal::Term,
        Signal::Int,
        Signal::Quit,
        Signal::Hup,
        Signal::Usr1,
        Signal::Usr2,
        Signal::Winch,
    ]
    .into_iter()
    .find(|signal| signal.name().strip_prefix("SIG") == Some(name))
    .ok_or_else(|| "expected TERM, INT, QUIT, HUP, USR1, USR2 or WINCH".to_owned())
}

fn policy(text: &str) -> Result<RestartPolicy, String> {
    RestartPolicy::NAMED
        .into_iter()
        .find(|(name, _)| *name == text)
        .map(|(_, policy)| policy)
        .ok_or_else(|| "expected never, on-failure or always".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_said() {
        assert_eq!(path("/health?deep=1").as_deref(), Ok("/health?deep=1"));
        assert!(
            path("http://127.0.0.1/")
                .unwrap_err()
                .contains("the old process")
        );
        assert!(path("health").is_err());
        assert_eq!(signal("SIGQUIT"), Ok(Signal::Quit));
        assert_eq!(signal("WINCH"), Ok(Signal::Winch));
        assert!(signal("KILL").is_err());
        assert_eq!(policy("always"), Ok(RestartPolicy::Always));
        assert!(policy("sometimes").is_err());
    }
}
