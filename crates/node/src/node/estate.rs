//! What one process of a node at a time has: the lock of the home, and with it the parts of all namespaces.
//!
//! It is one exclusive resource of a handover. To let go of it is to close all that run, to take it to open those that ran;
//! a predecessor that takes it back does what a successor does. The one difference: who does not own yet only opens. What
//! signs or changes data begins when it does ([`Namespace::begin`](crate::namespace)).

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tracing::{error, info};

use super::NodeError;
use super::opener::{OpenError, Opener};
use super::slots::Slots;
use crate::lock::Lock;
use crate::namespace::{Closing, Legacy, Name, Running};
use crate::step::{Step, take_now};

/// The parts, open. Dropped, they are closed, and after them the lock.
pub(super) struct Estate {
    slots: Slots,
    _lock: Lock,
}

impl Drop for Estate {
    fn drop(&mut self) {
        let since = Instant::now();
        self.slots.close_all(Closing::HandOver);
        info!(took = ?since.elapsed(), "all namespaces are closed");
    }
}

/// Takes the estate, as often as this process comes to own it.
#[derive(Clone)]
pub(super) struct Taker(Arc<Shared>);

struct Shared {
    lock: PathBuf,
    slots: Slots,
    opener: Arc<Opener>,
    /// Whether another process serves with it until this one does.
    succeeds: bool,
    /// Whether this process owns, and has only lent it.
    owns: AtomicBool,
    /// Why it could not be taken, as it is told to who starts a node.
    failure: Mutex<Option<NodeError>>,
}

impl Taker {
    pub(super) fn new(lock: PathBuf, slots: Slots, opener: Arc<Opener>, succeeds: bool) -> Self {
        Self(Arc::new(Shared {
            lock,
            slots,
            opener,
            succeeds,
            owns: AtomicBool::new(false),
            failure: Mutex::default(),
        }))
    }

    /// From now on this process owns: what it takes again takes part at once.
    pub(super) fn owns(&self) {
        self.0.owns.store(true, SeqCst);
    }

    /// Why it could not be taken.
    pub(super) fn failure(&self) -> Option<NodeError> {
        let failure = self.0.failure.lock();
        failure.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Takes the lock and opens all namespaces that were left. Blocks.
    pub(super) fn take(&self) -> Result<Estate, String> {
        let since = Instant::now();
        match self.0.taken() {
            Ok(estate) => {
                info!(took = ?since.elapsed(), "all namespaces are open");
                Ok(estate)
            }
            Err(error) => {
                let why = error.to_string();
                let failure = self.0.failure.lock();
                *failure.unwrap_or_else(PoisonError::into_inner) = Some(error);
                Err(why)
            }
        }
    }
}

impl Shared {
    fn taken(&self) -> Result<Estate, NodeError> {
        let lock = take_now(Step::Lock, || Lock::take(&self.lock))?;
        let owns = self.owns.load(SeqCst);
        let must_go_on = self.succeeds && !owns;
        let left = self.slots.take_left();
        let open = |(name, legacy): &(Name, Legacy)| {
            let mut running = self.opener.open(name, legacy.clone(), must_go_on)?;
            if owns {
                running.begin()?;
            }
            Ok::<_, OpenError>(running)
        };
        let opened: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = left
                .iter()
                .map(|one| scope.spawn(move || open(one)))
                .collect();
            let joined = threads.into_iter().map(|thread| {
                let opened = thread.join();
                opened.unwrap_or_else(|_| Err(OpenError::Told("it panicked".to_owned())))
            });
            joined.collect()
        });
        // Who takes over must have all that ran, or its predecessor serves on with it.
        let fatal = |name: &Name| name.is_global() || must_go_on;
        let mut failure = None;
        for ((name, legacy), opened) in left.into_iter().zip(opened) {
            match opened {
                Ok(running) => self.slots.started(&name, Ok(Box::new(running))),
                Err(error) if fatal(&name) => {
                    self.slots.leave_again(&name, legacy);
                    failure.get_or_insert((name, error));
                }
                Err(error) => self.slots.started(&name, Err(error.to_string())),
            }
        }
        let Some((name, why)) = failure else {
            let slots = self.slots.clone();
            return Ok(Estate { slots, _lock: lock });
        };
        error!(namespace = %name, error = %why, "what ran is not opened");
        self.slots.close_all(Closing::HandOver);
        Err(match why {
            OpenError::Start(why) if name.is_global() => why.into(),
            why => NodeError::Namespace {
                name,
                why: why.to_string(),
            },
        })
    }
}

/// A [`Running`] that has begun, for a namespace that is started by itself. Blocks.
pub(super) fn start(opener: &Opener, name: &Name) -> Result<Running, String> {
    let running = opener.open(name, Legacy::default(), false);
    let mut running = running.map_err(|error| error.to_string())?;
    running.begin().map_err(|error| error.to_string())?;
    Ok(running)
}
