//! The environment as the only source, and what is checked whatever the source is.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

use super::*;
use crate::config::*;

#[test]
fn validate() {
    let home = home();
    let bare = TempDir::new().unwrap();
    let good = text(home.path());
    let lines = |variables: &[(&str, &str)]| match load(variables) {
        Ok(_) => 0,
        Err(errors) => errors.lines().count(),
    };
    let name = ("DAEMON_NAME", "bind");
    let home = |path| ("DAEMON_HOME", path);
    let backup = |path| ("DAEMON_DATA_BACKUP_DIR", path);
    let skip = ("UNSAFE_SKIP_BACKUP", "true");
    let download = ("DAEMON_ALLOW_DOWNLOAD_BINARIES", "true");
    for (case, variables, errors) in [
        ("happy", vec![name, home(good), backup(good)], 0),
        (
            "download",
            vec![name, home(good), backup(good), download],
            0,
        ),
        ("skip, no backup dir", vec![name, home(good), skip], 0),
        (
            "skip, missing backup dir",
            vec![name, home(good), skip, backup("/no/such/dir")],
            0,
        ),
        (
            "skip, relative backup dir",
            vec![name, home(good), skip, backup("foo")],
            0,
        ),
        ("no home", vec![name, backup(good)], 1),
        ("no name", vec![home(good), backup(good)], 1),
        ("relative home", vec![name, home("foo"), backup(good)], 1),
        (
            "home without cosmovisor",
            vec![name, home(text(bare.path())), backup(good)],
            1,
        ),
        (
            "no such home",
            vec![name, home("/no/such/dir"), backup(good)],
            1,
        ),
        ("empty backup dir", vec![name, home(good), backup("")], 0),
        (
            "missing backup dir",
            vec![name, home(good), backup("/no/such/dir")],
            1,
        ),
        (
            "relative backup dir",
            vec![name, home(good), backup("foo")],
            1,
        ),
    ] {
        assert_eq!(lines(&variables), errors, "{case}");
    }
}

#[test]
fn validation_speaks_as_cosmovisor() {
    let home = home();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let occupied = home.path().join("occupied");
    fs::create_dir(&occupied).unwrap();
    fs::write(occupied.join("cosmovisor"), "").unwrap();
    let error = |home: &Path, backup: &str| {
        let set = [
            ("DAEMON_NAME", "a"),
            ("DAEMON_HOME", text(home)),
            ("DAEMON_DATA_BACKUP_DIR", backup),
        ];
        load(&set).unwrap_err()
    };
    let good = text(home.path());
    assert_eq!(
        error(Path::new("/x"), good),
        "cannot stat home dir: stat /x/cosmovisor: no such file or directory"
    );
    assert_eq!(
        error(&occupied, good),
        format!("{}/cosmovisor is not a directory", occupied.display())
    );
    assert_eq!(
        error(&file, good),
        format!(
            "cannot stat home dir: stat {}/cosmovisor: not a directory",
            file.display()
        )
    );
    assert_eq!(error(home.path(), "rel"), "rel must be an absolute path");
    assert_eq!(
        error(home.path(), text(&file)),
        format!("\"{}\" must be a valid directory", file.display())
    );
    assert_eq!(
        error(home.path(), "/nonexist"),
        "\"/nonexist\" must be a valid directory: stat /nonexist: no such file or directory"
    );
    assert_eq!(
        load_over(home.path(), &[("DAEMON_DATA_DIR", "data")]).unwrap_err(),
        "DAEMON_DATA_DIR must be an absolute path, got data"
    );
}

#[test]
fn boolean_option() {
    let home = home();
    let flag = |value: Option<&str>| {
        let set: Vec<_> = value
            .map(|v| ("DAEMON_RESTART_AFTER_UPGRADE", v))
            .into_iter()
            .collect();
        load_over(home.path(), &set).map(|loaded| loaded.config.restart_after_upgrade)
    };
    assert_eq!(flag(None), Ok(true));
    assert_eq!(flag(Some("")), Ok(true));
    for (value, expected) in [
        ("false", false),
        ("faLSe", false),
        ("true", true),
        ("TRUE", true),
    ] {
        assert_eq!(flag(Some(value)), Ok(expected), "{value}");
    }
    for (value, told) in [
        ("Wrong", "wrong"),
        ("truee", "truee"),
        ("1", "1"),
        ("yes", "yes"),
    ] {
        assert_eq!(
            flag(Some(value)),
            Err(format!(
                "env variable \"DAEMON_RESTART_AFTER_UPGRADE\" must have a boolean value \
                 (\"true\" or \"false\"), got \"{told}\""
            ))
        );
    }
}

