//! A real bytomd on a home of its own, if there is one.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use baton_bench::node::Client;
use serde_json::{Value, json};

/// It is killed when this is dropped.
pub(crate) struct Bytomd {
    child: Child,
    pub(crate) api: SocketAddr,
}

impl Bytomd {
    /// Starts a solonet of the peer with a key and an account.
    pub(crate) async fn start(bytomd: &Path, home: &Path) -> Result<Self> {
        let run = |args: &[&str]| {
            let mut command = Command::new(bytomd);
            command
                .args(args)
                .arg("--home")
                .arg(home)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        let status = run(&["init", "--chain_id", "solonet"])
            .status()
            .with_context(|| format!("running {}", bytomd.display()))?;
        ensure!(status.success(), "{} init: {status}", bytomd.display());
        let free = || TcpListener::bind("127.0.0.1:0")?.local_addr();
        let (api, peers) = (free()?, free()?);
        let config = home.join("config.toml");
        let text = fs::read_to_string(&config)?;
        let mut lines = Vec::new();
        for line in text.lines() {
            lines.push(match line.split('=').next().map(str::trim) {
                Some("laddr") => format!("laddr = \"tcp://{peers}\""),
                _ => line.to_owned(),
            });
        }
        fs::write(&config, lines.join("\n"))?;
        let child = run(&["node", "--web.closed", "--p2p.skip_upnp"])
            .arg("--p2p.lan_discoverable=false")
            .env("LISTEN", api.to_string())
            .spawn()?;
        let peer = Self { child, api };
        let begun = Instant::now();
        let mut client = Client::new(api);
        while client.ask("net-info", &Value::Null).await.is_err() {
            ensure!(
                begun.elapsed() < Duration::from_secs(30),
                "bytomd is silent"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let key = client
            .ask(
                "create-key",
                &json!({ "alias": "miner", "password": "miner" }),
            )
            .await?;
        let account = json!({ "root_xpubs": [key["xpub"]], "quorum": 1, "alias": "miner" });
        client.ask("create-account", &account).await?;
        client
            .ask("set-mining", &json!({ "is_mining": true }))
            .await?;
        Ok(peer)
    }
}

impl Drop for Bytomd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
