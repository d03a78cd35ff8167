//! Frames of requests and answers: a length (four bytes, big endian), then so many bytes.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use libp2p::StreamProtocol;
use libp2p::futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::request_response::Codec;

/// Memory that is set aside before any of the bytes have come: a length is only a claim.
const TRUSTED: usize = 64 << 10;

/// Reads and writes frames up to a size. A larger one is [`io::ErrorKind::InvalidData`], before any of it is read.
#[derive(Debug, Clone)]
pub(crate) struct Frames {
    pub(crate) request_bytes: usize,
    pub(crate) response_bytes: usize,
}

/// A request as it came, or as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// Within the limit.
    Bytes(Bytes),
    /// One that claims to be larger, none of which was read. libp2p tells nobody of a request that failed to be read, and a peer that
    /// sends such is to be charged.
    TooLarge(String),
}

async fn read<T: AsyncRead + Unpin + Send>(io: &mut T, limit: usize) -> io::Result<Bytes> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length) as usize;
    if length > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a frame of {length} bytes; the limit is {limit}"),
        ));
    }
    let mut bytes = Vec::with_capacity(length.min(TRUSTED));
    io.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes.into())
}

async fn write<T: AsyncWrite + Unpin + Send>(
    io: &mut T,
    bytes: &[u8],
    limit: usize,
) -> io::Result<()> {
    let length = u32::try_from(bytes.len())
        .ok()
        .filter(|_| bytes.len() <= limit);
    let Some(length) = length else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a frame of {} bytes; the limit is {limit}", bytes.len()),
        ));
    };
    io.write_all(&length.to_be_bytes()).await?;
    io.write_all(bytes).await?;
    io.flush().await
}

#[async_trait]
impl Codec for Frames {
    type Protocol = StreamProtocol;
    type Request = Request;
    type Response = Bytes;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        match read(io, self.request_bytes).await {
            Ok(bytes) => Ok(Request::Bytes(bytes)),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Ok(Request::TooLarge(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Bytes>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io, self.response_bytes).await
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Request,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        match request {
            Request::Bytes(bytes) => write(io, &bytes, self.request_bytes).await,
            Request::TooLarge(reason) => Err(io::Error::new(io::ErrorKind::InvalidInput, reason)),
        }
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        bytes: Bytes,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, &bytes, self.response_bytes).await
    }
}

#[cfg(test)]
mod tests {
    use libp2p::futures::executor::block_on;
    use libp2p::futures::io::Cursor;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..300), limit in 0_usize..300) {
            let mut wire = Cursor::new(Vec::new());
            let written = block_on(write(&mut wire, &bytes, limit));
            prop_assert_eq!(written.is_ok(), bytes.len() <= limit);
            if written.is_ok() {
                let read = block_on(read(&mut Cursor::new(wire.into_inner()), limit)).unwrap();
                prop_assert_eq!(read.as_ref(), &bytes[..]);
            }
        }

        #[test]
        fn anything_read_is_within_the_limit(wire in proptest::collection::vec(any::<u8>(), 0..300), limit in 0_usize..300) {
            if let Ok(read) = block_on(read(&mut Cursor::new(wire), limit)) {
                prop_assert!(read.len() <= limit);
            }
        }
    }

    #[test]
    fn a_frame_that_claims_too_much_is_refused_unread_and_a_short_one_is_an_end() {
        let mut wire = Cursor::new([0xff, 0xff, 0xff, 0xff, 1, 2, 3].to_vec());
        assert_eq!(
            block_on(read(&mut wire, 1 << 20)).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        assert_eq!(wire.position(), 4);
        let mut wire = Cursor::new([0, 0, 0, 9, 1, 2, 3].to_vec());
        assert_eq!(
            block_on(read(&mut wire, 1 << 20)).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }
}
