//! A mocknode in a temporary home, started and watched.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// No event in these tests takes longer, on the slowest machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `probe` has an answer.
pub(crate) fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(
            start.elapsed() < DEADLINE,
            "waited {DEADLINE:?} in vain: {what}"
        );
        thread::sleep(Duration::from_millis(5));
    }
}

/// A home with the executables of several versions.
pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    /// A fresh home whose `[mock]` settings are `settings`.
    pub(crate) fn new(settings: &str) -> Self {
        let home = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let done = home.command("genesis").arg("init").output().unwrap();
        assert!(done.status.success(), "{done:?}");
        home.set(settings);
        home
    }

    /// Replaces the `[mock]` settings.
    pub(crate) fn set(&self, settings: &str) {
        let ports = "rpc = '127.0.0.1:0'\ngrpc = '127.0.0.1:0'\n";
        let blocks = if settings.contains("block-time") {
            ""
        } else {
            "block-time = '20ms'\n"
        };
        let text = format!("[mock]\n{ports}{blocks}{settings}\n");
        fs::write(self.path("config/app.toml"), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The executable of `version`. It is made by another process, so that no child forked here
    /// can hold it open for writing.
    pub(crate) fn binary(&self, version: &str) -> PathBuf {
        let plain = PathBuf::from(env!("CARGO_BIN_EXE_mocknode"));
        if version == "genesis" {
            return plain;
        }
        let out = self.path(&format!("bin-{version}"));
        if !out.exists() {
            let status = Command::new(plain)
                .arg("stamp")
                .arg(version)
                .arg(&out)
                .status();
            assert!(status.unwrap().success());
        }
        out
    }

    pub(crate) fn command(&self, version: &str) -> Command {
        let mut command = Command::new(self.binary(version));
        command
            .arg("--home")
            .arg(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, version: &str, args: &[&str]) -> Output {
        self.command(version).args(args).output().unwrap()
    }

    /// Starts the node.
    pub(crate) fn start(&self, version: &str, args: &[&str]) -> Node<'_> {
        self.start_beside(version, args, "")
    }

    /// Starts a node beside another one, with its output in files of its own.
    pub(crate) fn start_beside(&self, version: &str, args: &[&str], suffix: &str) -> Node<'_> {
        let (log, errors) = (format!("stdout{suffix}"), format!("stderr{suffix}"));
        let out = fs::File::create(self.path(&log)).unwrap();
        let err = fs::File::create(self.path(&errors)).unwrap();
        let mut command = self.command(version);
        command.arg("start").args(args).stdout(out).stderr(err);
        Node {
            home: self,
            child: command.spawn().unwrap(),
            log,
            errors,
        }
    }

    /// What `mocknode-events.jsonl` tells of `event`.
    pub(crate) fn events(&self, event: &str) -> Vec<Value> {
        let text = self.read("mocknode-events.jsonl");
        let all = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        all.filter(|entry| entry["event"] == event).collect()
    }

    pub(crate) fn plan_file(&self) -> String {
        self.read("data/upgrade-info.json")
    }

    /// The height that `status` prints, if the node answers.
    pub(crate) fn status_height(&self) -> Option<u64> {
        let output = self.run("genesis", &["status"]);
        let status: Value = serde_json::from_slice(&output.stdout).ok()?;
        status["sync_info"]["latest_block_height"]
            .as_str()?
            .parse()
            .ok()
    }
}

/// A started node, killed when dropped.
pub(crate) struct Node<'a> {
    home: &'a Home,
    child: Child,
    log: String,
    errors: String,
}

impl Node<'_> {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for `text` on its standard output.
    pub(crate) fn says(&self, text: &str) {
        until(text, || {
            self.home.read(&self.log).contains(text).then_some(())
        });
    }

    /// Waits until it has committed `height` or a later one.
    pub(crate) fn reaches(&self, height: u64) {
        until(&format!("height {height}"), || {
            let out = self.home.read(&self.log);
            let committed = out.split("committed state height=").skip(1);
            let heights = committed.filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok());
            (heights.max() >= Some(height)).then_some(())
        });
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end: the exit status and what it said on standard error.
    pub(crate) fn ends(&mut self) -> (ExitStatus, String) {
        let status = until("the node's end", || self.child.try_wait().unwrap());
        (status, self.home.read(&self.errors))
    }

    /// Waits for its end with `code`; what it said on standard error.
    pub(crate) fn ends_with(&mut self, code: i32) -> String {
        let (status, stderr) = self.ends();
        assert_eq!(
            status.code(),
            Some(code),
            "signal {:?}, {stderr}",
            status.signal()
        );
        stderr
    }

    /// Stops it with TERM.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        self.ends_with(0);
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The files below `dir`.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
