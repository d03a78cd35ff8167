//! What is known, and what changes it. Pure: no socket, no terminal, no clock.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use baton_supervisor::telling::event::Record;
use baton_supervisor::telling::{Status, Time};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::card::Card;
use super::pace::Pace;

/// How many events can be scrolled back to.
const KEPT: usize = 2_000;

/// How far a page of events goes.
const PAGE: usize = 10;

/// All that the screen shows.
#[derive(Debug)]
pub(crate) struct Model {
    /// The home that is watched.
    pub(crate) home: PathBuf,
    /// The instant for which it is shown.
    pub(crate) now: Time,
    /// Whether a supervisor answers.
    pub(crate) link: Link,
    /// What it said last, or how the last one left things.
    pub(crate) status: Option<Status>,
    /// How fast the chain goes.
    pub(crate) pace: Pace,
    /// What happened.
    pub(crate) timeline: Timeline,
    /// What else is measured; the demo puts its load here.
    pub(crate) load: Option<Card>,
    /// The keys are explained.
    pub(crate) help: bool,
}

/// The way to the supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// Not tried to the end yet.
    Asking,
    /// It answers.
    Live,
    /// It does not, and is asked again and again.
    Gone {
        /// Since when.
        since: Time,
        /// What is seen of it.
        why: String,
    },
}

/// The last events, oldest first, and which of them are in sight.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    records: VecDeque<Record>,
    /// How many of the newest lie below what is in sight.
    behind: usize,
}

/// Something that the screen learns.
#[derive(Debug)]
pub(crate) enum News {
    /// The supervisor's answer.
    Status(Box<Status>),
    /// It gave none. With it, how the last one left things, if that is known.
    Gone(String, Option<Box<Status>>),
    /// What happened, in its order.
    Events(Vec<Record>),
    /// Other figures.
    Load(Card),
    /// There is nothing more to see.
    End,
}

impl Model {
    pub(crate) fn new(home: &Path, now: Time) -> Self {
        Self {
            home: home.to_owned(),
            now,
            link: Link::Asking,
            status: None,
            pace: Pace::default(),
            timeline: Timeline::default(),
            load: None,
            help: false,
        }
    }

    /// The instant of which what is shown is true.
    pub(crate) fn known_at(&self) -> Time {
        match self.link {
            Link::Gone { since, .. } => since,
            Link::Asking | Link::Live => self.now,
        }
    }

    /// Takes note of it. False once there is nothing more to see.
    pub(crate) fn learn(&mut self, news: News) -> bool {
        match news {
            News::Status(status) => {
                self.link = Link::Live;
                if let (Some(height), Some(at)) = (status.node.height, status.node.height_at) {
                    self.pace.see(height, at);
                }
                self.status = Some(*status);
            }
            News::Gone(why, past) => {
                let since = match &self.link {
                    Link::Gone { since, .. } => *since,
                    Link::Asking | Link::Live => self.now,
                };
                self.link = Link::Gone { since, why };
                if let Some(past) = past {
                    self.status = Some(*past);
                }
            }
            News::Events(records) => self.timeline.add(records),
            News::Load(card) => self.load = Some(card),
            News::End => return false,
        }
        true
    }

    /// Does what the key is for. False if that is to leave.
    pub(crate) fn press(&mut self, key: KeyEvent) -> bool {
        if key.kind == KeyEventKind::Release {
            return true;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        let timeline = &mut self.timeline;
        match key.code {
            KeyCode::Char('c') if is_control => return false,
            KeyCode::Char('q') => return false,
            KeyCode::Esc if !self.help => return false,
            KeyCode::Char('?' | 'h') => self.help = !self.help,
            KeyCode::Up | KeyCode::Char('k') => timeline.back(1),
            KeyCode::Down | KeyCode::Char('j') => timeline.forth(1),
            KeyCode::PageUp => timeline.back(PAGE),
            KeyCode::PageDown | KeyCode::Char(' ') => timeline.forth(PAGE),
            KeyCode::Home | KeyCode::Char('g') => timeline.back(usize::MAX),
            KeyCode::End | KeyCode::Char('G') => timeline.forth(usize::MAX),
            _ => self.help = false,
        }
        true
    }
}

impl Timeline {
    fn add(&mut self, records: Vec<Record>) {
        // Whoever has scrolled back goes on reading where they are.
        if self.behind > 0 {
            self.behind += records.len();
        }
        self.records.extend(records);
        let over = self.records.len().saturating_sub(KEPT);
        self.records.drain(..over);
        self.back(0);
    }

