//! How states and connections travel: descriptors in batches, the rest beside them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::channel::{Channel, ChannelError};
use crate::protocol::frame::{DESCRIPTOR_LIMIT, Frame, PACKET_LIMIT, SentState};
use crate::sealed::{Sealed, SealedError};
use crate::{Monotonic, Parcel};

/// The most bytes of heads in a packet's tail; more go into a memfd.
const INLINE: usize = PACKET_LIMIT / 2;

/// The most bytes of one batch's heads.
const HEADS_LIMIT: u64 = 256 * 1024 * 1024;

/// The most bytes of one state.
const STATE_LIMIT: u64 = 16 * 1024 * 1024 * 1024;

/// Connections in one batch: one descriptor each, and one for the heads.
const BATCH: usize = DESCRIPTOR_LIMIT - 1;

/// Batches that may be under way without a receipt: descriptors in flight count against the sender's limit.
const WINDOW: u32 = 2;

/// Why something did not travel.
#[derive(Debug, Error)]
pub(crate) enum TransferError {
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error("cannot {doing} a memory file: {source}")]
    Memory {
        doing: &'static str,
        source: std::io::Error,
    },
    #[error("a memory file that came is not usable: {0}")]
    Sealed(#[from] SealedError),
    #[error("the heads of connections are not understood: {0}")]
    Heads(#[from] postcard::Error),
    #[error("{what}: {announced} were announced, {present} came")]
    Count {
        what: &'static str,
        announced: usize,
        present: usize,
    },
    #[error("the successor refused: {reason}")]
    Refused { reason: String },
    #[error("the successor said {said} instead of took")]
    Said { said: &'static str },
}

/// All of a connection but its socket.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    kind: String,
    unread: Vec<u8>,
    unsent: Vec<u8>,
    label: Vec<u8>,
    frozen: Monotonic,
}

#[derive(Serialize)]
struct HeadRef<'a> {
    kind: &'a str,
    unread: &'a [u8],
    unsent: &'a [u8],
    label: &'a [u8],
    frozen: Monotonic,
}

/// Sends states and connections and waits for the receipts. The parcels stay the caller's until the commit.
pub(crate) async fn send_all(
    channel: &Channel,
    states: &[(SentState, Sealed)],
    parcels: &[Parcel],
) -> Result<(), TransferError> {
    for chunk in states.chunks(BATCH) {
        let frame = Frame::States {
            states: chunk.iter().map(|(sent, _)| sent.clone()).collect(),
        };
        let memfds: Vec<_> = chunk.iter().map(|(_, sealed)| sealed.as_fd()).collect();
        channel.send(&frame, &[], &memfds).await?;
    }
    let mut under_way = 0;
    for (batch, chunk) in (0..).zip(parcels.chunks(BATCH)) {
        if under_way == WINDOW {
            receipt(channel).await?;
            under_way -= 1;
        }
        send_connections(channel, batch, chunk).await?;
        under_way += 1;
    }
    for _ in 0..under_way {
        receipt(channel).await?;
    }
    let all = Frame::All {
        states: count(states.len()),
        connections: count(parcels.len()),
    };
    Ok(channel.send(&all, &[], &[]).await?)
}

/// Sends one batch of at most 252 connections.
pub(crate) async fn send_connections(
    channel: &Channel,
    batch: u32,
    parcels: &[Parcel],
) -> Result<(), TransferError> {
    let heads: Vec<_> = parcels
        .iter()
        .map(|parcel| HeadRef {
            kind: &parcel.kind,
            unread: &parcel.unread,
            unsent: &parcel.unsent,
            label: &parcel.label,
            frozen: parcel.frozen,
        })
        .collect();
    let heads = postcard::to_stdvec(&heads)?;
    let mut descriptors: Vec<BorrowedFd<'_>> = Vec::with_capacity(parcels.len() + 1);
    let memfd;
    let mut tail = heads.as_slice();
    if heads.len() > INLINE {
        memfd = Sealed::write("baton connections", |file| {
            std::io::Write::write_all(file, &heads)
        })
        .map_err(|source| TransferError::Memory {
            doing: "write",
            source,
        })?;
        descriptors.push(memfd.as_fd());
        tail = &[];
    }
    let frame = Frame::Connections {
        batch,
        count: count(parcels.len()),
        heads_in_memfd: tail.is_empty() && !parcels.is_empty(),
    };
    descriptors.extend(parcels.iter().map(|parcel| parcel.socket.as_fd()));
    Ok(channel.send(&frame, tail, &descriptors).await?)
}

async fn receipt(channel: &Channel) -> Result<(), TransferError> {
    let packet = channel.receive().await?;
    match packet.open::<Frame>().map_err(ChannelError::from)?.0 {
        Frame::Took { .. } => Ok(()),
        Frame::Refuse { reason } | Frame::Abort { reason } => {
            Err(TransferError::Refused { reason })
        }
        other => Err(TransferError::Said { said: other.name() }),
    }
}

