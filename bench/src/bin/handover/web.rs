//! Our example `web`, which hands over on SIGUSR2.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use baton_bench::load::{get, number_after};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::process::{children, free_port, is_gone, signal, wait_for};
use super::server::Server;

/// Every step of it takes no longer.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Web {
    _dir: TempDir,
    address: SocketAddr,
    version: String,
    first: Child,
    pid: u32,
}

impl Web {
    pub(crate) async fn start(binary: &Path) -> Result<Self> {
        let binary = binary
            .canonicalize()
            .with_context(|| format!("no executable at {}", binary.display()))?;
        let dir = tempfile::Builder::new().prefix("bench-web-").tempdir()?;
        let address = free_port()?;
        let first = Command::new(&binary)
            .arg("--listen")
            .arg(address.to_string())
            .arg("--control-dir")
            .arg(dir.path().join("control"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", binary.display()))?;
        let pid = first.id().context("web ended at once")?;
        let web = Self {
            _dir: dir,
            address,
            version: binary.display().to_string(),
            first,
            pid,
        };
        web.generation_other_than(None).await?;
        Ok(web)
    }

    /// The generation that answers, once it is another, and its pid if it says it.
    async fn generation_other_than(&self, old: Option<u64>) -> Result<(u64, Option<u64>)> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Ok(body) = get(self.address, "/", LIMIT).await {
                let generation = number_after("generation", &body).with_context(|| {
                    format!("no generation in {:?}", String::from_utf8_lossy(&body))
                })?;
                if Some(generation) != old {
                    return Ok((generation, number_after("pid", &body)));
                }
            }
            if Instant::now() > deadline {
                bail!("no generation but {old:?} answers within {LIMIT:?}");
            }
            sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Server for Web {
    const NAME: &str = "web";

    fn version(&self) -> String {
        self.version.clone()
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    async fn upgrade(&mut self) -> Result<()> {
        let (old, _) = self.generation_other_than(None).await?;
        let before = children(self.pid);
        signal(self.pid, Signal::USR2)?;
        let (_, pid) = self.generation_other_than(Some(old)).await?;
        let new = if let Some(pid) = pid {
            u32::try_from(pid)?
        } else {
            let born = children(self.pid)
                .into_iter()
                .find(|pid| !before.contains(pid));
            born.context("the successor does not tell its pid and is no child of its predecessor")?
        };
        wait_for("the predecessor's end", || is_gone(self.pid).then_some(())).await?;
        self.pid = new;
        Ok(())
    }

    async fn stop(mut self) -> Result<()> {
        if !is_gone(self.pid) {
            signal(self.pid, Signal::TERM)?;
            wait_for("web's end", || is_gone(self.pid).then_some(())).await?;
        }
        // It may have been the first, or the first has handed over.
        self.first.wait().await.context("waiting for web")?;
        Ok(())
    }
}
