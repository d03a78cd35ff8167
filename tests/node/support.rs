//! Homes, and nodes that run on them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub(crate) const BATOND: &str = env!("CARGO_BIN_EXE_batond");

/// How long anything that should happen may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A node's home in a temporary directory.
pub(crate) struct Home {
    dir: tempfile::TempDir,
    /// Where below it.
    name: String,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: Option<i32>,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code(),
        }
    }
}

impl Home {
    /// A directory in which there is nothing yet.
    pub(crate) fn empty() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            name: "home".to_owned(),
        }
    }

    /// A solonet's, whose path alone is longer than the address of a socket has room for.
    pub(crate) fn deep() -> Self {
        let mut home = Self::empty();
        home.name = ["d".repeat(100), "e".repeat(100)].join("/");
        fs::create_dir_all(home.path().parent().unwrap()).unwrap();
        home.initialised()
    }

    /// A solonet's.
    pub(crate) fn solonet() -> Self {
        Self::empty().initialised()
    }

    fn initialised(self) -> Self {
        let said = self.batond(&["init"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        self
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join(&self.name)
    }

    pub(crate) fn at(&self, below: &str) -> PathBuf {
        self.path().join(below)
    }

    /// A command on the home, in an environment of its own.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        command(&self.path(), args)
    }

    pub(crate) fn batond(&self, args: &[&str]) -> Said {
        self.command(args).output().unwrap().into()
    }

    /// Makes a namespace, whose port for peers the kernel picks too.
    pub(crate) fn namespace(&self, name: &str) {
        let laddr = "--p2p.laddr=tcp://127.0.0.1:0";
        let said = self.batond(&["namespace", "create", name, laddr]);
        assert_eq!(said.code, Some(0), "{said:?}");
    }

    /// Starts the node, on ports that the kernel picks.
    pub(crate) fn start(&self, args: &[&str]) -> Node {
        Node::start(&self.path(), args)
    }

    /// All log lines.
    pub(crate) fn log(&self) -> String {
        log(&self.at("log"))
    }
}

/// The lines of a log that tell of trouble.
pub(crate) fn troubles(log: &str) -> Vec<&str> {
    let levels = ["level=warning", "level=error", "level=fatal"];
    let tells = |line: &&str| levels.iter().any(|level| line.contains(level));
    log.lines().filter(tells).collect()
}

/// All lines in a directory of log files.
pub(crate) fn log(directory: &Path) -> String {
    let files = fs::read_dir(directory).into_iter().flatten();
    files
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect()
}

pub(crate) fn command(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(BATOND);
    command
        .args(args)
        .arg("--home")
        .arg(home)
        .env_clear()
        .env("HOME", home)
        .stdin(Stdio::null());
    command
}

/// A node that runs; killed when it is dropped.
pub(crate) struct Node {
    child: Child,
    pub(crate) home: PathBuf,
}

impl Node {
    pub(crate) fn start(home: &Path, args: &[&str]) -> Self {
        let mut all = vec![
            "node",
            "--api_addr=127.0.0.1:0",
            "--p2p.laddr=tcp://127.0.0.1:0",
            "--p2p.skip_upnp",
            "--p2p.lan_discoverable=false",
        ];
        all.extend(args);
        Self::spawn(home, command(home, &all))
    }

    /// Starts what the command says, and waits until it is ready.
    pub(crate) fn spawn(home: &Path, mut command: Command) -> Self {
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut node = Self {
            child,
            home: home.to_owned(),
        };
        let since = Instant::now();
        while node.try_status().is_none() {
            if let Some(status) = node.child.try_wait().unwrap() {
                let said = node.rest();
                panic!("the node ended with {status}: {said:?}");
            }
            assert!(
                since.elapsed() < PATIENCE,
                "the node does not start: {}",
                log(&home.join("log"))
            );
            pause();
        }
        node
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn try_status(&self) -> Option<Value> {
        let output = command(&self.home, &["status"]).output().unwrap();
        output
            .status
            .success()
            .then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    pub(crate) fn status(&self) -> Value {
        self.try_status().expect("the node runs")
    }

    pub(crate) fn height(&self) -> u64 {
        let status = self.status();
        status["baton"]["global"]["blocks"]["height"]
            .as_u64()
            .unwrap()
    }

    /// Waits until its chain is so high.
    pub(crate) fn reach(&self, height: u64) {
        wait(&format!("height {height}"), || self.height() >= height);
    }

    /// Where the API listens.
    pub(crate) fn api(&self) -> String {
        self.status()["baton"]["api"].as_str().unwrap().to_owned()
    }

    /// Asks the API; the whole answer.
    pub(crate) fn ask(&self, path: &str, body: &str) -> Value {
        let (code, text) = http(&self.api(), path, body);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{code} {text}: {error}"))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until it has ended.
    pub(crate) fn ended(mut self) -> Said {
        let since = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                since.elapsed() < PATIENCE,
                "the node does not end: {}",
                log(&self.home.join("log"))
            );
            pause();
        };
        let (out, err) = self.rest();
        Said {
            out,
            err,
            code: status.code(),
        }
    }

    fn rest(&mut self) -> (String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut out)
            .unwrap();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut err)
            .unwrap();
        (out, err)
    }

    /// Stops it, and says how that went.
    pub(crate) fn stop(self) -> Said {
        self.signal(rustix::process::Signal::TERM);
        self.ended()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // after a handover another process is the node
        let holder = fs::read_to_string(self.home.join("LOCK")).unwrap_or_default();
        let holder = holder.trim().parse().ok();
        if let Some(pid) = holder.and_then(rustix::process::Pid::from_raw)
            && fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()))
                .is_ok_and(|line| contains(&line, self.home.as_os_str().as_encoded_bytes()))
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|window| window == part)
}

/// Posts to a server and reads until it closes; the status and the body.
pub(crate) fn http(address: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (code.unwrap(), body.to_owned())
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "waited too long for {what}");
        pause();
    }
}

/// Before something is looked at again.
fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}
