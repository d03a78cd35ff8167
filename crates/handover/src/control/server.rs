//! The side that is asked.
//!
//! Requests are read away from whoever acts on them, one task a client, with a deadline each and a bound on their number: a client that says
//! nothing, too much or nonsense costs the server a refusal in its log and nothing else. Status is answered here, so it is
//! answered in the middle of a handover too.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use tokio::io::Interest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::{Busy, Envelope, Generation, Introduction, Progress, Reply, Request, UpgradeRequest};
use super::{VERSION, wire};
use crate::channel::{Channel, ChannelError, Peer};
use crate::report::Report;
use crate::sys::Registered;

/// How many clients may be connected.
const CLIENTS: usize = 32;

/// How many requests may wait for the driver.
const WAITING: usize = 8;

/// How long a client may take to say what it wants, and to take in a reply.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a foreign user's request may take to come before it is refused unread.
const FOREIGN: Duration = Duration::from_secs(1);

/// How many replies may wait for one client.
const REPLIES: usize = 64;

/// How long not to accept when the process is out of descriptors.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// What was asked that needs more than an answer.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// Hand over.
    Upgrade(Peer, UpgradeRequest, Requester),
    /// Take back what was handed over in staged mode.
    RollBack(Peer, Requester),
    /// The client is the successor, and this is the channel.
    Join(Peer, Channel),
    /// A supervisor brings the channel to a successor.
    Introduce(Peer, Introduction, Channel, Requester),
}

/// Listens for requests until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    incoming: mpsc::Receiver<Incoming>,
    // Ends the tasks when dropped.
    _clients: JoinSet<()>,
}

impl Server {
    /// Serves a listening socket (`SOCK_SEQPACKET`, non-blocking), within a tokio runtime. `status` is called for each who asks, and
    /// must not block.
    pub(crate) fn start(
        listener: OwnedFd,
        status: impl Fn() -> Generation + Send + Sync + 'static,
    ) -> Result<Self, ChannelError> {
        let listener = Registered::new(Arc::new(listener), Interest::READABLE);
        let listener = listener.map_err(|source| ChannelError::System {
            doing: "listen for",
            source,
        })?;
        let (hand_over, incoming) = mpsc::channel(WAITING);
        let desk = Desk {
            status: Arc::new(status),
            hand_over,
            places: Arc::new(Semaphore::new(CLIENTS)),
        };
        let mut clients = JoinSet::new();
        clients.spawn(accept(listener, desk));
        Ok(Self {
            incoming,
            _clients: clients,
        })
    }

    /// The next request. May be cancelled without loss.
    pub(crate) async fn next(&mut self) -> Option<Incoming> {
        self.incoming.recv().await
    }
}

#[derive(Clone)]
struct Desk {
    status: Arc<dyn Fn() -> Generation + Send + Sync>,
    hand_over: mpsc::Sender<Incoming>,
    places: Arc<Semaphore>,
}

// A place first, then a client: whoever comes when all places are taken waits in the kernel's queue.
async fn accept(listener: Registered, desk: Desk) {
    let mut clients = JoinSet::new();
    while let Ok(place) = desk.places.clone().acquire_owned().await {
        let Some(socket) = next_client(&listener).await else {
            return;
        };
        while clients.try_join_next().is_some() {}
        clients.spawn(serve(socket, desk.clone(), place));
    }
}

async fn next_client(listener: &Registered) -> Option<OwnedFd> {
    loop {
        let mut ready = listener.readable().await.ok()?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        match accept_with(listener, flags) {
            Ok(socket) => return Some(socket),
            Err(Errno::AGAIN) => ready.clear_ready(),
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(error) => {
                warn!(%error, "accepting on the control socket; trying again in {} ms", EXHAUSTED.as_millis());
                tokio::time::sleep(EXHAUSTED).await;
            }
        }
    }
}

async fn serve(socket: OwnedFd, desk: Desk, place: OwnedSemaphorePermit) {
    let (channel, peer) = match Channel::new(socket).and_then(|c| c.peer().map(|peer| (c, peer))) {
        Ok(known) => known,
        Err(error) => {
            debug!(%error, "a client on the control socket is gone already");
            return;
        }
    };
    let own = rustix::process::geteuid().as_raw();
    if !may_ask(own, peer.uid) {
        warn!(
            pid = peer.pid,
            uid = peer.uid,
            "a foreign user on the control socket; refused"
        );
        let reason = format!(
            "user {} may not ask; only user {own} and root may",
            peer.uid
        );
        // Taken in and not looked at: a socket that is closed with something unread makes its peer lose what was answered.
        let _ = timeout(FOREIGN, channel.receive()).await;
        refuse(&channel, reason).await;
        return;
    }
    match timeout(PATIENCE, first(&channel)).await {
        Ok(Ok((request, descriptors))) => {
            answer(channel, peer, request, descriptors, desk, place).await;
        }
        // Somebody only looked whether we live.
        Ok(Err(NotAsked::Gone)) => {}
        Ok(Err(NotAsked::Wrong(reason))) => {
            warn!(pid = peer.pid, uid = peer.uid, %reason, "a request on the control socket is refused");
            refuse(&channel, reason).await;
        }
        Err(_) => {
            warn!(
                pid = peer.pid,
                uid = peer.uid,
                "a client on the control socket asked nothing for {} s; closed",
                PATIENCE.as_secs()
            );
        }
    }
}

/// The server's own user and root. (A user that the server's namespace does not know appears as 65534, and may not.)
fn may_ask(own: u32, uid: u32) -> bool {
    uid == own || uid == 0
}

enum NotAsked {
    Gone,
    Wrong(String),
}

