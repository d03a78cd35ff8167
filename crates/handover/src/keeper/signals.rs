//! The signals that a generation acts on by itself.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::nginx;
use crate::settings::Settings;

/// A signal that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Drain and end.
    Stop(&'static str),
    /// One of nginx's.
    Nginx(nginx::Signal),
}

/// What is listened to.
pub(super) struct Signals(Vec<(Signal, Heard)>);

impl Signals {
    pub(super) fn listen(settings: &Settings) -> io::Result<Self> {
        let wanted: Vec<(SignalKind, Heard)> = if settings.nginx_signals {
            use nginx::Signal::{Hup, Int, Quit, Term, Usr1, Usr2, Winch};
            [Term, Int, Quit, Hup, Usr1, Usr2, Winch]
                .into_iter()
                .map(|signal| (SignalKind::from_raw(signal.number()), Heard::Nginx(signal)))
                .collect()
        } else if settings.stop_signals {
            vec![
                (SignalKind::terminate(), Heard::Stop("SIGTERM")),
                (SignalKind::interrupt(), Heard::Stop("SIGINT")),
            ]
        } else {
            Vec::new()
        };
        wanted
            .into_iter()
            .map(|(kind, heard)| Ok((signal(kind)?, heard)))
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// The next one. Cancel-safe.
    pub(super) async fn next(&mut self) -> Heard {
        std::future::poll_fn(|cx| {
            for (signal, heard) in &mut self.0 {
                if let std::task::Poll::Ready(Some(())) = signal.poll_recv(cx) {
                    return std::task::Poll::Ready(*heard);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}
