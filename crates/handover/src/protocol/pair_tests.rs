//! Both machines in one small world, in every order of events.
//!
//! The world is a channel, an exclusive resource, a listener and a connection. A step is one of: a frame arrives, an action is
//! completed (well or badly), a wait runs out, the program takes its next step or gives up, a process is killed. From the start all
//! steps are tried in all orders; worlds that were seen before are not entered again, so the search is complete.

use std::collections::{BTreeMap, HashSet, VecDeque};

use super::frame::{Frame, Hello, VERSIONS};
use super::predecessor::{self, Outcome, Predecessor, Terms};
use super::successor::{self, Successor};

/// What the predecessor's driver is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Effect {
    Freeze,
    SendAll,
    Reacquire,
    Drain,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "what is so in this world")]
struct World {
    giver: Predecessor,
    giver_lives: bool,
    giver_wait: Option<predecessor::Wait>,
    giver_busy: Option<Effect>,
    /// The giver's end of the channel is open.
    giver_channel: bool,
    giver_accepts: bool,
    /// The giver reads from the connection.
    giver_serves_connection: bool,
    giver_has_connection: bool,
    giver_holds: bool,
    giver_exited: bool,
    giver_told_death: bool,

    taker: Successor,
    taker_lives: bool,
    taker_wait: Option<successor::Wait>,
    taker_channel: bool,
    taker_accepts: bool,
    taker_serves_connection: bool,
    taker_has_connection: bool,
    taker_holds: bool,
    taker_exited: bool,
    taker_told_death: bool,
    taker_told_closed: bool,
    giver_told_closed: bool,

    to_taker: VecDeque<Frame>,
    to_giver: VecDeque<Frame>,
    kills: u8,
    failures: u8,
    outcome: Option<Outcome>,
}

#[derive(Debug, Clone, Copy)]
struct Variant {
    exclusive: bool,
    rehearsal: bool,
    staged: bool,
    kills: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    GiverHears,
    GiverSeesClosed,
    GiverSeesDeath,
    GiverWaitEnds,
    GiverEffect(bool),
    KillGiver,
    OperatorStops,
    TakerHears,
    TakerSeesClosed,
    TakerSeesDeath,
    TakerWaitEnds,
    TakerProgram,
    TakerFails,
    TakerHangs,
    KillTaker,
}

const STEPS: [Step; 16] = [
    Step::GiverHears,
    Step::GiverSeesClosed,
    Step::GiverSeesDeath,
    Step::GiverWaitEnds,
    Step::GiverEffect(true),
    Step::GiverEffect(false),
    Step::KillGiver,
    Step::OperatorStops,
    Step::TakerHears,
    Step::TakerSeesClosed,
    Step::TakerSeesDeath,
    Step::TakerWaitEnds,
    Step::TakerProgram,
    Step::TakerFails,
    Step::TakerHangs,
    Step::KillTaker,
];

impl World {
    fn new(variant: Variant) -> Self {
        let mut giver = Predecessor::default();
        let terms = Terms {
            name: "server".into(),
            nonce: Some("n".into()),
            generation: 1,
            pid: 1,
            shareables: vec!["http".into()],
            exclusives: if variant.exclusive {
                vec!["db".into()]
            } else {
                Vec::new()
            },
            states: BTreeMap::from([("cache".into(), VERSIONS)]),
            connections: BTreeMap::from([("http".into(), 1)]),
            rehearsal: variant.rehearsal,
            staged: variant.staged,
            take_back: true,
        };
        let begun = giver.on(predecessor::Event::Begin(terms));
        let (taker, greeting) = Successor::begin(Hello {
            versions: VERSIONS,
            nonce: "n".into(),
            name: "server".into(),
            pid: 2,
            program: String::new(),
            states: BTreeMap::from([("cache".into(), VERSIONS)]),
            requires: vec!["http".into()],
            headroom: 100,
        });
        let mut world = Self {
            giver,
            giver_lives: true,
            giver_wait: None,
            giver_busy: None,
            giver_channel: true,
            giver_accepts: true,
            giver_serves_connection: true,
            giver_has_connection: true,
            giver_holds: variant.exclusive,
            giver_exited: false,
            giver_told_death: false,
            taker,
            taker_lives: true,
            taker_wait: None,
            taker_channel: true,
            taker_accepts: false,
            taker_serves_connection: false,
            taker_has_connection: false,
            taker_holds: false,
            taker_exited: false,
            taker_told_death: false,
            taker_told_closed: false,
            giver_told_closed: false,
            to_taker: VecDeque::new(),
            to_giver: VecDeque::new(),
            kills: variant.kills,
            failures: 1,
            outcome: None,
        };
        world.giver_does(begun);
        world.taker_does(greeting);
        world
    }

