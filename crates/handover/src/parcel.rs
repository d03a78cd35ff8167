//! A live connection on its way to the next process.
//!
//! A parcel holds all there is of a connection: the socket, the bytes that were read and not yet used, the bytes that were to be
//! written and did not go out, and whatever the program needs to go on (the label). While it is a parcel nobody reads from or
//! writes to the socket.

use std::os::fd::OwnedFd;

use crate::Monotonic;

/// A frozen connection: what a predecessor gives, what a successor takes, and what comes back when a handover is rolled back.
#[derive(Debug)]
pub struct Parcel {
    /// Whose connection it is: the name of the listener that accepted it, or the name given to `Handover::connections`.
    pub kind: String,
    /// The socket. No runtime has it registered.
    pub socket: OwnedFd,
    /// Bytes read from the peer and not used yet; they come before anything that is read from the socket.
    pub unread: Vec<u8>,
    /// Bytes meant for the peer that did not go out yet; they go out before anything else that is written.
    pub unsent: Vec<u8>,
    /// What the program wants to know about the connection, in a form of its own.
    pub label: Vec<u8>,
    /// When the connection stopped being served.
    pub frozen: Monotonic,
}
