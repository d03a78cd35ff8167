//! Where an HTTP/1 connection stands, inferred from what hyper does.
//!
//! hyper does not tell whether it is between two requests, and being wrong there would lose or double one. But it does few
//! things, in a fixed order, and each can be seen from outside: it calls the service, reads or drops the request's body, drops
//! the response's body when all of it is buffered, flushes, and only then reads towards the next head. So a read that comes after
//! a finished flush, with the response's body gone and the request's body settled, is a read at the boundary. At that point
//! hyper holds nothing but bytes that it read and did not use, and those it gives back.

use crate::connections::Asked;

/// The state of one connection. Pure: told of events, asked for permissions.
#[derive(Debug)]
pub(super) struct Track {
    /// Times hyper was run.
    runs: u64,
    wanted: Asked,
    request: Option<Exchange>,
    /// hyper reads towards a request head, and holds no more than a part of one.
    at_head: bool,
    /// Bytes received of that head.
    received: usize,
    fate: Fate,
    /// Progress of writing, and whether the peer holds it up.
    written: u64,
    stalled: bool,
}

/// Whether the connection can go on as HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    /// It ends: at the end of the stream, by an error, or with the refusal of a malformed head.
    Ending,
    /// Another protocol has it.
    Upgraded,
}

/// A request from the call of the service to the next boundary.
#[derive(Debug)]
struct Exchange {
    body: Body,
    response_gone: bool,
    flushed: bool,
}

/// The body of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Still arriving, or not yet read by the service.
    Open,
    /// Read to its end.
    Ended,
    /// Dropped before its end in this run of hyper. hyper notices in the next run and either skips the rest, if it is here
    /// already, or closes.
    Dropped { run: u64 },
}

/// What a connection waits for; each has its own limit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// The first byte of the next request.
    Idle,
    /// The rest of a request head.
    Head,
    /// The peer to take bytes, after so many.
    Peer { written: u64 },
    /// The service, or the peer's request body: the service's business.
    Service,
}

impl Track {
    pub(super) fn new() -> Self {
        Self {
            runs: 0,
            wanted: Asked::Stay,
            request: None,
            at_head: false,
            received: 0,
            fate: Fate::Open,
            written: 0,
            stalled: false,
        }
    }

    /// The handover wants something else.
    pub(super) fn want(&mut self, asked: Asked) {
        self.wanted = asked;
    }

    pub(super) fn wants(&self, asked: Asked) -> bool {
        self.wanted == asked
    }

    pub(super) fn leaving(&self) -> bool {
        self.wanted == Asked::Leave
    }

    /// hyper is about to run.
    pub(super) fn run(&mut self) {
        self.runs += 1;
    }

    /// hyper called the service.
    pub(super) fn call(&mut self, has_body: bool) {
        self.at_head = false;
        self.received = 0;
        self.request = Some(Exchange {
            body: if has_body { Body::Open } else { Body::Ended },
            response_gone: false,
            flushed: false,
        });
    }

    /// The service read the request's body to its end.
    pub(super) fn body_ended(&mut self) {
        if let Some(request) = &mut self.request {
            request.body = Body::Ended;
        }
    }

    /// The service dropped the request's body before its end.
    pub(super) fn body_dropped(&mut self) {
        let run = self.runs;
        if let Some(request) = &mut self.request {
            request.body = Body::Dropped { run };
        }
    }

    /// hyper dropped the response's body: it has buffered all of the response.
    pub(super) fn response_gone(&mut self) {
        if let Some(request) = &mut self.request {
            request.response_gone = true;
        }
    }

    /// The response makes the connection another protocol's.
    pub(super) fn upgrade(&mut self) {
        self.fate = Fate::Upgraded;
    }

    /// hyper's buffered bytes were all taken.
    pub(super) fn flushed(&mut self) {
        self.stalled = false;
        if let Some(request) = &mut self.request {
            request.flushed |= request.response_gone;
        }
    }

    /// The peer holds up writing.
    pub(super) fn stalled(&mut self) {
        self.stalled = true;
    }

