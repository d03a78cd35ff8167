//! A home of `batond`, and the daemon that runs on it.

use std::ffi::OsStr;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use baton_ledger::{Block, Mapped};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::client::Client;

/// How long the daemon may take to start or to stop.
const LIMIT: Duration = Duration::from_mins(1);
/// How often it is looked whether it answers.
const LOOK: Duration = Duration::from_millis(5);

/// How a home is made.
#[derive(Debug, Clone, Default)]
pub struct HomeOptions {
    /// What the genesis gives, before what a solonet's gives to the node's key: the `outputs` of a `genesis.json`.
    pub outputs: Vec<Value>,
    /// Parameters of the `genesis.json` that are other than a solonet's.
    pub params: Vec<(&'static str, Value)>,
}

/// The home of a node.
#[derive(Debug, Clone)]
pub struct Home {
    batond: PathBuf,
    path: PathBuf,
    /// Where its API is.
    pub api: SocketAddr,
    /// Where its peers connect to.
    pub peers: SocketAddr,
    /// A command that is given the daemon's command line to run, such as `ip netns exec somewhere`.
    pub through: Vec<String>,
    /// What the daemon is told at every start besides.
    pub flags: Vec<String>,
}

/// A daemon that runs; it is killed when this is dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    /// Where its API is.
    pub api: SocketAddr,
}

impl Home {
    /// Makes the home of a solonet with `batond init`.
    pub fn solonet(batond: &Path, path: &Path, options: &HomeOptions) -> Result<Self> {
        let status = Command::new(batond)
            .args(["init", "--chain_id", "solonet", "--home"])
            .arg(path)
            .stderr(Stdio::null())
            .status()
            .with_context(|| format!("running {}", batond.display()))?;
        ensure!(status.success(), "{} init: {status}", batond.display());
        let home = Self::at(batond, path)?;
        home.change_genesis(options)?;
        Ok(home)
    }

    /// A home that is there, at addresses on loopback that nobody has now.
    pub fn at(batond: &Path, path: &Path) -> Result<Self> {
        // both are held until both are known, so that they differ
        let (api, peers) = (free_port()?, free_port()?);
        Ok(Self {
            batond: batond.to_owned(),
            path: path.to_owned(),
            api: api.local_addr()?,
            peers: peers.local_addr()?,
            through: Vec::new(),
            flags: Vec::new(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn change_genesis(&self, options: &HomeOptions) -> Result<()> {
        let path = self.path.join("genesis.json");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("reading what init wrote to {}", path.display()))?;
        let mut genesis: Value = serde_json::from_str(&text)?;
        if !options.outputs.is_empty() {
            let given = genesis["outputs"].as_array().cloned().unwrap_or_default();
            genesis["outputs"] = [options.outputs.clone(), given].concat().into();
        }
        for (name, value) in &options.params {
            genesis["params"][*name] = value.clone();
        }
        if let Some(genesis) = genesis.as_object_mut() {
            genesis.remove("block_hash");
        }
        fs::write(&path, serde_json::to_vec(&genesis)?)?;
        Ok(())
    }

    /// What another command of `batond` says about the home.
    pub fn ask(&self, command: &str) -> Result<String> {
        let output = Command::new(&self.batond)
            .args([command, "--home"])
            .arg(&self.path)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("running {}", self.batond.display()))?;
        let said = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&said).into_owned())
    }

    /// Starts the daemon and waits until it is ready.
    pub async fn start(&self, more: &[&str]) -> Result<Daemon> {
        let mut daemon = self.spawn(more)?;
        daemon.ready().await?;
        Ok(daemon)
    }

    /// Starts the daemon.
    pub fn spawn(&self, more: &[&str]) -> Result<Daemon> {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path.join("console"))?;
        let through = self.through.iter().map(OsStr::new);
        let mut line: Vec<&OsStr> = through.chain([self.batond.as_os_str()]).collect();
        let mut command = Command::new(line.remove(0));
        let child = command
            .args(line)
            .args(["node", "--web.closed", "--p2p.skip_upnp"])
            .arg("--p2p.lan_discoverable=false")
            .arg(format!("--p2p.laddr=tcp://{}", self.peers))
            .arg("--home")
            .arg(&self.path)
            .args(&self.flags)
            .args(more)
            .env("LISTEN", self.api.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", self.batond.display()))?;
        Ok(Daemon {
            child,
            api: self.api,
        })
    }
}

impl Daemon {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether its process has ended, as one does that has handed over.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        Client::new(self.api)
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&mut self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let patience = Duration::from_secs(2);
            if crate::load::get(self.api, "/readyz", patience)
                .await
                .is_ok()
            {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the daemon ended before it was ready: {status}");
            }
            ensure!(begun.elapsed() < LIMIT, "not ready within {LIMIT:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Makes a key and an account to be rewarded, and lets the node make blocks.
    pub async fn mine(&self) -> Result<()> {
        let mut client = self.client();
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
        self.wait_height(1).await
    }

    /// How high the chain is.
    pub async fn height(&self) -> Result<u64> {
        height_of(&mut self.client()).await
    }

    /// Waits until the chain has this height.
    pub async fn wait_height(&self, height: u64) -> Result<()> {
        let mut client = self.client();
        let begun = Instant::now();
        loop {
            let now = height_of(&mut client).await?;
            if now >= height {
                return Ok(());
            }
            ensure!(
                begun.elapsed() < LIMIT,
                "height {now} after {LIMIT:?}, not {height}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The block at a height.
    pub async fn block(&self, height: u64) -> Result<Block> {
        let mut client = self.client();
        let answer = client
            .ask("get-raw-block", &json!({ "block_height": height }))
            .await?;
        let text = answer["raw_block"].as_str().context("no raw_block")?;
        Ok(Block::decode(&hex::decode(text)?)?)
    }

    /// The first transaction of the genesis, which holds what it gives.
    pub async fn genesis(&self) -> Result<Mapped> {
        let block = self.block(0).await?;
        let first = block.transactions.into_iter().next();
        Ok(Mapped::from(
            first.context("a genesis without transactions")?,
        ))
    }

    /// Resident memory, in bytes.
    pub fn resident(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid());
        let status = fs::read_to_string(&path).with_context(|| path.clone())?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.context("no VmRSS")?.parse::<u64>()? * 1024)
    }

    /// `kill -9`.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop, and waits.
    pub fn stop(mut self) -> Result<ExitStatus> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("a pid")?, Signal::TERM)?;
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(begun.elapsed() < LIMIT, "did not stop within {LIMIT:?}");
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How high the chain is.
async fn height_of(client: &mut Client) -> Result<u64> {
    let answer = client.ask("get-block-count", &Value::Null).await?;
    answer["block_count"].as_u64().context("no block_count")
}

/// A port on loopback that nobody has now.
fn free_port() -> Result<TcpListener> {
    Ok(TcpListener::bind("127.0.0.1:0")?)
}
