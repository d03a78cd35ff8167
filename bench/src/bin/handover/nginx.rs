//! nginx, replaced the way its manual says: USR2 (the new binary starts beside the old), WINCH (the
//! old workers finish), QUIT (the old master ends).

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{children, free_port, is_gone, pid_in, signal, wait_for};
use super::server::Server;

const WORKERS: usize = 2;

pub(crate) struct Nginx {
    dir: TempDir,
    address: SocketAddr,
    version: String,
    master: u32,
}

impl Nginx {
    pub(crate) async fn start(binary: &Path) -> Result<Self> {
        let binary = binary.canonicalize()?;
        let dir = tempfile::Builder::new().prefix("bench-nginx-").tempdir()?;
        let address = free_port()?;
        let config = dir.path().join("nginx.conf");
        fs::write(&config, configuration(dir.path(), address))?;
        let version = Command::new(&binary)
            .arg("-v")
            .output()
            .context("asking nginx's version")?;
        let version = String::from_utf8_lossy(&version.stderr).trim().to_owned();
        let status = Command::new(&binary)
            .arg("-p")
            .arg(dir.path())
            .arg("-c")
            .arg(&config)
            .status()
            .with_context(|| format!("starting {}", binary.display()))?;
        ensure!(status.success(), "nginx: {status}");
        let pid = dir.path().join("nginx.pid");
        let master = wait_for("nginx's pid file", || pid_in(&pid)).await?;
        let nginx = Self {
            dir,
            address,
            version,
            master,
        };
        nginx.wait_for_workers(master).await?;
        Ok(nginx)
    }

    fn pid_file(&self) -> PathBuf {
        self.dir.path().join("nginx.pid")
    }

    async fn wait_for_workers(&self, master: u32) -> Result<()> {
        wait_for("nginx's workers", || {
            (children(master).len() >= WORKERS).then_some(())
        })
        .await
    }
}

impl Server for Nginx {
    const NAME: &str = "nginx";

    fn version(&self) -> String {
        self.version.clone()
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    async fn upgrade(&mut self) -> Result<()> {
        let (old, pid_file) = (self.master, self.pid_file());
        signal(old, Signal::USR2)?;
        let new = wait_for("the new binary's pid file", || {
            pid_in(&pid_file).filter(|pid| *pid != old)
        });
        let new = new.await?;
        self.wait_for_workers(new).await?;
        signal(old, Signal::WINCH)?;
        wait_for("the old workers' end", || {
            (children(old) == [new]).then_some(())
        })
        .await?;
        signal(old, Signal::QUIT)?;
        wait_for("the old master's end", || is_gone(old).then_some(())).await?;
        self.master = new;
        Ok(())
    }

    async fn stop(self) -> Result<()> {
        // After a failed upgrade there may be two.
        let old = self.dir.path().join("nginx.pid.oldbin");
        let masters = [Some(self.master), pid_in(&self.pid_file()), pid_in(&old)];
        for pid in masters.into_iter().flatten() {
            if !is_gone(pid) {
                signal(pid, Signal::TERM)?;
                wait_for("nginx's end", || is_gone(pid).then_some(())).await?;
            }
        }
        Ok(())
    }
}

/// It answers every request itself, with the pid of the worker, and keeps connections for long.
fn configuration(dir: &Path, address: SocketAddr) -> String {
    let dir = dir.display();
    format!(
        r#"user root;
worker_processes {WORKERS};
pid {dir}/nginx.pid;
error_log {dir}/error.log notice;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen {address} backlog=4096;
        location / {{
            default_type text/plain;
            return 200 "generation $pid\n";
        }}
    }}
}}
"#
    )
}
