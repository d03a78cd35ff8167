//! How things stand with a served program, for machines and for people.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::words::{Generation, Standing};
use crate::telling::Time;
use crate::telling::words::{one_line, span};

/// How things stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What it is called.
    pub name: String,
    /// In a word.
    pub state: Standing,
    /// The supervisor.
    pub supervisor: Supervisor,
    /// The program and its arguments, as the next start has them.
    pub command: Vec<String>,
    /// The sockets that are held.
    pub listeners: Vec<Listener>,
    /// The process that serves.
    pub serves: Option<Process>,
    /// The process that is being started.
    pub starts: Option<Process>,
    /// Those that finish their work.
    pub leaving: Vec<Process>,
    /// How often the server was started again after a death of its own.
    pub restarts: u64,
    /// The last reload.
    pub last_reload: Option<Reload>,
    /// The last death of a process that nobody had asked to end.
    pub last_death: Option<Death>,
    /// How long a new process may take until it is ready.
    pub ready_within_ms: u64,
    /// How long a process may take to end.
    pub grace_ms: u64,
}

/// The supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervisor {
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Since when it runs.
    pub since: Time,
    /// Where its state is.
    pub directory: PathBuf,
}

/// A socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Its kind, such as `tcp`.
    pub kind: String,
    /// Where it listens.
    pub address: String,
    /// systemd passed it; else it was bound here.
    pub activated: bool,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The how-manieth it is.
    pub generation: Generation,
    /// Its number.
    pub pid: u32,
    /// Since when it runs.
    pub since: Time,
    /// What it said of itself last (`STATUS=`).
    pub said: Option<String>,
    /// What it has to do yet to be ready.
    pub waits_for: Option<String>,
}

/// A reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// When it ended.
    pub at: Time,
    /// The new process.
    pub generation: Generation,
    /// How long it took.
    pub took_ms: u64,
    /// Why it came to nothing, if it did.
    pub failed: Option<String>,
}

/// A death.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// When.
    pub at: Time,
    /// Whose.
    pub generation: Generation,
    /// How, in words.
    pub why: String,
}

impl Status {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("{}: {}\n", self.name, self.headline());
        let mut line = |name: &str, value: &str| {
            // Writing to a String does not fail.
            let _ = writeln!(text, "  {name:<12}  {}", one_line(value));
        };
        line("command", &self.command.join(" "));
        for listener in &self.listeners {
            let from = if listener.activated {
                ", from systemd"
            } else {
                ""
            };
            let value = format!(
                "{} on {} ({}{from})",
                listener.name, listener.address, listener.kind
            );
            line("listens", &value);
        }
        if let Some(said) = self.serves.as_ref().and_then(|it| it.said.as_ref()) {
            line("it says", said);
        }
        for process in &self.leaving {
            let value = format!("{}, which was asked to end", process.text());
            line("finishes", &value);
        }
        if let Some(reload) = &self.last_reload {
            line("last reload", &reload.text());
        }
        if let Some(death) = &self.last_death {
            let value = format!(
                "generation {}, {}: {}",
                death.generation,
                death.at.to_the_second(),
                death.why
            );
            line("last death", &value);
        }
        if self.restarts > 0 {
            line("restarts", &self.restarts.to_string());
        }
        let supervisor = &self.supervisor;
        let value = format!(
            "baton {} (pid {}) since {}, state in {}",
            supervisor.version,
            supervisor.pid,
            supervisor.since.to_the_second(),
            supervisor.directory.display()
        );
        line("held by", &value);
        text
    }

    fn headline(&self) -> String {
        let of = |process: &Option<Process>| {
            process
                .as_ref()
                .map_or_else(|| "nobody".to_owned(), Process::text)
        };
        let waits = |process: &Option<Process>| {
            let waits_for = process.as_ref().and_then(|it| it.waits_for.as_ref());
            waits_for.map(|it| format!(" ({it})")).unwrap_or_default()
        };
        match self.state {
            Standing::Serving => format!("{} serves", of(&self.serves)),
            Standing::Starting => format!(
                "{} is being started{}; connections wait",
                of(&self.starts),
                waits(&self.starts)
            ),
            Standing::Reloading => format!(
                "{} serves, {} is being started{}",
                of(&self.serves),
                of(&self.starts),
                waits(&self.starts)
            ),
            Standing::BackingOff => {
                "it died and is started again soon; connections wait".to_owned()
            }
            Standing::Stopping => "it is being stopped".to_owned(),
            Standing::Over => "it has ended".to_owned(),
        }
    }
}

impl Process {
    fn text(&self) -> String {
        format!(
            "generation {} (pid {}, since {})",
            self.generation,
            self.pid,
            self.since.to_the_second()
        )
    }
}

impl Reload {
    fn text(&self) -> String {
        let took = span(std::time::Duration::from_millis(self.took_ms));
        let at = self.at.to_the_second();
        match &self.failed {
            None => format!("to generation {}, {at}, in {took}", self.generation),
            Some(why) => format!(
                "to generation {}, {at}, failed after {took}: {why}",
                self.generation
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn people_read_who_serves_and_why_the_last_reload_failed() {
        let process = |generation, pid| Process {
            generation,
            pid,
            since: time("2026-11-30T12:00:00.000Z"),
            said: None,
            waits_for: None,
        };
        let mut status = Status {
            name: "web".to_owned(),
            state: Standing::Serving,
            supervisor: Supervisor {
                pid: 7,
                version: "0.1.0".to_owned(),
                since: time("2026-11-30T11:00:00.000Z"),
                directory: "/run/baton/web".into(),
            },
            command: vec!["python3".to_owned(), "a\nb.py".to_owned()],
            listeners: vec![Listener {
                name: "http".to_owned(),
                kind: "tcp".to_owned(),
                address: "127.0.0.1:8080".to_owned(),
                activated: false,
            }],
            serves: Some(Process {
                said: Some("all is well".to_owned()),
                ..process(2, 20)
            }),
            starts: None,
            leaving: vec![process(1, 10)],
            restarts: 0,
            last_reload: Some(Reload {
                at: time("2026-11-30T12:01:00.000Z"),
                generation: 3,
                took_ms: 1_250,
                failed: Some("exit status 3".to_owned()),
            }),
            last_death: None,
            ready_within_ms: 60_000,
            grace_ms: 30_000,
        };
        assert_eq!(
            status.text(),
            "web: generation 2 (pid 20, since 2026-11-30 12:00:00 UTC) serves
  command       python3 a\\nb.py
  listens       http on 127.0.0.1:8080 (tcp)
  it says       all is well
  finishes      generation 1 (pid 10, since 2026-11-30 12:00:00 UTC), which was asked to end
  last reload   to generation 3, 2026-11-30 12:01:00 UTC, failed after 1.2 s: exit status 3
  held by       baton 0.1.0 (pid 7) since 2026-11-30 11:00:00 UTC, state in /run/baton/web
"
        );
        status.state = Standing::Reloading;
        status.starts = Some(Process {
            waits_for: Some("it has not said READY=1".to_owned()),
            ..process(3, 30)
        });
        let text = status.text();
        assert!(
            text.contains("serves, generation 3 (pid 30, since 2026-11-30 12:00:00 UTC) is being started (it has not said READY=1)"),
            "{text}"
        );
        let json = serde_json::to_string(&status).unwrap();
        assert!(json.contains(r#""state":"reloading""#), "{json}");
        assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
    }
}
