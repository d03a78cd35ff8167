//! A file, and the environment over it.

use std::{fs, path::Path, time::Duration};

use super::*;
use crate::config::*;

#[test]
fn config_from_file() {
    let home = home();
    let set = [
        ("DAEMON_RESTART_DELAY", "600s"),
        ("DAEMON_POLL_INTERVAL", "1s"),
        ("DAEMON_GRPC_ADDRESS", "node:1"),
        ("COSMOVISOR_TIMEFORMAT_LOGS", "rfc1123z"),
        ("COSMOVISOR_CUSTOM_PREUPGRADE", "a'b"),
        ("DAEMON_PREUPGRADE_MAX_RETRIES", "3"),
    ];
    let written = load_over(home.path(), &set).unwrap();
    let file = home.path().join("config.toml");
    fs::write(&file, written.to_toml()).unwrap();

    let read = load_file(&file, &[]).unwrap();
    assert_eq!(read.config, written.config);
    assert_eq!(read.file.as_deref(), Some(file.as_path()));
    assert_eq!(read.source(Key::ShutdownGrace), Source::File);
    assert_eq!(read.source(Key::DataDir), Source::Default);

    let overridden = load_file(&file, &[("DAEMON_NAME", "env-name"), ("DAEMON_HOME", "")]).unwrap();
    assert_eq!(overridden.config.name, "env-name");
    assert_eq!(overridden.source(Key::DaemonName), Source::Environment);
    assert_eq!(overridden.source(Key::DaemonHome), Source::File);

    let env = [("DAEMON_HOME", text(home.path())), ("DAEMON_NAME", "x")];
    assert_eq!(load_file(Path::new(""), &env).unwrap().config.name, "x");
}

#[test]
fn missing_keys_in_a_file_take_their_defaults() {
    let home = home();
    let read = load_file(&write_file(home.path(), ""), &[]).unwrap();
    assert_eq!(read.config, load_over(home.path(), &[]).unwrap().config);
    // and, like keys that are there, give way to the environment
    let read = load_file(
        &write_file(home.path(), ""),
        &[
            ("DAEMON_RESTART_DELAY", "2s"),
            ("COSMOVISOR_TIMEFORMAT_LOGS", ""),
        ],
    );
    let read = read.unwrap().config;
    assert_eq!(read.restart_delay, Duration::from_secs(2));
    assert_eq!(read.time_format, TimeFormat::Kitchen);
}

#[test]
fn a_file_is_decoded_leniently() {
    let home = home();
    let read = |lines: &str| load_file(&write_file(home.path(), lines), &[]).unwrap();
    let config = read(
        "Daemon_Allow_Download_Binaries = 1
         daemon_restart_after_upgrade = 'T'
         daemon_poll_interval = '1m'
         daemon_restart_delay = 1.9
         daemon_preupgrade_max_retries = '0x1f'
         unsafe_skip_backup = ''
         cosmovisor_color_logs = 0.0
         cosmovisor_custom_preupgrade = 3",
    )
    .config;
    assert!(config.allow_download_binaries && config.restart_after_upgrade);
    assert_eq!(config.poll_interval, Duration::from_mins(1));
    assert_eq!(config.restart_delay, Duration::from_nanos(1));
    assert_eq!(config.preupgrade_max_retries, 31);
    assert!(!config.skip_backup && !config.color_logs);
    assert_eq!(config.custom_preupgrade.as_deref(), Some("3"));
    let loaded = read("later_key = 1\n[table]\na = 1");
    let names: Vec<_> = loaded.ignored.iter().map(|i| i.name.as_str()).collect();
    assert_eq!(names, ["later_key", "table"]);
}

