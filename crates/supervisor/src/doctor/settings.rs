//! Is the configuration one that an upgrade survives?

use std::time::Duration;

use super::facts::{Binary, Facts, Home};
use super::{Findings, plans};
use crate::config::{BackupMode, DEFAULT_SHUTDOWN_GRACE};

/// A node needs some time to flush and close its databases.
const SHORT_GRACE: Duration = Duration::from_secs(5);
/// More often than this is a load, less often may find a plan late.
const POLL: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_mins(1);

pub(super) fn judge(facts: &Facts, findings: &mut Findings) {
    for error in &facts.errors {
        findings.fail("config", error, "correct the setting, then look again");
    }
    for ignored in &facts.ignored {
        findings.warn(
            "config",
            format!("no setting has the name {ignored}; it is ignored"),
            "correct the name, or remove it",
        );
    }
    if facts.errors.is_empty() && facts.ignored.is_empty() {
        findings.ok("config", "every setting can be read");
    }
    if let Some(home) = &facts.home {
        of_stopping(home, findings);
        of_upgrading(home, findings);
        of_downloads(home, findings);
        scripts(home, findings);
    }
}

fn of_stopping(home: &Home, findings: &mut Findings) {
    let grace = home.config.shutdown_grace.unwrap_or(DEFAULT_SHUTDOWN_GRACE);
    if grace < SHORT_GRACE {
        findings.warn(
            "shutdown-grace",
            format!("the node is killed after {grace:?} if it has not stopped by then, which can tear its database"),
            "set DAEMON_SHUTDOWN_GRACE to 30s or more, and TimeoutStopSec of its systemd unit above that",
        );
    } else {
        findings.ok("shutdown-grace", format!("the node has {grace:?} to stop"));
    }
    let poll = home.config.poll_interval;
    if POLL.contains(&poll) {
        findings.ok("poll-interval", format!("{poll:?}"));
    } else if poll < *POLL.start() {
        findings.warn(
            "poll-interval",
            format!("the plan file is looked at every {poll:?}, which is a load for nothing: file-system events tell sooner"),
            "unset DAEMON_POLL_INTERVAL (300ms)",
        );
    } else {
        findings.warn(
            "poll-interval",
            format!("where there are no file-system events, a plan is found up to {poll:?} late"),
            "unset DAEMON_POLL_INTERVAL (300ms)",
        );
    }
}

fn of_upgrading(home: &Home, findings: &mut Findings) {
    let config = &home.config;
    if !config.restart_after_upgrade {
        findings.warn(
            "restart",
            "after the upgrade the node stays down until somebody starts it (DAEMON_RESTART_AFTER_UPGRADE=false)",
            "be there at the height, or set it to true",
        );
    } else if config.preupgrade_max_retries < 0 {
        findings.fail(
            "restart",
            format!(
                "the new binary's pre-upgrade always fails with DAEMON_PREUPGRADE_MAX_RETRIES={}",
                config.preupgrade_max_retries
            ),
            "set it to 0 or more",
        );
    } else {
        findings.ok("restart", "the new binary is started after the upgrade");
    }
    let backs_up = !config.skip_backup && config.baton.backup_mode != BackupMode::Off;
    match (backs_up, config.baton.rollback) {
        (true, Some(_)) => findings.ok("rollback", "a failing upgrade is rolled back"),
        (true, None) => findings.ok(
            "rollback",
            "a failing upgrade is not rolled back by itself; `baton rollback` does it",
        ),
        (false, Some(_)) => findings.fail(
            "rollback",
            "BATON_ROLLBACK is set, but without a backup there is nothing to roll back to",
            "unset UNSAFE_SKIP_BACKUP, and BATON_BACKUP_MODE if it is off",
        ),
        (false, None) => findings.warn(
            "rollback",
            "no backup is made, so a failing upgrade cannot be rolled back",
            "unset UNSAFE_SKIP_BACKUP: where the file system helps, or with BATON_BACKUP_MODE=hardlink, a backup takes seconds and little room",
        ),
    }
}

