//! A home in good order, for tests to spoil.

use std::path::PathBuf;

pub(super) use super::facts::Home;
use super::facts::{Access, Binary, Current, Data, Facts, PlanFile};
use super::{Finding, Verdict, judge};
use crate::backup::{Estimate, Method};
use crate::config::{Config, Env};
use crate::layout::Release;

impl Home {
    pub(super) fn good() -> Self {
        let env: Env = [
            ("DAEMON_HOME", "/h"),
            ("DAEMON_NAME", "simd"),
            ("BATON_RESTART", "on-failure"),
        ]
        .into_iter()
        .collect();
        Self {
            config: Config::load_for_init(&env).unwrap().config,
            user: 1000,
            owner: 1000,
            written: vec![(PathBuf::from("/h/cosmovisor"), Access::Writable)],
            current: Current::To(Release::Genesis),
            current_binary: Binary::Runs,
            releases: Vec::new(),
            plan_file: PlanFile::Absent,
            chain: Ok(None),
            pending: Vec::new(),
            batch: Ok(0),
            journal: Ok(None),
            data: Data::There {
                real: None,
                mount_point: false,
                access: Access::Writable,
            },
            backup_dir: Access::Writable,
            estimate: Some(Ok(Self::estimate())),
            backups: Ok((1, Vec::new())),
            supervisor: Some(41),
            left_behind: None,
            height: Ok((99, "rpc".to_owned())),
            hook: None,
            custom: None,
            now_s: 1_800_000_000,
            newest_s: Some(1_799_999_999),
        }
    }

    pub(super) fn estimate() -> Estimate {
        Estimate {
            method: Method::Hardlink,
            passed: Vec::new(),
            files: 3,
            bytes: 4096,
            needed: 4096,
            free: 1 << 30,
        }
    }

    pub(super) fn facts(&self) -> Facts {
        Facts {
            errors: Vec::new(),
            ignored: Vec::new(),
            home: Some(Box::new(self.clone())),
        }
    }
}

fn assert_found(facts: &Facts, verdict: Verdict, id: &str, says: &str) -> Finding {
    let report = judge(facts);
    let found = report
        .findings
        .iter()
        .find(|f| f.id == id && f.verdict == verdict && f.text.contains(says));
    let Some(found) = found else {
        panic!(
            "no {verdict:?} of {id} that says {says:?}:\n{}",
            report.render_text()
        );
    };
    assert!(report.verdict >= verdict);
    found.clone()
}

pub(super) fn assert_oks(facts: &Facts, id: &str, says: &str) {
    let found = assert_found(facts, Verdict::Ok, id, says);
    assert_eq!(found.what_to_do, "");
}

pub(super) fn assert_warns(facts: &Facts, id: &str, says: &str) {
    let found = assert_found(facts, Verdict::Warn, id, says);
    assert_ne!(found.what_to_do, "");
}

pub(super) fn assert_fails(facts: &Facts, id: &str, says: &str) {
    let found = assert_found(facts, Verdict::Fail, id, says);
    assert_ne!(found.what_to_do, "");
}
