//! `reload` and `retry`: what a running supervisor is asked to do with its node.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use baton_supervisor::telling::{
    Answer, Change, Client, READY_WITHIN, Reload, Request, Retry, words,
};
use clap::{Args, ValueHint};

use super::Outcome;
use super::handover::time;
use super::runtime;
use crate::console::out;
use crate::context::Context;
use crate::ending::Ending;

/// How a node is reloaded.
#[derive(Debug, Args)]
pub(crate) struct ReloadArgs {
    /// The binary of the new process, instead of that of the current release; until the node is next started
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    exec: Option<PathBuf>,
    /// Start the new process, up to the point at which it would serve, and let it go
    #[arg(long)]
    dry_run: bool,
    /// How long the new process may take until it is ready to take over, such as `30s`
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,
    /// Do not stop and start a node that cannot hand over
    #[arg(long)]
    handover_only: bool,
    /// Print what came of it as JSON
    #[arg(long)]
    json: bool,
}

/// How an upgrade is tried again.
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// Stop the old node first, and start the new binary after it
    #[arg(long)]
    stop: bool,
}

/// Has the supervisor put another process in the place of the node's, and says what came of it.
pub(crate) fn reload(context: &Context, args: &ReloadArgs) -> Outcome {
    let exec = match &args.exec {
        Some(path) => Some(
            std::path::absolute(path)
                .with_context(|| format!("finding the absolute path of {}", path.display()))?,
        ),
        None => None,
    };
    let timeout = args.timeout.unwrap_or(READY_WITHIN);
    let request = Request::Reload(Reload {
        exec,
        dry_run: args.dry_run,
        timeout_ms: Some(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
        handover_only: args.handover_only,
    });
    let answer = ask(context, &request)?;
    if args.json {
        let json = serde_json::to_string_pretty(&answer).context("writing the answer as JSON")?;
        out(&format!("{json}\n"));
        return Ok(match answer {
            Answer::Refused { .. } => Ending::Wrong,
            _ => Ending::Done,
        });
    }
    match answer {
        Answer::Changed { change } => out(&told(&change)),
        Answer::Accepted { text } => out(&format!("{text}\n")),
        Answer::Refused { why, what_to_do } => return Err(refused(&why, &what_to_do)),
    }
    Ok(Ending::Done)
}

/// Has the supervisor try an upgrade again that failed while the node answers on.
pub(crate) fn retry(context: &Context, args: &RetryArgs) -> Outcome {
    match ask(context, &Request::Retry(Retry { stop: args.stop }))? {
        Answer::Refused { why, what_to_do } => Err(refused(&why, &what_to_do)),
        Answer::Accepted { text } => {
            out(&format!("{text}\n"));
            Ok(Ending::Done)
        }
        Answer::Changed { change } => {
            out(&told(&change));
            Ok(Ending::Done)
        }
    }
}

fn ask(context: &Context, request: &Request) -> anyhow::Result<Answer> {
    let home = context.home()?;
    runtime()?.block_on(async {
        let client = Client::connect(&home).await?;
        Ok(client.ask(request).await?)
    })
}

fn refused(why: &str, what_to_do: &str) -> anyhow::Error {
    if what_to_do.is_empty() {
        anyhow!("{why}")
    } else {
        anyhow!("{why}; {what_to_do}")
    }
}

/// The line that says it, and a line for each phase.
fn told(change: &Change) -> String {
    let width = change.phases.iter().map(|phase| phase.phase.len()).max();
    let width = width.unwrap_or(0);
    let mut lines = vec![change.sentence()];
    for phase in &change.phases {
        let took = words::short(phase.took);
        lines.push(format!("  {:<width$}  {took}", phase.phase));
    }
    if let Some(freeze) = change.longest_freeze_us {
        let freeze = words::short(Duration::from_micros(freeze));
        lines.push(format!(
            "  the longest time that a connection stood still: {freeze}"
        ));
    }
    lines.join("\n") + "\n"
}
