//! A listener whose connections can move: one stream of connections, whether new, moved in or come back.

use std::io;
use std::net::SocketAddr;

use crate::connections::{Connection, Kind};
use crate::listen::{TcpListener, UnixListener};

/// A listener that is handed over, together with its connections.
///
/// ```no_run
/// # async fn example(mut listener: baton_handover::Listener) {
/// while let Some(connection) = listener.accept().await {
///     tokio::spawn(async move { /* serve it */ drop(connection) });
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    kind: Kind,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    pub(crate) fn tcp(listener: TcpListener, kind: Kind) -> Self {
        Self {
            socket: Socket::Tcp(listener),
            kind,
        }
    }

    pub(crate) fn unix(listener: UnixListener, kind: Kind) -> Self {
        Self {
            socket: Socket::Unix(listener),
            kind,
        }
    }

    /// The next connection: a new one, one that a predecessor moved in, or one that came back after a roll-back. `None` when
    /// this process will get no more. Before the commit and during a handover it waits. Cancel-safe.
    pub async fn accept(&mut self) -> Option<Connection> {
        loop {
            tokio::select! {
                biased;
                arrival = self.kind.arrival() => {
                    let (parcel, seat) = arrival?;
                    match Connection::resume(parcel, seat) {
                        Ok(connection) => return Some(connection),
                        Err(error) => tracing::error!(
                            error = &error as &dyn std::error::Error,
                            "closing a moved connection"
                        ),
                    }
                }
                connection = accept_new(&mut self.socket, &self.kind) => {
                    if connection.is_some() {
                        return connection;
                    }
                    // No new ones; those that wait in the registry are still to come.
                    let (parcel, seat) = self.kind.arrival().await?;
                    if let Ok(connection) = Connection::resume(parcel, seat) {
                        return Some(connection);
                    }
                }
            }
        }
    }

    /// The address of a TCP listener.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr(),
            Socket::Unix(_) => Err(io::Error::other("a Unix listener has no socket address")),
        }
    }

    /// The name by which it is handed over.
    pub fn name(&self) -> &str {
        self.kind.name()
    }

    /// Its connections.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }
}

async fn accept_new(socket: &mut Socket, kind: &Kind) -> Option<Connection> {
    let accepted = match socket {
        Socket::Tcp(listener) => listener
            .accept_seated(|| kind.seat())
            .await
            .map(|accepted| {
                accepted.map(|(stream, _, seat)| {
                    // Whoever writes small messages does not want to wait for the peer's delayed acknowledgement.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "a connection that ended already");
                    }
                    Connection::new(stream, seat)
                })
            }),
        Socket::Unix(listener) => listener
            .accept_seated(|| kind.seat())
            .await
            .map(|accepted| accepted.map(|(stream, seat)| Connection::new(stream, seat))),
    };
    match accepted {
        Ok(connection) => connection,
        Err(error) => {
            tracing::error!(%error, listener = kind.name(), "cannot accept any more");
            None
        }
    }
}

/// New connections only: moved ones are taken from the registry by whoever serves.
#[cfg(feature = "http")]
impl crate::http::Arrivals for Listener {
    async fn next(&mut self) -> Option<Connection> {
        accept_new(&mut self.socket, &self.kind).await
    }
}