    fn possible(&self, step: Step, variant: Variant) -> bool {
        let giver = self.giver_lives && !self.giver_exited;
        let taker = self.taker_lives && !self.taker_exited;
        match step {
            // While it acts the driver hears only bad news.
            Step::GiverHears => {
                giver
                    && self.giver_channel
                    && !self.to_giver.is_empty()
                    && !matches!(self.giver_busy, Some(Effect::Freeze | Effect::SendAll))
            }
            Step::GiverSeesClosed => {
                giver
                    && self.giver_channel
                    && !self.giver_told_closed
                    && self.to_giver.is_empty()
                    && (!taker || !self.taker_channel)
            }
            Step::GiverSeesDeath => {
                giver && !self.giver_told_death && self.to_giver_drained() && !taker
            }
            Step::GiverWaitEnds => giver && self.giver_wait.is_some(),
            Step::GiverEffect(well) => {
                giver
                    && self.giver_busy.is_some()
                    && (well || (self.failures > 0 && self.giver_busy != Some(Effect::Drain)))
            }
            Step::KillGiver => giver && self.kills > 0,
            Step::OperatorStops => giver && self.failures > 0,
            Step::TakerHears => taker && self.taker_channel && !self.to_taker.is_empty(),
            Step::TakerSeesClosed => {
                taker
                    && self.taker_channel
                    && !self.taker_told_closed
                    && self.to_taker.is_empty()
                    && (!giver || !self.giver_channel)
            }
            Step::TakerSeesDeath => {
                taker && !self.taker_told_death && self.to_taker_drained() && !giver
            }
            Step::TakerWaitEnds => taker && self.taker_wait.is_some(),
            Step::TakerProgram => {
                taker
                    && match self.taker.phase() {
                        successor::Phase::Warm | successor::Phase::Holding => true,
                        successor::Phase::Alone => variant.exclusive && !self.taker_holds,
                        _ => false,
                    }
            }
            Step::TakerFails | Step::TakerHangs => {
                taker
                    && self.failures > 0
                    && matches!(
                        self.taker.phase(),
                        successor::Phase::Warm
                            | successor::Phase::Holding
                            | successor::Phase::Taking
                    )
            }
            Step::KillTaker => taker && self.kills > 0,
        }
    }

    fn to_giver_drained(&self) -> bool {
        self.to_giver.is_empty() || !self.giver_channel
    }

    fn to_taker_drained(&self) -> bool {
        self.to_taker.is_empty() || !self.taker_channel
    }

