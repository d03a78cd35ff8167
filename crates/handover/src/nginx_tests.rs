use super::*;

use Action::{
    DrainAndExit, DrainAndHold, ExitNow, Forward, Reload, Reopen, ResumeAccepting, StartSuccessor,
    StopAccepting, TakePidFileBack,
};
use Signal::{Hup, Int, Quit, Term, Usr1, Usr2, Winch};

const IN_THE_DARK: Surroundings = Surroundings {
    terminal: false,
    process_one: false,
};
const CONTAINER: Surroundings = Surroundings {
    terminal: false,
    process_one: true,
};
const TERMINAL: Surroundings = Surroundings {
    terminal: true,
    process_one: false,
};

const SERVES: Event = Event::SuccessorServes {
    still_accepts: true,
};

fn at(around: Surroundings, is_new: bool, events: &[Event]) -> Machine {
    let mut machine = Machine::new(around, is_new);
    for event in events {
        machine.step(*event);
    }
    machine
}

fn sig(signal: Signal) -> Event {
    Event::Signal(signal)
}

/// What the machine does, with `Ignore` shown as nothing done.
fn done(mut machine: Machine, event: Event) -> (Vec<Action>, State) {
    let mut actions = machine.step(event);
    assert!(
        !(matches!(event, Event::Signal(_)) && actions.is_empty()),
        "every signal is answered, if only by a reason to ignore it"
    );
    actions.retain(|action| !matches!(action, Action::Ignore { .. }));
    (actions, machine.state)
}

type Row<'a> = (&'a str, &'a dyn Fn() -> Machine, [&'a [Action]; 7]);

#[test]
#[rustfmt::skip] // the table is the test
fn every_signal_in_every_state() {
    let normal = || at(IN_THE_DARK, false, &[]);
    let normal_asleep = || at(IN_THE_DARK, false, &[sig(Winch)]);
    let starting = || at(IN_THE_DARK, false, &[sig(Usr2)]);
    let both = || at(IN_THE_DARK, false, &[sig(Usr2), SERVES]);
    let asleep = || at(IN_THE_DARK, false, &[sig(Usr2), SERVES, sig(Winch)]);
    let newborn = || at(IN_THE_DARK, true, &[]);
    let newborn_asleep = || at(IN_THE_DARK, true, &[sig(Winch)]);
    let leaving = || at(IN_THE_DARK, false, &[sig(Quit)]);
    let exiting = || at(IN_THE_DARK, false, &[sig(Term)]);

    let start: &[Action] = &[StartSuccessor { staged: true }];
    let table: [Row<'_>; 9] = [
        //                         Term        Int         Quit            Hup                          Usr1       Usr2   Winch
        ("normal", &normal, [&[ExitNow], &[ExitNow], &[DrainAndExit], &[Reload], &[Reopen], start, &[StopAccepting]]),
        ("normal, asleep", &normal_asleep, [&[ExitNow], &[ExitNow], &[DrainAndExit], &[Reload, ResumeAccepting], &[Reopen], start, &[]]),
        ("starting a successor", &starting, [&[ExitNow], &[ExitNow], &[DrainAndExit], &[], &[Reopen], &[], &[StopAccepting]]),
        ("new binary runs", &both, [&[ExitNow], &[ExitNow], &[DrainAndExit], &[], &[Reopen], &[], &[StopAccepting]]),
        ("new binary runs, asleep", &asleep, [&[ExitNow], &[ExitNow], &[DrainAndExit], &[ResumeAccepting], &[Reopen], &[], &[]]),
        ("is the new one", &newborn, [&[ExitNow], &[ExitNow], &[DrainAndExit], &[Reload], &[Reopen], &[], &[StopAccepting]]),
        ("is the new one, asleep", &newborn_asleep, [&[ExitNow], &[ExitNow], &[DrainAndExit], &[Reload, ResumeAccepting], &[Reopen], &[], &[]]),
        ("leaving", &leaving, [&[ExitNow], &[ExitNow], &[], &[], &[], &[], &[]]),
        ("exiting", &exiting, [&[], &[], &[], &[], &[], &[], &[]]),
    ];
    assert_eq!(Signal::ALL, [Term, Int, Quit, Hup, Usr1, Usr2, Winch]);
    for (name, machine, wanted) in table {
        for (signal, wanted) in Signal::ALL.into_iter().zip(wanted) {
            let (actions, _) = done(machine(), sig(signal));
            assert_eq!(actions, wanted, "{signal} in state {name}");
        }
    }
}

