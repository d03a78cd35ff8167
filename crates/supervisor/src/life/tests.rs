//! The machine against a driver that performs its actions in memory.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::config::RestartPolicy;
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
        for journal in [journal(stage), relay_journal(stage)] {
            let mut life = Life::new(settings());
            let actions = life.step(Event::Begin(Some(journal)), at(0));
            assert_eq!(actions.last(), Some(&Action::Spawn));
        }
    }
    // One that was being made beside a node which is gone now.
    let mut life = Life::new(settings());
    let actions = life.step(Event::Begin(Some(relay_journal(Stage::Due))), at(0));
    assert_eq!(actions.last(), Some(&Action::Perform(Step::Stop)));
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

/// Performs the steps of a relay until the new binary is to take over.
fn relay_through(life: &mut Life, mut actions: Vec<Action>) -> Vec<Step> {
    let mut steps = Vec::new();
    loop {
        match actions.last() {
            Some(Action::Perform(step)) => {
                steps.push(*step);
                let (took_ms, changed) = (1, true);
                actions = life.step(Event::StepDone { took_ms, changed }, at(60));
            }
            Some(Action::Replace(Purpose::Upgrade)) => return steps,
            other => panic!("{other:?}"),
        }
    }
}

fn relay_journal(stage: Stage) -> Box<Journal> {
    let mut journal = journal(stage);
    journal.way = Way::Relay;
    journal
}

/// A life in whose upgrade the new binary is about to take over.
fn replacing() -> Life {
    let mut life = running(settings());
    assert_eq!(
        life.step(Event::DueForRelay(plan()), at(50)),
        [Action::OpenJournal(plan())]
    );
    let actions = life.step(Event::Opened(relay_journal(Stage::Due)), at(50));
    let steps = relay_through(&mut life, actions);
    assert_eq!(
        steps,
        [
            Step::BackUp,
            Step::CustomPreUpgrade,
            Step::Fetch,
            Step::Switch,
            Step::PreUpgrade
        ]
    );
    life
}

#[test]
fn a_node_that_hands_over_is_not_stopped_for_its_upgrade() {
    let mut life = replacing();
    assert!(life.is_running() && !life.is_at_rest());
    let actions = life.step(Event::Replaced { took_ms: 40 }, at(61));
    assert!(matches!(&actions[0], Action::Record(j) if j.stage == Stage::Started));
    assert_eq!(actions[1], Action::Arm(Timer::Outlived, OUTLIVED));
    let actions = life.step(Event::Height(101), at(63));
    assert!(matches!(actions.last(), Some(Action::Confirmed(_))));
    assert!(life.is_at_rest() && life.upgrade().is_none());
}

#[test]
fn a_successor_that_fails_leaves_the_node_and_the_upgrade_waits() {
    let mut life = replacing();
    let actions = life.step(Event::Kept("cannot open the store".to_owned()), at(61));
    assert!(matches!(&actions[0], Action::Record(j) if j.stage == Stage::Fetched));
    assert_eq!(actions[1], Action::Perform(Step::SwitchBack));
    let (took_ms, changed) = (1, true);
    assert_eq!(life.step(Event::StepDone { took_ms, changed }, at(62)), []);
    assert!(life.is_at_rest());
    assert!(life.upgrade().unwrap().is_standing());
    // It is not tried again by itself.
    assert_eq!(life.step(Event::Height(100), at(63)), []);

    let mut stopped = Life {
        settings: life.settings,
        state: life.state.clone(),
        crashes: Crashes::default(),
    };
    let actions = life.step(Event::Retry(Way::Relay), at(70));
    assert!(matches!(&actions[0], Action::Record(j) if j.failure.is_none()));
    assert_eq!(
        relay_through(&mut life, actions),
        [Step::Switch, Step::PreUpgrade]
    );

    assert_eq!(
        stopped.step(Event::Retry(Way::StopAndStart), at(70)),
        [
            Action::Send(Signal::Term),
            Action::Arm(Timer::Grace, Duration::from_secs(30))
        ]
    );
    stopped.step(Event::Ended(Ended::Code(0)), at(71));
    let actions = stopped.step(Event::GroupGone, at(71));
    assert_eq!(
        upgrade_through(&mut stopped, actions),
        [Step::Switch, Step::PreUpgrade]
    );
}