/// The connections of a batch that came.
pub(crate) fn connections(
    announced: u32,
    heads_in_memfd: bool,
    tail: &[u8],
    descriptors: Vec<OwnedFd>,
) -> Result<Vec<Parcel>, TransferError> {
    let mut descriptors = descriptors.into_iter();
    let heads: Vec<Head> = if heads_in_memfd {
        let memfd = descriptors.next().ok_or(TransferError::Count {
            what: "descriptors of heads",
            announced: 1,
            present: 0,
        })?;
        let length = rustix::fs::fstat(&memfd).map_or(0, |stat| stat.st_size);
        let length = u64::try_from(length).unwrap_or(0);
        let sealed = Sealed::check(memfd, length, HEADS_LIMIT)?;
        let mapped = sealed.read().map_err(|source| TransferError::Memory {
            doing: "read",
            source,
        })?;
        postcard::from_bytes(&mapped)?
    } else {
        postcard::from_bytes(tail)?
    };
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    for (what, present) in [
        ("connections", descriptors.len()),
        ("heads of connections", heads.len()),
    ] {
        if present != announced {
            return Err(TransferError::Count {
                what,
                announced,
                present,
            });
        }
    }
    let parcel = |(head, socket): (Head, OwnedFd)| Parcel {
        kind: head.kind,
        socket,
        unread: head.unread,
        unsent: head.unsent,
        label: head.label,
        frozen: head.frozen,
    };
    Ok(heads.into_iter().zip(descriptors).map(parcel).collect())
}

/// The states of a frame that came.
pub(crate) fn states(
    sent: Vec<SentState>,
    descriptors: Vec<OwnedFd>,
) -> Result<Vec<(SentState, Sealed)>, TransferError> {
    if sent.len() != descriptors.len() {
        return Err(TransferError::Count {
            what: "states",
            announced: sent.len(),
            present: descriptors.len(),
        });
    }
    sent.into_iter()
        .zip(descriptors)
        .map(|(state, memfd)| {
            let sealed = Sealed::check(memfd, state.length, STATE_LIMIT)?;
            Ok((state, sealed))
        })
        .collect()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn pair() -> (Channel, Channel) {
        let (one, other) = Channel::pair().unwrap();
        (Channel::new(one).unwrap(), Channel::new(other).unwrap())
    }

    async fn take(channel: &Channel) -> (Vec<(SentState, Sealed)>, Vec<Parcel>) {
        let (mut got_states, mut parcels) = (Vec::new(), Vec::new());
        loop {
            let mut packet = channel.receive().await.unwrap();
            let descriptors = std::mem::take(&mut packet.descriptors);
            let (frame, tail) = packet.open::<Frame>().unwrap();
            match frame {
                Frame::States { states: sent } => {
                    got_states.extend(states(sent, descriptors).unwrap());
                }
                Frame::Connections {
                    batch,
                    count,
                    heads_in_memfd,
                } => {
                    parcels.extend(connections(count, heads_in_memfd, tail, descriptors).unwrap());
                    channel
                        .send(&Frame::Took { batch }, &[], &[])
                        .await
                        .unwrap();
                }
                Frame::All { .. } => return (got_states, parcels),
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn many_connections_with_many_bytes_arrive_whole() {
        let (giver, taker) = pair();
        let mut peers = Vec::new();
        let parcels: Vec<Parcel> = (0..600u32)
            .map(|number| {
                let (ours, theirs) = UnixStream::pair().unwrap();
                peers.push(theirs);
                Parcel {
                    kind: "echo".into(),
                    socket: ours.into(),
                    unread: number.to_le_bytes().to_vec(),
                    unsent: vec![7; if number % 100 == 0 { 100_000 } else { 3 }],
                    label: format!("label {number}").into_bytes(),
                    frozen: Monotonic::now(),
                }
            })
            .collect();
        let big = Sealed::write("state", |file| file.write_all(&vec![9; 65_537])).unwrap();
        let sent = SentState {
            name: "cache".into(),
            version: 2,
            length: big.len(),
        };
        let states = vec![(sent, big)];
        let (sent, (got_states, got)) =
            tokio::join!(send_all(&giver, &states, &parcels), take(&taker));
        sent.unwrap();
        assert_eq!(got_states[0].0, states[0].0);
        assert_eq!(&*got_states[0].1.read().unwrap(), &vec![9; 65_537][..]);
        assert_eq!(got.len(), parcels.len());
        drop(parcels);
        for (number, (parcel, mut peer)) in (0..).zip(got.into_iter().zip(peers)) {
            let number: u32 = number;
            assert_eq!(parcel.unread, number.to_le_bytes());
            assert_eq!(parcel.label, format!("label {number}").into_bytes());
            let mut socket = UnixStream::from(parcel.socket);
            socket.write_all(&number.to_le_bytes()).unwrap();
            let mut bytes = [0; 4];
            peer.read_exact(&mut bytes).unwrap();
            assert_eq!(bytes, number.to_le_bytes());
        }
    }

    #[test]
    fn what_does_not_fit_its_announcement_is_refused() {
        let heads = postcard::to_stdvec(&Vec::<Head>::new()).unwrap();
        assert!(matches!(
            connections(1, false, &heads, Vec::new()),
            Err(TransferError::Count { .. })
        ));
        assert!(matches!(
            connections(1, true, &heads, Vec::new()),
            Err(TransferError::Count { .. })
        ));
        assert!(connections(0, false, b"\xff\xff\xff", Vec::new()).is_err());
        let state = SentState {
            name: "x".into(),
            version: 1,
            length: 4,
        };
        assert!(states(vec![state.clone()], Vec::new()).is_err());
        let file = tempfile::tempfile().unwrap();
        assert!(states(vec![state], vec![file.into()]).is_err());
    }
}
