//! Is what is planned understood, and are the binaries for it in place?

use super::Findings;
use super::facts::{Binary, Home, Pending, PlanFile};
use crate::stage::prepare::NoAddress;
use crate::upgrade::Stage;

pub(super) fn judge(home: &Home, findings: &mut Findings) {
    plan_file(home, findings);
    match &home.chain {
        Ok(Some(plan)) => findings.ok(
            "chain-plan",
            format!("the chain plans {} at height {}", plan.name, plan.height),
        ),
        Ok(None) => findings.ok("chain-plan", "the chain plans no upgrade"),
        Err(why) => findings.ok("chain-plan", format!("not known: {why}")),
    }
    match &home.batch {
        Ok(0) => {}
        Ok(count) => findings.ok("batch", format!("{count} to come")),
        Err(why) => findings.fail(
            "batch",
            format!(
                "{} cannot be understood: {why}",
                home.config.layout().batch_file().display()
            ),
            "make it anew with add-batch-upgrade, or remove it",
        ),
    }
    for pending in &home.pending {
        binary(home, pending, findings);
    }
    journal(home, findings);
}

fn plan_file(home: &Home, findings: &mut Findings) {
    let path = home.config.layout().plan_file();
    let path = path.display();
    match &home.plan_file {
        PlanFile::Absent => findings.ok("plan-file", "none"),
        PlanFile::Plan(plan) => {
            let running = home.pending.iter().all(|pending| pending.plan != *plan);
            let is = if running { "; it is behind us" } else { "" };
            findings.ok(
                "plan-file",
                format!("{} at height {}{is}", plan.name, plan.height),
            );
        }
        PlanFile::Incomplete(why) => findings.warn(
            "plan-file",
            format!("{path} is {why}: it is being written, or whoever wrote it died"),
            "look again; if it stays so, remove it: a node that needs it writes it anew",
        ),
        PlanFile::Wrong(why) => findings.fail(
            "plan-file",
            format!("{path}: {why}"),
            "correct or remove it: a node that needs it writes it anew",
        ),
    }
}

/// What keeps a program from being run.
pub(super) fn unfit(binary: &Binary) -> String {
    match binary {
        Binary::Missing => "it is not there".to_owned(),
        Binary::Runs => "nothing".to_owned(),
        Binary::NotMarked { .. } => {
            "it is not marked as executable, and belongs to somebody else".to_owned()
        }
        Binary::Unfit(why) => why.clone(),
    }
}

fn binary(home: &Home, pending: &Pending, findings: &mut Findings) {
    const ID: &str = "next-binary";
    let Pending {
        plan,
        said_by,
        path,
        binary,
        address,
    } = pending;
    let config = &home.config;
    let which = format!("{} at height {} ({said_by})", plan.name, plan.height);
    let add = format!(
        "add it with `baton add-upgrade {} <path to the binary>`",
        plan.name
    );
    match (binary, address) {
        (Binary::Runs | Binary::NotMarked { ours: true }, _) => {
            findings.ok(ID, format!("{which}: in place"));
        }
        (Binary::Missing, _) if !config.allow_download_binaries => {
            let prepare = match address {
                Ok(_) => ", or fetch it with `baton prepare-upgrade`",
                Err(_) => "",
            };
            findings.fail(
                ID,
                format!(
                    "{which}: there is no {}, and downloads are not allowed",
                    path.display()
                ),
                format!("{add}{prepare}"),
            );
        }
        (Binary::Missing, Ok(address)) => findings.warn(
            ID,
            format!("{which}: not there yet, to be downloaded from {address}"),
            "see with `baton prepare-upgrade` whether that works",
        ),
        (Binary::Missing, Err(NoAddress::Unreadable(why) | NoAddress::NotForHere(why))) => {
            findings.fail(
                ID,
                format!(
                    "{which}: there is no {}, and the plan does not say where to get it: {why}",
                    path.display()
                ),
                add,
            );
        }
        (other, _) => findings.fail(
            ID,
            format!("{which}: {} cannot run: {}", path.display(), unfit(other)),
            format!("{add} --force"),
        ),
    }
}

