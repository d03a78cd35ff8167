//! Accepting, when the gate allows.
//!
//! Nothing is accepted before a process has been given the duty, nor after it gave it away: the gate is asked, and held, around
//! every `accept(2)`. Connections that come in while the gate waits stay in the kernel's queue, and whichever process opens its
//! gate next takes them from there.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::listen;
use rustix::net::sockopt::socket_acceptconn;
use tokio::io::{Interest, Ready};
use tokio::time::Instant;

use super::{Obtained, Opening};
use crate::gate::Gate;
use crate::sys::Registered;

/// How long to wait when the process or the system has run out of descriptors or memory, doubling each time: long enough not to
/// spin, short enough that no client gives up.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A listening socket and the gate before it.
#[derive(Debug)]
pub(super) struct Acceptor {
    name: String,
    socket: Arc<OwnedFd>,
    /// None before a socket that joins a group listens: the runtime would take it for one that has ended.
    registered: Option<Registered>,
    gate: Gate,
    /// The length of queue to ask for when the gate first opens.
    backlog: Option<i32>,
    scarcity: Option<Scarcity>,
}

/// There is nothing left to accept with.
#[derive(Debug, Clone, Copy)]
struct Scarcity {
    since: Instant,
    retry: Instant,
    pause: Duration,
}

impl Acceptor {
    /// Registers the socket, if it listens already, with the runtime this is called in.
    pub(super) fn new(obtained: Obtained) -> io::Result<Self> {
        let backlog = match obtained.opening {
            Opening::Listen(backlog) => Some(backlog),
            Opening::Done | Opening::Bind(_) => None,
        };
        let mut acceptor = Self {
            name: obtained.name,
            socket: obtained.socket,
            registered: None,
            gate: obtained.gate,
            backlog,
            scarcity: None,
        };
        if socket_acceptconn(&acceptor.socket)? {
            acceptor.register()?;
        }
        Ok(acceptor)
    }

    fn register(&mut self) -> io::Result<()> {
        let socket = Arc::clone(&self.socket);
        self.registered = Some(Registered::new(socket, Interest::READABLE)?);
        Ok(())
    }

    /// Asks for the queue that is still to be asked for, and registers the socket if that was not possible before. Whether the
    /// gate was open for it.
    fn open(&mut self) -> io::Result<bool> {
        if let Some(backlog) = self.backlog {
            match self.gate.while_open(|| listen(&self.socket, backlog)) {
                None => return Ok(false),
                Some(listening) => listening?,
            }
            self.backlog = None;
        }
        if self.registered.is_none() {
            self.register()?;
        }
        Ok(true)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The next connection, or `None` once the gate is closed for good. Dropping the future loses no connection: there is
    /// nothing to wait for between the kernel's answer and the return.
    pub(super) async fn accept<T>(
        &mut self,
        accept: impl Fn(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> io::Result<Option<T>> {
        loop {
            if !self.gate.opened().await {
                return Ok(None);
            }
            if !self.open()? {
                continue;
            }
            let registered = self
                .registered
                .as_ref()
                .expect("an open socket is registered");
            if let Some(Scarcity { retry, .. }) = self.scarcity {
                tokio::select! {
                    biased;
                    () = self.gate.shut() => continue,
                    () = tokio::time::sleep_until(retry) => {}
                }
            }
            // A queue that never runs dry must not starve the other tasks of this thread.
            tokio::task::consume_budget().await;
            let mut ready = tokio::select! {
                biased;
                () = self.gate.shut() => continue,
                ready = registered.readable() => ready?,
            };
            let socket = ready.get_inner().as_fd();
            // A shut gate leaves the readiness as it is: it will not be announced again when the gate opens.
            let Some(answer) = self.gate.while_open(|| accept(socket)) else {
                continue;
            };
            match answer {
                Ok(accepted) => {
                    self.abundant();
                    return Ok(Some(accepted));
                }
                Err(Errno::AGAIN) => ready.clear_ready_matching(Ready::READABLE),
                Err(errno) if is_of_one_connection(errno) => {
                    let error = io::Error::from(errno);
                    tracing::debug!(listener = self.name, %error, "a connection broke off before it was accepted");
                }
                Err(errno) if is_scarcity(errno) => self.scarce(errno),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn scarce(&mut self, errno: Errno) {
        let now = Instant::now();
        let (since, pause) = if let Some(before) = self.scarcity {
            (before.since, (before.pause * 2).min(LONGEST_PAUSE))
        } else {
            tracing::warn!(
                listener = self.name,
                error = %io::Error::from(errno),
                "cannot accept: connections wait in the kernel until descriptors or memory are free; \
                 raise the limit of open files if this repeats"
            );
            (now, FIRST_PAUSE)
        };
        self.scarcity = Some(Scarcity {
            since,
            retry: now + pause,
            pause,
        });
    }

    fn abundant(&mut self) {
        if let Some(scarcity) = self.scarcity.take() {
            let after = scarcity.since.elapsed();
            tracing::info!(listener = self.name, ?after, "accepting again");
        }
    }
}

impl AsFd for Acceptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Errors that tell of one connection that failed before it was accepted; the next one may be well. Linux passes pending network
/// errors of the new socket through accept(2), whose manual page has this list.
fn is_of_one_connection(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::INTR
            | Errno::CONNABORTED
            | Errno::CONNRESET
            | Errno::PERM
            | Errno::PROTO
            | Errno::NOPROTOOPT
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::NONET
            | Errno::TIMEDOUT
    )
}

fn is_scarcity(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM
    )
}
