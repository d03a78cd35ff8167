//! A message in as many packets as it needs.
//!
//! A server may have more listeners than one packet has room for. So a message is cut into parts, each in the tail of a packet whose head
//! says which part of how many it is.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::channel::{Channel, ChannelError};

/// Bytes of the message in one packet; leaves room for the head.
const PART: usize = 60 * 1024;

/// The most parts of a message; about 1 MiB in all.
const PARTS: u32 = 17;

/// Why a message could not be sent or was not understood.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error("a message in more than {PARTS} parts of {PART} bytes")]
    TooLong,
    #[error("part {got} of {of} of a message came where part {wanted} belongs")]
    Order { wanted: u32, got: u32, of: u32 },
    #[error("the message is not understood: {0}")]
    Json(#[from] serde_json::Error),
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    part: u32,
    of: u32,
}

/// Sends a message. If it is cancelled half-way the channel is of no more use.
pub(crate) async fn send<T: Serialize>(channel: &Channel, message: &T) -> Result<(), WireError> {
    let text = serde_json::to_vec(message)?;
    let parts = text.len().div_ceil(PART).max(1);
    let of = u32::try_from(parts)
        .ok()
        .filter(|of| *of <= PARTS)
        .ok_or(WireError::TooLong)?;
    for (part, bytes) in (1..).zip(text.chunks(PART)) {
        channel.send(&Head { part, of }, bytes, &[]).await?;
    }
    Ok(())
}

/// The next message. If it is cancelled half-way the channel is of no more use.
pub(crate) async fn receive<T: DeserializeOwned>(channel: &Channel) -> Result<T, WireError> {
    let mut text = Vec::new();
    let mut wanted = 1;
    loop {
        let packet = channel.receive().await?;
        let (Head { part, of }, bytes) = packet.open().map_err(ChannelError::from)?;
        if of > PARTS {
            return Err(WireError::TooLong);
        }
        if part != wanted || part > of {
            return Err(WireError::Order {
                wanted,
                got: part,
                of,
            });
        }
        text.extend_from_slice(bytes);
        if part == of {
            return Ok(serde_json::from_slice(&text)?);
        }
        wanted += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Channel, Channel) {
        let (one, other) = Channel::pair().unwrap();
        (Channel::new(one).unwrap(), Channel::new(other).unwrap())
    }

    #[tokio::test]
    async fn messages_of_all_sizes_arrive() {
        for length in [0, 1, PART - 2, PART - 1, PART, 10 * PART, 16 * PART] {
            let (one, other) = pair();
            let text = "x".repeat(length);
            let (sent, got) = tokio::join!(send(&one, &text), receive::<String>(&other));
            sent.unwrap();
            assert_eq!(got.unwrap().len(), length);
        }
        let (one, _other) = pair();
        let error = send(&one, &"x".repeat(17 * PART)).await.unwrap_err();
        assert!(error.to_string().contains("17 parts"), "{error}");
    }

    #[tokio::test]
    async fn parts_out_of_order_and_endless_ones_are_refused() {
        for (part, of, text) in [
            (2, 3, "part 2 of 3"),
            (0, 1, "part 0 of 1"),
            (1, 18, "17 parts"),
            (1, 0, "part 1 of 0"),
        ] {
            let (one, other) = pair();
            one.send(&Head { part, of }, b"\"\"", &[]).await.unwrap();
            let error = receive::<String>(&other).await.unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        let (one, other) = pair();
        one.send(&Head { part: 1, of: 1 }, b"{", &[]).await.unwrap();
        assert!(receive::<String>(&other).await.is_err());
    }
}
