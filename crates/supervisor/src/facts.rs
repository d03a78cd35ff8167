//! What is known about the plan file, the chain and the node, gathered over time for
//! [`crate::due`]. No I/O and no clock here either: the driver reports, this remembers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::due::{Author, Child, Facts, Heights, Running, Verdict, Written, due};
use crate::plan::{Fingerprint, Plan, PlanError, PlanFile};

/// What is left for the next supervisor about the node that was started last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastLife {
    /// The release, by its label.
    pub release: String,
    /// Which writing of the plan file lay there when the node was started.
    pub plan_file: Option<Fingerprint>,
    /// The node's process, once it was started.
    pub process: Option<ProcessId>,
    /// Its end was seen.
    pub ended: bool,
    /// Which writing of the plan file lay there then. What was written later was not written in
    /// its life.
    pub plan_file_at_end: Option<Fingerprint>,
    /// A height read in its life showed this writing of the plan file to be for later: whoever
    /// wrote it, it was not a node that needed it.
    pub too_early: Option<Fingerprint>,
    /// How many nodes this home has seen.
    pub generation: u64,
    /// The process that is to take over from it, while one is.
    #[serde(default)]
    pub candidate: Option<ProcessId>,
    /// Processes that have handed over and finish what they have in hand.
    #[serde(default)]
    pub leaving: Vec<ProcessId>,
    /// What it was started with, by its hash: another command line needs another process.
    #[serde(default)]
    pub command: Option<String>,
}

/// A process, told apart from a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number.
    pub pid: i32,
    /// Clock ticks between the start of the machine and that of the process.
    pub start_ticks: u64,
    /// The machine's current boot.
    pub boot_id: String,
}

/// The plan that an operator wrote, as `add-upgrade` remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorPlan {
    /// Which writing of the plan file it was.
    pub plan_file: Fingerprint,
}

/// Everything known.
#[derive(Debug, Default)]
pub struct Dossier {
    file: Option<PlanFile>,
    operator: Option<OperatorPlan>,
    last_life: Option<Span>,
    at_start_of_this_life: Option<Then>,
    lowest: Option<u64>,
    latest: Option<u64>,
    latest_since: Duration,
    /// The plan for which the node says that it has halted.
    halted: Option<(String, u64)>,
    asked: bool,
    /// Counts how often the heights were forgotten: an answer to an older question is no fact.
    question: u64,
}

/// Which writing of the plan file lay there at some moment, if any did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Then(Option<Fingerprint>);

/// Which writing of the plan file lay there when a life began, and when it ended if that was seen.
#[derive(Debug, Clone, Copy)]
struct Span {
    began: Then,
    ended: Option<Then>,
    too_early: Option<Fingerprint>,
}

/// What goes beside the dossier into a verdict.
#[derive(Debug, Clone)]
pub struct Circumstances<'a> {
    /// What runs.
    pub running: &'a Running,
    /// What the child does; `asked` is filled in from the dossier.
    pub child: Child,
    /// See [`Facts::chain_went_on`].
    pub chain_went_on: bool,
    /// See [`Facts::signed`].
    pub signed: Option<u64>,
    /// See [`Facts::skipped`].
    pub skipped: bool,
    /// See [`Facts::rolled_back`].
    pub rolled_back: bool,
}

impl Dossier {
    /// Begins with what the last supervisor left.
    pub fn new(last: Option<&LastLife>, running: &str) -> Self {
        Self {
            // A life under another release says nothing about this one.
            last_life: last
                .filter(|last| last.release == running)
                .map(|last| Span {
                    began: Then(last.plan_file),
                    ended: last.ended.then_some(Then(last.plan_file_at_end)),
                    too_early: last.too_early,
                }),
            ..Self::default()
        }
    }

    /// The plan file was looked at. Returns whether it is another than before.
    pub fn saw_file(&mut self, file: Option<PlanFile>, operator: Option<OperatorPlan>) -> bool {
        let written_before = self.written();
        let before = self.file.take();
        self.file = file;
        self.operator = operator;
        if before.as_ref().map(|file| file.fingerprint) == self.fingerprint() {
            return false;
        }
        // What was read of the chain before says nothing about another plan, nor about one that
        // the node has only now confirmed by writing it itself.
        if before.map(|file| file.content) != self.file.as_ref().map(|file| file.content.clone())
            || self.written() != written_before
        {
            self.forget_heights();
        }
        true
    }

    /// What an answer about the chain's height must belong to; see [`Self::saw_height`].
    pub fn question(&self) -> u64 {
        self.question
    }

    /// Every source of heights was tried for this question; this came of it.
    pub fn saw_height(&mut self, question: u64, height: Option<u64>, now: Duration) {
        if question != self.question {
            return;
        }
        self.asked = true;
        let Some(height) = height else { return };
        if self.latest != Some(height) {
            self.latest = Some(height);
            self.latest_since = now;
        }
        self.lowest = Some(self.lowest.map_or(height, |lowest| lowest.min(height)));
    }

