//! The primitives of Bytom's wire format: a [`Reader`] that never reads past its end and a [`Writer`] into
//! anything that takes bytes.
//!
//! A *varint* is an unsigned LEB128 number of at most 31 or 63 bits; a *varstr* a varint31 length and that many
//! bytes; a *varstr list* a varint31 count and that many varstrs; an *extensible string* a varstr whose contents
//! have a known beginning and a suffix that is kept for versions to come. (bytomd v2, `encoding/blockchain`.)
//!
//! What is not canonical is taken as bytomd takes it: a varint may have needless leading groups (`8000` is 0) up
//! to ten bytes, and decodes to its value. Encoding is always canonical, and ids are hashes of values, so a
//! transaction has the same id however its numbers were spelt.

use sha3::{Digest, Sha3_256};
use thiserror::Error;

use crate::hash::{AssetId, Hash};

/// The longest encoding that is read, in bytes: 21 MiB, the longest content of a message of Bytom's peer protocol
/// (bytomd v2, `netsync/messages`), so nothing longer can come from a node.
pub const MAX_ENCODED_BYTES: usize = 22_020_096;

/// The largest value of a varint31: lengths and counts.
pub const VARINT31_MAX: u64 = i32::MAX as u64;

/// The largest value of a varint63: versions, heights, times and amounts.
pub const VARINT63_MAX: u64 = i64::MAX as u64;

/// Why bytes are not what they were read as.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum DecodeError {
    /// The bytes end too early.
    #[error("reading {field}: {missing} more bytes wanted at byte {at}, where the input ends")]
    Ended {
        /// What was being read.
        field: &'static str,
        /// Where the input ends.
        at: usize,
        /// How many bytes are missing.
        missing: usize,
    },
    /// A varint has more than 64 bits.
    #[error("reading {field}: the varint at byte {at} has more than 64 bits")]
    VarintOverflow {
        /// What was being read.
        field: &'static str,
        /// Where the varint starts.
        at: usize,
    },
    /// A varint is above the largest value of its field.
    #[error("reading {field}: value out of range: {value} at byte {at} is above {limit}")]
    OutOfRange {
        /// What was being read.
        field: &'static str,
        /// Where the varint starts.
        at: usize,
        /// Its value.
        value: u64,
        /// The largest value.
        limit: u64,
    },
    /// There are bytes after the end.
    #[error("trailing garbage ({bytes} bytes) after the {what}")]
    Trailing {
        /// What was read.
        what: &'static str,
        /// How many bytes are left.
        bytes: usize,
    },
    /// The encoding is longer than [`MAX_ENCODED_BYTES`].
    #[error("the {what} has {len} bytes, more than the limit of {MAX_ENCODED_BYTES}")]
    TooLong {
        /// What was to be read.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
    },
    /// The text is not hexadecimal.
    #[error("the {what} is not hexadecimal: {source}")]
    Hex {
        /// What was to be read.
        what: &'static str,
        /// Which digit is wrong.
        source: hex::FromHexError,
    },
    /// The first byte says that something else follows.
    #[error("unsupported serflags {found:#x}: a {what} starts with {wanted:#x}")]
    Flags {
        /// What was to be read.
        what: &'static str,
        /// The first byte.
        found: u8,
        /// What it must be.
        wanted: u8,
    },
    /// An asset version other than 1.
    #[error("unsupported asset version {0}, only 1 is known")]
    AssetVersion(u64),
    /// A virtual machine other than 1 for an output.
    #[error("unrecognized VM version {0} for asset version 1")]
    VmVersion(u64),
    /// An input of an unknown kind.
    #[error("unsupported input type {0}")]
    InputType(u8),
    /// An output of an unknown kind.
    #[error("unsupported output type {0}")]
    OutputType(u8),
    /// An issuance states another asset than the one its program and definition make.
    #[error(
        "asset ID does not match other issuance parameters: {stated} is stated, {computed} follows"
    )]
    AssetMismatch {
        /// The asset id in the commitment.
        stated: AssetId,
        /// The asset id of the issuance program and the definition in the witness.
        computed: AssetId,
    },
    /// Something is wrong within a numbered part.
    #[error("reading {part} {index}: {source}")]
    Within {
        /// The kind of part: `input`, `output`, `transaction`, `sup link`.
        part: &'static str,
        /// Its number, from 0.
        index: usize,
        /// What is wrong there.
        source: Box<DecodeError>,
    },
}

