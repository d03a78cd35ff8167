//! The machine against a driver that performs its actions in memory.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::upgrade::Stage;

fn settings() -> Settings {
    Settings {
        grace: Duration::from_secs(30),
        delay: Duration::ZERO,
        restart: RestartPolicy::Never,
        upgrade: upgrade::Policy {
            restart: true,
            rollback: None,
        },
    }
}

fn plan() -> Plan {
    Plan {
        name: "v2".to_owned(),
        height: 100,
        info: String::new(),
    }
}

fn at(seconds: u64) -> Now {
    Now {
        mono: Duration::from_secs(seconds),
        wall_s: i64::try_from(seconds).unwrap(),
    }
}

/// A life that has started its node.
fn running(settings: Settings) -> Life {
    let mut life = Life::new(settings);
    assert_eq!(
        life.step(Event::Begin(None), at(0)),
        [Action::Judge { ended: None }]
    );
    assert_eq!(life.step(Event::Judged(None), at(0)), [Action::Spawn]);
    assert_eq!(life.step(Event::Spawned, at(0)), []);
    assert!(life.is_running());
    life
}

fn journal(stage: Stage) -> Box<Journal> {
    let mut journal = Journal::new(plan(), PathBuf::from("genesis"), 0);
    journal.stage = stage;
    Box::new(journal)
}

fn clear(seconds: u64) -> Action {
    Action::ClearGroup {
        grace: Duration::from_secs(seconds),
    }
}

