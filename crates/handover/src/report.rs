//! What a handover did and what it cost: told to whoever asked for it, to the log and to the metrics.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// A point in time for people, as milliseconds since 1970. Spans are not measured with it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// Now.
    pub fn now() -> Self {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// How long ago it was; zero if the clock was set back.
    pub fn ago(self) -> Duration {
        Duration::from_millis(Self::now().0.saturating_sub(self.0))
    }

    /// The point as the standard library has it.
    pub fn time(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.0)
    }
}

/// One generation's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Its number.
    pub generation: u64,
    /// Its process; 0 if it was never started.
    pub pid: u32,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            0 => write!(f, "generation {}", self.generation),
            pid => write!(f, "generation {} (pid {pid})", self.generation),
        }
    }
}

/// How the successor came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Began {
    /// The predecessor started it.
    Spawn,
    /// It came by itself and asked.
    Join,
    /// A supervisor started and introduced it.
    Held,
}

impl fmt::Display for Began {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spawn => "the predecessor started its successor",
            Self::Join => "the successor came by itself",
            Self::Held => "a supervisor started the successor",
        })
    }
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Outcome {
    /// The successor serves.
    HandedOver,
    /// It went well up to the commit and was taken back there, as wanted.
    Rehearsed,
    /// It failed before the commit; the predecessor serves as before.
    RolledBack {
        /// The phase in which it failed.
        phase: String,
        /// Why.
        reason: String,
    },
    /// The successor ended soon after the commit; the predecessor serves again.
    TakenBack {
        /// How the successor ended.
        reason: String,
    },
    /// It failed, and the predecessor cannot open again what it had released; it goes on trying.
    NotRestored {
        /// What cannot be opened, and why.
        reason: String,
    },
}

impl Outcome {
    /// The word for it, as in the serialised form.
    pub fn word(&self) -> &'static str {
        match self {
            Self::HandedOver => "handed-over",
            Self::Rehearsed => "rehearsed",
            Self::RolledBack { .. } => "rolled-back",
            Self::TakenBack { .. } => "taken-back",
            Self::NotRestored { .. } => "not-restored",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HandedOver => f.write_str("handed over"),
            Self::Rehearsed => f.write_str("rehearsed; the predecessor serves as before"),
            Self::RolledBack { phase, reason } => {
                write!(
                    f,
                    "failed in phase {phase}; the predecessor serves as before: {reason}"
                )
            }
            Self::TakenBack { reason } => {
                write!(f, "taken back; the predecessor serves again: {reason}")
            }
            Self::NotRestored { reason } => {
                write!(f, "failed, and not everything could be restored: {reason}")
            }
        }
    }
}

/// How long one phase took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseTime {
    /// Its name, as in the protocol.
    pub phase: String,
    /// How long it took.
    #[serde(rename = "took_us", with = "micros")]
    pub took: Duration,
}

/// A state that moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateMoved {
    /// Its name.
    pub name: String,
    /// The version in which it was written.
    pub version: u32,
    /// Its size.
    pub bytes: u64,
}

/// An exclusive resource that moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExclusiveMoved {
    /// Its name.
    pub name: String,
    /// The time in which it was nobody's: from its release to the successor's having it. `None` if the successor did not say.
    #[serde(rename = "gap_us", with = "maybe_micros", default)]
    pub gap: Option<Duration>,
}

/// What came of one handover.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The server's name.
    pub name: String,
    /// Who gave.
    pub from: Party,
    /// Who took, or was to.
    pub to: Party,
    /// How the successor came to be.
    pub began: Began,
    /// Who or what asked for it.
    pub asked_by: String,
    /// When it began.
    #[serde(rename = "at_unix_ms")]
    pub at: UnixMillis,
    /// How it ended.
    pub outcome: Outcome,
    /// The predecessor sleeps and can be woken, instead of draining.
    #[serde(default)]
    pub staged: bool,
    /// The phases in their order.
    #[serde(default)]
    pub phases: Vec<PhaseTime>,
    /// Connections that moved, by kind.
    #[serde(default)]
    pub moved: BTreeMap<String, u64>,
    /// Connections that moved later, when they came to a boundary. At the time of the report.
    #[serde(default)]
    pub moved_late: u64,
    /// Connections that the predecessor still had at the time of the report.
    #[serde(default)]
    pub left_to_drain: u64,
    /// Listeners, sockets and files that the successor did not claim; they are closed.
    #[serde(default)]
    pub unclaimed: Vec<String>,
    /// The states that moved.
    #[serde(default)]
    pub states: Vec<StateMoved>,
    /// The exclusive resources that moved.
    #[serde(default)]
    pub exclusives: Vec<ExclusiveMoved>,
    /// The longest time for which any connection stood still.
    #[serde(rename = "longest_freeze_us", with = "maybe_micros", default)]
    pub longest_freeze: Option<Duration>,
    /// From the predecessor's last accept to the successor's first. Meanwhile connections wait in the kernel.
    #[serde(rename = "pause_us", with = "maybe_micros", default)]
    pub pause: Option<Duration>,
}

