//! What the clients saw, counted.
//!
//! Nothing is counted twice in `failed`: a request that got no right answer is one failure,
//! whatever else is noted about it.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::Moment;

/// So many of the slowest requests are kept.
const SLOWEST: usize = 64;
/// So many faults are kept with their story; all are counted.
const FAULTS: usize = 32;

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection could not be made.
    Refused,
    /// The connection ended with the request on the wire, or in the middle of the answer.
    Lost,
    /// No answer within the client's patience.
    Late,
    /// An answer, and not the right one.
    Wrong,
}

/// A request from its first moment to its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The connection's first moment for a client that opens one, otherwise the request's.
    pub began: Moment,
    /// When all of the answer was there.
    pub ended: Moment,
    /// Which client of its group.
    pub client: usize,
}

impl Span {
    /// How long it took.
    pub const fn took(&self) -> Duration {
        self.ended.since(self.began)
    }

    fn json(&self) -> Value {
        json!({
            "ms": ms(self.took()),
            "began_ns": self.began.nanos(),
            "ended_ns": self.ended.nanos(),
            "client": self.client,
        })
    }
}

/// A fault and when it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// When it was seen.
    pub at: Moment,
    /// Which client of its group saw it.
    pub client: usize,
    /// What happened.
    pub what: String,
}

/// What a group of clients saw.
#[derive(Debug, Clone)]
pub struct Tally {
    /// Clients.
    pub clients: usize,
    /// Connections that were made.
    pub connections: u64,
    /// Requests, frames, messages or datagrams with the right answer.
    pub requests: u64,
    /// Bytes of answers that were checked and right.
    pub bytes: u64,
    /// Requests without the right answer, and connections that could not be made: the sum of
    /// `refused`, `lost`, `late` and `wrong`.
    pub failed: u64,
    /// Connections that could not be made.
    pub refused: u64,
    /// Requests on the wire when their connection ended.
    pub lost: u64,
    /// Of the lost ones, those whose answer had begun.
    pub short: u64,
    /// Requests without an answer within the client's patience.
    pub late: u64,
    /// Requests with a wrong answer.
    pub wrong: u64,
    /// Connections that the other side ended while the client meant to go on with them.
    pub reconnections: u64,
    /// Of these, those whose end was announced in time: `Connection: close`, close frame 1012.
    pub announced: u64,
    /// Bytes that were not those at their position.
    pub wrong_bytes: u64,
    /// Messages that were passed over, and datagrams without an answer.
    pub missing: u64,
    /// Messages and datagrams that came again.
    pub repeated: u64,
    /// What this machine refused the client: no port, no descriptor. It says nothing of the server.
    pub own: u64,
    /// How many answers named which generation.
    pub generations: BTreeMap<u64, u64>,
    slowest: Vec<Span>,
    stories: Vec<Story>,
    times: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            clients: 0,
            connections: 0,
            requests: 0,
            bytes: 0,
            failed: 0,
            refused: 0,
            lost: 0,
            short: 0,
            late: 0,
            wrong: 0,
            reconnections: 0,
            announced: 0,
            wrong_bytes: 0,
            missing: 0,
            repeated: 0,
            own: 0,
            generations: BTreeMap::new(),
            slowest: Vec::new(),
            stories: Vec::new(),
            times: Histogram::new_with_bounds(1, 600_000_000, 3)
                .expect("one microsecond to ten minutes with three digits"),
        }
    }
}

impl Tally {
    /// Nobody was refused, nobody was cut, every byte was right, and the measurement itself is sound.
    /// Datagrams may get lost, so `missing` datagrams are the caller's to judge.
    pub const fn is_clean(&self) -> bool {
        self.failed == 0
            && self.reconnections == 0
            && self.wrong_bytes == 0
            && self.repeated == 0
            && self.own == 0
    }

    /// The slowest requests, the slowest first, at most 64.
    pub fn slowest(&self) -> &[Span] {
        &self.slowest
    }

    /// The slowest request.
    pub fn longest(&self) -> Option<Span> {
        self.slowest.first().copied()
    }

    /// The slowest of the kept requests that were under way at some time between the two.
    pub fn longest_between(&self, from: Moment, to: Moment) -> Option<Span> {
        let during = |span: &&Span| span.began <= to && span.ended >= from;
        self.slowest.iter().find(during).copied()
    }

    /// The first faults and ended connections, at most 32.
    pub fn stories(&self) -> &[Story] {
        &self.stories
    }

    /// The time within which this part (0 to 1) of the requests was answered.
    pub fn quantile(&self, part: f64) -> Duration {
        Duration::from_micros(self.times.value_at_quantile(part))
    }

