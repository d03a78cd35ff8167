//! What a predecessor does between two decisions, as futures that can be given up at any point.
//!
//! Whatever is taken out of the program's hands is put down in the [`Cargo`] at once, so that giving up loses nothing.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::channel::{Channel, ChannelError};
use crate::gate::Flow;
use crate::listen::Listing;
use crate::protocol::frame::{DESCRIPTOR_LIMIT, Frame, PACKET_LIMIT, SentState};
use crate::protocol::predecessor::Event;
use crate::sealed::Sealed;
use crate::shared::Shared;
use crate::transfer::{self, TransferError};
use crate::{Monotonic, Parcel};

/// What is done when an effect ends.
pub(super) enum Done {
    Event(Event),
    /// The successor closed the channel meanwhile.
    Closed,
    Drained {
        moved_late: u64,
        closed: u64,
    },
}

/// An effect under way.
pub(super) type Effect = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What lies between the two generations.
#[derive(Default)]
pub(super) struct Cargo {
    pub(super) parcels: Arc<Vec<Parcel>>,
    pub(super) states: Arc<Vec<(SentState, Sealed)>>,
    pub(super) stopped_accepting: Option<Monotonic>,
    pub(super) released: Option<Monotonic>,
    /// The exclusives that were held when they were released.
    pub(super) exclusives: Vec<String>,
}

/// The cargo as the driver and its effect share it.
pub(super) type SharedCargo = Arc<Mutex<Cargo>>;

/// Works on the cargo.
pub(super) fn with<T>(cargo: &SharedCargo, work: impl FnOnce(&mut Cargo) -> T) -> T {
    work(&mut cargo.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Shuts the gate, has connections stop at a boundary, releases exclusives, writes states: in this order, because a request in hand may
/// need a resource, and a state is to be of the time when nothing changes it any more.
pub(super) fn freeze(
    shared: Arc<Shared>,
    cargo: SharedCargo,
    kinds: Vec<String>,
    versions: BTreeMap<String, u32>,
) -> Effect {
    Box::pin(async move {
        shared.turn(Flow::Wait);
        with(&cargo, |cargo| {
            cargo.stopped_accepting = Some(Monotonic::now());
        });
        let limits = shared.settings.limits;
        shared.registry.freeze(&kinds);
        let parcels = shared.registry.gather_while_answered(limits.boundary).await;
        with(&cargo, |cargo| cargo.parcels = Arc::new(parcels));
        let held = shared.exclusives();
        let names = held
            .iter()
            .filter(|resource| resource.held())
            .map(|resource| resource.name().to_owned())
            .collect();
        if let Err(reason) = shared.release_all(limits.release).await {
            return Done::Event(Event::Frozen(Err(reason)));
        }
        with(&cargo, |cargo| {
            cargo.exclusives = names;
            cargo.released = Some(Monotonic::now());
        });
        let written = shared.write_states(versions).await;
        Done::Event(Event::Frozen(written.map(|states| {
            with(&cargo, |cargo| cargo.states = Arc::new(states));
        })))
    })
}

/// Sends states and connections.
pub(super) fn send_all(channel: Arc<Channel>, cargo: &SharedCargo) -> Effect {
    let (states, parcels) = with(cargo, |cargo| {
        (Arc::clone(&cargo.states), Arc::clone(&cargo.parcels))
    });
    Box::pin(async move {
        let sent = transfer::send_all(&channel, &states, &parcels).await;
        if let Err(TransferError::Channel(ChannelError::Closed)) = sent {
            return Done::Closed;
        }
        Done::Event(Event::Sent(sent.map_err(|error| error.to_string())))
    })
}

/// Opens the exclusives that are released.
pub(super) fn reacquire(shared: Arc<Shared>) -> Effect {
    Box::pin(async move { Done::Event(Event::Reacquired(shared.acquire_all().await)) })
}

/// Waits until nobody is connected any more and the own predecessor, which may still send late connections, is gone. Those that reach
/// their boundary late are sent on. No longer than the limit, which is nothing if it was told twice to stop.
pub(super) fn drain(
    shared: Arc<Shared>,
    channel: Option<Arc<Channel>>,
    mut above: watch::Receiver<bool>,
    limit: Duration,
) -> Effect {
    Box::pin(async move {
        let deadline = Instant::now() + limit;
        let (mut moved_late, mut batch) = (0, u32::MAX / 2);
        loop {
            tokio::select! {
                biased;
                parcel = shared.registry.straggler(), if channel.is_some() => {
                    let Some(channel) = &channel else {
                        continue;
                    };
                    batch += 1;
                    let one = std::slice::from_ref(&parcel);
                    match transfer::send_connections(channel, batch, one).await {
                        Ok(()) => moved_late += 1,
                        Err(error) => {
                            warn!(%error, kind = parcel.kind, "a late connection could not move and is closed");
                        }
                    }
                }
                () = async {
                    let _ = above.wait_for(|lives| !lives).await;
                    shared.registry.empty().await;
                } => break,
                () = sleep_until(deadline) => break,
            }
        }
        let left = shared.registry.counts();
        let closed = left.values().map(|counts| counts.live as u64).sum();
        if closed > 0 {
            let kinds: Vec<_> = left
                .iter()
                .filter(|(_, counts)| counts.live > 0)
                .map(|(kind, counts)| format!("{} {kind}", counts.live))
                .collect();
            let left = kinds.join(", ");
            if limit.is_zero() {
                info!(
                    left,
                    "closing connections without waiting for their clients"
                );
            } else {
                warn!(
                    left,
                    ?limit,
                    "the drain's deadline has come; closing what is left"
                );
            }
        }
        Done::Drained { moved_late, closed }
    })
}

/// Sends the descriptors of all shareables.
pub(super) async fn send_shareables(shared: &Shared, channel: &Channel) -> Result<(), String> {
    // Copies, because the table must not stay locked while the successor's queue is full.
    let offered: Vec<(Listing, std::os::fd::OwnedFd)> = {
        let shareables = shared.shareables();
        let offers = shareables.offers().map_err(|error| error.to_string())?;
        let copied: Result<Vec<_>, std::io::Error> = offers
            .into_iter()
            .map(|(listing, descriptor)| Ok((listing, descriptor.try_clone_to_owned()?)))
            .collect();
        copied.map_err(|error| format!("cannot copy a descriptor: {error}"))?
    };
    let mut rest = offered.as_slice();
    loop {
        let (frame_tail, taken) = listing(rest)?;
        let (now, later) = rest.split_at(taken);
        let descriptors: Vec<_> = now
            .iter()
            .map(|(_, descriptor)| std::os::fd::AsFd::as_fd(descriptor))
            .collect();
        let last = later.is_empty();
        channel
            .send(&Frame::Shareables { last }, &frame_tail, &descriptors)
            .await
            .map_err(|error| error.to_string())?;
        if last {
            return Ok(());
        }
        rest = later;
    }
}

/// The listing of as many shareables as fit into one packet, and how many these are.
fn listing(offered: &[(Listing, std::os::fd::OwnedFd)]) -> Result<(Vec<u8>, usize), String> {
    let mut count = offered.len().min(DESCRIPTOR_LIMIT);
    loop {
        let listings: Vec<&Listing> = offered[..count]
            .iter()
            .map(|(listing, _)| listing)
            .collect();
        let tail = serde_json::to_vec(&listings).map_err(|error| error.to_string())?;
        if tail.len() <= PACKET_LIMIT - 1024 {
            return Ok((tail, count));
        }
        if count <= 1 {
            return Err("the listing of one shareable does not fit into a packet".to_owned());
        }
        count /= 2;
    }
}
