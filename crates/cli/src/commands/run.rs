//! `run`: the node, under supervision or, if it is a command that ends by itself, as it is.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use baton_supervisor::config::{Loaded, Source};
use baton_supervisor::life::Exit;
use baton_supervisor::run::{self, oneshot};
use tracing::warn;

use super::{Outcome, runtime};
use crate::context::{Context, Face};
use crate::ending::Ending;
use crate::progress;

/// How long threads that still wait for something have, once the supervisor has ended.
const LEFTOVERS: Duration = Duration::from_millis(200);

/// Runs the node with these arguments, but for the one that names a configuration file.
pub(crate) fn run(mut context: Context, args: Vec<OsString>) -> Outcome {
    let (file, args) = take_config_flag(args).ok_or_else(|| {
        anyhow!("failed to parse cosmovisor config: --cosmovisor-config requires an argument")
    })?;
    if file.is_some() {
        context.config_file = file;
    }
    let loaded = context.load()?;
    context.start_log(&loaded.config);
    tell_ignored(&loaded);
    let runtime = runtime()?;
    let ending = runtime.block_on(node(context.face, loaded, args));
    runtime.shutdown_timeout(LEFTOVERS);
    ending
}

/// The node by itself, for a command that ends by itself.
async fn node(face: Face, loaded: Loaded, args: Vec<OsString>) -> Outcome {
    if oneshot::is_one_shot(&args) {
        let ended = oneshot::run(&loaded.config, &args).await?;
        return Ok(Ending::OneShot(ended));
    }
    let exit_code: fn(&Exit) -> i32 = match face {
        Face::Cosmovisor => |exit| code_of(exit, Face::Cosmovisor),
        Face::Baton => |exit| code_of(exit, Face::Baton),
    };
    let options = run::Options {
        args,
        exit_code,
        observer: progress::of_supervisor(),
    };
    Ok(Ending::Supervised(run::supervise(loaded, options).await?))
}

fn code_of(exit: &Exit, face: Face) -> i32 {
    Ending::Supervised(exit.clone()).code(face).into()
}

fn tell_ignored(loaded: &Loaded) {
    for ignored in &loaded.ignored {
        let place = match (ignored.source, &loaded.file) {
            (Source::File, Some(file)) => file.display().to_string(),
            _ => "the environment".to_owned(),
        };
        warn!(name = %ignored.name, %place, "no setting has this name; it is ignored");
    }
}

/// Takes `--cosmovisor-config <path>` out of the node's arguments, wherever it stands and however
/// its letters are cased; only the first, and only with the path as an argument of its own.
/// `None` if the path is missing.
fn take_config_flag(mut args: Vec<OsString>) -> Option<(Option<PathBuf>, Vec<OsString>)> {
    let is_flag = |arg: &OsString| {
        let bytes = arg.as_bytes();
        let name = bytes.strip_prefix(b"--").or(bytes.strip_prefix(b"-"));
        name.is_some_and(|name| name.eq_ignore_ascii_case(b"cosmovisor-config"))
    };
    let Some(index) = args.iter().position(is_flag) else {
        return Some((None, args));
    };
    if index + 1 == args.len() {
        return None;
    }
    args.remove(index);
    let path = PathBuf::from(args.remove(index));
    Some((Some(path), args))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_file_is_taken_out_of_the_arguments() {
        for (line, file, rest) in [
            ("start --home /x", None, "start --home /x"),
            ("start --cosmovisor-config a b", Some("a"), "start b"),
            ("-COSMOVISOR-Config a start", Some("a"), "start"),
            (
                "--cosmovisor-config a --cosmovisor-config b",
                Some("a"),
                "--cosmovisor-config b",
            ),
            (
                "--cosmovisor-config=a -c b",
                None,
                "--cosmovisor-config=a -c b",
            ),
        ] {
            let args = line.split(' ').map(OsString::from).collect();
            let (found, left) = take_config_flag(args).unwrap();
            assert_eq!(found, file.map(PathBuf::from), "{line}");
            assert_eq!(left.join(std::ffi::OsStr::new(" ")), rest, "{line}");
        }
        let missing = vec!["start".into(), "--cosmovisor-config".into()];
        assert!(take_config_flag(missing).is_none());
    }
}
