//! Sends messages to the socket that the service manager names.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

use super::message::Message;

/// How long a datagram may wait for room in the service manager's queue.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the service manager could not be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotifyError {
    #[error(
        "the service manager's socket NOTIFY_SOCKET={address:?} is neither an absolute path nor an abstract name (@…)"
    )]
    Address { address: OsString },
    #[error("making a socket to tell the service manager: {0}")]
    Socket(#[source] io::Error),
    #[error("telling the service manager at {address:?} {message:?}: {source}")]
    Send {
        address: OsString,
        message: String,
        source: io::Error,
    },
}

/// Sends to the service manager, if there is one.
#[derive(Debug)]
pub(crate) struct Notifier(Option<Line>);

#[derive(Debug)]
struct Line {
    socket: UnixDatagram,
    to: SocketAddr,
    named: OsString,
}

impl Notifier {
    /// A notifier to the socket that `NOTIFY_SOCKET` names. Without that variable there is nobody to tell.
    pub(crate) fn from_environment() -> Result<Self, NotifyError> {
        match std::env::var_os("NOTIFY_SOCKET") {
            Some(address) if !address.is_empty() => Self::to(&address),
            _ => Ok(Self(None)),
        }
    }

    /// A notifier that tells nobody.
    pub(crate) fn nobody() -> Self {
        Self(None)
    }

    /// A notifier to a socket: a path, or an abstract name that begins with `@`.
    pub(crate) fn to(address: &OsStr) -> Result<Self, NotifyError> {
        let unusable = || NotifyError::Address {
            address: address.to_owned(),
        };
        let to = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            [b'/', ..] => SocketAddr::from_pathname(Path::new(address)),
            _ => return Err(unusable()),
        };
        let socket = UnixDatagram::unbound().map_err(NotifyError::Socket)?;
        socket
            .set_write_timeout(Some(SEND_TIMEOUT))
            .map_err(NotifyError::Socket)?;
        Ok(Self(Some(Line {
            socket,
            to: to.map_err(|_| unusable())?,
            named: address.to_owned(),
        })))
    }

    /// Sends a message. Waits at most a second for room.
    pub(crate) fn send(&self, message: &Message) -> Result<(), NotifyError> {
        let Some(line) = &self.0 else { return Ok(()) };
        let text = message.text();
        match line.socket.send_to_addr(text.as_bytes(), &line.to) {
            Ok(_) => Ok(()),
            Err(source) => Err(NotifyError::Send {
                address: line.named.clone(),
                message: text,
                source,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Monotonic;
    use crate::notify::{Announcer, Birth, MainPid, Moment, State};

    const AT: Duration = Duration::from_secs(5);

    fn recorded(bound: &UnixDatagram) -> String {
        bound.set_read_timeout(Some(AT)).unwrap();
        let mut text = [0; 2048];
        let length = bound.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    }

    #[test]
    fn datagrams_arrive_at_a_path_and_at_an_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("baton-notify-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        for (bound, to) in [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (
                UnixDatagram::bind_addr(&address).unwrap(),
                format!("@{name}").into(),
            ),
        ] {
            let notifier = Notifier::to(&to).unwrap();
            let mut announcer = Announcer::new(Birth::Independent, 1, 42);
            let moments = [
                Moment::Serves,
                Moment::HandoverBegins {
                    to: 2,
                    at: Monotonic::now(),
                },
                Moment::Committed {
                    pid: 77,
                    to: 2,
                    main: MainPid::Passes,
                    staged: false,
                },
                Moment::Stops,
            ];
            let before = Monotonic::now().as_micros();
            for moment in &moments {
                if let Some(message) = announcer.step(moment) {
                    notifier.send(&message).unwrap();
                }
            }
            assert_eq!(recorded(&bound), "READY=1\nSTATUS=generation 1 serves\n");
            let reloading = recorded(&bound);
            let (micros, status) = reloading
                .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
                .and_then(|rest| rest.split_once('\n'))
                .expect("the reload begins with both");
            assert!(micros.parse::<u64>().unwrap() <= before);
            assert_eq!(status, "STATUS=generation 1 hands over to generation 2\n");
            assert_eq!(
                recorded(&bound),
                "MAINPID=77\nREADY=1\nSTATUS=generation 2 serves\n"
            );
            bound.set_nonblocking(true).unwrap();
            assert!(bound.recv(&mut [0]).is_err(), "and no more");
        }
    }

    #[test]
    fn addresses_that_cannot_be_used_are_refused_and_a_missing_listener_is_told() {
        for bad in ["relative", "vsock:2:1234", ""] {
            let error = Notifier::to(OsStr::new(bad)).unwrap_err();
            assert!(error.to_string().contains("NOTIFY_SOCKET"), "{error}");
        }
        let ready = Message(vec![State::Ready]);
        let nobody = Notifier::to(OsStr::new("/no/such/socket")).unwrap();
        let error = nobody.send(&ready).unwrap_err().to_string();
        assert!(error.contains("/no/such/socket"), "{error}");
        Notifier(None).send(&ready).unwrap();
    }
}
