//! Facts of homes on disk.

use super::*;
use crate::doctor::{Verdict, judge};
use std::os::unix::fs::{PermissionsExt, symlink};
use tempfile::TempDir;

/// A home with a first binary, whose node runs nowhere.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(place.at("data")).unwrap();
        place.binary("genesis");
        symlink("genesis", place.at("cosmovisor/current")).unwrap();
        place
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn binary(&self, release: &str) {
        let path = self.at("cosmovisor").join(release).join("bin/simd");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn env(&self, more: &[(&str, &str)]) -> Env {
        let mut all = vec![
            ("DAEMON_HOME", self.0.path().to_str().unwrap()),
            ("DAEMON_NAME", "simd"),
            ("BATON_RPC_ADDRESS", "http://127.0.0.1:1"),
            ("DAEMON_GRPC_ADDRESS", "127.0.0.1:1"),
        ];
        all.extend(more);
        all.into_iter().collect()
    }

    fn facts_with(&self, more: &[(&str, &str)]) -> Facts {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(gather(None, &self.env(more)))
    }

    fn home(&self) -> Home {
        *self.facts_with(&[]).home.unwrap()
    }

    fn plan(&self, text: &str) {
        fs::write(self.at("data/upgrade-info.json"), text).unwrap();
    }
}

#[test]
fn a_home_without_a_supervisor_is_looked_at_and_left_as_it_was() {
    let place = Place::new();
    let before = names(place.0.path());
    let facts = place.facts_with(&[]);
    let report = judge(&facts);
    assert_eq!(report.verdict, Verdict::Warn, "{}", report.render_text());
    let warned: Vec<_> = report
        .findings
        .iter()
        .filter(|f| f.verdict != Verdict::Ok)
        .map(|f| f.id)
        .collect();
    assert_eq!(warned, ["supervisor"], "{}", report.render_text());
    assert_eq!(names(place.0.path()), before);
}

