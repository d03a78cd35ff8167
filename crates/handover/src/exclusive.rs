//! Resources that two generations may not hold at once: a database, a lock, a signing key.
//!
//! The program says how the resource is opened, and borrows it for as long as each use takes. In between it can be released for a
//! successor (closed, when nobody borrows it) and, if that one fails, opened again; whoever asks meanwhile waits. At every instant
//! one generation holds it, or none.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{OwnedRwLockReadGuard, RwLock, watch};

/// What the program's own opening function may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The successor holds the resource. This generation gets it back only if that one dies while this one still drains or sleeps.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("exclusive {name:?} belongs to the next generation")]
pub struct Gone {
    /// The resource's name.
    pub name: String,
}

/// Why an exclusive resource could not be opened or released.
#[derive(Debug, Error)]
pub enum ExclusiveError {
    /// The program's function failed.
    #[error("cannot open exclusive {name:?}: {source}")]
    Open {
        /// The resource's name.
        name: String,
        /// What the function says.
        source: BoxError,
    },
    /// Somebody borrows it for too long.
    #[error(
        "exclusive {name:?} is still in use after {limit:?}: borrow it for a shorter time, or raise the release limit"
    )]
    InUse {
        /// The resource's name.
        name: String,
        /// How long was waited.
        limit: Duration,
    },
    /// Opening or closing it panicked.
    #[error("exclusive {name:?}: the program panicked while {doing} it")]
    Panicked {
        /// The resource's name.
        name: String,
        /// Opening or closing.
        doing: &'static str,
    },
}

enum Slot<T> {
    Held(T),
    Released,
    Gone,
}

impl<T> Slot<T> {
    fn held(&self) -> Option<&T> {
        match self {
            Self::Held(value) => Some(value),
            Self::Released | Self::Gone => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Held,
    Released,
    Gone,
}

type Open<T> = dyn Fn() -> Result<T, BoxError> + Send + Sync;

struct Cell<T> {
    name: String,
    open: Arc<Open<T>>,
    slot: Arc<RwLock<Slot<T>>>,
    turn: watch::Sender<Turn>,
}

/// A resource that one generation holds at a time. Cheap to clone.
pub struct Exclusive<T> {
    cell: Arc<Cell<T>>,
}

impl<T> Clone for Exclusive<T> {
    fn clone(&self) -> Self {
        Self {
            cell: Arc::clone(&self.cell),
        }
    }
}

impl<T> fmt::Debug for Exclusive<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Exclusive")
            .field("name", &self.cell.name)
            .field("turn", &*self.cell.turn.borrow())
            .finish()
    }
}

/// A borrowed exclusive resource. While it lives the resource is not released, so keep it for one use.
pub struct Borrowed<T>(OwnedRwLockReadGuard<Slot<T>, T>);

impl<T> Deref for Borrowed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Borrowed<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl<T: Send + Sync + 'static> Exclusive<T> {
    /// A resource that is not open yet.
    pub(crate) fn new<E>(
        name: &str,
        open: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Self
    where
        E: Into<BoxError>,
    {
        let (turn, _) = watch::channel(Turn::Released);
        Self {
            cell: Arc::new(Cell {
                name: name.to_owned(),
                open: Arc::new(move || open().map_err(Into::into)),
                slot: Arc::new(RwLock::new(Slot::Released)),
                turn,
            }),
        }
    }

    /// Borrows the resource. Waits while a handover has it released; fails once the next generation holds it.
    pub async fn get(&self) -> Result<Borrowed<T>, Gone> {
        let mut turn = self.cell.turn.subscribe();
        loop {
            let slot = Arc::clone(&self.cell.slot).read_owned().await;
            match OwnedRwLockReadGuard::try_map(slot, Slot::held) {
                Ok(held) => return Ok(Borrowed(held)),
                // Not kept while waiting: whoever opens the resource needs the slot.
                Err(slot) => drop(slot),
            }
            match turn.wait_for(|turn| *turn != Turn::Released).await {
                Ok(now) if *now == Turn::Held => {}
                _ => {
                    return Err(Gone {
                        name: self.cell.name.clone(),
                    });
                }
            }
        }
    }
}

/// What the driver does with an exclusive resource, whatever its type.
pub(crate) trait Resource: Send + Sync {
    /// Its name.
    fn name(&self) -> &str;
    /// Whether it is open here.
    fn held(&self) -> bool;
    /// Opens it, if it is not open.
    fn acquire(&self) -> Doing<'_>;
    /// Closes it once nobody borrows it, within the limit.
    fn release(&self, limit: Duration) -> Doing<'_>;
    /// It belongs to the next generation from now on.
    fn forget(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// A step under way.
pub(crate) type Doing<'a> = Pin<Box<dyn Future<Output = Result<(), ExclusiveError>> + Send + 'a>>;

impl<T: Send + Sync + 'static> Resource for Exclusive<T> {
    fn name(&self) -> &str {
        &self.cell.name
    }

    fn held(&self) -> bool {
        *self.cell.turn.borrow() == Turn::Held
    }

    fn acquire(&self) -> Doing<'_> {
        Box::pin(async move {
            // Never released: a borrower may have it for long, and is not to be waited for.
            if self.held() {
                return Ok(());
            }
            let mut slot = Arc::clone(&self.cell.slot).write_owned().await;
            let cell = Arc::clone(&self.cell);
            // Opening blocks: a database reads its file. The slot goes along, so that giving up waiting leaves nothing half done.
            let opened = tokio::task::spawn_blocking(move || {
                if !matches!(*slot, Slot::Held(_)) {
                    *slot = Slot::Held((cell.open)()?);
                }
                // Before the slot is free: a release that follows at once has the last word.
                cell.turn.send_replace(Turn::Held);
                Ok(())
            });
            opened
                .await
                .map_err(|_| self.panicked("opening"))?
                .map_err(|source| ExclusiveError::Open {
                    name: self.cell.name.clone(),
                    source,
                })
        })
    }

