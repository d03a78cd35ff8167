//! The protocol of a handover, without any I/O.
//!
//! [`frame`] is what is said, [`predecessor`] and [`successor`] decide what to do about it. Both are plain state machines:
//! an event goes in, actions come out, and nothing else happens. They are tested against each other in every order of events,
//! with the death of either side at every step (`pair_tests`). `docs/handover-protocol.md` tells the story.

pub(crate) mod frame;
pub(crate) mod predecessor;
pub(crate) mod successor;

#[cfg(test)]
mod pair_tests;