/// Reads primitives from a slice, keeping the position for errors.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts to read the encoding of a `what`.
    ///
    /// Fails if it is longer than [`MAX_ENCODED_BYTES`].
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_ENCODED_BYTES {
            return Err(DecodeError::TooLong {
                what,
                len: bytes.len(),
            });
        }
        Ok(Self { rest: bytes, at: 0 })
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, field: &'static str, len: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(DecodeError::Ended {
                field,
                at: self.at + self.rest.len(),
                missing: len - self.rest.len(),
            });
        };
        self.rest = rest;
        self.at += len;
        Ok(taken)
    }

    /// One byte.
    pub fn byte(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.bytes(field, 1).map(|bytes| bytes[0])
    }

    /// 32 bytes.
    pub fn hash(&mut self, field: &'static str) -> Result<Hash, DecodeError> {
        let bytes = self.bytes(field, 32)?;
        Ok(Hash(bytes.try_into().expect("32 bytes were taken")))
    }

    /// 32 bytes that name an asset.
    pub fn asset_id(&mut self, field: &'static str) -> Result<AssetId, DecodeError> {
        self.hash(field).map(|hash| AssetId(hash.0))
    }

    fn varint(&mut self, field: &'static str, limit: u64) -> Result<u64, DecodeError> {
        let at = self.at;
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(field)?;
            let group = u64::from(byte & 0x7f);
            if shift == 63 && byte > 1 {
                break;
            }
            value |= group << shift;
            if byte & 0x80 == 0 {
                if value > limit {
                    return Err(DecodeError::OutOfRange {
                        field,
                        at,
                        value,
                        limit,
                    });
                }
                return Ok(value);
            }
        }
        Err(DecodeError::VarintOverflow { field, at })
    }

    /// A number of up to 31 bits: a length or a count.
    pub fn varint31(&mut self, field: &'static str) -> Result<usize, DecodeError> {
        let value = self.varint(field, VARINT31_MAX)?;
        Ok(usize::try_from(value).expect("31 bits fit"))
    }

    /// A number of up to 63 bits.
    pub fn varint63(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.varint(field, VARINT63_MAX)
    }

    /// A length and that many bytes.
    pub fn varstr(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = self.varint31(field)?;
        self.bytes(field, len)
    }

    /// A count and that many varstrs.
    pub fn varstr_list(&mut self, field: &'static str) -> Result<Vec<Vec<u8>>, DecodeError> {
        let count = self.varint31(field)?;
        // each takes a byte at least, so the list grows no further than the input
        let mut list = Vec::with_capacity(count.min(self.remaining()).min(64));
        for _ in 0..count {
            list.push(self.varstr(field)?.to_vec());
        }
        Ok(list)
    }

    /// An extensible string: reads its known part with `read` and returns that and the suffix.
    pub fn extensible<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<(T, Vec<u8>), DecodeError> {
        let len = self.varint31(field)?;
        let start = self.at;
        let mut inner = Self {
            rest: self.bytes(field, len)?,
            at: start,
        };
        let known = read(&mut inner)?;
        Ok((known, inner.rest.to_vec()))
    }

    /// `count` parts, each read by `read`; an error tells the number of the part.
    pub fn parts<T>(
        &mut self,
        part: &'static str,
        count: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let mut parts = Vec::with_capacity(count.min(self.remaining()).min(64));
        for index in 0..count {
            parts.push(read(self).map_err(|source| DecodeError::Within {
                part,
                index,
                source: Box::new(source),
            })?);
        }
        Ok(parts)
    }

    /// Ends reading a `what`.
    ///
    /// Fails if bytes are left.
    pub fn finish(self, what: &'static str) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(DecodeError::Trailing { what, bytes }),
        }
    }
}

/// Bytes from hexadecimal text, upper or lower case.
pub(crate) fn from_hex(what: &'static str, text: &str) -> Result<Vec<u8>, DecodeError> {
    if text.len() > 2 * MAX_ENCODED_BYTES {
        return Err(DecodeError::TooLong {
            what,
            len: text.len() / 2,
        });
    }
    hex::decode(text).map_err(|source| DecodeError::Hex { what, source })
}

