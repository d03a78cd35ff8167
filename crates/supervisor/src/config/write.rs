//! The `config.toml` that `init` writes: Cosmovisor's keys in its order and spelling, and of ours
//! those that the environment sets.

use std::fmt::Write;

use super::{Config, GoDuration, Key, Loaded, Source};

impl Loaded {
    /// The text of a `config.toml` with these settings.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for key in Key::COSMOVISOR {
            line(&mut text, key, &cosmovisor_value(&self.config, key));
        }
        if self.source(Key::DataDir) != Source::Default {
            let data_dir = self.config.data_dir.to_string_lossy();
            line(&mut text, Key::DataDir, &quote(&data_dir));
        }
        let own: Vec<_> = Key::BATON
            .into_iter()
            .filter(|key| key.in_baton_table() && self.source(*key) != Source::Default)
            .collect();
        if !own.is_empty() {
            text.push_str("\n[baton]\n");
        }
        for key in own {
            line(&mut text, key, &quote(&self.config.baton.text(key)));
        }
        text
    }
}

fn line(text: &mut String, key: Key, value: &str) {
    let _ = writeln!(text, "{} = {value}", key.file_name());
}

fn cosmovisor_value(config: &Config, key: Key) -> String {
    let nanoseconds = |length| GoDuration::from(length).0.to_string();
    match key {
        Key::DaemonHome => quote(&config.home.to_string_lossy()),
        Key::DaemonName => quote(&config.name),
        Key::AllowDownloadBinaries => config.allow_download_binaries.to_string(),
        Key::DownloadMustHaveChecksum => config.download_must_have_checksum.to_string(),
        Key::RestartAfterUpgrade => config.restart_after_upgrade.to_string(),
        Key::RestartDelay => nanoseconds(config.restart_delay),
        Key::ShutdownGrace => nanoseconds(config.shutdown_grace.unwrap_or_default()),
        Key::PollInterval => nanoseconds(config.poll_interval),
        Key::SkipBackup => config.skip_backup.to_string(),
        Key::DataBackupDir => quote(&config.data_backup_dir.to_string_lossy()),
        Key::PreupgradeMaxRetries => config.preupgrade_max_retries.to_string(),
        Key::GrpcAddress => quote(&config.grpc_address),
        Key::DisableLogs => config.disable_logs.to_string(),
        Key::ColorLogs => config.color_logs.to_string(),
        Key::TimeFormat => quote(config.time_format.name()),
        Key::CustomPreupgrade => quote(config.custom_preupgrade.as_deref().unwrap_or_default()),
        Key::DisableRecase => config.disable_recase.to_string(),
        _ => unreachable!("{key} is not one of Cosmovisor's"),
    }
}

/// A TOML string: in single quotes, or in double ones where those cannot hold it.
fn quote(text: &str) -> String {
    let literal = |c: char| c == '\t' || !(c == '\'' || c.is_ascii_control());
    if text.chars().all(literal) {
        return format!("'{text}'");
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\u{8}' => quoted.push_str("\\b"),
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            '\u{c}' => quoted.push_str("\\f"),
            '\r' => quoted.push_str("\\r"),
            c if c.is_ascii_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn quotes_like_cosmovisor() {
        for (text, quoted) in [
            ("", "''"),
            ("/x", "'/x'"),
            ("a\tb", "'a\tb'"),
            (r#"a"b\c"#, r#"'a"b\c'"#),
            ("\u{85}", "'\u{85}'"),
            ("it's", r#""it's""#),
            ("a'\\\"b'", r#""a'\\\"b'""#),
            ("é\nx\ty", r#""é\nx\ty""#),
            ("'\u{8}\u{c}\u{1f}\u{7f}", r#""'\b\f\u001F\u007F""#),
        ] {
            assert_eq!(quote(text), quoted);
        }
    }
}
