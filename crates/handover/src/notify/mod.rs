//! What the service manager is told, and by whom.
//!
//! systemd believes the main process of a unit and, by default (`NotifyAccess=main`), nobody else. So it is the predecessor that
//! announces its successor: until its message has named the new main process, whatever that one says is refused; from then on
//! whatever the predecessor says is refused. `MAINPID=` and the `READY=1` that ends the reload therefore travel in one
//! datagram, and a predecessor that has sent it is silent: its `STOPPING=1` would take the whole unit down.
//!
//! [`Announcer`] decides what is said; [`Notifier`] says it. The messages are those of `sd_notify(3)`.

mod message;
mod sender;

use std::time::Duration;

use crate::Monotonic;

pub(crate) use self::message::{Message, State};
pub(crate) use self::sender::Notifier;

/// How this generation came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Birth {
    /// Nobody was there before, or it came by itself and joined from a unit of its own.
    Independent,
    /// Its predecessor started it, in the same unit.
    Spawned,
    /// A supervisor that outlives it started it; the supervisor is the main process.
    Held,
}

/// What becomes of the unit's main process at a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MainPid {
    /// The successor, in the same unit, becomes it.
    Passes,
    /// The successor lives in another unit and announces itself there.
    OtherUnit,
}

/// What happened to this generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Moment {
    /// It accepts: after a fresh start, or as a successor after the commit.
    Serves,
    /// As a predecessor it begins to hand over.
    HandoverBegins {
        /// The generation to come.
        to: u64,
        /// When, on systemd's clock.
        at: Monotonic,
    },
    /// A wait goes on for up to this long.
    Waits(Duration),
    /// The handover failed and it serves on.
    HandoverFails {
        /// Why, for the status line.
        why: String,
    },
    /// The successor owns everything.
    Committed {
        /// The successor's process.
        pid: u32,
        /// The successor's generation.
        to: u64,
        /// Who is the main process now.
        main: MainPid,
        /// It sleeps and may be woken, instead of draining.
        staged: bool,
    },
    /// Asleep in staged mode, it was woken because the successor is to go, or has gone.
    Woken {
        /// Why, for the status line.
        why: String,
    },
    /// The successor died and this one, which still drained, serves again.
    TakenBack {
        /// Why, for the status line.
        why: String,
    },
    /// Its predecessor has ended.
    PredecessorGone,
    /// It ends, handing over to nobody; or, asleep, it leaves the field to its successor.
    Stops,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Starting,
    Serving,
    HandingOver { to: u64 },
    Asleep { pid: u32, to: u64, main: MainPid },
    // Another process is the main one, or this one still is but has nothing left to announce but its end.
    Successor,
    Draining,
    Stopped,
}

/// Decides what this generation tells the service manager.
#[derive(Debug)]
pub(crate) struct Announcer {
    birth: Birth,
    generation: u64,
    pid: u32,
    stage: Stage,
}

impl Announcer {
    /// An announcer for a generation that has not begun to serve.
    pub(crate) fn new(birth: Birth, generation: u64, pid: u32) -> Self {
        Self {
            birth,
            generation,
            pid,
            stage: Stage::Starting,
        }
    }

    /// What is to be sent now that this has happened; `None` if there is nothing to say.
    pub(crate) fn step(&mut self, moment: &Moment) -> Option<Message> {
        let (stage, states) = self.follow(moment)?;
        self.stage = stage;
        (!states.is_empty()).then_some(Message(states))
    }

