//! `baton demo`: an upgrade before your eyes, with nothing but this executable.
//!
//! A practice node is set up in a temporary directory and run under the supervisor, as a separate
//! process and with its real files. Its chain reaches a plan whose binary is fetched from a web
//! server on loopback, with a checksum. What is shown are the supervisor's own events, as
//! `baton events --follow` gives them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use baton_supervisor::telling::{Client, Event, Record, status::Status, words};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sha2::{Digest, Sha256};

/// The block at which the practice chain upgrades.
const HEIGHT: u64 = 24;
const BLOCK_TIME: &str = "250ms";
/// How long the whole of it may take on a slow machine.
const LIMIT: Duration = Duration::from_mins(2);

/// What to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Keep the directory afterwards
    #[arg(long)]
    keep: bool,
}

/// Runs the demo; an error if the upgrade did not go as it should.
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let dir = tempfile::Builder::new()
        .prefix("baton-demo-")
        .tempdir()
        .context("making a temporary directory")?;
    let done = tokio::time::timeout(LIMIT, show(dir.path()))
        .await
        .unwrap_or_else(|_| bail!("the demo did not end within {} s", LIMIT.as_secs()));
    if args.keep || done.is_err() {
        let kept = dir.keep();
        println!(
            "\nKept: {} (the node's log is node.log in it)",
            kept.display()
        );
    }
    done
}

async fn show(dir: &Path) -> anyhow::Result<()> {
    let me = std::env::current_exe().context("finding this executable")?;
    let home = Home::new(dir, &me)?;
    let url = serve(home.new_binary.clone()).await?;
    home.init(&url)?;

    println!("A practice node, and a chain that upgrades at block {HEIGHT}\n");
    println!("  home  {}", home.path.display());
    println!(
        "  chain one block every {BLOCK_TIME}; its data is {} in 60 files",
        words::bytes(120 << 20)
    );
    println!("  plan  v2 at height {HEIGHT}; the binary is at {url}\n");

    let begun = Instant::now();
    let mut supervisor = Supervisor::start(&me, &home)?;
    let seen = follow(&home, &mut supervisor, begun).await?;
    let status = reach(&home, HEIGHT + 4).await?;
    supervisor.stop().await?;
    summary(&seen, &status)
}

/// The practice node's home and the binary of its next version.
struct Home {
    path: PathBuf,
    node: PathBuf,
    new_binary: PathBuf,
    log: PathBuf,
    /// Where the node's gRPC is to listen, which the supervisor asks for the chain's plan.
    grpc: String,
}

impl Home {
    fn new(dir: &Path, me: &Path) -> anyhow::Result<Self> {
        let path = dir.join("home");
        let node = path.join("cosmovisor/genesis/bin/mocknode");
        let new_binary = dir.join("mocknode-v2");
        fs::create_dir_all(path.join("cosmovisor/genesis/bin")).context("making the home")?;
        baton_mocknode::stamp(me, "v1", &node).context("making the node's binary")?;
        baton_mocknode::stamp(me, "v2", &new_binary).context("making the next binary")?;
        Ok(Self {
            path,
            node,
            new_binary,
            log: dir.join("node.log"),
            grpc: free_address()?,
        })
    }

    fn init(&self, url: &str) -> anyhow::Result<()> {
        let platform = baton_supervisor::fetch::os_arch();
        let info = serde_json::json!({ "binaries": { platform: url } });
        let output = Command::new(&self.node)
            .arg("init")
            .arg("--home")
            .arg(&self.path)
            .args(["--block-time", BLOCK_TIME, "--grpc", &self.grpc])
            .args(["--fill-files", "60", "--fill-size", "2MiB"])
            .args(["--plan", &format!("v2:{HEIGHT}:{info}")])
            .output()
            .context("running the practice node's `init`")?;
        ensure!(
            output.status.success(),
            "the practice node's `init` failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

/// An address on loopback that nobody uses.
fn free_address() -> anyhow::Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("looking for a free port")?;
    Ok(listener.local_addr()?.to_string())
}

/// Serves the file on loopback; returns its address with the checksum.
async fn serve(file: PathBuf) -> anyhow::Result<String> {
    let content = Bytes::from(tokio::fs::read(&file).await.context("reading the binary")?);
    let checksum = hex::encode(Sha256::digest(&content));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .context("listening on loopback")?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/mocknode-v2", get(async move || content));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!(
        "http://{address}/mocknode-v2?checksum=sha256:{checksum}"
    ))
}

/// The supervisor, as a process of its own.
struct Supervisor {
    child: Child,
    log: PathBuf,
}

impl Supervisor {
    fn start(me: &Path, home: &Home) -> anyhow::Result<Self> {
        let log = fs::File::create(&home.log).context("making the log")?;
        let mut command = Command::new(me);
        // What the operator has set for a real node does not concern this one.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["DAEMON_", "COSMOVISOR_", "BATON_", "UNSAFE_", "MOCKNODE_"]
                .iter()
                .any(|prefix| text.starts_with(prefix))
            {
                command.env_remove(&name);
            }
        }
        let child = command
            .args(["run", "start", "--home"])
            .arg(&home.path)
            .env("DAEMON_HOME", &home.path)
            .env("DAEMON_NAME", "mocknode")
            .env("DAEMON_ALLOW_DOWNLOAD_BINARIES", "true")
            .env("DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM", "true")
            .env("DAEMON_GRPC_ADDRESS", &home.grpc)
            .env("COSMOVISOR_COLOR_LOGS", "false")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("starting the supervisor")?;
        Ok(Self {
            child,
            log: home.log.clone(),
        })
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

