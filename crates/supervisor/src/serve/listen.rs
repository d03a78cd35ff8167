//! The sockets that the operator asks for, and where they come from: systemd, if it passed one of that name; else they are bound.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use baton_handover::foreign::{self, Socket};
use baton_handover::{ActivationError, Address, ListenError, UnixAddress};
use tracing::{info, warn};

use super::holder;
use super::ready::READY_SOCKET;

/// A socket that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Its name, by which the program may know it.
    pub name: String,
    /// Where; `None` if the service manager passes it.
    pub at: Option<At>,
}

/// Where a socket listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket, and the mode of its file.
    Unix(UnixAddress, Option<u32>),
}

/// Why a socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// What the service manager passed makes no sense.
    #[error("{error}{}", cause(.error))]
    Activation {
        /// In which way.
        error: ActivationError,
    },
    /// It was to be passed, and was not.
    #[error(
        "the service manager passed no socket called {name}; give its address (--listen {name}=127.0.0.1:8080), or set FileDescriptorName={name} in the socket unit"
    )]
    NotPassed {
        /// Its name.
        name: String,
    },
    /// There is none at all.
    #[error("there is no socket to hold; name one, such as --listen http=127.0.0.1:8080")]
    Nothing,
    /// Another process has the address.
    #[error(
        "{name} cannot have {address}: {} listens there; end it first, or take another address",
        .holder.as_deref().unwrap_or("another process")
    )]
    Taken {
        /// The socket's name.
        name: String,
        /// Its address.
        address: String,
        /// Who has it, if it can be told.
        holder: Option<String>,
    },
    /// The system does not give the address.
    #[error("{error}{}{}", cause(.error), advice(.error))]
    Refused {
        /// In which way.
        error: ListenError,
    },
}

/// The cause, which these errors do not tell themselves.
fn cause(error: &dyn std::error::Error) -> String {
    error
        .source()
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default()
}

fn advice(error: &ListenError) -> &'static str {
    let ListenError::Bind { source, .. } = error else {
        return "";
    };
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "; a port below 1024 needs root or CAP_NET_BIND_SERVICE, a path a directory that may be written to"
        }
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address (see `ip addr`)",
        io::ErrorKind::NotFound => "; make its directory first",
        _ => "",
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, address)) = text.split_once('=') else {
            return if text.contains([':', '/']) {
                Err(format!("give it a name, such as http={text}"))
            } else {
                Ok(Self {
                    name: named(text)?,
                    at: None,
                })
            };
        };
        Ok(Self {
            name: named(name)?,
            at: Some(at(address)?),
        })
    }
}

fn named(name: &str) -> Result<String, String> {
    if name == READY_SOCKET {
        return Err(format!(
            "the name {READY_SOCKET} is that of the socket that --ready-url asks on"
        ));
    }
    if name.is_empty() || name.contains([':', '#']) || !name.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("a name has letters, digits and signs, but no colon, '#' or space".to_owned());
    }
    Ok(name.to_owned())
}

fn at(address: &str) -> Result<At, String> {
    if address.starts_with(['/', '.', '@']) {
        let (path, mode) = match address.rsplit_once(",mode=") {
            None => (address, None),
            Some((path, mode)) => {
                let mode = u32::from_str_radix(mode, 8)
                    .ok()
                    .filter(|mode| *mode <= 0o777);
                let mode = mode.ok_or("a mode is three octal digits, such as mode=660")?;
                (path, Some(mode))
            }
        };
        if mode.is_some() && path.starts_with('@') {
            return Err("an abstract socket has no file, and so no mode".to_owned());
        }
        return Ok(At::Unix(path.into(), mode));
    }
    if let Ok(address) = address.parse() {
        return Ok(At::Tcp(address));
    }
    Err(match address.rsplit_once(':') {
        Some(("", port)) => format!(
            "say which addresses: 0.0.0.0:{port} (all of IPv4), [::]:{port} (all), 127.0.0.1:{port} (this machine only)"
        ),
        Some((host, port)) if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() => {
            format!("{port} is no port: they go from 0 (any) to 65535")
        }
        Some((host, port)) => {
            format!("{host} is no IP address; give one, such as 127.0.0.1:{port} or [::1]:{port}")
        }
        None => "expected IP:PORT, [IPv6]:PORT, a path that begins with / or ./, or @abstract"
            .to_owned(),
    })
}

