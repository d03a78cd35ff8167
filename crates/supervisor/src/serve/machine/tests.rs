//! Single stories.

use super::*;

pub(super) const T0: Duration = Duration::ZERO;
pub(super) const FAILED: Ended = Ended::Code(3);

pub(super) fn settings() -> Settings {
    Settings {
        stop_signal: Signal::Quit,
        grace: Duration::from_secs(30),
        ready_within: Duration::from_mins(1),
        restart: RestartPolicy::OnFailure,
    }
}

/// A machine whose first process serves.
fn serving(settings: Settings) -> Machine {
    let mut machine = Machine::new(settings);
    assert_eq!(
        machine.step(Event::Begin, T0),
        [
            Action::Arm(Timer::Ready(1), Duration::from_mins(1)),
            Action::Start(1)
        ]
    );
    assert_eq!(
        machine.step(Event::Ready(1), T0),
        [Action::Disarm(Timer::Ready(1)), Action::Serves(1)]
    );
    machine
}

/// The same, with a reload to the second under way.
fn reloading() -> Machine {
    let mut machine = serving(settings());
    assert_eq!(
        machine.step(Event::Reload, T0),
        [
            Action::Arm(Timer::Ready(2), Duration::from_mins(1)),
            Action::Start(2)
        ]
    );
    machine
}

fn not_reloaded(why: Why, serves: Option<Generation>) -> Action {
    Action::NotReloaded {
        generation: 2,
        why,
        serves,
    }
}

#[test]
fn the_old_process_is_asked_to_end_once_the_new_one_is_ready() {
    let mut machine = reloading();
    assert_eq!(
        machine.step(Event::Ready(2), T0),
        [
            Action::Disarm(Timer::Ready(2)),
            Action::Serves(2),
            Action::Send(1, Signal::Quit),
            Action::Arm(Timer::Grace(1), Duration::from_secs(30)),
            Action::Reloaded(2),
        ]
    );
    assert_eq!(machine.serves(), Some(2));
    assert_eq!(
        machine.step(Event::Timer(Timer::Grace(1)), T0),
        [Action::Send(1, Signal::Kill)]
    );
    assert_eq!(
        machine.step(Event::Ended(1, Ended::Signal(9)), T0),
        [Action::Disarm(Timer::Grace(1))]
    );
}

#[test]
fn whatever_is_wrong_with_the_new_one_the_old_one_serves_on() {
    let mut machine = reloading();
    assert_eq!(
        machine.step(Event::Ended(2, FAILED), T0),
        [
            Action::Disarm(Timer::Ready(2)),
            not_reloaded(Why::Ended(FAILED), Some(1))
        ]
    );
    let mut machine = reloading();
    let error = "no memory".to_owned();
    assert_eq!(
        machine.step(Event::NotStarted(2, error.clone()), T0),
        [
            Action::Disarm(Timer::Ready(2)),
            not_reloaded(Why::NotStarted(error), Some(1))
        ]
    );
    let mut machine = reloading();
    assert_eq!(
        machine.step(Event::Timer(Timer::Ready(2)), T0),
        [
            Action::Send(2, Signal::Quit),
            Action::Arm(Timer::Grace(2), Duration::from_secs(30)),
            not_reloaded(Why::Late, Some(1)),
        ]
    );
    // Too late is too late: it was asked to end.
    assert_eq!(machine.step(Event::Ready(2), T0), []);
    assert_eq!(machine.serves(), Some(1));
    assert!(matches!(
        machine.step(Event::Reload, T0)[..],
        [Action::Arm(..), Action::Start(3)]
    ));
}

#[test]
fn an_old_process_that_dies_in_a_reload_leaves_it_all_to_the_new_one() {
    let mut machine = reloading();
    let why = Why::Ended(FAILED);
    assert_eq!(
        machine.step(Event::Ended(1, FAILED), T0),
        [Action::Lost { generation: 1, why }]
    );
    assert_eq!(machine.standing(), Standing::Starting);
    let mut other = machine.clone();
    let actions = machine.step(Event::Ready(2), T0);
    assert_eq!(actions.last(), Some(&Action::Reloaded(2)));
    let actions = other.step(Event::Ended(2, FAILED), T0);
    assert_eq!(actions[1], not_reloaded(Why::Ended(FAILED), None));
    assert_eq!(other.standing(), Standing::BackingOff);
}

#[test]
fn a_server_that_dies_is_started_at_once_then_later_and_later_then_no_more() {
    let mut machine = serving(settings());
    for (generation, after) in [(1, 0), (2, 1), (3, 2), (4, 4)] {
        let actions = machine.step(Event::Ended(generation, FAILED), T0);
        let after = Duration::from_secs(after);
        assert_eq!(actions.last(), Some(&Action::Arm(Timer::BackOff, after)));
        let actions = machine.step(Event::Timer(Timer::BackOff), T0);
        assert_eq!(actions.last(), Some(&Action::Start(generation + 1)));
        machine.step(Event::Ready(generation + 1), T0);
    }
    let actions = machine.step(Event::Ended(5, FAILED), T0);
    let exit = Exit::CrashLoop(Why::Ended(FAILED));
    assert_eq!(exit.code(), 3);
    assert_eq!(actions.last(), Some(&Action::Exit(exit)));
}

