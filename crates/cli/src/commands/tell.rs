//! `status` and `events`: what the supervisor tells, and what it told before it ended.
//!
//! The history lies in files, so it can be read when the supervisor is down, which is when one
//! wants to know most.

use std::path::Path;
use std::time::Duration;

use baton_supervisor::node::identity;
use baton_supervisor::records::Records;
use baton_supervisor::telling::event::{Event, Record};
use baton_supervisor::telling::reader::{Filter, Reader};
use baton_supervisor::telling::status::{NodeState, Supervisor};
use baton_supervisor::telling::{Client, ClientError, Status, Time, render_text};

use super::{Outcome, runtime};
use crate::console;
use crate::context::Context;
use crate::ending::Ending;
use crate::history::{self, CHUNK, History};

/// How often it is looked whether somebody still reads what is printed.
const POLL: Duration = Duration::from_secs(1);

/// What `status` is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What `events` is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct EventsArgs {
    /// Go on showing events as they happen, over restarts of the supervisor too
    #[arg(long, short)]
    follow: bool,
    /// As JSON, one event on a line
    #[arg(long)]
    json: bool,
    /// Only events after this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    since: u64,
    /// Only the last so many of those that have happened
    #[arg(long, short = 'n', value_name = "COUNT")]
    last: Option<usize>,
    /// Only events whose kind begins so, such as `upgrade`; may be repeated
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
}

/// `status`. Without a supervisor, how things stood when the last one ended, and exit code 1.
pub(crate) fn status(context: &Context, args: &StatusArgs) -> Outcome {
    let json = args.json;
    let home = context.home()?;
    let asked = runtime()?.block_on(async { Client::connect(&home).await?.status().await });
    match asked {
        Ok(status) => {
            console::out(&if json {
                as_json(&status)?
            } else {
                render_text(&status, Time::now())
            });
            Ok(Ending::Done)
        }
        Err(error @ ClientError::NoSupervisor { .. }) => {
            let baton = home.join("cosmovisor/.baton");
            let past = past(&home, &baton)?;
            if json {
                console::err(&format!("error: {error}\n"));
                console::out(&past.map_or(Ok("null\n".to_owned()), |past| past_as_json(&past))?);
            } else {
                console::out(&past_as_text(&home, past.as_ref()));
            }
            Ok(Ending::Wrong)
        }
        Err(error) => Err(error.into()),
    }
}

fn as_json(status: &Status) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(status)? + "\n")
}

/// How things stood at the end of the history; `None` if nothing ever happened.
pub(crate) fn past(home: &Path, baton: &Path) -> anyhow::Result<Option<Status>> {
    let mut status: Option<Status> = None;
    let mut reader = Reader::new(baton, 0);
    loop {
        let records = reader
            .next_records(CHUNK, &Filter::default())
            .map_err(|e| history::unreadable(baton, &e))?;
        if records.is_empty() {
            break;
        }
        for Record { time, event, .. } in records {
            let status = status.get_or_insert_with(|| Status::new(nobody(home, time)));
            if let Event::SupervisorStarted { version, .. } = &event {
                // The one before may have been killed and have told no end.
                (status.node, status.upgrade, status.plan) = Default::default();
                status.supervisor.version.clone_from(version);
                status.supervisor.since = time;
            }
            status.apply(&event, time);
        }
    }
    if let Some(status) = &mut status {
        let last = Records::new(baton).last_life();
        let left = last
            .and_then(|last| last.process)
            .filter(identity::is_alive)
            .and_then(|process| u32::try_from(process.pid).ok());
        status.node.pid = left;
        let says_up = matches!(status.node.state, NodeState::Running | NodeState::Stopping);
        if left.is_none() && says_up {
            status.node.state = NodeState::Down;
        }
        status.backups.retain(|backup| backup.path.is_dir());
    }
    Ok(status)
}

fn nobody(home: &Path, since: Time) -> Supervisor {
    Supervisor {
        pid: 0,
        version: String::new(),
        since,
        home: home.to_owned(),
        name: String::new(),
        admin_address: None,
        config: std::collections::BTreeMap::new(),
    }
}

fn past_as_text(home: &Path, past: Option<&Status>) -> String {
    let home = home.display();
    let Some(past) = past else {
        return format!(
            "No supervisor is running on {home}, and none has run there yet; start one with `baton run`\n"
        );
    };
    let mut text = format!(
        "No supervisor is running on {home}; start one with `baton run`\n\nAs the last one left it:\n"
    );
    if let Some(pid) = past.node.pid {
        text = format!(
            "No supervisor is running on {home}, but it was killed and left the node (pid {pid}) running, \
             which nobody upgrades now; `baton run` ends that node and starts it anew\n\nAs the last one left it:\n"
        );
    }
    let page = render_text(past, Time::now());
    // Neither the verdict nor the line about the supervisor holds any longer.
    let body = page
        .split_once("\n\n")
        .map_or(page.as_str(), |(_, body)| body);
    let body = body
        .rfind("\nsupervisor ")
        .map_or(body, |end| &body[..=end]);
    text + body
}

