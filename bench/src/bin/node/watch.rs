//! How long reads take while others submit, as a client of its own sees it.
//!
//! The client has a thread to itself: on the submitters' it would wait while they sign their transfers, and take that for the
//! node's time. How late its thread runs when a pause is over, with nothing asked of the node, is told beside it.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use baton_bench::node::Client;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::time::Instant as Moment;

/// Between two questions: a pace that costs nothing.
const PAUSE: Duration = Duration::from_millis(5);

/// What is asked in turn: the endpoint, what it is asked, from where the node knows it, and its answer's status.
const QUESTIONS: [(&str, &str, &str, &str); 4] = [
    ("get-block", r#"{"block_height":1}"#, "memory", "success"),
    (
        "get-vote-result",
        r#"{"block_height":1}"#,
        "store",
        "success",
    ),
    ("list-balances", "{}", "wallet", "success"),
    // one that does not wait there
    (
        "get-unconfirmed-transaction",
        r#"{"tx_id":"0000000000000000000000000000000000000000000000000000000000000000"}"#,
        "pool",
        "fail",
    ),
];

/// What was seen, in microseconds.
pub(crate) struct Seen {
    /// From question to answer, for each of the questions.
    answers: Vec<Histogram<u64>>,
    /// From the end of a pause until the thread ran.
    late: Histogram<u64>,
}

impl Seen {
    fn new() -> Result<Self> {
        let none = || Histogram::new(3);
        let answers: Result<_, _> = QUESTIONS.iter().map(|_| none()).collect();
        Ok(Self {
            answers: answers?,
            late: none()?,
        })
    }

    /// Quantiles of each question's, in milliseconds.
    pub(crate) fn json(&self) -> Value {
        let answers = QUESTIONS.iter().zip(&self.answers);
        let mut told: serde_json::Map<String, Value> = answers
            .map(|((endpoint, _, of, _), times)| (format!("{endpoint} ({of})"), quantiles(times)))
            .collect();
        told.insert("its own thread".into(), quantiles(&self.late));
        told.into()
    }
}

fn quantiles(times: &Histogram<u64>) -> Value {
    let ms = |micros: u64| Duration::from_micros(micros).as_secs_f64() * 1000.0;
    let at = |quantile| ms(times.value_at_quantile(quantile));
    json!({ "p50": at(0.5), "p99": at(0.99), "p99.9": at(0.999), "max": ms(times.max()) })
}

/// A client that asks again and again.
pub(crate) struct Watch(JoinHandle<Result<Seen>>);

impl Watch {
    /// Begins to ask, for so long.
    pub(crate) fn start(client: Client, how_long: Duration) -> Result<Self> {
        let thread = std::thread::Builder::new().name("reads".into());
        let watching = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(watch(client, how_long))
        };
        Ok(Self(thread.spawn(watching).context("starting a thread")?))
    }

    /// Waits for its end.
    pub(crate) async fn seen(self) -> Result<Seen> {
        let joined = tokio::task::spawn_blocking(|| self.0.join()).await?;
        joined.map_err(|_| anyhow!("the reading thread panicked"))?
    }
}

async fn watch(mut client: Client, how_long: Duration) -> Result<Seen> {
    let mut seen = Seen::new()?;
    let begun = Instant::now();
    for turn in 0.. {
        if begun.elapsed() >= how_long {
            break;
        }
        let turn = turn % QUESTIONS.len();
        let (endpoint, body, _, status) = QUESTIONS[turn];
        let asked = Instant::now();
        let answer = client.answer(endpoint, body).await?;
        seen.answers[turn].record(micros(asked.elapsed()))?;
        ensure!(answer["status"] == status, "{endpoint}: {answer}");
        let until = Moment::now() + PAUSE;
        tokio::time::sleep_until(until).await;
        seen.late.record(micros(until.elapsed()))?;
    }
    Ok(seen)
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