#[test]
fn a_node_that_dies_beside_its_upgrade_is_upgraded_without_it() {
    // In the middle of a step, whatever comes of that.
    for (outcome, rest) in [
        (
            Event::StepFailed("it is gone".to_owned()),
            &[
                Step::Stop,
                Step::BackUp,
                Step::CustomPreUpgrade,
                Step::Fetch,
                Step::Switch,
                Step::PreUpgrade,
            ][..],
        ),
        (
            Event::StepDone {
                took_ms: 1,
                changed: true,
            },
            &[
                Step::CustomPreUpgrade,
                Step::Fetch,
                Step::Switch,
                Step::PreUpgrade,
            ],
        ),
    ] {
        for cleared_first in [true, false] {
            let mut life = running(settings());
            life.step(Event::DueForRelay(plan()), at(50));
            life.step(Event::Opened(relay_journal(Stage::Due)), at(50));
            let ended = life.step(Event::Ended(Ended::Signal(9)), at(51));
            assert_eq!(ended, [clear(30)]);
            assert!(!life.is_running());
            let events = [Event::GroupGone, outcome.clone()];
            let [first, last] = if cleared_first {
                events
            } else {
                let [gone, done] = events;
                [done, gone]
            };
            assert_eq!(life.step(first, at(52)), []);
            let actions = life.step(last, at(53));
            assert!(matches!(&actions[0], Action::Record(j) if j.way == Way::StopAndStart));
            assert_eq!(upgrade_through(&mut life, actions), rest);
        }
    }
    // While the new one was to take over, and did not.
    let mut life = replacing();
    life.step(Event::Kept("both are gone".to_owned()), at(61));
    life.step(Event::Ended(Ended::Code(1)), at(61));
    life.step(Event::GroupGone, at(61));
    let (took_ms, changed) = (1, true);
    let actions = life.step(Event::StepDone { took_ms, changed }, at(62));
    assert_eq!(
        upgrade_through(&mut life, actions),
        [Step::Switch, Step::PreUpgrade]
    );
    // While the upgrade waited for the operator.
    let mut life = replacing();
    life.step(Event::Kept("no".to_owned()), at(61));
    life.step(Event::StepDone { took_ms, changed }, at(61));
    life.step(Event::Ended(Ended::Code(1)), at(70));
    let actions = life.step(Event::GroupGone, at(70));
    assert_eq!(
        upgrade_through(&mut life, actions),
        [Step::Switch, Step::PreUpgrade]
    );
}

#[test]
fn the_operator_s_stop_wins_over_a_relay() {
    let mut life = replacing();
    assert_eq!(
        life.step(Event::Signal(Signal::Term), at(61)),
        [
            Action::Cancel,
            Action::Send(Signal::Term),
            Action::Arm(Timer::Grace, Duration::from_secs(30))
        ]
    );
    // What comes of the handover is of no account any more.
    assert_eq!(life.step(Event::Replaced { took_ms: 1 }, at(61)), []);
    life.step(Event::Ended(Ended::Code(0)), at(62));
    assert_eq!(
        life.step(Event::GroupGone, at(62)),
        [Action::Exit(Exit::Node(Ended::Code(0)))]
    );
}

#[test]
fn a_reload_is_a_handover_or_a_stop_and_a_start() {
    let mut life = running(settings());
    for event in [Event::Kept("no".to_owned()), Event::Replaced { took_ms: 9 }] {
        assert_eq!(
            life.step(Event::Reload(Way::Relay), at(5)),
            [Action::Replace(Purpose::Reload)]
        );
        assert!(!life.is_at_rest());
        assert_eq!(
            life.step(Event::Reload(Way::Relay), at(5)),
            [],
            "one at a time"
        );
        assert_eq!(
            life.step(Event::Due(plan()), at(5)),
            [],
            "not in the middle of it"
        );
        assert_eq!(life.step(event, at(6)), []);
        assert!(life.is_at_rest());
    }
    let actions = life.step(Event::Reload(Way::StopAndStart), at(7));
    assert_eq!(actions[0], Action::Send(Signal::Term));
    life.step(Event::Ended(Ended::Code(0)), at(8));
    assert_eq!(
        life.step(Event::GroupGone, at(8)),
        [Action::Judge { ended: None }]
    );
    assert_eq!(life.step(Event::Judged(None), at(8)), [Action::Spawn]);
}

