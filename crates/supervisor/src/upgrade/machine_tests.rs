//! The machine against a world that crashes anywhere.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::plan::Plan;

fn policy() -> Policy {
    Policy {
        restart: true,
        rollback: None,
    }
}

fn journal() -> Journal {
    let plan = Plan {
        name: "v2".to_owned(),
        height: 100,
        info: String::new(),
    };
    Journal::new(plan, PathBuf::from("genesis"), 0)
}

/// What the steps do to the outside, as far as it matters.
#[derive(Debug, Clone, Default)]
struct World {
    journal: Option<Journal>,
    node_runs: Option<&'static str>,
    link: &'static str,
    data: &'static str,
    backups: u32,
    custom_runs: u32,
    wrong_binary: bool,
}

impl World {
    fn new() -> Self {
        Self {
            journal: Some(journal()),
            node_runs: Some("old"),
            link: "old",
            data: "old",
            ..Self::default()
        }
    }

    fn perform(&mut self, step: Step, journal: &mut Journal) {
        match step {
            Step::Stop => self.node_runs = None,
            // The backup of an upgrade carries its name: found again, it is not made again.
            Step::BackUp => {
                let beside = journal.way == Way::Relay;
                assert_eq!(self.node_runs.is_some(), beside, "who makes the backup");
                self.backups = self.backups.max(1);
                journal.backup = Some(PathBuf::from("backup"));
            }
            Step::CustomPreUpgrade => self.custom_runs += 1,
            Step::Fetch | Step::PreUpgrade => {
                assert_eq!(self.node_runs.is_some(), journal.way == Way::Relay);
            }
            Step::Switch => self.link = "new",
            Step::SwitchBack | Step::RestoreLink => self.link = "old",
            Step::Start | Step::HandOver => {
                assert_eq!(self.node_runs.is_some(), step == Step::HandOver);
                self.node_runs = Some(self.link);
                self.data = "new";
                self.wrong_binary |= self.link != "new";
            }
            Step::RestoreData => {
                assert!(self.node_runs.is_none());
                self.data = "old";
            }
        }
    }

    /// Runs the actions; `crash_at` counts down over every place where a crash can fall.
    /// Returns the last action, or `None` if the supervisor was killed.
    fn run(
        &mut self,
        machine: &mut Machine,
        mut actions: Vec<Action>,
        crash_at: &mut u32,
        fails: &mut dyn FnMut(Step) -> bool,
    ) -> Option<Action> {
        let mut killed = || {
            if *crash_at == 0 {
                return true;
            }
            *crash_at -= 1;
            false
        };
        let mut last = None;
        while !actions.is_empty() {
            for action in std::mem::take(&mut actions) {
                if killed() {
                    return None;
                }
                match &action {
                    Action::Record => self.journal = Some(machine.journal.clone()),
                    Action::Perform(step) => {
                        let event = if fails(*step) {
                            Event::Failed {
                                error: "no".to_owned(),
                                at_s: 1,
                            }
                        } else {
                            self.perform(*step, &mut machine.journal);
                            if killed() {
                                return None;
                            }
                            Event::Done {
                                took_ms: 1,
                                changed: *step != Step::CustomPreUpgrade,
                            }
                        };
                        actions.extend(machine.step(event));
                    }
                    _ => {}
                }
                last = Some(action);
            }
        }
        last
    }

    fn start_supervisor(
        &mut self,
        policy: Policy,
        crash_at: &mut u32,
        fails: &mut dyn FnMut(Step) -> bool,
    ) -> (Machine, Option<Action>) {
        // The node does not outlive its supervisor: an orphan is ended first.
        self.node_runs = None;
        let journal = self.journal.clone().expect("recorded before anything else");
        let mut machine = Machine::new(journal, policy);
        let actions = machine.resume();
        let end = self.run(&mut machine, actions, crash_at, fails);
        (machine, end)
    }
}

/// A world whose node can hand over, and outlives its supervisor.
fn relay() -> World {
    let mut world = World::new();
    if let Some(journal) = &mut world.journal {
        journal.way = Way::Relay;
    }
    world
}

impl World {
    /// A supervisor finds the node that the last one left, if it has not died meanwhile.
    fn find_node(
        &mut self,
        node_died: bool,
        crash_at: &mut u32,
        fails: &mut dyn FnMut(Step) -> bool,
    ) -> (Machine, Option<Action>) {
        if node_died {
            self.node_runs = None;
        }
        let journal = self.journal.clone().expect("recorded before anything else");
        let stage = journal.stage;
        let mut machine = Machine::new(journal, policy());
        let actions = match self.node_runs {
            Some("old") if stage < Stage::Started => machine.resume(),
            Some("new") if stage == Stage::Started => vec![],
            Some("new") => machine.has_taken_over(),
            // It is gone, or does not fit and is ended.
            _ => {
                self.node_runs = None;
                machine.fall_back();
                machine.resume()
            }
        };
        let end = self.run(&mut machine, actions, crash_at, fails);
        (machine, end)
    }
}