impl Report {
    /// How long all phases took together.
    pub fn took(&self) -> Duration {
        self.phases.iter().map(|phase| phase.took).sum()
    }

    /// How many connections moved before the report.
    pub fn moved_in_all(&self) -> u64 {
        self.moved.values().sum()
    }

    fn connections(&self) -> Option<String> {
        let mut parts = Vec::new();
        for (kind, count) in &self.moved {
            parts.push(format!("{count} {kind} moved"));
        }
        if self.moved_late > 0 {
            parts.push(format!("{} moved late", self.moved_late));
        }
        if self.left_to_drain > 0 {
            parts.push(format!("{} left to drain", self.left_to_drain));
        }
        if let Some(freeze) = self.longest_freeze {
            parts.push(format!("longest freeze {}", Short(freeze)));
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// A short table: the outcome, then a line for each thing there is to tell.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            from,
            to,
            outcome,
            ..
        } = self;
        let mut first = format!("{name}: {from} → {to}: {outcome}");
        if !self.phases.is_empty() {
            first = format!("{first} (in {})", Short(self.took()));
        }
        // Names and reasons are other people's: they get no line and no colour of their own.
        let plain = |text: &str| text.replace(char::is_control, " ");
        writeln!(f, "{}", plain(&first))?;
        let mut line = |what: &str, text: &str| writeln!(f, "  {what:<12} {}", plain(text));
        line("asked by", &format!("{}; {}", self.asked_by, self.began))?;
        if self.staged && self.outcome == Outcome::HandedOver {
            line(
                "staged",
                "the predecessor sleeps: --roll-back wakes it, TERM ends it",
            )?;
        }
        if let Some(pause) = self.pause {
            let text = format!("{} in which nobody accepted", Short(pause));
            line("pause", &text)?;
        }
        if let Some(connections) = self.connections() {
            line("connections", &connections)?;
        }
        let states = self.states.iter();
        let states = states.map(|s| format!("{} v{} ({})", s.name, s.version, Bytes(s.bytes)));
        list(&mut line, "states", states)?;
        let exclusives = self.exclusives.iter().map(|exclusive| match exclusive.gap {
            Some(gap) => format!("{} (nobody's for {})", exclusive.name, Short(gap)),
            None => exclusive.name.clone(),
        });
        list(&mut line, "exclusives", exclusives)?;
        list(&mut line, "unclaimed", self.unclaimed.iter().cloned())?;
        let phases = self.phases.iter();
        let phases = phases.map(|p| format!("{} {}", p.phase, Short(p.took)));
        list(&mut line, "phases", phases)
    }
}

fn list(
    line: &mut impl FnMut(&str, &str) -> fmt::Result,
    what: &str,
    items: impl Iterator<Item = String>,
) -> fmt::Result {
    let items: Vec<_> = items.collect();
    if items.is_empty() {
        return Ok(());
    }
    line(what, &items.join(", "))
}

/// A time in the unit that suits it.
struct Short(Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        match self.0.as_micros() {
            0..1_000 => write!(f, "{} µs", self.0.as_micros()),
            1_000..100_000 => write!(f, "{:.1} ms", seconds * 1e3),
            100_000..1_000_000 => write!(f, "{:.0} ms", seconds * 1e3),
            _ => write!(f, "{seconds:.1} s"),
        }
    }
}

struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ 0..1_024 => write!(f, "{bytes} B"),
            bytes @ 1_024..1_048_576 => write!(f, "{} KiB", bytes >> 10),
            bytes => write!(f, "{} MiB", bytes >> 20),
        }
    }
}

