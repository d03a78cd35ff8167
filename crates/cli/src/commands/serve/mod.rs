//! `serve`: any server's sockets, held for it; and what can be asked of one that runs.

mod args;
mod ask;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::bail;
use baton_handover::foreign::Convention;
use baton_supervisor::config::{Env, TimeFormat};
use baton_supervisor::life::Signal;
use baton_supervisor::logging;
use baton_supervisor::serve::place::Surroundings;
use baton_supervisor::serve::ready::DEFAULT_AFTER;
use baton_supervisor::serve::{self, Options, Ready, Settings};

pub(crate) use self::args::ServeArgs;
use self::args::{Place, ServeCommand, Serving};
use super::{Outcome, runtime};
use crate::context::Context;
use crate::ending::Ending;

/// `serve` and the commands below it.
pub(crate) fn run(context: &Context, args: ServeArgs) -> Outcome {
    match args.command {
        Some(ServeCommand::Status(args)) => ask::status(&args),
        Some(ServeCommand::Reload(args)) => ask::reload(&args),
        Some(ServeCommand::Stop(args)) => ask::stop(&args),
        None => hold(context, args.serving),
    }
}

fn hold(context: &Context, args: Serving) -> Outcome {
    let options = options(args)?;
    start_log(&context.env);
    let ending = runtime()?.block_on(serve::serve(options))?;
    Ok(Ending::Served(ending))
}

fn options(args: Serving) -> anyhow::Result<Options> {
    let name = match args.place.name {
        Some(name) => name.to_string_lossy().into_owned(),
        None => name_of(&args.program[0])?,
    };
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        bail!("--name {name}: a name is that of a directory, without a slash or a dot in front");
    }
    let directory = match args.place.state_dir {
        Some(directory) => std::path::absolute(directory)?,
        None => Surroundings::of_this_process().of(&name),
    };
    let ready = Ready {
        notify: args.ready_notify,
        path: args.ready_url,
        after: args.ready_after,
    };
    let has_other = ready.notify || ready.path.is_some();
    let lives = ready.after.or((!has_other).then_some(DEFAULT_AFTER));
    if lives.is_some_and(|lives| lives >= args.ready_timeout) {
        bail!(
            "--ready-timeout {:?} is over before a process has lived for {:?} (--ready-after)",
            args.ready_timeout,
            lives.unwrap_or_default()
        );
    }
    let nginx = args.nginx;
    Ok(Options {
        name,
        directory,
        command: args.program,
        listen: args.listen,
        convention: if nginx {
            Convention::Nginx
        } else {
            Convention::Systemd
        },
        ready,
        settings: Settings {
            stop_signal: args.stop_signal.unwrap_or(if nginx {
                Signal::Quit
            } else {
                Signal::Term
            }),
            grace: args.grace,
            ready_within: args.ready_timeout,
            restart: args.restart,
        },
    })
}

/// A server is called as its program is, unless the operator says otherwise.
fn name_of(program: &std::ffi::OsStr) -> anyhow::Result<String> {
    match Path::new(program).file_name() {
        Some(name) => Ok(name.to_string_lossy().into_owned()),
        None => bail!("{} is no program", program.display()),
    }
}

fn start_log(env: &Env) {
    let mut settings = logging::Settings::of_environment(env, TimeFormat::default());
    settings.colors &= std::io::stdout().is_terminal();
    // A second subscriber in one process is refused; the first goes on.
    let _ = logging::init(&settings);
}

/// Where the server that is meant has its state: named, or the only one there is.
fn find(place: &Place) -> anyhow::Result<PathBuf> {
    if let Some(directory) = &place.state_dir {
        return Ok(directory.clone());
    }
    let surroundings = Surroundings::of_this_process();
    if let Some(name) = &place.name {
        let name = name.to_string_lossy();
        return Ok(surroundings
            .find(&name)
            .unwrap_or_else(|| surroundings.of(&name)));
    }
    let all = surroundings.all();
    match &all[..] {
        [only] => Ok(only.clone()),
        [] => bail!(
            "nothing is served here; start it with `baton serve`, or say where it is with --state-dir"
        ),
        several => {
            let names: Vec<_> = several
                .iter()
                .filter_map(|place| Some(place.file_name()?.to_string_lossy()))
                .collect();
            bail!(
                "several are served; say which with --name: {}",
                names.join(", ")
            )
        }
    }
}
