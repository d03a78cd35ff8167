//! The three spans: from the plan to the request to stop, from the end of the old binary to the
//! new one's main, and from the supervisor's start to the node's main.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use super::figures::{Series, Table, round};
use super::home::{Home, LIMIT, Supervisor, clean, fill};
use super::{Contender, Options, node, stamps};

/// When a node reaches its plan: later than anything that a supervisor does at its start.
const SETTLED_MS: u64 = 1000;
/// The interval at which a polling supervisor looks. Runs begin at all points of it.
const POLL_MS: u64 = 300;

/// The plan is in the file → the node is asked to stop.
pub(crate) fn detect(options: &Options) -> Result<Value> {
    let runs = options.runs.unwrap_or(30);
    let dir = workplace(options)?;
    let mut times = Table::default();
    for run in 0..runs {
        for contender in &options.contenders {
            let home = Home::new(&dir.path().join(format!("{}-{run}", contender.name)))?;
            flush(dir.path())?;
            let upgrade = Upgrade {
                contender,
                options,
                run,
                variables: vec![("UNSAFE_SKIP_BACKUP", "true".to_owned())],
            };
            upgrade.make(&home)?;
            let asked = upgrade.asked_to_stop(&home)?;
            let written = home.stamps.get("v1", "plan")?;
            times.of(contender.name).push_span(written, asked)?;
            fs::remove_dir_all(home.path())?;
        }
    }
    Ok(json!({
        "bench": "supervisor-detect",
        "what": "plan written to stop signal received, ms",
        "runs": runs,
        "target_ms": 5,
        "times": times.to_json(),
        "peer_to_ours": times.ratio(),
    }))
}

/// The old binary ends → the new one's main, with a backup and without.
pub(crate) fn switch(options: &Options) -> Result<Value> {
    let runs = options.runs.unwrap_or(10);
    let dir = workplace(options)?;
    let data = dir.path().join("data");
    let bytes = fill(&data, options)?;
    let mut variants = Map::new();
    for (name, target_ms, with_backup) in [
        ("with_backup", Some(50), true),
        ("without_backup", None, false),
    ] {
        let (mut times, mut total) = (Table::default(), Table::default());
        let mut parts: Vec<(Table, Table)> = vec![<_>::default(); options.contenders.len()];
        for run in 0..runs {
            for (contender, (phases, steps)) in options.contenders.iter().zip(&mut parts) {
                let upgrade = Upgrade {
                    contender,
                    options,
                    run,
                    variables: backup_variables(contender, with_backup),
                };
                let home = Home::new(&dir.path().join(contender.name))?;
                give(&data, &home)?;
                flush(dir.path())?;
                upgrade.make(&home)?;
                let marks = Marks::of(&home)?;
                times
                    .of(contender.name)
                    .push_span(marks.ended, marks.entered)?;
                let asked = upgrade.asked_to_stop(&home)?;
                total.of(contender.name).push_span(asked, marks.entered)?;
                marks.phases(phases)?;
                upgrade.check_backup(&home, with_backup)?;
                if contender.is_ours() {
                    journal_steps(&home, steps)?;
                }
                take_back(&home, &data)?;
            }
        }
        let mut variant = json!({
            "target_ms": target_ms,
            "times": times.to_json(),
            "peer_to_ours": times.ratio(),
            "from_stop_signal": total.medians(),
        });
        for (contender, (phases, steps)) in options.contenders.iter().zip(&parts) {
            variant["phases"][contender.name] = phases.medians();
            if contender.is_ours() {
                variant["journal_steps"] = steps.medians();
            }
        }
        variants.insert(name.to_owned(), variant);
    }
    let mut line = json!({
        "bench": "supervisor-switch",
        "what": "old binary ends to new binary's main, ms",
        "runs": runs,
        "data_bytes": bytes,
        "node_stops_in_ms": options.stop_ms,
    });
    line.as_object_mut()
        .context("not an object")?
        .extend(variants);
    Ok(line)
}

/// The supervisor is started → the node's main.
pub(crate) fn start(options: &Options) -> Result<Value> {
    let runs = options.runs.unwrap_or(30);
    let dir = workplace(options)?;
    let mut times = Table::default();
    let mut alone = Series::default();
    let mut homes = Vec::new();
    for contender in &options.contenders {
        homes.push((contender, Home::new(&dir.path().join(contender.name))?));
    }
    // The first start of all finds nothing in memory and nothing made; it does not count.
    for run in 0..=runs {
        for (contender, home) in &homes {
            home.stamps.clear()?;
            flush(dir.path())?;
            let mut supervisor = Supervisor::start(contender, home, options, &[])?;
            let begun = supervisor.begun;
            supervisor.wait_for("v1", "ready").context(home.log_end())?;
            let entered = home.stamps.get("v1", "main start")?;
            supervisor.stop().with_context(|| home.log_end())?;
            if run > 0 {
                times.of(contender.name).push_span(begun, entered)?;
            }
        }
        let (_, home) = homes.first().context("nobody to measure")?;
        let (begun, entered) = run_alone(home)?;
        if run > 0 {
            alone.push_span(begun, entered)?;
        }
    }
    Ok(json!({
        "bench": "supervisor-start",
        "what": "supervisor started to node's main, ms",
        "runs": runs,
        "target_ms": 15,
        "times": times.to_json(),
        "peer_to_ours": times.ratio(),
        "node_without_supervisor": round(alone.median()),
    }))
}

/// One upgrade of a node, from its start to the new binary's.
struct Upgrade<'a> {
    contender: &'a Contender,
    options: &'a Options,
    run: usize,
    variables: Vec<(&'static str, String)>,
}