/// A duration as a whole number of microseconds.
pub(crate) mod micros {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_micros)
    }
}

/// As `micros`, or nothing.
pub(crate) mod maybe_micros {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "the signature is serde's")]
    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::micros::serialize(time, to),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_micros))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A report with something of everything.
    pub(crate) fn full() -> Report {
        let phase = |phase: &str, micros| PhaseTime {
            phase: phase.to_owned(),
            took: Duration::from_micros(micros),
        };
        Report {
            name: "chat".to_owned(),
            from: Party {
                generation: 1,
                pid: 100,
            },
            to: Party {
                generation: 2,
                pid: 120,
            },
            began: Began::Spawn,
            asked_by: "SIGUSR2".to_owned(),
            at: UnixMillis(1_700_000_000_000),
            outcome: Outcome::HandedOver,
            staged: true,
            phases: vec![phase("hello", 131_500), phase("freeze", 900)],
            moved: [("rooms".to_owned(), 1_000)].into(),
            moved_late: 3,
            left_to_drain: 2,
            unclaimed: vec!["admin".to_owned()],
            states: vec![StateMoved {
                name: "cache".to_owned(),
                version: 3,
                bytes: 12 << 10,
            }],
            exclusives: vec![ExclusiveMoved {
                name: "db".to_owned(),
                gap: Some(Duration::from_micros(3_100)),
            }],
            longest_freeze: Some(Duration::from_micros(4_120)),
            pause: Some(Duration::from_micros(850)),
        }
    }

    #[test]
    fn it_reads_as_a_small_table() {
        assert_eq!(
            full().to_string(),
            "\
chat: generation 1 (pid 100) → generation 2 (pid 120): handed over (in 132 ms)
  asked by     SIGUSR2; the predecessor started its successor
  staged       the predecessor sleeps: --roll-back wakes it, TERM ends it
  pause        850 µs in which nobody accepted
  connections  1000 rooms moved, 3 moved late, 2 left to drain, longest freeze 4.1 ms
  states       cache v3 (12 KiB)
  exclusives   db (nobody's for 3.1 ms)
  unclaimed    admin
  phases       hello 132 ms, freeze 900 µs
"
        );
    }

    #[test]
    fn a_failure_tells_phase_and_reason_and_nothing_that_did_not_happen() {
        let mut report = full();
        report.outcome = Outcome::RolledBack {
            phase: "acquire".to_owned(),
            reason: "the database is of\nanother version".to_owned(),
        };
        report.to.pid = 0;
        (report.phases, report.states, report.exclusives) = Default::default();
        (report.moved, report.unclaimed) = Default::default();
        (report.moved_late, report.left_to_drain) = (0, 0);
        (report.pause, report.longest_freeze) = (None, None);
        assert_eq!(
            report.to_string(),
            "chat: generation 1 (pid 100) → generation 2: failed in phase acquire; the predecessor serves as before: \
             the database is of another version\n  \
             asked by     SIGUSR2; the predecessor started its successor\n"
        );
    }

    #[test]
    fn json_has_units_in_its_names_and_forgives_what_is_missing_or_new() {
        let json = serde_json::to_value(full()).unwrap();
        assert_eq!(json["pause_us"], 850);
        assert_eq!(json["phases"][0]["took_us"], 131_500);
        assert_eq!(json["exclusives"][0]["gap_us"], 3_100);
        assert_eq!(json["outcome"]["result"], "handed-over");
        assert_eq!(json["outcome"]["result"], full().outcome.word());
        assert_eq!(serde_json::from_value::<Report>(json).unwrap(), full());
        let least = r#"{"name":"x","from":{"generation":1,"pid":1},"to":{"generation":2,"pid":2},
            "began":"join","asked_by":"pid 2","at_unix_ms":0,"outcome":{"result":"rehearsed"},"mood":"good"}"#;
        let report: Report = serde_json::from_str(least).unwrap();
        assert_eq!(report.pause, None);
    }

    #[test]
    fn units_suit_the_size() {
        for (micros, text) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.0 ms"),
            (99_949, "99.9 ms"),
            (512_400, "512 ms"),
            (61_000_000, "61.0 s"),
        ] {
            assert_eq!(Short(Duration::from_micros(micros)).to_string(), text);
        }
        for (bytes, text) in [(0, "0 B"), (65_537, "64 KiB"), (100 << 20, "100 MiB")] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
