//! Reading every setting, in the order in which Cosmovisor tells what is wrong with them.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::PathBuf,
    time::Duration,
};

use super::{
    BatonSettings, Config, Env, Ignored, Loaded, Source,
    error::ConfigError,
    go_duration::GoDuration,
    go_text::{self, join},
    key::Key,
    time_format::TimeFormat,
};

/// Where settings are read from. A setting that is not there, or cannot be read, is `None`.
pub(super) trait Origin {
    fn flag(&mut self, key: Key) -> Option<bool>;
    fn time_format(&mut self) -> Option<TimeFormat>;
    /// A duration greater than zero.
    fn duration(&mut self, key: Key) -> Option<Duration>;
    fn integer(&mut self, key: Key) -> Option<i64>;
    fn text(&mut self, key: Key) -> Option<OsString>;
    /// The text of one of our own settings, and the place that holds it.
    fn own(&mut self, key: Key) -> Option<(String, String)>;
    /// Where the setting is found.
    fn source(&self, key: Key) -> Source;
    /// What was wrong, what to pass over, and the file if there is one.
    fn finish(self) -> Finished;
}

/// What remains when everything has been read.
pub(super) struct Finished {
    pub(super) errors: Vec<ConfigError>,
    pub(super) ignored: Vec<Ignored>,
    pub(super) file: Option<PathBuf>,
}

/// What could not be read.
pub(super) struct ReadingErrors {
    pub(super) of_cosmovisor: Vec<ConfigError>,
    pub(super) of_baton: Vec<ConfigError>,
}

/// Reads every setting.
pub(super) fn read(mut from: impl Origin) -> (Loaded, ReadingErrors) {
    let allow_download_binaries = from.flag(Key::AllowDownloadBinaries).unwrap_or(false);
    let download_must_have_checksum = from.flag(Key::DownloadMustHaveChecksum).unwrap_or(false);
    let restart_after_upgrade = from.flag(Key::RestartAfterUpgrade).unwrap_or(true);
    let skip_backup = from.flag(Key::SkipBackup).unwrap_or(false);
    let disable_logs = from.flag(Key::DisableLogs).unwrap_or(false);
    let color_logs = from.flag(Key::ColorLogs).unwrap_or(true);
    let time_format = from.time_format().unwrap_or_default();
    let disable_recase = from.flag(Key::DisableRecase).unwrap_or(false);
    let poll_interval = from
        .duration(Key::PollInterval)
        .unwrap_or(Duration::from_millis(300));
    let restart_delay = from.duration(Key::RestartDelay).unwrap_or(Duration::ZERO);
    let shutdown_grace = from.duration(Key::ShutdownGrace);
    let preupgrade_max_retries = from.integer(Key::PreupgradeMaxRetries).unwrap_or(0);
    let home = PathBuf::from(from.text(Key::DaemonHome).unwrap_or_default());
    let name = from.text(Key::DaemonName).map(lossy).unwrap_or_default();
    let data_backup_dir = from
        .text(Key::DataBackupDir)
        .map_or_else(|| home.clone(), PathBuf::from);
    let grpc_address = from
        .text(Key::GrpcAddress)
        .map_or_else(|| "localhost:9090".to_owned(), lossy);
    let custom_preupgrade = from
        .text(Key::CustomPreupgrade)
        .map(lossy)
        .filter(|name| !name.is_empty());
    let data_dir = from
        .text(Key::DataDir)
        .map_or_else(|| join(&home, "data"), PathBuf::from);
    let (baton, of_baton) = read_own(&mut from);

    let sources: BTreeMap<_, _> = Key::COSMOVISOR
        .into_iter()
        .chain(Key::BATON)
        .map(|key| (key, from.source(key)))
        .collect();
    let finished = from.finish();
    let loaded = Loaded {
        config: Config {
            home,
            name,
            allow_download_binaries,
            download_must_have_checksum,
            restart_after_upgrade,
            restart_delay,
            shutdown_grace,
            poll_interval,
            skip_backup,
            data_backup_dir,
            preupgrade_max_retries,
            grpc_address,
            disable_logs,
            color_logs,
            time_format,
            custom_preupgrade,
            disable_recase,
            data_dir,
            baton,
        },
        file: finished.file,
        ignored: finished.ignored,
        dropped: None,
        sources,
    };
    let errors = ReadingErrors {
        of_cosmovisor: finished.errors,
        of_baton,
    };
    (loaded, errors)
}

