//! The guard's file.
//!
//! Records of 128 bytes, the first of which is the header, then what was signed in the order of signing, then zeros: the
//! file has its full length from the beginning, so that a flush has no length to write. 128 bytes that begin at a
//! multiple of 128 lie in one sector of a disk, which is written as a whole or not at all:
//!
//! * A crash amid an append leaves zeros or the whole record. In neither case has the signature left the process, since
//!   it leaves after the flush.
//! * A record that is neither zeros nor intact, or a record after zeros, is damage, and the guard does not open.
//!
//! | record | bytes |
//! |---|---|
//! | header | `baton sign guard`, version u32, key 32, genesis hash 32 |
//! | signature | `01`, step (0 proposal, 1 prevote, 2 precommit), `01` block or `00` nil, `01` polka or `00`, round u32, height u64, round of the polka u32, block id 32, signature 64 |
//! | floor | `02`, zeros 7, height u64 |
//!
//! The last 8 bytes of each are the first of SHA3-256 over the others. Numbers are big-endian. A full file is rewritten
//! with what is still of use: temporary file, flush, rename, flush of the directory.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use fail::fail_point;
use rustix::fs::{FlockOperation, flock};
use sha3::{Digest, Sha3_256};

use super::GuardError;
use super::mark::{Mark, Place, Step};
use crate::context::{Address, BlockId, Domain, Signature};

pub(super) const RECORD: usize = 128;
const BODY: usize = RECORD - 8;
const MAGIC: &[u8; 16] = b"baton sign guard";
const VERSION: u32 = 1;
/// Records in a file: with three signatures a height it is rewritten about every 1300 heights.
pub(super) const RECORDS: usize = 4096;

type Record = [u8; RECORD];

/// A line of the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Mark(Mark, Signature),
    /// Nothing is signed up to this height.
    Floor(u64),
}

/// The open file, locked against other processes.
#[derive(Debug)]
pub(super) struct GuardFile {
    path: PathBuf,
    header: Record,
    file: File,
    used: usize,
    flushes: u64,
    /// After a failed flush nobody knows what is on the disk.
    failed: bool,
}

impl GuardFile {
    /// Opens the file and reads its entries; creates it, with `None`, if there is none.
    pub(super) fn open(
        path: &Path,
        key: Address,
        domain: Domain,
    ) -> Result<(Self, Option<Vec<Entry>>), GuardError> {
        let header = header(key, domain);
        let opened = OpenOptions::new().read(true).write(true).open(path);
        match opened {
            Ok(file) => {
                lock(&file, path)?;
                let mut bytes = Vec::new();
                Read::take(&file, (RECORD * (RECORDS + 1)) as u64)
                    .read_to_end(&mut bytes)
                    .map_err(io(path, "reading"))?;
                let entries = parse(path, &bytes, &header)?;
                let this = Self {
                    path: path.to_owned(),
                    header,
                    file,
                    used: 1 + entries.len(),
                    flushes: 0,
                    failed: false,
                };
                Ok((this, Some(entries)))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let file = create(path, &header, &[])?;
                let this = Self {
                    path: path.to_owned(),
                    header,
                    file,
                    used: 1,
                    flushes: 2,
                    failed: false,
                };
                Ok((this, None))
            }
            Err(error) => Err(io(path, "opening")(error)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_full(&self) -> bool {
        // one record is left for a floor
        self.used + 1 >= RECORDS
    }

    /// Writes an entry and flushes it. After a failure it always fails.
    pub(super) fn append(&mut self, entry: &Entry) -> Result<(), GuardError> {
        if self.failed {
            let again = std::io::Error::other("an earlier write failed; restart the node");
            return Err(io(&self.path, "writing")(again));
        }
        self.failed = true;
        let offset = (self.used * RECORD) as u64;
        fail_point!("guard::before_write", |_| {
            let full = std::io::Error::from(ErrorKind::StorageFull);
            Err(io(&self.path, "writing")(full))
        });
        self.file
            .write_all_at(&encode(entry), offset)
            .map_err(io(&self.path, "writing"))?;
        fail_point!("guard::before_flush");
        self.file.sync_data().map_err(io(&self.path, "flushing"))?;
        fail_point!("guard::after_flush");
        self.failed = false;
        self.used += 1;
        self.flushes += 1;
        Ok(())
    }

    /// Replaces the file by one with these entries only. If it fails, the file still has the entries that it had, and this
    /// may be tried again.
    pub(super) fn rewrite(
        &mut self,
        floor: u64,
        marks: impl Iterator<Item = (Mark, Signature)>,
    ) -> Result<(), GuardError> {
        let floor = (floor > 0).then_some(Entry::Floor(floor));
        let entries: Vec<_> = floor
            .into_iter()
            .chain(marks.map(|(mark, signature)| Entry::Mark(mark, signature)))
            .collect();
        self.file = create(&self.path, &self.header, &entries)?;
        self.used = 1 + entries.len();
        self.flushes += 2;
        Ok(())
    }

    pub(super) fn flushes(&self) -> u64 {
        self.flushes
    }
}

/// Makes the file beside its place, and puts it there.
fn create(path: &Path, header: &Record, entries: &[Entry]) -> Result<File, GuardError> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .map_err(io(&beside, "creating"))?;
    lock(&file, path)?;
    let mut bytes = vec![0; RECORD * RECORDS];
    bytes[..RECORD].copy_from_slice(header);
    for (entry, slot) in entries.iter().zip(bytes[RECORD..].chunks_mut(RECORD)) {
        slot.copy_from_slice(&encode(entry));
    }
    file.write_all(&bytes).map_err(io(&beside, "writing"))?;
    file.sync_all().map_err(io(&beside, "flushing"))?;
    fail_point!("guard::before_rename");
    std::fs::rename(&beside, path).map_err(io(path, "putting in place"))?;
    let directory = path.parent().filter(|path| !path.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))
        .and_then(|directory| directory.sync_all())
        .map_err(io(path, "flushing the directory of"))?;
    Ok(file)
}

fn lock(file: &File, path: &Path) -> Result<(), GuardError> {
    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|_| GuardError::Held {
        path: path.to_owned(),
    })
}

