//! `batond`'s memory: all that was signed lately, one record after the other.
//!
//! The format is that of `baton-consensus`' sign guard, version 1: 4096 records of 128 bytes, a header, then marks and floors,
//! then zeros. Each ends with the first 8 bytes of SHA3-256 over the rest. Here only the furthest place is of interest.

use sha3::{Digest, Sha3_256};

use super::{Position, StateFile};

/// Where it lies below the data directory.
pub(super) const FILE: &str = "consensus/guard";

const RECORD: usize = 128;
const RECORDS: usize = 4096;
/// The size of the file.
pub(super) const BYTES: u64 = (RECORD * RECORDS) as u64;

const MAGIC: &[u8] = b"baton sign guard\0\0\0\x01";
const SUM: usize = 8;

/// Something was signed here.
const MARK: u8 = 1;
/// Nothing is signed up to here.
const FLOOR: u8 = 2;

/// The furthest place of which a signature, or a ban on one, is written down.
pub(super) fn parse(bytes: &[u8]) -> StateFile {
    let unreadable = |why: String| StateFile::Unreadable(why);
    if bytes.len() as u64 != BYTES {
        return unreadable(format!("{} bytes where {BYTES} are expected", bytes.len()));
    }
    let (records, _) = bytes.as_chunks::<RECORD>();
    let (header, rest) = records.split_first().expect("there are many records");
    if !header.starts_with(MAGIC) || !is_intact(header) {
        return unreadable("the header is not that of version 1".to_owned());
    }
    let is_empty = |record: &[u8; RECORD]| record.iter().all(|byte| *byte == 0);
    let used = rest.iter().position(is_empty).unwrap_or(rest.len());
    if !rest[used..].iter().all(is_empty) {
        return unreadable(format!("record {} is missing", used + 1));
    }
    let mut furthest = Position {
        height: 0,
        round: 0,
        step: 0,
    };
    for (index, record) in rest[..used].iter().enumerate() {
        match position(record) {
            Some(position) => furthest = furthest.max(position),
            None => return unreadable(format!("record {} is not intact", index + 1)),
        }
    }
    StateFile::At(furthest)
}

fn position(record: &[u8; RECORD]) -> Option<Position> {
    if !is_intact(record) {
        return None;
    }
    let height = u64::from_be_bytes(record[8..16].try_into().expect("8 bytes"));
    match (record[0], record[1]) {
        (MARK, step @ 0..=2) => Some(Position {
            height,
            round: u32::from_be_bytes(record[4..8].try_into().expect("4 bytes")).into(),
            step: u64::from(step) + 1,
        }),
        (FLOOR, _) => Some(Position::all_of(height)),
        _ => None,
    }
}

fn is_intact(record: &[u8; RECORD]) -> bool {
    let (body, sum) = record.split_at(RECORD - SUM);
    Sha3_256::digest(body)[..SUM] == *sum
}

/// For tests: the file of a validator that has signed this.
#[cfg(test)]
pub(crate) fn written(marks: &[(u64, u32, u8)], floor: Option<u64>) -> Vec<u8> {
    let seal = |record: &mut [u8]| {
        let sum = Sha3_256::digest(&record[..RECORD - SUM]);
        record[RECORD - SUM..].copy_from_slice(&sum[..SUM]);
    };
    let mut bytes = vec![0; RECORD * RECORDS];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    seal(&mut bytes[..RECORD]);
    let mut rest = bytes[RECORD..].chunks_mut(RECORD);
    for (height, round, step) in marks {
        let record = rest.next().unwrap();
        (record[0], record[1], record[2]) = (MARK, *step, 1);
        record[4..8].copy_from_slice(&round.to_be_bytes());
        record[8..16].copy_from_slice(&height.to_be_bytes());
        seal(record);
    }
    if let Some(height) = floor {
        let record = rest.next().unwrap();
        record[0] = FLOOR;
        record[8..16].copy_from_slice(&height.to_be_bytes());
        seal(record);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_furthest_place_counts() {
        let at = |marks: &[_], floor| match parse(&written(marks, floor)) {
            StateFile::At(position) => position,
            other => panic!("{other}"),
        };
        let position = at(&[(7, 0, 2), (8, 1, 1), (8, 0, 2)], None);
        assert_eq!(position.to_string(), "height 8, round 1, step 2");
        assert_eq!(at(&[(8, 3, 2)], Some(8)).to_string(), "all of height 8");
        assert!(at(&[(9, 0, 0)], Some(8)) > at(&[], Some(8)));
        assert_eq!(at(&[], None).height, 0);
    }

    #[test]
    fn what_is_not_whole_tells_nothing() {
        let whole = written(&[(7, 0, 2), (8, 1, 1)], None);
        for (place, byte) in [
            (0, b'B'),
            (19, 2),
            (30, 1),
            (RECORD + 9, 1),
            (RECORD * 2 + 127, 0xff),
            (RECORD * 4, 1),
        ] {
            let mut bytes = whole.clone();
            bytes[place] ^= byte;
            assert!(matches!(parse(&bytes), StateFile::Unreadable(_)), "{place}");
        }
        assert!(matches!(parse(&whole[1..]), StateFile::Unreadable(_)));
    }

    /// As `batond` wrote it in six blocks.
    #[test]
    fn batonds_own_file_is_read() {
        let packed = include_bytes!("../../../tests/data/sign-guard.gz");
        let mut bytes = Vec::new();
        let mut content = flate2::read::GzDecoder::new(packed.as_slice());
        content.read_to_end(&mut bytes).unwrap();
        let StateFile::At(position) = parse(&bytes) else {
            panic!("{}", parse(&bytes))
        };
        assert_eq!(position.to_string(), "height 6, round 0, step 3");
    }
}
