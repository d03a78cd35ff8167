//! Asking one that runs.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use baton_handover::Life;
use baton_supervisor::serve::{Answer, Client};
use baton_supervisor::telling::words::span;

use super::args::{Place, ReloadArgs, StatusArgs};
use super::find;
use crate::commands::{Outcome, runtime};
use crate::console::out;
use crate::ending::Ending;

/// How long the end may take beside the server's own grace.
const BESIDE: Duration = Duration::from_secs(30);

pub(super) fn status(args: &StatusArgs) -> Outcome {
    let client = Client::of(&find(&args.place)?);
    let status = runtime()?.block_on(client.status())?;
    out(&if args.json {
        serde_json::to_string_pretty(&status).context("writing the status as JSON")? + "\n"
    } else {
        status.text()
    });
    Ok(if status.serves.is_some() {
        Ending::Done
    } else {
        Ending::Wrong
    })
}

pub(super) fn reload(args: &ReloadArgs) -> Outcome {
    let client = Client::of(&find(&args.place)?);
    let answer = runtime()?.block_on(client.reload(absolute(args.program.clone())?))?;
    if args.json {
        out(&(serde_json::to_string_pretty(&answer).context("writing the answer as JSON")? + "\n"));
        return Ok(match answer {
            Answer::Reloaded { .. } => Ending::Done,
            _ => Ending::Wrong,
        });
    }
    match answer {
        Answer::Reloaded {
            generation,
            pid,
            took_ms,
        } => {
            let took = span(Duration::from_millis(took_ms));
            out(&format!(
                "generation {generation} (pid {pid}) serves, after {took}\n"
            ));
            Ok(Ending::Done)
        }
        Answer::NotReloaded {
            generation,
            why,
            serves: Some(serves),
        } => Err(anyhow!(
            "generation {generation} does not serve: {why}\nnothing has changed: generation {serves} serves on"
        )),
        Answer::NotReloaded {
            generation, why, ..
        } => Err(anyhow!(
            "generation {generation} does not serve: {why}\nnobody serves now, since the process before has died as well; see `baton serve status`"
        )),
        Answer::Refused { why } => bail!("no reload now: {why}"),
        Answer::Stopping { .. } => bail!("it is being stopped"),
    }
}

pub(super) fn stop(place: &Place) -> Outcome {
    let client = Client::of(&find(place)?);
    runtime()?.block_on(async {
        let within = Duration::from_millis(client.status().await?.grace_ms) + BESIDE;
        let Answer::Stopping { pid } = client.stop().await? else {
            bail!("it does not stop");
        };
        // It may have ended between the two.
        if let Ok(life) = Life::of(pid)
            && tokio::time::timeout(within, life.ended()).await.is_err()
        {
            bail!("pid {pid} has not ended within {}", span(within));
        }
        out("stopped\n");
        Ok(Ending::Done)
    })
}

/// The supervisor has another working directory, perhaps: a program that is named by a path is meant from here.
fn absolute(mut program: Vec<String>) -> anyhow::Result<Vec<String>> {
    if let Some(first) = program.first_mut()
        && first.contains('/')
    {
        let path = std::path::absolute(&first).with_context(|| format!("finding {first}"))?;
        *first = path
            .into_os_string()
            .into_string()
            .map_err(|_| anyhow!("only a path in UTF-8 can be sent to the supervisor"))?;
    }
    Ok(program)
}
