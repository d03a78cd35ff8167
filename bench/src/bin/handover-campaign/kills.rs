//! `kill -9` at random moments of a handover, of one side or the other.
//!
//! The server counts requests in a database that one process can open. So two owners show as a number that comes twice, and
//! an owner that forgets as one that is missing: the last number lies between the answers that came and those plus
//! the requests whose answer was cut off by a kill.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use baton_bench::load::Moment;
use baton_handover::control::{self, UpgradeRequest};
use baton_handover::report::Outcome;
use rustix::process::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::Found;
use super::example::{Example, children, is_gone, signal};
use super::figures::{ms, spread};

/// Clients that ask all the time.
const CLIENTS: usize = 6;
/// What passes between two requests of one client.
const THINK: Duration = Duration::from_millis(2);
/// An answer takes no longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// After a kill somebody serves within this time.
const SOON: Duration = Duration::from_secs(10);
/// Handovers left alone, from which it is known how long one takes.
const PLAIN: usize = 5;
/// A predecessor that has drained ends within this time; one that takes back does not end.
const ENDING: Duration = Duration::from_millis(300);
/// How often is looked.
const LOOK: Duration = Duration::from_micros(200);

/// What the clients saw.
#[derive(Debug, Default)]
struct Seen {
    numbers: BTreeSet<u64>,
    repeated: Vec<u64>,
    /// Moments of refusals, and of requests without an answer, with what happened.
    refused: Vec<Moment>,
    cut: Vec<(Moment, String)>,
    /// Answers that are not a number.
    odd: Vec<String>,
    longest: Duration,
}

type Shared = Arc<Mutex<Seen>>;

fn with<T>(seen: &Shared, work: impl FnOnce(&mut Seen) -> T) -> T {
    work(&mut seen.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Predecessor,
    Successor,
}

/// What was known of a kill.
struct Kill {
    predecessor: u32,
    /// The last phase that the predecessor told before it; none before the first.
    phase: Option<String>,
    began: Moment,
    /// A successor had been started.
    had_successor: bool,
    rolled_back: bool,
    handed_over: bool,
}

/// So many kills, each followed by a look whether somebody serves.
pub(crate) async fn run(examples: &Path, kills: usize, seed: u64) -> Result<Found> {
    let mut example = Example::start(examples, "counter", &[]).await?;
    let notes = Shared::default();
    let (stop, stopped) = watch::channel(false);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(ask_on(example.address, Arc::clone(&notes), stopped.clone()));
    }
    let mut usual = Duration::ZERO;
    for _ in 0..PLAIN {
        let began = Instant::now();
        example.hand_over().await?;
        usual = usual.max(began.elapsed());
    }
    let mut random = Random(seed);
    let mut faults = Vec::new();
    let mut tally = BTreeMap::<String, u64>::new();
    let (mut gaps, mut afresh) = (Vec::new(), 0);
    let mut number = 0;
    while number < kills {
        let victim = if random.below(2) == 0 {
            Victim::Predecessor
        } else {
            Victim::Successor
        };
        let moment = usual.mul_f64(random.part());
        let Some(kill) = one(&example, victim, moment).await? else {
            continue;
        };
        let phase = kill.phase.as_deref().unwrap_or("start");
        let story = format!(
            "kill {number} (seed {seed}): {victim:?} in phase {phase} after {:.1} ms",
            ms(moment)
        );
        // Nobody is left who could serve: the predecessor had not started anybody, or had ended after the handover.
        let alone = match victim {
            Victim::Predecessor => !kill.had_successor,
            Victim::Successor if kill.handed_over => {
                let ended = example.ended(kill.predecessor);
                matches!(timeout(ENDING, ended).await, Ok(Ok(())))
            }
            Victim::Successor => false,
        };
        if alone {
            example.start_afresh().await?;
            afresh += 1;
            continue;
        }
        number += 1;
        let key = format!("{victim:?} in {phase}").to_lowercase();
        *tally.entry(key).or_default() += 1;
        let Some(took) = serves(&example, SOON).await else {
            faults.push(format!(
                "{story}: nobody serves; the log ends with\n{}",
                example.log()
            ));
            break;
        };
        gaps.push(took);
        let held = victim == Victim::Successor || !matches!(phase, "start" | "hello" | "offer");
        let (refused, cut) = with(&notes, |seen| {
            let refused = seen.refused.iter().filter(|at| **at >= kill.began);
            let cut = seen.cut.iter().filter(|(at, _)| *at >= kill.began);
            let cut: Vec<String> = cut.map(|(_, what)| what.clone()).collect();
            (refused.count(), cut)
        });
        if refused > 0 && held {
            faults.push(format!("{story}: {refused} connections were refused"));
        }
        if !cut.is_empty() && victim == Victim::Successor && kill.rolled_back {
            faults.push(format!(
                "{story}: rolled back, and yet {} requests were cut: {}",
                cut.len(),
                cut[0]
            ));
        }
    }
    stop.send_replace(true);
    while clients.join_next().await.is_some() {}
    let last = match ask(example.address).await {
        Ok(last) => last,
        Err(error) => {
            faults.push(format!("asking for the last count: {error}"));
            0
        }
    };
    if faults.is_empty() {
        example.stop().await?;
    }
    let (figures, more) = with(&notes, |seen| {
        let mut more = Vec::new();
        let (answers, cut) = (seen.numbers.len() as u64, seen.cut.len() as u64);
        if !seen.repeated.is_empty() {
            more.push(format!("numbers that came twice: {:?}", seen.repeated));
        }
        if !(answers + 1..=answers + 1 + cut).contains(&last) {
            more.push(format!(
                "the count is {last} after {answers} answers and {cut} requests without one"
            ));
        }
        more.extend(seen.odd.iter().take(3).cloned());
        let figures = json!({
            "kills": tally.values().sum::<u64>(),
            "kills_by_phase": tally,
            "usual_ms": ms(usual),
            "answers": answers,
            "last_count": last,
            "cut_by_kills": cut,
            "refused_before_a_successor_had_the_listener": seen.refused.len(),
            "started_afresh": afresh,
            "until_served_ms": spread(gaps),
            "longest_request_ms": ms(seen.longest),
        });
        (figures, more)
    });
    faults.extend(more);
    Ok(Found { figures, faults })
}

