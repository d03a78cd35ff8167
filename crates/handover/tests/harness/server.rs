//! A server under test, in all its generations.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use baton_handover::control::{self, ControlError, Generation, UpgradeRequest};
use baton_handover::report::Report;
use rustix::process::{Signal, kill_process_group};
use tempfile::TempDir;
use tokio::net::TcpSocket;

use super::{PATIENCE, process, until};

/// What a generation says once it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its process.
    pub pid: u32,
    /// Its number.
    pub generation: u64,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Said {
    /// Reads `name: pid P generation G listens on A`.
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [
            _,
            "pid",
            pid,
            "generation",
            generation,
            "listens",
            "on",
            address,
        ] = words[..]
        else {
            return None;
        };
        Some(Self {
            pid: pid.parse().ok()?,
            generation: generation.parse().ok()?,
            address: address.parse().ok()?,
        })
    }
}

/// How a server is to be started.
pub struct Started {
    example: String,
    options: Vec<String>,
    variables: Vec<(String, String)>,
    under: Vec<String>,
}

impl Started {
    /// Gives an option and its value.
    pub fn option(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.options
            .extend([format!("--{name}"), value.to_string()]);
        self
    }

    /// Sets a variable; successors inherit it.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a fault point; successors inherit it.
    pub fn fault(mut self, point: &str, action: &str) -> Self {
        let fault = format!("{point}={action}");
        let all = self.variables.iter_mut().find(|(name, _)| name == FAULTS);
        match all {
            Some((_, faults)) => *faults = format!("{faults};{fault}"),
            None => self.variables.push((FAULTS.to_owned(), fault)),
        }
        self
    }

    /// Has another program start it: the words of that one, which come before this one's.
    pub fn under(mut self, words: &[&str]) -> Self {
        self.under = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Starts it and waits until it serves.
    pub async fn start(self) -> Server {
        let under = self.under.clone();
        let variables = self.variables.clone();
        let mut server = self.prepare();
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        if let Some((first, rest)) = under.split_first() {
            let home = server.home().display().to_string();
            let mut command = Command::new(first);
            command
                .args(rest.iter().map(|word| word.replace("HOME", &home)))
                .arg(&server.program)
                .args(&server.arguments);
            server.launch_command(command, &variables);
        } else {
            server.launch(&variables);
        }
        server.said(1).await;
        server
    }

    /// Everything but the start.
    pub fn prepare(self) -> Server {
        let home = tempfile::Builder::new()
            .prefix("handover-")
            .tempdir()
            .expect("a directory");
        let program = example(&self.example);
        let (reserved, address) = reserve();
        let mut arguments = vec![
            "--listen".to_owned(),
            address.to_string(),
            "--control-dir".to_owned(),
            home.path().join("control").display().to_string(),
        ];
        for option in self.options {
            // A test may put files of its own beside the control directory.
            arguments.push(option.replace("HOME", &home.path().display().to_string()));
        }
        Server {
            program,
            arguments,
            children: Vec::new(),
            groups: Vec::new(),
            home,
            _reserved: reserved,
        }
    }
}

/// A little less than all patience.
const MOMENT: Duration = Duration::from_millis(500);

/// The variable in which fault points are named.
pub const FAULTS: &str = "FAILPOINTS";

/// A server in all its generations. Whatever was started is ended when it is dropped.
pub struct Server {
    program: PathBuf,
    arguments: Vec<String>,
    /// Those that the test itself has started; all are in the process group of the first.
    children: Vec<Child>,
    /// The process groups; a second one if everybody of the first was waited for.
    groups: Vec<u32>,
    home: TempDir,
    _reserved: TcpSocket,
}

impl Server {
    /// The example of that name.
    pub fn example(name: &str) -> Started {
        Started {
            example: name.to_owned(),
            options: Vec::new(),
            variables: Vec::new(),
            under: Vec::new(),
        }
    }

    /// Starts one more process, independently, with the same arguments: it joins, if somebody serves. Returns its pid.
    pub fn launch(&mut self, variables: &[(&str, &str)]) -> u32 {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        self.launch_command(command, variables)
    }

    /// Starts any process as a member of this server's group, its output in this server's files.
    pub fn launch_command(&mut self, command: Command, variables: &[(&str, &str)]) -> u32 {
        let output = self.append("said").into();
        self.launch_with(command, variables, Stdio::null(), output)
    }

    /// As [`launch_command`](Self::launch_command), with streams of the test's own.
    pub fn launch_with(
        &mut self,
        mut command: Command,
        variables: &[(&str, &str)],
        input: Stdio,
        output: Stdio,
    ) -> u32 {
        // A group lives as long as its first process is not waited for.
        let group = self
            .groups
            .last()
            .copied()
            .filter(|leader| Path::new(&format!("/proc/{leader}")).exists());
        let child = command
            .env_remove(FAULTS)
            .env_remove("NOTIFY_SOCKET")
            .envs(variables.iter().copied())
            .stdin(input)
            .stdout(output)
            .stderr(self.append("log"))
            .process_group(i32::try_from(group.unwrap_or(0)).expect("a process number"))
            .spawn()
            .unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        let pid = child.id();
        if group.is_none() {
            self.groups.push(pid);
        }
        self.children.push(child);
        pid
    }

    fn append(&self, name: &str) -> File {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.home.path().join(name))
            .expect("a file in the test's own directory")
    }

    /// The test's own directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The control directory.
    pub fn control_dir(&self) -> PathBuf {
        self.home.path().join("control")
    }

    /// The process that the test started first.
    pub fn launched(&self) -> u32 {
        self.children.first().expect("it was started").id()
    }

