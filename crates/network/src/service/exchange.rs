//! Requests and answers.

use std::collections::HashMap;

use bytes::Bytes;
use libp2p::PeerId;
use libp2p::request_response::{
    self, InboundRequestId, OutboundFailure, OutboundRequestId, ResponseChannel,
};

use super::Service;
use crate::codec::Request;
use crate::{Event, InboundId, Limits, Penalty, RequestFailure, RequestId};

type Channel = ResponseChannel<Bytes>;

/// A request of ours that is under way.
#[derive(Debug)]
struct Outbound {
    id: RequestId,
    cancelled: bool,
}

/// A peer's request that waits for an answer.
#[derive(Debug)]
struct Inbound {
    peer: PeerId,
    inner: InboundRequestId,
    channel: Channel,
}

/// What is under way.
#[derive(Debug)]
pub(super) struct Exchange {
    outbound: HashMap<OutboundRequestId, Outbound>,
    inbound: HashMap<InboundId, Inbound>,
    next: u64,
    outbound_limit: usize,
    inbound_limit: usize,
    inbound_per_peer: usize,
}

impl Exchange {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            outbound: HashMap::new(),
            inbound: HashMap::new(),
            next: 1,
            outbound_limit: limits.outbound_requests,
            inbound_limit: limits.inbound_requests,
            inbound_per_peer: limits.inbound_requests_per_peer,
        }
    }

    /// Requests of peers that wait for an answer.
    pub(super) fn waiting(&self) -> usize {
        self.inbound.len()
    }

    /// libp2p cannot take a request back: it still counts until it is answered or times out.
    pub(super) fn cancel(&mut self, id: RequestId) {
        for outbound in self
            .outbound
            .values_mut()
            .filter(|outbound| outbound.id == id)
        {
            outbound.cancelled = true;
        }
    }
}

impl Service {
    pub(super) fn request(&mut self, id: RequestId, peer: PeerId, bytes: Bytes) {
        let connected = self
            .peers
            .get(&peer)
            .is_some_and(|peer| peer.introduction.is_some());
        let refused = if bytes.len() > self.settings.limits.request_bytes {
            Some(RequestFailure::TooLarge)
        } else if !connected {
            Some(RequestFailure::NotConnected)
        } else if self.exchange.outbound.len() >= self.exchange.outbound_limit {
            Some(RequestFailure::Busy)
        } else {
            None
        };
        if let Some(reason) = refused {
            self.shared.counts.requests_failed.more();
            self.emit(Event::RequestFailed {
                id,
                from: peer,
                reason,
            });
            return;
        }
        let sent = self
            .swarm
            .behaviour_mut()
            .requests
            .send_request(&peer, Request::Bytes(bytes));
        self.exchange.outbound.insert(
            sent,
            Outbound {
                id,
                cancelled: false,
            },
        );
        self.shared.counts.requests_sent.more();
    }

    pub(super) fn respond(&mut self, id: InboundId, bytes: Bytes) {
        // it may have timed out meanwhile, which was told
        let Some(inbound) = self.take_inbound(id) else {
            return;
        };
        let (size, limit) = (bytes.len(), self.settings.limits.response_bytes);
        if size > limit {
            tracing::warn!(peer = %inbound.peer, size, limit, "an answer is larger than the limit and was not sent");
            return;
        }
        if self
            .swarm
            .behaviour_mut()
            .requests
            .send_response(inbound.channel, bytes)
            .is_err()
        {
            tracing::debug!(peer = %inbound.peer, "an answer came too late");
        }
    }

    pub(super) fn drop_request(&mut self, id: InboundId) {
        self.take_inbound(id);
    }

    fn take_inbound(&mut self, id: InboundId) -> Option<Inbound> {
        let inbound = self.exchange.inbound.remove(&id)?;
        if let Some(peer) = self.peers.get_mut(&inbound.peer) {
            peer.asking = peer.asking.saturating_sub(1);
        }
        self.shared
            .counts
            .pending_requests
            .set(self.exchange.inbound.len());
        Some(inbound)
    }