    fn back(&mut self, count: usize) {
        let most = self.records.len().saturating_sub(1);
        self.behind = self.behind.saturating_add(count).min(most);
    }

    fn forth(&mut self, count: usize) {
        self.behind = self.behind.saturating_sub(count);
    }

    /// How many of the newest lie below what is in sight.
    pub(crate) fn behind(&self) -> usize {
        self.behind
    }

    /// Those in sight, newest first.
    pub(crate) fn in_sight(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().rev().skip(self.behind)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, status, warning};
    use super::*;

    fn seqs(model: &Model) -> Vec<u64> {
        model.timeline.in_sight().map(|record| record.seq).collect()
    }

    fn key(code: KeyCode) -> KeyEvent {
        KeyEvent::from(code)
    }

    #[test]
    fn who_has_scrolled_back_stays_there_while_more_happens() {
        let mut model = Model::new(Path::new("/h"), at(0));
        model.learn(News::Events((1..=5).map(warning).collect()));
        assert_eq!(seqs(&model), [5, 4, 3, 2, 1]);
        model.press(key(KeyCode::Up));
        model.press(key(KeyCode::Up));
        assert_eq!(seqs(&model), [3, 2, 1]);
        model.learn(News::Events(vec![warning(6), warning(7)]));
        assert_eq!(seqs(&model), [3, 2, 1]);
        model.press(key(KeyCode::Home));
        assert_eq!(seqs(&model), [1]);
        model.press(key(KeyCode::End));
        assert_eq!(seqs(&model)[0], 7);
        model.learn(News::Events(vec![warning(8)]));
        assert_eq!(seqs(&model)[0], 8);
    }

    #[test]
    fn only_so_many_events_are_kept() {
        let mut model = Model::new(Path::new("/h"), at(0));
        model.learn(News::Events((1..=3_000).map(warning).collect()));
        assert_eq!(seqs(&model).len(), KEPT);
        model.press(key(KeyCode::Home));
        assert_eq!(seqs(&model), [1_001]);
        model.learn(News::Events((3_001..=3_010).map(warning).collect()));
        assert_eq!(seqs(&model), [1_011], "what was read last is gone");
    }

    #[test]
    fn a_supervisor_that_is_gone_is_gone_since_it_went() {
        let mut model = Model::new(Path::new("/h"), at(0));
        model.learn(News::Status(Box::new(status())));
        assert_eq!(model.link, Link::Live);
        model.now = at(10);
        model.learn(News::Gone("refused".into(), None));
        model.now = at(20);
        model.learn(News::Gone("still".into(), None));
        let gone = Link::Gone {
            since: at(10),
            why: "still".into(),
        };
        assert_eq!(model.link, gone);
        assert!(model.status.is_some(), "what was known last is still shown");
        model.learn(News::Status(Box::new(status())));
        assert_eq!(model.link, Link::Live);
    }

    #[test]
    fn keys_leave_and_explain() {
        let mut model = Model::new(Path::new("/h"), at(0));
        assert!(model.press(key(KeyCode::Char('?'))) && model.help);
        assert!(model.press(key(KeyCode::Esc)) && !model.help);
        assert!(!model.press(key(KeyCode::Esc)));
        assert!(!model.press(key(KeyCode::Char('q'))));
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert!(!model.press(interrupt));
        assert!(!model.learn(News::End));
    }
}
