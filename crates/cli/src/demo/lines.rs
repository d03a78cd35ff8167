//! The demo as lines of text, with the seconds since its beginning.

use std::time::Instant;

use baton_supervisor::telling::Event;
use baton_supervisor::telling::words::{bytes, short, span};
use tokio::sync::mpsc::Receiver;

use super::client::{Counted, locked};
use crate::console::out;
use crate::top::News;

/// Prints until the play is over.
pub(super) async fn print(news: &mut Receiver<News>, counted: &Counted) {
    let begun = Instant::now();
    let say = |text: &str| {
        let at = begun.elapsed().as_secs_f64();
        out(&format!("  {at:>6.2} s  {text}\n"));
    };
    let mut act = String::new();
    while let Some(news) = news.recv().await {
        let now = locked(counted).act.clone();
        if act != now && !now.is_empty() {
            say(&now);
            act = now;
        }
        match news {
            News::Events(records) => {
                for text in records.iter().filter_map(|record| line(&record.event)) {
                    say(&text);
                }
            }
            News::End => return,
            News::Status(_) | News::Gone(..) | News::Load(_) => {}
        }
    }
}

/// What is worth a line.
fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::SupervisorStarted { .. } => "the supervisor runs".to_owned(),
        Event::NodeStarted { pid, release, .. } => format!("node started: {release}, pid {pid}"),
        Event::PrefetchStarted { name, .. } => format!("fetching the binary of {name}"),
        Event::PrefetchFinished {
            bytes: size,
            took,
            verified,
            ..
        } => {
            let checksum = if *verified { "right" } else { "none" };
            format!(
                "binary in place: {} in {}, checksum {checksum}",
                bytes(*size),
                span(*took)
            )
        }
        Event::UpgradeStarted { name, height } => format!("{name} is due, at height {height}"),
        Event::NodeStopping { pid, .. } => format!("SIGTERM to pid {pid}"),
        Event::NodeExited { ran_for, .. } => format!("node ended, after {}", span(*ran_for)),
        Event::BackupMade {
            mode,
            bytes: size,
            files,
            took,
            ..
        } => {
            format!(
                "backup: {} in {files} files by {mode} in {}",
                bytes(*size),
                span(*took)
            )
        }
        Event::UpgradeStep { step, took, .. } => format!("step {step} done, in {}", span(*took)),
        Event::HandingOver { from, to, .. } => format!("pid {to} is to take over from pid {from}"),
        Event::NodeChanged { change, .. } => {
            format!(
                "{} to pid {}: nobody accepted for {}",
                change.how.text(),
                change.to,
                short(change.pause)
            )
        }
        Event::UpgradeConfirmed { total, .. } => format!(
            "upgrade confirmed: the chain goes on; in all {}",
            short(*total)
        ),
        event if event.trouble().is_some() => event.to_string(),
        _ => return None,
    })
}
