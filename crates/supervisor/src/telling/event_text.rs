//! An event as one line for people.

use std::fmt;
use std::path::Path;

use super::event::{Event, Record};
use super::words;
use crate::due::Author;

/// `2026-11-21 03:24:05 UTC  node-started       pid 4242, generation 3, release upgrades/v2`.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = words::one_line(self.event.kind());
        write!(
            f,
            "{}  {kind:<18} {}",
            self.time.to_the_second(),
            self.event
        )
    }
}

/// What happened, on one line, without time and kind.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&words::one_line(&sentence(self)))
    }
}

fn sentence(event: &Event) -> String {
    match event {
        Event::SupervisorStarted {
            version,
            home,
            resumed,
        } => format!(
            "baton {version} on {}{}",
            home.display(),
            if *resumed {
                ", finishing an interrupted upgrade"
            } else {
                ""
            }
        ),
        Event::SupervisorStopped { exit_code } => format!("exit code {exit_code}"),
        Event::NodeStarted {
            pid,
            generation,
            release,
            binary,
        } => format!(
            "pid {pid}, generation {generation}, release {release}, {}",
            binary.display()
        ),
        Event::NodeStopping { pid, why } => format!("pid {pid}: {why}"),
        Event::NodeKilled { pid, grace } => format!(
            "pid {pid} did not stop within {} and was killed",
            words::span(*grace)
        ),
        Event::NodeExited {
            pid,
            code,
            signal,
            ran_for,
        } => format!(
            "pid {pid} {} after {}",
            ending(*code, *signal),
            words::span(*ran_for)
        ),
        Event::HandingOver {
            why,
            from,
            to,
            binary,
            dry_run,
        } => format!(
            "{why}: pid {from} to pid {to}, {}{}",
            binary.display(),
            if *dry_run { ", as a rehearsal" } else { "" }
        ),
        Event::NodeChanged { generation, change } => {
            format!("{}, generation {generation}", change.sentence())
        }
        Event::HandoverFailed { why, error, .. } => {
            format!("{why}: the process that serves goes on: {error}")
        }
        Event::HandoverRehearsed { why, took } => format!(
            "{why}: the next process could have taken over, tried in {}",
            words::short(*took)
        ),
        Event::NodeFound {
            pid,
            generation,
            release,
            why,
            ..
        } => format!("pid {pid}, generation {generation}, release {release}: {why}"),
        Event::GenerationEnded { pid, code, signal } => {
            format!("pid {pid} {}", ending(*code, *signal))
        }
        Event::NodeRestarting { delay, attempt } => {
            format!("in {}, attempt {attempt}", words::span(*delay))
        }
        Event::CrashLoop { exits, within, .. } => format!(
            "the node ended {exits} times within {} and is not started again",
            words::span(*within)
        ),
        Event::PlanSeen {
            name,
            height,
            provenance,
            ..
        } => format!(
            "{name} at height {height}, written by {}",
            writer(*provenance)
        ),
        Event::PlanMalformed { path, error } => format!("{}: {error}", path.display()),
        Event::PlanWaiting { name, height, why } => format!("{name} at height {height}: {why}"),
        Event::PlanRefused {
            name, height, why, ..
        } => format!("{name} at height {height} is not followed: {why}"),
        Event::PrefetchStarted { name, url } => format!("{name} from {url}"),
        Event::PrefetchProgress {
            name,
            bytes_done,
            bytes_total,
        } => match bytes_total {
            Some(total) => format!(
                "{name}: {} of {}",
                words::bytes(*bytes_done),
                words::bytes(*total)
            ),
            None => format!("{name}: {}", words::bytes(*bytes_done)),
        },
        Event::PrefetchFinished {
            name,
            bytes,
            verified,
            took,
        } => format!(
            "{name}: {} in {}, {}",
            words::bytes(*bytes),
            words::span(*took),
            if *verified {
                "checksum right"
            } else {
                "no checksum given"
            }
        ),
        Event::PrefetchFailed { name, error, .. } => format!("fetching {name} failed: {error}"),
        Event::UpgradeStarted { name, height } => format!("{name} at height {height}"),
        Event::UpgradeResumed { name, height, step } => {
            format!("{name} at height {height}, from {step}")
        }
        Event::UpgradeStep { name, step, took } => {
            format!("{name}: {step} in {}", words::span(*took))
        }
        Event::UpgradeFailed {
            name, step, error, ..
        } => format!("upgrade {name} failed at {step}: {error}"),
        Event::UpgradeStands {
            name, step, error, ..
        } => format!(
            "upgrade {name} failed at {step}, and the old node answers on at its height: {error}"
        ),
        Event::UpgradeConfirmed {
            name,
            height,
            pause,
            total,
        } => format!(
            "{name} at height {height}, pause {}, in all {}",
            words::span(*pause),
            words::span(*total)
        ),
        Event::RolledBack {
            name,
            from,
            to,
            backup,
            why,
        } => format!(
            "upgrade {name} was rolled back from {from} to {to}{}: {why}",
            backup.as_deref().map_or_else(String::new, |b| format!(
                " with the data of {}",
                b.display()
            ))
        ),
        Event::BackupProgress {
            bytes_done,
            bytes_total,
            files_done,
            files_total,
        } => format!(
            "{} of {}, {files_done} of {files_total} files",
            words::bytes(*bytes_done),
            words::bytes(*bytes_total)
        ),
        Event::BackupMade {
            path,
            mode,
            bytes,
            files,
            took,
        } => format!(
            "{}: {mode}, {}, {files} files, in {}",
            path.display(),
            words::bytes(*bytes),
            words::span(*took)
        ),
        Event::BackupsPruned { paths } => list(paths.iter().map(|p| Path::display(p).to_string())),
        Event::BatchMissed { entries } => format!(
            "the chain is past {}, of which the supervisor knew nothing in time",
            list(
                entries
                    .iter()
                    .map(|e| format!("{} at {}", e.name, e.height))
            )
        ),
        Event::SignalReceived { signal } => words::signal(*signal),
        Event::Warning { text, .. } => text.clone(),
        Event::Other(fields) => list(
            fields
                .iter()
                .filter(|(name, _)| *name != "kind")
                .map(|(name, value)| format!("{name} {value}")),
        ),
    }
}

/// `exited with code 1`, `was ended by SIGKILL`.
pub(super) fn ending(code: Option<i32>, signal: Option<i32>) -> String {
    match (code, signal) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("was ended by {}", words::signal(signal)),
        (None, None) => "ended in a way that is not known".to_owned(),
    }
}

fn writer(author: Author) -> &'static str {
    match author {
        Author::Node => "the node",
        Author::Operator => "the operator",
        Author::Unknown => "no one known",
    }
}

fn list(entries: impl Iterator<Item = String>) -> String {
    entries.collect::<Vec<_>>().join(", ")
}
