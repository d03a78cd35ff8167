//! What came of it, and whether that is as it should be. Pure.

use std::fmt::Write;
use std::time::Duration;

use anyhow::bail;
use baton_supervisor::telling::Status;
use baton_supervisor::telling::change::How;
use baton_supervisor::telling::event::{Event, Record};
use baton_supervisor::telling::status::{LastUpgrade, UpgradeResult};
use baton_supervisor::telling::words::{bytes, short, span};

use super::figures::Figures;
use super::home::NEXT;

/// What is known at the end.
pub(super) struct Summary {
    pub(super) figures: Figures,
    pub(super) status: Status,
    /// What the supervisor told.
    pub(super) history: Vec<Record>,
    /// The first version said that it can hand over.
    pub(super) hands_over: bool,
}

impl Summary {
    /// For people. Figures that have to be 0 say so if they are not.
    pub(super) fn text(&self) -> String {
        let figures = &self.figures;
        let mut text = "\nClients\n".to_owned();
        let mut line = |key: &str, value: String| {
            let _ = writeln!(text, "  {key:<18} {value}");
        };
        let (taken, lost, doubled) = figures.transfers();
        line("requests", format!("{} answered", figures.requests));
        line("failed", figures.failed.to_string());
        line("reconnections", figures.reconnections.to_string());
        line(
            "longest pause",
            format!("{} until an answer came", short(figures.longest)),
        );
        line(
            "transactions",
            format!("{taken} submitted, {lost} lost, {doubled} in two blocks"),
        );
        let between = span(figures.longest_block);
        line(
            "blocks",
            format!(
                "{} by WebSocket, {} missed, at most {between} between two",
                figures.blocks, figures.missed
            ),
        );
        if let Some(why) = &figures.first_failure {
            line("", format!("the first that failed: {why}"));
        }
        if let Some(last) = self.last() {
            let way = last.how.map_or("not made", How::text);
            let _ = writeln!(text, "\nUpgrade to {NEXT}: {way}");
            let mut line = |key: &str, value: String| {
                let _ = writeln!(text, "  {key:<18} {value}");
            };
            if let Some(fetched) = self.fetched_ahead() {
                line("fetched ahead", fetched);
            }
            for step in &last.steps {
                line(&step.step, span(step.took));
            }
            for (key, ms) in [("pause", last.pause_ms), ("in all", last.total_ms)] {
                if let Some(ms) = ms {
                    line(key, span(Duration::from_millis(ms)));
                }
            }
        }
        text
    }

    fn last(&self) -> Option<&LastUpgrade> {
        self.status.last_upgrade.as_ref()
    }

    /// How the binary was fetched, if that was before the upgrade began.
    fn fetched_ahead(&self) -> Option<String> {
        let before = self
            .history
            .iter()
            .take_while(|record| !matches!(record.event, Event::UpgradeStarted { .. }));
        before
            .map(|record| &record.event)
            .find_map(|event| match event {
                Event::PrefetchFinished {
                    bytes: size,
                    took,
                    verified: true,
                    ..
                } => Some(format!(
                    "{} in {}, checksum right",
                    bytes(*size),
                    span(*took)
                )),
                _ => None,
            })
    }

