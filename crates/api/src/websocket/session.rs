//! One WebSocket: hears its client, and tells it what it wishes to be told, as fast as it takes it.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use baton_chain::Pooled;
use baton_handover::{
    connections::Asked,
    websocket::{CloseCode, Event, Message, WebSocket},
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{OwnedSemaphorePermit, broadcast, broadcast::error::RecvError},
    time::timeout,
};

use super::{NewTransaction, Stage, notification, request::Wish, subscription::Subscription};
use crate::{fault::Fault, namespace::Namespace, table::Lane};

/// How long a client may take nothing of what it is sent.
const STALL: Duration = Duration::from_mins(1);
/// How long one attempt to send goes on before the client is listened to.
const SLICE: Duration = Duration::from_millis(250);
/// Longest label of a WebSocket that moves, in bytes; what does not fit is told to be dropped.
const MAX_LABEL: usize = 64 << 10;

/// A WebSocket in hand.
pub(super) struct Session {
    namespace: Arc<Namespace>,
    socket: WebSocket,
    subscription: Subscription,
    /// What is still to be sent, the first next.
    queue: VecDeque<Queued>,
    /// The news of the pool.
    news: broadcast::Receiver<Arc<NewTransaction>>,
    /// The number of the next transaction of the pool of which it has not heard.
    next_number: u64,
    /// News of transactions before this number are none: they were found in the pool.
    news_from: u64,
    /// News that this client will not get.
    dropped: u64,
    /// When it was last asked whether it is there.
    asked: Option<Instant>,
    _room: Option<OwnedSemaphorePermit>,
}

/// A message on its way.
struct Queued {
    message: Message,
    kind: Kind,
}

/// What a message belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The next block of the subscription; made again if it was not sent.
    Block,
    /// The last message of that block.
    LastOfBlock(u64),
    /// The answer to a wish, or news of the pool.
    Live,
}

/// What the next process must know.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Label {
    subscription: Subscription,
    /// The first transaction of the pool of which it has not heard, by number.
    #[serde(default)]
    next_number: Option<u64>,
    /// What was not sent yet.
    live: Vec<String>,
    dropped: u64,
}

/// What woke a session up.
enum Wake {
    Event(Result<Event, baton_handover::websocket::WebSocketError>),
    News(Result<Arc<NewTransaction>, RecvError>),
    Block,
    Quiet,
    Stage,
}

/// How a session ends.
enum End {
    /// The peer is gone.
    Gone,
    Move,
    Leave,
    /// The node stops.
    Close,
    /// The peer takes or says nothing.
    Silent,
}

impl Session {
    /// A WebSocket, new or moved here; a moved one has a label.
    pub(super) fn new(
        namespace: &Arc<Namespace>,
        socket: WebSocket,
        room: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let label: Label = serde_json::from_slice(socket.label()).unwrap_or_default();
        let settings = &namespace.settings.websockets;
        let live = label.live.into_iter().map(|text| Queued {
            message: Message::text(text),
            kind: Kind::Live,
        });
        let news = namespace.sockets.news.subscribe();
        let pool = &namespace.parts.pool;
        let (missed, next) = pool.since(label.next_number.unwrap_or(u64::MAX));
        let mut this = Self {
            queue: live.collect(),
            subscription: label.subscription,
            dropped: label.dropped,
            next_number: next,
            news_from: 0,
            asked: None,
            news,
            socket: socket.message_limit(settings.message_bytes),
            namespace: Arc::clone(namespace),
            _room: room,
        };
        if let Some(from) = label.next_number {
            this.catch_up(missed, next.saturating_sub(from));
            this.news_from = next;
        }
        this
    }

    /// Hears of what came into the pool while it moved; so many came in all.
    fn catch_up(&mut self, missed: Vec<(u64, Arc<Pooled>)>, came: u64) {
        if !self.subscription.wants_transactions() {
            return;
        }
        // what has left the pool again is not told any more
        self.dropped += came.saturating_sub(missed.len() as u64);
        for (number, pooled) in missed {
            self.learn(Ok(Arc::new(NewTransaction::new(pooled, number))));
        }
    }

