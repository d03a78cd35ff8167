//! A home for the node, and a supervisor running on it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::node;
use super::stamps::{self, Stamps};
use super::{Contender, Options};

/// How long a supervisor may take over anything that is waited for here.
pub(crate) const LIMIT: Duration = Duration::from_mins(5);
/// How long it may take to stop.
const STOP: Duration = Duration::from_secs(30);
/// What both supervisors are told about the time a node may take to stop.
const GRACE: &str = "20s";

const MIB: u64 = 1 << 20;
/// The size of the files that a store writes once and never changes.
const TABLE: u64 = 2 * MIB;
/// When the data was written: most of a node's is much older than its last minutes.
const AGE: Duration = Duration::from_hours(1);
/// What the store writes besides: names below the data directory, and sizes. The write-ahead log
/// is of the size at which goleveldb begins a new one.
const OTHER: [(&str, u64); 9] = [
    ("application.db/CURRENT", 16),
    ("application.db/LOCK", 0),
    ("application.db/LOG", 256 << 10),
    ("application.db/MANIFEST-000004", 256 << 10),
    ("application.db/000003.log", 4 * MIB),
    ("blockstore.db/CURRENT", 16),
    ("blockstore.db/000003.log", MIB),
    ("cs.wal/wal", MIB),
    ("priv_validator_state.json", 400),
];

/// A home in a directory of its own, removed with it.
pub(crate) struct Home {
    path: PathBuf,
    /// What the node notes.
    pub(crate) stamps: Stamps,
}

impl Home {
    /// A home with two releases and an empty data directory.
    pub(crate) fn new(dir: &Path) -> Result<Self> {
        let path = dir.to_owned();
        let make = |part: &str| -> Result<PathBuf> {
            let dir = path.join(part);
            fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
            Ok(dir)
        };
        make("data")?;
        let config = make("config")?.join("config.toml");
        fs::write(&config, node::config_text("127.0.0.1:0"))?;
        let me = std::env::current_exe().context("finding this executable")?;
        for release in ["genesis", "upgrades/v2"] {
            let bin = make(&format!("cosmovisor/{release}/bin"))?.join(node::NAME);
            fs::copy(&me, &bin).with_context(|| format!("copying to {}", bin.display()))?;
        }
        std::os::unix::fs::symlink("genesis", path.join("cosmovisor/current"))?;
        let stamps = Stamps::new(path.join("stamps"));
        Ok(Self { path, stamps })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the node's data is.
    pub(crate) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// What `current` points to.
    pub(crate) fn current(&self) -> Result<PathBuf> {
        fs::read_link(self.path.join("cosmovisor/current")).context("reading the link `current`")
    }

    /// The backups that lie in it.
    pub(crate) fn backups(&self) -> Result<Vec<PathBuf>> {
        let mut backups = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with("data-backup-")
            {
                backups.push(entry.path());
            }
        }
        Ok(backups)
    }

    /// The release's binary.
    pub(crate) fn bin(&self, release: &str) -> PathBuf {
        self.path
            .join("cosmovisor")
            .join(release)
            .join("bin")
            .join(node::NAME)
    }

    fn log(&self) -> PathBuf {
        self.path.join("supervisor.log")
    }

    /// The end of what the supervisor said, for an error.
    pub(crate) fn log_end(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

/// Fills a data directory the way a store of sorted tables does: many files of 2 MiB that never
/// change, a few that do. Returns the bytes in all.
pub(crate) fn fill(data: &Path, options: &Options) -> Result<u64> {
    let mut bytes = 0;
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut write = |name: &str, size: u64| -> Result<()> {
        let path = data.join(name);
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut file =
            File::create(&path).with_context(|| format!("writing {}", path.display()))?;
        let block = random.block();
        let mut left = size;
        while left > 0 {
            let piece = left.min(block.len() as u64);
            file.write_all(&block[..usize::try_from(piece)?])?;
            left -= piece;
        }
        file.set_modified(SystemTime::now() - AGE)?;
        bytes += size;
        Ok(())
    };
    for number in 0..options.mib * MIB / TABLE {
        write(&format!("application.db/{:06}.sst", 10 + number), TABLE)?;
    }
    for (name, size) in OTHER {
        write(name, size)?;
    }
    Ok(bytes)
}

/// Content that no file system compresses (xorshift64).
struct Random(u64);

impl Random {
    fn block(&mut self) -> Vec<u8> {
        let mut next = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        };
        (0..TABLE / 8).flat_map(|_| next().to_le_bytes()).collect()
    }
}

/// A supervisor at work; ended when dropped.
pub(crate) struct Supervisor<'a> {
    home: &'a Home,
    contender: &'a Contender,
    child: Child,
    /// When its start was asked for.
    pub(crate) begun: u64,
}

impl<'a> Supervisor<'a> {
    /// Starts it on this home, with these variables besides the usual ones.
    pub(crate) fn start(
        contender: &'a Contender,
        home: &'a Home,
        options: &Options,
        variables: &[(&str, String)],
    ) -> Result<Self> {
        let log = File::create(home.log())?;
        let mut command = Command::new(&contender.path);
        clean(&mut command)
            .args(["run", "start", "--home"])
            .arg(home.path())
            .env("DAEMON_HOME", home.path())
            .env("DAEMON_NAME", node::NAME)
            .env("DAEMON_SHUTDOWN_GRACE", GRACE)
            .env("COSMOVISOR_COLOR_LOGS", "false")
            .env(node::STAMPS, home.stamps.path())
            .env(node::STOP_MS, options.stop_ms.to_string())
            .envs(variables.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        let begun = stamps::now();
        let child = command
            .spawn()
            .with_context(|| format!("starting {}", contender.path.display()))?;
        Ok(Self {
            home,
            contender,
            child,
            begun,
        })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the node to get to something.
    pub(crate) fn wait_for(&mut self, release: &str, what: &str) -> Result<u64> {
        let (home, contender) = (self.home, self.contender);
        let child = &mut self.child;
        home.stamps
            .wait(release, what, LIMIT, || match child.try_wait()? {
                Some(status) => bail!("{} ended by itself ({status})", contender.name),
                None => Ok(()),
            })
    }

    /// Ends it as a service manager does; how it ended.
    pub(crate) fn stop(mut self) -> Result<ExitStatus> {
        let asked = Instant::now();
        kill_process(self.process()?, Signal::TERM).context("sending SIGTERM to the supervisor")?;
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(
                    !self.contender.is_ours() || status.success(),
                    "stopped by SIGTERM, {} ended with {status}",
                    self.contender.name
                );
                return Ok(status);
            }
            ensure!(
                asked.elapsed() < STOP,
                "{} did not stop within {} s",
                self.contender.name,
                STOP.as_secs()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn process(&self) -> Result<Pid> {
        i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("the supervisor has no process number")
    }
}

impl Drop for Supervisor<'_> {
    fn drop(&mut self) {
        // Gone already in the ordinary case; its node sees that and ends, too.
        if let (Ok(None), Ok(process)) = (self.child.try_wait(), self.process()) {
            let _ = kill_process_group(process, Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// Without what the operator has set for a real node.
pub(crate) fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if [
            "DAEMON_",
            "COSMOVISOR_",
            "BATON_",
            "UNSAFE_",
            "BENCH_",
            "NOTIFY_",
        ]
        .iter()
        .any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    command
}
