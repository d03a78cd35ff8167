//! What the service manager is told, in its order.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use baton_handover::control::UpgradeRequest;
use baton_handover::report::Outcome;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::Signal;

use crate::harness::server::example;
use crate::harness::{Server, gone, signal, until};

/// A service manager's notify socket, recorded.
pub(crate) struct Manager {
    socket: UnixDatagram,
    address: String,
    /// How often more time was asked for: with each step of a handover that may take long.
    extended: AtomicUsize,
    _directory: tempfile::TempDir,
}

impl Manager {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = directory.path().join("notify").display().to_string();
        let socket = UnixDatagram::bind(&address).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self {
            socket,
            address,
            extended: AtomicUsize::new(0),
            _directory: directory,
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The next message and the descriptors that come with it.
    pub(crate) async fn next(&self) -> (String, Vec<OwnedFd>) {
        until("a message to the service manager", || self.now()).await
    }

    fn now(&self) -> Option<(String, Vec<OwnedFd>)> {
        loop {
            let message = self.receive()?;
            if !message.0.starts_with("EXTEND_TIMEOUT_USEC=") {
                return Some(message);
            }
            self.extended.fetch_add(1, Relaxed);
        }
    }

    fn receive(&self) -> Option<(String, Vec<OwnedFd>)> {
        let mut bytes = vec![0; 8192];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        );
        let length = received.ok()?.bytes;
        let descriptors = control
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        Some((text, descriptors))
    }

    /// The next message without its status line, and without the clock's reading.
    async fn heard(&self) -> String {
        let (text, _) = self.next().await;
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with("STATUS="))
            .map(|line| match line.split_once('=') {
                Some(("MONOTONIC_USEC", reading)) => {
                    assert!(reading.parse::<u64>().unwrap() > 0);
                    "MONOTONIC_USEC"
                }
                _ => line,
            })
            .collect();
        lines.join(" ")
    }

    /// Nothing was said beside what was heard.
    fn silent(&self) {
        let more = self.now();
        assert!(more.is_none(), "{more:?}");
    }
}

const RELOADING: &str = "RELOADING=1 MONOTONIC_USEC";

#[tokio::test(flavor = "multi_thread")]
async fn fresh_handed_over_and_stopped() {
    let manager = Manager::new();
    let server = Server::example("web")
        .variable("NOTIFY_SOCKET", manager.address())
        .start()
        .await;
    assert_eq!(manager.heard().await, "READY=1");
    let mut before = server.said(1).await;
    for generation in 2..=3 {
        server.upgrade().await.unwrap();
        let after = server.said(generation).await;
        gone(before.pid).await;
        assert_eq!(manager.heard().await, RELOADING);
        let named = format!("MAINPID={} READY=1", after.pid);
        assert_eq!(manager.heard().await, named);
        // It says so itself as soon as it is alone, in case that its predecessor could not.
        assert_eq!(manager.heard().await, named);
        before = after;
    }
    signal(before.pid, Signal::TERM);
    gone(before.pid).await;
    assert_eq!(manager.heard().await, "STOPPING=1");
    manager.silent();
    assert!(manager.extended.load(Relaxed) > 0, "no time was asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handover_that_fails_ends_the_reload() {
    let manager = Manager::new();
    let server = Server::example("web")
        .variable("NOTIFY_SOCKET", manager.address())
        .start()
        .await;
    assert_eq!(manager.heard().await, "READY=1");
    let request = UpgradeRequest {
        exec: Some("/bin/false".into()),
        ..UpgradeRequest::default()
    };
    let report = server.upgrade_as(request).await.unwrap();
    assert!(matches!(report.outcome, Outcome::RolledBack { .. }));
    assert_eq!(manager.heard().await, RELOADING);
    let (text, _) = manager.next().await;
    assert!(
        text.starts_with(
            "READY=1\nSTATUS=generation 1 serves; the handover to generation 2 failed"
        ),
        "{text}"
    );
    signal(server.said(1).await.pid, Signal::TERM);
    assert_eq!(manager.heard().await, "STOPPING=1");
    gone(server.said(1).await.pid).await;
    manager.silent();
}

#[tokio::test(flavor = "multi_thread")]
async fn asleep_it_is_still_the_main_process() {
    let manager = Manager::new();
    let server = Server::example("web")
        .option("staged", "yes")
        .variable("NOTIFY_SOCKET", manager.address())
        .start()
        .await;
    assert_eq!(manager.heard().await, "READY=1");
    let report = server.upgrade().await.unwrap();
    assert_eq!(manager.heard().await, RELOADING);
    assert_eq!(manager.heard().await, "READY=1");
    signal(report.from.pid, Signal::TERM);
    let named = format!("MAINPID={} READY=1", report.to.pid);
    assert_eq!(manager.heard().await, named);
    gone(report.from.pid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn held_generations_name_no_main_process() {
    let manager = Manager::new();
    let holder = example("holder").display().to_string();
    let server = Server::example("web")
        .under(&[&holder, "--control-dir", "HOME/control", "--"])
        .variable("NOTIFY_SOCKET", manager.address())
        .start()
        .await;
    assert_eq!(manager.heard().await, "READY=1");
    let holder = server.launched();
    let first = server.said(1).await;
    signal(holder, Signal::HUP);
    let second = server.said(2).await;
    gone(first.pid).await;
    assert_eq!(manager.heard().await, RELOADING);
    let (one, other) = (manager.heard().await, manager.heard().await);
    assert_eq!((one.as_str(), other.as_str()), ("READY=1", "READY=1"));
    signal(holder, Signal::TERM);
    gone(second.pid).await;
    assert_eq!(manager.heard().await, "STOPPING=1");
    manager.silent();
}
