//! An example of the library as a running server: the line of processes that hand over to each other.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use baton_handover::control::{self, Generation, UpgradeRequest};
use baton_handover::report::{Outcome, Report};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// Whatever is waited for, it takes no longer.
const LIMIT: Duration = Duration::from_secs(30);
/// So many looks tell what a process has open at rest.
const REST: usize = 50;
/// How often is looked.
const LOOK: Duration = Duration::from_millis(1);

/// A running example.
pub(crate) struct Example {
    pub(crate) address: SocketAddr,
    pub(crate) control: PathBuf,
    program: PathBuf,
    arguments: Vec<String>,
    dir: TempDir,
    /// Those that this process started and has to wait for.
    started: Vec<Child>,
}

impl Example {
    /// Starts it and waits until it serves.
    pub(crate) async fn start(examples: &Path, name: &str, arguments: &[String]) -> Result<Self> {
        let path = examples.join(name);
        let program = path.canonicalize().with_context(|| {
            format!(
                "no {}; build it with `cargo build --release -p baton-handover --examples`",
                path.display()
            )
        })?;
        let dir = tempfile::Builder::new()
            .prefix(&format!("campaign-{name}-"))
            .tempdir()?;
        let mut example = Self {
            address: free_port()?,
            control: dir.path().join("control"),
            program,
            arguments: arguments.to_vec(),
            dir,
            started: Vec::new(),
        };
        example.start_afresh().await?;
        Ok(example)
    }

    /// Starts a process that nobody asked to take over, and waits until it serves.
    pub(crate) async fn start_afresh(&mut self) -> Result<()> {
        let log = |name: &str| {
            File::options()
                .create(true)
                .append(true)
                .open(self.dir.path().join(name))
        };
        let child = Command::new(&self.program)
            .arg("--listen")
            .arg(self.address.to_string())
            .arg("--control-dir")
            .arg(&self.control)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log("out")?)
            .stderr(log("log")?)
            .spawn()
            .with_context(|| format!("starting {}", self.program.display()))?;
        let pid = child.id().context("it ended at once")?;
        self.started.push(child);
        let deadline = Instant::now() + LIMIT;
        loop {
            let said = fs::read_to_string(self.dir.path().join("out")).unwrap_or_default();
            if said.contains(&format!("pid {pid} ")) {
                return Ok(());
            }
            if is_gone(pid) || Instant::now() > deadline {
                bail!("it does not serve; its log ends with\n{}", self.log());
            }
            sleep(LOOK).await;
        }
    }

    /// The last lines of what all its processes logged.
    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(16)..].join("\n")
    }

    /// How the one that serves stands.
    pub(crate) async fn status(&self) -> Result<Generation> {
        Ok(control::status(&self.control).await?)
    }

    /// Asks for a handover and waits for its end, whatever that is.
    pub(crate) async fn ask(&self) -> Result<Report> {
        let asked = control::upgrade(&self.control, UpgradeRequest::default(), |_| {}).await;
        asked.with_context(|| format!("asking for a handover; the log ends with\n{}", self.log()))
    }

    /// Hands over, and waits until the predecessor has ended and all that moved is served again.
    pub(crate) async fn hand_over(&self) -> Result<Handed> {
        let report = self.ask().await?;
        ensure!(
            report.outcome == Outcome::HandedOver,
            "{report}\nthe log ends with\n{}",
            self.log()
        );
        let ended = self.ended(report.from.pid).await;
        ended.with_context(|| format!("after\n{report}"))?;
        let moved = report.moved_in_all();
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            let status = self.status().await?;
            if status.taken_up.connections >= moved {
                break status;
            }
            ensure!(
                Instant::now() < deadline,
                "of {moved} connections that moved {} are served",
                status.taken_up.connections
            );
            sleep(LOOK).await;
        };
        Ok(Handed {
            longest_freeze: status.taken_up.longest_freeze,
            descriptors: descriptors(report.to.pid),
            report,
        })
    }

    /// Waits until a process has ended.
    pub(crate) async fn ended(&self, pid: u32) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while !is_gone(pid) {
            ensure!(
                Instant::now() < deadline,
                "process {pid} does not end; the log ends with\n{}",
                self.log()
            );
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Ends the one that serves.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = self.status().await?.pid;
        signal(pid, Signal::TERM)?;
        self.ended(pid).await?;
        for child in &mut self.started {
            child.wait().await?;
        }
        Ok(())
    }
}

/// A server that is not stopped is ended with everything it brought forth.
impl Drop for Example {
    fn drop(&mut self) {
        let said = fs::read_to_string(self.dir.path().join("out")).unwrap_or_default();
        let pids = said.lines().filter_map(|line| {
            let (_, rest) = line.split_once("pid ")?;
            rest.split(' ').next()?.parse().ok()
        });
        for pid in pids.filter(|pid| runs(*pid, &self.program)) {
            let _ = signal(pid, Signal::KILL);
        }
    }
}

/// A handover that went well.
pub(crate) struct Handed {
    pub(crate) report: Report,
    /// Of any connection, from standing still to being served again.
    pub(crate) longest_freeze: Duration,
    /// What the successor had open once its predecessor had ended.
    pub(crate) descriptors: usize,
}

/// How many descriptors a process has open.
pub(crate) fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// The fewest that a process has open within a short time: without those of whoever just asked it something.
pub(crate) async fn descriptors_at_rest(pid: u32) -> usize {
    let mut fewest = usize::MAX;
    for _ in 0..REST {
        fewest = fewest.min(descriptors(pid));
        sleep(LOOK).await;
    }
    fewest
}

/// Whether the process runs this program: a number may belong to another process by now.
fn runs(pid: u32, program: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program)
}

/// The process has ended; one that nobody reaps has ended as well.
pub(crate) fn is_gone(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return true;
    };
    stat.rsplit_once(") ")
        .is_none_or(|(_, rest)| rest.starts_with('Z'))
}

/// The living children of a process, whichever of its threads started them.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let lists = threads
        .map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    let pids: Vec<u32> = lists
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect();
    pids.into_iter().filter(|pid| !is_gone(*pid)).collect()
}

/// A port that was free a moment ago. It has to be a certain one: a generation whose predecessor died early binds it by itself.
fn free_port() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("asking for a free port")?;
    Ok(listener.local_addr()?)
}

/// Sends a signal.
pub(crate) fn signal(pid: u32, signal: Signal) -> Result<()> {
    let id = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let id = id.with_context(|| format!("{pid} is no process id"))?;
    kill_process(id, signal).with_context(|| format!("sending {signal:?} to process {pid}"))
}
