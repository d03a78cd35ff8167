//! The first moments of a generation that serves.
//!
//! Accepting comes first; then others learn of it: those who ask in the control directory, the pid file, the service manager, and last the
//! predecessor, which ends on this word.

use std::collections::BTreeSet;
use std::sync::Arc;

use fail::fail_point;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::effects::SharedCargo;
use super::signals::Signals;
use super::standing::Board;
use super::{Ancestor, Driver, link};
use crate::activation;
use crate::channel::Channel;
use crate::control::Server;
use crate::describe::{Address, Kind};
use crate::directory::{ControlDirectory, StartLock};
use crate::error::HandoverError;
use crate::gate::Flow;
use crate::life::Life;
use crate::nginx;
use crate::notify::{Announcer, Birth, Moment, Notifier};
use crate::own::OwnListeners;
use crate::pidfile::PidFile;
use crate::protocol::frame::Frame;
use crate::protocol::predecessor::Predecessor as Machine;
use crate::serving::{Serving, Stage};
use crate::shared::Shared;
use crate::strays;
use crate::triggers::Triggers;
use crate::{Monotonic, Parcel};

/// How many of the shareables that nobody claims are named in a report.
const UNCLAIMED: usize = 100;

/// Requests of the program that may wait.
const COMMANDS: usize = 8;

/// The predecessor of a generation that now begins to serve.
pub(crate) struct Predecessor {
    pub(crate) channel: Arc<Channel>,
    pub(crate) life: Option<Life>,
    pub(crate) generation: u64,
    pub(crate) pid: u32,
    pub(crate) staged: bool,
    /// It committed; else it died.
    pub(crate) owned: bool,
}

/// What a generation begins to serve with.
pub(crate) struct Beginning {
    pub(crate) shared: Arc<Shared>,
    pub(crate) birth: Birth,
    pub(crate) from: Option<u64>,
    pub(crate) predecessor: Option<Predecessor>,
    pub(crate) parcels: Vec<Parcel>,
    pub(crate) directory: Option<Arc<ControlDirectory>>,
    pub(crate) lock: Option<StartLock>,
}

/// Begins to serve: opens the gate, tells everybody, and starts the driver.
pub(crate) fn begin(beginning: Beginning) -> Result<Serving, HandoverError> {
    let Beginning {
        shared,
        birth,
        from,
        predecessor,
        parcels,
        directory,
        lock,
    } = beginning;

    if predecessor.is_some() {
        fail_point!("handover::successor::committed");
    }
    // From the commit on every instant counts: first accept, then see to the rest.
    let accepting_since = Monotonic::now();
    shared.turn(Flow::Open);
    let longest = parcels
        .iter()
        .map(|parcel| accepting_since.since(parcel.frozen))
        .max()
        .unwrap_or_default();
    let moved = parcels.len();
    shared.registry.admit(parcels);
    let (generation, server_socket) = match &directory {
        Some(directory) => {
            let listening = match from {
                Some(from) => directory
                    .listen_as(from + 1)?
                    .map(|socket| (from + 1, socket)),
                None => None,
            };
            let (generation, socket) = match listening {
                Some(listening) => listening,
                None => directory.listen()?,
            };
            (generation, Some(socket))
        }
        None => (from.map_or(1, |from| from + 1), None),
    };
    // Before anybody can learn whom to signal: what is not caught ends the process.
    let settings = &shared.settings;
    let triggers = Triggers::listen(&settings.triggers).map_err(|error| {
        HandoverError::system(
            "listen for what asks for handovers",
            std::io::Error::other(error),
        )
    })?;
    let signals =
        Signals::listen(settings).map_err(|error| HandoverError::system("catch signals", error))?;
    let board = Board::new();
    let server = match server_socket {
        Some(socket) => {
            let (board, shared) = (board.clone(), Arc::clone(&shared));
            let status = move || board.generation(&shared, generation);
            Some(Server::start(socket, status)?)
        }
        None => None,
    };
    if let Some(directory) = &directory {
        directory.make_current(generation)?;
    }
    drop(lock);

    let pid_file = match &settings.pid_file {
        Some(path) => Some(PidFile::write(path, std::process::id()).map_err(|error| {
            HandoverError::system("write the pid file", std::io::Error::other(error))
        })?),
        None => None,
    };
    let notifier = Notifier::from_environment().unwrap_or_else(|error| {
        warn!(%error, "the service manager cannot be told anything");
        Notifier::nobody()
    });
    let sleeper = predecessor
        .as_ref()
        .filter(|predecessor| predecessor.staged && predecessor.owned)
        .map(|predecessor| predecessor.generation);
    let nginx = settings
        .nginx_signals
        .then(|| nginx::Machine::new(nginx::Surroundings::of_this_process(), sleeper.is_some()));

    // The predecessor ends on this word: by then others find this generation, and nothing is left that could fail.
    if let Some(predecessor) = predecessor.as_ref().filter(|predecessor| predecessor.owned) {
        let serving = Frame::Serving {
            accepting_since,
            longest_freeze_us: u64::try_from(longest.as_micros()).unwrap_or(u64::MAX),
            unclaimed: unclaimed(&shared),
        };
        if let Err(error) = predecessor.channel.send_now(&serving) {
            warn!(%error, "cannot tell the predecessor that this generation serves");
        }
    }

    let mut ancestors = Vec::new();
    let upward = predecessor
        .as_ref()
        .map(|predecessor| Arc::clone(&predecessor.channel));
    let above = predecessor.map(|predecessor| {
        if let Ok(life) = Life::of(predecessor.pid) {
            ancestors.push(Ancestor {
                generation: predecessor.generation,
                life,
            });
        }
        link::attend(
            Arc::clone(&shared),
            predecessor.channel,
            predecessor.life,
            predecessor.pid,
        )
    });

    let (commands, orders) = mpsc::channel(COMMANDS);
    let (stage, stages) = watch::channel(Stage::Serving);
    let (events, program_events) = mpsc::channel(COMMANDS);
    let mut driver = Driver {
        generation,
        directory,
        server,
        triggers: Some(triggers),
        signals,
        nginx,
        commands: orders,
        stage,
        events,
        board,
        announcer: Announcer::new(birth, generation, std::process::id()),
        notifier,
        pid_file,
        machine: Machine::default(),
        link: None,
        wait: None,
        timeout: settings.limits.timeout,
        effect: None,
        cargo: SharedCargo::default(),
        run: None,
        telling: JoinSet::new(),
        handed_over: false,
        above_lives: watch::Sender::new(above.is_some()),
        above,
        upward,
        ancestors,
        sleeper,
        drains_until: None,
        claim_until: Some(Instant::now() + settings.limits.claim),
        stops: 0,
        over: false,
        shared: Arc::clone(&shared),
    };
    if let Some(metrics) = &shared.settings.metrics {
        metrics.set_generation(generation);
        metrics.set_draining(driver.ancestors.len());
    }
    driver.notify(&Moment::Serves);
    driver.look_around();
    if driver.above.is_none() {
        driver.close_unclaimed();
        driver.fill_store();
    }
    info!(
        name = shared.settings.name,
        generation,
        moved,
        longest_freeze_us = longest.as_micros(),
        "serving"
    );
    tokio::spawn(driver.live());
    Ok(Serving {
        shared,
        generation,
        commands,
        stage: stages,
        events: Arc::new(Mutex::new(program_events)),
    })
}