#[test]
fn a_bad_file_is_told() {
    let home = home();
    let error = |lines: &str, variables: &[(&str, &str)]| {
        load_file(&write_file(home.path(), lines), variables).unwrap_err()
    };
    let file = home.path().join("config.toml");
    assert_eq!(
        error(
            "daemon_poll_interval = [1]\ndaemon_grpc_address = {a = ['b', 2]}",
            &[
                ("DAEMON_RESTART_DELAY", "5"),
                ("UNSAFE_SKIP_BACKUP", "yes"),
                ("DAEMON_HOME", "rel")
            ]
        ),
        "failed to unmarshal configuration: 4 error(s) decoding:\n\n\
         * 'daemon_grpc_address' expected type 'string', got unconvertible type \
         'map[string]interface {}', value: 'map[a:[b 2]]'\n\
         * 'daemon_poll_interval' expected type 'time.Duration', got unconvertible type \
         '[]interface {}', value: '[1]'\n\
         * cannot parse 'unsafe_skip_backup' as bool: strconv.ParseBool: parsing \"yes\": invalid syntax\n\
         * error decoding 'daemon_restart_delay': time: missing unit in duration \"5\""
    );
    assert_eq!(
        error(
            "daemon_poll_interval = 0\ndaemon_restart_delay = -5\ncosmovisor_timeformat_logs = 'x'",
            &[("DAEMON_HOME", "rel"), ("DAEMON_SHUTDOWN_GRACE", "-1s")]
        )
        .lines()
        .skip(1)
        .collect::<Vec<_>>(),
        [
            &format!(
                "invalid: DAEMON_POLL_INTERVAL: must be greater than 0, got 0s from \
                 daemon_poll_interval in {}",
                file.display()
            ),
            &format!(
                "invalid: DAEMON_RESTART_DELAY: must be greater than 0, got -5ns from \
                 daemon_restart_delay in {}",
                file.display()
            ),
            "invalid: DAEMON_SHUTDOWN_GRACE: must be greater than 0, got -1s from the environment",
            "DAEMON_HOME must be an absolute path",
            "rel must be an absolute path",
        ]
    );
    assert_eq!(
        error("daemon_data_backup_dir = ''", &[]),
        "DAEMON_DATA_BACKUP_DIR must not be empty"
    );
    assert!(
        error("daemon_name = 'twice'", &[])
            .starts_with("failed to read config file: While parsing config: toml: "),
    );
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let home = home();
    let error = |name: &str| {
        let path = home.path().join(name);
        let error = load_file(&path, &[]).unwrap_err();
        error.replace(text(home.path()), "H")
    };
    fs::create_dir(home.path().join("dir.toml")).unwrap();
    fs::write(home.path().join("noext"), "").unwrap();
    fs::write(home.path().join("x.TOML"), "").unwrap();
    fs::write(home.path().join("latin.toml"), b"a = '\xe9'").unwrap();
    fs::write(home.path().join("big.toml"), "#".repeat((1 << 20) + 1)).unwrap();
    assert_eq!(
        error("nope.toml"),
        "config not found: at H/nope.toml : stat H/nope.toml: no such file or directory"
    );
    for (name, why) in [
        ("dir.toml", "read H/dir.toml: is a directory"),
        ("noext", "Unsupported Config Type \"\""),
        ("x.TOML", "Unsupported Config Type \"TOML\""),
        (
            "latin.toml",
            "read H/latin.toml: stream did not contain valid UTF-8",
        ),
        ("big.toml", "H/big.toml is larger than 1048576 bytes"),
    ] {
        assert_eq!(error(name), format!("failed to read config file: {why}"));
    }
}

#[test]
fn own_settings_in_a_file() {
    let home = home();
    let lines = "daemon_data_dir = '/var/data'
        [baton]
        backup_mode = 'copy'
        backup_keep = 2
        backup_immutable = ['*.blob', '*.vlog']
        Restart = 'always'
        prefetch = true
        rollback = false
        hook = ''";
    let file = write_file(home.path(), lines);
    let loaded = load_file(&file, &[("BATON_RESTART", "on-failure")]).unwrap();
    assert_eq!(loaded.config.data_dir, Path::new("/var/data"));
    let expected = BatonSettings {
        backup_mode: BackupMode::Copy,
        backup_keep: 2,
        backup_immutable: vec!["*.blob".to_owned(), "*.vlog".to_owned()],
        restart: RestartPolicy::OnFailure,
        prefetch: Some(true),
        ..BatonSettings::default()
    };
    assert_eq!(loaded.config.baton, expected);
    assert_eq!(loaded.source(Key::BackupKeep), Source::File);
    assert_eq!(loaded.source(Key::Restart), Source::Environment);

    let file = write_file(
        home.path(),
        "[baton]\nrestrat = 'never'\nrollback = 'maybe'",
    );
    assert_eq!(
        load_file(&file, &[("BATON_HOOK", "h")]).unwrap_err(),
        format!(
            "unknown key baton.restrat in {0}: the [baton] table knows backup_mode, backup_keep, \
             backup_immutable, restart, rpc_address, prefetch, rollback, hook, webhook, admin_address, relay\n\
             invalid: BATON_ROLLBACK: must be off, a number of failures such as 3, or 3/10m, got \
             \"maybe\" from baton.rollback in {0}\n\
             invalid: BATON_HOOK: must be the absolute path of an executable, got \"h\" from the environment",
            file.display()
        )
    );
    let file = write_file(home.path(), "baton = 3");
    assert!(
        load_file(&file, &[])
            .unwrap_err()
            .contains("'baton' expected type")
    );
}
