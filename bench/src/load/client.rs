//! What all clients do alike: connect, pause, heed the stop, write down.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::group::{Group, Kind};
use super::random::Random;
use super::tally::{Fault, Tally};
use super::{Moment, datagram, echo, web, websocket};

/// How long a client waits after a connection that could not be made.
const AFTER_REFUSAL: Duration = Duration::from_millis(20);
/// So many clients share a source address on loopback: less than the ports Linux gives out for one
/// (`ip_local_port_range`, 28 232 of them), with room for those in `TIME_WAIT`.
const PER_SOURCE: usize = 16_000;

/// What the clients of a group share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) group: Group,
    pub(super) tally: Mutex<Tally>,
    /// How many clients of all groups have had an answer.
    pub(super) ready: Arc<watch::Sender<usize>>,
    /// How many clients there are in all groups.
    pub(super) wanted: usize,
    pub(super) steady: Arc<Steady>,
    pub(super) connecting: Arc<Semaphore>,
}

impl Common {
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From when on all clients are at work.
#[derive(Debug)]
pub(super) struct Steady(AtomicU64);

impl Steady {
    pub(super) const fn not_yet() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }

    fn begin(&self) {
        self.0.store(Moment::now().nanos(), Ordering::Relaxed);
    }

    fn covers(&self, moment: Moment) -> bool {
        moment.nanos() >= self.0.load(Ordering::Relaxed)
    }
}

/// One client.
pub(super) struct Client {
    pub(super) number: usize,
    pub(super) random: Random,
    common: Arc<Common>,
    stop: watch::Receiver<bool>,
    has_answer: bool,
    asked: u64,
}

impl Client {
    pub(super) fn new(number: usize, common: Arc<Common>, stop: watch::Receiver<bool>) -> Self {
        let port = u64::from(common.group.target.port());
        Self {
            number,
            random: Random::new((port << 32) | number as u64),
            common,
            stop,
            has_answer: false,
            asked: 0,
        }
    }

    pub(super) async fn run(self) {
        match self.common.group.kind {
            Kind::Fresh => web::fresh(self).await,
            Kind::KeepAlive => web::kept(self, true).await,
            Kind::Blind => web::kept(self, false).await,
            Kind::Echo => echo::run(self).await,
            Kind::WebSocket => websocket::run(self).await,
            Kind::Datagram => datagram::run(self).await,
        }
    }

    pub(super) fn group(&self) -> &Group {
        &self.common.group
    }

    pub(super) fn path(&self) -> String {
        let path = self
            .group()
            .path
            .replace("{client}", &self.number.to_string());
        path.replace("{room}", &(self.number / 4).to_string())
    }

    /// Returns when the client is to end.
    pub(super) async fn stopped(&self) {
        let mut stop = self.stop.clone();
        // Without anybody left to stop it, a client ends as well.
        let _ = stop.wait_for(|stop| *stop).await;
    }

    pub(super) fn is_stopped(&self) -> bool {
        *self.stop.borrow()
            || self.stop.has_changed().is_err()
            || self.group().requests.is_some_and(|most| self.asked >= most)
    }