impl Driver {
    /// Names what the program left behind or opened by itself.
    pub(super) fn look_around(&self) {
        let shareables = self.shared.shareables();
        for unclaimed in shareables.unclaimed() {
            warn!(
                name = unclaimed.name,
                address = %unclaimed.address,
                "handed over and not claimed by this program; it is closed when the predecessor is gone"
            );
        }
        // It looks at every descriptor; meanwhile connections that moved in are to be served.
        let inodes = shareables.inodes();
        let own = self.shared.own.clone();
        tokio::task::spawn_blocking(move || name_strays(&inodes, &own));
    }

    /// Gives the service manager copies of all that the program serves. It keeps one of each.
    pub(super) fn fill_store(&self) {
        if !self.shared.settings.fd_store {
            return;
        }
        if let Ok(offers) = self.shared.shareables().offers() {
            for (listing, descriptor) in offers {
                if let Err(error) = activation::store(&listing.name, descriptor) {
                    warn!(name = listing.name, %error, "the service manager does not keep a copy");
                }
            }
        }
    }

    /// Closes what was given and nobody asked for, the service manager's copies too: a listener that nobody accepts from keeps its
    /// clients waiting.
    pub(super) fn close_unclaimed(&self) {
        let closed = self.shared.shareables().close_unclaimed();
        if !self.shared.settings.fd_store {
            return;
        }
        for unclaimed in closed {
            if let Err(error) = activation::remove(&unclaimed.name) {
                warn!(name = unclaimed.name, %error, "the service manager keeps its copy");
            }
        }
    }
}

/// What the program left behind of what it was given; the first ones, since they have to fit into a packet.
fn unclaimed(shared: &Shared) -> Vec<String> {
    let unclaimed = shared.shareables().unclaimed();
    let names = unclaimed.into_iter().map(|unclaimed| unclaimed.name);
    names.take(UNCLAIMED).collect()
}

fn name_strays(inodes: &BTreeSet<u64>, own: &OwnListeners) {
    match strays::listening_strays(inodes) {
        Ok(found) => {
            for stray in found {
                // The control socket is the library's own.
                if matches!(stray.kind, Kind::UnixSeqpacket) {
                    continue;
                }
                if matches!(&stray.address, Address::Inet(address) if own.contains(address)) {
                    debug!(address = %stray.address, "a listener of the program's own: the next process opens it anew");
                    continue;
                }
                warn!(
                    descriptor = stray.number,
                    address = %stray.address,
                    "a listener that was opened without the handover library: it will not be handed over"
                );
            }
        }
        Err(error) => debug!(%error, "cannot look for listeners opened by the program itself"),
    }
}