fn journal(home: &Home, findings: &mut Findings) {
    const ID: &str = "last-upgrade";
    let journal = match &home.journal {
        Ok(Some(journal)) => journal,
        Ok(None) => return findings.ok(ID, "none was made yet"),
        Err(why) => {
            return findings.fail(
                ID,
                why,
                "no supervisor starts with it: do as it says, then look again",
            );
        }
    };
    let which = format!("{} at height {}", journal.plan.name, journal.plan.height);
    match (&journal.failure, journal.stage) {
        (Some(failure), stage) if !stage.is_over() => findings.fail(
            ID,
            format!(
                "{which} failed at {}: {}",
                failure.step.name(),
                failure.error
            ),
            crate::upgrade::steps::what_to_do(failure.step),
        ),
        (_, Stage::Confirmed) => findings.ok(ID, format!("{which}, confirmed")),
        (_, Stage::RolledBack) => findings.warn(
            ID,
            format!("{which} was rolled back and is not tried again with the same binary"),
            format!(
                "put another binary in place with `baton add-upgrade {} <binary> --force`",
                journal.plan.name
            ),
        ),
        (_, stage) if home.supervisor.is_some() => {
            findings.ok(ID, format!("{which} is under way: {}", stage.name()));
        }
        (_, stage) => findings.warn(
            ID,
            format!("{which} was interrupted after {}", stage.name()),
            "start the supervisor: it goes on from there",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Home as Given, assert_fails, assert_oks, assert_warns};
    use super::*;
    use crate::plan::Plan;
    use crate::upgrade::journal::Failure;
    use crate::upgrade::{Journal, Step};
    use std::path::PathBuf;

    fn plan() -> Plan {
        Plan {
            name: "v2".to_owned(),
            height: 100,
            info: String::new(),
        }
    }

    fn pending(binary: Binary, address: Result<String, NoAddress>) -> Pending {
        Pending {
            plan: plan(),
            said_by: "upgrade-info.json",
            path: PathBuf::from("/h/v2"),
            binary,
            address,
        }
    }

    fn blank() -> NoAddress {
        NoAddress::Unreadable("blank".to_owned())
    }

    fn url() -> String {
        "https://h/v2".to_owned()
    }

    #[test]
    fn a_plan_file_must_be_a_plan() {
        let mut home = Given::good();
        home.plan_file = PlanFile::Wrong("no name".to_owned());
        assert_fails(&home.facts(), "plan-file", "no name");
        home.plan_file = PlanFile::Incomplete("incomplete: EOF".to_owned());
        assert_warns(&home.facts(), "plan-file", "incomplete: EOF");
        home.plan_file = PlanFile::Plan(plan());
        assert_oks(&home.facts(), "plan-file", "behind us");
        home.pending = vec![pending(Binary::Runs, Err(blank()))];
        assert_oks(&home.facts(), "plan-file", "v2 at height 100");
        home.batch = Err("not JSON".to_owned());
        assert_fails(&home.facts(), "batch", "not JSON");
    }

    #[test]
    fn the_next_binary_must_be_there_or_to_be_had() {
        let mut home = Given::good();
        let mut with = |binary, address, downloads| {
            home.pending = vec![pending(binary, address)];
            home.config.allow_download_binaries = downloads;
            home.config.download_must_have_checksum = true;
            home.facts()
        };
        let id = "next-binary";
        assert_oks(&with(Binary::Runs, Err(blank()), false), id, "in place");
        let without = with(Binary::Missing, Ok(url()), false);
        assert_fails(&without, id, "downloads are not allowed");
        let without = with(Binary::Missing, Err(blank()), true);
        assert_fails(&without, id, "does not say where to get it: blank");
        let planned = with(Binary::Missing, Ok(url()), true);
        assert_warns(&planned, id, "https://h/v2");
        let foreign = Binary::Unfit("it is an ELF for aarch64".to_owned());
        assert_fails(&with(foreign, Ok(url()), true), id, "aarch64");
    }

    #[test]
    fn what_became_of_the_last_upgrade_is_told() {
        let mut home = Given::good();
        let mut journal = Journal::new(plan(), PathBuf::from("genesis"), 0);
        home.supervisor = None;
        journal.stage = Stage::BackedUp;
        home.journal = Ok(Some(journal.clone()));
        assert_warns(&home.facts(), "last-upgrade", "interrupted after");
        journal.failure = Some(Failure {
            step: Step::Fetch,
            error: "no such host".to_owned(),
            at_s: 0,
        });
        home.journal = Ok(Some(journal.clone()));
        assert_fails(&home.facts(), "last-upgrade", "no such host");
        journal.stage = Stage::Confirmed;
        home.journal = Ok(Some(journal.clone()));
        assert_oks(&home.facts(), "last-upgrade", "confirmed");
        journal.stage = Stage::RolledBack;
        home.journal = Ok(Some(journal));
        assert_warns(&home.facts(), "last-upgrade", "rolled back");
        home.journal = Err("format 9".to_owned());
        assert_fails(&home.facts(), "last-upgrade", "format 9");
    }
}
