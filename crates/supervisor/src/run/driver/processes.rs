//! The processes of the node beside the one that serves: the one that is to take over, and those that have handed over.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, select_all};

use crate::facts::ProcessId;
use crate::life::{Ended, Signal};
use crate::node::spawn::Node;
use crate::node::{group, identity};

/// How long a process may take to end by itself that is not needed after all.
const DISMISSED: Duration = Duration::from_secs(2);

/// Which process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// The node.
    Serving,
    /// The one that is to take over from it.
    Candidate,
    /// One that has handed over: its place in the list.
    Leaving(usize),
}

/// The processes beside the node.
#[derive(Debug, Default)]
pub(super) struct Others {
    pub(super) candidate: Option<Node>,
    pub(super) leaving: Vec<Node>,
}

impl Others {
    fn all(&mut self) -> impl Iterator<Item = &mut Node> {
        self.candidate.iter_mut().chain(&mut self.leaving)
    }

    /// Sends all of them a signal.
    pub(super) fn send(&mut self, signal: Signal) {
        for node in self.all() {
            node.send(signal);
        }
    }

    /// Their process groups.
    pub(super) fn groups(&mut self) -> Vec<i32> {
        self.all().map(|node| node.group()).collect()
    }

    /// Those that have handed over, told apart from later ones with the same number.
    pub(super) fn leaving_ids(&self) -> Vec<ProcessId> {
        let ids = self.leaving.iter().map(|node| identity::of(node.pid()));
        ids.flatten().collect()
    }
}

fn end(who: Who, node: &mut Node) -> BoxFuture<'_, (Who, Ended)> {
    async move { (who, node.ended().await) }.boxed()
}

/// Waits for the next end of any of them. May be dropped and called again.
pub(super) async fn next_end(serving: &mut Option<Node>, others: &mut Others) -> (Who, Ended) {
    let mut ends: Vec<BoxFuture<'_, (Who, Ended)>> = Vec::new();
    if let Some(node) = serving {
        ends.push(end(Who::Serving, node));
    }
    if let Some(node) = &mut others.candidate {
        ends.push(end(Who::Candidate, node));
    }
    for (place, node) in others.leaving.iter_mut().enumerate() {
        ends.push(end(Who::Leaving(place), node));
    }
    if ends.is_empty() {
        return std::future::pending().await;
    }
    select_all(ends).await.0
}

/// Ends what is left of several process groups.
pub(super) async fn clear(groups: Vec<i32>, grace: Duration) -> Result<(), String> {
    let mut cleared = Ok(());
    for leader in groups {
        cleared = cleared.and(group::clear(leader, grace).await);
    }
    cleared
}

/// Sees a process off that is not needed: as a rule it has given up by itself.
pub(super) async fn dismiss(mut node: Node) {
    if tokio::time::timeout(DISMISSED, node.ended()).await.is_err() {
        tracing::warn!(
            pid = node.pid(),
            "the process that was to take over does not end; killing it"
        );
        node.send(Signal::Kill);
        node.ended().await;
    }
    if let Err(error) = group::clear(node.group(), DISMISSED).await {
        tracing::warn!(pid = node.pid(), %error, "a process that was to take over left others behind");
    }
}