    fn take(&mut self, step: Step, variant: Variant) {
        match step {
            Step::GiverHears => {
                let frame = self.to_giver.pop_front().expect("possible");
                self.tell_giver(predecessor::Event::Heard(frame));
            }
            Step::GiverSeesClosed => {
                self.giver_told_closed = true;
                self.giver_busy = self.interrupted();
                self.tell_giver(predecessor::Event::Closed {
                    why: "closed".into(),
                });
            }
            Step::GiverSeesDeath => {
                self.giver_told_death = true;
                self.giver_busy = self.interrupted();
                self.tell_giver(predecessor::Event::Died {
                    how: "killed".into(),
                });
            }
            Step::GiverWaitEnds => {
                let wait = self.giver_wait.take().expect("possible");
                self.giver_busy = self.interrupted();
                self.tell_giver(predecessor::Event::Expired(wait));
            }
            Step::GiverEffect(well) => {
                if !well {
                    self.failures -= 1;
                }
                self.complete(well);
            }
            Step::KillGiver => {
                self.kills -= 1;
                self.end_giver();
                self.giver_lives = false;
            }
            Step::OperatorStops => {
                self.failures -= 1;
                self.giver_busy = self.interrupted();
                self.tell_giver(predecessor::Event::Stop);
            }
            Step::TakerHears => {
                let frame = self.to_taker.pop_front().expect("possible");
                if matches!(frame, Frame::Connections { .. }) {
                    self.taker_has_connection = true;
                }
                self.tell_taker(successor::Event::Heard(frame), variant);
            }
            Step::TakerSeesClosed => {
                self.taker_told_closed = true;
                self.tell_taker(
                    successor::Event::Closed {
                        why: "closed".into(),
                    },
                    variant,
                );
            }
            Step::TakerSeesDeath => {
                self.taker_told_death = true;
                self.tell_taker(successor::Event::Died, variant);
            }
            Step::TakerWaitEnds => {
                let wait = self.taker_wait.take().expect("possible");
                self.tell_taker(successor::Event::Expired(wait), variant);
            }
            Step::TakerProgram => match self.taker.phase() {
                successor::Phase::Warm => self.tell_taker(
                    successor::Event::WantAll {
                        kinds: vec!["http".into()],
                    },
                    variant,
                ),
                successor::Phase::Holding => {
                    self.taker_holds = variant.exclusive;
                    self.tell_taker(successor::Event::Pledge, variant);
                }
                _ => {
                    self.taker_holds = true;
                }
            },
            // It opens its exclusive, and then cannot go on, or hangs for ever (and is killed sooner or later).
            Step::TakerFails => {
                self.failures -= 1;
                self.taker_holds =
                    variant.exclusive && *self.taker.phase() == successor::Phase::Holding;
                self.tell_taker(
                    successor::Event::Fail {
                        reason: "no".into(),
                    },
                    variant,
                );
            }
            Step::TakerHangs => {
                self.failures -= 1;
                self.taker_holds =
                    variant.exclusive && *self.taker.phase() == successor::Phase::Holding;
            }
            Step::KillTaker => {
                self.kills -= 1;
                self.end_taker();
                self.taker_lives = false;
            }
        }
    }

    /// What the driver stops doing when bad news comes.
    fn interrupted(&self) -> Option<Effect> {
        match self.giver_busy {
            Some(Effect::Freeze | Effect::SendAll) => None,
            other => other,
        }
    }

    fn complete(&mut self, well: bool) {
        let result = if well {
            Ok(())
        } else {
            Err("failed".to_owned())
        };
        match self.giver_busy.take().expect("possible") {
            Effect::Freeze => {
                self.giver_accepts = false;
                self.giver_serves_connection = false;
                if well {
                    self.giver_holds = false;
                }
                self.tell_giver(predecessor::Event::Frozen(result));
            }
            Effect::SendAll => {
                if well {
                    self.say_to_taker(Frame::States { states: Vec::new() });
                    self.say_to_taker(Frame::Connections {
                        batch: 0,
                        count: 1,
                        heads_in_memfd: false,
                    });
                    self.say_to_taker(Frame::All {
                        states: 1,
                        connections: 1,
                    });
                }
                self.tell_giver(predecessor::Event::Sent(result));
            }
            Effect::Reacquire => {
                self.giver_holds |= well && self.giver_had_exclusive();
                self.tell_giver(predecessor::Event::Reacquired(result));
            }
            Effect::Drain => {
                self.giver_serves_connection = false;
                self.giver_has_connection = false;
                self.tell_giver(predecessor::Event::Drained);
            }
        }
    }

    fn giver_had_exclusive(&self) -> bool {
        // `Settle` forgets it; a driver that has nothing to re-acquire succeeds at once.
        !self.giver_exited && self.giver_knows_exclusive()
    }

    fn giver_knows_exclusive(&self) -> bool {
        format!("{:?}", self.giver).contains("exclusives: [\"db\"]")
    }

    fn tell_giver(&mut self, event: predecessor::Event) {
        // Copies of a connection's socket are not read from until the commit is known to have failed.
        let actions = self.giver.on(event);
        self.giver_does(actions);
    }

