//! A load generator that counts exactly what a server's clients suffer.
//!
//! Clients come in groups of one kind with one target. Each client is a task that asks, pauses,
//! asks again, and notes in its group's [`Tally`] every answer and every fault: a connection
//! refused, a connection that ended with a request on the wire, a byte that is not the one that
//! belongs at its position. What a group sees is exact for its clients; what a request took has
//! this process's own scheduling in it, so let the generator have a core.
//!
//! Requests are counted always, and timed from when every client has had an answer until the stop.
//! A client asks again only when it has its answer, so a server that stands still for a second shows as
//! one long request per client in `longest`, and hardly in the quantiles.
//!
//! ```no_run
//! # async fn example(web: std::net::SocketAddr, echo: std::net::SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use baton_bench::load::{Group, Kind, Load};
//!
//! let load = Load::start([
//!     Group::new(Kind::Fresh, web, 8),
//!     Group::new(Kind::KeepAlive, web, 8),
//!     Group::new(Kind::Echo, echo, 1000).silent(100).stalled(10),
//! ]);
//! load.ready(Duration::from_secs(10)).await?;
//! // hand over, as often as wanted
//! let report = load.stop().await;
//! assert!(report.is_clean(), "{}", report.json());
//! # Ok(())
//! # }
//! ```

mod client;
mod datagram;
mod echo;
mod group;
pub(crate) mod http;
mod moment;
mod random;
mod tally;
mod web;
mod websocket;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use client::{Client, Common, Steady};
pub use group::{Group, Kind};
pub use http::{get, number_after};
pub use moment::Moment;
pub use tally::{Fault, Span, Story, Tally};

/// So many clients connect at the same time; more would overflow listening queues.
const CONNECTING: usize = 64;

/// Clients at work.
#[derive(Debug)]
pub struct Load {
    groups: Vec<Arc<Common>>,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    ready: watch::Receiver<usize>,
    began: Moment,
}

/// Not every client got its first answer in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{ready} of {clients} clients have had an answer after {within:?}; first fault: {first}")]
pub struct NotReady {
    /// Clients that have had an answer.
    pub ready: usize,
    /// All clients.
    pub clients: usize,
    /// The limit that was given.
    pub within: Duration,
    /// The first fault that any client saw.
    pub first: String,
}

/// What all the groups saw.
#[derive(Debug, Clone)]
pub struct Report {
    /// When the clients began.
    pub began: Moment,
    /// When the last of them had ended.
    pub ended: Moment,
    /// Clients that had not ended when their patience was over; they were abandoned.
    pub abandoned: usize,
    /// Each group, in the order in which they were given.
    pub groups: Vec<(Kind, Tally)>,
}

impl Load {
    /// Sets the clients to work on the current tokio runtime.
    pub fn start(groups: impl IntoIterator<Item = Group>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (ready_sender, ready) = watch::channel(0);
        let ready_sender = Arc::new(ready_sender);
        let steady = Arc::new(Steady::not_yet());
        let connecting = Arc::new(Semaphore::new(CONNECTING));
        let mut tasks = JoinSet::new();
        let mut commons = Vec::new();
        let groups: Vec<Group> = groups.into_iter().collect();
        let wanted = groups.iter().map(|group| group.clients).sum();
        for group in groups {
            let tally = Tally::of(group.clients);
            let common = Arc::new(Common {
                group,
                tally: Mutex::new(tally),
                ready: ready_sender.clone(),
                wanted,
                steady: steady.clone(),
                connecting: connecting.clone(),
            });
            for number in 0..common.group.clients {
                tasks.spawn(Client::new(number, common.clone(), stopped.clone()).run());
            }
            commons.push(common);
        }
        Self {
            groups: commons,
            tasks,
            stop,
            ready,
            began: Moment::now(),
        }
    }

    /// Waits until every client has had its first answer.
    pub async fn ready(&self, within: Duration) -> Result<(), NotReady> {
        let clients = self.groups.iter().map(|g| g.group.clients).sum();
        let mut ready = self.ready.clone();
        let all = timeout(within, ready.wait_for(|ready| *ready >= clients)).await;
        if matches!(all, Ok(Ok(_))) {
            return Ok(());
        }
        let first = self.groups.iter().find_map(|common| {
            let tally = common.tally();
            tally.stories().first().map(|story| story.what.clone())
        });
        Err(NotReady {
            ready: *self.ready.borrow(),
            clients,
            within,
            first: first.unwrap_or_else(|| "none".to_owned()),
        })
    }

    /// What was seen so far.
    pub fn snapshot(&self) -> Report {
        self.report(0)
    }

    /// Whether all clients have ended by themselves, having made as many requests as they may.
    pub async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Lets every client finish what is on the wire and check it, and end.
    pub async fn stop(mut self) -> Report {
        self.stop.send_replace(true);
        let patience = self.groups.iter().map(|g| g.group.patience).max();
        // A client ends within its patience; twice that is a limit no working client meets.
        let limit = patience.unwrap_or_default() * 2 + Duration::from_secs(1);
        let _ = timeout(limit, async {
            while self.tasks.join_next().await.is_some() {}
        })
        .await;
        let abandoned = self.tasks.len();
        self.tasks.shutdown().await;
        self.report(abandoned)
    }

    fn report(&self, abandoned: usize) -> Report {
        let groups = self.groups.iter();
        Report {
            began: self.began,
            ended: Moment::now(),
            abandoned,
            groups: groups
                .map(|common| (common.group.kind, common.tally().clone()))
                .collect(),
        }
    }
}

impl Report {
    /// No group saw a fault, and no client had to be abandoned.
    pub fn is_clean(&self) -> bool {
        self.abandoned == 0 && self.groups.iter().all(|(_, tally)| tally.is_clean())
    }

    /// What the first group of this kind saw.
    pub fn of(&self, kind: Kind) -> Option<&Tally> {
        let found = self.groups.iter().find(|(k, _)| *k == kind);
        found.map(|(_, tally)| tally)
    }

    /// The sum over all groups of what `count` takes from a tally.
    pub fn sum(&self, count: impl Fn(&Tally) -> u64) -> u64 {
        self.groups.iter().map(|(_, tally)| count(tally)).sum()
    }

    /// The slowest request of all, and who made it.
    pub fn longest(&self) -> Option<(Kind, Span)> {
        let each = self.groups.iter();
        each.filter_map(|(kind, tally)| Some((*kind, tally.longest()?)))
            .max_by_key(|(_, span)| span.took())
    }

    /// Everything as one object; times in milliseconds, moments in nanoseconds of the monotonic clock.
    pub fn json(&self) -> Value {
        let groups = self.groups.iter().map(|(kind, tally)| {
            let mut group = json!({ "kind": kind.name() });
            if let (Value::Object(group), Value::Object(tally)) = (&mut group, tally.json()) {
                group.extend(tally);
            }
            group
        });
        json!({
            "seconds": tally::ms(self.ended.since(self.began)) / 1000.0,
            "began_ns": self.began.nanos(),
            "ended_ns": self.ended.nanos(),
            "clean": self.is_clean(),
            "abandoned": self.abandoned,
            "groups": groups.collect::<Vec<_>>(),
        })
    }
}
