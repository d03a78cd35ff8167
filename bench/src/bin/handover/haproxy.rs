//! `HAProxy` as a master with a worker, reloaded with USR2: the master executes itself anew and the new
//! worker takes the listeners from the old one.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::process::{children, free_port, signal, wait_for};
use super::server::Server;

pub(crate) struct Haproxy {
    _dir: TempDir,
    address: SocketAddr,
    version: String,
    master: Child,
    pid: u32,
}

impl Haproxy {
    pub(crate) async fn start(binary: &Path) -> Result<Self> {
        let binary = binary.canonicalize()?;
        let dir = tempfile::Builder::new()
            .prefix("bench-haproxy-")
            .tempdir()?;
        let address = free_port()?;
        let config = dir.path().join("haproxy.cfg");
        fs::write(&config, configuration(dir.path(), address))?;
        let version = std::process::Command::new(&binary).arg("-v").output();
        let version = version.context("asking HAProxy's version")?;
        let version = String::from_utf8_lossy(&version.stdout);
        let version = version.lines().next().unwrap_or_default().to_owned();
        let master = Command::new(&binary)
            .args(["-W", "-q", "-f"])
            .arg(&config)
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", binary.display()))?;
        let pid = master.id().context("HAProxy ended at once")?;
        let haproxy = Self {
            _dir: dir,
            address,
            version,
            master,
            pid,
        };
        wait_for("HAProxy's worker", || {
            (children(pid).len() == 1).then_some(())
        })
        .await?;
        wait_for("HAProxy's port", || {
            std::net::TcpStream::connect(address).ok()
        })
        .await?;
        Ok(haproxy)
    }
}

impl Server for Haproxy {
    const NAME: &str = "haproxy";

    fn version(&self) -> String {
        self.version.clone()
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    async fn upgrade(&mut self) -> Result<()> {
        let old = children(self.pid);
        signal(self.pid, Signal::USR2)?;
        wait_for("the new worker alone", || {
            let now = children(self.pid);
            (now.len() == 1 && !now.iter().any(|pid| old.contains(pid))).then_some(())
        })
        .await
    }

    async fn stop(mut self) -> Result<()> {
        signal(self.pid, Signal::TERM)?;
        self.master.wait().await.context("waiting for HAProxy")?;
        Ok(())
    }
}

/// It answers every request itself, and keeps connections for long.
fn configuration(dir: &Path, address: SocketAddr) -> String {
    let dir = dir.display();
    format!(
        "global
    stats socket {dir}/haproxy.sock level admin expose-fd listeners
    nbthread 2
defaults
    mode http
    timeout client 600s
    timeout http-keep-alive 600s
    timeout connect 5s
    timeout server 5s
frontend web
    bind {address} backlog 4096
    http-request return status 200 content-type text/plain lf-string \"generation %pid\"
"
    )
}