    async fn stop(mut self) -> anyhow::Result<()> {
        let status = self.end().await?;
        ensure!(status.success(), "the supervisor ended with {status}");
        Ok(())
    }

    async fn end(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // TERM, so that it ends its node too; gone already in the ordinary case.
        if let (Ok(None), Some(pid)) = (
            self.child.try_wait(),
            rustix::process::Pid::from_raw(self.child.id().cast_signed()),
        ) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

/// Shows events as they happen, until the upgrade is confirmed.
async fn follow(
    home: &Home,
    supervisor: &mut Supervisor,
    begun: Instant,
) -> anyhow::Result<Vec<Record>> {
    let client = connect(home, supervisor).await?;
    let mut events = client.events(0, true).await?;
    let bar = ProgressBar::with_draw_target(Some(HEIGHT), ProgressDrawTarget::stderr());
    bar.set_style(
        ProgressStyle::with_template("  block {pos:>3} of {len} {bar:40}")
            .context("the bar's form")?,
    );
    let mut seen = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    loop {
        tokio::select! {
            record = events.next() => {
                let Some(record) = record? else {
                    supervisor.still_runs()?;
                    bail!("the supervisor told no more");
                };
                if let Some(line) = line(&record.event, begun.elapsed()) {
                    bar.suspend(|| println!("{line}"));
                }
                let over = matches!(record.event, Event::UpgradeConfirmed { .. });
                seen.push(record);
                if over {
                    bar.finish_and_clear();
                    return Ok(seen);
                }
            }
            _ = tick.tick() => {
                supervisor.still_runs()?;
                if let Some(at) = height(home).await {
                    bar.set_position(at.min(HEIGHT));
                }
            }
        }
    }
}

async fn connect(home: &Home, supervisor: &mut Supervisor) -> anyhow::Result<Client> {
    loop {
        match Client::connect(&home.path).await {
            Ok(client) => return Ok(client),
            Err(_) => supervisor.still_runs()?,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Where the chain is, by the node's own word.
async fn height(home: &Home) -> Option<u64> {
    let mut heights =
        baton_supervisor::heights::Heights::new(baton_supervisor::heights::Settings {
            home: home.path.clone(),
            rpc_address: None,
            grpc_address: String::new(),
            node_args: Vec::new(),
            control_dir: None,
        });
    heights.read_network().await.ok().map(|r| r.height)
}

async fn reach(home: &Home, target: u64) -> anyhow::Result<Status> {
    let client = Client::connect(&home.path).await?;
    while height(home).await.is_none_or(|at| at < target) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(client.status().await?)
}

fn line(event: &Event, at: Duration) -> Option<String> {
    let text = match event {
        Event::SupervisorStarted { .. } => "the supervisor runs".to_owned(),
        Event::NodeStarted { pid, release, .. } => format!("node started: {release}, pid {pid}"),
        Event::PrefetchStarted { .. } => {
            "the chain plans v2: fetching its binary ahead of the height".to_owned()
        }
        Event::PrefetchFinished {
            bytes,
            took,
            verified,
            ..
        } => format!(
            "binary in place: {} in {}, checksum {}",
            words::bytes(*bytes),
            words::span(*took),
            if *verified { "right" } else { "none" }
        ),
        Event::PlanSeen { name, height, .. } => {
            format!("the node wrote its plan: {name} at height {height}")
        }
        Event::UpgradeStarted { .. } => "the plan is due".to_owned(),
        Event::NodeStopping { pid, .. } => format!("SIGTERM to pid {pid}"),
        Event::NodeExited { ran_for, .. } => {
            format!("node ended, after {}", words::span(*ran_for))
        }
        Event::BackupMade {
            path,
            mode,
            bytes,
            files,
            took,
        } => format!(
            "backup {}: {} in {files} files by {mode} in {}",
            path.file_name().unwrap_or_default().display(),
            words::bytes(*bytes),
            words::span(*took)
        ),
        Event::UpgradeStep { step, .. } if step == "switch" => {
            "`current` points to upgrades/v2".to_owned()
        }
        Event::UpgradeConfirmed { height, .. } => {
            format!("upgrade confirmed: the chain went on after block {height}")
        }
        _ => return None,
    };
    Some(format!("  {:>6.2} s  {text}", at.as_secs_f64()))
}

fn summary(seen: &[Record], status: &Status) -> anyhow::Result<()> {
    let last = status
        .last_upgrade
        .as_ref()
        .context("the supervisor's status does not know the upgrade")?;
    ensure!(
        status.node.release.as_deref() == Some("upgrades/v2"),
        "the node runs {:?}, not v2",
        status.node.release
    );
    println!("\nSummary");
    for step in &last.steps {
        println!("  {:<20} {:>10}", step.step, words::span(step.took));
    }
    if let Some(ms) = last.pause_ms {
        println!(
            "  {:<20} {:>10}   from SIGTERM to the start of v2",
            "without a node",
            words::span(Duration::from_millis(ms))
        );
    }
    let backups = seen
        .iter()
        .filter(|r| matches!(r.event, Event::BackupMade { .. }))
        .count();
    println!(
        "\n  v2 runs at block {}, {backups} backup was made, nothing was lost.",
        status.node.height.unwrap_or(HEIGHT)
    );
    println!("  Next: docs/install.md, or `baton --help`.");
    Ok(())
}
