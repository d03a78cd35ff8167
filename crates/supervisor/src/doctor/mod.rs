//! `doctor`: everything that would make the next upgrade fail, looked for now.
//!
//! [`gather`] collects facts about the home, the chain and the machine; [`judge`] turns them into
//! findings without touching anything. A finding is one question with its answer, and with what to
//! do where the answer is bad.

mod data;
mod facts;
mod gather;
mod plans;
mod releases;
mod running;
mod settings;

#[cfg(test)]
mod testing;

use std::fmt::Write;

use serde::Serialize;

pub use facts::{Binary, Facts};
pub use gather::gather;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// The next upgrade will be made, but something is not as one would want it.
    Warn,
    /// The next upgrade would fail, or not be made.
    Fail,
}

/// One question, answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at. These names stay as they are.
    pub id: &'static str,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was found.
    pub text: String,
    /// What to do about it; empty if nothing is to be done.
    pub what_to_do: String,
}

/// All findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The worst of them.
    pub verdict: Verdict,
    /// In the order in which an upgrade would meet them.
    pub findings: Vec<Finding>,
}

/// Findings in the making.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn ok(&mut self, id: &'static str, text: impl Into<String>) {
        self.add(id, Verdict::Ok, text.into(), String::new());
    }

    fn warn(&mut self, id: &'static str, text: impl Into<String>, to_do: impl Into<String>) {
        self.add(id, Verdict::Warn, text.into(), to_do.into());
    }

    fn fail(&mut self, id: &'static str, text: impl Into<String>, to_do: impl Into<String>) {
        self.add(id, Verdict::Fail, text.into(), to_do.into());
    }

    fn add(&mut self, id: &'static str, verdict: Verdict, text: String, what_to_do: String) {
        self.0.push(Finding {
            id,
            verdict,
            text,
            what_to_do,
        });
    }
}

/// What the facts mean for the next upgrade.
pub fn judge(facts: &Facts) -> Report {
    let mut findings = Findings::default();
    settings::judge(facts, &mut findings);
    if let Some(home) = &facts.home {
        running::judge(home, &mut findings);
        releases::judge(home, &mut findings);
        plans::judge(home, &mut findings);
        data::judge(home, &mut findings);
    }
    let findings = findings.0;
    Report {
        verdict: findings
            .iter()
            .map(|finding| finding.verdict)
            .max()
            .unwrap_or(Verdict::Ok),
        findings,
    }
}

impl Report {
    /// The report for people: a line for each finding, what to do below it, and the sum.
    pub fn render_text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let verdict = match finding.verdict {
                Verdict::Ok => "ok",
                Verdict::Warn => "warn",
                Verdict::Fail => "FAIL",
            };
            let mut lines = finding.text.lines();
            let first = lines.next().unwrap_or_default();
            let _ = writeln!(text, "{verdict:<5} {:<16} {first}", finding.id);
            for line in lines {
                let _ = writeln!(text, "{:23}{line}", "");
            }
            if !finding.what_to_do.is_empty() {
                let _ = writeln!(text, "{:23}to do: {}", "", finding.what_to_do);
            }
        }
        let count = |verdict| {
            let of_kind = self.findings.iter().filter(|f| f.verdict == verdict);
            of_kind.count() as u64
        };
        let (failed, warned) = (count(Verdict::Fail), count(Verdict::Warn));
        let sum = match (failed, warned) {
            (0, 0) => "nothing stands in the way of the next upgrade".to_owned(),
            (0, warned) => format!(
                "nothing stands in the way of the next upgrade; {} to look at",
                counted(warned, "thing")
            ),
            (failed, 0) => format!("{} for the next upgrade", counted(failed, "problem")),
            (failed, warned) => format!(
                "{} for the next upgrade, {} to look at",
                counted(failed, "problem"),
                counted(warned, "thing")
            ),
        };
        let _ = writeln!(text, "\n{sum}");
        text
    }
}

fn counted(count: impl Into<u64>, what: &str) -> String {
    let count = count.into();
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::testing::Home;
    use super::*;

    #[test]
    fn a_home_in_good_order_has_nothing_in_the_way() {
        let report = judge(&Home::good().facts());
        assert_eq!(report.verdict, Verdict::Ok, "{}", report.render_text());
        let ids: std::collections::BTreeSet<_> = report.findings.iter().map(|f| f.id).collect();
        assert!(ids.len() > 15, "{ids:?}");
        assert!(
            report
                .render_text()
                .ends_with("\nnothing stands in the way of the next upgrade\n")
        );
    }

    #[test]
    fn the_report_says_what_to_do_and_counts() {
        let mut findings = Findings::default();
        findings.ok("one", "fine");
        findings.warn("two", "odd\nvery", "look");
        findings.fail("three", "bad", "mend it");
        let report = Report {
            verdict: Verdict::Fail,
            findings: findings.0,
        };
        assert_eq!(
            report.render_text(),
            "ok    one              fine
warn  two              odd
                       very
                       to do: look
FAIL  three            bad
                       to do: mend it

1 problem for the next upgrade, 1 thing to look at
"
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["verdict"], "fail");
        assert_eq!(json["findings"][1]["what_to_do"], "look");
    }
}
