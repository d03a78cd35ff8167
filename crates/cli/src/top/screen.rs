//! The terminal: drawn on, listened to, and given back as it was, whatever happens.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use baton_supervisor::telling::Time;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, channel};

use super::model::{Model, News};
use super::view::view;

/// How often it is drawn if nothing happens: times go on.
const TICK: Duration = Duration::from_millis(500);

/// How often the thread that waits for keys looks whether it is still needed.
const GLANCE: Duration = Duration::from_millis(100);

/// Keys that may wait.
const QUEUE: usize = 64;

/// Shows the model and what becomes of it, until somebody leaves or there is nothing more to see. True if somebody left.
pub(crate) async fn show(model: &mut Model, news: &mut Receiver<News>) -> anyhow::Result<bool> {
    // This one's hook gives the terminal back before a panic is told.
    let mut terminal = ratatui::try_init()
        .context("taking over the terminal (`baton top --plain` does without)")?;
    let restored = Restored;
    let shown = go_on(&mut terminal, model, news).await;
    drop(restored);
    shown
}

/// Gives the terminal back when it goes.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

async fn go_on(
    terminal: &mut DefaultTerminal,
    model: &mut Model,
    news: &mut Receiver<News>,
) -> anyhow::Result<bool> {
    let mut keys = Keys::start().context("listening to the keyboard")?;
    let mut ends = Ends::new()?;
    loop {
        model.now = Time::now();
        terminal
            .draw(|frame| view(model, frame))
            .context("drawing on the terminal")?;
        tokio::select! {
            Some(first) = news.recv() => {
                model.now = Time::now();
                if !model.learn(first) {
                    return Ok(false);
                }
                // What waits already is drawn at once.
                while let Ok(more) = news.try_recv() {
                    if !model.learn(more) {
                        return Ok(false);
                    }
                }
            }
            pressed = keys.0.recv() => match pressed {
                Some(Event::Key(key)) => {
                    if !model.press(key) {
                        return Ok(true);
                    }
                }
                // Another size: drawn anew. `None`: the terminal is gone.
                Some(_) => {}
                None => return Ok(true),
            },
            () = ends.come() => return Ok(true),
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

/// What is typed, read on a thread of its own.
struct Keys(Receiver<Event>, Arc<AtomicBool>);

impl Keys {
    fn start() -> io::Result<Self> {
        let (to, keys) = channel(QUEUE);
        let over = Arc::new(AtomicBool::new(false));
        let is_over = over.clone();
        std::thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    match event::poll(GLANCE) {
                        Ok(false) => {}
                        Ok(true) => {
                            let Ok(event) = event::read() else { return };
                            if to.blocking_send(event).is_err() {
                                return;
                            }
                        }
                        Err(_) => return,
                    }
                }
            })?;
        Ok(Self(keys, over))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.1.store(true, Ordering::Relaxed);
    }
}

/// The signals that end a program; this one gives the terminal back first.
pub(crate) struct Ends([Signal; 4]);

impl Ends {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::quit(),
        ];
        let [a, b, c, d] = kinds.map(signal);
        let all = || Ok::<_, io::Error>([a?, b?, c?, d?]);
        Ok(Self(all().context("listening to signals")?))
    }

    /// Returns when one of them comes.
    pub(crate) async fn come(&mut self) {
        let [a, b, c, d] = &mut self.0;
        tokio::select! {
            _ = a.recv() => {}
            _ = b.recv() => {}
            _ = c.recv() => {}
            _ = d.recv() => {}
        }
    }
}
