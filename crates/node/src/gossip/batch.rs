//! Several transactions in one gossiped message.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | `01`, the format |
//! | 8 | a number that makes a message of the same transactions another message, so that it can be told again |
//! | for each transaction: 4, n | its length in little endian, its bytes |

use bytes::{BufMut, Bytes, BytesMut};

/// The most bytes of a message; below the network's limit for transactions.
pub(super) const MAX_BYTES: usize = 128 << 10;
/// The most transactions in a message.
pub(super) const MAX_TRANSACTIONS: usize = 256;

const FORMAT: u8 = 1;
const HEAD: usize = 9;

/// A message that is being put together.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: BytesMut,
    count: usize,
}

/// The bytes are no batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl Batch {
    pub(super) fn new(salt: u64) -> Self {
        let mut bytes = BytesMut::new();
        bytes.put_u8(FORMAT);
        bytes.put_u64_le(salt);
        Self { bytes, count: 0 }
    }

    /// Adds a transaction; `false` if it does not fit, and belongs into the next message.
    pub(super) fn add(&mut self, transaction: &[u8]) -> bool {
        let fits =
            self.count < MAX_TRANSACTIONS && self.bytes.len() + 4 + transaction.len() <= MAX_BYTES;
        // one that fits into no message goes alone: the network says so if it is too large
        if !fits && self.count > 0 {
            return false;
        }
        if let Ok(len) = u32::try_from(transaction.len()) {
            self.bytes.put_u32_le(len);
            self.bytes.put_slice(transaction);
            self.count += 1;
        }
        true
    }

    pub(super) fn finish(self) -> Bytes {
        self.bytes.freeze()
    }
}

/// The transactions of a message, one at least.
pub(super) fn read(message: &Bytes) -> Result<Vec<Bytes>, Malformed> {
    if message.first() != Some(&FORMAT) || message.len() < HEAD {
        return Err(Malformed);
    }
    let mut rest = message.slice(HEAD..);
    let mut transactions = Vec::new();
    while !rest.is_empty() {
        let (len, _) = rest.split_first_chunk().ok_or(Malformed)?;
        let len = u32::from_le_bytes(*len) as usize;
        if transactions.len() == MAX_TRANSACTIONS || rest.len() - 4 < len {
            return Err(Malformed);
        }
        transactions.push(rest.slice(4..4 + len));
        rest = rest.slice(4 + len..);
    }
    if transactions.is_empty() {
        return Err(Malformed);
    }
    Ok(transactions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_together_is_taken_apart() {
        let mut batch = Batch::new(7);
        for transaction in [&b"one"[..], b"", b"three"] {
            assert!(batch.add(transaction));
        }
        let read = read(&batch.finish()).unwrap();
        assert_eq!(read, [&b"one"[..], b"", b"three"]);
        assert_ne!(Batch::new(1).finish(), Batch::new(2).finish());
    }

    #[test]
    fn a_message_is_bounded() {
        let mut batch = Batch::new(0);
        let large = vec![1; MAX_BYTES];
        assert!(batch.add(&large), "the first goes alone");
        assert!(!batch.add(b"more"));
        let mut batch = Batch::new(0);
        for _ in 0..MAX_TRANSACTIONS {
            assert!(batch.add(b"x"));
        }
        assert!(!batch.add(b"x"));
        assert_eq!(read(&batch.finish()).unwrap().len(), MAX_TRANSACTIONS);
    }

    #[test]
    fn anything_else_is_malformed() {
        let mut batch = Batch::new(0);
        batch.add(b"one");
        let good = batch.finish();
        for end in 0..good.len() {
            assert_eq!(read(&good.slice(..end)), Err(Malformed), "{end}");
        }
        let mut long = good.to_vec();
        long.extend([0xff; 4]);
        assert_eq!(read(&long.into()), Err(Malformed));
        let mut other = good.to_vec();
        other[0] = 2;
        assert_eq!(read(&other.into()), Err(Malformed));
    }
}
