//! Every signature that came to light, from wherever: one key makes one for each step, and the sign guard knows of it first.
//!
//! Ed25519 makes the same signature of the same message: two different ones for one height, round and step are of two messages,
//! whatever the messages say of themselves.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, ensure};
use baton_consensus::context::Baton;
use sha3::{Digest, Sha3_256};

/// A record of the guard's file, whose format is told in the crate `baton-consensus`.
const RECORD: usize = 128;
/// Contradictions that are told; the others are counted.
const TOLD: usize = 10;

/// A validator's key.
pub(crate) type Key = [u8; 32];

/// What is signed at most once by a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) key: Key,
    pub(crate) height: u64,
    pub(crate) round: u32,
    /// 0 proposal, 1 prevote, 2 precommit.
    pub(crate) step: u8,
}

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    /// None for a vote for none.
    pub(crate) block: Option<[u8; 32]>,
    pub(crate) signature: Vec<u8>,
}

/// Where a signature was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Guard,
    Heard,
    Certificate,
}

#[derive(Debug)]
struct Seen {
    signed: Signed,
    guarded: bool,
    heard: bool,
}

/// What the guard's file of a key held when it was read last.
#[derive(Debug, Default)]
struct Guarded {
    last: Option<(u64, u32, u8)>,
    /// Older signatures were dropped from the file, and may never have been seen.
    rewritten: bool,
    first: Option<Vec<u8>>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Signatures {
    seen: BTreeMap<Place, Seen>,
    guards: HashMap<Key, Guarded>,
    contradictions: Vec<String>,
    contradicted: usize,
}

impl Signatures {
    /// Takes a signature that was seen.
    pub(crate) fn add(&mut self, place: Place, signed: &Signed, source: Source) {
        let seen = self.seen.entry(place).or_insert_with(|| Seen {
            signed: signed.clone(),
            guarded: false,
            heard: false,
        });
        seen.guarded |= source == Source::Guard;
        seen.heard |= source != Source::Guard;
        if seen.signed != *signed {
            let block = |signed: &Signed| signed.block.map_or("nil".to_owned(), hex::encode);
            let Place {
                key,
                height,
                round,
                step,
            } = place;
            let what = format!(
                "{} signed twice at height {height} round {round} step {step}: {} and ({source:?}) {}",
                hex::encode(&key[..4]),
                block(&seen.signed),
                block(signed),
            );
            self.contradict(what);
        }
    }

    fn contradict(&mut self, what: String) {
        self.contradicted += 1;
        if self.contradictions.len() < TOLD {
            self.contradictions.push(what);
        }
    }

    /// Takes all that a guard's file holds; nobody may be writing it.
    pub(crate) fn add_guard(&mut self, bytes: &[u8]) -> Result<()> {
        ensure!(
            bytes.len() >= RECORD && bytes.starts_with(b"baton sign guard"),
            "no file of a sign guard"
        );
        let key: Key = bytes[20..52].try_into()?;
        let mut places = Vec::new();
        let mut first = None;
        for record in bytes[RECORD..].chunks_exact(RECORD) {
            if record.iter().all(|byte| *byte == 0) {
                break;
            }
            let sum = Sha3_256::digest(&record[..RECORD - 8]);
            ensure!(
                sum[..8] == record[RECORD - 8..],
                "a record of a sign guard is damaged"
            );
            if record[0] != 1 {
                continue; // a floor: nothing was signed
            }
            first.get_or_insert_with(|| record.to_vec());
            let place = Place {
                key,
                height: u64::from_be_bytes(record[8..16].try_into()?),
                round: u32::from_be_bytes(record[4..8].try_into()?),
                step: record[1],
            };
            let block = (record[2] == 1)
                .then(|| record[20..52].try_into())
                .transpose()?;
            let signature = record[52..116].to_vec();
            places.push((place.height, place.round, place.step));
            self.add(place, &Signed { block, signature }, Source::Guard);
        }
        let guarded = self.guards.entry(key).or_default();
        let before = guarded.last;
        guarded.last = places.iter().max().copied();
        guarded.rewritten |= guarded.first.is_some() && guarded.first != first;
        guarded.first = first;
        if guarded.last < before {
            let after = guarded.last;
            self.contradict(format!(
                "the guard of {} forgot: {before:?} was its last signature, now {after:?}",
                hex::encode(&key[..4])
            ));
        }
        Ok(())
    }

