//! The wallet as a whole: one store, one network, one writer at a time.
//!
//! Questions are answered from a snapshot and disturb nobody. Changes are decided on a snapshot and committed as one
//! batch while the writer's lock is held, so that no two changes are decided on the same state.

use std::{
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use baton_ledger::Params;

use crate::{
    error::WalletError,
    layout,
    pool::Pool,
    reservation::Reservations,
    store::{self, Draft, RedbSettings, Snapshot, Store},
};

/// A page of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Page {
    /// How many to leave out.
    #[serde(default)]
    pub from: usize,
    /// How many to give. As in bytomd, 0 from 0 on gives all, and 0 from elsewhere none.
    #[serde(default)]
    pub count: usize,
}

impl Page {
    /// Everything.
    pub const ALL: Self = Self { from: 0, count: 0 };

    /// How many to take after [`Self::from`].
    pub(crate) fn take(self) -> usize {
        if self == Self::ALL {
            usize::MAX
        } else {
            self.count
        }
    }

    /// The page of a list.
    pub(crate) fn of<T>(self, all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        all.skip(self.from).take(self.take())
    }
}

/// Accounts, addresses, assets and what belongs to them in the chain.
///
/// Made for many threads. Calls block on the store; those that change it wait for the disk.
pub struct Wallet {
    store: Box<dyn Store>,
    params: Params,
    writing: Mutex<()>,
    pool: Mutex<Pool>,
    reservations: Mutex<Reservations>,
    generation: AtomicU64,
}

impl std::fmt::Debug for Wallet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wallet")
            .field("chain_id", &self.params.chain_id)
            .finish_non_exhaustive()
    }
}

impl Wallet {
    /// Opens the wallet in a store, an empty one too.
    ///
    /// A store of another layout or network is refused and left as it is.
    pub fn open(store: impl Store + 'static, params: Params) -> Result<Self, WalletError> {
        let wallet = Self {
            store: Box::new(store),
            params,
            writing: Mutex::new(()),
            pool: Mutex::new(Pool::default()),
            reservations: Mutex::new(Reservations::default()),
            generation: AtomicU64::new(0),
        };
        wallet.change(|draft| {
            let layout_key = layout::meta("layout");
            match draft.get::<(u32, String)>(&layout_key)? {
                None => draft.put(
                    layout_key,
                    &(layout::VERSION, wallet.params.chain_id.as_str()),
                ),
                Some((found, _)) if found != layout::VERSION => {
                    return Err(WalletError::Layout {
                        found,
                        wanted: layout::VERSION,
                    });
                }
                Some((_, found)) if found != wallet.params.chain_id => {
                    return Err(WalletError::Network {
                        found,
                        wanted: wallet.params.chain_id.clone(),
                    });
                }
                Some(_) => {}
            }
            Ok(())
        })?;
        Ok(wallet)
    }

    /// The network's parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// A number that is another one after every change of what [`answer`](crate::answer) tells, so that answers can be kept until
    /// then. Reservations do not change it.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Something has changed; to be called after the change can be seen.
    pub(crate) fn changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// What is in the store now.
    pub(crate) fn read(&self) -> Result<Box<dyn Snapshot>, WalletError> {
        Ok(self.store.snapshot()?)
    }

    /// Writes a copy of the store into a new file, which a [`RedbStore`](crate::store::RedbStore) opens.
    pub fn copy_to(&self, path: &Path) -> Result<(), WalletError> {
        Ok(store::copy(&*self.read()?, path, RedbSettings::WALLET)?)
    }

    /// Decides on what is there and commits the decision, unless it is an error or changes nothing.
    pub(crate) fn change<T>(
        &self,
        decide: impl FnOnce(&mut Draft<'_>) -> Result<T, WalletError>,
    ) -> Result<T, WalletError> {
        let _writing = lock(&self.writing);
        let snapshot = self.store.snapshot()?;
        let mut draft = Draft::new(&*snapshot);
        let decided = decide(&mut draft)?;
        let batch = draft.into_batch();
        if !batch.is_empty() {
            self.store.commit(batch)?;
            self.changed();
        }
        Ok(decided)
    }

    pub(crate) fn pool(&self) -> MutexGuard<'_, Pool> {
        lock(&self.pool)
    }

    pub(crate) fn reservations(&self) -> MutexGuard<'_, Reservations> {
        lock(&self.reservations)
    }
}

/// What a panic interrupted under these locks is whole: every change is made by one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