#[test]
fn time_format() {
    let home = home();
    let format = |value: &str| {
        load_over(home.path(), &[("COSMOVISOR_TIMEFORMAT_LOGS", value)])
            .map(|loaded| loaded.config.time_format)
    };
    let unset = load_over(home.path(), &[]).unwrap();
    assert_eq!(unset.config.time_format, TimeFormat::Kitchen);
    assert_eq!(unset.source(Key::TimeFormat), Source::Default);
    assert_eq!(format(""), Ok(TimeFormat::Empty));
    for known in TimeFormat::ALL {
        assert_eq!(format(known.name()), Ok(known));
    }
    assert_eq!(
        format("Kitchen"),
        Err(
            "env variable \"COSMOVISOR_TIMEFORMAT_LOGS\" must have a timeformat value \
             (\"layout|ansic|unixdate|rubydate|rfc822|rfc822z|rfc850|rfc1123|rfc1123z|rfc3339|\
             rfc3339nano|kitchen\"), got \"Kitchen\""
                .to_owned()
        )
    );
}

#[test]
fn detail_string() {
    let home = home();
    let set = [
        ("DAEMON_RESTART_DELAY", "1h1m1.5s"),
        ("DAEMON_GRPC_ADDRESS", "localhost:1"),
        ("BATON_ROLLBACK", "3"),
        ("BATON_BACKUPMODE", "copy"),
    ];
    let shown = load_over(home.path(), &set).unwrap().to_string();
    let home = text(home.path());
    let expected = format!(
        "Configurable Values:
  DAEMON_HOME: {home}
  DAEMON_NAME: simd
  DAEMON_ALLOW_DOWNLOAD_BINARIES: false
  DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM: false
  DAEMON_RESTART_AFTER_UPGRADE: true
  DAEMON_RESTART_DELAY: 1h1m1.5s
  DAEMON_SHUTDOWN_GRACE: 0s
  DAEMON_POLL_INTERVAL: 300ms
  UNSAFE_SKIP_BACKUP: false
  DAEMON_DATA_BACKUP_DIR: {home}
  DAEMON_PREUPGRADE_MAX_RETRIES: 0
  COSMOVISOR_DISABLE_LOGS: false
  COSMOVISOR_COLOR_LOGS: true
  COSMOVISOR_TIMEFORMAT_LOGS: 3:04PM
  COSMOVISOR_CUSTOM_PREUPGRADE:\x20
  COSMOVISOR_DISABLE_RECASE: false
Derived Values:
         Root Dir: {home}/cosmovisor
      Upgrade Dir: {home}/cosmovisor/upgrades
      Genesis Bin: {home}/cosmovisor/genesis/bin/simd
   Monitored File: {home}/data/upgrade-info.json
  Data Backup Dir: {home}
Baton Values:
  DAEMON_GRPC_ADDRESS: localhost:1 (environment)
  DAEMON_DATA_DIR: {home}/data (default)
  BATON_BACKUP_MODE: auto (default)
  BATON_BACKUP_KEEP: 0 (default)
  BATON_BACKUP_IMMUTABLE: (default)
  BATON_RESTART: never (default)
  BATON_RPC_ADDRESS: (default)
  BATON_PREFETCH: (default)
  BATON_ROLLBACK: 3/10m0s (environment)
  BATON_HOOK: (default)
  BATON_WEBHOOK: (default)
  BATON_ADMIN_ADDRESS: (default)
  BATON_RELAY: auto (default)
Sources:
  DAEMON_HOME (environment)
  DAEMON_NAME (environment)
  DAEMON_ALLOW_DOWNLOAD_BINARIES (default)
  DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM (default)
  DAEMON_RESTART_AFTER_UPGRADE (default)
  DAEMON_RESTART_DELAY (environment)
  DAEMON_SHUTDOWN_GRACE (default, 30s when 0)
  DAEMON_POLL_INTERVAL (default)
  UNSAFE_SKIP_BACKUP (default)
  DAEMON_DATA_BACKUP_DIR (default)
  DAEMON_PREUPGRADE_MAX_RETRIES (default)
  COSMOVISOR_DISABLE_LOGS (default)
  COSMOVISOR_COLOR_LOGS (default)
  COSMOVISOR_TIMEFORMAT_LOGS (default)
  COSMOVISOR_CUSTOM_PREUPGRADE (default)
  COSMOVISOR_DISABLE_RECASE (default)
Ignored, as no setting has this name:
  BATON_BACKUPMODE (environment)"
    );
    assert_eq!(shown, expected);
}