    /// Everything, as one object; times in milliseconds, moments in nanoseconds.
    pub fn json(&self) -> Value {
        json!({
            "clients": self.clients,
            "connections": self.connections,
            "requests": self.requests,
            "bytes": self.bytes,
            "failed": self.failed,
            "refused": self.refused,
            "lost": self.lost,
            "short": self.short,
            "late": self.late,
            "wrong": self.wrong,
            "reconnections": self.reconnections,
            "announced": self.announced,
            "wrong_bytes": self.wrong_bytes,
            "missing": self.missing,
            "repeated": self.repeated,
            "own": self.own,
            "p50_ms": ms(self.quantile(0.5)),
            "p99_ms": ms(self.quantile(0.99)),
            "longest": self.longest().map(|span| span.json()),
            "generations": self.generations.iter()
                .map(|(generation, answers)| (generation.to_string(), json!(answers)))
                .collect::<serde_json::Map<_, _>>(),
            "stories": self.stories.iter()
                .map(|story| json!({
                    "at_ns": story.at.nanos(), "client": story.client, "what": story.what,
                }))
                .collect::<Vec<_>>(),
        })
    }

    /// What so many clients see at first.
    pub(crate) fn of(clients: usize) -> Self {
        Self {
            clients,
            ..Self::default()
        }
    }

    /// A request got its right answer, of so many bytes, just now. Without its beginning it is not timed.
    pub(crate) fn answered(&mut self, client: usize, began: Option<Moment>, bytes: u64) {
        self.requests += 1;
        self.bytes += bytes;
        let Some(began) = began else {
            return;
        };
        let span = Span {
            began,
            ended: Moment::now(),
            client,
        };
        let took = u64::try_from(span.took().as_micros()).unwrap_or(u64::MAX);
        self.times.saturating_record(took.max(1));
        let is_slow = |least: &Span| span.took() > least.took();
        if self.slowest.len() < SLOWEST || self.slowest.last().is_some_and(is_slow) {
            let place = self.slowest.partition_point(|s| s.took() >= span.took());
            self.slowest.insert(place, span);
            self.slowest.truncate(SLOWEST);
        }
    }

    /// An answer named this generation.
    pub(crate) fn saw(&mut self, generation: u64) {
        // A server that names something else each time must not fill the memory.
        if self.generations.len() < 4096 || self.generations.contains_key(&generation) {
            *self.generations.entry(generation).or_default() += 1;
        }
    }

    /// So many requests failed.
    pub(crate) fn fault(&mut self, fault: Fault, count: u64, client: usize, what: String) {
        self.failed += count;
        match fault {
            Fault::Refused => self.refused += count,
            Fault::Lost => self.lost += count,
            Fault::Late => self.late += count,
            Fault::Wrong => self.wrong += count,
        }
        self.tell(client, what);
    }

    /// The other side ended a connection that was in use.
    pub(crate) fn reconnection(&mut self, announced: bool, client: usize, what: String) {
        self.reconnections += 1;
        self.announced += u64::from(announced);
        self.tell(client, what);
    }

    /// This machine refused the client something.
    pub(crate) fn own(&mut self, client: usize, what: String) {
        self.own += 1;
        self.tell(client, what);
    }

    fn tell(&mut self, client: usize, what: String) {
        if self.stories.len() < FAULTS {
            let at = Moment::now();
            self.stories.push(Story { at, client, what });
        }
    }
}

/// Milliseconds to the microsecond.
#[allow(
    clippy::cast_precision_loss,
    reason = "a figure for people, far below 2^53 microseconds"
)]
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span_of(ms: u64) -> Moment {
        Moment::from_nanos(Moment::now().nanos() - ms * 1_000_000)
    }

    #[test]
    fn keeps_the_slowest_in_order_and_no_more_than_promised() {
        let mut tally = Tally::default();
        for n in 0..500 {
            tally.answered(n, Some(span_of((n as u64 * 37) % 500 * 10)), 1);
        }
        assert_eq!(tally.requests, 500);
        assert_eq!(tally.slowest().len(), SLOWEST);
        assert!(
            tally
                .slowest()
                .windows(2)
                .all(|w| w[0].took() >= w[1].took())
        );
        let longest = tally.longest().expect("there were requests");
        assert!(longest.took() >= Duration::from_millis(4990));
        assert!(tally.quantile(0.5) >= Duration::from_millis(2400));
        assert!(tally.quantile(0.99) >= Duration::from_millis(4900));
    }

    #[test]
    fn a_failure_is_one_failure_and_stories_are_bounded() {
        let mut tally = Tally::default();
        assert!(tally.is_clean());
        for _ in 0..100 {
            tally.fault(Fault::Lost, 2, 0, "the connection was reset".into());
        }
        assert_eq!((tally.failed, tally.lost), (200, 200));
        assert_eq!(tally.stories().len(), FAULTS);
        assert!(!tally.is_clean());
    }

    #[test]
    fn finds_the_slowest_during_a_handover() {
        let mut tally = Tally::default();
        let before = Moment::now();
        tally.answered(1, Some(span_of(5)), 1);
        let after = Moment::from_nanos(Moment::now().nanos() + 1);
        tally.answered(2, Some(after), 1);
        let found = tally.longest_between(before, before).expect("client 1's");
        assert_eq!(found.client, 1);
        let past = Moment::from_nanos(before.nanos() - 1_000_000_000);
        assert!(tally.longest_between(past, past).is_none());
    }
}