async fn first(channel: &Channel) -> Result<(Request, Vec<OwnedFd>), NotAsked> {
    let packet = channel.receive().await.map_err(|error| match error {
        ChannelError::Closed => NotAsked::Gone,
        other => NotAsked::Wrong(other.to_string()),
    })?;
    let (envelope, _) = packet
        .open::<Envelope>()
        .map_err(|error| NotAsked::Wrong(error.to_string()))?;
    if envelope.version != VERSION {
        return Err(NotAsked::Wrong(format!(
            "asked in version {} of the control protocol, this server speaks {VERSION}",
            envelope.version
        )));
    }
    Ok((envelope.request, packet.descriptors))
}

async fn answer(
    channel: Channel,
    peer: Peer,
    request: Request,
    mut descriptors: Vec<OwnedFd>,
    desk: Desk,
    place: OwnedSemaphorePermit,
) {
    let wanted = usize::from(matches!(request, Request::Introduce(_)));
    if descriptors.len() != wanted {
        let came = descriptors.len();
        let reason = format!("the request comes with {came} descriptors instead of {wanted}");
        return refuse(&channel, reason).await;
    }
    let incoming = match request {
        Request::Status => {
            let status = Reply::Status(Box::new((desk.status)()));
            return reply(&channel, &status).await;
        }
        Request::Upgrade(request) => Incoming::Upgrade(peer, request, requester(channel, place)),
        Request::RollBack => Incoming::RollBack(peer, requester(channel, place)),
        Request::Join => Incoming::Join(peer, channel),
        Request::Introduce(introduction) => {
            let end = descriptors.pop().expect("there is one");
            match seqpacket(end) {
                Ok(end) => {
                    let requester = requester(channel, place);
                    Incoming::Introduce(peer, introduction, end, requester)
                }
                Err(reason) => return refuse(&channel, reason).await,
            }
        }
    };
    match desk.hand_over.try_send(incoming) {
        Ok(()) => {}
        Err(mpsc::error::TrySendError::Full(incoming)) => {
            let reason = format!("more than {WAITING} requests wait already; try again later");
            turn_back(incoming, reason).await;
        }
        Err(mpsc::error::TrySendError::Closed(incoming)) => {
            turn_back(incoming, "this generation is ending".to_owned()).await;
        }
    }
}

async fn turn_back(incoming: Incoming, reason: String) {
    match incoming {
        Incoming::Join(_, channel) => refuse(&channel, reason).await,
        Incoming::Upgrade(_, _, requester)
        | Incoming::RollBack(_, requester)
        | Incoming::Introduce(_, _, _, requester) => requester.refuse(reason).await,
    }
}

fn seqpacket(end: OwnedFd) -> Result<Channel, String> {
    use rustix::net::{AddressFamily, SocketType, sockopt};
    let kind = (sockopt::socket_domain(&end), sockopt::socket_type(&end));
    if kind != (Ok(AddressFamily::UNIX), Ok(SocketType::SEQPACKET)) {
        return Err("the descriptor is no Unix socket of type SOCK_SEQPACKET".to_owned());
    }
    Channel::new(end).map_err(|error| error.to_string())
}

async fn refuse(channel: &Channel, reason: String) {
    reply(channel, &Reply::Refused { reason }).await;
}

async fn reply(channel: &Channel, message: &Reply) {
    match timeout(PATIENCE, wire::send(channel, message)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a client left before its answer"),
        Err(_) => debug!(
            "a client did not take its answer for {} s",
            PATIENCE.as_secs()
        ),
    }
}

/// The client who waits for the end of what it asked for. Nothing it does or fails to do holds up the handover.
#[derive(Debug)]
pub(crate) struct Requester {
    replies: mpsc::Sender<Reply>,
    sender: JoinHandle<()>,
}

fn requester(channel: Channel, place: OwnedSemaphorePermit) -> Requester {
    let (replies, mut queue) = mpsc::channel(REPLIES);
    let sender = tokio::spawn(async move {
        let _place = place;
        while let Some(message) = queue.recv().await {
            reply(&channel, &message).await;
        }
    });
    Requester { replies, sender }
}

impl Requester {
    /// Tells how far it is; never waits. What a slow client has no room for is left out.
    pub(crate) fn progress(&self, progress: Progress) {
        let _ = self.replies.try_send(Reply::Progress(progress));
    }

    /// Tells what came of it; waits a few seconds at most.
    pub(crate) async fn report(self, report: Report) {
        self.end(Reply::Report(Box::new(report))).await;
    }

    /// Tells that a handover runs already.
    pub(crate) async fn busy(self, busy: Busy) {
        self.end(Reply::Busy(busy)).await;
    }

    /// Tells that nothing was done and why.
    pub(crate) async fn refuse(self, reason: String) {
        self.end(Reply::Refused { reason }).await;
    }

    /// Tells that it is done.
    pub(crate) async fn done(self) {
        self.end(Reply::Done).await;
    }

    async fn end(self, reply: Reply) {
        let Self { replies, sender } = self;
        let ended = async move {
            let _ = replies.send(reply).await;
            drop(replies);
            let _ = sender.await;
        };
        if timeout(PATIENCE, ended).await.is_err() {
            debug!("a client did not take its last answer in time");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_servers_user_and_root_may_ask() {
        for (own, uid, may) in [
            (1000, 1000, true),
            (1000, 0, true),
            (0, 0, true),
            (0, 1000, false),
            (1000, 1001, false),
            (1000, 65_534, false),
        ] {
            assert_eq!(may_ask(own, uid), may, "{uid} asks a server of {own}");
        }
    }
}
