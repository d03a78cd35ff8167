//! Where the news comes from: the control socket for how things stand, the history for what happened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_supervisor::telling::reader::{Filter, Reader};
use baton_supervisor::telling::{Client, ClientError, Status};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::model::News;
use crate::commands::tell;
use crate::history::History;

/// How often the supervisor is asked while it answers. A step of an upgrade takes some milliseconds; it is shown by its event.
const EVERY: Duration = Duration::from_millis(250);

/// How often it is looked for while it does not.
const AGAIN: Duration = Duration::from_secs(1);

/// News that may wait for a slow terminal.
const QUEUE: usize = 64;

/// Starts to watch a home. It ends with the receiver, and needs a runtime.
pub(crate) fn watch(home: &Path) -> (Sender<News>, Receiver<News>) {
    let (to, news) = channel(QUEUE);
    tokio::spawn(statuses(home.to_owned(), to.clone()));
    tokio::spawn(events(home.join("cosmovisor/.baton"), to.clone()));
    (to, news)
}

async fn statuses(home: PathBuf, to: Sender<News>) {
    let mut is_told = false;
    loop {
        let (news, pause) = match ask(&home).await {
            Ok(status) => {
                is_told = false;
                (News::Status(Box::new(status)), EVERY)
            }
            Err(error) => {
                // Once: what the history tells does not change while nobody writes it.
                let past = if is_told { None } else { past(&home) };
                is_told = true;
                (News::Gone(seen_of(&error), past.map(Box::new)), AGAIN)
            }
        };
        if to.send(news).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

async fn ask(home: &Path) -> Result<Status, ClientError> {
    Client::connect(home).await?.status().await
}

/// How the last supervisor left things.
fn past(home: &Path) -> Option<Status> {
    tell::past(home, &home.join("cosmovisor/.baton"))
        .ok()
        .flatten()
}

/// The error in few words: the screen tells the home, and that it goes on asking.
fn seen_of(error: &ClientError) -> String {
    match error {
        ClientError::NoSupervisor { .. } => {
            "no supervisor runs on this home, start one with `baton run`".to_owned()
        }
        other => other.to_string(),
    }
}

async fn events(baton: PathBuf, to: Sender<News>) {
    let reader = Reader::new(&baton, 0);
    let mut history = History::new(&baton, reader, Filter::default());
    while !to.is_closed() {
        match history.next().await {
            Ok(records) => {
                if to.send(News::Events(records)).await.is_err() {
                    return;
                }
            }
            // What cannot be read now may be later; the status tells as well.
            Err(error) => {
                tracing::debug!(%error, "no events");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}