/// What takes bytes: a buffer, a hash, or a counter of them.
pub trait Sink {
    /// Takes `bytes`.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for Sha3_256 {
    fn put(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

/// Counts bytes and forgets them.
#[derive(Debug, Default)]
pub(crate) struct Counter(pub(crate) usize);

impl Sink for Counter {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// Writes primitives into a [`Sink`].
///
/// A number that is too large for its field is written as it is: no decoder takes it.
pub struct Writer<'a>(&'a mut dyn Sink);

impl<'a> Writer<'a> {
    /// Writes into `sink`.
    pub fn new(sink: &'a mut dyn Sink) -> Self {
        Self(sink)
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.put(bytes);
    }

    /// Eight bytes, least significant first: numbers in the bodies of entries.
    pub fn u64_le(&mut self, value: u64) {
        self.0.put(&value.to_le_bytes());
    }

    /// A varint.
    pub fn varint(&mut self, mut value: u64) {
        let mut groups = [0; 10];
        let mut len = 0;
        loop {
            let group = (value & 0x7f) as u8;
            value >>= 7;
            groups[len] = if value == 0 { group } else { group | 0x80 };
            len += 1;
            if value == 0 {
                break;
            }
        }
        self.0.put(&groups[..len]);
    }

    /// A length or a count.
    pub fn count(&mut self, count: usize) {
        self.varint(count as u64);
    }

    /// A varstr.
    pub fn varstr(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.put(bytes);
    }

    /// A varstr list.
    pub fn varstr_list(&mut self, list: &[Vec<u8>]) {
        self.count(list.len());
        for bytes in list {
            self.varstr(bytes);
        }
    }

    /// An extensible string: what `known` writes, then the suffix.
    ///
    /// `known` is called twice, first to count.
    pub fn extensible(&mut self, suffix: &[u8], known: impl Fn(&mut Writer<'_>)) {
        let mut counter = Counter::default();
        known(&mut Writer::new(&mut counter));
        self.count(counter.0 + suffix.len());
        known(self);
        self.0.put(suffix);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reader(bytes: &[u8]) -> Reader<'_> {
        Reader::new("test", bytes).unwrap()
    }

    fn varint(value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        Writer::new(&mut bytes).varint(value);
        bytes
    }

    #[test]
    fn limits_of_varints() {
        assert_eq!(reader(&varint(VARINT31_MAX)).varint31("n"), Ok(0x7fff_ffff));
        assert_eq!(
            reader(&varint(VARINT31_MAX + 1)).varint31("n"),
            Err(DecodeError::OutOfRange {
                field: "n",
                at: 0,
                value: 1 << 31,
                limit: VARINT31_MAX
            })
        );
        assert_eq!(
            reader(&varint(VARINT63_MAX)).varint63("n"),
            Ok(VARINT63_MAX)
        );
        assert!(matches!(
            reader(&varint(u64::MAX)).varint63("n"),
            Err(DecodeError::OutOfRange { .. })
        ));
    }

    #[test]
    fn needless_groups_are_taken_up_to_ten_bytes() {
        assert_eq!(reader(&[0x80, 0]).varint63("n"), Ok(0));
        assert_eq!(
            reader(&[0x85, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]).varint31("n"),
            Ok(5)
        );
        let eleven = [
            0x85, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0,
        ];
        let overflow = Err(DecodeError::VarintOverflow { field: "n", at: 0 });
        assert_eq!(reader(&eleven).varint63("n"), overflow);
        let wide = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
        assert_eq!(reader(&wide).varint63("n"), overflow);
    }

    #[test]
    fn an_early_end_is_named() {
        assert_eq!(
            reader(&[3, 1, 2]).varstr("nonce").unwrap_err().to_string(),
            "reading nonce: 1 more bytes wanted at byte 3, where the input ends"
        );
        assert!(reader(&[0x80]).varint63("n").is_err());
        // a count of two thousand million reserves nothing
        let mut bytes = varint(VARINT31_MAX);
        bytes.push(0);
        assert!(reader(&bytes).varstr_list("state data").is_err());
    }

    #[test]
    fn what_follows_is_refused_and_what_is_too_long_not_read() {
        let mut one = reader(&[1, 2]);
        one.byte("flag").unwrap();
        assert_eq!(
            one.finish("header").unwrap_err().to_string(),
            "trailing garbage (1 bytes) after the header"
        );
        let error = Reader::new("block", &vec![0; MAX_ENCODED_BYTES + 1]).unwrap_err();
        assert!(
            error.to_string().contains("the limit of 22020096"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            number in 0..=VARINT63_MAX,
            list in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..5),
            suffix in prop::collection::vec(any::<u8>(), 0..5),
        ) {
            let mut bytes = Vec::new();
            Writer::new(&mut bytes).extensible(&suffix, |w| {
                w.varint(number);
                w.varstr_list(&list);
            });
            let mut r = reader(&bytes);
            let read = r.extensible("all", |r| Ok((r.varint63("number")?, r.varstr_list("list")?)));
            prop_assert_eq!(read, Ok(((number, list), suffix)));
            prop_assert_eq!(r.finish("all"), Ok(()));
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = reader(&bytes).varint31("n");
            let _ = reader(&bytes).varint63("n");
            let _ = reader(&bytes).varstr_list("list");
            let _ = reader(&bytes).extensible("string", |r| r.hash("hash"));
        }
    }
}