#[test]
fn a_reload_does_not_wait_for_the_restart() {
    let mut machine = serving(settings());
    machine.step(Event::Ended(1, FAILED), T0);
    assert!(matches!(
        machine.step(Event::Reload, T0)[..],
        [
            Action::Disarm(Timer::BackOff),
            Action::Arm(..),
            Action::Start(2)
        ]
    ));
    let actions = machine.step(Event::Ready(2), T0);
    assert_eq!(actions.last(), Some(&Action::Reloaded(2)));
}

#[test]
fn what_never_was_ready_is_not_started_again() {
    for (event, exit, code) in [
        (
            Event::Ended(1, Ended::Code(127)),
            Exit::NeverReady(Why::Ended(Ended::Code(127))),
            127,
        ),
        (
            Event::NotStarted(1, "x".to_owned()),
            Exit::NeverReady(Why::NotStarted("x".to_owned())),
            1,
        ),
    ] {
        let mut machine = Machine::new(settings());
        machine.step(Event::Begin, T0);
        let actions = machine.step(event, T0);
        assert_eq!(exit.code(), code);
        assert_eq!(actions.last(), Some(&Action::Exit(exit)));
    }
    let mut machine = Machine::new(settings());
    machine.step(Event::Begin, T0);
    machine.step(Event::Timer(Timer::Ready(1)), T0);
    assert_eq!(machine.standing(), Standing::Stopping);
    let actions = machine.step(Event::Ended(1, Ended::Code(0)), T0);
    assert_eq!(
        actions.last(),
        Some(&Action::Exit(Exit::NeverReady(Why::Late)))
    );
}

#[test]
fn the_policy_says_which_ends_are_final() {
    for (restart, ended, is_final) in [
        (RestartPolicy::Never, FAILED, true),
        (RestartPolicy::OnFailure, Ended::Code(0), true),
        (RestartPolicy::OnFailure, Ended::Signal(11), false),
        (RestartPolicy::Always, Ended::Code(0), false),
    ] {
        let mut machine = serving(Settings {
            restart,
            ..settings()
        });
        let actions = machine.step(Event::Ended(1, ended), T0);
        let exit = Action::Exit(Exit::Server(ended));
        assert_eq!(actions.contains(&exit), is_final, "{restart:?} {ended:?}");
    }
}

#[test]
fn a_successor_that_is_left_alone_and_never_ready_is_not_started_again_unless_the_policy_says_so() {
    let mut machine = serving(Settings {
        restart: RestartPolicy::Never,
        ..settings()
    });
    machine.step(Event::Reload, T0);
    machine.step(Event::Ended(1, FAILED), T0);
    machine.step(Event::Timer(Timer::Ready(2)), T0);
    let actions = machine.step(Event::Ended(2, Ended::Signal(3)), T0);
    let exit = Exit::NeverReady(Why::Late);
    assert_eq!(actions.last(), Some(&Action::Exit(exit)));
}

#[test]
fn asked_to_end_it_ends_all_and_with_the_code_of_the_one_that_served() {
    let mut machine = reloading();
    assert_eq!(
        machine.step(Event::Signal(Signal::Term), T0),
        [
            Action::Disarm(Timer::Ready(2)),
            Action::Send(2, Signal::Quit),
            Action::Arm(Timer::Grace(2), Duration::from_secs(30)),
            not_reloaded(Why::Stopped, None),
            Action::Send(1, Signal::Quit),
            Action::Arm(Timer::Grace(1), Duration::from_secs(30)),
        ]
    );
    assert_eq!(
        machine.step(Event::Signal(Signal::Int), T0),
        [Action::Send(1, Signal::Kill), Action::Send(2, Signal::Kill)],
        "the second time there is no grace"
    );
    machine.step(Event::Ended(1, Ended::Code(7)), T0);
    assert_eq!(
        machine.step(Event::Ended(2, Ended::Signal(9)), T0),
        [
            Action::Disarm(Timer::Grace(2)),
            Action::Exit(Exit::Server(Ended::Code(7)))
        ]
    );
    let mut machine = serving(settings());
    machine.step(Event::Ended(1, FAILED), T0);
    let actions = machine.step(Event::Signal(Signal::Term), T0);
    assert_eq!(actions.last(), Some(&Action::Exit(Exit::Stopped)));
}

#[test]
fn other_signals_go_to_everybody() {
    let mut machine = reloading();
    let signal = Signal::Usr1;
    assert_eq!(
        machine.step(Event::Signal(signal), T0),
        [Action::Send(1, signal), Action::Send(2, signal)]
    );
    machine.step(Event::Ready(2), T0);
    assert_eq!(
        machine.step(Event::Signal(signal), T0),
        [Action::Send(2, signal), Action::Send(1, signal)]
    );
}

#[test]
fn reloads_that_come_faster_than_old_processes_end_are_refused() {
    let mut machine = serving(settings());
    for generation in 2..=1 + u64::try_from(MAX_LEAVING).unwrap() {
        machine.step(Event::Reload, T0);
        machine.step(Event::Ready(generation), T0);
    }
    assert!(matches!(
        machine.step(Event::Reload, T0)[..],
        [Action::Refused(_)]
    ));
    machine.step(Event::Ended(1, Ended::Code(0)), T0);
    assert!(matches!(
        machine.step(Event::Reload, T0)[..],
        [Action::Arm(..), _]
    ));
    assert!(matches!(
        machine.step(Event::Reload, T0)[..],
        [Action::Refused(_)]
    ));
}
