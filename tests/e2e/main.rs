//! End to end: only the built executables, real processes, real files, real sockets.
//!
//! `support` builds homes and runs supervisors on them; every other file is one subject.

mod copies;
mod crash;
mod fetching;
mod handover;
mod plans;
mod processes;
mod relay;
mod serve;
mod support;
mod telling;
mod upstream;
