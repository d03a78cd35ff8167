//! The supervisor of the demo, as a process of its own, with the node that it runs.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use baton_supervisor::telling::{Client, Status};
use rustix::process::{Pid, Signal, kill_process};

use super::home::{Home, NAME, without_settings};

/// How often it is looked whether something has come about.
const LOOK: Duration = Duration::from_millis(20);

pub(super) struct Supervised {
    child: Child,
    home: PathBuf,
    log: PathBuf,
}

impl Supervised {
    /// Starts it as an operator would.
    pub(super) fn start(home: &Home) -> anyhow::Result<Self> {
        let me = std::env::current_exe().context("finding this executable")?;
        let log = fs::File::create(&home.log).context("making the log")?;
        let mut command = Command::new(me);
        without_settings(&mut command);
        let child = command
            .args(["run", "node", "--mining", "--web.closed", "--p2p.skip_upnp"])
            .args([
                "--p2p.lan_discoverable=false",
                "--p2p.laddr=tcp://127.0.0.1:0",
            ])
            .arg(format!("--api_addr={}", home.api))
            .arg(format!("--rpc.laddr=tcp://{}", home.rpc))
            .arg("--home")
            .arg(&home.path)
            .env("DAEMON_HOME", &home.path)
            .env("DAEMON_NAME", NAME)
            .env("DAEMON_ALLOW_DOWNLOAD_BINARIES", "true")
            .env("DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM", "true")
            .env("BATON_RPC_ADDRESS", format!("http://{}", home.rpc))
            .env("BATON_ADMIN_ADDRESS", "127.0.0.1:0")
            .env("COSMOVISOR_COLOR_LOGS", "false")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("starting the supervisor")?;
        Ok(Self {
            child,
            home: home.path.clone(),
            log: home.log.clone(),
        })
    }

    /// How things stand; waits until it answers.
    pub(super) async fn status(&mut self) -> anyhow::Result<Status> {
        loop {
            self.still_runs()?;
            let asked = async { Client::connect(&self.home).await?.status().await };
            if let Ok(status) = asked.await {
                return Ok(status);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until it stands so.
    pub(super) async fn until(
        &mut self,
        is_so: impl Fn(&Status) -> bool,
    ) -> anyhow::Result<Status> {
        loop {
            let status = self.status().await?;
            if is_so(&status) {
                return Ok(status);
            }
            if let Some(standing) = &status.standing {
                bail!(
                    "the upgrade failed at {}: {}",
                    standing.step,
                    standing.error
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// An error if it has ended, with the end of its log.
    fn still_runs(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(15)..].join("\n");
            bail!("the supervisor ended too early ({status}); the end of its log:\n{last}");
        }
        Ok(())
    }

    /// Stops it and the node.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let status = self.end().await?;
        ensure!(status.success(), "the supervisor ended with {status}");
        Ok(())
    }

    async fn end(&mut self) -> anyhow::Result<ExitStatus> {
        self.terminate();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn terminate(&self) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // TERM, so that it ends its node too; gone already in the ordinary case.
        if let Ok(None) = self.child.try_wait() {
            self.terminate();
            let _ = self.child.wait();
        }
    }
}