fn past_as_json(past: &Status) -> anyhow::Result<String> {
    let mut value = serde_json::to_value(past)?;
    value["supervisor"] = serde_json::Value::Null;
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

/// `events`.
pub(crate) fn events(context: &Context, args: &EventsArgs) -> Outcome {
    let baton = context.home()?.join("cosmovisor/.baton");
    let mut reader = Reader::new(&baton, args.since);
    let filter = Filter {
        kinds: args.kinds.clone(),
        ..Filter::default()
    };
    let mut past = Vec::new();
    let mut is_read_by_someone = true;
    while is_read_by_someone {
        let records = reader
            .next_records(CHUNK, &filter)
            .map_err(|e| history::unreadable(&baton, &e))?;
        if records.is_empty() {
            break;
        }
        match args.last {
            None => is_read_by_someone = print(&records, args.json),
            Some(last) => {
                past.extend(records);
                past.drain(..past.len().saturating_sub(last));
            }
        }
    }
    if !is_read_by_someone || !print(&past, args.json) || !args.follow {
        return Ok(Ending::Done);
    }
    runtime()?.block_on(follow(History::new(&baton, reader, filter), args.json))
}

/// Prints what is added to the history, for as long as somebody reads it. The supervisor may end
/// and start again meanwhile.
async fn follow(mut history: History, json: bool) -> Outcome {
    while !console::is_abandoned() {
        let Ok(records) = tokio::time::timeout(POLL, history.next()).await else {
            continue;
        };
        if !print(&records?, json) {
            break;
        }
    }
    Ok(Ending::Done)
}

/// Prints records; false once nobody reads them.
fn print(records: &[Record], json: bool) -> bool {
    let mut text = String::new();
    for record in records {
        if json {
            text.push_str(&record.to_json());
        } else {
            text.push_str(&record.to_string());
        }
        text.push('\n');
    }
    console::try_out(&text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_supervisor::telling::history::FILE;
    use std::fs;

    fn home_with(events: &[Event]) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let baton = home.path().join("cosmovisor/.baton");
        fs::create_dir_all(&baton).unwrap();
        let lines: Vec<_> = events
            .iter()
            .zip(1..)
            .map(|(event, seq)| {
                let record = Record {
                    seq,
                    time: Time::now(),
                    event: event.clone(),
                };
                record.to_json() + "\n"
            })
            .collect();
        fs::write(baton.join(FILE), lines.concat()).unwrap();
        home
    }

    fn past_of(home: &Path) -> Option<Status> {
        past(home, &home.join("cosmovisor/.baton")).unwrap()
    }

    fn started() -> Event {
        Event::SupervisorStarted {
            version: "0.1.0".to_owned(),
            home: "/h".into(),
            resumed: false,
        }
    }

    fn node_started() -> Event {
        Event::NodeStarted {
            pid: 4242,
            generation: 3,
            release: "genesis".to_owned(),
            binary: "/h/simd".into(),
        }
    }

    #[test]
    fn without_a_history_that_is_said() {
        let home = tempfile::tempdir().unwrap();
        let past = past_of(home.path());
        assert!(past.is_none());
        let text = past_as_text(home.path(), None);
        assert!(text.contains("none has run there yet"), "{text}");
    }

    #[test]
    fn how_an_upgrade_failed_is_told_after_the_supervisor_has_ended() {
        let home = home_with(&[
            started(),
            node_started(),
            Event::UpgradeStarted {
                name: "v2".to_owned(),
                height: 100,
            },
            Event::UpgradeFailed {
                name: "v2".to_owned(),
                step: "back-up".to_owned(),
                error: "no room".to_owned(),
                what_to_do: "make room".to_owned(),
            },
            Event::SupervisorStopped { exit_code: 1 },
        ]);
        let past = past_of(home.path()).unwrap();
        let text = past_as_text(home.path(), Some(&past));
        assert!(text.starts_with("No supervisor is running on"), "{text}");
        for piece in ["v2 at height 100, FAILED", "no room", "to do: make room"] {
            assert!(text.contains(piece), "{piece}: {text}");
        }
        assert!(!text.contains("\nsupervisor"), "{text}");
        assert_eq!(text.matches("No supervisor").count(), 1);
        let json: serde_json::Value = serde_json::from_str(&past_as_json(&past).unwrap()).unwrap();
        assert!(json["supervisor"].is_null());
        assert_eq!(json["last_error"]["what_to_do"], "make room");
    }

    #[test]
    fn a_node_is_up_only_if_its_process_is() {
        let home = home_with(&[started(), node_started()]);
        let past = past_of(home.path()).unwrap();
        assert_eq!(
            past.node.state,
            NodeState::Down,
            "its supervisor was killed"
        );
        assert_eq!(past.node.pid, None);

        let own = std::process::id().cast_signed();
        let life = baton_supervisor::facts::LastLife {
            release: "genesis".to_owned(),
            process: identity::of(own),
            generation: 3,
            plan_file: None,
            ended: false,
            plan_file_at_end: None,
            too_early: None,
            ..baton_supervisor::facts::LastLife::default()
        };
        let records = Records::new(&home.path().join("cosmovisor/.baton"));
        records.save_last_life(&life).unwrap();
        let past = past_of(home.path()).unwrap();
        assert_eq!(past.node.state, NodeState::Running);
        let text = past_as_text(home.path(), Some(&past));
        assert!(text.contains(&format!("left the node (pid {own}) running")));
    }
}
