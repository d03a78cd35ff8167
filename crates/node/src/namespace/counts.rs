//! What consensus and the network count, for `/metrics`.

use baton_api::{Figure, Figures};
use baton_consensus::{Engine, Outlook};
use baton_network::{Network, Topic};

/// Where to look.
pub(super) struct Counts {
    consensus: Outlook,
    network: Network,
}

impl Counts {
    pub(super) fn new(engine: &Engine, network: &Network) -> Self {
        Self {
            consensus: engine.outlook(),
            network: network.clone(),
        }
    }
}

impl Figures for Counts {
    fn figures(&self) -> Vec<Figure> {
        let figures = self.consensus.figures();
        let guard = figures.guard;
        let counters = self.network.counters();
        let mut all: Vec<Figure> = [
            ("consensus_committed", "Blocks committed", figures.committed),
            (
                "consensus_synced",
                "Blocks fetched from peers",
                figures.synced,
            ),
            (
                "consensus_extra_rounds",
                "Rounds beyond the first of a height",
                figures.extra_rounds,
            ),
            (
                "consensus_drafted",
                "Blocks proposed by this node",
                figures.drafted,
            ),
            (
                "consensus_refused_blocks",
                "Proposed blocks that were refused",
                figures.refused_blocks,
            ),
            (
                "consensus_equivocations",
                "Validators caught signing twice",
                figures.equivocations,
            ),
            (
                "consensus_unreadable",
                "Messages of peers that could not be read",
                figures.unreadable,
            ),
            (
                "consensus_wal_flushes",
                "Flushes of the write-ahead log",
                figures.wal_flushes,
            ),
            (
                "consensus_commit_microseconds",
                "Time spent in committing blocks",
                figures.commit_micros,
            ),
            ("guard_signed", "Signatures made", guard.signed),
            ("guard_repeated", "Signatures given again", guard.repeated),
            ("guard_refused", "Signatures refused", guard.refused),
            (
                "network_sent_bytes",
                "Bytes sent to peers",
                counters.bytes_sent,
            ),
            (
                "network_received_bytes",
                "Bytes received from peers",
                counters.bytes_received,
            ),
            (
                "network_requests_failed",
                "Requests to peers that failed",
                counters.requests_failed,
            ),
            (
                "network_requests_refused",
                "Requests of peers refused because too many waited",
                counters.requests_refused,
            ),
            ("network_dials", "Dials that led to a peer", counters.dials),
            (
                "network_dials_failed",
                "Dials that failed",
                counters.dials_failed,
            ),
            (
                "network_refused",
                "Connections of peers refused",
                counters.refused,
            ),
            ("network_bans", "Bans imposed", counters.bans),
            (
                "network_stalls",
                "Times that reading from peers waited for consensus",
                counters.stalls,
            ),
        ]
        .into_iter()
        .map(|(name, help, value)| grows(name, help, None, value))
        .collect();
        for (name, help, counts) in [
            (
                "network_published",
                "Messages published here",
                counters.published,
            ),
            ("network_received", "Messages received", counters.received),
            (
                "network_dropped",
                "Messages that slow peers did not get or nobody took here",
                counters.dropped,
            ),
        ] {
            let by_topic = Topic::ALL.into_iter().zip(counts);
            all.extend(
                by_topic
                    .map(|(topic, count)| grows(name, help, Some(("topic", topic.name())), count)),
            );
        }
        all
    }
}

fn grows(
    name: &'static str,
    help: &'static str,
    label: Option<(&'static str, &'static str)>,
    value: u64,
) -> Figure {
    Figure {
        name,
        help,
        grows: true,
        label,
        value,
    }
}
