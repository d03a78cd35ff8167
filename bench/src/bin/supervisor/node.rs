//! The node that is supervised: it does what a node of a Cosmos chain does at an upgrade, and
//! notes when.
//!
//! It answers `/status` on loopback, at an address that `config/config.toml` tells; asked as a
//! command, `status` asks the running node, as a real one does. The release is told by where the
//! executable lies. With `BENCH_PLAN_AFTER_MS` the first release reaches its plan after that time:
//! it writes `upgrade-info.json` the way nodes do, and goes on answering.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};

use super::stamps;

/// What the executable is called when it is the node.
pub(crate) const NAME: &str = "benchnode";
/// The plan's height.
pub(crate) const HEIGHT: u64 = 100;
/// Where stamps go.
pub(crate) const STAMPS: &str = "BENCH_STAMPS";
/// When to reach the plan.
pub(crate) const PLAN_AFTER_MS: &str = "BENCH_PLAN_AFTER_MS";
/// How long the stop takes.
pub(crate) const STOP_MS: &str = "BENCH_STOP_MS";

/// How often the node looks whether its supervisor is still there.
const WATCH: Duration = Duration::from_millis(500);
/// How long a client of `/status` has, on both sides.
const CLIENT: Duration = Duration::from_secs(5);
/// A request of more bytes is none.
const MAX_REQUEST: usize = 8 << 10;

/// This process is the node.
pub(crate) fn is_me() -> bool {
    std::env::args_os()
        .next()
        .is_some_and(|arg| Path::new(&arg).file_name() == Some(NAME.as_ref()))
}

/// The node's main, entered at this time.
pub(crate) fn main(entered: u64) -> ExitCode {
    let node = match Node::of_process() {
        Ok(node) => node,
        Err(e) => {
            eprintln!("{NAME}: {e:#}");
            return ExitCode::from(2);
        }
    };
    let command = std::env::args().nth(1).unwrap_or_default();
    node.stamp_at(entered, &format!("main {command}"));
    let result = match command.as_str() {
        "start" => node.start(),
        "status" => node.status(),
        "version" => Ok(()),
        // Like most chains, it has no such command.
        "pre-upgrade" => {
            node.stamp("exit pre-upgrade");
            return ExitCode::from(1);
        }
        other => Err(anyhow::anyhow!("unknown command {other:?}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{NAME}: {e:#}");
            ExitCode::from(2)
        }
    }
}

struct Node {
    home: PathBuf,
    release: &'static str,
    stamps: PathBuf,
}

impl Node {
    fn of_process() -> Result<Self> {
        let exe = std::env::current_exe().context("finding this executable")?;
        let is_upgrade = exe.components().any(|part| part.as_os_str() == "upgrades");
        let var = |name| std::env::var_os(name).with_context(|| format!("{name} is not set"));
        Ok(Self {
            home: var("DAEMON_HOME")?.into(),
            release: if is_upgrade { "v2" } else { "v1" },
            stamps: var(STAMPS)?.into(),
        })
    }

    fn stamp(&self, what: &str) {
        self.stamp_at(stamps::now(), what);
    }

    fn stamp_at(&self, at: u64, what: &str) {
        if let Err(e) = stamps::append(&self.stamps, at, self.release, what) {
            eprintln!("{NAME}: writing {}: {e}", self.stamps.display());
        }
    }

    /// Runs until it is asked to stop.
    fn start(&self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(self.run())
    }

