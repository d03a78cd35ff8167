//! A node of the campaign: killed and started again, it comes back no lower than it was.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use baton_bench::node::{Client, Daemon, Home};

use super::blocks::{height, locked};
use super::observer::Shared;

/// How long a node may take for what it has to do.
const LIMIT: Duration = Duration::from_mins(1);
/// Words in a log that tell of what must not be.
const NEVER: [&str; 4] = ["EQUIVOCATION", "panicked", "damaged", "died"];

/// A node, running or not.
pub(crate) struct Member {
    pub(crate) home: Home,
    daemon: Option<Daemon>,
    signatures: Shared,
    /// The highest that it was seen to be.
    height: u64,
    /// How long each start took until it was ready.
    pub(crate) ready: Vec<Duration>,
    pub(crate) kills: usize,
    pub(crate) faults: Vec<String>,
}

impl Member {
    pub(crate) fn new(home: Home, signatures: Shared) -> Self {
        Self {
            home,
            daemon: None,
            signatures,
            height: 0,
            ready: Vec::new(),
            kills: 0,
            faults: Vec::new(),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.home.api)
    }

    /// Starts it without waiting.
    pub(crate) fn spawn(&mut self) -> Result<()> {
        self.daemon = Some(self.home.spawn(&["--mining"])?);
        Ok(())
    }

    /// Starts it, and waits until it is ready and no lower than it was.
    pub(crate) async fn start(&mut self) -> Result<()> {
        let begun = Instant::now();
        self.spawn()?;
        self.await_ready(begun).await
    }

    async fn await_ready(&mut self, begun: Instant) -> Result<()> {
        let daemon = self.daemon.as_mut().context("it was started")?;
        let ready = daemon.ready().await;
        ready.with_context(|| format!("home {}", self.home.path().display()))?;
        self.ready.push(begun.elapsed());
        let before = self.height;
        let now = self.look().await?;
        if now < before {
            let what = format!("{} was at {before} and came back at {now}", self.home.api);
            self.faults.push(what);
        }
        Ok(())
    }

    /// How high it is; remembered.
    pub(crate) async fn look(&mut self) -> Result<u64> {
        let now = height(&mut self.client()).await?;
        self.height = self.height.max(now);
        Ok(now)
    }

    /// Waits until it is so high; says how long that took.
    pub(crate) async fn reach(&mut self, wanted: u64, limit: Duration) -> Result<Duration> {
        let begun = Instant::now();
        let mut client = self.client();
        loop {
            let now = height(&mut client).await?;
            self.height = self.height.max(now);
            if now >= wanted {
                return Ok(begun.elapsed());
            }
            ensure!(
                begun.elapsed() < limit,
                "{} is at height {now} after {limit:?}, not at {wanted}: {}",
                self.home.path().display(),
                self.status()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What it says of itself through its control socket, for whoever has to find out what is wrong.
    fn status(&self) -> String {
        let output = self.home.ask("status");
        output
            .unwrap_or_else(|error| format!("{error:#}"))
            .replace('\n', " ")
    }

    /// Waits until it has one block more.
    pub(crate) async fn goes_on(&mut self) -> Result<Duration> {
        let now = self.look().await?;
        self.reach(now + 1, LIMIT).await
    }

    /// `kill -9`; then its sign guard is read.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill()?;
            self.kills += 1;
            self.read_guard()?;
        }
        Ok(())
    }

    /// Looks, and then kills.
    pub(crate) async fn look_and_kill(&mut self) -> Result<()> {
        // the height that a client was told last has to be there afterwards
        self.look().await?;
        self.kill()
    }

    /// Stops it as it should be stopped, and reads what it left.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        let Some(mut daemon) = self.daemon.take() else {
            return Ok(());
        };
        if daemon.has_ended()? {
            // it has handed over, and another process is the node
            super::handovers::stop(&self.home).await?;
            return self.read_guard();
        }
        let status = tokio::task::spawn_blocking(move || daemon.stop()).await??;
        if !status.success() {
            self.faults
                .push(format!("{}: stopped with {status}", self.home.api));
        }
        self.read_guard()
    }

    /// Starts it again after all its processes have ended.
    pub(crate) async fn start_again(&mut self) -> Result<()> {
        self.daemon = None;
        self.start().await
    }

    /// Reads the sign guard of a node that runs. It may be written to at this moment: then it is read once more.
    pub(crate) fn read_guard_of_a_running_node(&mut self) -> Result<()> {
        self.read_guard().or_else(|_| {
            std::thread::sleep(Duration::from_millis(50));
            self.read_guard()
        })
    }

    fn read_guard(&mut self) -> Result<()> {
        let path = self.home.path().join("data/consensus/guard");
        match fs::read(&path) {
            Ok(bytes) => locked(&self.signatures)
                .add_guard(&bytes)
                .with_context(|| path.display().to_string()),
            // killed before it made one
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// What its logs tell of that must not be; and how many errors they tell of, and how often the sign guard refused, which is
    /// what it is for.
    pub(crate) fn read_logs(&mut self) -> Result<(usize, usize)> {
        let (mut errors, mut refusals) = (0, 0);
        let mut texts = vec![self.home.path().join("console")];
        let log = self.home.path().join("log");
        for entry in fs::read_dir(&log).with_context(|| log.display().to_string())? {
            texts.push(entry?.path());
        }
        for path in texts {
            let text = fs::read(&path).with_context(|| path.display().to_string())?;
            for line in String::from_utf8_lossy(&text).lines() {
                errors += usize::from(line.contains("level=error"));
                refusals += usize::from(line.contains("this node abstains until"));
                // that a process of a handover died is told there, and is what the campaign does to it
                let told = NEVER.iter().any(|word| line.contains(word));
                if told && !line.contains("module=handover") && self.faults.len() < 20 {
                    let name = self.home.path().file_name().unwrap_or_default();
                    self.faults
                        .push(format!("{}: {line}", name.to_string_lossy()));
                }
            }
        }
        Ok((errors, refusals))
    }
}

/// The median and the greatest, in milliseconds.
pub(crate) fn middle_and_worst(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    let ms = |at: usize| {
        times
            .get(at)
            .map_or(0.0, |time| (time.as_secs_f64() * 1e4).round() / 10.0)
    };
    (ms(times.len() / 2), ms(times.len().saturating_sub(1)))
}