    /// A request is about to be made.
    pub(super) const fn asks(&mut self) {
        self.asked += 1;
    }

    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.common.tally()
    }

    /// A request got its right answer; without its beginning it is counted and not timed. Nor is it while
    /// clients still connect or already stop: then the generator itself is what takes long.
    pub(super) fn answered(&mut self, began: Option<Moment>, bytes: u64) {
        let began = began.filter(|began| !*self.stop.borrow() && self.common.steady.covers(*began));
        self.common.tally().answered(self.number, began, bytes);
        if !self.has_answer {
            self.has_answer = true;
            self.common.ready.send_modify(|ready| {
                *ready += 1;
                if *ready == self.common.wanted {
                    self.common.steady.begin();
                }
            });
        }
    }

    pub(super) fn fault(&self, fault: Fault, count: usize, what: impl Into<String>) {
        if count == 0 {
            return;
        }
        let count = count as u64;
        self.tally().fault(fault, count, self.number, what.into());
    }

    pub(super) fn reconnects(&self, announced: bool, what: impl Into<String>) {
        self.tally()
            .reconnection(announced, self.number, what.into());
    }

    /// Pauses; false if the client is to end.
    pub(super) async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stopped() => false,
            () = sleep(time) => !self.is_stopped(),
        }
    }

    /// How long to think now.
    pub(super) fn thought(&mut self) -> Duration {
        let mean = self.group().think;
        self.random.around(mean)
    }

    /// A connection, tried for until there is one; none if the client is to end.
    pub(super) async fn connect(
        &self,
        tune: impl Fn(&TcpSocket) -> io::Result<()>,
    ) -> Option<TcpStream> {
        while !self.is_stopped() {
            if let Some(stream) = self.connect_once(&tune).await {
                return Some(stream);
            }
            self.pause(AFTER_REFUSAL).await;
        }
        None
    }

    /// One attempt at a connection, which is counted however it ends.
    pub(super) async fn connect_once(
        &self,
        tune: impl Fn(&TcpSocket) -> io::Result<()>,
    ) -> Option<TcpStream> {
        let group = self.group();
        let permit = tokio::select! {
            biased;
            () = self.stopped() => return None,
            permit = self.common.connecting.acquire() => permit,
        };
        let connected = timeout(group.patience, open(group.target, self.number, tune)).await;
        drop(permit);
        match connected {
            Ok(Ok(stream)) => {
                self.tally().connections += 1;
                return Some(stream);
            }
            Ok(Err(e)) if is_own(&e) => {
                self.tally().own(self.number, format!("connecting: {e}"));
            }
            Ok(Err(e)) => self.fault(Fault::Refused, 1, format!("connecting: {e}")),
            Err(_) => {
                let limit = group.patience;
                self.fault(
                    Fault::Refused,
                    1,
                    format!("connecting: not within {limit:?}"),
                );
            }
        }
        None
    }
}

async fn open(
    target: SocketAddr,
    number: usize,
    tune: impl Fn(&TcpSocket) -> io::Result<()>,
) -> io::Result<TcpStream> {
    let socket = match target {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    tune(&socket)?;
    if let Some(source) = source(target, number) {
        socket.bind(source)?;
    }
    let stream = socket.connect(target).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The address to connect from, where the system's choice would run out of ports.
fn source(target: SocketAddr, number: usize) -> Option<SocketAddr> {
    let block = number / PER_SOURCE;
    if block == 0 || !target.ip().is_loopback() || target.is_ipv6() {
        return None;
    }
    let last = u8::try_from(1 + block).ok()?;
    Some(SocketAddr::new(
        IpAddr::V4(Ipv4Addr::new(127, 0, 1, last)),
        0,
    ))
}

/// The error comes from this machine's limits and not from the server.
fn is_own(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let own = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::ADDRNOTAVAIL,
        Errno::ADDRINUSE,
        Errno::NOBUFS,
        Errno::NOMEM,
    ];
    Errno::from_io_error(error).is_some_and(|errno| own.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_clients_come_from_several_addresses() {
        let target: SocketAddr = "127.0.0.1:80".parse().expect("an address");
        assert_eq!(source(target, 0), None);
        assert_eq!(source(target, PER_SOURCE - 1), None);
        let second = source(target, PER_SOURCE).expect("a source");
        assert_eq!(second.to_string(), "127.0.1.2:0");
        assert_ne!(source(target, 2 * PER_SOURCE), Some(second));
        let away: SocketAddr = "192.0.2.1:80".parse().expect("an address");
        assert_eq!(source(away, PER_SOURCE), None);
    }

    #[tokio::test]
    async fn a_second_source_connects() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let target = listener.local_addr().expect("its address");
        let stream = open(target, PER_SOURCE, |_| Ok(()))
            .await
            .expect("a connection");
        assert_eq!(
            stream.local_addr().expect("an address").ip().to_string(),
            "127.0.1.2"
        );
    }
}
