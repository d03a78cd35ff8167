//! The signals that reach the supervisor, as a stream.

use std::fs;
use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::life::Signal;

/// What arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// A signal that concerns the node.
    ForNode(Signal),
    /// A child changed its state.
    Child,
}

/// Listens to every signal that concerns the node. What was ignored when the supervisor started
/// stays ignored: under `nohup` a hang-up must not reach the node.
pub fn listen() -> io::Result<mpsc::Receiver<Arrived>> {
    // Signals of one kind merge in the kernel too, so a full queue loses nothing that counts.
    let (sender, receiver) = mpsc::channel(64);
    let ignored = ignored_mask();
    for (kind, arrived) in [
        (SignalKind::terminate(), Arrived::ForNode(Signal::Term)),
        (SignalKind::interrupt(), Arrived::ForNode(Signal::Int)),
        (SignalKind::quit(), Arrived::ForNode(Signal::Quit)),
        (SignalKind::hangup(), Arrived::ForNode(Signal::Hup)),
        (SignalKind::user_defined1(), Arrived::ForNode(Signal::Usr1)),
        (SignalKind::user_defined2(), Arrived::ForNode(Signal::Usr2)),
        (SignalKind::window_change(), Arrived::ForNode(Signal::Winch)),
        (SignalKind::child(), Arrived::Child),
    ] {
        let number = kind.as_raw_value();
        if ignored & (1 << (number - 1)) != 0 {
            continue;
        }
        let mut stream = signal(kind)?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                if sender.send(arrived).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(receiver)
}

/// The signals that this process was started with as ignored, from `/proc/self/status`.
fn ignored_mask() -> u64 {
    fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find_map(|l| l.strip_prefix("SigIgn:"))?;
            u64::from_str_radix(line.trim(), 16).ok()
        })
        .unwrap_or(0)
}
