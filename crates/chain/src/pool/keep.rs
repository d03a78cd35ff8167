//! What waits is kept over a restart, in a file that is whole or not there.
//!
//! The file: `baton pool 1` and a line feed, the hash of the genesis block, for each transaction when it arrived (eight
//! bytes, milliseconds since 1970), the length of its encoding (four bytes) and its encoding, and SHA3-256 of all that.
//! Numbers have the least significant byte first.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use baton_ledger::DecodeError;
use baton_ledger::hash::sha3_256;
use baton_ledger::{Hash, Transaction};

use super::refusal::PoolError;
use super::{Origin, Pool, Pooled};

const MAGIC: &[u8] = b"baton pool 1\n";

/// What a transaction takes in the file beside its encoding.
const EACH_BYTES: usize = 12;
/// What the file has besides: the magic and two hashes.
const BESIDES_BYTES: usize = 128;

fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PoolError {
    let path = path.to_owned();
    move |source| PoolError::File {
        doing,
        path,
        source,
    }
}

/// What waits, written down for another process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packed {
    /// Transactions, as in the file.
    pub waiting: Vec<u8>,
    /// Their numbers.
    pub numbers: Vec<u64>,
    /// The number of the next one.
    pub next: u64,
    /// Orphans, in the same form.
    pub orphans: Vec<u8>,
}

impl Pool {
    /// Writes what waits to a file, for the next start; how many transactions that are. To be called at a stop.
    pub fn keep(&self, path: &Path) -> Result<usize, PoolError> {
        let waiting = self.all();
        let bytes = encode(self.shared.chain.genesis_hash(), &waiting);
        let mut beside = path.to_owned().into_os_string();
        beside.push(".new");
        let beside = Path::new(&beside);
        let written = File::create(beside).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()
        });
        written.map_err(file("writing", beside))?;
        fail::fail_point!("chain::before_pool_kept");
        fs::rename(beside, path).map_err(file("putting in place", path))?;
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(file("syncing", directory))?;
        Ok(waiting.len())
    }

    /// Writes down all that waits, orphans too, with the numbers by which listeners know what they have heard of.
    pub fn pack(&self) -> Packed {
        let genesis = self.shared.chain.genesis_hash();
        let (waiting, next) = self.since(0);
        let (numbers, waiting): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        Packed {
            waiting: encode(genesis, &waiting),
            numbers,
            next,
            orphans: encode(genesis, &self.orphans()),
        }
    }

    /// Takes what is still good of what another pool of this chain has packed.
    pub fn unpack(&self, packed: &Packed) -> Result<(), PoolError> {
        let genesis = self.shared.chain.genesis_hash();
        let waiting = decode(&packed.waiting, genesis).map_err(PoolError::packed)?;
        let orphans = decode(&packed.orphans, genesis).map_err(PoolError::packed)?;
        let (found, waits) = (waiting.len(), orphans.len());
        let answers = self.admit(waiting, Origin::Peer, false, &packed.numbers);
        self.places().book.set_next(packed.next);
        let taken = answers.iter().filter(|answer| answer.is_ok()).count();
        self.admit(orphans, Origin::Peer, true, &[]);
        tracing::info!(found, taken, orphans = waits, "the pool was brought along");
        Ok(())
    }

    /// Takes what is still good of what was kept.
    pub(super) fn load(&self, path: &Path) -> Result<(), PoolError> {
        let settings = &self.shared.settings;
        let frames = settings.max_transactions.saturating_mul(EACH_BYTES);
        let limit = settings.max_bytes.saturating_add(frames + BESIDES_BYTES);
        let bytes = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(file("reading", path)(error)),
            Ok(found) if found.len() > limit as u64 => {
                tracing::warn!(
                    file = %path.display(), bytes = found.len(), limit,
                    "the kept pool is larger than the pool may be, and left alone"
                );
                return Ok(());
            }
            Ok(_) => fs::read(path).map_err(file("reading", path))?,
        };
        let genesis = self.shared.chain.genesis_hash();
        let kept = match decode(&bytes, genesis) {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(
                    file = %path.display(), %error,
                    "the kept pool makes no sense: the pool starts empty"
                );
                return Ok(());
            }
        };
        let found = kept.len();
        let now = SystemTime::now();
        let lifetime = settings.lifetime;
        let young = kept.into_iter().filter(|(_, arrived)| {
            let waited = now.duration_since(*arrived);
            waited.map_or(true, |waited| waited <= lifetime)
        });
        // they were taken before, whatever they pay; whose parents are gone was committed or is lost
        let answers = self.admit(young.collect(), Origin::Peer, false, &[]);
        let taken = answers
            .iter()
            .filter(|answer| answer.as_ref().is_ok_and(|admission| !admission.orphan));
        tracing::info!(found, taken = taken.count(), "the pool was kept");
        Ok(())
    }
}

/// Why a file is no kept pool.
#[derive(Debug, thiserror::Error)]
enum KeptError {
    #[error("it is torn: its checksum is not that of its contents")]
    Torn,
    #[error("it is of another version or no pool")]
    Version,
    #[error("it is of the chain with the genesis {0}")]
    Genesis(Hash),
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

fn encode(genesis: Hash, transactions: &[Arc<Pooled>]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(genesis.as_bytes());
    for pooled in transactions {
        let since = pooled.arrived.duration_since(UNIX_EPOCH);
        let millis = since.map_or(0, |since| since.as_millis());
        let millis = u64::try_from(millis).unwrap_or(0);
        let len = u32::try_from(pooled.bytes.len()).expect("a transaction fits into a block");
        bytes.extend_from_slice(&millis.to_le_bytes());
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&pooled.bytes);
    }
    let hash = sha3_256(&[&bytes]);
    bytes.extend_from_slice(hash.as_bytes());
    bytes
}

fn decode(bytes: &[u8], genesis: Hash) -> Result<Vec<(Transaction, SystemTime)>, KeptError> {
    let (contents, hash) = bytes.split_last_chunk::<32>().ok_or(KeptError::Torn)?;
    let rest = contents.strip_prefix(MAGIC).ok_or(KeptError::Version)?;
    if sha3_256(&[contents]) != Hash(*hash) {
        return Err(KeptError::Torn);
    }
    let (found, mut rest) = rest.split_first_chunk::<32>().ok_or(KeptError::Version)?;
    if Hash(*found) != genesis {
        return Err(KeptError::Genesis(Hash(*found)));
    }
    let mut kept = Vec::new();
    while !rest.is_empty() {
        let (millis, after) = rest.split_first_chunk::<8>().ok_or(KeptError::Version)?;
        let (len, after) = after.split_first_chunk::<4>().ok_or(KeptError::Version)?;
        let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| KeptError::Version)?;
        let (encoding, after) = after.split_at_checked(len).ok_or(KeptError::Version)?;
        let arrived = UNIX_EPOCH.checked_add(Duration::from_millis(u64::from_le_bytes(*millis)));
        let transaction = Transaction::decode(encoding)?;
        kept.push((transaction, arrived.unwrap_or(UNIX_EPOCH)));
        rest = after;
    }
    Ok(kept)
}
