//! The facts for a verdict that lie on disk: what runs, what was rolled back, and whether the
//! chain went on after the plan was written.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::due::Running;
use crate::layout::{Layout, LinkError};
use crate::plan::{self, Fingerprint, Plan};
use crate::upgrade::{Journal, Stage};

/// How much later than the plan file a store must have been written for the chain to have gone
/// on. A halting node still flushes.
const MARGIN_NS: i64 = 60 * 1_000_000_000;

/// What runs, with regard to a plan.
pub fn running(layout: &Layout, plan: &Plan) -> Result<Running, LinkError> {
    let release = layout.running()?;
    let brought_by = plan::read_file(&layout.release_plan(&release))
        .ok()
        .flatten()
        .and_then(|file| file.content.ok());
    Ok(Running {
        is_target: layout
            .release_of(&plan.name)
            .is_ok_and(|target| target == release),
        plan: brought_by.map(|plan| (plan.name, plan.height)),
    })
}

/// Whether this very plan was rolled back, with the binary that failed still in place.
pub fn rolled_back(layout: &Layout, plan: &Plan) -> bool {
    let Ok(Some(journal)) = Journal::load(&layout.baton()) else {
        return false;
    };
    journal.stage == Stage::RolledBack
        && journal.plan.name == plan.name
        && journal.plan.height == plan.height
        && journal.failed_binary == binary_of(layout, plan)
}

/// Which writing of the plan's binary is in place.
pub fn binary_of(layout: &Layout, plan: &Plan) -> Option<Fingerprint> {
    let release = layout.release_of(&plan.name).ok()?;
    Fingerprint::of(&layout.bin(&release)).ok()
}

/// Whether the chain's stores were written well after the plan file: a node that needs the plan
/// writes nothing after it, but one that is past it does, and so did the one whose snapshot this
/// is.
pub fn chain_went_on(data: &Path, plan_written_ns: i64) -> bool {
    let Ok(entries) = fs::read_dir(data) else {
        return false;
    };
    entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.ends_with(".db") || name == "cs.wal"
        })
        // A store makes and removes files in its directory as it is written.
        .filter_map(|entry| fs::metadata(entry.path()).ok())
        .any(|meta| {
            let written = meta
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(meta.mtime_nsec());
            written > plan_written_ns.saturating_add(MARGIN_NS)
        })
}

/// The last height that a validator signed, from `priv_validator_state.json`; none for a node that
/// signs nothing. At an upgrade's halt it is the plan's height.
pub fn signed_height(data: &Path) -> Option<u64> {
    let text = fs::read(data.join("priv_validator_state.json")).ok()?;
    let state: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let height = match state.get("height")? {
        serde_json::Value::String(height) => height.parse().ok()?,
        height => height.as_u64()?,
    };
    (height > 0).then_some(height)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), "noded", &dir.path().join("data"), true);
        for path in [
            "data",
            "cosmovisor/genesis/bin",
            "cosmovisor/upgrades/v2/bin",
            "cosmovisor/.baton",
        ] {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        (dir, layout)
    }

    fn v2() -> Plan {
        Plan {
            name: "V2".to_owned(),
            height: 100,
            info: String::new(),
        }
    }

    #[test]
    fn the_running_release_knows_its_plan() {
        let (_dir, layout) = home();
        let genesis = running(&layout, &v2()).unwrap();
        assert_eq!((genesis.is_target, genesis.plan), (false, None));
        let release = layout.release_of("v2").unwrap();
        layout.switch(&release).unwrap();
        fs::write(layout.release_plan(&release), v2().to_json()).unwrap();
        let v2 = running(&layout, &v2()).unwrap();
        assert_eq!(
            (v2.is_target, v2.plan),
            (true, Some(("V2".to_owned(), 100)))
        );
    }

    #[test]
    fn a_rolled_back_plan_is_refused_until_its_binary_changes() {
        let (_dir, layout) = home();
        let bin = layout.bin(&layout.release_of("v2").unwrap());
        fs::write(&bin, "bad").unwrap();
        let mut journal = Journal::new(v2(), "genesis".into(), 0);
        journal.stage = Stage::RolledBack;
        journal.failed_binary = binary_of(&layout, &v2());
        journal.save(&layout.baton()).unwrap();
        assert!(rolled_back(&layout, &v2()));
        let mut other = v2();
        other.height = 200;
        assert!(!rolled_back(&layout, &other));
        fs::write(&bin, "mended").unwrap();
        assert!(!rolled_back(&layout, &v2()));
    }

    #[test]
    fn a_validator_s_last_signature_tells_where_the_chain_was() {
        let (_dir, layout) = home();
        let path = layout.data().join("priv_validator_state.json");
        assert_eq!(signed_height(layout.data()), None);
        for (text, height) in [
            (r#"{"height":"18","round":0,"step":3}"#, Some(18)),
            (r#"{"height":18}"#, Some(18)),
            (r#"{"height":"0"}"#, None),
            ("{", None),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(signed_height(layout.data()), height, "{text}");
        }
    }

    #[test]
    fn stores_written_long_after_the_plan_tell_that_the_chain_went_on() {
        let (_dir, layout) = home();
        assert!(!chain_went_on(layout.data(), 0), "no stores, no chain");
        let store = layout.data().join("application.db");
        fs::create_dir(&store).unwrap();
        let written = fs::metadata(&store).unwrap().mtime() * 1_000_000_000;
        assert!(!chain_went_on(layout.data(), written));
        assert!(chain_went_on(layout.data(), written - 2 * MARGIN_NS));
    }
}