    pub(super) fn exchanged(&mut self, event: request_response::Event<Request, Bytes>) {
        use request_response::Message;
        match event {
            request_response::Event::Message {
                peer,
                message:
                    Message::Request {
                        request_id,
                        request,
                        channel,
                    },
                ..
            } => match request {
                Request::Bytes(bytes) => self.asked(
                    Inbound {
                        peer,
                        inner: request_id,
                        channel,
                    },
                    bytes,
                ),
                Request::TooLarge(reason) => self.charge(
                    peer,
                    Penalty::ILLEGAL,
                    &format!("a request that is too large: {reason}"),
                ),
            },
            request_response::Event::Message {
                peer,
                message:
                    Message::Response {
                        request_id,
                        response,
                    },
                ..
            } => {
                if let Some(Outbound {
                    id,
                    cancelled: false,
                }) = self.exchange.outbound.remove(&request_id)
                {
                    self.emit(Event::Response {
                        id,
                        from: peer,
                        bytes: response,
                    });
                }
            }
            request_response::Event::OutboundFailure {
                peer,
                request_id,
                error,
                ..
            } => {
                let too_large = matches!(&error, OutboundFailure::Io(error) if error.kind() == std::io::ErrorKind::InvalidData);
                if too_large {
                    self.charge(
                        peer,
                        Penalty::ILLEGAL,
                        &format!("an answer that is too large: {error}"),
                    );
                }
                self.shared.counts.requests_failed.more();
                if let Some(Outbound {
                    id,
                    cancelled: false,
                }) = self.exchange.outbound.remove(&request_id)
                {
                    tracing::debug!(%peer, %id, %error, "a request failed");
                    self.emit(Event::RequestFailed {
                        id,
                        from: peer,
                        reason: reason(&error),
                    });
                }
            }
            request_response::Event::InboundFailure {
                peer,
                request_id,
                error,
                ..
            } => {
                tracing::debug!(%peer, %error, "a peer's request failed");
                let id = self
                    .exchange
                    .inbound
                    .iter()
                    .find(|(_, inbound)| inbound.inner == request_id)
                    .map(|(id, _)| *id);
                // not there if it is one that was refused or dropped here
                if let Some(id) = id {
                    self.take_inbound(id);
                    self.emit(Event::InboundFailed { id, from: peer });
                }
            }
            request_response::Event::ResponseSent { .. } => {}
        }
    }

    /// A peer asks something.
    fn asked(&mut self, inbound: Inbound, bytes: Bytes) {
        self.shared.counts.requests_received.more();
        let (id, from) = (InboundId(self.exchange.next), inbound.peer);
        self.exchange.next += 1;
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        if peer.asking >= self.exchange.inbound_per_peer
            || self.exchange.inbound.len() >= self.exchange.inbound_limit
        {
            self.shared.counts.requests_refused.more();
            tracing::debug!(peer = %from, "a request was refused: too many wait for an answer");
            return;
        }
        let event = Event::Request { id, from, bytes };
        if peer.introduction.is_none() {
            if peer.keep(event) {
                peer.asking += 1;
                self.exchange.inbound.insert(id, inbound);
            }
            return;
        }
        peer.asking += 1;
        self.exchange.inbound.insert(id, inbound);
        self.shared
            .counts
            .pending_requests
            .set(self.exchange.inbound.len());
        self.emit(event);
    }
}

fn reason(error: &OutboundFailure) -> RequestFailure {
    match error {
        OutboundFailure::DialFailure => RequestFailure::NotConnected,
        OutboundFailure::Timeout => RequestFailure::Timeout,
        OutboundFailure::ConnectionClosed => RequestFailure::ConnectionClosed,
        OutboundFailure::UnsupportedProtocols => RequestFailure::Unsupported,
        OutboundFailure::Io(_) => RequestFailure::Io,
    }
}
