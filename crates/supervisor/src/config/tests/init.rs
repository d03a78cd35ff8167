//! What `init` reads and writes.

use std::{fs, time::Duration};

use tempfile::TempDir;

use crate::config::*;

#[test]
fn init_writes_cosmovisors_file() {
    let env: Env = [("DAEMON_HOME", "/x"), ("DAEMON_NAME", "simd")]
        .into_iter()
        .collect();
    let loaded = Config::load_for_init(&env).unwrap();
    assert!(loaded.dropped.is_none());
    assert_eq!(
        loaded.to_toml(),
        "daemon_home = '/x'
daemon_name = 'simd'
daemon_allow_download_binaries = false
daemon_download_must_have_checksum = false
daemon_restart_after_upgrade = true
daemon_restart_delay = 0
daemon_shutdown_grace = 0
daemon_poll_interval = 300000000
unsafe_skip_backup = false
daemon_data_backup_dir = '/x'
daemon_preupgrade_max_retries = 0
daemon_grpc_address = 'localhost:9090'
cosmovisor_disable_logs = false
cosmovisor_color_logs = true
cosmovisor_timeformat_logs = 'kitchen'
cosmovisor_custom_preupgrade = ''
cosmovisor_disable_recase = false
"
    );
}

#[test]
fn init_keeps_what_the_environment_sets_of_ours() {
    let set = [
        ("DAEMON_HOME", "/x"),
        ("DAEMON_NAME", "simd"),
        ("DAEMON_DATA_DIR", "/d"),
        ("BATON_BACKUP_KEEP", "3"),
        ("BATON_ROLLBACK", "2"),
        ("BATON_PREFETCH", "true"),
    ];
    let env: Env = set.into_iter().collect();
    let written = Config::load_for_init(&env).unwrap();
    let toml = written.to_toml();
    let tail = "daemon_data_dir = '/d'\n\n[baton]\nbackup_keep = '3'\nprefetch = 'true'\nrollback = '2/10m0s'\n";
    assert!(toml.ends_with(tail), "{toml}");
    let file = TempDir::new().unwrap();
    let file = file.path().join("c.toml");
    fs::write(&file, toml).unwrap();
    let (read, _) = reading::read(FromFile::open(&file, &Env::default()).unwrap());
    assert_eq!(read.config, written.config);
}

#[test]
fn init_needs_only_a_name_and_a_home() {
    let load =
        |variables: &[(&str, &str)]| Config::load_for_init(&variables.iter().copied().collect());
    assert_eq!(
        load(&[]).unwrap_err().to_string(),
        "DAEMON_NAME is not set\nDAEMON_HOME is not set"
    );
    assert_eq!(
        load(&[("DAEMON_NAME", "a"), ("DAEMON_HOME", "rel")])
            .unwrap_err()
            .to_string(),
        "DAEMON_HOME must be an absolute path"
    );
    let loaded = load(&[
        ("DAEMON_NAME", "a"),
        ("DAEMON_HOME", "/no/such"),
        ("DAEMON_POLL_INTERVAL", "600"),
        ("COSMOVISOR_COLOR_LOGS", "no"),
        ("BATON_BACKUP_KEEP", "x"),
    ])
    .unwrap();
    assert_eq!(loaded.config.poll_interval, Duration::from_millis(300));
    assert!(loaded.config.color_logs);
    assert_eq!(loaded.dropped.unwrap().iter().count(), 3);
}
