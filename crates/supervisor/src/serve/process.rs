//! One process of the server: how it is started, watched and signalled.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use baton_handover::Life;
use baton_handover::foreign::{self, Convention, Socket};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::notes::{Notes, Said};
use super::ready::{self, READY_SOCKET, Ready, Waiting};
use super::words::{Event, Generation};
use crate::facts::ProcessId;
use crate::life::Signal;
use crate::node::{identity, spawn};
use crate::telling::Time;

/// Where a process may say that it is ready.
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// Tells a process the how-manieth it is.
const GENERATION: &str = "BATON_GENERATION";

/// What systemd told us, and nobody below us is to act on.
const OURS: [&str; 2] = ["WATCHDOG_USEC", "WATCHDOG_PID"];

/// What every process of the server is started with.
pub(super) struct Start<'a> {
    pub(super) directory: &'a Path,
    pub(super) sockets: &'a [Socket],
    pub(super) convention: Convention,
    pub(super) ready: &'a Ready,
    pub(super) events: &'a mpsc::Sender<Event>,
}

/// A process that was started. When this is dropped nothing is watched any more; it is not ended.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) since: Time,
    pub(super) started: Instant,
    pub(super) command: Vec<OsString>,
    pub(super) waiting: Waiting,
    /// It was sent KILL.
    pub(super) killed: bool,
    life: Life,
    notes: Arc<Notes>,
    _tasks: JoinSet<()>,
}

impl Start<'_> {
    /// Starts a process, in a group of its own, with our standard streams.
    pub(super) fn start(
        &self,
        generation: Generation,
        program: Vec<OsString>,
    ) -> io::Result<Process> {
        let notes = Notes::bind(self.directory.join(format!("notify-{generation}.sock")))?;
        let own = self.own_socket()?;
        let sockets: Vec<&Socket> = self.sockets.iter().chain(&own).collect();
        let mut command = foreign::command(self.convention, &sockets, &program)?;
        command
            .process_group(0)
            .env(NOTIFY_SOCKET, notes.path())
            .env(GENERATION, generation.to_string());
        for variable in OURS {
            command.env_remove(variable);
        }
        let mut command = Command::from(command);
        command.kill_on_drop(false);
        let mut child = command.spawn()?;
        // The copies of the sockets that were for the child are closed with it.
        drop(command);
        let pid = child
            .id()
            .ok_or_else(|| io::Error::other("the child has no process number"))?;
        let life = Life::of(pid)?;

        let notes = Arc::new(notes);
        let waiting = Waiting::default();
        let mut tasks = JoinSet::new();
        let heard = Arc::clone(&notes);
        tasks.spawn(async move { heard.listen().await });
        let events = self.events.clone();
        tasks.spawn(async move {
            // That it is gone is certain; how, only if nobody else has collected it.
            let how = child
                .wait()
                .await
                .map_or(crate::life::Ended::Code(1), spawn::how);
            let _ = events.send(Event::Ended(generation, how)).await;
        });
        let events = self.events.clone();
        let watched = ready::watch(
            self.ready.clone(),
            Arc::clone(&notes),
            ready::socket(self.directory),
            waiting.clone(),
        );
        tasks.spawn(async move {
            watched.await;
            let _ = events.send(Event::Ready(generation)).await;
        });
        Ok(Process {
            pid,
            since: Time::now(),
            started: Instant::now(),
            command: program,
            waiting,
            killed: false,
            life,
            notes,
            _tasks: tasks,
        })
    }

    /// A new socket for the new process alone, at the path of the last one's, which only that one has open by now.
    fn own_socket(&self) -> io::Result<Option<Socket>> {
        if self.ready.path.is_none() {
            return Ok(None);
        }
        let path = ready::socket(self.directory);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Socket::unix(READY_SOCKET, &path.into(), None)
            .map(Some)
            .map_err(io::Error::other)
    }
}

impl Process {
    /// Sends it a signal. One that is gone already is no error.
    pub(super) fn send(&self, signal: Signal) {
        if let Err(error) = self.life.signal(spawn::number(signal)) {
            tracing::warn!(pid = self.pid, signal = signal.name(), %error, "a signal could not be sent");
        }
    }

    /// What it has said of itself.
    pub(super) fn said(&self) -> Said {
        self.notes.said()
    }

    /// The process, told apart from later ones with the same number.
    pub(super) fn id(&self) -> Option<ProcessId> {
        identity::of(self.group())
    }

    /// Its process group.
    pub(super) fn group(&self) -> i32 {
        self.pid.cast_signed()
    }
}