/// Begins a handover and kills one side of it after a while. None if the handover was over before.
async fn one(example: &Example, victim: Victim, moment: Duration) -> Result<Option<Kill>> {
    let predecessor = example.status().await?.pid;
    let (phases, phase) = watch::channel(None);
    let control = example.control.clone();
    let began = Moment::now();
    let asked = tokio::spawn(async move {
        control::upgrade(&control, UpgradeRequest::default(), |progress| {
            phases.send_replace(Some(progress.phase));
        })
        .await
    });
    sleep(moment).await;
    let mut successor = children(predecessor).first().copied();
    let deadline = Instant::now() + SOON;
    while victim == Victim::Successor
        && successor.is_none()
        && !asked.is_finished()
        && Instant::now() < deadline
    {
        sleep(LOOK).await;
        successor = children(predecessor).first().copied();
    }
    let target = match victim {
        Victim::Predecessor => Some(predecessor),
        Victim::Successor => successor,
    };
    let Some(target) = target.filter(|_| !is_gone(predecessor)) else {
        let _ = asked.await?;
        example.ended(predecessor).await?;
        return Ok(None);
    };
    signal(target, Signal::KILL)?;
    let phase = phase.borrow().clone();
    let outcome = asked.await?.map(|report| report.outcome);
    example.ended(target).await?;
    Ok(Some(Kill {
        predecessor,
        phase,
        began,
        had_successor: successor.is_some(),
        rolled_back: matches!(outcome, Ok(Outcome::RolledBack { .. })),
        handed_over: matches!(outcome, Ok(Outcome::HandedOver)),
    }))
}

/// How long it takes until a request is answered and a generation says that it serves.
async fn serves(example: &Example, limit: Duration) -> Option<Duration> {
    let began = Instant::now();
    loop {
        let standing = example.status().await;
        let stands = standing.is_ok_and(|status| status.phase == "serving" && !is_gone(status.pid));
        if stands && probe(example.address).await {
            return Some(began.elapsed());
        }
        if began.elapsed() > limit {
            return None;
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// Whether a connection is accepted at all; a request would change the count.
async fn probe(address: SocketAddr) -> bool {
    let missing = async {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(b"GET /missing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        io::Result::Ok(bytes.starts_with(b"HTTP/1.1 404"))
    };
    matches!(timeout(Duration::from_secs(1), missing).await, Ok(Ok(true)))
}

/// A client: a connection for each request.
async fn ask_on(address: SocketAddr, seen: Shared, stopped: watch::Receiver<bool>) {
    while !*stopped.borrow() {
        let began = Moment::now();
        let answer = timeout(PATIENCE, ask(address)).await;
        let now = Moment::now();
        with(&seen, |seen| {
            seen.longest = seen.longest.max(now.since(began));
            match answer {
                Ok(Ok(number)) => {
                    if !seen.numbers.insert(number) {
                        seen.repeated.push(number);
                    }
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    seen.refused.push(now);
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                    seen.odd.push(error.to_string());
                }
                Ok(Err(error)) => seen.cut.push((now, error.to_string())),
                Err(_) => seen.odd.push(format!("no answer within {PATIENCE:?}")),
            }
        });
        sleep(THINK).await;
    }
}

/// One request; the number in the answer.
async fn ask(address: SocketAddr) -> io::Result<u64> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: counter\r\nConnection: close\r\n\r\n")
        .await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let number = body
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok());
    match number {
        Some(number) if head.starts_with("HTTP/1.1 200") => Ok(number),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("an odd answer: {text:?}"),
        )),
    }
}

/// `SplitMix64`: a run can be repeated by its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// From 0 to 1.
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
