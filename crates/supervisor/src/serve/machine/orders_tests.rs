//! Every order of events up to a depth, against a world that performs the actions.

use std::collections::{BTreeMap, HashSet};

use super::tests::{FAILED, T0, settings};
use super::*;

/// A process of the world.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Living {
    told: bool,
    killed: bool,
    was_ready: bool,
}

/// What the actions have made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct World {
    living: BTreeMap<Generation, Living>,
    timers: BTreeSet<Timer>,
    reload: bool,
    exit: Option<Exit>,
}

impl World {
    /// What may happen next.
    fn events(&self) -> Vec<Event> {
        let mut events = vec![Event::Reload, Event::Signal(Signal::Term)];
        for (generation, living) in &self.living {
            events.push(Event::Ended(*generation, Ended::Code(0)));
            events.push(Event::Ended(*generation, FAILED));
            if !living.was_ready {
                events.push(Event::Ready(*generation));
            }
        }
        events.extend(self.timers.iter().copied().map(Event::Timer));
        events
    }

    /// Lets it happen, performs what follows, and checks what must always hold. Every start fails if `bad_starts`.
    fn happen(&mut self, machine: &mut Machine, event: Event, bad_starts: bool) {
        match &event {
            Event::Ended(generation, _) => drop(self.living.remove(generation)),
            Event::Ready(generation) => {
                if let Some(living) = self.living.get_mut(generation) {
                    living.was_ready = true;
                }
            }
            Event::Timer(timer) => drop(self.timers.remove(timer)),
            _ => {}
        }
        let asks = event == Event::Reload;
        let actions = machine.step(event, T0);
        if asks && !matches!(actions[..], [Action::Refused(_)]) {
            assert!(!self.reload, "two reloads at once");
            self.reload = true;
        }
        for action in actions {
            assert_eq!(self.exit, None, "nothing is done after the end");
            match action {
                Action::Start(generation) if bad_starts => {
                    let error = "bad".to_owned();
                    self.happen(machine, Event::NotStarted(generation, error), true);
                }
                Action::Start(generation) => {
                    let was = self.living.insert(generation, Living::default());
                    assert_eq!(was, None, "no number is used twice");
                }
                Action::Send(generation, signal) => {
                    let living = self
                        .living
                        .get_mut(&generation)
                        .expect("only the living are signalled");
                    living.told = true;
                    living.killed |= signal == Signal::Kill;
                }
                Action::Arm(timer, _) => drop(self.timers.insert(timer)),
                Action::Disarm(timer) => drop(self.timers.remove(&timer)),
                Action::Reloaded(_) | Action::NotReloaded { .. } => {
                    assert!(self.reload, "an answer that nobody waits for");
                    self.reload = false;
                }
                Action::Exit(exit) => self.exit = Some(exit),
                Action::Serves(_)
                | Action::Refused(_)
                | Action::Lost { .. }
                | Action::Restarting { .. } => {}
            }
        }
        self.check(machine);
    }

    fn check(&self, machine: &Machine) {
        let is_well = |generation| self.living.get(&generation).is_some_and(|it| !it.told);
        if let Some(serves) = machine.serves() {
            assert!(
                is_well(serves),
                "who serves lives, and was not asked to end"
            );
        }
        if let Some(starts) = machine.starts() {
            assert!(
                is_well(starts),
                "who is started lives, and was not asked to end"
            );
            assert!(
                self.timers.contains(&Timer::Ready(starts)),
                "for a limited time"
            );
        }
        let standing = machine.standing();
        let is_over = matches!(standing, Standing::Stopping | Standing::Over);
        if !is_over && machine.serves().or(machine.starts()).is_none() {
            assert!(
                self.timers.contains(&Timer::BackOff),
                "somebody serves in the end"
            );
        }
        for (generation, living) in &self.living {
            let is_known = machine.serves() == Some(*generation)
                || machine.starts() == Some(*generation)
                || living.told;
            assert!(is_known, "nobody is forgotten");
            let ends = self.timers.contains(&Timer::Grace(*generation)) || living.killed;
            assert!(
                !living.told || ends,
                "who is asked to end has a limited time"
            );
        }
        for timer in &self.timers {
            if let Timer::Ready(generation) | Timer::Grace(generation) = timer {
                assert!(
                    self.living.contains_key(generation),
                    "no timer outlives its process"
                );
            }
        }
        assert!(self.living.len() <= MAX_LEAVING + 2, "there is a limit");
        assert_eq!(self.exit.is_some(), standing == Standing::Over);
        if self.exit.is_some() {
            assert!(self.living.is_empty(), "nobody is left behind");
            assert!(!self.reload, "everybody who waits is answered");
        }
    }
}

#[test]
fn in_every_order_of_events_somebody_serves_and_nobody_is_forgotten() {
    const DEPTH: usize = 9;
    for restart in [RestartPolicy::OnFailure, RestartPolicy::Never] {
        let mut machine = Machine::new(Settings {
            restart,
            ..settings()
        });
        let mut world = World::default();
        world.happen(&mut machine, Event::Begin, false);
        let mut seen = HashSet::new();
        let mut border = vec![(machine, world)];
        for _ in 0..DEPTH {
            let mut next = Vec::new();
            for (machine, world) in &border {
                for event in world.events() {
                    for bad_starts in [false, true] {
                        let (mut machine, mut world) = (machine.clone(), world.clone());
                        world.happen(&mut machine, event.clone(), bad_starts);
                        if world.exit.is_none() && seen.insert((machine.clone(), world.clone())) {
                            next.push((machine, world));
                        }
                    }
                }
            }
            border = next;
        }
        assert!(seen.len() > 1_000, "{} states were seen", seen.len());
    }
}
