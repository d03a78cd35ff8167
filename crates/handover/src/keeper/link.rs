//! The two neighbours of a generation: the successor that is to take over, and the predecessor that still drains.

use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use crate::channel::{Channel, ChannelError};
use crate::life::Life;
use crate::protocol::frame::Frame;
use crate::report::Began;
use crate::shared::Shared;
use crate::transfer;

/// How long a dismissed successor may take to end by itself.
const DISMISSED: Duration = Duration::from_secs(1);

/// The successor, from its start to its commit and beyond.
pub(super) struct Link {
    pub(super) channel: Arc<Channel>,
    pub(super) life: Option<Life>,
    /// If this process started it.
    pub(super) child: Option<Child>,
    pub(super) pid: u32,
    pub(super) began: Began,
    /// Nothing more can come out of the channel.
    pub(super) closed: bool,
    pub(super) death_told: bool,
}

impl Link {
    /// How the successor ended, for the log.
    pub(super) fn how(&mut self) -> String {
        let status = self.child.as_mut().map(Child::try_wait);
        match status {
            Some(Ok(Some(status))) => format!("pid {}, {status}", self.pid),
            _ => format!("pid {} is gone", self.pid),
        }
    }

    /// Lets go of the successor. One that this process started is ended if it does not end by itself, and waited for.
    pub(super) fn dismiss(self) {
        let Self {
            channel,
            life,
            child,
            pid,
            ..
        } = self;
        drop(channel);
        let Some(mut child) = child else {
            return;
        };
        tokio::spawn(async move {
            if let Some(life) = life
                && tokio::time::timeout(DISMISSED, life.ended()).await.is_err()
            {
                warn!(pid, "the successor does not end; killing it");
                if let Err(error) = life.kill() {
                    warn!(pid, %error, "cannot kill the successor");
                }
                life.ended().await;
            }
            let reaped = tokio::task::spawn_blocking(move || child.wait()).await;
            debug!(pid, ?reaped, "the successor has ended");
        });
    }
}

/// What comes from the side of the predecessor.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FromAbove {
    /// It has nothing more to send.
    Silent,
    /// It is gone.
    Gone,
}

/// Takes in what the predecessor still sends while it drains, until it is gone.
pub(super) fn attend(
    shared: Arc<Shared>,
    channel: Arc<Channel>,
    life: Option<Life>,
    pid: u32,
) -> mpsc::Receiver<FromAbove> {
    let (news, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let mut packet = match channel.receive().await {
                Ok(packet) => packet,
                Err(ChannelError::Closed) => break,
                Err(error) => {
                    warn!(%error, "the channel to the predecessor broke");
                    break;
                }
            };
            let descriptors = std::mem::take(&mut packet.descriptors);
            match packet.open::<Frame>() {
                Ok((
                    Frame::Connections {
                        batch,
                        count,
                        heads_in_memfd,
                    },
                    tail,
                )) => {
                    match transfer::connections(count, heads_in_memfd, tail, descriptors) {
                        Ok(parcels) => {
                            debug!(count, "late connections came");
                            shared.registry.admit(parcels);
                        }
                        Err(error) => warn!(%error, "late connections are lost"),
                    }
                    let _ = channel.send(&Frame::Took { batch }, &[], &[]).await;
                }
                Ok((Frame::Ended { moved_late, closed }, _)) => {
                    info!(pid, moved_late, closed, "the predecessor has drained");
                    break;
                }
                Ok((other, _)) => debug!(frame = other.name(), "heard from the predecessor"),
                Err(error) => warn!(%error, "what the predecessor sent is not understood"),
            }
        }
        let _ = news.send(FromAbove::Silent).await;
        // Its process may take longer; as process 1 it stays for good.
        if let Some(life) = life {
            life.ended().await;
        }
        let _ = news.send(FromAbove::Gone).await;
    });
    receiver
}
