//! A node that is alone, under load, and hands over again and again; in half of the handovers one of the two processes is
//! killed at any moment.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io};

use anyhow::{Context, Result, ensure};
use baton_bench::node::{Client, Home, HomeOptions, Purse};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::load::{AMOUNT_NEU, COINS};
use super::member::{Member, middle_and_worst};
use super::network::{Campaign, Ended};
use super::observer::Shared;
use super::random::Random;
use super::{Found, Options};

/// How long a handover may take, and whoever is left to serve.
const LIMIT: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);
/// Nobody is left who is not seen for so long.
const GONE: Duration = Duration::from_millis(500);
/// A handover has been over for long by then: kills are spread over this time.
const SPREAD: Duration = Duration::from_millis(600);

/// Whom to kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Nobody,
    Predecessor,
    Successor,
}

pub(crate) async fn run(options: &Options) -> Result<Found> {
    let (directory, _temporary) = options.directory("handovers")?;
    fs::create_dir_all(&directory)?;
    let purse = Purse::new(12);
    let mut home = Home::solonet(
        &options.batond,
        &directory.join("home"),
        &HomeOptions {
            outputs: purse.outputs(COINS as u64, AMOUNT_NEU),
            params: vec![
                ("coinbase_maturity_blocks", json!(1)),
                ("block_interval_ms", json!(options.interval_ms)),
            ],
        },
    )?;
    home.flags = vec![format!("--log_level={}", options.log_level)];
    let signatures = Shared::default();
    let mut member = Member::new(home, Arc::clone(&signatures));
    member.start().await?;
    let begun = Instant::now();
    let homes = std::slice::from_ref(&member.home).to_vec();
    let campaign = Campaign::start(&directory, &homes, purse, signatures).await?;
    let probe = Probe::start(&member.home);
    let mut random = Random::new(options.seed);
    let mut tally = Tally::default();
    for _ in 0..options.handovers {
        let victim = match random.once_in(2) {
            false => Victim::Nobody,
            true if random.once_in(2) => Victim::Predecessor,
            true => Victim::Successor,
        };
        probe.pause.store(0, Ordering::Relaxed);
        probe
            .counts
            .store(victim == Victim::Nobody, Ordering::Relaxed);
        let moment = random.up_to(SPREAD);
        handover(&mut member, victim, moment, &mut tally).await?;
        member.goes_on().await?;
        if victim == Victim::Nobody {
            let pause = Duration::from_micros(probe.pause.load(Ordering::Relaxed));
            tally.pauses.push(pause);
        }
    }
    probe.task.abort();
    let Ended {
        mut figures,
        mut faults,
    } = campaign.end(std::slice::from_mut(&mut member)).await?;
    faults.extend(tally.faults);
    let (pause_ms, worst_pause_ms) = middle_and_worst(tally.pauses);
    figures["handovers"] = tally.done.into();
    figures["taken_back"] = tally.taken_back.into();
    figures["taken_over_from_the_dead"] = tally.inherited.into();
    figures["kills"] = tally.kills.into();
    figures["started_again"] = tally.restarts.into();
    figures["pause_ms"] = pause_ms.into();
    figures["worst_pause_ms"] = worst_pause_ms.into();
    figures["failed_requests_in_handovers"] = probe.failed.load(Ordering::Relaxed).into();
    figures["seconds"] = json!(begun.elapsed().as_secs());
    Ok(Found { figures, faults })
}

/// What came of all handovers.
#[derive(Debug, Default)]
struct Tally {
    done: usize,
    taken_back: usize,
    inherited: usize,
    kills: usize,
    restarts: usize,
    pauses: Vec<Duration>,
    faults: Vec<String>,
}