#[test]
fn get_config_from_env_all_bad() {
    let errors = load(&[
        ("DAEMON_HOME", "rel"),
        ("DAEMON_ALLOW_DOWNLOAD_BINARIES", "BaD"),
        ("DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM", "1"),
        ("DAEMON_RESTART_AFTER_UPGRADE", "x"),
        ("UNSAFE_SKIP_BACKUP", "x"),
        ("COSMOVISOR_DISABLE_LOGS", "x"),
        ("COSMOVISOR_COLOR_LOGS", "x"),
        ("COSMOVISOR_TIMEFORMAT_LOGS", "x"),
        ("COSMOVISOR_DISABLE_RECASE", "x"),
        ("DAEMON_POLL_INTERVAL", "600"),
        ("DAEMON_RESTART_DELAY", "bad"),
        ("DAEMON_SHUTDOWN_GRACE", "0"),
        ("DAEMON_PREUPGRADE_MAX_RETRIES", "99999999999999999999"),
        ("DAEMON_DATA_BACKUP_DIR", "rel"),
        ("BATON_RESTART", "sometimes"),
    ])
    .unwrap_err();
    assert_eq!(
        errors,
        r#"env variable "DAEMON_ALLOW_DOWNLOAD_BINARIES" must have a boolean value ("true" or "false"), got "bad"
env variable "DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM" must have a boolean value ("true" or "false"), got "1"
env variable "DAEMON_RESTART_AFTER_UPGRADE" must have a boolean value ("true" or "false"), got "x"
env variable "UNSAFE_SKIP_BACKUP" must have a boolean value ("true" or "false"), got "x"
env variable "COSMOVISOR_DISABLE_LOGS" must have a boolean value ("true" or "false"), got "x"
env variable "COSMOVISOR_COLOR_LOGS" must have a boolean value ("true" or "false"), got "x"
env variable "COSMOVISOR_TIMEFORMAT_LOGS" must have a timeformat value ("layout|ansic|unixdate|rubydate|rfc822|rfc822z|rfc850|rfc1123|rfc1123z|rfc3339|rfc3339nano|kitchen"), got "x"
env variable "COSMOVISOR_DISABLE_RECASE" must have a boolean value ("true" or "false"), got "x"
invalid: DAEMON_POLL_INTERVAL: could not parse '600' into a duration: time: missing unit in duration "600"
invalid: DAEMON_RESTART_DELAY: could not parse 'bad' into a duration: time: invalid duration "bad"
invalid: DAEMON_SHUTDOWN_GRACE: must be greater than 0
DAEMON_PREUPGRADE_MAX_RETRIES could not be parsed to int: strconv.Atoi: parsing "99999999999999999999": value out of range
DAEMON_NAME is not set
DAEMON_HOME must be an absolute path
rel must be an absolute path
invalid: BATON_RESTART: must be never, on-failure or always, got "sometimes" from the environment"#
    );
}

#[test]
fn get_config_from_env_nothing_set() {
    assert_eq!(
        load(&[]).unwrap_err(),
        "DAEMON_NAME is not set\nDAEMON_HOME is not set\nDAEMON_DATA_BACKUP_DIR must not be empty"
    );
}

#[test]
fn get_config_from_env_defaults() {
    let home = home();
    let config = load_over(home.path(), &[]).unwrap().config;
    let expected = Config {
        home: home.path().to_owned(),
        name: "simd".to_owned(),
        allow_download_binaries: false,
        download_must_have_checksum: false,
        restart_after_upgrade: true,
        restart_delay: Duration::ZERO,
        shutdown_grace: None,
        poll_interval: Duration::from_millis(300),
        skip_backup: false,
        data_backup_dir: home.path().to_owned(),
        preupgrade_max_retries: 0,
        grpc_address: "localhost:9090".to_owned(),
        disable_logs: false,
        color_logs: true,
        time_format: TimeFormat::Kitchen,
        custom_preupgrade: None,
        disable_recase: false,
        data_dir: home.path().join("data"),
        baton: BatonSettings::default(),
    };
    assert_eq!(config, expected);
}

