//! Messages of `sd_notify(3)`: lines of `KEY=value`.

use std::fmt::Write as _;
use std::time::Duration;

/// The longest status text, in bytes; longer ones are cut.
const STATUS_LIMIT: usize = 512;

/// One line of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Ready,
    Reloading,
    MonotonicMicros(u64),
    Stopping,
    MainPid(u32),
    Status(String),
    ExtendTimeout(Duration),
}

/// One datagram: lines that the service manager takes in together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message(pub(crate) Vec<State>);

impl Message {
    /// The datagram's text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for state in &self.0 {
            let line = match state {
                State::Ready => text.write_str("READY=1\n"),
                State::Reloading => text.write_str("RELOADING=1\n"),
                State::Stopping => text.write_str("STOPPING=1\n"),
                State::MonotonicMicros(micros) => writeln!(text, "MONOTONIC_USEC={micros}"),
                State::MainPid(pid) => writeln!(text, "MAINPID={pid}"),
                State::Status(status) => writeln!(text, "STATUS={}", one_line(status)),
                State::ExtendTimeout(time) => {
                    writeln!(text, "EXTEND_TIMEOUT_USEC={}", time.as_micros())
                }
            };
            line.expect("a string takes what is written to it");
        }
        text
    }
}

fn one_line(status: &str) -> String {
    let mut line: String = status
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if line.len() > STATUS_LIMIT {
        line.truncate(line.floor_char_boundary(STATUS_LIMIT));
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_status_is_cut_at_a_character() {
        let message = Message(vec![State::Status("ü".repeat(600))]);
        let text = message.text();
        assert!(text.ends_with("ü…\n"));
        assert!(text.len() < 600);
    }
}
