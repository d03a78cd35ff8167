//! Can the data be backed up, and put back?

use super::facts::{Access, Data, Home};
use super::{Findings, counted};
use crate::backup::{Bytes, Method};
use crate::config::BackupMode;

pub(super) fn judge(home: &Home, findings: &mut Findings) {
    data(home, findings);
    let config = &home.config;
    if config.skip_backup || config.baton.backup_mode == BackupMode::Off {
        // Told with the settings.
        return;
    }
    let dir = config.data_backup_dir.display();
    match &home.backup_dir {
        Access::Writable => findings.ok("backup-dir", dir.to_string()),
        Access::Absent => findings.fail(
            "backup-dir",
            format!("{dir} is not there"),
            "make it, or choose another DAEMON_DATA_BACKUP_DIR",
        ),
        Access::Refused(why) => findings.fail(
            "backup-dir",
            format!("{dir} cannot be written to: {why}"),
            "let the user that runs the node write to it, or choose another DAEMON_DATA_BACKUP_DIR",
        ),
    }
    room(home, findings);
    backups(home, findings);
}

fn data(home: &Home, findings: &mut Findings) {
    const ID: &str = "data";
    let path = home.config.layout().data().display().to_string();
    match &home.data {
        Data::Wrong(why) => findings.fail(
            ID,
            format!("{path}: {why}"),
            "no supervisor starts without it: correct DAEMON_HOME or DAEMON_DATA_DIR, or make it with the node's `init`",
        ),
        Data::Dangling(target) => findings.fail(
            ID,
            format!("{path} is a link to {}, which is not there", target.display()),
            "mount the disk that it is on, or correct the link",
        ),
        Data::There {
            access: Access::Refused(why),
            ..
        } => findings.fail(
            ID,
            format!("{path} cannot be written to: {why}"),
            "let the user that runs the node write to it",
        ),
        Data::There {
            mount_point: true, ..
        } => findings.warn(
            ID,
            format!("{path} is a mount point, which cannot be renamed: a backup can be made, but not put back by `restore` or `rollback`"),
            "mount the disk one directory higher, and set DAEMON_DATA_DIR",
        ),
        Data::There {
            real: Some(real), ..
        } => findings.ok(ID, format!("{path} is a link to {}", real.display())),
        Data::There { .. } => findings.ok(ID, path),
    }
}

fn room(home: &Home, findings: &mut Findings) {
    const ID: &str = "backup-room";
    match &home.estimate {
        None => {}
        Some(Err(why)) => findings.fail(ID, why, "the upgrade stops at the backup: make room there, or choose another DAEMON_DATA_BACKUP_DIR or BATON_BACKUP_MODE"),
        Some(Ok(estimate)) => {
            let text = format!(
                "{} in {} by {}: {} needed, {} free",
                Bytes(estimate.bytes),
                counted(estimate.files, "file"),
                estimate.method,
                Bytes(estimate.needed),
                Bytes(estimate.free)
            );
            // Nothing but copying is possible, and that takes its time while the node is down.
            let slow = estimate.method == Method::Copy
                && home.config.baton.backup_mode == BackupMode::Auto
                && estimate.bytes >= SLOW;
            if slow {
                let why: Vec<_> = estimate.passed.iter().map(ToString::to_string).collect();
                findings.warn(
                    ID,
                    format!("{text}\nevery byte is copied while the node is down: {}", why.join("; ")),
                    "keep backups on the file system of the data (DAEMON_DATA_BACKUP_DIR)",
                );
            } else {
                findings.ok(ID, text);
            }
        }
    }
}

/// So many bytes take a disk about half a minute.
const SLOW: u64 = 10 << 30;

fn backups(home: &Home, findings: &mut Findings) {
    match &home.backups {
        Err(why) => findings.warn("backups", why, "look at DAEMON_DATA_BACKUP_DIR"),
        Ok((complete, doubtful)) if doubtful.is_empty() => {
            findings.ok("backups", format!("{complete} complete"));
        }
        Ok((complete, doubtful)) => {
            let paths: Vec<_> = doubtful
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            findings.warn(
                "backups",
                format!(
                    "{complete} complete; without a manifest, so not known to be whole:\n{}",
                    paths.join("\n")
                ),
                "nothing; they were made by Cosmovisor, or are damaged. `baton restore` takes one only with --accept-unverified",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Home as Given, assert_fails, assert_oks, assert_warns};
    use super::*;
    use std::path::PathBuf;

    fn there() -> Data {
        Data::There {
            real: None,
            mount_point: false,
            access: Access::Writable,
        }
    }

    #[test]
    fn the_data_must_be_there_and_writable() {
        let mut home = Given::good();
        home.data = Data::Wrong("no such file or directory".to_owned());
        assert_fails(&home.facts(), "data", "no such file");
        home.data = Data::Dangling(PathBuf::from("/mnt/gone"));
        assert_fails(&home.facts(), "data", "/mnt/gone");
        home.data = Data::There {
            real: Some(PathBuf::from("/mnt/data")),
            mount_point: false,
            access: Access::Writable,
        };
        assert_oks(&home.facts(), "data", "/mnt/data");
        home.data = Data::There {
            real: None,
            mount_point: true,
            access: Access::Writable,
        };
        assert_warns(&home.facts(), "data", "mount point");
        home.data = Data::There {
            real: None,
            mount_point: false,
            access: Access::Refused("read-only file system".to_owned()),
        };
        assert_fails(&home.facts(), "data", "read-only");
        home.data = there();
        assert_oks(&home.facts(), "data", "/h/data");
    }

    #[test]
    fn a_backup_must_have_its_place_and_its_room() {
        let mut home = Given::good();
        home.backup_dir = Access::Refused("permission denied".to_owned());
        assert_fails(&home.facts(), "backup-dir", "permission denied");
        home.backup_dir = Access::Absent;
        assert_fails(&home.facts(), "backup-dir", "not there");
        home.estimate = Some(Err("needs 10 GiB, 1 GiB free".to_owned()));
        assert_fails(&home.facts(), "backup-room", "10 GiB");
        let mut estimate = Given::estimate();
        estimate.bytes = SLOW;
        estimate.method = Method::Copy;
        home.estimate = Some(Ok(estimate));
        assert_warns(&home.facts(), "backup-room", "while the node is down");
        home.config.baton.backup_mode = BackupMode::Copy;
        assert_oks(&home.facts(), "backup-room", "needed");
    }

    #[test]
    fn doubtful_backups_are_named() {
        let mut home = Given::good();
        home.backups = Ok((1, vec![PathBuf::from("/h/data-backup-2024-3-7")]));
        assert_warns(&home.facts(), "backups", "data-backup-2024-3-7");
        home.backups = Err("reading /h: permission denied".to_owned());
        assert_warns(&home.facts(), "backups", "permission denied");
    }

    #[test]
    fn without_backups_their_place_does_not_matter() {
        let mut home = Given::good();
        home.backup_dir = Access::Absent;
        home.config.skip_backup = true;
        let report = super::super::judge(&home.facts());
        assert!(report.findings.iter().all(|f| f.id != "backup-dir"));
    }
}