    fn giver_does(&mut self, actions: Vec<predecessor::Action>) {
        use predecessor::Action;
        for action in actions {
            match action {
                Action::Send(frame) => self.say_to_taker(frame),
                Action::SendShareables => self.say_to_taker(Frame::Shareables { last: true }),
                Action::Freeze { .. } => self.giver_busy = Some(Effect::Freeze),
                Action::SendAll => self.giver_busy = Some(Effect::SendAll),
                Action::Commit => {
                    let taken = self.taker_lives && !self.taker_exited && self.taker_channel;
                    if taken {
                        self.say_to_taker(Frame::Commit {
                            stopped_accepting: crate::Monotonic::now(),
                        });
                        // The same commit for every world, so that worlds can be compared.
                        if let Some(Frame::Commit { stopped_accepting }) = self.to_taker.back_mut()
                        {
                            *stopped_accepting = serde_json::from_str(r#"{"nanoseconds":1}"#)
                                .expect("a reading of the clock");
                        }
                    }
                    let actions = self.giver.on(predecessor::Event::CommitSent(taken));
                    self.giver_does(actions);
                }
                Action::Resume => {
                    self.giver_accepts = true;
                    self.giver_serves_connection = self.giver_has_connection;
                }
                Action::Open => self.giver_accepts = true,
                Action::Reacquire => self.giver_busy = Some(Effect::Reacquire),
                Action::Settle => self.giver_has_connection = false,
                Action::Drain => self.giver_busy = Some(Effect::Drain),
                Action::Retire => self.giver_accepts = false,
                Action::Kill => {
                    if self.taker_lives {
                        self.end_taker();
                        self.taker_lives = false;
                    }
                }
                Action::Dismiss => self.giver_channel = false,
                Action::Wait(wait) => self.giver_wait = Some(wait),
                Action::NoWait => self.giver_wait = None,
                Action::Report(outcome) => self.outcome = Some(outcome),
                Action::Exit => {
                    self.end_giver();
                    self.giver_exited = true;
                }
            }
        }
    }

    fn end_giver(&mut self) {
        self.giver_channel = false;
        self.giver_accepts = false;
        self.giver_serves_connection = false;
        self.giver_has_connection = false;
        self.giver_holds = false;
        self.giver_busy = None;
        self.giver_wait = None;
    }

    fn end_taker(&mut self) {
        self.taker_channel = false;
        self.taker_accepts = false;
        self.taker_serves_connection = false;
        self.taker_has_connection = false;
        self.taker_holds = false;
        self.taker_wait = None;
    }

    fn say_to_taker(&mut self, frame: Frame) {
        if self.giver_channel && self.taker_channel {
            self.to_taker.push_back(frame);
        }
    }

    fn say_to_giver(&mut self, frame: Frame) {
        if self.taker_channel && self.giver_channel {
            self.to_giver.push_back(frame);
        }
    }

    fn tell_taker(&mut self, event: successor::Event, variant: Variant) {
        let before = self.taker.phase().clone();
        let actions = self.taker.on(event);
        self.taker_does(actions);
        if before == *self.taker.phase() {
            return;
        }
        match self.taker.phase() {
            successor::Phase::Owner => {
                self.taker_accepts = true;
                self.taker_serves_connection = self.taker_has_connection;
                self.say_to_giver(Frame::Serving {
                    accepting_since: serde_json::from_str(r#"{"nanoseconds":2}"#)
                        .expect("a reading of the clock"),
                    longest_freeze_us: 0,
                    unclaimed: Vec::new(),
                });
            }
            successor::Phase::Alone => {
                self.taker_accepts = !variant.exclusive || self.taker_holds;
                self.taker_serves_connection = self.taker_has_connection;
            }
            _ => {}
        }
    }

    fn taker_does(&mut self, actions: Vec<successor::Action>) {
        use successor::Action;
        for action in actions {
            match action {
                Action::Send(frame) => self.say_to_giver(frame),
                Action::LetGo => {
                    self.taker_holds = false;
                    self.taker_has_connection = false;
                    self.say_to_giver(Frame::LetGo);
                    self.end_taker();
                    self.taker_exited = true;
                }
                Action::Remind => {}
                Action::Wait(wait) => self.taker_wait = Some(wait),
                Action::NoWait => self.taker_wait = None,
            }
        }
    }

    /// What must hold in every world.
    fn check(&self) {
        assert!(
            !(self.giver_holds && self.taker_holds),
            "two owners of the exclusive: {self:#?}"
        );
        assert!(
            !(self.giver_serves_connection && self.taker_serves_connection),
            "two readers of one connection: {self:#?}"
        );
    }

    /// What must hold when nothing more can happen by itself.
    fn check_end(&self, variant: Variant) {
        let stopped = self.giver_exited
            && !matches!(
                self.taker.phase(),
                successor::Phase::Owner | successor::Phase::Alone
            );
        let somebody =
            (self.giver_lives && !self.giver_exited) || (self.taker_lives && !self.taker_exited);
        if !somebody || stopped {
            return;
        }
        assert!(
            self.giver_accepts || self.taker_accepts || self.taker_alone_with_all(variant),
            "somebody lives and nobody serves: {self:#?}"
        );
        if variant.exclusive {
            assert!(
                self.giver_holds || self.taker_holds,
                "somebody lives and nobody holds the exclusive: {self:#?}"
            );
        }
        assert!(
            self.outcome.is_some() || !self.giver_lives,
            "a handover without a report: {self:#?}"
        );
        if variant.rehearsal && self.giver_lives {
            assert!(!self.taker_accepts, "a rehearsal handed over: {self:#?}");
        }
        // No descriptor is forgotten: whoever does not serve the connection does not hold it.
        if !self.giver_serves_connection && self.giver_lives && !self.giver_exited {
            assert!(!self.giver_has_connection, "leaked: {self:#?}");
        }
    }

    fn taker_alone_with_all(&self, variant: Variant) -> bool {
        *self.taker.phase() == successor::Phase::Alone && (!variant.exclusive || self.taker_holds)
    }
}

/// Tries all orders; returns how many worlds there are, and which ends were seen.
fn explore(variant: Variant) -> (usize, HashSet<&'static str>) {
    let mut ends_seen = HashSet::new();
    let start = World::new(variant);
    let mut seen = HashSet::from([start.clone()]);
    let mut open = vec![start];
    while let Some(world) = open.pop() {
        world.check();
        let mut ends = true;
        for step in STEPS {
            if !world.possible(step, variant) {
                continue;
            }
            let mut next = world.clone();
            next.take(step, variant);
            // Kills, orders and failures may or may not come, and waiting on is no progress; the rest comes sooner or later.
            ends &= matches!(
                step,
                Step::KillGiver
                    | Step::KillTaker
                    | Step::OperatorStops
                    | Step::TakerFails
                    | Step::TakerHangs
                    | Step::GiverEffect(false)
            ) || next == world;
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
        if ends {
            world.check_end(variant);
            ends_seen.insert(match world.outcome {
                Some(Outcome::HandedOver) => "handed over",
                Some(Outcome::Rehearsed) => "rehearsed",
                Some(Outcome::RolledBack { .. }) => "rolled back",
                Some(Outcome::TakenBack { .. }) => "taken back",
                Some(Outcome::NotRestored { .. }) => "not restored",
                None => "none",
            });
        }
    }
    (seen.len(), ends_seen)
}

#[test]
fn every_order_of_events_with_two_deaths() {
    let mut worlds = 0;
    for exclusive in [false, true] {
        for rehearsal in [false, true] {
            for staged in [false, true] {
                let (count, ends) = explore(Variant {
                    exclusive,
                    rehearsal,
                    staged,
                    kills: 2,
                });
                worlds += count;
                let wanted: &[&str] = if rehearsal {
                    &["rehearsed", "rolled back"]
                } else {
                    &["handed over", "rolled back", "taken back"]
                };
                for end in wanted {
                    assert!(ends.contains(end), "never {end}: {ends:?}");
                }
            }
        }
    }
    println!("{worlds} worlds");
    assert!(worlds > 5_000, "the search is too small: {worlds}");
}

#[test]
fn without_faults_the_successor_serves_and_the_predecessor_ends() {
    for exclusive in [false, true] {
        let variant = Variant {
            exclusive,
            rehearsal: false,
            staged: false,
            kills: 0,
        };
        let mut world = World::new(variant);
        world.failures = 0;
        let patient = |step: &Step| !matches!(step, Step::GiverWaitEnds | Step::TakerWaitEnds);
        while let Some(step) = STEPS
            .into_iter()
            .filter(patient)
            .find(|step| world.possible(*step, variant))
        {
            world.take(step, variant);
            world.check();
        }
        assert_eq!(world.outcome, Some(Outcome::HandedOver));
        assert!(world.giver_exited && world.taker_accepts && world.taker_serves_connection);
        assert_eq!(world.taker_holds, exclusive);
    }
}
