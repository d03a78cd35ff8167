//! `status` and `events`: how things stand, and what has happened.

use std::time::Duration;

use baton_supervisor::telling::reader::{Filter, Reader};
use baton_supervisor::telling::status::{Status, Supervisor};
use baton_supervisor::telling::{Client, ClientError, Record, Time, render_text};

use super::{Outcome, runtime};
use crate::console;
use crate::context::Context;
use crate::ending::Ending;

/// Bytes of the history that are read at a time.
const CHUNK: usize = 64 << 10;

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
    /// Go on showing events as they happen
    #[arg(long, short)]
    follow: bool,
    /// As JSON, one event on a line
    #[arg(long)]
    json: bool,
    /// Only events after this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    since: u64,
    /// Only the last so many
    #[arg(long, short = 'n', value_name = "COUNT", conflicts_with = "follow")]
    last: Option<usize>,
}

/// How things stand. Without a supervisor: how they stood when the last one ended, and exit code
/// 1.
pub(crate) fn status(context: &Context, args: &StatusArgs) -> Outcome {
    let loaded = context.load()?;
    let home = &loaded.config.home;
    let asked = runtime()?.block_on(async {
        let client = Client::connect(home).await?;
        client.status().await
    });
    let (status, running) = match asked {
        Ok(status) => (status, None),
        Err(error @ ClientError::NoSupervisor { .. }) => (remembered(&loaded.config)?, Some(error)),
        Err(error) => return Err(error.into()),
    };
    if args.json {
        console::out(&format!("{}\n", serde_json::to_string_pretty(&status)?));
    } else {
        if let Some(error) = &running {
            console::out(&format!("{error}\nWhen the last one ended:\n\n"));
        }
        let text = render_text(&status, Time::now());
        for line in text.trim_end().lines() {
            // There is none to tell of.
            if running.is_none() || !line.starts_with("supervisor ") {
                console::out(&format!("{line}\n"));
            }
        }
    }
    Ok(match running {
        None => Ending::Done,
        Some(_) => Ending::Wrong,
    })
}

/// What the history tells.
fn remembered(config: &baton_supervisor::config::Config) -> anyhow::Result<Status> {
    let mut status = Status::new(Supervisor {
        pid: 0,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        since: Time::now(),
        home: config.home.clone(),
        name: config.name.clone(),
        admin_address: None,
        config: std::collections::BTreeMap::new(),
    });
    let mut reader = Reader::new(&config.layout().baton(), 0);
    loop {
        let records = reader.next_records(CHUNK, &Filter::default())?;
        if records.is_empty() {
            return Ok(status);
        }
        for record in records {
            status.apply(&record.event, record.time);
        }
    }
}

/// What has happened, from the history; with `--follow` also what happens.
pub(crate) fn events(context: &Context, args: &EventsArgs) -> Outcome {
    let loaded = context.load()?;
    let home = loaded.config.home.clone();
    let mut reader = Reader::new(&loaded.config.layout().baton(), args.since);
    let mut last = args.since;
    let mut kept = Vec::new();
    loop {
        let records = reader.next_records(CHUNK, &Filter::default())?;
        if records.is_empty() {
            break;
        }
        for record in records {
            last = last.max(record.seq);
            match args.last {
                Some(limit) => {
                    kept.push(record);
                    if kept.len() > limit {
                        kept.remove(0);
                    }
                }
                None => show(&record, args.json),
            }
        }
    }
    for record in &kept {
        show(record, args.json);
    }
    if args.follow {
        runtime()?.block_on(follow(&home, last, args.json))?;
    }
    Ok(Ending::Done)
}

/// Follows over restarts of the supervisor.
async fn follow(home: &std::path::Path, mut last: u64, json: bool) -> anyhow::Result<()> {
    let mut told = false;
    loop {
        match Client::connect(home).await {
            Ok(client) => {
                told = false;
                let mut events = client.events(last, true).await?;
                while let Some(record) = events.next().await? {
                    last = last.max(record.seq);
                    show(&record, json);
                }
            }
            Err(error @ ClientError::NoSupervisor { .. }) => {
                if !std::mem::replace(&mut told, true) {
                    console::err(&format!("{error}; waiting for one\n"));
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn show(record: &Record, json: bool) {
    let line = if json {
        record.to_json()
    } else {
        record.to_string()
    };
    console::out(&format!("{line}\n"));
}
