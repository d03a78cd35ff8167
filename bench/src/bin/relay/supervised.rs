//! A node that is run by `baton`.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long a start, a stop or a change may take.
const LIMIT: Duration = Duration::from_mins(2);
/// How often it is looked whether something is done.
const LOOK: Duration = Duration::from_millis(5);

/// The programs that are measured.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) baton: PathBuf,
    pub(crate) batond: PathBuf,
    /// A `batond` that knows the plan `v2`.
    pub(crate) next: PathBuf,
}

impl Default for Programs {
    fn default() -> Self {
        Self {
            baton: "target/release/baton".into(),
            batond: "target/release/batond".into(),
            next: "target/release/batond-v2".into(),
        }
    }
}

/// A supervisor with its node; it is told to end when this is dropped.
pub(crate) struct Supervised {
    programs: Programs,
    home: PathBuf,
    relay: bool,
    child: Child,
    /// Where the node's API is.
    pub(crate) api: SocketAddr,
}

impl Supervised {
    /// Makes a home a supervised one, with the binary of the upgrade in its place, and runs it.
    pub(crate) async fn start(programs: &Programs, home: &Path, relay: bool) -> Result<Self> {
        let api = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let peers = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let command = command(programs, home, relay);
        expect(command, |c| c.arg("init").arg(&programs.batond))?;
        let add = self::command(programs, home, relay);
        expect(add, |c| c.args(["add-upgrade", "v2"]).arg(&programs.next))?;
        let log = File::create(home.join("console"))?;
        let child = self::command(programs, home, relay)
            .args(["run", "node", "--mining", "--web.closed", "--p2p.skip_upnp"])
            .arg("--p2p.lan_discoverable=false")
            .arg(format!("--p2p.laddr=tcp://{peers}"))
            .arg("--home")
            .arg(home)
            .env("LISTEN", api.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", programs.baton.display()))?;
        let mut supervised = Self {
            programs: programs.clone(),
            home: home.to_owned(),
            relay,
            child,
            api,
        };
        supervised.ready().await?;
        Ok(supervised)
    }

    async fn ready(&mut self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let answer = baton_bench::load::get(self.api, "/readyz", Duration::from_secs(2)).await;
            if answer.is_ok() && (!self.relay || self.hands_over()?) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("baton ended before the node was ready: {status}");
            }
            ensure!(begun.elapsed() < LIMIT, "not ready within {LIMIT:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn hands_over(&self) -> Result<bool> {
        Ok(self.status()?["node"]["hands_over"] == true)
    }

    /// What `baton status` says.
    pub(crate) fn status(&self) -> Result<Value> {
        let output = expect(self.command(), |c| c.args(["status", "--json"]))?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Another process of the same binary; returns the change.
    pub(crate) async fn reload(&self) -> Result<Value> {
        let mut command = self.command();
        let output = tokio::task::spawn_blocking(move || {
            expect_of(&mut command, |c| c.args(["reload", "--json"]))
        });
        Ok(serde_json::from_slice(&output.await??.stdout)?)
    }

    /// Plans the upgrade for a height.
    pub(crate) fn schedule(&self, height: u64) -> Result<()> {
        let mut command = Command::new(&self.programs.batond);
        command
            .args(["upgrade", "schedule", "v2", "--height", &height.to_string()])
            .arg("--home")
            .arg(&self.home)
            .env("RUST_BACKTRACE", "0");
        expect_of(&mut command, |c| c)?;
        Ok(())
    }

    /// Waits until the upgrade is confirmed; returns what `baton status` says of it.
    pub(crate) async fn upgraded(&self) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let status = self.status()?;
            if status["last_upgrade"]["result"] == "confirmed" {
                return Ok(status["last_upgrade"].clone());
            }
            ensure!(
                status["standing"].is_null() && begun.elapsed() < LIMIT,
                "no upgrade: {status}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Ends the supervisor and the node.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.term();
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(
                begun.elapsed() < LIMIT,
                "baton did not end within {LIMIT:?}"
            );
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    fn term(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // it may have ended
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    fn command(&self) -> Command {
        command(&self.programs, &self.home, self.relay)
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.term();
            let _ = self.child.wait();
        }
    }
}

fn command(programs: &Programs, home: &Path, relay: bool) -> Command {
    let mut command = Command::new(&programs.baton);
    command
        .env("DAEMON_HOME", home)
        .env("DAEMON_NAME", "batond")
        .env("BATON_RELAY", if relay { "auto" } else { "off" })
        .env("RUST_BACKTRACE", "0");
    command
}

fn expect(mut command: Command, with: impl Fn(&mut Command) -> &mut Command) -> Result<Output> {
    expect_of(&mut command, with)
}

fn expect_of(command: &mut Command, with: impl Fn(&mut Command) -> &mut Command) -> Result<Output> {
    let command = with(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output)
}

/// The end of what supervisor and node printed, for a fault's story.
pub(crate) fn console(home: &Path) -> String {
    let text = fs::read_to_string(home.join("console")).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