fn names(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(names(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

#[test]
fn what_current_points_to_is_found_without_making_it() {
    let place = Place::new();
    let link = place.at("cosmovisor/current");
    assert_eq!(place.home().current, Current::To(Release::Genesis));
    fs::remove_file(&link).unwrap();
    let home = place.home();
    assert_eq!(home.current, Current::Unmade);
    assert_eq!(home.current_binary, Binary::Runs);
    assert!(!link.exists());
    symlink("upgrades/gone", &link).unwrap();
    assert!(matches!(place.home().current, Current::Wrong(_)));
}

#[test]
fn programs_are_told_from_what_is_none() {
    let place = Place::new();
    let path = place.at("cosmovisor/genesis/bin/simd");
    for (content, mode, want) in [
        ("#!/bin/sh\n", 0o755, Some(Binary::Runs)),
        ("#!/bin/sh\n", 0o644, Some(Binary::NotMarked { ours: true })),
        ("<html>", 0o755, None),
        ("#!/no/such/shell\n", 0o755, None),
        ("", 0o755, None),
    ] {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        match want {
            Some(want) => assert_eq!(probe(&path), want),
            None => assert!(matches!(probe(&path), Binary::Unfit(_)), "{content}"),
        }
    }
    assert_eq!(probe(&place.at("nothing")), Binary::Missing);
    assert!(matches!(probe(&place.at("data")), Binary::Unfit(_)));
}

#[test]
fn directories_that_run_does_not_look_for_are_found() {
    let place = Place::new();
    place.binary("upgrades/V2");
    place.binary("upgrades/v3");
    place.binary("upgrades/some%20name");
    place.binary("upgrades/some name");
    fs::create_dir_all(place.at("cosmovisor/upgrades/.fetch-v4")).unwrap();
    fs::create_dir_all(place.at("cosmovisor/upgrades/v5")).unwrap();
    let found: Vec<_> = place
        .home()
        .releases
        .into_iter()
        .map(|d| (d.name, d.binary == Binary::Runs, d.looked_for))
        .collect();
    let found: Vec<_> = found
        .iter()
        .map(|(name, runs, looked_for)| (name.as_str(), *runs, looked_for.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            ("V2", true, Some("v2")),
            ("some name", true, Some("some%20name")),
            ("some%20name", true, None),
            ("v3", true, None),
            ("v5", false, None),
        ]
    );
}

#[test]
fn what_is_to_come_is_known_once_and_without_what_is_behind() {
    let place = Place::new();
    place.plan(r#"{"name":"V2","height":100}"#);
    fs::write(
        place.at("data/upgrade-info.json.batch"),
        r#"[{"name":"V2","height":100},{"name":"v3","height":200}]"#,
    )
    .unwrap();
    place.binary("upgrades/v3");
    let home = place.home();
    let known: Vec<_> = home
        .pending
        .iter()
        .map(|p| (p.plan.name.as_str(), p.said_by, p.binary.clone()))
        .collect();
    assert_eq!(
        known,
        [
            ("V2", "upgrade-info.json", Binary::Missing),
            ("v3", "the batch list", Binary::Runs),
        ]
    );
    assert_eq!(home.batch, Ok(2));

    place.binary("upgrades/v2");
    let link = place.at("cosmovisor/current");
    fs::remove_file(&link).unwrap();
    symlink("upgrades/v2", &link).unwrap();
    fs::write(
        place.at("cosmovisor/upgrades/v2/upgrade-info.json"),
        r#"{"name":"v2","height":100}"#,
    )
    .unwrap();
    let home = place.home();
    let known: Vec<_> = home.pending.iter().map(|p| p.plan.name.as_str()).collect();
    assert_eq!(known, ["v3"]);
}

#[test]
fn plan_files_are_told_apart() {
    let place = Place::new();
    assert_eq!(place.home().plan_file, PlanFile::Absent);
    place.plan("{\"na");
    assert!(matches!(place.home().plan_file, PlanFile::Incomplete(_)));
    place.plan("{}");
    assert!(matches!(place.home().plan_file, PlanFile::Wrong(_)));
}

#[test]
fn the_data_is_followed_where_it_lies() {
    let place = Place::new();
    let real = place.at("elsewhere");
    fs::rename(place.at("data"), &real).unwrap();
    let data = place.at("data");
    assert!(matches!(super::data(&data), Data::Wrong(_)));
    symlink("elsewhere", &data).unwrap();
    let Data::There {
        real: Some(found), ..
    } = super::data(&data)
    else {
        panic!("it is there");
    };
    assert_eq!(found, fs::canonicalize(&real).unwrap());
    fs::remove_dir(&real).unwrap();
    assert_eq!(
        super::data(&data),
        Data::Dangling(PathBuf::from("elsewhere"))
    );
    fs::write(&real, "").unwrap();
    assert_eq!(
        super::data(&data),
        Data::Wrong("not a directory".to_owned())
    );
    assert!(is_mount_point(Path::new("/")));
}

#[test]
fn a_backup_is_estimated_unless_none_is_made() {
    let place = Place::new();
    fs::write(place.at("data/file"), vec![1; 5000]).unwrap();
    let estimate = place.home().estimate.unwrap().unwrap();
    assert_eq!((estimate.files, estimate.bytes), (1, 5000));
    let without = place.facts_with(&[("UNSAFE_SKIP_BACKUP", "true")]);
    assert!(without.home.unwrap().estimate.is_none());
    fs::create_dir(place.at("data-backup-2024-3-7")).unwrap();
    assert_eq!(
        place.home().backups,
        Ok((0, vec![place.at("data-backup-2024-3-7")]))
    );
}

#[test]
fn what_can_be_read_of_a_wrong_configuration_is_still_looked_at() {
    let place = Place::new();
    let facts = place.facts_with(&[
        ("DAEMON_POLL_INTERVAL", "600"),
        ("BATON_RESTARTS", "always"),
    ]);
    assert_eq!(facts.errors.len(), 1);
    assert_eq!(facts.ignored, ["BATON_RESTARTS (in the environment)"]);
    assert!(facts.home.is_some());
    assert_eq!(judge(&facts).verdict, Verdict::Fail);
    let nowhere = place.facts_with(&[("DAEMON_HOME", "")]);
    assert!(nowhere.home.is_none());
}

#[test]
fn a_supervisor_is_known_by_its_lock() {
    let place = Place::new();
    let baton = place.at("cosmovisor/.baton");
    let lock = lock::take(&baton).unwrap();
    let home = place.home();
    assert_eq!(home.supervisor, Some(std::process::id()));
    assert!(home.written.iter().any(|(path, _)| *path == baton));
    drop(lock);
    assert_eq!(place.home().supervisor, None);
}
