//! The tasks of a namespace: each has a name, is told to end, and is missed if it ends by itself.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::error;

/// Says that it is time to end. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Ending(watch::Receiver<bool>);

impl Ending {
    /// Waits until it is time.
    pub(crate) async fn begun(&mut self) {
        // without a sender there is nobody left to work for
        let _ = self.0.wait_for(|ending| *ending).await;
    }

    /// Whether it is time.
    pub(crate) fn has_begun(&self) -> bool {
        *self.0.borrow()
    }
}

/// A task that ended though nobody told it to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Death {
    /// The task.
    pub(crate) task: &'static str,
    /// How it ended.
    pub(crate) why: String,
}

/// Tasks that end together.
#[derive(Debug)]
pub(crate) struct Tasks {
    ending: watch::Sender<bool>,
    death: watch::Sender<Option<Death>>,
    running: Vec<(&'static str, JoinHandle<()>)>,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self {
            ending: watch::Sender::new(false),
            death: watch::Sender::new(None),
            running: Vec::new(),
        }
    }

    /// What the tasks must heed.
    pub(crate) fn ending(&self) -> Ending {
        Ending(self.ending.subscribe())
    }

    /// Tells of the first task that died.
    pub(crate) fn death(&self) -> watch::Receiver<Option<Death>> {
        self.death.subscribe()
    }

    /// Starts a task that is to run until [`Self::ending`].
    pub(crate) fn spawn(
        &mut self,
        task: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let (ending, death) = (self.ending(), self.death.clone());
        let handle = tokio::spawn(async move {
            let ended = tokio::spawn(work).await;
            let why = match ended {
                Ok(()) if ending.has_begun() => return,
                Err(error) if error.is_cancelled() => return,
                Ok(()) => "it ended by itself".to_owned(),
                Err(error) => said(error.into_panic().as_ref()),
            };
            error!(task, why, "a part of the node died");
            death.send_if_modified(|first| {
                let none = first.is_none();
                if none {
                    *first = Some(Death { task, why });
                }
                none
            });
        });
        self.running.push((task, handle));
    }

    /// Ends all tasks, those that do not heed within `limit` by force.
    pub(crate) async fn end(&mut self, limit: Duration) {
        self.ending.send_replace(true);
        let deadline = tokio::time::Instant::now() + limit;
        for (task, mut handle) in self.running.drain(..) {
            if tokio::time::timeout_at(deadline, &mut handle)
                .await
                .is_err()
            {
                error!(task, ?limit, "a part did not end within the limit");
                handle.abort();
            }
        }
    }
}

/// What a panic said.
pub(crate) fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!(
        "it panicked: {}",
        text.as_deref().unwrap_or("without a word")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_missed_and_one_that_heeds_is_not() {
        let mut tasks = Tasks::new();
        let mut death = tasks.death();
        let mut ending = tasks.ending();
        tasks.spawn("good", async move { ending.begun().await });
        tasks.spawn("bad", async { panic!("out of {}", "luck") });
        let found = death.wait_for(Option::is_some).await.unwrap().clone();
        let wanted = Death {
            task: "bad",
            why: "it panicked: out of luck".to_owned(),
        };
        assert_eq!(found, Some(wanted));
        tasks.end(Duration::from_secs(5)).await;
    }

    #[tokio::test]
    async fn a_task_that_does_not_heed_is_ended_by_force() {
        let mut tasks = Tasks::new();
        tasks.spawn("stubborn", std::future::pending());
        tasks.end(Duration::from_millis(20)).await;
        assert_eq!(*tasks.death().borrow(), None);
    }
}
