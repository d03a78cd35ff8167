//! What the `config` command prints. The first two sections are Cosmovisor's to the byte, because
//! scripts read them; what they do not show follows in sections of its own, where every name is
//! followed by its source so that no line of ours looks like one of theirs.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{DEFAULT_SHUTDOWN_GRACE, GoDuration, Key, Loaded, Source};
use crate::layout::Release;

/// The text, with a line break at the end of each line but the last.
pub(super) fn describe(loaded: &Loaded) -> String {
    let sections = [
        ("Configurable Values:", configurable(loaded)),
        ("Derived Values:", derived(loaded)),
        ("Baton Values:", own(loaded)),
        ("Sources:", sources(loaded)),
        ("Ignored, as no setting has this name:", ignored(loaded)),
    ];
    let mut lines = Vec::new();
    for (heading, section) in sections {
        if !section.is_empty() {
            lines.push(heading.to_owned());
            lines.extend(section);
        }
    }
    lines.join("\n")
}

/// The settings that differ from their defaults by somebody's wish, without secrets.
pub(super) fn changed(loaded: &Loaded) -> BTreeMap<String, String> {
    Key::COSMOVISOR
        .into_iter()
        .chain(Key::BATON)
        .filter(|key| loaded.source(*key) != Source::Default)
        .map(|key| {
            let text = match key {
                // A webhook's address is often its password.
                Key::Webhook => "(set)".to_owned(),
                key => value(loaded, key),
            };
            (key.to_string(), text)
        })
        .collect()
}

/// The value of a setting as text.
fn value(loaded: &Loaded, key: Key) -> String {
    let config = &loaded.config;
    let duration = |length| GoDuration::from(length).to_string();
    match key {
        Key::DaemonHome => config.home.display().to_string(),
        Key::DaemonName => config.name.clone(),
        Key::AllowDownloadBinaries => config.allow_download_binaries.to_string(),
        Key::DownloadMustHaveChecksum => config.download_must_have_checksum.to_string(),
        Key::RestartAfterUpgrade => config.restart_after_upgrade.to_string(),
        Key::RestartDelay => duration(config.restart_delay),
        Key::ShutdownGrace => duration(config.shutdown_grace.unwrap_or_default()),
        Key::PollInterval => duration(config.poll_interval),
        Key::SkipBackup => config.skip_backup.to_string(),
        Key::DataBackupDir => config.data_backup_dir.display().to_string(),
        Key::PreupgradeMaxRetries => config.preupgrade_max_retries.to_string(),
        Key::GrpcAddress => config.grpc_address.clone(),
        Key::DisableLogs => config.disable_logs.to_string(),
        Key::ColorLogs => config.color_logs.to_string(),
        Key::TimeFormat => config.time_format.layout().to_owned(),
        Key::CustomPreupgrade => config.custom_preupgrade.clone().unwrap_or_default(),
        Key::DisableRecase => config.disable_recase.to_string(),
        Key::DataDir => config.data_dir.display().to_string(),
        own => config.baton.text(own),
    }
}

fn configurable(loaded: &Loaded) -> Vec<String> {
    Key::COSMOVISOR
        .into_iter()
        .filter(|key| *key != Key::GrpcAddress)
        .map(|key| format!("  {key}: {}", value(loaded, key)))
        .collect()
}

fn derived(loaded: &Loaded) -> Vec<String> {
    let config = &loaded.config;
    let layout = config.layout();
    [
        ("Root Dir", layout.root()),
        ("Upgrade Dir", layout.upgrades()),
        ("Genesis Bin", layout.bin(&Release::Genesis)),
        ("Monitored File", layout.plan_file()),
        ("Data Backup Dir", config.data_backup_dir.clone()),
    ]
    .into_iter()
    .map(|(name, path)| format!("  {name:>15}: {}", path.display()))
    .collect()
}

fn own(loaded: &Loaded) -> Vec<String> {
    [Key::GrpcAddress]
        .into_iter()
        .chain(Key::BATON)
        .map(|key| {
            let source = source(loaded, key);
            match value(loaded, key) {
                unset if unset.is_empty() => format!("  {key}: ({source})"),
                value => format!("  {key}: {value} ({source})"),
            }
        })
        .collect()
}

fn sources(loaded: &Loaded) -> Vec<String> {
    Key::COSMOVISOR
        .into_iter()
        .filter(|key| *key != Key::GrpcAddress)
        .map(|key| {
            let mut line = format!("  {key} ({}", source(loaded, key));
            if key == Key::ShutdownGrace && loaded.config.shutdown_grace.is_none() {
                let _ = write!(line, ", {DEFAULT_SHUTDOWN_GRACE:?} when 0");
            }
            line + ")"
        })
        .collect()
}

fn source(loaded: &Loaded, key: Key) -> String {
    spelled(loaded, loaded.source(key))
}

fn spelled(loaded: &Loaded, source: Source) -> String {
    match (source, &loaded.file) {
        (Source::Environment, _) => "environment".to_owned(),
        (Source::File, Some(path)) => path.display().to_string(),
        _ => "default".to_owned(),
    }
}

fn ignored(loaded: &Loaded) -> Vec<String> {
    loaded
        .ignored
        .iter()
        .map(|ignored| format!("  {} ({})", ignored.name, spelled(loaded, ignored.source)))
        .collect()
}
