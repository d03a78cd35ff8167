//! How a command ended, and what that means to whoever called it.
//!
//! Cosmovisor knows two exit codes: 0, and 1 with an error. `baton run` passes on what the node
//! ended with, as a shell would.

use std::io;

use baton_supervisor::config::go_text;
use baton_supervisor::life::{CRASH_LIMIT, CRASH_WINDOW, Ended, Exit};
use baton_supervisor::serve;

use crate::context::Face;

/// How a command ended, if not by an error of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It did what it was for.
    Done,
    /// It ran the node under supervision.
    Supervised(Exit),
    /// It ran one of the node's other commands.
    OneShot(Ended),
    /// It held a server's sockets.
    Served(serve::Ending),
    /// It found something wrong, and has told.
    Wrong,
}

impl Ending {
    /// The error to print, if there is one.
    pub(crate) fn error(&self) -> Option<String> {
        match self {
            Self::Done | Self::Wrong => None,
            Self::OneShot(ended) => error_of(*ended),
            Self::Served(ending) => match &ending.exit {
                serve::Exit::Server(ended) => {
                    error_of(*ended).map(|how| format!("the server ended: {how}"))
                }
                serve::Exit::Stopped => None,
                serve::Exit::NeverReady(_) => {
                    Some(format!("the server never became ready: {}", ending.why))
                }
                serve::Exit::CrashLoop(_) => Some(format!(
                    "the server ended {CRASH_LIMIT} times within {} minutes and is not started again; the last time: {}",
                    CRASH_WINDOW.as_secs() / 60,
                    ending.why
                )),
            },
            Self::Supervised(exit) => match exit {
                Exit::Node(ended) => error_of(*ended),
                Exit::Stopped | Exit::LeftDown => None,
                Exit::CrashLoop(ended) => Some(format!(
                    "the node ended {CRASH_LIMIT} times within {} minutes and is not started again; the last time: {}",
                    CRASH_WINDOW.as_secs() / 60,
                    ended.text()
                )),
                Exit::UpgradeFailed { error, .. }
                | Exit::CannotStart(error)
                | Exit::NotRecorded(error)
                | Exit::Stuck(error) => Some(error.clone()),
            },
        }
    }

    /// The exit code.
    pub(crate) fn code(&self, face: Face) -> u8 {
        if let Self::Served(ending) = self {
            return u8::try_from(ending.exit.code()).unwrap_or(1);
        }
        let nodes_own = match self {
            Self::OneShot(ended) | Self::Supervised(Exit::Node(ended) | Exit::CrashLoop(ended)) => {
                Some(*ended)
            }
            _ => None,
        };
        match (face, nodes_own) {
            (Face::Baton, Some(ended)) => u8::try_from(ended.shell_code()).unwrap_or(1),
            _ => u8::from(self.error().is_some() || *self == Self::Wrong),
        }
    }
}

/// An error with its causes. Most of our errors tell their causes themselves, some in words of
/// their own; those are not told twice.
pub(crate) fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let as_is = cause.to_string();
        let as_go = cause.downcast_ref::<io::Error>().map(go_text::io_error);
        let is_told = text.contains(&as_is) || as_go.is_some_and(|go| text.contains(&go));
        if !is_told {
            text = format!("{text}: {as_is}");
        }
    }
    text
}

fn error_of(ended: Ended) -> Option<String> {
    (ended != Ended::Code(0)).then(|| ended.text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_supervisor::upgrade::Step;

    #[test]
    fn each_end_has_its_message_and_its_codes() {
        for (ending, error, cosmovisor, baton) in [
            (Ending::Done, None, 0, 0),
            (Ending::Wrong, None, 1, 1),
            (Ending::OneShot(Ended::Code(0)), None, 0, 0),
            (Ending::OneShot(Ended::Code(7)), Some("exit status 7"), 1, 7),
            (
                Ending::Supervised(Exit::Node(Ended::Signal(9))),
                Some("signal: killed"),
                1,
                137,
            ),
            (Ending::Supervised(Exit::Node(Ended::Code(0))), None, 0, 0),
            (Ending::Supervised(Exit::Stopped), None, 0, 0),
            (Ending::Supervised(Exit::LeftDown), None, 0, 0),
            (
                Ending::Supervised(Exit::UpgradeFailed {
                    step: Step::BackUp,
                    error: "no room".to_owned(),
                }),
                Some("no room"),
                1,
                1,
            ),
            (
                Ending::Supervised(Exit::CrashLoop(Ended::Code(3))),
                Some(
                    "the node ended 5 times within 10 minutes and is not started again; the last time: exit status 3",
                ),
                1,
                3,
            ),
            (
                Ending::Supervised(Exit::CannotStart("no such file".to_owned())),
                Some("no such file"),
                1,
                1,
            ),
        ] {
            assert_eq!(ending.error().as_deref(), error, "{ending:?}");
            assert_eq!(ending.code(Face::Cosmovisor), cosmovisor, "{ending:?}");
            assert_eq!(ending.code(Face::Baton), baton, "{ending:?}");
        }
    }

    #[test]
    fn causes_are_told_once() {
        use anyhow::Context;
        use baton_supervisor::stage::init::Executable;
        let missing = || Executable::at(std::path::Path::new("/no/such")).map(drop);
        let ours = anyhow::Error::from(missing().unwrap_err());
        let text = "executable file not found: stat /no/such: no such file or directory";
        assert_eq!(told(&ours), text);
        let within = missing().context("looking").unwrap_err();
        assert_eq!(told(&within), format!("looking: {text}"));
        let bare = std::fs::read("/no/such").context("reading").unwrap_err();
        assert_eq!(
            told(&bare),
            "reading: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn a_crash_loop_is_an_error_even_if_the_node_ended_well() {
        let ending = Ending::Supervised(Exit::CrashLoop(Ended::Code(0)));
        assert_eq!(ending.code(Face::Cosmovisor), 1);
    }
}