    fn follow(&self, moment: &Moment) -> Option<(Stage, Vec<State>)> {
        use State::{ExtendTimeout, MonotonicMicros, Ready, Reloading, Stopping};
        let held = self.birth == Birth::Held;
        let serving = || State::Status(format!("generation {} serves", self.generation));
        Some(match (self.stage, moment) {
            // A spawned successor is not the main process yet; the predecessor speaks for it.
            (Stage::Starting, Moment::Serves) if self.birth == Birth::Spawned => {
                (Stage::Serving, vec![])
            }
            (Stage::Starting, Moment::Serves) => (Stage::Serving, vec![Ready, serving()]),
            // If the predecessor died before it named us, this is the last chance to keep the unit (with NotifyAccess=all).
            (Stage::Serving, Moment::PredecessorGone) if self.birth == Birth::Spawned => {
                let states = vec![State::MainPid(self.pid), Ready, serving()];
                (Stage::Serving, states)
            }
            (Stage::Serving, Moment::HandoverBegins { to, at }) => (
                Stage::HandingOver { to: *to },
                vec![
                    Reloading,
                    MonotonicMicros(at.as_micros()),
                    State::Status(format!(
                        "generation {} hands over to generation {to}",
                        self.generation
                    )),
                ],
            ),
            (
                stage @ (Stage::Starting | Stage::HandingOver { .. } | Stage::Stopped),
                Moment::Waits(time),
            ) => (stage, vec![ExtendTimeout(*time)]),
            (Stage::HandingOver { to }, Moment::HandoverFails { why }) => (
                Stage::Serving,
                vec![
                    Ready,
                    State::Status(format!(
                        "generation {} serves; the handover to generation {to} failed: {why}",
                        self.generation
                    )),
                ],
            ),
            (
                Stage::HandingOver { .. },
                &Moment::Committed {
                    pid,
                    to,
                    main,
                    staged: true,
                },
            ) => (
                Stage::Asleep { pid, to, main },
                vec![
                    Ready,
                    State::Status(format!(
                        "generation {to} (pid {pid}) serves; generation {} sleeps and can be woken",
                        self.generation
                    )),
                ],
            ),
            (Stage::HandingOver { .. }, &Moment::Committed { pid, to, main, .. }) => {
                self.leave(pid, to, main, held)
            }
            (Stage::Asleep { .. }, Moment::Woken { why }) => {
                (Stage::Serving, vec![self.again(why)])
            }
            // systemd hears this only with NotifyAccess=all, and stops the unit if it saw the main process die first.
            (Stage::Successor, Moment::TakenBack { why }) if !held => (
                Stage::Serving,
                vec![State::MainPid(self.pid), Ready, self.again(why)],
            ),
            (
                Stage::Successor | Stage::Draining | Stage::Asleep { .. },
                Moment::TakenBack { why },
            ) => (Stage::Serving, vec![Ready, self.again(why)]),
            (Stage::Asleep { pid, to, main }, Moment::Stops) => self.leave(pid, to, main, held),
            (
                Stage::Starting | Stage::Serving | Stage::HandingOver { .. } | Stage::Draining,
                Moment::Stops,
            ) => (Stage::Stopped, vec![Stopping]),
            _ => return None,
        })
    }

    fn again(&self, why: &str) -> State {
        State::Status(format!(
            "generation {} serves again: {why}",
            self.generation
        ))
    }

    fn leave(&self, pid: u32, to: u64, main: MainPid, held: bool) -> (Stage, Vec<State>) {
        let status = State::Status(format!("generation {to} serves"));
        match main {
            _ if held => (Stage::Successor, vec![State::Ready, status]),
            MainPid::Passes => (
                Stage::Successor,
                vec![State::MainPid(pid), State::Ready, status],
            ),
            MainPid::OtherUnit => (
                Stage::Draining,
                vec![
                    State::Ready,
                    State::Status(format!(
                        "handed over to generation {to} (pid {pid}) in another unit; generation {} finishes its connections",
                        self.generation
                    )),
                ],
            ),
        }
    }
}

