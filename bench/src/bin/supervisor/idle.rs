//! What a supervisor uses while nothing happens: memory, wake-ups and processor time.
//!
//! `idle`: the node runs and no plan is known. `waiting`: an operator has planned an upgrade for a
//! height that is far away, which is how many spend the weeks before one.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::figures::Table;
use super::home::{Home, Supervisor};
use super::{Contender, Options};

/// For so long after the node is ready the supervisor may still be busy with its start.
const SETTLE: Duration = Duration::from_secs(3);
/// Both look for plans at this interval.
const POLLS_PER_SECOND: f64 = 1000.0 / 300.0;
/// A plan as `add-upgrade --upgrade-height` writes it, out of reach.
const PLAN: &str = r#"{"name":"v2","time":"0001-01-01T00:00:00Z","height":1000000}"#;

/// With nothing to do.
pub(crate) fn idle(options: &Options) -> Result<Value> {
    measure("supervisor-idle", "with no plan", options, false)
}

/// With a plan for later.
pub(crate) fn waiting(options: &Options) -> Result<Value> {
    measure(
        "supervisor-waiting",
        "with a plan for a far height",
        options,
        true,
    )
}

fn measure(bench: &str, what: &str, options: &Options, planned: bool) -> Result<Value> {
    let runs = options.runs.unwrap_or(3).min(10);
    let mut tables: Vec<Table> = vec![Table::default(); options.contenders.len()];
    for _ in 0..runs {
        for (contender, table) in options.contenders.iter().zip(&mut tables) {
            one(contender, options, planned, table)?;
        }
    }
    let mut line = json!({
        "bench": bench,
        "what": what,
        "runs": runs,
        "seconds": options.seconds,
        "target_rss_kib": 12 << 10,
        "polls_per_s": super::figures::round(POLLS_PER_SECOND),
    });
    for (contender, table) in options.contenders.iter().zip(&tables) {
        line[contender.name] = table.to_json();
    }
    Ok(line)
}

fn one(contender: &Contender, options: &Options, planned: bool, table: &mut Table) -> Result<()> {
    let dir = tempfile::Builder::new()
        .prefix("bench-supervisor-")
        .tempdir_in(&options.dir)?;
    let home = Home::new(&dir.path().join("home"))?;
    let no_backup = [("UNSAFE_SKIP_BACKUP", "true".to_owned())];
    let mut supervisor = Supervisor::start(contender, &home, options, &no_backup)?;
    supervisor
        .wait_for("v1", "ready")
        .with_context(|| home.log_end())?;
    if planned {
        let path = home.data().join("upgrade-info.json");
        let fresh = path.with_extension("new");
        fs::write(&fresh, PLAN)?;
        fs::set_permissions(&fresh, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        fs::rename(&fresh, &path)?;
    }
    std::thread::sleep(SETTLE);
    let before = Usage::of(supervisor.pid())?;
    std::thread::sleep(Duration::from_secs(options.seconds));
    let after = Usage::of(supervisor.pid())?;
    supervisor.stop().with_context(|| home.log_end())?;
    let seconds = f64::from(u32::try_from(options.seconds).context("--seconds is too much")?);
    table.of("rss_kib").push(after.rss_kib);
    table.of("rss_anon_kib").push(after.rss_anon_kib);
    table.of("rss_peak_kib").push(after.rss_peak_kib);
    table.of("threads").push(after.threads);
    table
        .of("context_switches_per_s")
        .push((after.switches - before.switches) / seconds);
    table
        .of("cpu_ms_per_s")
        .push((after.cpu_ms - before.cpu_ms) / seconds);
    table
        .of("children_cpu_ms_per_s")
        .push((after.children_cpu_ms - before.children_cpu_ms) / seconds);
    Ok(())
}

/// What a process has used so far.
struct Usage {
    rss_kib: f64,
    rss_anon_kib: f64,
    rss_peak_kib: f64,
    threads: f64,
    /// Of all its threads, voluntary and not.
    switches: f64,
    cpu_ms: f64,
    /// Of children that it has collected, as `<bin> status`.
    children_cpu_ms: f64,
}

impl Usage {
    fn of(pid: u32) -> Result<Self> {
        let process = format!("/proc/{pid}");
        let status =
            fs::read_to_string(format!("{process}/status")).context("the supervisor has ended")?;
        let field = |text: &str, name: &str| -> Result<f64> {
            text.lines()
                .find_map(|line| {
                    line.strip_prefix(name)?
                        .split_whitespace()
                        .next()?
                        .parse()
                        .ok()
                })
                .with_context(|| format!("no {name} in {process}/status"))
        };
        let mut switches = 0.0;
        for thread in fs::read_dir(format!("{process}/task"))? {
            // A thread that ends meanwhile takes its count with it.
            if let Ok(text) = fs::read_to_string(thread?.path().join("status")) {
                switches += field(&text, "voluntary_ctxt_switches:")?;
                switches += field(&text, "nonvoluntary_ctxt_switches:")?;
            }
        }
        let times = times(Path::new(&process))?;
        Ok(Self {
            rss_kib: field(&status, "VmRSS:")?,
            rss_anon_kib: field(&status, "RssAnon:")?,
            rss_peak_kib: field(&status, "VmHWM:")?,
            threads: field(&status, "Threads:")?,
            switches,
            cpu_ms: times[0] + times[1],
            children_cpu_ms: times[2] + times[3],
        })
    }
}

/// `utime`, `stime`, `cutime` and `cstime` of proc(5), in milliseconds.
fn times(process: &Path) -> Result<[f64; 4]> {
    let text = fs::read_to_string(process.join("stat"))?;
    // The name in parentheses may hold spaces; the fields after it are numbered from 3.
    let (_, rest) = text.rsplit_once(')').context("no name in stat")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    #[expect(clippy::cast_precision_loss, reason = "it is 100")]
    let ticks_per_ms = rustix::param::clock_ticks_per_second() as f64 / 1000.0;
    let mut times = [0.0; 4];
    for (time, at) in times.iter_mut().zip(11..) {
        let ticks: f64 = fields.get(at).context("too few fields in stat")?.parse()?;
        *time = ticks / ticks_per_ms;
    }
    Ok(times)
}