fn read_own(from: &mut impl Origin) -> (BatonSettings, Vec<ConfigError>) {
    let mut settings = BatonSettings::default();
    let mut errors = Vec::new();
    for key in Key::BATON {
        if key == Key::DataDir {
            continue;
        }
        let Some((got, place)) = from.own(key) else {
            continue;
        };
        if let Err(expected) = settings.set(key, &got) {
            errors.push(ConfigError::Unfit {
                key,
                expected,
                got,
                place,
            });
        }
    }
    (settings, errors)
}

pub(super) fn lossy(text: OsString) -> String {
    text.into_string()
        .unwrap_or_else(|text| text.to_string_lossy().into_owned())
}

/// Variables that start with `BATON_` and are no settings.
pub(super) fn ignored_variables(env: &Env) -> Vec<Ignored> {
    // BATON_LOG sets the level of the log, before there is a configuration; the others are given to processes that a supervisor
    // starts, which this one may be
    let known = |name: &str| {
        [
            "BATON_LOG",
            "BATON_CONTROL_DIR",
            "BATON_HELD",
            "BATON_HANDOVER",
        ]
        .contains(&name)
            || Key::BATON.into_iter().any(|key| key.env_name() == name)
    };
    env.names()
        .filter(|name| name.starts_with("BATON_") && !known(name))
        .map(|name| Ignored {
            name: name.to_owned(),
            source: Source::Environment,
        })
        .collect()
}

/// The environment alone, read strictly. Variables that are set but empty count as unset, except
/// the time format.
pub(super) struct FromEnv<'a> {
    env: &'a Env,
    errors: Vec<ConfigError>,
}

impl<'a> FromEnv<'a> {
    pub(super) fn new(env: &'a Env) -> Self {
        Self {
            env,
            errors: Vec::new(),
        }
    }

    fn value(&self, key: Key) -> Option<&'a OsStr> {
        self.env.non_empty(key.env_name())
    }

    fn string(&self, key: Key) -> Option<String> {
        Some(self.value(key)?.to_string_lossy().into_owned())
    }
}

impl Origin for FromEnv<'_> {
    fn flag(&mut self, key: Key) -> Option<bool> {
        let got = self.string(key)?.to_lowercase();
        match got.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.errors.push(ConfigError::NotBoolean { key, got });
                None
            }
        }
    }

    fn time_format(&mut self) -> Option<TimeFormat> {
        let got = self.env.get(Key::TimeFormat.env_name())?.to_string_lossy();
        let format = TimeFormat::from_name(&got);
        if format.is_none() {
            self.errors.push(ConfigError::NotTimeFormat {
                got: got.into_owned(),
            });
        }
        format
    }

    fn duration(&mut self, key: Key) -> Option<Duration> {
        let got = self.string(key)?;
        let error = match GoDuration::parse(&got) {
            Ok(duration) => match duration.positive() {
                Some(duration) => return Some(duration),
                None => ConfigError::NotPositive { key },
            },
            Err(why) => ConfigError::NotDuration { key, got, why },
        };
        self.errors.push(error);
        None
    }

    fn integer(&mut self, key: Key) -> Option<i64> {
        go_text::parse_decimal(&self.string(key)?)
            .map_err(|why| self.errors.push(ConfigError::NotInteger { key, why }))
            .ok()
    }

    fn text(&mut self, key: Key) -> Option<OsString> {
        self.value(key).map(OsStr::to_owned)
    }

    fn own(&mut self, key: Key) -> Option<(String, String)> {
        Some((self.string(key)?, "the environment".to_owned()))
    }

    fn source(&self, key: Key) -> Source {
        let found = if key == Key::TimeFormat {
            self.env.get(key.env_name())
        } else {
            self.value(key)
        };
        found.map_or(Source::Default, |_| Source::Environment)
    }

    fn finish(self) -> Finished {
        Finished {
            errors: self.errors,
            ignored: ignored_variables(self.env),
            file: None,
        }
    }
}