    /// The node says that it has halted, and for which plan, or that it has not.
    pub fn saw_halt(&mut self, question: u64, halted: Option<(String, u64)>) {
        if question == self.question {
            self.halted = halted;
        }
    }

    /// A node that was found running goes on living; this writing of the plan file lay there when it was started.
    pub fn go_on_with_life(&mut self, began: Option<Fingerprint>) {
        self.at_start_of_this_life = Some(Then(began));
        self.forget_heights();
    }

    /// A node is about to be started.
    pub fn begin_life(&mut self) {
        self.at_start_of_this_life = Some(Then(self.fingerprint()));
        self.forget_heights();
    }

    /// Which writing of the plan file lies there.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.file.as_ref().map(|file| file.fingerprint)
    }

    /// When the plan file was written, in nanoseconds since 1970.
    pub fn written_at_ns(&self) -> Option<i64> {
        self.file.as_ref().map(|file| file.modified_ns)
    }

    /// The plan in the file.
    pub fn plan(&self) -> Option<&Plan> {
        self.file.as_ref()?.content.as_ref().ok()
    }

    /// Why the file holds no plan.
    pub fn trouble(&self) -> Option<&PlanError> {
        self.file.as_ref()?.content.as_ref().err()
    }

    /// The latest height read since the plan file was last written.
    pub fn height(&self) -> Option<u64> {
        self.latest
    }

    /// Who wrote the plan file.
    pub fn author(&self) -> Author {
        let Some(file) = &self.file else {
            return Author::Unknown;
        };
        match &self.operator {
            Some(operator) if operator.plan_file == file.fingerprint => Author::Operator,
            // Upstream's `add-upgrade` leaves no mark but the mode, 0755; a node that writes over
            // such a file keeps the mode, which is why our own mark goes first.
            None if file.mode & 0o111 != 0 => Author::Operator,
            _ if file.mode == 0o600 => Author::Node,
            _ => Author::Unknown,
        }
    }

    /// The file was written in the life of a node, and not by the operator.
    pub fn is_nodes_word(&self) -> bool {
        self.written() != Written::Earlier && self.author() != Author::Operator
    }

    /// Is the plan in the file due? `None` without a plan.
    pub fn verdict(&self, now: Duration, circumstances: &Circumstances<'_>) -> Option<Verdict> {
        let plan = self.plan()?;
        let child = match circumstances.child {
            Child::Alive { .. } => Child::Alive { asked: self.asked },
            other => other,
        };
        Some(due(&Facts {
            plan,
            author: self.author(),
            written: self.written(),
            running: circumstances.running,
            heights: Heights {
                lowest: self.lowest,
                latest: self.latest,
                still_for: now.saturating_sub(self.latest_since),
            },
            child,
            halted: self
                .halted
                .as_ref()
                .is_some_and(|(name, height)| *name == plan.name && *height == plan.height),
            chain_went_on: circumstances.chain_went_on,
            signed: circumstances.signed,
            skipped: circumstances.skipped,
            rolled_back: circumstances.rolled_back,
        }))
    }

    fn written(&self) -> Written {
        let now = Then(self.fingerprint());
        match (&self.at_start_of_this_life, &self.last_life) {
            (Some(then), _) if *then != now => Written::ThisLife,
            (None, Some(last))
                if last.began != now
                    && Then(last.too_early) != now
                    && last.ended.is_none_or(|then| then == now) =>
            {
                Written::LastLife
            }
            _ => Written::Earlier,
        }
    }

    fn forget_heights(&mut self) {
        self.lowest = None;
        self.latest = None;
        self.halted = None;
        self.asked = false;
        self.question += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::due::{Because, Until};
    use std::os::unix::fs::PermissionsExt;

    fn written(dir: &std::path::Path, text: &str, mode: u32) -> PlanFile {
        let path = dir.join("upgrade-info.json");
        let fresh = dir.join("fresh");
        std::fs::write(&fresh, text).unwrap();
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(mode)).unwrap();
        std::fs::rename(&fresh, &path).unwrap();
        crate::plan::read_file(&path).unwrap().unwrap()
    }

    fn circumstances(child: Child) -> Circumstances<'static> {
        const GENESIS: &Running = &Running {
            is_target: false,
            plan: None,
        };
        Circumstances {
            running: GENESIS,
            child,
            chain_went_on: false,
            signed: None,
            skipped: false,
            rolled_back: false,
        }
    }

    const V2: &str = r#"{"name":"v2","height":100}"#;
    const ALIVE: Child = Child::Alive { asked: false };

    #[test]
    fn a_height_read_before_the_plan_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let mut dossier = Dossier::default();
        dossier.begin_life();
        let question = dossier.question();
        dossier.saw_height(question, Some(40), Duration::ZERO);
        dossier.saw_file(Some(written(dir.path(), V2, 0o600)), None);
        let now = Duration::from_secs(1);
        assert_eq!(
            dossier.verdict(now, &circumstances(ALIVE)),
            Some(Verdict::Wait(Until::AnyHeight))
        );
        dossier.saw_height(question, Some(40), now);
        assert_eq!(dossier.height(), None, "an answer from before");
        dossier.saw_height(dossier.question(), Some(100), now);
        assert_eq!(
            dossier.verdict(now, &circumstances(ALIVE)),
            Some(Verdict::Switch(Because::HeightReached(100)))
        );
    }

    #[test]
    fn the_life_in_which_a_file_was_written_is_known_without_a_clock() {
        let dir = tempfile::tempdir().unwrap();
        let old = written(dir.path(), V2, 0o644);
        let last = LastLife {
            release: "genesis".to_owned(),
            plan_file: None,
            process: None,
            ended: false,
            plan_file_at_end: None,
            too_early: None,
            generation: 1,
            ..LastLife::default()
        };
        let mut dossier = Dossier::new(Some(&last), "genesis");
        dossier.saw_file(Some(old.clone()), None);
        assert_eq!(dossier.written(), Written::LastLife);
        dossier.begin_life();
        assert_eq!(dossier.written(), Written::Earlier);
        assert!(!dossier.saw_file(Some(old.clone()), None));
        assert!(dossier.saw_file(Some(written(dir.path(), V2, 0o644)), None));
        assert_eq!(dossier.written(), Written::ThisLife);

        for (at_end, when) in [
            (Some(old.fingerprint), Written::LastLife),
            (dossier.fingerprint(), Written::Earlier),
            (None, Written::Earlier),
        ] {
            let ended = LastLife {
                ended: true,
                plan_file_at_end: at_end,
                ..last.clone()
            };
            let mut next = Dossier::new(Some(&ended), "genesis");
            next.saw_file(Some(old.clone()), None);
            assert_eq!(next.written(), when);
        }

        let too_early = LastLife {
            too_early: Some(old.fingerprint),
            ..last.clone()
        };
        let mut next = Dossier::new(Some(&too_early), "genesis");
        next.saw_file(Some(old.clone()), None);
        assert_eq!(
            next.written(),
            Written::Earlier,
            "a plan for later stays one"
        );

        let mut other = Dossier::new(Some(&last), "v2");
        other.saw_file(Some(old), None);
        assert_eq!(other.written(), Written::Earlier);
    }

    #[test]
    fn writing_the_same_again_and_again_does_not_put_off_the_verdict() {
        let dir = tempfile::tempdir().unwrap();
        let mut dossier = Dossier::default();
        dossier.begin_life();
        dossier.saw_file(Some(written(dir.path(), V2, 0o600)), None);
        let question = dossier.question();
        dossier.saw_file(Some(written(dir.path(), V2, 0o600)), None);
        dossier.saw_height(question, None, Duration::ZERO);
        assert_eq!(
            dossier.verdict(Duration::ZERO, &circumstances(ALIVE)),
            Some(Verdict::Switch(Because::NodeSaysSo))
        );
    }

    #[test]
    fn the_author_is_told_by_our_mark_then_by_the_mode() {
        let dir = tempfile::tempdir().unwrap();
        let mut dossier = Dossier::default();
        for (mode, author) in [
            (0o600, Author::Node),
            (0o755, Author::Operator),
            (0o644, Author::Unknown),
        ] {
            dossier.saw_file(Some(written(dir.path(), V2, mode)), None);
            assert_eq!(dossier.author(), author, "{mode:o}");
        }
        let ours = written(dir.path(), V2, 0o755);
        let mark = OperatorPlan {
            plan_file: ours.fingerprint,
        };
        dossier.saw_file(Some(ours), Some(mark.clone()));
        assert_eq!(dossier.author(), Author::Operator);
        dossier.saw_file(Some(written(dir.path(), V2, 0o755)), Some(mark));
        assert_eq!(dossier.author(), Author::Unknown, "the node wrote over it");
    }

    #[test]
    fn standing_still_is_measured_from_the_first_reading_of_a_height() {
        let mut dossier = Dossier::default();
        let dir = tempfile::tempdir().unwrap();
        dossier.begin_life();
        dossier.saw_file(Some(written(dir.path(), V2, 0o600)), None);
        for second in 0..3 {
            dossier.saw_height(
                dossier.question(),
                Some(99),
                Duration::from_secs(second * 10),
            );
        }
        assert_eq!(
            dossier.verdict(Duration::from_secs(20), &circumstances(ALIVE)),
            Some(Verdict::Switch(Because::Halted(99)))
        );
    }
}