#[test]
fn the_upgrade_goes_through() {
    let mut old = at(IN_THE_DARK, false, &[]);
    let mut new = at(IN_THE_DARK, true, &[]);
    assert_eq!(old.step(sig(Usr2)), [StartSuccessor { staged: true }]);
    assert_eq!(old.step(SERVES), []);
    assert_eq!(old.step(sig(Winch)), [StopAccepting]);
    assert!(matches!(new.step(sig(Usr2))[..], [Action::Ignore { .. }]));
    assert_eq!(old.step(sig(Quit)), [DrainAndExit]);
    assert_eq!(new.step(Event::PredecessorGone), []);
    assert_eq!(new.step(sig(Usr2)), [StartSuccessor { staged: true }]);
}

#[test]
fn first_roll_back_hup_to_the_old_one_and_quit_to_the_new() {
    let mut old = at(IN_THE_DARK, false, &[sig(Usr2), SERVES, sig(Winch)]);
    assert_eq!(old.step(sig(Hup)), [ResumeAccepting]);
    assert_eq!(old.step(Event::SuccessorGone), [TakePidFileBack]);
    assert_eq!(old.step(sig(Hup)), [Reload], "it is as before the upgrade");
    assert_eq!(old.step(sig(Usr2)), [StartSuccessor { staged: true }]);
}

#[test]
fn second_roll_back_the_new_one_ends_and_the_old_one_wakes_by_itself() {
    for still_accepts in [true, false] {
        let serves = Event::SuccessorServes { still_accepts };
        let mut old = at(IN_THE_DARK, false, &[sig(Usr2), serves]);
        if still_accepts {
            assert_eq!(old.step(sig(Winch)), [StopAccepting]);
        }
        let actions = old.step(Event::SuccessorGone);
        assert_eq!(actions, [TakePidFileBack, ResumeAccepting]);
        assert_eq!(old.state, at(IN_THE_DARK, false, &[]).state);
    }
}

#[test]
fn a_handover_that_was_asked_for_in_another_way_counts_as_one() {
    let serves = Event::SuccessorServes {
        still_accepts: false,
    };
    let mut old = at(IN_THE_DARK, false, &[serves]);
    assert!(matches!(old.step(sig(Usr2))[..], [Action::Ignore { .. }]));
    assert_eq!(old.step(sig(Hup)), [ResumeAccepting]);
    assert_eq!(old.step(Event::SuccessorGone), [TakePidFileBack]);
}

#[test]
fn a_new_binary_that_fails_at_start_changes_nothing() {
    let mut old = at(IN_THE_DARK, false, &[sig(Usr2)]);
    assert_eq!(old.step(Event::SuccessorGone), [TakePidFileBack]);
    assert_eq!(old.step(sig(Usr2)), [StartSuccessor { staged: true }]);
}

#[test]
fn in_the_foreground_without_a_terminal_all_of_it_works_and_a_windows_change_is_not_an_order() {
    // The foreground makes no difference to the machine: only a terminal does, and only to WINCH.
    for around in [CONTAINER, TERMINAL] {
        let (actions, _) = done(at(around, false, &[]), sig(Usr2));
        assert_eq!(actions, [StartSuccessor { staged: true }]);
    }
    let (actions, _) = done(at(CONTAINER, false, &[]), sig(Winch));
    assert_eq!(actions, [StopAccepting]);
    let mut machine = at(TERMINAL, false, &[]);
    assert!(matches!(machine.step(sig(Winch))[..], [Action::Ignore { why }] if why == WINDOW));
    assert_eq!(machine.state, at(TERMINAL, false, &[]).state);
}