const NEVER: u32 = u32::MAX;

#[test]
fn beside_a_node_that_hands_over_nothing_is_stopped() {
    let mut world = relay();
    let mut steps = Vec::new();
    let (machine, end) = world.find_node(false, &mut { NEVER }, &mut |step| {
        steps.push(step);
        false
    });
    assert_eq!(
        steps,
        [
            Step::BackUp,
            Step::CustomPreUpgrade,
            Step::Fetch,
            Step::Switch,
            Step::PreUpgrade,
            Step::HandOver
        ]
    );
    assert_eq!(end, Some(Action::Record));
    assert_eq!(machine.journal.stage, Stage::Started);
    assert_eq!(world.node_runs, Some("new"));
}

#[test]
fn a_relay_is_resumed_after_a_crash_anywhere_with_its_node_or_without() {
    for first in 0..40 {
        for second in 0..20 {
            for died in [[false, false], [false, true], [true, false]] {
                let mut world = relay();
                for (mut crash, died) in [first, second].into_iter().zip(died) {
                    world.find_node(died, &mut crash, &mut |_| false);
                }
                let (machine, _) = world.find_node(false, &mut { NEVER }, &mut |_| false);
                assert_eq!(machine.journal.stage, Stage::Started);
                assert_eq!((world.node_runs, world.link), (Some("new"), "new"));
                assert_eq!(world.backups, 1);
                assert!(!world.wrong_binary);
            }
        }
    }
}

#[test]
fn what_fails_beside_the_node_leaves_it_and_puts_the_link_back() {
    for failing in [
        Step::BackUp,
        Step::CustomPreUpgrade,
        Step::Fetch,
        Step::Switch,
        Step::PreUpgrade,
        Step::HandOver,
    ] {
        for mut crash in 0..30 {
            let mut world = relay();
            let (machine, end) = world.find_node(false, &mut crash, &mut |step| step == failing);
            assert_eq!(world.node_runs, Some("old"), "{failing:?}");
            if end.is_some() {
                assert!(machine.is_standing(), "{failing:?}");
                assert_eq!(world.link, "old", "{failing:?}");
                assert_eq!(machine.journal.failure.as_ref().unwrap().step, failing);
            }
            // The operator, or the next supervisor, tries again; or stops the old node for it.
            for stop in [false, true] {
                let mut world = world.clone();
                let (machine, _) = world.find_node(stop, &mut { NEVER }, &mut |_| false);
                assert_eq!(machine.journal.stage, Stage::Started);
                assert_eq!(machine.journal.failure, None);
                assert_eq!((world.node_runs, world.link), (Some("new"), "new"));
                assert_eq!(world.backups, 1);
            }
        }
    }
}

#[test]
fn the_steps_come_in_order() {
    let mut machine = Machine::new(journal(), policy());
    let mut seen = Vec::new();
    let mut actions = machine.resume();
    while let Some(Action::Perform(step)) = actions.last() {
        seen.push(*step);
        actions = machine.step(Event::Done {
            took_ms: 2,
            changed: true,
        });
    }
    assert_eq!(
        seen,
        [
            Step::Stop,
            Step::BackUp,
            Step::CustomPreUpgrade,
            Step::Fetch,
            Step::Switch,
            Step::PreUpgrade,
            Step::Start
        ]
    );
    assert_eq!(machine.journal.stage, Stage::Started);
    assert_eq!(machine.step(Event::Height(100)), vec![]);
    assert_eq!(
        machine.step(Event::Height(101)),
        vec![Action::Record, Action::Confirmed]
    );
    assert_eq!(machine.journal.steps.len(), 7);
}

#[test]
fn a_crash_anywhere_is_resumed_to_the_same_end() {
    for first in 0..40 {
        for second in 0..40 {
            let mut world = World::new();
            for mut crash in [first, second] {
                world.start_supervisor(policy(), &mut crash, &mut |_| false);
            }
            let (machine, end) = world.start_supervisor(policy(), &mut { NEVER }, &mut |_| false);
            assert_eq!(end, Some(Action::Record));
            assert_eq!(machine.journal.stage, Stage::Started);
            assert_eq!((world.node_runs, world.link), (Some("new"), "new"));
            assert_eq!(world.backups, 1);
            assert!(!world.wrong_binary);
        }
    }
}

