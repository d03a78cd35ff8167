//! Printing. A stream that nobody reads any more is borne: `baton events | head` is no error.

use std::io::{self, Write};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Prints to stdout as it is.
pub(crate) fn out(text: &str) {
    let _ = try_out(text);
}

/// The same, for those that go on printing: an error means that there is nobody to print for.
pub(crate) fn try_out(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Whether whoever read stdout through a pipe has gone, which printing nothing would not tell.
pub(crate) fn is_abandoned() -> bool {
    let stdout = io::stdout();
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    let polled = poll(&mut watched, Some(&Timespec::default()));
    polled.is_ok() && watched[0].revents().contains(PollFlags::ERR)
}

/// Prints to stderr as it is, in one piece.
pub(crate) fn err(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
