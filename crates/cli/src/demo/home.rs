//! The home of the demo's node, and both versions of its binary: copies of this executable, which is `batond` if it is called so.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, bail, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::coins::Purse;
use super::load::COINS;

/// The practice chain's blocks, in ms: an operator has seconds for what here has to fit into a demo.
const BLOCK_MS: u64 = 500;

/// The name of the node's binary.
pub(crate) const NAME: &str = "batond";

/// The next version, and with it the plan that its binary can do.
pub(super) const NEXT: &str = "v2";

pub(super) struct Home {
    pub(super) path: PathBuf,
    /// The first version.
    node: PathBuf,
    /// The next one, where nobody looks for it: it is to be fetched.
    new_binary: PathBuf,
    /// What supervisor and node print.
    pub(super) log: PathBuf,
    /// Where the node's API is.
    pub(super) api: SocketAddr,
    /// Where the supervisor reads heights.
    pub(super) rpc: SocketAddr,
}

impl Home {
    /// Makes it: a chain of one validator, whose genesis gives coins to the purse.
    pub(super) fn new(dir: &Path, purse: &Purse) -> anyhow::Result<Self> {
        let me = std::env::current_exe().context("finding this executable")?;
        let path = dir.join("home");
        let node = path.join("cosmovisor/genesis/bin").join(NAME);
        let new_binary = dir.join(format!("{NAME}-{NEXT}"));
        let bin = node.parent().expect("it was joined above");
        // There are keys in it.
        let mut private = fs::DirBuilder::new();
        private.mode(0o700).recursive(true);
        private.create(bin).context("making the home")?;
        // Both are held until both are known, so that they differ.
        let (api, rpc) = (free_port()?, free_port()?);
        let home = Self {
            api: api.local_addr()?,
            rpc: rpc.local_addr()?,
            log: dir.join("node.log"),
            path,
            node,
            new_binary,
        };
        baton_mocknode::stamp(&me, "v1", &home.node).context("making the node's binary")?;
        baton_mocknode::stamp(&me, NEXT, &home.new_binary).context("making the next binary")?;
        home.batond(&["init", "--chain_id", "solonet"])?;
        home.change_genesis(purse)?;
        Ok(home)
    }

    fn change_genesis(&self, purse: &Purse) -> anyhow::Result<()> {
        let path = self.path.join("genesis.json");
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let mut genesis: Value = serde_json::from_slice(&text)?;
        genesis["params"]["block_interval_ms"] = BLOCK_MS.into();
        let outputs = genesis["outputs"].as_array_mut();
        let outputs = outputs.context("the genesis has no outputs")?;
        outputs.extend(purse.outputs(COINS));
        // It is that of what stood there before.
        genesis
            .as_object_mut()
            .and_then(|genesis| genesis.remove("block_hash"));
        let text = serde_json::to_vec_pretty(&genesis)?;
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// Runs one of the node's commands; what it prints.
    pub(super) fn batond(&self, args: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.node);
        without_settings(&mut command);
        let Output {
            status,
            stdout,
            stderr,
        } = command
            .args(args)
            .arg("--home")
            .arg(&self.path)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("running `{NAME} {}`", args.join(" ")))?;
        let errors = String::from_utf8_lossy(&stderr);
        ensure!(
            status.success(),
            "`{NAME} {}` failed: {}",
            args.join(" "),
            errors.trim()
        );
        Ok(String::from_utf8_lossy(&stdout).trim().to_owned())
    }

    /// Serves the next binary on loopback; the address, with the checksum.
    pub(super) async fn serve(&self) -> anyhow::Result<String> {
        let read = tokio::fs::read(&self.new_binary).await;
        let content = Bytes::from(read.context("reading the next binary")?);
        let checksum = hex::encode(Sha256::digest(&content));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .context("listening on loopback")?;
        let address = listener.local_addr()?;
        let path = format!("/{NAME}-{NEXT}");
        let router = Router::new().route(&path, get(async move || content));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(format!("http://{address}{path}?checksum=sha256:{checksum}"))
    }

    /// Puts the next version on the chain, to be run from this height on and to be had at this address.
    pub(super) fn schedule(&self, height: u64, url: &str) -> anyhow::Result<()> {
        let info = serde_json::json!({ "binaries": { baton_supervisor::fetch::os_arch(): url } });
        let (height, info) = (height.to_string(), info.to_string());
        let said = self.batond(&[
            "upgrade", "schedule", NEXT, "--height", &height, "--info", &info,
        ])?;
        if !said.contains("tx_id") {
            bail!("`{NAME} upgrade schedule` says {said}");
        }
        Ok(())
    }
}

/// What the operator has set for a real node does not concern this one.
pub(super) fn without_settings(command: &mut Command) {
    const PREFIXES: [&str; 8] = [
        "DAEMON_",
        "COSMOVISOR_",
        "BATON_",
        "BATOND_",
        "UNSAFE_",
        "TM_",
        "LISTEN",
        "NOTIFY_",
    ];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
}

fn free_port() -> anyhow::Result<TcpListener> {
    TcpListener::bind("127.0.0.1:0").context("looking for a free port")
}
