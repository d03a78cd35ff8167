//! The node's heart: it makes a block now and then until something ends it.
//!
//! On a thread of its own, so that waiting for a disk never delays an answer.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use baton_handover::Exclusive;
use tokio::runtime::Handle;

use crate::log;
use crate::node::{Command, Ending, Node, SharedView, look};
use crate::settings::Behaviour;

/// How soon to look again for data that the next process has: it comes back only if that one dies.
const LOOK: Duration = Duration::from_millis(20);

/// A node that closes its data when it is let go.
pub(crate) struct Open(Option<Node>);

/// The node's data, which is this process's alone or may belong to the next one.
pub(crate) enum Holding {
    /// Nobody else's, to the end.
    Own(Box<Open>),
    /// Borrowed for each block.
    Shared {
        /// The data.
        data: Exclusive<Mutex<Open>>,
        /// What the handover runs on.
        runtime: Handle,
    },
}

/// The next process has the data.
struct Gone;

impl Open {
    pub(crate) fn new(node: Node) -> Self {
        Self(Some(node))
    }

    fn node(&mut self) -> &mut Node {
        self.0.as_mut().expect("only closing takes it")
    }

    fn close(&mut self) -> Result<(), Ending> {
        match self.0.take() {
            Some(node) => Ok(node.data.close()?),
            None => Ok(()),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            log::error("closing the data", &[("err", &error.message)]);
        }
    }
}

impl Holding {
    fn with<R>(&mut self, act: impl FnOnce(&mut Node) -> R) -> Result<R, Gone> {
        match self {
            Self::Own(open) => Ok(act(open.node())),
            Self::Shared { data, runtime } => {
                let borrowed = runtime.block_on(data.get()).map_err(|_| Gone)?;
                let mut open = borrowed.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(act(open.node()))
            }
        }
    }

    /// What is shared is closed by whoever shares it.
    fn close(self) -> Result<(), Ending> {
        match self {
            Self::Own(mut open) => open.close(),
            Self::Shared { .. } => Ok(()),
        }
    }
}

/// Makes blocks until it is stopped (`None`) or ends by itself.
pub(crate) fn run(
    mut holding: Holding,
    behaviour: &Behaviour,
    view: &SharedView,
    commands: &Receiver<Command>,
) -> Option<Ending> {
    let mut next = Instant::now() + behaviour.block_time;
    let mut halted = false;
    // A successor could not do it before the data was its own for good.
    let mut ending = match holding.with(Node::replay) {
        Ok(Err(ending)) => Some(Some(ending)),
        Ok(Ok(())) | Err(Gone) => None,
    };
    if ending.is_none()
        && let Ok(app) = holding.with(|node| node.data.state.clone())
    {
        look(view).app = app;
    }
    let ending = loop {
        if let Some(ending) = ending.take() {
            break ending;
        }
        let command = if halted {
            commands.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            commands.recv_timeout(next.saturating_duration_since(Instant::now()))
        };
        let done = match command {
            Ok(Command::Stop(delay)) => {
                thread::sleep(delay);
                break None;
            }
            Err(RecvTimeoutError::Disconnected) => break None,
            Ok(command) => holding.with(|node| {
                node.obey(command, view);
                Ok(None)
            }),
            Err(RecvTimeoutError::Timeout) => {
                next = (next + behaviour.block_time).max(Instant::now());
                holding.with(|node| node.make_block(view))
            }
        };
        match done {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(why))) => {
                log::error(
                    "CONSENSUS FAILURE!!!",
                    &[("err", &format!("failed to apply block; error {why}"))],
                );
                look(view).halted = Some(why);
                halted = true;
            }
            Ok(Err(failed)) => ending = Some(Some(failed)),
            Err(Gone) => thread::sleep(LOOK),
        }
    };
    match (holding.close(), ending) {
        (Err(error), None) => Some(error),
        (_, ending) => ending,
    }
}
