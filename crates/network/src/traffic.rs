//! Bytes to and from each peer, counted where they pass: a multiplexer around the multiplexer, whose streams count what they carry.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent, SubstreamBox};
use libp2p::futures::{AsyncRead, AsyncWrite};

use crate::Traffic;

/// Two sums. They only grow.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Meter {
    /// Bytes sent and received.
    pub(crate) fn read(&self) -> (u64, u64) {
        (
            self.sent.load(Ordering::Relaxed),
            self.received.load(Ordering::Relaxed),
        )
    }
}

/// The meters of all peers, and one over all of them. A peer's meter lives as long as a connection to it, or whoever asked for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meters {
    total: Arc<Meter>,
    peers: Arc<Mutex<HashMap<PeerId, Weak<Meter>>>>,
}

impl Meters {
    /// The meter of a peer.
    pub(crate) fn of(&self, peer: PeerId) -> Arc<Meter> {
        let mut peers = self
            .peers
            .lock()
            .expect("nothing panics while it holds the lock");
        if let Some(meter) = peers.get(&peer).and_then(Weak::upgrade) {
            return meter;
        }
        peers.retain(|_, meter| meter.strong_count() > 0);
        let meter = Arc::new(Meter::default());
        peers.insert(peer, Arc::downgrade(&meter));
        meter
    }

    /// The sum over all peers that ever were.
    pub(crate) fn total(&self) -> &Meter {
        &self.total
    }

    /// The same connection, counted.
    pub(crate) fn count(&self, peer: PeerId, connection: StreamMuxerBox) -> StreamMuxerBox {
        StreamMuxerBox::new(Counted {
            inner: connection,
            meters: Pair {
                total: self.total.clone(),
                peer: self.of(peer),
            },
        })
    }
}

#[derive(Debug, Clone)]
struct Pair {
    total: Arc<Meter>,
    peer: Arc<Meter>,
}

impl Pair {
    fn sent(&self, bytes: usize) {
        for meter in [&self.total, &self.peer] {
            meter.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    fn received(&self, bytes: usize) {
        for meter in [&self.total, &self.peer] {
            meter.received.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }
}

/// A connection or one of its streams.
struct Counted<T> {
    inner: T,
    meters: Pair,
}

impl Counted<StreamMuxerBox> {
    fn stream(&self, stream: SubstreamBox) -> Counted<SubstreamBox> {
        Counted {
            inner: stream,
            meters: self.meters.clone(),
        }
    }
}

impl StreamMuxer for Counted<StreamMuxerBox> {
    type Substream = Counted<SubstreamBox>;
    type Error = io::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Self::Substream>> {
        let stream = ready!(Pin::new(&mut self.inner).poll_inbound(cx))?;
        Poll::Ready(Ok(self.stream(stream)))
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Self::Substream>> {
        let stream = ready!(Pin::new(&mut self.inner).poll_outbound(cx))?;
        Poll::Ready(Ok(self.stream(stream)))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

impl AsyncRead for Counted<SubstreamBox> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        self.meters.received(bytes);
        Poll::Ready(Ok(bytes))
    }
}

impl AsyncWrite for Counted<SubstreamBox> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = ready!(Pin::new(&mut self.inner).poll_write(cx, buffer))?;
        self.meters.sent(bytes);
        Poll::Ready(Ok(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, buffers))?;
        self.meters.sent(bytes);
        Poll::Ready(Ok(bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

/// After this time a change of the rate shows by two thirds in `current`.
const MEMORY: Duration = Duration::from_secs(5);

/// Turns a meter's sums, read from time to time, into rates.
#[derive(Debug)]
pub(crate) struct Rates {
    since: Instant,
    sampled: Instant,
    heard: Instant,
    sums: (u64, u64),
    current: (f64, f64),
}

impl Rates {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            sampled: now,
            heard: now,
            sums: (0, 0),
            current: (0.0, 0.0),
        }
    }

    /// Takes a reading, if the last is as old as `every`.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate needs no more than 52 bits"
    )]
    pub(crate) fn sample(&mut self, sums: (u64, u64), every: Duration, now: Instant) {
        let passed = now.saturating_duration_since(self.sampled);
        if passed < every {
            return;
        }
        let passed = passed.as_secs_f64();
        let weight = 1.0 - (-passed / MEMORY.as_secs_f64()).exp();
        let follow = |current: &mut f64, new: u64, old: u64| {
            *current += weight * (new.saturating_sub(old) as f64 / passed - *current);
        };
        follow(&mut self.current.0, sums.0, self.sums.0);
        follow(&mut self.current.1, sums.1, self.sums.1);
        if sums.1 != self.sums.1 {
            self.heard = now;
        }
        self.sums = sums;
        self.sampled = now;
    }

    /// When the received bytes were last seen to have grown.
    pub(crate) fn heard(&self) -> Instant {
        self.heard
    }

    /// Sums and rates as of now.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates are positive and far below 2^64"
    )]
    pub(crate) fn traffic(&self, (sent, received): (u64, u64), now: Instant) -> Traffic {
        // in the first second the average is over one second, as nothing else makes sense
        let millis = u64::try_from(now.saturating_duration_since(self.since).as_millis())
            .unwrap_or(u64::MAX)
            .max(1000);
        let average = |sum: u64| {
            u64::try_from(u128::from(sum) * 1000 / u128::from(millis)).unwrap_or(u64::MAX)
        };
        Traffic {
            sent,
            received,
            average_sent: average(sent),
            average_received: average(received),
            current_sent: self.current.0 as u64,
            current_received: self.current.1 as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_flow_shows_in_both_rates_and_its_end_in_the_current_one() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut rates = Rates::new(start);
        for second in 1..=60 {
            rates.sample(
                (1000 * second, 10 * second),
                Duration::from_secs(1),
                at(second),
            );
        }
        let flowing = rates.traffic((60_000, 600), at(60));
        assert_eq!((flowing.average_sent, flowing.average_received), (1000, 10));
        assert!((990..=1000).contains(&flowing.current_sent), "{flowing:?}");
        for second in 61..=120 {
            rates.sample((60_000, 600), Duration::from_secs(1), at(second));
        }
        let quiet = rates.traffic((60_000, 600), at(120));
        assert_eq!((quiet.average_sent, quiet.current_sent), (500, 0));
    }

    #[test]
    fn a_meter_is_shared_while_it_lives_and_forgotten_after() {
        let meters = Meters::default();
        let peer = PeerId::random();
        let first = meters.of(peer);
        first.sent.fetch_add(5, Ordering::Relaxed);
        assert_eq!(meters.of(peer).read(), (5, 0));
        drop(first);
        assert_eq!(meters.of(peer).read(), (0, 0));
        assert_eq!(meters.peers.lock().unwrap().len(), 1);
    }
}