    /// The executable.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The arguments of the first generation.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.all_said().first().expect("it serves").address
    }

    /// All that was said so far, in its order.
    pub fn all_said(&self) -> Vec<Said> {
        let text = std::fs::read_to_string(self.home.path().join("said")).unwrap_or_default();
        text.lines().filter_map(Said::parse).collect()
    }

    /// Waits until the generation of that number serves.
    pub async fn said(&self, generation: u64) -> Said {
        self.wait(&format!("generation {generation} serves"), || {
            let said = self.all_said();
            said.into_iter().rfind(|said| said.generation == generation)
        })
        .await
    }

    /// Everything in the log.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.home.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits for a line in the log with all of these pieces.
    pub async fn logged(&self, pieces: &[&str]) -> String {
        self.logged_times(1, pieces).await
    }

    /// Waits for so many lines in the log with all of these pieces, and returns the last.
    pub async fn logged_times(&self, times: usize, pieces: &[&str]) -> String {
        self.wait(&format!("{times} lines in the log with {pieces:?}"), || {
            let log = self.log();
            let mut lines = log
                .lines()
                .filter(|line| pieces.iter().all(|piece| line.contains(piece)));
            lines.nth(times - 1).map(str::to_owned)
        })
        .await
    }

    /// Waits, and shows the log if it was in vain.
    pub async fn wait<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        until(what, || {
            let seen = look();
            // Shown just before `until` panics.
            assert!(
                seen.is_some() || tokio::time::Instant::now() + MOMENT < deadline,
                "waited in vain: {what}\n--- the log:\n{}",
                self.log()
            );
            seen
        })
        .await
    }

    /// Asks for a handover.
    pub async fn upgrade(&self) -> Result<Report, ControlError> {
        self.upgrade_as(UpgradeRequest::default()).await
    }

    /// Asks for a handover of a special kind.
    pub async fn upgrade_as(&self, request: UpgradeRequest) -> Result<Report, ControlError> {
        control::upgrade(&self.control_dir(), request, |_| {}).await
    }

    /// Asks for a handover beside what the test goes on doing.
    pub fn upgrading(
        &self,
        request: UpgradeRequest,
    ) -> tokio::task::JoinHandle<Result<Report, ControlError>> {
        let directory = self.control_dir();
        tokio::spawn(async move { control::upgrade(&directory, request, |_| {}).await })
    }

    /// A handover to a successor with these fault points, in place of any inherited ones, and with these options in addition.
    pub fn request(&self, faults: &str, options: &[&str]) -> UpgradeRequest {
        let mut arguments = vec![
            format!("{FAULTS}={faults}"),
            self.program.display().to_string(),
        ];
        arguments.extend(self.arguments.iter().cloned());
        arguments.extend(options.iter().map(|option| (*option).to_owned()));
        UpgradeRequest {
            exec: Some("/usr/bin/env".into()),
            arguments: Some(arguments),
            ..UpgradeRequest::default()
        }
    }

    /// How the generation that serves stands.
    pub async fn status(&self) -> Result<Generation, ControlError> {
        control::status(&self.control_dir()).await
    }

    /// Waits until this process is the one that is found in the control directory and is in phase `serving`.
    pub async fn serves(&self, pid: u32) -> Generation {
        let mut last = String::new();
        for _ in 0..PATIENCE.as_millis() / 5 {
            match self.status().await {
                Ok(status) if status.pid == pid && status.phase == "serving" => return status,
                other => last = format!("{other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!(
            "pid {pid} does not serve: {last}\n--- the log:\n{}",
            self.log()
        );
    }

    /// The pids of all living processes of this server's group, and so of all generations.
    pub fn processes(&self) -> Vec<u32> {
        let entries = std::fs::read_dir("/proc").expect("proc is mounted");
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid: &u32| process::living(*pid) && belongs(*pid, &self.groups))
            .collect()
    }

    /// The newest process that serves or wants to: waits until there is another than these.
    pub async fn other_than(&self, known: &[u32]) -> u32 {
        self.wait(&format!("a process other than {known:?}"), || {
            let mut all = self.processes();
            all.retain(|pid| !known.contains(pid));
            all.last().copied()
        })
        .await
    }

    /// Collects the status of a process that the test itself has started and that has ended or ends soon.
    pub async fn exit_status(&mut self, pid: u32) -> std::process::ExitStatus {
        let child = self
            .children
            .iter_mut()
            .find(|child| child.id() == pid)
            .expect("a child of the test");
        until(&format!("the exit status of {pid}"), || {
            child.try_wait().expect("a child of the test")
        })
        .await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the log of {}:\n{}", self.program.display(), self.log());
        }
        for group in &self.groups {
            let _ = kill_process_group(process::number(*group), Signal::KILL);
        }
        for child in &mut self.children {
            let _ = child.wait();
        }
    }
}

/// A port that nobody else gets: a socket that is bound and does not listen leaves room for a listener with `SO_REUSEADDR`.
fn reserve() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option of TCP");
    socket
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a free port");
    let address = socket.local_addr().expect("it is bound");
    (socket, address)
}

fn belongs(pid: u32, groups: &[u32]) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name: state, parent, group.
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let group = rest.split_whitespace().nth(2);
    let group = group.and_then(|group| group.parse().ok());
    group.is_some_and(|group| groups.contains(&group))
}

/// The executable of an example, which cargo puts beside the tests'.
pub fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("this executable's path");
    let folder = own
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps");
    let path = folder.join("examples").join(name);
    assert!(
        path.is_file(),
        "{} is missing: cargo build -p baton-handover --examples",
        path.display()
    );
    path
}

/// The words of a command line as the system takes them.
pub fn words(arguments: &[&str]) -> Vec<OsString> {
    arguments.iter().map(OsString::from).collect()
}