#[test]
fn a_failed_step_leaves_the_link_and_can_be_tried_again() {
    for failing in [
        Step::BackUp,
        Step::CustomPreUpgrade,
        Step::Fetch,
        Step::Switch,
        Step::PreUpgrade,
    ] {
        let mut world = World::new();
        let (machine, end) =
            world.start_supervisor(policy(), &mut { NEVER }, &mut |step| step == failing);
        assert_eq!(end, Some(Action::GiveUp), "{failing:?}");
        assert_eq!(world.link, "old", "{failing:?}");
        assert_eq!(world.node_runs, None);
        let failure = machine.journal.failure.expect("recorded");
        assert_eq!(failure.step, failing);
        assert_eq!(world.journal.clone().unwrap().failure, Some(failure));

        let (machine, _) = world.start_supervisor(policy(), &mut { NEVER }, &mut |_| false);
        assert_eq!(machine.journal.stage, Stage::Started);
        assert_eq!(machine.journal.failure, None);
        assert_eq!(world.backups, 1);
    }
}

#[test]
fn without_restart_the_node_stays_down_once() {
    let policy = Policy {
        restart: false,
        rollback: None,
    };
    let mut world = World::new();
    let (_, end) = world.start_supervisor(policy, &mut { NEVER }, &mut |_| false);
    assert_eq!(end, Some(Action::LeaveDown));
    assert_eq!((world.node_runs, world.link), (None, "new"));
    let (machine, _) = world.start_supervisor(policy, &mut { NEVER }, &mut |_| false);
    assert_eq!(machine.journal.stage, Stage::Started);
    assert_eq!(world.node_runs, Some("new"));
}

#[test]
fn enough_deaths_roll_back_and_a_crash_in_it_is_resumed() {
    let policy = Policy {
        restart: true,
        rollback: Some((3, 600)),
    };
    for mut crash in 0..12 {
        let mut world = World::new();
        let (mut machine, _) = world.start_supervisor(policy, &mut { NEVER }, &mut |_| false);
        for at_s in [0, 10_000] {
            assert_eq!(machine.step(Event::Died { at_s }), vec![Action::Record]);
        }
        assert_eq!(machine.journal.deaths, [10_000], "the first is long past");
        machine.step(Event::Died { at_s: 10_001 });
        world.journal = Some(machine.journal.clone());
        world.node_runs = None;
        let actions = machine.step(Event::Died { at_s: 10_002 });
        let ended = world.run(&mut machine, actions, &mut crash, &mut |_| false);
        if ended.is_none() {
            let policy_after = policy;
            let stage = world.journal.as_ref().unwrap().stage;
            let (machine, end) =
                world.start_supervisor(policy_after, &mut { NEVER }, &mut |_| false);
            if stage == Stage::Started {
                assert_eq!(machine.journal.stage, Stage::Started, "one more try");
                continue;
            }
            assert_eq!(end, Some(Action::RolledBack));
        }
        assert_eq!((world.link, world.data), ("old", "old"));
        assert_eq!(world.journal.unwrap().stage, Stage::RolledBack);
    }
}

#[test]
fn nothing_is_rolled_back_without_a_backup() {
    let policy = Policy {
        restart: true,
        rollback: Some((1, 600)),
    };
    let mut journal = journal();
    journal.stage = Stage::Started;
    let mut machine = Machine::new(journal, policy);
    assert_eq!(machine.step(Event::Died { at_s: 5 }), vec![Action::Record]);
    let failure = machine.journal.failure.unwrap();
    assert!(failure.error.contains("no backup"), "{failure:?}");
}

proptest! {
    /// The same with a node that hands over, which may die as well.
    #[test]
    fn any_history_of_a_relay_ends_well(
        history in prop::collection::vec((0u32..30, 0u8..14, any::<bool>()), 0..12)
    ) {
        let mut world = relay();
        for (mut crash, failing, died) in history {
            let mut count = 0;
            world.find_node(died, &mut crash, &mut |_| {
                count += 1;
                count == failing
            });
            prop_assert!(world.backups <= 1);
            prop_assert!(!world.wrong_binary);
        }
        let (machine, _) = world.find_node(false, &mut { NEVER }, &mut |_| false);
        prop_assert_eq!(machine.journal.stage, Stage::Started);
        prop_assert_eq!(world.node_runs, Some("new"));
    }

    /// Any number of crashes and failures in any order: the binary that runs is always the one
    /// that `current` names, there is one backup, and left alone the upgrade ends.
    #[test]
    fn any_history_ends_well(history in prop::collection::vec((0u32..30, 0u8..14), 0..12)) {
        let mut world = World::new();
        for (mut crash, failing) in history {
            let mut count = 0;
            world.start_supervisor(policy(), &mut crash, &mut |_| {
                count += 1;
                count == failing
            });
            prop_assert!(world.backups <= 1);
            prop_assert!(!world.wrong_binary);
        }
        let (machine, _) = world.start_supervisor(policy(), &mut { NEVER }, &mut |_| false);
        prop_assert_eq!(machine.journal.stage, Stage::Started);
        prop_assert_eq!(world.node_runs, Some("new"));
    }
}