/// Performs every step of an upgrade until the node is to be started.
fn upgrade_through(life: &mut Life, mut actions: Vec<Action>) -> Vec<Step> {
    let mut steps = Vec::new();
    loop {
        match actions.last() {
            Some(Action::Perform(step)) => {
                steps.push(*step);
                actions = life.step(
                    Event::StepDone {
                        took_ms: 1,
                        changed: true,
                    },
                    at(60),
                );
            }
            Some(Action::Spawn) => return steps,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_due_plan_ends_the_node_before_anything_else() {
    let mut life = running(settings());
    assert_eq!(
        life.step(Event::Due(plan()), at(50)),
        [
            Action::Send(Signal::Term),
            Action::Arm(Timer::Grace, Duration::from_secs(30)),
            Action::OpenJournal(plan()),
        ]
    );
    assert_eq!(life.step(Event::Opened(journal(Stage::Due)), at(50)), []);
    assert_eq!(
        life.step(Event::Ended(Ended::Code(0)), at(60)),
        [Action::Disarm(Timer::Grace), clear(20)]
    );
    let actions = life.step(Event::GroupGone, at(60));
    let steps = upgrade_through(&mut life, actions);
    assert_eq!(
        steps,
        [
            Step::Stop,
            Step::BackUp,
            Step::CustomPreUpgrade,
            Step::Fetch,
            Step::Switch,
            Step::PreUpgrade
        ]
    );
    let actions = life.step(Event::Spawned, at(61));
    assert!(matches!(actions[0], Action::Record(_)));
    assert_eq!(actions[1], Action::Arm(Timer::Outlived, OUTLIVED));
    assert_eq!(life.step(Event::Height(100), at(62)), []);
    let actions = life.step(Event::Height(101), at(63));
    assert!(matches!(actions.last(), Some(Action::Confirmed(_))));
    assert!(life.upgrade().is_none());
}

#[test]
fn a_node_that_will_not_end_is_killed_after_its_grace() {
    let mut life = running(settings());
    life.step(Event::Due(plan()), at(0));
    life.step(Event::Opened(journal(Stage::Due)), at(0));
    assert_eq!(
        life.step(Event::Timer(Timer::Grace), at(30)),
        [Action::Send(Signal::Kill)]
    );
    assert_eq!(
        life.step(Event::Ended(Ended::Signal(9)), at(31)),
        [Action::Disarm(Timer::Grace), clear(0)]
    );
    assert_eq!(
        life.step(Event::GroupStuck("pid 7".to_owned()), at(40)),
        [Action::Exit(Exit::Stuck("pid 7".to_owned()))]
    );
}

#[test]
fn signals_are_forwarded_each_time_and_a_second_term_kills() {
    let mut life = running(settings());
    for signal in [Signal::Hup, Signal::Usr1, Signal::Usr2, Signal::Winch] {
        for _ in 0..2 {
            assert_eq!(
                life.step(Event::Signal(signal), at(1)),
                [Action::Send(signal)]
            );
        }
    }
    assert_eq!(
        life.step(Event::Signal(Signal::Term), at(2)),
        [
            Action::Send(Signal::Term),
            Action::Arm(Timer::Grace, Duration::from_secs(30))
        ]
    );
    assert_eq!(
        life.step(Event::Signal(Signal::Hup), at(2)),
        [Action::Send(Signal::Hup)]
    );
    assert_eq!(
        life.step(Event::Signal(Signal::Term), at(3)),
        [Action::Send(Signal::Term), Action::Send(Signal::Kill)]
    );
    life.step(Event::Ended(Ended::Signal(9)), at(3));
    assert_eq!(
        life.step(Event::GroupGone, at(3)),
        [Action::Exit(Exit::Node(Ended::Signal(9)))]
    );
}

#[test]
fn the_operator_s_stop_wins_over_an_upgrade() {
    let mut life = running(settings());
    life.step(Event::Due(plan()), at(0));
    life.step(Event::Opened(journal(Stage::Due)), at(0));
    life.step(Event::Signal(Signal::Term), at(1));
    life.step(Event::Ended(Ended::Code(0)), at(2));
    assert_eq!(
        life.step(Event::GroupGone, at(2)),
        [Action::Exit(Exit::Node(Ended::Code(0)))]
    );

    let mut life = Life::new(settings());
    let actions = life.step(Event::Begin(Some(journal(Stage::Stopped))), at(0));
    assert_eq!(actions.last(), Some(&Action::Perform(Step::BackUp)));
    assert_eq!(
        life.step(Event::Signal(Signal::Term), at(1)),
        [Action::Cancel, Action::Exit(Exit::Stopped)]
    );
}

#[test]
fn an_interrupted_upgrade_is_finished_before_the_node_starts() {
    for (stage, first) in [
        (Stage::Due, Step::Stop),
        (Stage::Stopped, Step::BackUp),
        (Stage::BackedUp, Step::CustomPreUpgrade),
        (Stage::CustomDone, Step::Fetch),
        (Stage::Fetched, Step::Switch),
        (Stage::Switched, Step::PreUpgrade),
    ] {
        let mut life = Life::new(settings());
        let actions = life.step(Event::Begin(Some(journal(stage))), at(0));
        assert_eq!(actions.last(), Some(&Action::Perform(first)));
        assert!(!actions.contains(&Action::Spawn));
    }
    for stage in [Stage::Prepared, Stage::Started] {
        let mut life = Life::new(settings());
        let actions = life.step(Event::Begin(Some(journal(stage))), at(0));
        assert_eq!(actions.last(), Some(&Action::Spawn));
    }
}

#[test]
fn the_delay_lies_between_the_end_of_the_node_and_the_backup() {
    let mut life = running(Settings {
        delay: Duration::from_secs(5),
        ..settings()
    });
    life.step(Event::Due(plan()), at(0));
    life.step(Event::Opened(journal(Stage::Due)), at(0));
    life.step(Event::Ended(Ended::Code(0)), at(1));
    let actions = life.step(Event::GroupGone, at(1));
    assert_eq!(
        actions.last(),
        Some(&Action::Arm(Timer::Delay, Duration::from_secs(5)))
    );
    let actions = life.step(Event::Timer(Timer::Delay), at(6));
    assert_eq!(actions.last(), Some(&Action::Perform(Step::BackUp)));
}

#[test]
fn a_failed_step_ends_the_supervisor_with_its_reason() {
    let mut life = Life::new(settings());
    life.step(Event::Begin(Some(journal(Stage::Stopped))), at(0));
    let actions = life.step(Event::StepFailed("disk full".to_owned()), at(1));
    assert_eq!(
        actions.last(),
        Some(&Action::Exit(Exit::UpgradeFailed {
            step: Step::BackUp,
            error: "disk full".to_owned()
        }))
    );
}

#[test]
fn a_journal_that_cannot_be_written_stops_the_upgrade() {
    let mut life = running(settings());
    life.step(Event::Due(plan()), at(0));
    life.step(Event::NotRecorded("disk full".to_owned()), at(0));
    life.step(Event::Ended(Ended::Code(0)), at(1));
    assert_eq!(
        life.step(Event::GroupGone, at(1)),
        [Action::Exit(Exit::NotRecorded("disk full".to_owned()))]
    );
}

#[test]
fn an_ended_node_is_judged_then_restarted_by_policy() {
    for (policy, ended, restarts) in [
        (RestartPolicy::Never, Ended::Code(1), false),
        (RestartPolicy::OnFailure, Ended::Code(0), false),
        (RestartPolicy::OnFailure, Ended::Code(2), true),
        (RestartPolicy::OnFailure, Ended::Signal(11), true),
        (RestartPolicy::Always, Ended::Code(0), true),
    ] {
        let mut life = running(Settings {
            restart: policy,
            ..settings()
        });
        assert_eq!(
            life.step(Event::Ended(ended), at(9)).last(),
            Some(&clear(30))
        );
        assert_eq!(
            life.step(Event::GroupGone, at(9)),
            [Action::Judge {
                ended: Some((ended, Duration::from_secs(9)))
            }]
        );
        let actions = life.step(Event::Judged(None), at(9));
        if restarts {
            assert_eq!(
                actions.last(),
                Some(&Action::Arm(Timer::BackOff, Duration::from_secs(1)))
            );
            assert_eq!(
                life.step(Event::Timer(Timer::BackOff), at(10)),
                [Action::Spawn]
            );
        } else {
            assert_eq!(actions, [Action::Exit(Exit::Node(ended))]);
        }
    }
}

#[test]
fn back_off_grows_and_a_crash_loop_ends() {
    let mut life = running(Settings {
        restart: RestartPolicy::OnFailure,
        ..settings()
    });
    let mut waits = Vec::new();
    let mut now = 0;
    loop {
        life.step(Event::Ended(Ended::Code(1)), at(now));
        life.step(Event::GroupGone, at(now));
        let actions = life.step(Event::Judged(None), at(now));
        match actions.last() {
            Some(Action::Arm(Timer::BackOff, after)) => {
                waits.push(after.as_secs());
                now += after.as_secs();
            }
            end => {
                assert_eq!(end, Some(&Action::Exit(Exit::CrashLoop(Ended::Code(1)))));
                break;
            }
        }
        life.step(Event::Timer(Timer::BackOff), at(now));
        life.step(Event::Spawned, at(now));
    }
    assert_eq!(waits, [1, 2, 4, 8]);
}

#[test]
fn crashes_far_apart_are_no_loop() {
    let mut life = running(Settings {
        restart: RestartPolicy::Always,
        ..settings()
    });
    for n in 1..20 {
        let now = n * 1_000;
        life.step(Event::Ended(Ended::Code(1)), at(now));
        life.step(Event::GroupGone, at(now));
        let actions = life.step(Event::Judged(None), at(now));
        assert_eq!(
            actions.last(),
            Some(&Action::Arm(Timer::BackOff, Duration::from_secs(1)))
        );
        life.step(Event::Timer(Timer::BackOff), at(now + 1));
        life.step(Event::Spawned, at(now + 1));
    }
}

#[test]
fn ends_are_told_as_go_tells_them() {
    assert_eq!(Ended::Code(3).text(), "exit status 3");
    assert_eq!(Ended::Signal(9).text(), "signal: killed");
    assert_eq!(Ended::Signal(15).shell_code(), 143);
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Judged(None)),
        Just(Event::Judged(Some(plan()))),
        Just(Event::Due(plan())),
        Just(Event::Spawned),
        Just(Event::SpawnFailed("no".to_owned())),
        Just(Event::Ended(Ended::Code(1))),
        Just(Event::GroupGone),
        Just(Event::GroupStuck("x".to_owned())),
        Just(Event::Signal(Signal::Term)),
        Just(Event::Signal(Signal::Hup)),
        Just(Event::Timer(Timer::Grace)),
        Just(Event::Timer(Timer::Delay)),
        Just(Event::Timer(Timer::BackOff)),
        Just(Event::Timer(Timer::Outlived)),
        Just(Event::StepDone {
            took_ms: 1,
            changed: true
        }),
        Just(Event::StepFailed("no".to_owned())),
        Just(Event::Opened(journal(Stage::Due))),
        Just(Event::NotRecorded("no".to_owned())),
        Just(Event::Height(101)),
    ]
}

proptest! {
    /// Whatever happens in whatever order: two nodes are never started at once, and nothing
    /// touches the data while one is up.
    #[test]
    fn never_two_nodes_and_never_a_backup_of_a_live_one(
        events in prop::collection::vec(any_event(), 0..60),
        restart in prop_oneof![Just(RestartPolicy::Never), Just(RestartPolicy::Always)],
    ) {
        let mut life = Life::new(Settings { restart, ..settings() });
        let mut up = false;
        let mut asked = false;
        for (n, event) in std::iter::once(Event::Begin(None)).chain(events).enumerate() {
            // The driver reports only what can happen.
            match &event {
                Event::Spawned | Event::SpawnFailed(_) if !asked => continue,
                Event::Ended(_) if !up => continue,
                Event::GroupGone | Event::GroupStuck(_) if up => continue,
                Event::Spawned => (up, asked) = (true, false),
                Event::SpawnFailed(_) => asked = false,
                Event::Ended(_) => up = false,
                _ => {}
            }
            for action in life.step(event, at(n as u64)) {
                match action {
                    Action::Spawn => {
                        prop_assert!(!up && !asked);
                        asked = true;
                    }
                    Action::Perform(_) => prop_assert!(!up && !asked),
                    _ => {}
                }
            }
        }
    }
}