    fn release(&self, limit: Duration) -> Doing<'_> {
        Box::pin(async move {
            let slot = Arc::clone(&self.cell.slot).write_owned();
            let Ok(mut slot) = tokio::time::timeout(limit, slot).await else {
                return Err(ExclusiveError::InUse {
                    name: self.cell.name.clone(),
                    limit,
                });
            };
            self.cell.turn.send_replace(Turn::Released);
            // Closing blocks: a database flushes. The slot stays locked until it is closed.
            tokio::task::spawn_blocking(move || *slot = Slot::Released)
                .await
                .map_err(|_| self.panicked("closing"))
        })
    }

    fn forget(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            *self.cell.slot.write().await = Slot::Gone;
            self.cell.turn.send_replace(Turn::Gone);
        })
    }
}

impl<T> Exclusive<T> {
    fn panicked(&self, doing: &'static str) -> ExclusiveError {
        ExclusiveError::Panicked {
            name: self.cell.name.clone(),
            doing,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// Counts how many of it are open.
    struct Probe(Arc<AtomicUsize>);

    impl Drop for Probe {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn probe(open: &Arc<AtomicUsize>) -> Exclusive<Probe> {
        let open = Arc::clone(open);
        Exclusive::new("probe", move || {
            open.fetch_add(1, Ordering::SeqCst);
            Ok::<_, BoxError>(Probe(Arc::clone(&open)))
        })
    }

    #[tokio::test]
    async fn is_closed_while_released_and_whoever_asks_waits() {
        let open = Arc::new(AtomicUsize::new(0));
        let probe = probe(&open);
        probe.acquire().await.unwrap();
        probe.acquire().await.unwrap();
        assert_eq!(open.load(Ordering::SeqCst), 1);
        drop(probe.get().await.unwrap());
        probe.release(LIMIT).await.unwrap();
        assert_eq!(open.load(Ordering::SeqCst), 0);
        let asking = tokio::spawn({
            let probe = probe.clone();
            async move { probe.get().await.map(|_| ()) }
        });
        tokio::task::yield_now().await;
        assert!(!asking.is_finished());
        probe.acquire().await.unwrap();
        assert_eq!(asking.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn a_borrower_holds_up_the_release_and_is_named() {
        let open = Arc::new(AtomicUsize::new(0));
        let probe = probe(&open);
        probe.acquire().await.unwrap();
        let borrowed = probe.get().await.unwrap();
        let error = probe.release(Duration::from_millis(1)).await.unwrap_err();
        assert!(error.to_string().contains("\"probe\" is still in use"));
        assert!(probe.held());
        drop(borrowed);
        probe.release(LIMIT).await.unwrap();
        assert!(!probe.held());
    }

    #[tokio::test]
    async fn what_was_not_released_is_not_waited_for() {
        let open = Arc::new(AtomicUsize::new(0));
        let probe = probe(&open);
        probe.acquire().await.unwrap();
        let borrowed = probe.get().await.unwrap();
        probe.release(Duration::from_millis(1)).await.unwrap_err();
        let again = tokio::time::timeout(LIMIT, probe.acquire()).await;
        again.expect("a borrower holds nothing up").unwrap();
        drop(probe.get().await.unwrap());
        drop(borrowed);
        assert_eq!(open.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn what_is_gone_can_be_opened_again() {
        let open = Arc::new(AtomicUsize::new(0));
        let probe = probe(&open);
        probe.acquire().await.unwrap();
        probe.release(LIMIT).await.unwrap();
        probe.forget().await;
        assert!(probe.get().await.is_err());
        probe.acquire().await.unwrap();
        drop(probe.get().await.unwrap());
        assert_eq!(open.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn once_gone_it_says_so() {
        let open = Arc::new(AtomicUsize::new(0));
        let probe = probe(&open);
        probe.acquire().await.unwrap();
        probe.release(LIMIT).await.unwrap();
        let asking = tokio::spawn({
            let probe = probe.clone();
            async move { probe.get().await.map(|_| ()) }
        });
        probe.forget().await;
        let gone = Gone {
            name: "probe".into(),
        };
        assert_eq!(asking.await.unwrap(), Err(gone.clone()));
        assert_eq!(probe.get().await.map(|_| ()), Err(gone));
    }

    #[tokio::test]
    async fn a_failure_to_open_names_the_resource() {
        let probe = Exclusive::<()>::new("db", || Err("the file is locked"));
        let error = probe.acquire().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot open exclusive \"db\": the file is locked"
        );
        assert!(!probe.held());
    }
}