    /// hyper wrote some bytes.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
        self.stalled = false;
        // an answer without a call of the service refuses a malformed head, and the connection with it
        if self.request.is_none() || self.at_head {
            self.end();
        }
    }

    /// hyper wants to read; whether it may. While the connection is to move, only a request that has begun is read on.
    pub(super) fn may_read(&mut self) -> bool {
        if self.fate == Fate::Upgraded {
            return true;
        }
        self.at_head |= self.fate == Fate::Open
            && self
                .request
                .as_ref()
                .is_none_or(|request| request.flushed && self.settled(request));
        let arriving = self
            .request
            .as_ref()
            .is_some_and(|request| !self.settled(request));
        self.wanted != Asked::Move || self.fate != Fate::Open || arriving
    }

    /// hyper has read so many bytes; none at the end of the stream.
    pub(super) fn read(&mut self, bytes: usize) {
        if bytes == 0 {
            self.end();
        }
        if self.at_head {
            self.received += bytes;
        }
    }

    /// Reading failed.
    pub(super) fn broken(&mut self) {
        self.end();
    }

    /// Whether the connection is to move and can.
    pub(super) fn moves(&self) -> bool {
        self.wanted == Asked::Move && self.at_head && self.fate == Fate::Open
    }

    /// Whether hyper has to run again, though nothing happened, before it is known where the connection stands.
    pub(super) fn unsettled(&self) -> bool {
        let dropped = |request: &Exchange| {
            matches!(request.body, Body::Dropped { .. }) && !self.settled(request)
        };
        self.wanted == Asked::Move
            && self.fate == Fate::Open
            && self.request.as_ref().is_some_and(dropped)
    }

    pub(super) fn waiting(&self) -> Waiting {
        match (self.at_head, self.received) {
            _ if self.stalled => Waiting::Peer {
                written: self.written,
            },
            (true, 0) => Waiting::Idle,
            (true, _) => Waiting::Head,
            (false, _) => Waiting::Service,
        }
    }

    fn end(&mut self) {
        if self.fate == Fate::Open {
            self.fate = Fate::Ending;
        }
    }

    /// Whether the bytes of the request's body are behind us: hyper does not read towards them any more.
    fn settled(&self, request: &Exchange) -> bool {
        match request.body {
            Body::Open => false,
            Body::Ended => true,
            Body::Dropped { run } => self.runs > run + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_to_move() -> Track {
        let mut track = Track::new();
        track.want(Asked::Move);
        track.run();
        track
    }

    #[test]
    fn a_fresh_connection_moves_before_its_first_request() {
        let mut track = asked_to_move();
        assert!(!track.moves(), "hyper has not looked yet");
        assert!(!track.may_read());
        assert!(track.moves());
    }

    #[test]
    fn a_request_holds_the_connection_until_it_is_answered_and_flushed() {
        let mut track = asked_to_move();
        track.call(true);
        assert!(track.may_read(), "its body is read on");
        track.body_ended();
        assert!(!track.may_read() && !track.moves());
        track.wrote(10);
        track.flushed();
        assert!(
            !track.may_read() && !track.moves(),
            "more of the response comes"
        );
        track.response_gone();
        assert!(!track.may_read() && !track.moves(), "not flushed");
        track.flushed();
        assert!(!track.moves(), "hyper may be closing");
        assert!(!track.may_read());
        assert!(track.moves());
    }

    #[test]
    fn a_dropped_body_is_settled_after_another_run() {
        let mut track = asked_to_move();
        track.call(true);
        track.body_dropped();
        track.response_gone();
        track.flushed();
        assert!(track.unsettled());
        track.run();
        assert!(track.may_read(), "hyper skips the rest");
        assert!(!track.moves());
        track.run();
        assert!(!track.unsettled() && !track.may_read());
        assert!(track.moves());
    }

    #[test]
    fn an_unread_body_in_other_hands_holds_the_connection() {
        let mut track = asked_to_move();
        track.call(true);
        track.response_gone();
        track.flushed();
        track.run();
        assert!(track.may_read() && !track.moves() && !track.unsettled());
        track.body_ended();
        assert!(!track.may_read());
        assert!(track.moves());
    }

    #[test]
    fn what_ends_does_not_move() {
        let mut malformed = asked_to_move();
        malformed.may_read();
        malformed.wrote(90);
        assert!(!malformed.moves());
        let mut ended = Track::new();
        ended.run();
        assert!(ended.may_read());
        ended.read(0);
        ended.want(Asked::Move);
        assert!(!ended.moves());
        let mut upgraded = asked_to_move();
        upgraded.call(false);
        upgraded.upgrade();
        upgraded.response_gone();
        upgraded.flushed();
        assert!(upgraded.may_read() && !upgraded.moves());
    }

    #[test]
    fn tells_what_it_waits_for() {
        let mut track = Track::new();
        track.run();
        track.may_read();
        assert_eq!(track.waiting(), Waiting::Idle);
        track.read(3);
        track.may_read();
        assert_eq!(track.waiting(), Waiting::Head);
        track.call(false);
        assert_eq!(track.waiting(), Waiting::Service);
        track.wrote(7);
        track.stalled();
        assert_eq!(track.waiting(), Waiting::Peer { written: 7 });
    }
}