    /// Takes the votes of a stored certificate.
    pub(crate) fn add_certificate(
        &mut self,
        certificate: &malachite_core::CommitCertificate<Baton>,
    ) {
        for one in &certificate.commit_signatures {
            let place = Place {
                key: one.address.0,
                height: certificate.height.0,
                round: certificate.round.as_u32().unwrap_or(u32::MAX),
                step: 2,
            };
            let signed = Signed {
                block: Some(certificate.value_id.0),
                signature: one.signature.0.to_vec(),
            };
            self.add(place, &signed, Source::Certificate);
        }
    }

    /// What should not have been.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = self.contradictions.clone();
        if self.contradicted > faults.len() {
            faults.push(format!("{} contradictions in all", self.contradicted));
        }
        let unguarded = self.seen.iter().filter(|(place, seen)| {
            let guard = self.guards.get(&place.key);
            !seen.guarded && guard.is_some_and(|guard| !guard.rewritten)
        });
        let unguarded: Vec<_> = unguarded.map(|(place, _)| place).collect();
        if let Some(Place {
            key,
            height,
            round,
            step,
        }) = unguarded.first()
        {
            faults.push(format!(
                "{} signatures left before the sign guard knew of them, the first of {} at height {height} round {round} step {step}",
                unguarded.len(),
                hex::encode(&key[..4]),
            ));
        }
        faults
    }

    /// How many there are, and how many of them others have seen.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let heard = self.seen.values().filter(|seen| seen.heard).count();
        (self.seen.len(), heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(records: &[(u64, u8, u8)]) -> Vec<u8> {
        let mut bytes = vec![0; RECORD * 8];
        bytes[..16].copy_from_slice(b"baton sign guard");
        bytes[20..52].fill(7);
        for ((height, step, block), record) in
            records.iter().zip(bytes[RECORD..].chunks_exact_mut(RECORD))
        {
            record[..3].copy_from_slice(&[1, *step, 1]);
            record[8..16].copy_from_slice(&height.to_be_bytes());
            record[20..116].fill(*block);
            let sum = Sha3_256::digest(&record[..RECORD - 8]);
            record[RECORD - 8..].copy_from_slice(&sum[..8]);
        }
        bytes
    }

    #[test]
    fn the_same_again_is_no_fault() {
        let mut signatures = Signatures::default();
        signatures.add_guard(&guard(&[(1, 1, 5)])).unwrap();
        signatures
            .add_guard(&guard(&[(1, 1, 5), (1, 2, 5)]))
            .unwrap();
        assert_eq!(signatures.faults(), Vec::<String>::new());
        assert_eq!(signatures.counts(), (2, 0));
    }

    #[test]
    fn two_signatures_a_forgetful_guard_and_an_early_signature_are() {
        let mut signatures = Signatures::default();
        signatures
            .add_guard(&guard(&[(1, 1, 5), (2, 1, 5)]))
            .unwrap();
        signatures.add_guard(&guard(&[(1, 1, 6)])).unwrap();
        let place = Place {
            key: [7; 32],
            height: 3,
            round: 0,
            step: 2,
        };
        let signed = Signed {
            block: None,
            signature: vec![1; 64],
        };
        let mut other = Signatures::default();
        other.add_guard(&guard(&[(1, 1, 5)])).unwrap();
        other.add(place, &signed, Source::Heard);
        let faults = signatures.faults();
        assert!(faults[0].contains("signed twice at height 1"), "{faults:?}");
        assert!(faults[1].contains("forgot"), "{faults:?}");
        let faults = other.faults();
        assert!(faults[0].contains("1 signatures left before"), "{faults:?}");
    }
}
