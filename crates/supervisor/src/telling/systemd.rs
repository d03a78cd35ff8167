//! Telling systemd, by the protocol of `sd_notify(3)`; nothing without `NOTIFY_SOCKET`.
//!
//! Datagrams are sent without waiting: a service manager that is busy costs a message, never the
//! supervisor's time.

use std::ffi::{OsStr, OsString};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fmt, io};

use baton_handover::Monotonic;
use sd_notify::NotifyState;

use super::words;

/// A way to the service manager, or to none.
#[derive(Clone, Default)]
pub struct Notifier(Option<Arc<Manager>>);

struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// To the service manager that this process was told of in its environment.
    pub fn from_env() -> Self {
        let Some(address) = env::var_os("NOTIFY_SOCKET").filter(|a| !a.is_empty()) else {
            return Self::default();
        };
        match Self::to(&address, sd_notify::watchdog_enabled()) {
            Ok(notifier) => notifier,
            Err(error) => {
                let address = OsString::as_os_str(&address);
                tracing::warn!(%error, ?address, "cannot use NOTIFY_SOCKET; systemd is told nothing");
                Self::default()
            }
        }
    }

    /// To the service manager at `address`: a path, or `@` and an abstract name. It expects a
    /// sign of life within each `watchdog`.
    pub fn to(address: &OsStr, watchdog: Option<Duration>) -> io::Result<Self> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(address)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let watchdog = watchdog.filter(|w| !w.is_zero());
        Ok(Self(Some(Arc::new(Manager {
            socket,
            address,
            watchdog,
        }))))
    }

    /// The service is up.
    pub fn ready(&self) {
        self.send(&[NotifyState::Ready]);
    }

    /// Another process is put in the place of the one that serves, until [`ready`](Self::ready) is said again.
    pub fn reloading(&self, at: Monotonic) {
        let at = NotifyState::MonotonicUsec(at.as_micros().into());
        self.send(&[NotifyState::Reloading, at]);
    }

    /// The service is going down, which may take this long.
    pub fn stopping(&self, within: Duration) {
        self.send(&[NotifyState::Stopping, extension(within)]);
    }

    /// Starting or stopping takes this much longer, as with a backup on the way.
    pub fn extend(&self, by: Duration) {
        self.send(&[extension(by)]);
    }

    /// How things stand, in one line for `systemctl status`.
    pub fn status(&self, text: &str) {
        self.send(&[NotifyState::Status(&words::one_line(text))]);
    }

    /// A sign of life.
    pub fn alive(&self) {
        self.send(&[NotifyState::Watchdog]);
    }

    /// How often a sign of life should be given: twice as often as it is expected.
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.0.as_ref()?.watchdog.map(|w| w / 2)
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        let Some(manager) = &self.0 else { return };
        let lines: Vec<String> = states.iter().map(ToString::to_string).collect();
        let message = lines.join("\n");
        if let Err(error) = manager
            .socket
            .send_to_addr(message.as_bytes(), &manager.address)
        {
            tracing::debug!(%error, message, "systemd was not told");
        }
    }
}

/// systemd takes at most as many microseconds as fit into 32 bits here, over an hour.
fn extension(by: Duration) -> NotifyState<'static> {
    NotifyState::ExtendTimeoutUsec(u32::try_from(by.as_micros()).unwrap_or(u32::MAX))
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(manager) => write!(f, "Notifier({:?})", manager.address),
            None => f.write_str("Notifier(none)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manager(dir: &tempfile::TempDir) -> (UnixDatagram, OsString) {
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        (socket, path.into_os_string())
    }

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 1024];
        let n = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..n].to_vec()).unwrap()
    }

    #[test]
    fn each_message_arrives_as_systemd_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let (socket, path) = manager(&dir);
        let notifier = Notifier::to(&path, Some(Duration::from_secs(30))).unwrap();
        notifier.ready();
        notifier.status("running\nv2");
        notifier.alive();
        notifier.extend(Duration::from_mins(1));
        notifier.stopping(Duration::from_secs(10_000));
        assert_eq!(received(&socket), "READY=1");
        assert_eq!(received(&socket), "STATUS=running\\nv2");
        assert_eq!(received(&socket), "WATCHDOG=1");
        assert_eq!(received(&socket), "EXTEND_TIMEOUT_USEC=60000000");
        assert_eq!(
            received(&socket),
            "STOPPING=1\nEXTEND_TIMEOUT_USEC=4294967295"
        );
        assert_eq!(notifier.watchdog_interval(), Some(Duration::from_secs(15)));
    }

    #[test]
    fn an_abstract_name_is_one() {
        let name = format!("baton-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let at = OsString::from(format!("@{name}"));
        Notifier::to(&at, None).unwrap().ready();
        assert_eq!(received(&socket), "READY=1");
    }

    #[test]
    fn a_manager_that_does_not_read_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (socket, path) = manager(&dir);
        let notifier = Notifier::to(&path, None).unwrap();
        // Far more than a socket's queue holds; this returns all the same.
        for _ in 0..100_000 {
            notifier.alive();
        }
        assert_eq!(received(&socket), "WATCHDOG=1");
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        let notifier = Notifier::default();
        notifier.ready();
        notifier.stopping(Duration::ZERO);
        assert_eq!(notifier.watchdog_interval(), None);
        let gone = Notifier::to(OsStr::new("/nonexistent/notify"), None).unwrap();
        gone.ready();
    }
}