/// Whether a successor is in the same systemd unit, by its control group. A process that cannot be looked at is not.
pub(crate) fn main_pid(successor: u32) -> MainPid {
    let group = |of: &str| std::fs::read(format!("/proc/{of}/cgroup")).ok();
    match (group("self"), group(&successor.to_string())) {
        (Some(own), Some(its)) if own == its => MainPid::Passes,
        _ => MainPid::OtherUnit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Duration = Duration::from_secs(5);

    fn begins() -> Moment {
        Moment::HandoverBegins {
            to: 2,
            at: Monotonic::now(),
        }
    }

    fn committed(main: MainPid, staged: bool) -> Moment {
        Moment::Committed {
            pid: 77,
            to: 2,
            main,
            staged,
        }
    }

    /// The texts without the status lines and the clock's reading.
    fn told(birth: Birth, moments: &[Moment]) -> Vec<String> {
        let mut announcer = Announcer::new(birth, 1, 42);
        let said = moments
            .iter()
            .filter_map(|moment| announcer.step(moment))
            .map(|message| {
                let text = message.text();
                let lines: Vec<_> = text
                    .lines()
                    .filter(|line| !line.starts_with("STATUS="))
                    .map(|line| match line.split_once('=') {
                        Some(("MONOTONIC_USEC", _)) => "MONOTONIC_USEC",
                        _ => line,
                    })
                    .collect();
                lines.join(" ")
            });
        said.collect()
    }

    #[test]
    fn the_predecessor_names_its_successor_and_says_no_more() {
        let moments = [
            Moment::Serves,
            begins(),
            Moment::Waits(AT),
            committed(MainPid::Passes, false),
            Moment::Waits(AT),
            Moment::Stops,
        ];
        let want = [
            "READY=1",
            "RELOADING=1 MONOTONIC_USEC",
            "EXTEND_TIMEOUT_USEC=5000000",
            "MAINPID=77 READY=1",
        ];
        assert_eq!(told(Birth::Independent, &moments), want);
    }

    #[test]
    fn a_failed_handover_ends_the_reload() {
        let why = "the successor exited with status 3\nand more".to_owned();
        let mut announcer = Announcer::new(Birth::Independent, 1, 42);
        announcer.step(&Moment::Serves);
        announcer.step(&begins());
        let said = announcer.step(&Moment::HandoverFails { why }).unwrap();
        assert_eq!(
            said.text(),
            "READY=1\nSTATUS=generation 1 serves; the handover to generation 2 failed: \
             the successor exited with status 3 and more\n"
        );
        assert!(announcer.step(&begins()).is_some(), "it may try again");
    }

    #[test]
    fn a_spawned_successor_is_silent_until_it_is_the_main_process() {
        let moments = [Moment::Serves, Moment::PredecessorGone, Moment::Stops];
        let want = ["MAINPID=42 READY=1", "STOPPING=1"];
        assert_eq!(told(Birth::Spawned, &moments), want);
    }

    #[test]
    fn a_held_generation_never_names_a_main_process() {
        for staged in [false, true] {
            let moments = [
                Moment::Serves,
                Moment::PredecessorGone,
                begins(),
                committed(MainPid::Passes, staged),
                Moment::Stops,
            ];
            let told = told(Birth::Held, &moments);
            assert!(
                told.iter().all(|text| !text.contains("MAINPID")),
                "{told:?}"
            );
            assert!(
                told.iter().all(|text| !text.contains("STOPPING")),
                "{told:?}"
            );
            assert_eq!(told[..2], ["READY=1", "RELOADING=1 MONOTONIC_USEC"]);
        }
    }

    #[test]
    fn asleep_it_stays_the_main_process_until_it_leaves() {
        let before = [Moment::Serves, begins(), committed(MainPid::Passes, true)];
        let leaves = [&before[..], &[Moment::Stops, Moment::Stops]].concat();
        let want = [
            "READY=1",
            "RELOADING=1 MONOTONIC_USEC",
            "READY=1",
            "MAINPID=77 READY=1",
        ];
        assert_eq!(told(Birth::Independent, &leaves), want);

        let why = "TERM to the successor".to_owned();
        let woken = [&before[..], &[Moment::Woken { why }, Moment::Stops]].concat();
        let want = [
            "READY=1",
            "RELOADING=1 MONOTONIC_USEC",
            "READY=1",
            "",
            "STOPPING=1",
        ];
        assert_eq!(told(Birth::Independent, &woken), want);
    }

    #[test]
    fn taken_back_it_is_the_main_process_again() {
        let why = || "the successor was killed".to_owned();
        let moments = |main| {
            let taken_back = Moment::TakenBack { why: why() };
            [
                Moment::Serves,
                begins(),
                committed(main, false),
                taken_back,
                Moment::Stops,
            ]
        };
        for (birth, main, want) in [
            (Birth::Independent, MainPid::Passes, "MAINPID=42 READY=1"),
            (Birth::Independent, MainPid::OtherUnit, "READY=1"),
            (Birth::Held, MainPid::Passes, "READY=1"),
        ] {
            let told = told(birth, &moments(main));
            assert_eq!(told[3..], [want, "STOPPING=1"], "{birth:?} {main:?}");
        }
    }

    #[test]
    fn a_predecessor_of_another_unit_stays_its_own_units_main_process() {
        let moments = [
            Moment::Serves,
            begins(),
            committed(MainPid::OtherUnit, false),
            Moment::Stops,
        ];
        let want = [
            "READY=1",
            "RELOADING=1 MONOTONIC_USEC",
            "READY=1",
            "STOPPING=1",
        ];
        assert_eq!(told(Birth::Independent, &moments), want);
    }

    #[test]
    fn own_child_is_of_the_same_unit_and_a_dead_process_is_not() {
        assert_eq!(main_pid(std::process::id()), MainPid::Passes);
        assert_eq!(main_pid(u32::MAX), MainPid::OtherUnit);
    }
}