#[test]
fn get_config_from_env_all_good() {
    let home = home();
    let backups = home.path().join("backups");
    fs::create_dir(&backups).unwrap();
    let loaded = load_over(
        home.path(),
        &[
            ("DAEMON_ALLOW_DOWNLOAD_BINARIES", "true"),
            ("DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM", "TRUE"),
            ("DAEMON_RESTART_AFTER_UPGRADE", "false"),
            ("DAEMON_RESTART_DELAY", "600s"),
            ("DAEMON_SHUTDOWN_GRACE", "15s"),
            ("DAEMON_POLL_INTERVAL", "303ms"),
            ("UNSAFE_SKIP_BACKUP", "true"),
            ("DAEMON_DATA_BACKUP_DIR", text(&backups)),
            ("DAEMON_PREUPGRADE_MAX_RETRIES", "-1"),
            ("DAEMON_GRPC_ADDRESS", "node:1"),
            ("COSMOVISOR_DISABLE_LOGS", "true"),
            ("COSMOVISOR_COLOR_LOGS", "false"),
            ("COSMOVISOR_TIMEFORMAT_LOGS", "rfc3339"),
            ("COSMOVISOR_CUSTOM_PREUPGRADE", "preupgrade.sh"),
            ("COSMOVISOR_DISABLE_RECASE", "true"),
            ("DAEMON_DATA_DIR", "/var/data"),
            ("BATON_BACKUP_MODE", "hardlink"),
            ("BATON_BACKUP_KEEP", "2"),
            ("BATON_BACKUP_IMMUTABLE", "*.blob,*.vlog"),
            ("BATON_RESTART", "on-failure"),
            ("BATON_RPC_ADDRESS", "http://localhost:1"),
            ("BATON_PREFETCH", "false"),
            ("BATON_ROLLBACK", "2/5m"),
            ("BATON_HOOK", "/bin/hook"),
            ("BATON_WEBHOOK", "https://hook"),
            ("BATON_ADMIN_ADDRESS", "127.0.0.1:1"),
            ("BATON_RELAY", "off"),
        ],
    )
    .unwrap();
    let expected = Config {
        home: home.path().to_owned(),
        name: "simd".to_owned(),
        allow_download_binaries: true,
        download_must_have_checksum: true,
        restart_after_upgrade: false,
        restart_delay: Duration::from_mins(10),
        shutdown_grace: Some(Duration::from_secs(15)),
        poll_interval: Duration::from_millis(303),
        skip_backup: true,
        data_backup_dir: backups,
        preupgrade_max_retries: -1,
        grpc_address: "node:1".to_owned(),
        disable_logs: true,
        color_logs: false,
        time_format: TimeFormat::Rfc3339,
        custom_preupgrade: Some("preupgrade.sh".to_owned()),
        disable_recase: true,
        data_dir: PathBuf::from("/var/data"),
        baton: BatonSettings {
            backup_mode: BackupMode::Hardlink,
            backup_keep: 2,
            backup_immutable: vec!["*.blob".to_owned(), "*.vlog".to_owned()],
            restart: RestartPolicy::OnFailure,
            rpc_address: Some("http://localhost:1".to_owned()),
            prefetch: Some(false),
            rollback: Some(Rollback {
                failures: 2,
                window: Duration::from_mins(5),
            }),
            hook: Some(PathBuf::from("/bin/hook")),
            webhook: Some("https://hook".to_owned()),
            admin_address: Some("127.0.0.1:1".parse().unwrap()),
            relay: Relay::Off,
        },
    };
    assert_eq!(loaded.config, expected);
    for key in Key::COSMOVISOR.into_iter().chain(Key::BATON) {
        assert_eq!(loaded.source(key), Source::Environment, "{key}");
    }
}

#[test]
fn get_config_from_env_durations_and_retries() {
    let home = home();
    for name in [
        "DAEMON_POLL_INTERVAL",
        "DAEMON_RESTART_DELAY",
        "DAEMON_SHUTDOWN_GRACE",
    ] {
        let read = |value| {
            load_over(home.path(), &[(name, value)]).map(|loaded| match name {
                "DAEMON_POLL_INTERVAL" => Some(loaded.config.poll_interval),
                "DAEMON_RESTART_DELAY" => Some(loaded.config.restart_delay),
                _ => loaded.config.shutdown_grace,
            })
        };
        assert_eq!(read("1s"), Ok(Some(Duration::from_secs(1))));
        for value in ["0", "-3m", "0s"] {
            assert_eq!(
                read(value),
                Err(format!("invalid: {name}: must be greater than 0"))
            );
        }
        assert_eq!(
            read("600"),
            Err(format!(
                "invalid: {name}: could not parse '600' into a duration: \
                 time: missing unit in duration \"600\""
            ))
        );
    }
    let retries = |value| {
        load_over(home.path(), &[("DAEMON_PREUPGRADE_MAX_RETRIES", value)])
            .map(|loaded| loaded.config.preupgrade_max_retries)
    };
    assert_eq!(retries(""), Ok(0));
    assert_eq!(retries("5"), Ok(5));
    assert_eq!(
        retries("bad"),
        Err("DAEMON_PREUPGRADE_MAX_RETRIES could not be parsed to int: \
             strconv.Atoi: parsing \"bad\": invalid syntax"
            .to_owned())
    );
}
