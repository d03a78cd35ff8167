//! Whether this generation may take what comes in.
//!
//! Every listener asks the gate before it accepts. A closed gate costs nobody anything: the kernel queues connections on the
//! listening socket until one generation or the other accepts them.

use tokio::sync::watch;

/// What a generation may do with its listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Not now: not yet committed, or frozen for a handover. The kernel queues.
    Wait,
    /// Accept.
    Open,
    /// Never again in this process: the successor accepts.
    Closed,
}

/// The side that turns the gate.
#[derive(Debug)]
pub(crate) struct Keeper(watch::Sender<Flow>);

/// The side that asks; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Gate(watch::Receiver<Flow>);

/// A gate that waits, and its keeper.
pub(crate) fn gate() -> (Keeper, Gate) {
    let (keeper, gate) = watch::channel(Flow::Wait);
    (Keeper(keeper), Gate(gate))
}

impl Keeper {
    /// Turns the gate.
    pub(crate) fn set(&self, flow: Flow) {
        self.0.send_replace(flow);
    }
}

/// A listener whose keeper is gone would wait, or accept, for ever.
impl Drop for Keeper {
    fn drop(&mut self) {
        self.set(Flow::Closed);
    }
}

impl Gate {
    /// Waits while the gate says `Wait`; then whether it is open. A gate whose keeper is gone is closed.
    pub(crate) async fn opened(&mut self) -> bool {
        match self.0.wait_for(|flow| *flow != Flow::Wait).await {
            Ok(flow) => *flow == Flow::Open,
            Err(_) => false,
        }
    }

    /// Runs `take` if the gate is open, and keeps the keeper from turning it meanwhile: once [`Keeper::set`] has returned,
    /// nothing more is taken. `take` must not wait.
    pub(crate) fn while_open<T>(&self, take: impl FnOnce() -> T) -> Option<T> {
        let flow = self.0.borrow();
        (*flow == Flow::Open).then(take)
    }

    /// Waits until the gate is no longer open.
    pub(crate) async fn shut(&mut self) {
        let _ = self.0.wait_for(|flow| *flow != Flow::Open).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_then_opens_then_closes() {
        let (keeper, mut gate) = gate();
        let mut waiting = ask(gate.clone());
        assert!(waiting.try_recv().is_err());
        keeper.set(Flow::Open);
        assert!(waiting.recv().await.expect("the task answers"));
        keeper.set(Flow::Wait);
        gate.shut().await;
        keeper.set(Flow::Closed);
        assert!(!gate.opened().await);
    }

    #[tokio::test]
    async fn a_gate_without_keeper_is_closed() {
        let (keeper, mut gate) = gate();
        drop(keeper);
        assert!(!gate.opened().await);
    }

    #[tokio::test]
    async fn a_gate_left_open_closes_with_its_keeper() {
        let (keeper, mut gate) = gate();
        keeper.set(Flow::Open);
        assert_eq!(gate.while_open(|| 7), Some(7));
        drop(keeper);
        gate.shut().await;
        assert!(!gate.opened().await);
        assert_eq!(gate.while_open(|| 7), None);
    }

    #[test]
    fn nothing_is_taken_once_the_gate_is_turned() {
        let (keeper, gate) = gate();
        keeper.set(Flow::Open);
        let turned = std::sync::atomic::AtomicBool::new(false);
        let (inside, is_inside) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let turned = &turned;
            let taker = scope.spawn(move || {
                gate.while_open(|| {
                    inside.send(()).expect("the keeper listens");
                    // Long enough for `set` to return, if it did not wait.
                    for _ in 0..1_000 {
                        std::thread::yield_now();
                    }
                    turned.load(std::sync::atomic::Ordering::SeqCst)
                })
            });
            is_inside.recv().expect("the taker is inside");
            keeper.set(Flow::Wait);
            turned.store(true, std::sync::atomic::Ordering::SeqCst);
            assert_eq!(taker.join().expect("no panic"), Some(false));
        });
    }

    fn ask(mut gate: Gate) -> tokio::sync::mpsc::Receiver<bool> {
        let (answer, answers) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            let _ = answer.send(gate.opened().await).await;
        });
        answers
    }
}