#[test]
fn process_one_stays_for_its_successor() {
    let before = [sig(Usr2), SERVES, sig(Winch)];
    let mut one = at(CONTAINER, false, &before);
    assert_eq!(one.step(sig(Quit)), [DrainAndHold]);
    for signal in Signal::ALL {
        assert_eq!(one.step(sig(signal)), [Forward(signal)]);
    }
    assert_eq!(one.step(Event::SuccessorGone), [ExitNow]);

    // A container's stop is meant for the container: the one that serves is told.
    let mut one = at(CONTAINER, false, &before);
    assert_eq!(one.step(sig(Term)), [Forward(Term), DrainAndHold]);
    assert_eq!(one.step(Event::SuccessorGone), [ExitNow]);

    // Before the commit there is nobody to stay for.
    let mut one = at(CONTAINER, false, &[sig(Usr2)]);
    assert_eq!(one.step(sig(Quit)), [DrainAndExit]);
    // Unless the commit was on its way.
    assert_eq!(one.step(SERVES), [DrainAndHold]);
    assert_eq!(one.step(sig(Term)), [Forward(Term)]);
}

#[test]
fn whatever_happens_in_whatever_order_somebody_is_responsible() {
    // Every sequence of up to five events: a generation that accepts nothing has a successor that serves, or has been told to by WINCH,
    // and nobody starts a second successor or exits process 1 from under a serving one.
    let mut events = vec![
        Event::SuccessorServes {
            still_accepts: true,
        },
        Event::SuccessorServes {
            still_accepts: false,
        },
        Event::SuccessorGone,
        Event::PredecessorGone,
    ];
    events.extend(Signal::ALL.map(Event::Signal));
    let mut sequences: Vec<Vec<Event>> = vec![vec![]];
    for _ in 0..5 {
        let longer: Vec<_> = sequences
            .iter()
            .flat_map(|sequence| {
                events.iter().map(move |event| {
                    let mut sequence = sequence.clone();
                    sequence.push(*event);
                    sequence
                })
            })
            .collect();
        sequences = longer;
    }
    for is_new in [false, true] {
        for sequence in &sequences {
            walk(is_new, sequence);
        }
    }
}

fn walk(is_new: bool, sequence: &[Event]) {
    let mut machine = Machine::new(CONTAINER, is_new);
    let (mut successor, mut serves, mut predecessor) = (false, false, is_new);
    for event in sequence {
        // Only what can happen.
        match event {
            Event::SuccessorServes { .. } if serves || predecessor => return,
            Event::SuccessorGone if !successor => return,
            Event::PredecessorGone if !predecessor => return,
            _ => {}
        }
        let actions = machine.step(*event);
        match event {
            Event::SuccessorServes { .. } => (successor, serves) = (true, true),
            Event::SuccessorGone => (successor, serves) = (false, false),
            Event::PredecessorGone => predecessor = false,
            Event::Signal(_) => {}
        }
        for action in actions {
            match action {
                StartSuccessor { .. } => {
                    assert!(!successor && !predecessor, "{sequence:?}");
                    successor = true;
                }
                Action::ExitNow | DrainAndExit => {
                    assert!(!serves, "process 1 left its successor: {sequence:?}");
                }
                Forward(_) | DrainAndHold => assert!(serves, "{sequence:?}"),
                ResumeAccepting => {
                    assert!(matches!(machine.state, State::Up { accepts: true, .. }));
                }
                _ => {}
            }
        }
        if machine.state == State::Exiting {
            return;
        }
        if let State::Up {
            kin: Kin::Alone | Kin::Successor,
            accepts: false,
        } = machine.state
        {
            assert!(sequence.contains(&sig(Winch)), "{sequence:?}");
        }
    }
}
