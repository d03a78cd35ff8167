//! Work that waits for the disk, on threads made for that, and counted: a stop must know when it is over.

use tokio::sync::watch;

/// Counts what is under way. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    under_way: watch::Sender<usize>,
}

/// One piece of work; it is over when this is dropped.
struct Piece(watch::Sender<usize>);

impl Drop for Piece {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// The work panicked.
#[derive(Debug, thiserror::Error)]
#[error("{what} panicked: this is a fault of the program, please report it with the log")]
pub(crate) struct Panicked {
    what: &'static str,
}

impl Work {
    pub(crate) fn new() -> Self {
        Self {
            under_way: watch::Sender::new(0),
        }
    }

    /// Does `work`. It goes on to its end even if nobody waits for it any more.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        self.under_way.send_modify(|count| *count += 1);
        let piece = Piece(self.under_way.clone());
        let done = tokio::task::spawn_blocking(move || {
            let _piece = piece;
            work()
        });
        done.await.map_err(|_| Panicked { what })
    }

    /// Waits until nothing is under way.
    pub(crate) async fn idle(&self) {
        let mut under_way = self.under_way.subscribe();
        // an error would mean that the sender, which is ours, is gone
        let _ = under_way.wait_for(|count| *count == 0).await;
    }
}
