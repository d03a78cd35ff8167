//! `upgrade` and `generations`: servers that hand over to a new process of their own.
//!
//! These two have nothing to do with the upgrades of a chain's node: they work on the control directory of any server that is built with
//! `baton-handover`, and need no home.

mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use baton_handover::control::{self, ControlError, Found, Progress, UpgradeRequest};
use baton_handover::directory::DirectoryError;
use baton_handover::report::{Outcome as HandoverOutcome, Report};
use baton_supervisor::config::GoDuration;
use baton_supervisor::telling::words::one_line;
use clap::ValueHint;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Outcome, runtime};
use crate::console;
use crate::ending::Ending;

/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(125);

/// The longest `--timeout`, so that nobody waits for ever by a slip of the finger.
const LONGEST: Duration = Duration::from_hours(24);

/// What `upgrade` is asked for.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag")]
pub(crate) struct UpgradeArgs {
    /// The server's control directory
    #[arg(value_name = "CONTROL-DIR", value_hint = ValueHint::DirPath)]
    directory: PathBuf,
    /// Start this executable as the successor, instead of the server's own path
    #[arg(long, value_name = "NEW", value_hint = ValueHint::ExecutablePath)]
    exec: Option<PathBuf>,
    /// Rehearse: go as far as opening the exclusive resources, then give everything back
    #[arg(long)]
    dry_run: bool,
    /// How long the successor may take to get ready, such as `30s`; the server's own setting otherwise
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,
    /// Keep the predecessor asleep afterwards, so that `--roll-back` can wake it
    #[arg(long, conflicts_with = "dry_run")]
    staged: bool,
    /// Wake the generation that sleeps after a staged handover
    #[arg(long, conflicts_with_all = ["exec", "dry_run", "timeout", "staged", "arguments"])]
    roll_back: bool,
    /// The report as JSON
    #[arg(long)]
    json: bool,
    /// The successor's arguments, instead of the server's own
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

/// What `generations` is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct GenerationsArgs {
    /// The server's control directory
    #[arg(value_name = "CONTROL-DIR", value_hint = ValueHint::DirPath)]
    directory: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let time = GoDuration::parse(text).map_err(|error| error.to_string())?;
    match u64::try_from(time.0).map(Duration::from_nanos) {
        Ok(time) if !time.is_zero() && time <= LONGEST => Ok(time),
        _ => Err("it must be more than nothing and at most 24h".to_owned()),
    }
}

/// `upgrade`. It has succeeded only when the successor serves, or the rehearsal went through.
pub(crate) fn upgrade(args: UpgradeArgs) -> Outcome {
    let runtime = runtime()?;
    if args.roll_back {
        return runtime.block_on(roll_back(args));
    }
    let request = UpgradeRequest {
        exec: args.exec.as_deref().map(absolute).transpose()?,
        arguments: (!args.arguments.is_empty()).then_some(args.arguments),
        dry_run: args.dry_run,
        timeout: args.timeout,
        staged: args.staged,
    };
    let spinner = Spinner::new();
    let asked = control::upgrade(&args.directory, request, |step| spinner.tell(&step));
    let report = runtime.block_on(asked);
    spinner.end();
    let report = report.map_err(told)?;
    console::out(&if args.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        report.to_string() + advice(&report)
    });
    let wanted = if args.dry_run {
        HandoverOutcome::Rehearsed
    } else {
        HandoverOutcome::HandedOver
    };
    Ok(if report.outcome == wanted {
        Ending::Done
    } else {
        Ending::Wrong
    })
}

/// Whoever comes here with the name of a chain's upgrade is shown the way.
fn told(error: ControlError) -> anyhow::Error {
    match error {
        ControlError::Directory(DirectoryError::Missing { .. }) => anyhow!(
            "{error}; this command is for servers, the upgrades of a chain's node are made by `baton run`"
        ),
        other => other.into(),
    }
}

/// What to do about a handover that failed.
fn advice(report: &Report) -> &'static str {
    match report.outcome {
        HandoverOutcome::HandedOver | HandoverOutcome::Rehearsed => "",
        HandoverOutcome::RolledBack { .. } => {
            "Nothing changed. See the successor's log for more, mend it, and try again; \
             --dry-run tries without changing anything.\n"
        }
        HandoverOutcome::TakenBack { .. } => {
            "The successor served for a moment. See its log, mend it, and try again.\n"
        }
        HandoverOutcome::NotRestored { .. } => {
            "The predecessor serves what it can and goes on trying; free what is named above.\n"
        }
    }
}

// The server has another working directory.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    let whole = std::path::absolute(path)
        .with_context(|| format!("--exec {}: finding its absolute path", path.display()))?;
    if whole.to_str().is_none() {
        bail!(
            "--exec {}: only a path in UTF-8 can be sent to the server",
            whole.display()
        );
    }
    Ok(whole)
}

async fn roll_back(args: UpgradeArgs) -> Outcome {
    let found = control::generations(&args.directory).await?;
    let sleeper = found.iter().rev().find_map(|found| match &found.status {
        Some(Ok(status)) if status.phase == "asleep" => Some((found.generation, status.pid)),
        _ => None,
    });
    let Some((generation, pid)) = sleeper else {
        return Err(anyhow!(
            "no generation sleeps in {}; only after `baton upgrade --staged` is there one to wake",
            args.directory.display()
        ));
    };
    control::roll_back(&args.directory, generation).await?;
    console::out(&if args.json {
        serde_json::json!({"woken": {"generation": generation, "pid": pid}}).to_string() + "\n"
    } else {
        format!(
            "generation {generation} (pid {pid}) is awake and accepts again; end its successor with TERM\n"
        )
    });
    Ok(Ending::Done)
}

/// `generations`. Exit code 1 if nobody serves.
pub(crate) fn generations(args: &GenerationsArgs) -> Outcome {
    let found = runtime()?.block_on(control::generations(&args.directory))?;
    console::out(&if args.json {
        serde_json::to_string_pretty(&table::as_json(&found))? + "\n"
    } else {
        table::as_text(&args.directory, &found)
    });
    Ok(if found.iter().any(serves) {
        Ending::Done
    } else {
        Ending::Wrong
    })
}

fn serves(found: &Found) -> bool {
    found.current && found.status.is_some()
}

/// Why a living generation tells nothing.
fn silence(error: &ControlError) -> String {
    match error {
        ControlError::TimedOut { waited, .. } => {
            format!("no answer for {} s", waited.as_secs())
        }
        ControlError::Lost { why, .. } => why.clone(),
        other => other.to_string(),
    }
}

/// The phase on a terminal; nothing elsewhere.
struct Spinner(ProgressBar);

impl Spinner {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message("asking");
        bar.enable_steady_tick(TURN);
        Self(bar)
    }

    fn tell(&self, step: &Progress) {
        let text = match step.detail.as_str() {
            "" => step.phase.clone(),
            detail => format!("{}: {detail}", step.phase),
        };
        self.0.set_message(one_line(&text));
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}