/// All sockets, in the order in which they are asked for; behind them those that the service manager passed unasked.
pub(super) fn obtain(wanted: &[Listen]) -> Result<Vec<Socket>, SocketError> {
    let mut passed = foreign::activated().map_err(|error| SocketError::Activation { error })?;
    let mut sockets = Vec::new();
    for listen in wanted {
        let (of_this_name, others) = passed.into_iter().partition(|it| it.name() == listen.name);
        passed = others;
        sockets.extend(one(listen, of_this_name)?);
    }
    for socket in passed {
        info!(
            name = socket.name(),
            "the service manager passed this one unasked; it is passed on"
        );
        sockets.push(socket);
    }
    if sockets.is_empty() {
        return Err(SocketError::Nothing);
    }
    Ok(sockets)
}

fn one(listen: &Listen, passed: Vec<Socket>) -> Result<Vec<Socket>, SocketError> {
    for socket in &passed {
        let found = &socket.description().address;
        if listen.at.as_ref().is_some_and(|at| !at.is(found)) {
            warn!(
                name = listen.name,
                passed = %found,
                "the service manager passed a socket of this name with another address; its is taken"
            );
        }
    }
    if !passed.is_empty() {
        return Ok(passed);
    }
    let bound = match &listen.at {
        None => {
            return Err(SocketError::NotPassed {
                name: listen.name.clone(),
            });
        }
        Some(At::Tcp(address)) => Socket::tcp(&listen.name, *address),
        Some(At::Unix(address, mode)) => Socket::unix(&listen.name, address, *mode),
    };
    bound.map(|socket| vec![socket]).map_err(refused)
}

impl At {
    fn is(&self, found: &Address) -> bool {
        match (self, found) {
            (Self::Tcp(wanted), Address::Inet(found)) => {
                wanted == found || wanted.port() == 0 && wanted.ip() == found.ip()
            }
            (Self::Unix(UnixAddress::Path(wanted), _), Address::Path(found)) => wanted == found,
            (Self::Unix(UnixAddress::Abstract(wanted), _), Address::Abstract(found)) => {
                wanted == found
            }
            _ => false,
        }
    }
}

fn refused(error: ListenError) -> SocketError {
    match error {
        ListenError::Bind {
            name,
            address,
            source,
        } if source.kind() == io::ErrorKind::AddrInUse => SocketError::Taken {
            holder: match &address {
                Address::Inet(address) => holder::of_port(address.port()),
                _ => None,
            },
            name,
            address: address.to_string(),
        },
        error => SocketError::Refused { error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_what_is_wrong_with_others_is_said() {
        let read = |text: &str| text.parse::<Listen>();
        let http = read("http=127.0.0.1:80").unwrap();
        assert_eq!(http.name, "http");
        assert_eq!(http.at, Some(At::Tcp("127.0.0.1:80".parse().unwrap())));
        assert_eq!(read("http").unwrap().at, None);
        let path = UnixAddress::from("/run/x.sock");
        let unix = read("a=/run/x.sock,mode=660").unwrap();
        assert_eq!(unix.at, Some(At::Unix(path, Some(0o660))));
        let name = UnixAddress::Abstract(b"x".to_vec());
        assert_eq!(read("a=@x").unwrap().at, Some(At::Unix(name, None)));
        for (text, why) in [
            ("127.0.0.1:80", "http=127.0.0.1:80"),
            ("http=:80", "0.0.0.0:80"),
            ("http=localhost:80", "127.0.0.1:80"),
            ("http=127.0.0.1:99999", "no port"),
            ("http=[::1]:x", "no port"),
            ("http=80", "IP:PORT"),
            ("=127.0.0.1:80", "a name"),
            ("a b=127.0.0.1:80", "a name"),
            ("ready=127.0.0.1:80", "--ready-url"),
            ("a=/x,mode=9", "octal"),
            ("a=@x,mode=660", "no file"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn who_has_the_port_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let listen = format!("http={address}").parse::<Listen>().unwrap();
        let error = one(&listen, Vec::new()).unwrap_err().to_string();
        let own = format!("pid {}", std::process::id());
        assert!(
            error.contains(&own) && error.contains("another address"),
            "{error}"
        );
        let far = "http=192.0.2.1:80".parse::<Listen>().unwrap();
        let error = one(&far, Vec::new()).unwrap_err().to_string();
        assert!(error.contains("ip addr"), "{error}");
        let missing = "http".parse::<Listen>().unwrap();
        let error = one(&missing, Vec::new()).unwrap_err().to_string();
        assert!(error.contains("FileDescriptorName=http"), "{error}");
    }
}