/// One handover, and whoever is left serves.
async fn handover(
    member: &mut Member,
    victim: Victim,
    moment: Duration,
    tally: &mut Tally,
) -> Result<()> {
    // the height that a client was told last has to be there afterwards
    let before = member.look().await?;
    let path = member.home.path().to_owned();
    let [first] = processes(&path)?[..] else {
        anyhow::bail!("not one process: {:?}", processes(&path)?);
    };
    signal(first, Signal::USR2)?;
    let mut killed = Victim::Nobody;
    if victim != Victim::Nobody {
        tokio::time::sleep(moment).await;
        let other = processes(&path)?.into_iter().find(|pid| *pid != first);
        let target = match victim {
            Victim::Successor => other,
            _ => Some(first),
        };
        if let Some(target) = target
            && signal(target, Signal::KILL).is_ok()
        {
            killed = victim;
            tally.kills += 1;
        }
    }
    let last = settled(member, first, killed).await?;
    member.read_guard_of_a_running_node()?;
    match last {
        None if killed == Victim::Successor => {
            // it owned, and its predecessor had ended: there was nobody who could serve
            tally.restarts += 1;
            member.start_again().await?;
        }
        None => {
            let what = format!("nobody serves any more, and {killed:?} was killed");
            tally.faults.push(what);
            member.start_again().await?;
        }
        Some(last) if last == first && killed == Victim::Nobody => {
            let what = format!("process {first} did not hand over, and nobody was killed");
            tally.faults.push(what);
        }
        Some(last) if last == first => tally.taken_back += 1,
        Some(_) if killed == Victim::Predecessor => tally.inherited += 1,
        Some(_) => tally.done += 1,
    }
    let now = member.look().await?;
    if now < before {
        tally
            .faults
            .push(format!("a client saw height {before}, and then {now}"));
    }
    Ok(())
}

/// Waits until one process is left and answers, and the handover is over; `None` if none is left.
async fn settled(member: &Member, first: u32, killed: Victim) -> Result<Option<u32>> {
    let begun = Instant::now();
    let path = member.home.path();
    let mut seen_two = false;
    let mut empty = None;
    loop {
        let alive = processes(path)?;
        seen_two |= alive.len() > 1 || alive.iter().any(|pid| *pid != first);
        // alone from the beginning, it has not begun yet, or begins no more
        let waited = begun.elapsed() > Duration::from_secs(2);
        if let [last] = alive[..]
            && (seen_two || waited || killed == Victim::Predecessor)
            && answers(member).await
        {
            return Ok(Some(last));
        }
        // for a moment a process that is just being started has no name
        if !alive.is_empty() {
            empty = None;
        } else if empty.get_or_insert_with(Instant::now).elapsed() > GONE {
            return Ok(None);
        }
        ensure!(
            begun.elapsed() < LIMIT,
            "after {LIMIT:?} there are {alive:?}, and nobody answers"
        );
        tokio::time::sleep(LOOK).await;
    }
}

async fn answers(member: &Member) -> bool {
    let patience = Duration::from_secs(5);
    let asked = baton_bench::load::get(member.home.api, "/readyz", patience);
    asked.await.is_ok()
}

/// All processes that are the node of a home, or about to be.
fn processes(home: &Path) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // whoever has ended meanwhile is none of them, nor is one that only waits for its parent
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        if words.clone().any(|word| word == b"node")
            && words.any(|word| word == home.as_os_str().as_encoded_bytes())
        {
            found.push(pid);
        }
    }
    Ok(found)
}

fn signal(pid: u32, signal: Signal) -> io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    Ok(kill_process(
        pid.ok_or(io::ErrorKind::InvalidInput)?,
        signal,
    )?)
}

/// A client with one connection that asks all the time, and is never told of a handover.
struct Probe {
    /// The longest time that an answer took since this was set to 0, in microseconds.
    pause: Arc<AtomicU64>,
    /// Whether a request that fails counts: nobody is killed now.
    counts: Arc<AtomicBool>,
    failed: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Probe {
    fn start(home: &Home) -> Self {
        let (pause, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let counts = Arc::new(AtomicBool::new(false));
        let (longest, lost, counting) = (pause.clone(), failed.clone(), counts.clone());
        let mut client = Client::new(home.api);
        let task = tokio::spawn(async move {
            loop {
                let begun = Instant::now();
                let counted = counting.load(Ordering::Relaxed);
                let answer = client.ask("get-block-count", &Value::Null).await;
                let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
                match answer {
                    Ok(_) => drop(longest.fetch_max(took, Ordering::Relaxed)),
                    Err(_) if counted && counting.load(Ordering::Relaxed) => {
                        lost.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(_) => {}
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        Self {
            pause,
            counts,
            failed,
            task,
        }
    }
}

/// Stops a node whose process is not a child of the campaign.
pub(crate) async fn stop(home: &Home) -> Result<()> {
    let begun = Instant::now();
    home.ask("stop").context("batond stop")?;
    while !processes(home.path())?.is_empty() {
        ensure!(begun.elapsed() < LIMIT, "did not stop within {LIMIT:?}");
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