    /// Serves the WebSocket to its end.
    pub(super) async fn serve(mut self) {
        let metrics = &Arc::clone(&self.namespace).metrics;
        metrics.websockets.inc();
        let end = self.converse().await;
        metrics.websockets.dec();
        match end {
            End::Gone => {}
            End::Move => self.give(),
            End::Leave => self.socket.leave().await,
            End::Close => self.socket.close(CloseCode::Away, "the node stops").await,
            End::Silent => {
                tracing::debug!("closing a websocket: its client takes or says nothing");
                self.socket.close(CloseCode::Policy, "no answer").await;
            }
        }
    }

    async fn converse(&mut self) -> End {
        loop {
            let end = if self.queue.is_empty() {
                self.idle().await
            } else {
                self.send().await
            };
            if let Err(end) = end {
                return end;
            }
        }
    }

    /// Whether the WebSocket stays here.
    fn stay(&self) -> Result<(), End> {
        match *self.namespace.sockets.stage.borrow() {
            Stage::Open => Ok(()),
            Stage::Retired => Err(End::Move),
            Stage::Closing => Err(End::Close),
        }
    }

    /// Waits for something to do.
    async fn idle(&mut self) -> Result<(), End> {
        let namespace = Arc::clone(&self.namespace);
        if self.dropped > 0 {
            let count = std::mem::take(&mut self.dropped);
            namespace.metrics.dropped_notifications.inc_by(count);
            self.push_live(vec![notification::dropped(count)]);
            return Ok(());
        }
        let mut tips = namespace.parts.chain.watch();
        let tip = tips.borrow_and_update().height;
        if let Some(next) = self.subscription.next_height()
            && next <= tip
        {
            return self.queue_block(next).await;
        }
        let blocks = self.subscription.next_height().is_some();
        let mut stage = namespace.sockets.stage.subscribe();
        let quiet = tokio::time::sleep_until(self.patience().into());
        let wake = tokio::select! {
            biased;
            _ = stage.wait_for(|stage| *stage != Stage::Open) => Wake::Stage,
            event = self.socket.next() => Wake::Event(event),
            _ = tips.changed(), if blocks => Wake::Block,
            news = self.news.recv() => Wake::News(news),
            () = quiet => Wake::Quiet,
        };
        match wake {
            Wake::Stage => self.stay(),
            Wake::Event(event) => self.hear(event),
            Wake::Block => Ok(()),
            Wake::News(news) => {
                self.learn(news);
                Ok(())
            }
            Wake::Quiet => self.ask_whether_there().await,
        }
    }

    /// When the client is to be asked whether it is there, or, once it was asked, given up.
    fn patience(&self) -> Instant {
        let ping = self.namespace.settings.websockets.ping;
        self.unanswered().unwrap_or(self.socket.last_heard()) + ping
    }

    /// When it was asked, if nothing came from it since.
    fn unanswered(&self) -> Option<Instant> {
        self.asked.filter(|asked| *asked > self.socket.last_heard())
    }

    /// Asks a client that says nothing whether it is there, or gives it up if it was asked.
    async fn ask_whether_there(&mut self) -> Result<(), End> {
        if Instant::now() < self.patience() {
            // it was heard of meanwhile
            return Ok(());
        }
        if self.unanswered().is_some() {
            return Err(End::Silent);
        }
        let sent = self.socket.send(Message::Ping(Vec::new().into()));
        if !matches!(timeout(SLICE, sent).await, Ok(Ok(()))) {
            return Err(End::Silent);
        }
        self.asked = Some(Instant::now());
        Ok(())
    }

    /// Sends what is next, and hears the client meanwhile.
    async fn send(&mut self) -> Result<(), End> {
        let stalled = Instant::now();
        while let Some(queued) = self.queue.front() {
            let (message, kind) = (queued.message.clone(), queued.kind);
            match timeout(SLICE, self.socket.send(message)).await {
                Ok(Ok(())) => {
                    self.queue.pop_front();
                    match kind {
                        Kind::Block => self.subscription.sent_one(),
                        Kind::LastOfBlock(height) => self.subscription.done_with(height),
                        Kind::Live => {}
                    }
                    break;
                }
                Ok(Err(_)) => return Err(End::Gone),
                Err(_) if stalled.elapsed() > STALL => return Err(End::Silent),
                Err(_) => {
                    self.stay()?;
                    // this goes on writing too
                    if let Ok(event) = timeout(SLICE, self.socket.next()).await {
                        self.hear(event)?;
                    }
                }
            }
        }
        // a client that is sent much is heard too
        let event = tokio::select! {
            biased;
            event = self.socket.next() => Some(event),
            () = std::future::ready(()) => None,
        };
        match event {
            Some(event) => self.hear(event),
            None => Ok(()),
        }
    }

