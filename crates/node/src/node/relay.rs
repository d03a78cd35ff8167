//! How a process begins to be the node: alone, or by taking over from the one that is. The text is the same.
//!
//! ```text
//!   begin · listeners · connections          the predecessor serves
//!   state · estate (opened, not begun)       it has frozen; all may still be taken back
//!   ready ══ the commit
//!   begin of the namespaces                  this process owns
//! ```

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use baton_api::{Door, Later, Site};
use baton_handover::Exclusive;
use baton_handover::{Handover, HandoverError, Serving, Settings as Terms};
use tracing::info;

use super::NodeError;
use super::estate::{Estate, Taker};
use super::inheritance::{Inheritance, RESERVATIONS, Reservations, STATE, Was};
use super::listeners::Listeners;
use super::opener::Opener;
use super::slots::Slots;
use crate::configuration::Configuration;
use crate::control::Ear;
use crate::home::Home;
use crate::lock::{Lock, LockError};
use crate::logging::Log;
use crate::namespace::{Legacy, Name};
use crate::step::{Patience, Step, take, take_now};

/// Names the supervisor's directory for a node that it runs (`docs/node-contract.md`).
const CONTROL_DIR: &str = "BATON_CONTROL_DIR";
/// What the next process may take to open all stores.
const FROZEN: Duration = Duration::from_secs(30);
/// How long a freeze waits for the next answer of a connection on a busy machine.
const BOUNDARY: Duration = Duration::from_millis(100);

/// A node that owns, and what it owns.
pub(super) struct Begun {
    pub(super) serving: Serving,
    pub(super) listeners: Listeners,
    pub(super) control: Ear,
    pub(super) estate: Exclusive<Estate>,
    pub(super) opener: Arc<Opener>,
}

/// What a node begins with.
pub(super) struct Beginning<'a> {
    pub(super) configuration: &'a Configuration,
    pub(super) log: Log,
    pub(super) patience: Patience,
    pub(super) slots: &'a Slots,
}

/// Begins.
pub(super) async fn begin(with: Beginning<'_>) -> Result<Begun, NodeError> {
    let Beginning {
        configuration,
        log,
        patience,
        slots,
    } = with;
    let Configuration { home, settings, .. } = configuration;
    let directory = directory(home);
    let terms = Terms::named("batond")
        .control_dir(&directory)
        .own_stop_signals()
        .no_join()
        .boundary(BOUNDARY)
        .frozen(FROZEN)
        .drain(settings.stop_grace)
        .state::<Inheritance>(STATE)
        .state::<Reservations>(RESERVATIONS);
    let mut handover = match Handover::begin(terms).await {
        Err(HandoverError::Serves { .. }) => return Err(in_use(home)),
        begun => begun?,
    };
    let succeeds = handover.has_predecessor();
    if !succeeds && Lock::holder(&home.lock()).is_some() {
        // said before anything else is found to be in use too
        return Err(in_use(home));
    }
    let claiming = Listeners::claim(&mut handover, settings, &directory);
    let listeners = take(Step::Listeners, claiming).await?;
    let opener = Opener::new(configuration.clone(), log, patience, &mut handover);
    let opener = Arc::new(opener);
    let socket = home.socket();
    // A predecessor's is claimed with all else, a new one made when nothing is in the way any more.
    let mut control = None;
    if succeeds {
        control = Some(take(Step::Control, Ear::claim(&mut handover, &socket)).await?);
    }

    let inheritance = handover.state::<Inheritance>(STATE).await?;
    let reservations = handover.state::<Reservations>(RESERVATIONS).await?;
    inherit(slots, inheritance, reservations.unwrap_or_default());
    let taker = Taker::new(home.lock(), slots.clone(), opener.clone(), succeeds);
    let taking = taker.clone();
    let estate = match handover.exclusive("node", move || taking.take()).await {
        Ok(estate) => estate,
        Err(error) => return Err(taker.failure().unwrap_or_else(|| error.into())),
    };
    let left = slots.clone();
    handover.offer_state(STATE, move || Inheritance {
        namespaces: left.bequest(),
    });
    let left = slots.clone();
    handover.offer_state(RESERVATIONS, move || Reservations {
        namespaces: left.reserved(),
    });
    let control = match control {
        Some(control) => control,
        None => take(Step::Control, Ear::claim(&mut handover, &socket)).await?,
    };
    let serving = handover.ready().await?;
    taker.owns();
    opener.serves(&serving);
    if succeeds {
        info!(
            generation = serving.generation(),
            "this process is the node now"
        );
    }
    let beginning = slots.clone();
    let begun = tokio::task::spawn_blocking(move || beginning.begin()).await;
    begun.map_err(|error| NodeError::Died {
        task: "begin",
        why: error.to_string(),
    })??;
    Ok(Begun {
        serving,
        listeners,
        control,
        estate,
        opener,
    })
}

/// Where processes of the node find each other.
fn directory(home: &Home) -> PathBuf {
    let supervisors = std::env::var_os(CONTROL_DIR).filter(|path| !path.is_empty());
    supervisors.map_or_else(|| home.handover(), PathBuf::from)
}

fn in_use(home: &Home) -> NodeError {
    let pid = Lock::holder(&home.lock()).filter(|pid| *pid != 0);
    let refused = take_now(Step::Lock, || Err::<(), _>(LockError::Held { pid }));
    match refused {
        Err(error) => error.into(),
        Ok(()) => unreachable!("it fails"),
    }
}

fn inherit(slots: &Slots, inheritance: Option<Inheritance>, reservations: Reservations) {
    let Some(Inheritance { namespaces }) = inheritance else {
        // afresh, or the predecessor died before it had told everything
        return slots.inherit(&Name::global(), Was::Running(Legacy::default()));
    };
    let mut reserved = reservations.namespaces;
    for (name, mut was) in namespaces {
        if let Was::Running(legacy) = &mut was
            && let Some(reserved) = reserved.remove(&name)
        {
            *legacy = std::mem::take(legacy).with_reserved(reserved);
        }
        slots.inherit(&name, was);
    }
}

/// The door through which everybody goes who uses the node's parts.
pub(super) fn door(estate: &Exclusive<Estate>) -> Door {
    let estate = estate.clone();
    Arc::new(move || -> Later<'static, Option<Box<dyn Any + Send>>> {
        let estate = estate.clone();
        Box::pin(async move {
            let held = estate.get().await.ok()?;
            Some(Box::new(held) as Box<dyn Any + Send>)
        })
    })
}

/// The sites that are served: the same namespaces, behind the door.
pub(super) fn behind(site: &Site, estate: &Exclusive<Estate>) -> Site {
    site.behind(door(estate))
}
