//! From an address to an encrypted, multiplexed connection: TCP (directly or through a proxy), Noise, Yamux.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::timeout::TransportTimeout;
use libp2p::core::transport::{
    Boxed, DialOpts, ListenerId, PortUse, TransportError, TransportEvent,
};
use libp2p::core::upgrade::Version;
use libp2p::futures::FutureExt;
use libp2p::futures::future::BoxFuture;
use libp2p::identity::Keypair;
use libp2p::tcp::tokio::{TcpStream, Transport as Tcp};
use libp2p::{Multiaddr, PeerId, Transport, dns, noise, tcp, yamux};
use tokio_socks::tcp::Socks5Stream;

use crate::traffic::Meters;
use crate::{Host, NetworkError, PeerAddress, Proxy, Settings};

/// The transport of a node with these settings; what goes over it is counted by `meters`.
pub(crate) fn build(
    settings: &Settings,
    key: &Keypair,
    meters: Meters,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetworkError> {
    let setup = |what| {
        move |error: &dyn std::error::Error| NetworkError::Setup {
            what,
            reason: error.to_string(),
        }
    };
    let dialler = Dialler {
        tcp: Tcp::new(tcp::Config::new()),
        proxy: settings.proxy.clone().map(Arc::new),
    };
    // a proxy resolves names itself: that nobody here does is half the point of having one
    let sockets = if settings.proxy.is_some() {
        dialler.boxed()
    } else {
        match dns::tokio::Transport::system(dialler) {
            Ok(resolving) => resolving.boxed(),
            Err(error) => return Err(setup("the DNS resolver from /etc/resolv.conf")(&error)),
        }
    };
    let noise = noise::Config::new(key).map_err(|error| setup("encryption")(&error))?;
    Ok(
        TransportTimeout::with_outgoing_timeout(sockets, settings.dial_timeout)
            .upgrade(Version::V1)
            .authenticate(noise)
            .multiplex(yamux::Config::default())
            .timeout(settings.handshake_timeout)
            .boxed()
            .map(move |(peer, connection), _| (peer, meters.count(peer, connection)))
            .boxed(),
    )
}

/// TCP that dials from a fresh port, through a proxy if there is one.
///
/// libp2p dials from the listening port if it can, which saves a port and costs a conflict with a connection of the previous process
/// that the kernel still remembers.
struct Dialler {
    tcp: Tcp,
    proxy: Option<Arc<Proxy>>,
}

impl Transport for Dialler {
    type Output = TcpStream;
    type Error = io::Error;
    type ListenerUpgrade = <Tcp as Transport>::ListenerUpgrade;
    type Dial = BoxFuture<'static, io::Result<TcpStream>>;

    fn listen_on(
        &mut self,
        id: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<io::Error>> {
        self.tcp.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.tcp.remove_listener(id)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<Self::Dial, TransportError<io::Error>> {
        let Some(proxy) = self.proxy.clone() else {
            let fresh = DialOpts {
                port_use: PortUse::New,
                ..options
            };
            return Ok(self.tcp.dial(address, fresh)?.boxed());
        };
        let target = PeerAddress::from_multiaddr(&address)
            .ok_or(TransportError::MultiaddrNotSupported(address))?;
        Ok(async move { through(&proxy, &target).await.map(TcpStream) }.boxed())
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Pin::new(&mut self.tcp).poll(cx)
    }
}

/// A socket to `target` by way of a proxy.
async fn through(proxy: &Proxy, target: &PeerAddress) -> io::Result<tokio::net::TcpStream> {
    fn parts(address: &PeerAddress) -> (String, u16) {
        let host = match address.host() {
            Host::Ip(ip) => ip.to_string(),
            Host::Name(name) => name.clone(),
        };
        (host, address.port())
    }
    let (host, port) = parts(target);
    let (proxy_host, proxy_port) = parts(&proxy.address);
    let failed = |reason: String| {
        io::Error::other(format!(
            "p2p.proxy_address {}: {reason}",
            proxy.address.clone().without_peer()
        ))
    };
    let socket = tokio::net::TcpStream::connect((proxy_host.as_str(), proxy_port))
        .await
        .map_err(|error| failed(error.to_string()))?;
    socket.set_nodelay(true)?;
    // an IP address goes as one: some proxies resolve nothing
    let stream = match (target.ip(), &proxy.login) {
        (Some(ip), None) => Socks5Stream::connect_with_socket(socket, (ip, port)).await,
        (Some(ip), Some((user, password))) => {
            Socks5Stream::connect_with_password_and_socket(socket, (ip, port), user, password).await
        }
        (None, None) => Socks5Stream::connect_with_socket(socket, (host.as_str(), port)).await,
        (None, Some((user, password))) => {
            let target = (host.as_str(), port);
            Socks5Stream::connect_with_password_and_socket(socket, target, user, password).await
        }
    };
    stream
        .map(Socks5Stream::into_inner)
        .map_err(|error| failed(error.to_string()))
}