fn of_downloads(home: &Home, findings: &mut Findings) {
    let config = &home.config;
    let prefetch = config.baton.prefetch;
    if !config.allow_download_binaries {
        if prefetch == Some(true) {
            findings.warn(
                "downloads",
                "BATON_PREFETCH is on, but downloads are not allowed",
                "set DAEMON_ALLOW_DOWNLOAD_BINARIES=true, or unset BATON_PREFETCH",
            );
        } else {
            findings.ok("downloads", "binaries are put in place by hand");
        }
    } else if config.download_must_have_checksum {
        findings.ok("downloads", "binaries are downloaded, with a checksum only");
    } else {
        findings.warn(
            "downloads",
            "binaries are downloaded and run even if the plan gives no checksum",
            "set DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM=true",
        );
    }
    if config.allow_download_binaries && prefetch == Some(false) {
        findings.warn(
            "prefetch",
            "binaries are downloaded only at the height, when every minute counts",
            "unset BATON_PREFETCH, or run `baton prepare-upgrade` ahead of each upgrade",
        );
    }
}

fn scripts(home: &Home, findings: &mut Findings) {
    if let Some((path, binary)) = &home.custom {
        match binary {
            Binary::Runs => findings.ok("custom-script", path.display().to_string()),
            // It is made executable before it is run.
            Binary::NotMarked { ours: true } => {
                findings.ok("custom-script", path.display().to_string());
            }
            other => findings.fail(
                "custom-script",
                format!("{}: {}", path.display(), plans::unfit(other)),
                "mend it, or unset COSMOVISOR_CUSTOM_PREUPGRADE; the upgrade stops at it",
            ),
        }
    }
    if let Some((path, binary)) = &home.hook {
        match binary {
            Binary::Runs => findings.ok("hook", path.display().to_string()),
            other => findings.warn(
                "hook",
                format!("{}: {}", path.display(), plans::unfit(other)),
                "mend it, or unset BATON_HOOK; nobody is told of the upgrade otherwise",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Home as Given, assert_fails, assert_warns};
    use super::*;
    use crate::config::Rollback;
    use std::path::PathBuf;

    #[test]
    fn errors_and_unknown_names_are_told() {
        let mut facts = Given::good().facts();
        facts.errors.push("DAEMON_NAME is not set".to_owned());
        facts.ignored.push("BATON_RESTARTS".to_owned());
        assert_fails(&facts, "config", "DAEMON_NAME is not set");
        assert_warns(&facts, "config", "BATON_RESTARTS");
        facts.home = None;
        assert_fails(&facts, "config", "DAEMON_NAME is not set");
    }

    #[test]
    fn a_short_grace_and_odd_intervals_are_told() {
        let mut home = Given::good();
        home.config.shutdown_grace = Some(Duration::from_secs(2));
        home.config.poll_interval = Duration::from_nanos(15);
        assert_warns(&home.facts(), "shutdown-grace", "2s");
        assert_warns(&home.facts(), "poll-interval", "15ns");
        home.config.poll_interval = Duration::from_mins(10);
        assert_warns(&home.facts(), "poll-interval", "late");
    }

    #[test]
    fn what_follows_the_upgrade_is_looked_at() {
        let mut home = Given::good();
        home.config.restart_after_upgrade = false;
        assert_warns(&home.facts(), "restart", "stays down");
        let mut home = Given::good();
        home.config.preupgrade_max_retries = -1;
        assert_fails(&home.facts(), "restart", "always fails");
        let mut home = Given::good();
        home.config.skip_backup = true;
        assert_warns(&home.facts(), "rollback", "no backup is made");
        home.config.baton.rollback = Some(Rollback {
            failures: 1,
            window: Duration::from_mins(1),
        });
        assert_fails(&home.facts(), "rollback", "BATON_ROLLBACK");
        home.config.skip_backup = false;
        home.config.baton.backup_mode = BackupMode::Off;
        assert_fails(&home.facts(), "rollback", "BATON_ROLLBACK");
    }

    #[test]
    fn downloads_without_checksums_or_ahead_of_time_are_told() {
        let mut home = Given::good();
        home.config.baton.prefetch = Some(true);
        assert_warns(&home.facts(), "downloads", "not allowed");
        home.config.allow_download_binaries = true;
        assert_warns(&home.facts(), "downloads", "no checksum");
        home.config.baton.prefetch = Some(false);
        assert_warns(&home.facts(), "prefetch", "only at the height");
    }

    #[test]
    fn scripts_must_be_there_and_run() {
        let path = || PathBuf::from("/x/script");
        let mut home = Given::good();
        home.custom = Some((path(), Binary::Missing));
        home.hook = Some((path(), Binary::NotMarked { ours: true }));
        assert_fails(&home.facts(), "custom-script", "/x/script: it is not there");
        assert_warns(&home.facts(), "hook", "not marked as executable");
        home.custom = Some((path(), Binary::NotMarked { ours: false }));
        assert_fails(&home.facts(), "custom-script", "not marked");
    }
}