    /// Does what the client or a handover wants.
    fn hear(
        &mut self,
        event: Result<Event, baton_handover::websocket::WebSocketError>,
    ) -> Result<(), End> {
        let message = match event {
            Ok(Event::Message(message)) => message,
            Ok(Event::Asked(Asked::Move)) => return Err(End::Move),
            Ok(Event::Asked(Asked::Leave)) => return Err(End::Leave),
            Ok(Event::Asked(Asked::Stay)) => return Ok(()),
            Ok(Event::Closed(_)) | Err(_) => return Err(End::Gone),
        };
        let namespace = Arc::clone(&self.namespace);
        let next = namespace.parts.chain.tip().height + 1;
        let most = namespace.settings.websockets.requests;
        let before = self.subscription.clone();
        let granted = Wish::read(&message).and_then(|wish| {
            let feeds = &namespace.parts.feeds;
            self.subscription.grant(wish, next, feeds, most)
        });
        if self.subscription != before {
            // what is queued of a block may be another thing now; it is made again
            self.queue.retain(|queued| queued.kind == Kind::Live);
        }
        self.push_live(vec![notification::status(granted)]);
        Ok(())
    }

    fn learn(&mut self, news: Result<Arc<NewTransaction>, RecvError>) {
        if let Ok(news) = &news {
            if news.number < self.news_from {
                return;
            }
            self.next_number = self.next_number.max(news.number + 1);
        }
        match news {
            Ok(news) if self.subscription.wants_transactions() => {
                let feeds = &self.namespace.parts.feeds;
                let messages = self.subscription.of_transaction(&news, feeds);
                self.push_live(messages);
            }
            Err(RecvError::Lagged(count)) if self.subscription.wants_transactions() => {
                self.dropped += count;
            }
            Ok(_) | Err(_) => {}
        }
    }

    fn push_live(&mut self, messages: Vec<Message>) {
        self.queue
            .extend(messages.into_iter().map(|message| Queued {
                message,
                kind: Kind::Live,
            }));
    }

    /// Queues what is to be told of a block.
    async fn queue_block(&mut self, height: u64) -> Result<(), End> {
        let chain = self.namespace.parts.chain.clone();
        let read = move || chain.block(height).map_err(Fault::from);
        let Ok(Some(block)) = self.namespace.lanes.run(Lane::Read, read).await else {
            // it was closed for another process, to which the client goes too
            self.stay()?;
            // the store cannot be read, which is said in the log; the client comes back or waits for help
            return Err(End::Close);
        };
        let feeds = &self.namespace.parts.feeds;
        let messages = self.subscription.of_block(&block, feeds);
        let Some(last) = messages.len().checked_sub(1) else {
            self.subscription.done_with(height);
            return Ok(());
        };
        let kind = |index| {
            if index == last {
                Kind::LastOfBlock(height)
            } else {
                Kind::Block
            }
        };
        let queued = messages.into_iter().enumerate();
        self.queue.extend(queued.map(|(index, message)| Queued {
            message,
            kind: kind(index),
        }));
        Ok(())
    }

    /// Packs the WebSocket up for the next process.
    ///
    /// News that it has not heard yet it hears there: they are in the pool, which goes along.
    fn give(self) {
        let mut label = Label {
            subscription: self.subscription,
            next_number: Some(self.next_number),
            live: Vec::new(),
            dropped: self.dropped,
        };
        let mut room = MAX_LABEL;
        for queued in self
            .queue
            .into_iter()
            .filter(|queued| queued.kind == Kind::Live)
        {
            let text = queued.message.into_text().unwrap_or_default();
            match room.checked_sub(text.len()) {
                Some(left) => {
                    room = left;
                    label.live.push(text.as_str().to_owned());
                }
                None => label.dropped += 1,
            }
        }
        let label = serde_json::to_vec(&label).expect("a label is plain data");
        if let Err(error) = self.socket.give(label) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a websocket could not be moved"
            );
        }
    }
}