fn parse(path: &Path, bytes: &[u8], header: &Record) -> Result<Vec<Entry>, GuardError> {
    let damaged = |what: String| GuardError::Damaged {
        path: path.to_owned(),
        what,
    };
    if bytes.len() != RECORD * RECORDS {
        return Err(damaged(format!(
            "{} bytes where {} are expected",
            bytes.len(),
            RECORD * RECORDS
        )));
    }
    let (records, _) = bytes.as_chunks::<RECORD>();
    let (first, rest) = records.split_first().expect("there are many records");
    check_header(path, first, header)?;
    let used = rest
        .iter()
        .position(|record| record.iter().all(|byte| *byte == 0))
        .unwrap_or(rest.len());
    if rest[used..].iter().flatten().any(|byte| *byte != 0) {
        return Err(damaged(format!("record {} is missing", used + 1)));
    }
    rest[..used]
        .iter()
        .enumerate()
        .map(|(index, record)| {
            decode(record).ok_or_else(|| damaged(format!("record {} is not intact", index + 1)))
        })
        .collect()
}

fn check_header(path: &Path, found: &Record, wanted: &Record) -> Result<(), GuardError> {
    if !is_intact(found) || found[..20] != wanted[..20] {
        let what = "the header is not that of version 1".to_owned();
        return Err(GuardError::Damaged {
            path: path.to_owned(),
            what,
        });
    }
    for (what, range) in [("key", 20..52), ("chain", 52..84)] {
        if found[range.clone()] != wanted[range.clone()] {
            return Err(GuardError::Foreign {
                path: path.to_owned(),
                what,
                theirs: hex::encode(&found[range.clone()]),
                ours: hex::encode(&wanted[range]),
            });
        }
    }
    Ok(())
}

fn header(key: Address, domain: Domain) -> Record {
    let mut record = [0; RECORD];
    record[..16].copy_from_slice(MAGIC);
    record[16..20].copy_from_slice(&VERSION.to_be_bytes());
    record[20..52].copy_from_slice(&key.0);
    record[52..84].copy_from_slice(&domain.0);
    seal(record)
}

fn encode(entry: &Entry) -> Record {
    let mut record = [0; RECORD];
    match entry {
        Entry::Mark(mark, signature) => {
            record[0] = 1;
            record[1] = match mark.place.step {
                Step::Proposal => 0,
                Step::Prevote => 1,
                Step::Precommit => 2,
            };
            record[2] = u8::from(mark.block.is_some());
            record[3] = u8::from(mark.pol_round.is_some());
            record[4..8].copy_from_slice(&mark.place.round.to_be_bytes());
            record[8..16].copy_from_slice(&mark.place.height.to_be_bytes());
            record[16..20].copy_from_slice(&mark.pol_round.unwrap_or(0).to_be_bytes());
            record[20..52].copy_from_slice(&mark.block.map_or([0; 32], |id| id.0));
            record[52..116].copy_from_slice(&signature.0);
        }
        Entry::Floor(height) => {
            record[0] = 2;
            record[8..16].copy_from_slice(&height.to_be_bytes());
        }
    }
    seal(record)
}

fn decode(record: &Record) -> Option<Entry> {
    if !is_intact(record) {
        return None;
    }
    let number = |at: usize| u32::from_be_bytes(record[at..at + 4].try_into().expect("4 bytes"));
    let height = u64::from_be_bytes(record[8..16].try_into().expect("8 bytes"));
    match record[0] {
        1 => {
            let step = match record[1] {
                0 => Step::Proposal,
                1 => Step::Prevote,
                2 => Step::Precommit,
                _ => return None,
            };
            let id = BlockId(record[20..52].try_into().expect("32 bytes"));
            let mark = Mark {
                place: Place {
                    height,
                    round: number(4),
                    step,
                },
                block: flag(record[2])?.then_some(id),
                pol_round: flag(record[3])?.then(|| number(16)),
            };
            let signature = Signature(record[52..116].try_into().expect("64 bytes"));
            Some(Entry::Mark(mark, signature))
        }
        2 => Some(Entry::Floor(height)),
        _ => None,
    }
}

fn flag(byte: u8) -> Option<bool> {
    match byte {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn seal(mut record: Record) -> Record {
    let sum = Sha3_256::digest(&record[..BODY]);
    record[BODY..].copy_from_slice(&sum[..RECORD - BODY]);
    record
}

fn is_intact(record: &Record) -> bool {
    Sha3_256::digest(&record[..BODY])[..RECORD - BODY] == record[BODY..]
}

fn io<'a>(path: &'a Path, action: &'static str) -> impl Fn(std::io::Error) -> GuardError + use<'a> {
    move |source| GuardError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}
