//! Whether this node proposes blocks, and who is paid for them; changed while it runs.

use std::sync::Arc;

use tokio::sync::watch;

/// Mining as `set-mining` and the mining address know it. Cheap to clone; all clones are one.
///
/// A validator that does not mine still votes. When its turn comes it proposes nothing: the others pass over it after
/// the time a proposal may take, and a validator that is alone makes no blocks at all.
#[derive(Debug, Clone)]
pub struct ProposerHandle {
    state: Arc<watch::Sender<Mining>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Mining {
    on: bool,
    program: Option<Vec<u8>>,
}

impl ProposerHandle {
    /// Mining is `on` or off; rewards go to the control program `program`. Without one nothing is proposed.
    pub fn new(on: bool, program: Option<Vec<u8>>) -> Self {
        Self {
            state: Arc::new(watch::Sender::new(Mining { on, program })),
        }
    }

    /// Turns mining on or off.
    pub fn set(&self, on: bool) {
        self.change(|mining| mining.on = on);
    }

    /// Whether mining is on.
    pub fn is_on(&self) -> bool {
        self.state.borrow().on
    }

    /// Has rewards paid to another control program from the next block on.
    pub fn set_program(&self, program: Option<Vec<u8>>) {
        self.change(|mining| mining.program = program);
    }

    /// The control program to which rewards go.
    pub fn program(&self) -> Option<Vec<u8>> {
        self.state.borrow().program.clone()
    }

    /// Waits until this node is to propose and has a program to be paid to.
    pub(crate) async fn ready(&self) -> Vec<u8> {
        let mut state = self.state.subscribe();
        let ready = state
            .wait_for(|mining| mining.on && mining.program.is_some())
            .await
            .expect("the sender is this handle's own");
        ready.program.clone().expect("it was waited for")
    }

    fn change(&self, change: impl FnOnce(&mut Mining)) {
        self.state.send_if_modified(|mining| {
            let before = mining.clone();
            change(mining);
            *mining != before
        });
    }
}