impl Upgrade<'_> {
    fn make(&self, home: &Home) -> Result<()> {
        self.try_make(home)
            .with_context(|| format!("{}; its log ends:\n{}", self.contender.name, home.log_end()))
    }

    fn try_make(&self, home: &Home) -> Result<()> {
        // Multiples of the golden ratio are spread evenly, however many there are.
        let phase = (self.run as u64 * 618 % 1000) * POLL_MS / 1000;
        let mut variables = self.variables.clone();
        variables.push((node::PLAN_AFTER_MS, (SETTLED_MS + phase).to_string()));
        let mut supervisor = Supervisor::start(self.contender, home, self.options, &variables)?;
        supervisor.wait_for("v2", "ready")?;
        supervisor.stop()?;
        let current = home.current()?;
        ensure!(
            current.ends_with("upgrades/v2"),
            "`current` points to {}",
            current.display()
        );
        Ok(())
    }

    /// When the old binary was asked to stop. Baton must have used SIGTERM.
    fn asked_to_stop(&self, home: &Home) -> Result<u64> {
        let signal = if self.contender.is_ours() {
            "TERM"
        } else {
            "INT"
        };
        let found = home.stamps.find("v1", &format!("signal {signal}"));
        match found {
            None if !self.contender.is_ours() => home.stamps.get("v1", "signal TERM"),
            _ => found.with_context(|| format!("no SIGTERM among {:?}", home.stamps.all())),
        }
    }

    fn check_backup(&self, home: &Home, wanted: bool) -> Result<()> {
        let backups = home.backups()?;
        ensure!(
            backups.len() == usize::from(wanted),
            "{} made {} backups",
            self.contender.name,
            backups.len()
        );
        for backup in backups {
            let there = files(&backup.join("application.db"))?;
            let wanted = files(&home.data().join("application.db"))?;
            ensure!(
                there >= wanted,
                "{}'s backup has {there} of {wanted} files",
                self.contender.name
            );
        }
        Ok(())
    }
}

/// The moments of a switch.
struct Marks {
    ended: u64,
    pre_upgrade_entered: u64,
    pre_upgrade_ended: u64,
    entered: u64,
}

impl Marks {
    fn of(home: &Home) -> Result<Self> {
        Ok(Self {
            ended: home.stamps.get("v1", "exit start")?,
            pre_upgrade_entered: home.stamps.get("v2", "main pre-upgrade")?,
            pre_upgrade_ended: home.stamps.get("v2", "exit pre-upgrade")?,
            entered: home.stamps.get("v2", "main start")?,
        })
    }

    /// The new binary's `pre-upgrade` runs in between, and notes when; both supervisors run it.
    fn phases(&self, phases: &mut Table) -> Result<()> {
        let spans = [
            ("end_to_pre_upgrade", self.ended, self.pre_upgrade_entered),
            (
                "pre_upgrade",
                self.pre_upgrade_entered,
                self.pre_upgrade_ended,
            ),
            ("pre_upgrade_to_start", self.pre_upgrade_ended, self.entered),
        ];
        for (name, from, to) in spans {
            phases.of(name).push_span(from, to)?;
        }
        Ok(())
    }
}

/// The steps as Baton's journal has them, and what its events say of the backup.
fn journal_steps(home: &Home, steps: &mut Table) -> Result<()> {
    let path = home.path().join("cosmovisor/.baton/upgrade.json");
    let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let journal: Value = serde_json::from_slice(&text)?;
    let done = journal["steps"]
        .as_array()
        .context("no steps in the journal")?;
    for step in done {
        let (name, took) = (&step["step"], &step["took_ms"]);
        steps
            .of(name.as_str().context("a step without a name")?)
            .push(took.as_f64().context("a step without a time")?);
    }
    Ok(())
}

fn backup_variables(contender: &Contender, with_backup: bool) -> Vec<(&'static str, String)> {
    match (with_backup, contender.is_ours()) {
        (false, _) => vec![("UNSAFE_SKIP_BACKUP", "true".to_owned())],
        (true, true) => vec![("BATON_BACKUP_MODE", "hardlink".to_owned())],
        (true, false) => vec![],
    }
}

/// Starts the node with nobody in between.
fn run_alone(home: &Home) -> Result<(u64, u64)> {
    home.stamps.clear()?;
    let begun = stamps::now();
    let status = clean(&mut Command::new(home.bin("genesis")))
        .arg("version")
        .env("DAEMON_HOME", home.path())
        .env(node::STAMPS, home.stamps.path())
        .stdin(Stdio::null())
        .status()?;
    ensure!(status.success(), "the node alone ended with {status}");
    let entered = home.stamps.wait("v1", "main version", LIMIT, || Ok(()))?;
    Ok((begun, entered))
}

fn workplace(options: &Options) -> Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix("bench-supervisor-")
        .tempdir_in(&options.dir)
        .with_context(|| format!("making a directory in {}", options.dir.display()))
}

/// The data becomes the home's.
fn give(data: &Path, home: &Home) -> Result<()> {
    fs::remove_dir(home.data())?;
    fs::rename(data, home.data()).context("giving the data to the home")
}

/// The data is as it was before, and the home is gone.
fn take_back(home: &Home, data: &Path) -> Result<()> {
    fs::rename(home.data(), data).context("taking the data back")?;
    fs::remove_file(data.join("upgrade-info.json"))?;
    fs::remove_dir_all(home.path())?;
    Ok(())
}

/// What was written before does not disturb what is measured next.
fn flush(dir: &Path) -> Result<()> {
    Ok(rustix::fs::syncfs(File::open(dir)?)?)
}

fn files(dir: &PathBuf) -> Result<usize> {
    Ok(fs::read_dir(dir)
        .with_context(|| format!("reading {}", dir.display()))?
        .count())
}