    /// An error that names all that is not as it should be.
    pub(super) fn verdict(&self) -> anyhow::Result<()> {
        let mut wrong = Vec::new();
        let mut must = |holds: bool, else_: &str| {
            if !holds {
                wrong.push(else_.to_owned());
            }
        };
        let made = self.last();
        let is_confirmed =
            made.is_some_and(|last| last.name == NEXT && last.result == UpgradeResult::Confirmed);
        must(is_confirmed, "the upgrade was not confirmed");
        let release = self.status.node.release.as_deref();
        must(
            release == Some("upgrades/v2"),
            "the node does not run the new release",
        );
        let (taken, lost, doubled) = self.figures.transfers();
        must(taken > 0, "no transaction was submitted");
        must(lost == 0, "transactions were lost");
        must(doubled == 0, "transactions are in two blocks");
        must(self.figures.missed == 0, "blocks were missed");
        let was_handed_over = made.is_some_and(|last| last.how == Some(How::HandedOver));
        if self.hands_over {
            must(was_handed_over, "the node can hand over, and was stopped");
        }
        if was_handed_over {
            must(self.figures.failed == 0, "requests failed");
            must(self.figures.reconnections == 0, "connections broke");
        }
        if !wrong.is_empty() {
            bail!("{}", wrong.join("; "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use baton_ledger::Hash;
    use baton_supervisor::telling::Time;
    use baton_supervisor::telling::status::Supervisor;

    use super::*;

    /// An upgrade as it should be, by handover.
    fn good() -> Summary {
        let mut status = Status::new(Supervisor {
            pid: 1,
            version: String::new(),
            since: Time::now(),
            home: "/h".into(),
            name: String::new(),
            admin_address: None,
            config: std::collections::BTreeMap::new(),
        });
        let name = || NEXT.to_owned();
        let events = [
            Event::PrefetchFinished {
                name: name(),
                bytes: 3 << 20,
                verified: true,
                took: Duration::from_millis(700),
            },
            Event::UpgradeStarted {
                name: name(),
                height: 9,
            },
            Event::UpgradeStep {
                name: name(),
                step: "hand-over".into(),
                took: Duration::from_millis(80),
            },
            Event::UpgradeConfirmed {
                name: name(),
                height: 9,
                pause: Duration::from_millis(3),
                total: Duration::from_millis(900),
            },
        ];
        for event in &events {
            status.apply(event, Time::now());
        }
        status.node.release = Some("upgrades/v2".into());
        let mut figures = Figures::default();
        figures.took(Hash::ZERO);
        figures.included(Hash::ZERO);
        let records = events.into_iter().zip(1..).map(|(event, seq)| Record {
            seq,
            time: Time::now(),
            event,
        });
        Summary {
            figures,
            status,
            history: records.collect(),
            hands_over: true,
        }
    }

    #[test]
    fn what_is_as_it_should_be_is_told_whole() {
        let good = good();
        good.verdict().unwrap();
        let text = good.text();
        for line in [
            "  failed             0",
            "  reconnections      0",
            "  transactions       1 submitted, 0 lost, 0 in two blocks",
            "Upgrade to v2: handed over",
            "  fetched ahead      3.0 MiB in 700 ms, checksum right",
            "  hand-over          80 ms",
            "  pause              3 ms",
        ] {
            assert!(text.lines().any(|l| l == line), "{line:?} in {text}");
        }
    }

    #[test]
    fn whatever_is_wrong_fails_the_demo() {
        let fails = |change: fn(&mut Summary), wanted: &str| {
            let mut summary = good();
            change(&mut summary);
            let error = summary.verdict().unwrap_err().to_string();
            assert_eq!(error, wanted);
        };
        fails(|s| s.figures.failed("refused"), "requests failed");
        fails(|s| s.figures.reconnections = 1, "connections broke");
        fails(|s| s.figures.missed = 1, "blocks were missed");
        fails(
            |s| s.figures.took(Hash::from([1; 32])),
            "transactions were lost",
        );
        fails(
            |s| s.figures.included(Hash::ZERO),
            "transactions are in two blocks",
        );
        fails(
            |s| s.figures = Figures::default(),
            "no transaction was submitted",
        );
        fails(
            |s| s.status.node.release = Some("genesis".into()),
            "the node does not run the new release",
        );
        let stopped = |s: &mut Summary| {
            s.status.last_upgrade.as_mut().unwrap().how = Some(How::StoppedAndStarted);
        };
        fails(stopped, "the node can hand over, and was stopped");
        fails(
            |s| s.status.last_upgrade = None,
            "the upgrade was not confirmed; the node can hand over, and was stopped",
        );
    }

    #[test]
    fn a_node_that_cannot_hand_over_may_be_missed_for_a_while() {
        let mut summary = good();
        summary.hands_over = false;
        summary.status.last_upgrade.as_mut().unwrap().how = Some(How::StoppedAndStarted);
        summary.figures.failed("connecting: refused");
        summary.figures.reconnections = 9;
        summary.verdict().unwrap();
        assert!(
            summary
                .text()
                .contains("the first that failed: connecting: refused")
        );
    }
}
