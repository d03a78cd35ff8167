//! What a handover does when something fails, with real processes under light traffic.

#[path = "../harness/mod.rs"]
mod harness;

mod counting;
mod drain;
mod exclusives;
mod kills;
mod series;
mod smoke;
mod states;
mod strangers;
mod successors;
