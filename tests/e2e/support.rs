//! Homes, and supervisors run on them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// How long anything that should happen may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) const COSMOVISOR: &str = env!("CARGO_BIN_EXE_cosmovisor");
pub(crate) const BATON: &str = env!("CARGO_BIN_EXE_baton");

/// A node's home in a temporary directory.
pub(crate) struct Home {
    dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl Home {
    /// A home for the node called `name`, with `cosmovisor/` and `data/`, without backups.
    pub(crate) fn new(name: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir_all(dir.path().join("cosmovisor/upgrades")).unwrap();
        fs::create_dir_all(dir.path().join("data")).unwrap();
        let env = [
            ("DAEMON_HOME", dir.path().to_str().unwrap()),
            ("DAEMON_NAME", name),
            ("UNSAFE_SKIP_BACKUP", "true"),
            ("DAEMON_POLL_INTERVAL", "20ms"),
            ("COSMOVISOR_DISABLE_LOGS", "true"),
            // No test may find a node that happens to run on this machine.
            ("BATON_RPC_ADDRESS", "http://127.0.0.1:1"),
            ("DAEMON_GRPC_ADDRESS", "127.0.0.1:1"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .to_vec();
        Self { dir, env }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.path().join("cosmovisor")
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    pub(crate) fn plan_file(&self) -> PathBuf {
        self.at("data/upgrade-info.json")
    }

    pub(crate) fn set(&mut self, key: &str, value: &str) -> &mut Self {
        self.env.retain(|(k, _)| k != key);
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn unset(&mut self, key: &str) -> &mut Self {
        self.env.retain(|(k, _)| k != key);
        self
    }

    /// Puts a shell script into a release, such as `genesis` or `upgrades/chain2`.
    pub(crate) fn script(&self, release: &str, text: &str) -> PathBuf {
        let name = self.var("DAEMON_NAME");
        let path = self.root().join(release).join("bin").join(name);
        write_script(&path, text);
        path
    }

    fn var(&self, key: &str) -> String {
        self.env
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.clone())
            .unwrap_or_default()
    }

    /// The command line, with this home's environment and no other.
    pub(crate) fn command(&self, executable: &str, args: &[&str]) -> Command {
        let mut command = Command::new(executable);
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .envs(self.env.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null());
        command
    }

    /// Runs to the end, within patience.
    pub(crate) fn run(&self, executable: &str, args: &[&str]) -> Output {
        self.spawn(executable, args).end()
    }

    pub(crate) fn cosmovisor(&self, args: &[&str]) -> Output {
        self.run(COSMOVISOR, args)
    }

    pub(crate) fn baton(&self, args: &[&str]) -> Output {
        self.run(BATON, args)
    }

    /// Starts, with the streams in files.
    pub(crate) fn spawn(&self, executable: &str, args: &[&str]) -> Running {
        let out = tempfile::NamedTempFile::new().unwrap();
        let err = tempfile::NamedTempFile::new().unwrap();
        let child = self
            .command(executable, args)
            .stdout(out.reopen().unwrap())
            .stderr(err.reopen().unwrap())
            .spawn()
            .unwrap();
        Running { child, out, err }
    }

    /// What `current` points to, as it is written there.
    pub(crate) fn current(&self) -> String {
        fs::read_link(self.root().join("current"))
            .map(|target| target.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// The upgrade's journal, once there is one.
    pub(crate) fn journal(&self) -> Option<serde_json::Value> {
        let text = fs::read(self.root().join(".baton/upgrade.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    pub(crate) fn journal_stage(&self) -> String {
        self.journal()
            .and_then(|j| j["stage"].as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    /// The backups' names, sorted.
    pub(crate) fn backups(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path())
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.contains("data-backup-"))
            .collect();
        names.sort();
        names
    }
}

pub(crate) fn write_script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // Written aside and renamed: a script that is open for writing cannot be executed.
    let fresh = path.with_extension("fresh");
    fs::write(&fresh, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(&fresh, path).unwrap();
}

/// A started process of ours.
pub(crate) struct Running {
    child: Child,
    out: tempfile::NamedTempFile,
    err: tempfile::NamedTempFile,
}

impl Running {
    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.out.path()).unwrap()).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.err.path()).unwrap()).into_owned()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until stdout contains the text.
    pub(crate) fn wait_for_stdout(&mut self, text: &str) {
        self.wait_until(&format!("{text:?} on stdout"), |running| {
            running.stdout().contains(text)
        });
    }

    /// Waits until the condition holds; with what was printed if it never does.
    pub(crate) fn wait_until(&mut self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            let ended = self.child.try_wait().unwrap();
            assert!(
                !(Instant::now() > deadline || (ended.is_some() && !condition(self))),
                "waiting for {what}; {}\nstdout:\n{}\nstderr:\n{}",
                ended.map_or_else(|| "still running".to_owned(), |e| e.to_string()),
                self.stdout(),
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Output {
        let status = self.wait();
        Output {
            status,
            stdout: fs::read(self.out.path()).unwrap(),
            stderr: fs::read(self.err.path()).unwrap(),
        }
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "it does not end\nstdout:\n{}\nstderr:\n{}",
                self.stdout(),
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(self) -> Output {
        self.signal(rustix::process::Signal::TERM);
        self.end()
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            // A failed test leaves nothing running: TERM lets the supervisor end its node.
            let pid = rustix::process::Pid::from_raw(self.pid()).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let deadline = Instant::now() + Duration::from_secs(5);
            while Instant::now() < deadline && self.child.try_wait().ok().flatten().is_none() {
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Output as text, for assertions.
pub(crate) trait Text {
    fn out(&self) -> String;
    fn err(&self) -> String;
    fn code(&self) -> Option<i32>;
}

impl Text for Output {
    fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
    fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
    fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

/// Waits until the condition holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waiting for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process with this number runs (zombies do not).
pub(crate) fn runs(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('Z'))
    })
}