#[test]
fn a_node_that_is_found_is_gone_on_with() {
    let found = |journal, is_new| {
        let mut life = Life::new(settings());
        let actions = life.step(Event::Found { journal, is_new }, at(0));
        (life, actions)
    };
    let (life, actions) = found(None, false);
    assert_eq!(actions, []);
    assert!(life.is_at_rest());

    let (mut life, actions) = found(Some(relay_journal(Stage::BackedUp)), false);
    let rest = [
        Step::CustomPreUpgrade,
        Step::Fetch,
        Step::Switch,
        Step::PreUpgrade,
    ];
    assert_eq!(relay_through(&mut life, actions), rest);
    let (_, actions) = found(Some(relay_journal(Stage::Prepared)), false);
    assert_eq!(actions, [Action::Replace(Purpose::Upgrade)]);

    // It had taken over already.
    let (mut life, actions) = found(Some(relay_journal(Stage::Prepared)), true);
    assert!(matches!(&actions[0], Action::Record(j) if j.stage == Stage::Started));
    assert!(matches!(
        life.step(Event::Height(101), at(1)).last(),
        Some(Action::Confirmed(_))
    ));
    let (life, actions) = found(Some(relay_journal(Stage::Started)), true);
    assert_eq!(actions, [Action::Arm(Timer::Outlived, OUTLIVED)]);
    assert!(life.is_at_rest());
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

/// Of a node that hands over, too.
fn any_event_of_a_relay() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => any_event(),
        1 => Just(Event::DueForRelay(plan())),
        1 => Just(Event::Opened(relay_journal(Stage::Due))),
        1 => Just(Event::Reload(Way::Relay)),
        1 => Just(Event::Reload(Way::StopAndStart)),
        1 => Just(Event::Retry(Way::Relay)),
        1 => Just(Event::Retry(Way::StopAndStart)),
        1 => Just(Event::Replaced { took_ms: 1 }),
        1 => Just(Event::Kept("no".to_owned())),
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

    /// The same with a node that hands over: none is started while one is up, another takes over only while one is up and one at a time,
    /// and once the operator has stopped it nothing is begun.
    #[test]
    fn a_relay_never_leaves_two_nodes(
        events in prop::collection::vec(any_event_of_a_relay(), 0..80),
        restart in prop_oneof![Just(RestartPolicy::Never), Just(RestartPolicy::Always)],
    ) {
        let mut life = Life::new(Settings { restart, ..settings() });
        let (mut up, mut asked, mut replacing, mut opening) = (false, false, false, false);
        let mut way = Way::StopAndStart;
        let mut stopped = false;
        for (n, mut event) in std::iter::once(Event::Begin(None)).chain(events).enumerate() {
            match &mut event {
                // The driver writes down the way for which the plan was said to be due.
                Event::DueForRelay(_) if !opening => way = Way::Relay,
                Event::Due(_) if !opening => way = Way::StopAndStart,
                Event::Opened(journal) => journal.way = way,
                _ => {}
            }
            match &event {
                Event::Spawned | Event::SpawnFailed(_) if !asked => continue,
                Event::Ended(_) if !up => continue,
                Event::GroupGone | Event::GroupStuck(_) if up => continue,
                Event::Replaced { .. } | Event::Kept(_) if !replacing => continue,
                // The driver finds out first whether another has taken over.
                Event::Ended(_) if replacing => continue,
                Event::Opened(_) | Event::NotRecorded(_) if !opening => continue,
                // It answers at once, before it hears of anything else.
                event if opening && !matches!(event, Event::Opened(_) | Event::NotRecorded(_)) => {
                    continue;
                }
                Event::Spawned => (up, asked) = (true, false),
                Event::SpawnFailed(_) => asked = false,
                Event::Ended(_) => up = false,
                Event::Replaced { .. } | Event::Kept(_) => replacing = false,
                Event::Opened(_) | Event::NotRecorded(_) => opening = false,
                Event::Signal(Signal::Term) if up => stopped = true,
                _ => {}
            }
            for action in life.step(event, at(n as u64)) {
                match action {
                    Action::Spawn => {
                        prop_assert!(!up && !asked && !stopped);
                        asked = true;
                    }
                    Action::Replace(_) => {
                        prop_assert!(up && !replacing && !stopped);
                        replacing = true;
                    }
                    Action::OpenJournal(_) => opening = true,
                    Action::Perform(Step::Stop | Step::RestoreData) => prop_assert!(!up),
                    _ => {}
                }
            }
        }
    }
}