    async fn run(&self) -> Result<()> {
        let mut signals = Signals::listen()?;
        let height = Arc::new(AtomicU64::new(match self.release {
            "v2" => HEIGHT + 1,
            _ => HEIGHT - 1,
        }));
        let listener = self.listen().await?;
        tokio::spawn(serve(listener, height.clone()));
        self.stamp("ready");
        let supervisor = rustix::process::getppid();
        let plan = sleep(milliseconds(PLAN_AFTER_MS)?.unwrap_or_default());
        tokio::pin!(plan);
        let mut planned = self.release == "v2" || milliseconds(PLAN_AFTER_MS)?.is_none();
        loop {
            tokio::select! {
                (at, name) = signals.next() => {
                    self.stamp_at(at, &format!("signal {name}"));
                    sleep(milliseconds(STOP_MS)?.unwrap_or_default()).await;
                    self.stamp("exit start");
                    return Ok(());
                }
                () = &mut plan, if !planned => {
                    planned = true;
                    height.store(HEIGHT, Ordering::Relaxed);
                    let written = self.write_plan()?;
                    self.stamp_at(written, "plan");
                }
                () = sleep(WATCH) => {
                    if rustix::process::getppid() != supervisor {
                        bail!("the supervisor is gone");
                    }
                }
            }
        }
    }

    /// Writes the plan as Go's `os.WriteFile` does; returns when it was in the file.
    fn write_plan(&self) -> Result<u64> {
        let path = self.home.join("data/upgrade-info.json");
        let text = format!(r#"{{"name":"v2","height":{HEIGHT},"info":""}}"#);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        file.write_all(text.as_bytes())
            .with_context(|| format!("writing {}", path.display()))?;
        Ok(stamps::now())
    }

    /// Listens where the configuration says. Port 0 there becomes the port the system picked, so
    /// that the next process of the node has the same, as nodes do.
    async fn listen(&self) -> Result<TcpListener> {
        let config = self.config();
        let address = self.address()?;
        let listener = TcpListener::bind(&address)
            .await
            .with_context(|| format!("listening on {address}"))?;
        let actual = listener.local_addr()?.to_string();
        if actual != address {
            let fresh = config.with_extension("new");
            fs::write(&fresh, config_text(&actual))?;
            fs::rename(&fresh, &config)?;
        }
        Ok(listener)
    }

    /// The command `status`: what the running node says.
    fn status(&self) -> Result<()> {
        let mut stream = std::net::TcpStream::connect(self.address()?)?;
        stream.set_read_timeout(Some(CLIENT))?;
        stream
            .write_all(b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer
            .split_once("\r\n\r\n")
            .context("the running node gave no answer")?;
        let answer: serde_json::Value = serde_json::from_str(body)?;
        println!("{}", answer["result"]);
        Ok(())
    }

    fn config(&self) -> PathBuf {
        self.home.join("config/config.toml")
    }

    fn address(&self) -> Result<String> {
        let path = self.config();
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let address = text
            .split("tcp://")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        Ok(address.context("config.toml has no rpc.laddr")?.to_owned())
    }
}

/// The node's configuration, listening here.
pub(crate) fn config_text(address: &str) -> String {
    format!("[rpc]\nladdr = \"tcp://{address}\"\n")
}

fn milliseconds(name: &str) -> Result<Option<Duration>> {
    let Ok(text) = std::env::var(name) else {
        return Ok(None);
    };
    let number = text
        .parse()
        .with_context(|| format!("{name}={text} is no number of milliseconds"))?;
    Ok(Some(Duration::from_millis(number)))
}

/// The signals that ask a node to stop.
struct Signals {
    term: Signal,
    int: Signal,
    quit: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// When one arrived, and which.
    async fn next(&mut self) -> (u64, &'static str) {
        let name = tokio::select! {
            _ = self.term.recv() => "TERM",
            _ = self.int.recv() => "INT",
            _ = self.quit.recv() => "QUIT",
        };
        (stamps::now(), name)
    }
}

/// Answers every request with the status.
async fn serve(listener: TcpListener, height: Arc<AtomicU64>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let height = height.clone();
        tokio::spawn(async move {
            // A client that goes away is no concern of the node's.
            let _ = timeout(CLIENT, answer(stream, &height)).await;
        });
    }
}

async fn answer(mut stream: TcpStream, height: &AtomicU64) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if request.len() > MAX_REQUEST || stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let height = height.load(Ordering::Relaxed);
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":-1,"result":{{"node_info":{{"network":"bench"}},"sync_info":{{"latest_block_height":"{height}","catching_up":false}}}}}}"#
    );
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    stream.shutdown().await
}
