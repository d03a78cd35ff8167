//! The settings Cosmovisor does not have. Unset, each of them leaves the behaviour as it was.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use super::{go_duration::GoDuration, go_text, key::Key};
use crate::backup::Mode as BackupMode;

/// The `BATON_*` variables, or the `[baton]` table of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BatonSettings {
    /// `BATON_BACKUP_MODE`: how the data directory is backed up.
    pub backup_mode: BackupMode,
    /// `BATON_BACKUP_KEEP`: how many backups to keep; 0 keeps all.
    pub backup_keep: u32,
    /// `BATON_BACKUP_IMMUTABLE`: name patterns, separated by commas, of files that are only ever
    /// created and unlinked, beside `*.sst` and `*.ldb`.
    pub backup_immutable: Vec<String>,
    /// `BATON_RESTART`: whether a node that ends by itself is started again.
    pub restart: RestartPolicy,
    /// `BATON_RPC_ADDRESS`: where heights are read; unset, the node's own configuration tells.
    pub rpc_address: Option<String>,
    /// `BATON_PREFETCH`: fetch a planned binary ahead; unset, on when downloads are allowed.
    pub prefetch: Option<bool>,
    /// `BATON_ROLLBACK`: when to give up on a new binary; unset, never.
    pub rollback: Option<Rollback>,
    /// `BATON_HOOK`: an executable to run at each event.
    pub hook: Option<PathBuf>,
    /// `BATON_WEBHOOK`: where to post each event.
    pub webhook: Option<String>,
    /// `BATON_ADMIN_ADDRESS`: where to serve metrics and status over HTTP.
    pub admin_address: Option<SocketAddr>,
    /// `BATON_RELAY`: whether a node that can hand over to the next process is asked to.
    pub relay: Relay,
}

const BACKUP_MODES: [(&str, BackupMode); 5] = [
    ("auto", BackupMode::Auto),
    ("reflink", BackupMode::Reflink),
    ("hardlink", BackupMode::Hardlink),
    ("copy", BackupMode::Copy),
    ("off", BackupMode::Off),
];

/// Whether a node that can hand over to the next process is asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Relay {
    /// If it shows that it can.
    #[default]
    Auto,
    /// Never: it is stopped and started, as every other node.
    Off,
}

impl Relay {
    const NAMED: [(&'static str, Self); 2] = [("auto", Self::Auto), ("off", Self::Off)];
}

impl fmt::Display for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(&Self::NAMED, self))
    }
}

/// Whether a node that ends by itself is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RestartPolicy {
    /// The supervisor ends with it.
    #[default]
    Never,
    /// When it ended with a code other than 0 or by a signal.
    OnFailure,
    /// Whatever it ended with.
    Always,
}

impl RestartPolicy {
    /// Each by its name.
    pub const NAMED: [(&'static str, Self); 3] = [
        ("never", Self::Never),
        ("on-failure", Self::OnFailure),
        ("always", Self::Always),
    ];
}

/// When a new binary is given up: it failed `failures` times within `window` before a new block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rollback {
    /// How many failures; at least 1.
    pub failures: u32,
    /// Within how long; more than zero.
    pub window: Duration,
}

impl Rollback {
    /// The window of a setting that names none.
    pub const DEFAULT_WINDOW: Duration = Duration::from_mins(10);

    fn parse(text: &str) -> Option<Self> {
        let (failures, window) = match text.split_once('/') {
            Some((failures, window)) => (failures, GoDuration::parse(window).ok()?.positive()?),
            None => (text, Self::DEFAULT_WINDOW),
        };
        let failures = failures.parse().ok().filter(|count| *count > 0)?;
        Some(Self { failures, window })
    }
}

fn name_of<T: PartialEq>(named: &[(&'static str, T)], value: &T) -> &'static str {
    let found = named.iter().find(|(_, known)| known == value);
    found.expect("every value has a name").0
}

fn by_name<T: Copy>(named: &[(&str, T)], name: &str) -> Option<T> {
    named
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| *value)
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(&Self::NAMED, self))
    }
}

impl fmt::Display for Rollback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.failures, GoDuration::from(self.window))
    }
}

impl BatonSettings {
    /// Takes one setting from its text; the error says what it should have been.
    pub(super) fn set(&mut self, key: Key, text: &str) -> Result<(), &'static str> {
        match key {
            Key::BackupMode => {
                self.backup_mode =
                    by_name(&BACKUP_MODES, text).ok_or("auto, reflink, hardlink, copy or off")?;
            }
            Key::BackupKeep => {
                self.backup_keep = text
                    .parse()
                    .map_err(|_| "how many backups to keep (0 keeps all)")?;
            }
            Key::BackupImmutable => {
                let patterns: Vec<_> = text.split(',').map(str::trim).collect();
                if patterns.iter().any(|p| p.is_empty() || p.contains('/')) {
                    return Err("file name patterns such as *.blob,*.vlog");
                }
                self.backup_immutable = patterns.into_iter().map(str::to_owned).collect();
            }
            Key::Restart => {
                self.restart =
                    by_name(&RestartPolicy::NAMED, text).ok_or("never, on-failure or always")?;
            }
            Key::RpcAddress => {
                self.rpc_address = Some(
                    address(text, &["http", "https", "tcp"])
                        .ok_or("an address such as http://localhost:26657")?,
                );
            }
            Key::Prefetch => {
                self.prefetch =
                    Some(go_text::parse_bool(&text.to_lowercase()).map_err(|_| "true or false")?);
            }
            Key::Rollback if text == "off" => self.rollback = None,
            Key::Rollback => {
                let rollback = Rollback::parse(text);
                self.rollback =
                    Some(rollback.ok_or("off, a number of failures such as 3, or 3/10m")?);
            }
            Key::Hook => {
                self.hook = Some(PathBuf::from(text))
                    .filter(|path| path.is_absolute())
                    .ok_or("the absolute path of an executable")
                    .map(Some)?;
            }
            Key::Webhook => {
                self.webhook = Some(
                    address(text, &["http", "https"]).ok_or("an http:// or https:// address")?,
                );
            }
            Key::AdminAddress => {
                self.admin_address = Some(
                    text.parse()
                        .map_err(|_| "an IP address and port such as 127.0.0.1:26680")?,
                );
            }
            Key::Relay => {
                self.relay = by_name(&Relay::NAMED, text).ok_or("auto or off")?;
            }
            _ => unreachable!("{key} is not one of BatonSettings"),
        }
        Ok(())
    }

    /// The text of one setting as [`set`](Self::set) takes it; empty when it is unset.
    pub(super) fn text(&self, key: Key) -> String {
        fn or_empty(value: Option<&impl ToString>) -> String {
            value.map(ToString::to_string).unwrap_or_default()
        }
        match key {
            Key::BackupMode => self.backup_mode.to_string(),
            Key::BackupKeep => self.backup_keep.to_string(),
            Key::BackupImmutable => self.backup_immutable.join(","),
            Key::Restart => self.restart.to_string(),
            Key::RpcAddress => or_empty(self.rpc_address.as_ref()),
            Key::Prefetch => or_empty(self.prefetch.as_ref()),
            Key::Rollback => self
                .rollback
                .map_or_else(|| "off".to_owned(), |rollback| rollback.to_string()),
            Key::Hook => or_empty(self.hook.as_ref().map(|path| path.display()).as_ref()),
            Key::Webhook => or_empty(self.webhook.as_ref()),
            Key::AdminAddress => or_empty(self.admin_address.as_ref()),
            Key::Relay => self.relay.to_string(),
            _ => unreachable!("{key} is not one of BatonSettings"),
        }
    }
}

/// The text, if it is an address with a host and one of the schemes.
fn address(text: &str, schemes: &[&str]) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    let fits = schemes.contains(&url.scheme()) && url.has_host();
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(key: Key, text: &str) -> Result<String, &'static str> {
        let mut settings = BatonSettings::default();
        settings.set(key, text)?;
        Ok(settings.text(key))
    }

    #[test]
    fn takes_each_setting() {
        for (key, text, shown) in [
            (Key::BackupMode, "hardlink", "hardlink"),
            (Key::BackupKeep, "3", "3"),
            (Key::BackupImmutable, "*.blob, *.vlog", "*.blob,*.vlog"),
            (Key::Restart, "on-failure", "on-failure"),
            (Key::RpcAddress, "tcp://127.0.0.1:1", "tcp://127.0.0.1:1"),
            (Key::Prefetch, "False", "false"),
            (Key::Rollback, "off", "off"),
            (Key::Rollback, "3", "3/10m0s"),
            (Key::Rollback, "2/90s", "2/1m30s"),
            (Key::Hook, "/bin/true", "/bin/true"),
            (Key::Webhook, "https://h/x?y", "https://h/x?y"),
            (Key::AdminAddress, "[::1]:80", "[::1]:80"),
            (Key::Relay, "off", "off"),
        ] {
            assert_eq!(set(key, text), Ok(shown.to_owned()), "{key}");
        }
    }

    #[test]
    fn refuses_what_does_not_fit() {
        for (key, text) in [
            (Key::BackupMode, "Copy"),
            (Key::BackupKeep, "-1"),
            (Key::BackupImmutable, "a,,b"),
            (Key::BackupImmutable, "a/b"),
            (Key::Restart, "sometimes"),
            (Key::RpcAddress, "localhost:26657"),
            (Key::RpcAddress, "http://"),
            (Key::Prefetch, "yes"),
            (Key::Rollback, "0"),
            (Key::Rollback, "3/0s"),
            (Key::Rollback, "3/10"),
            (Key::Rollback, "/10m"),
            (Key::Hook, "hook.sh"),
            (Key::Webhook, "ftp://h"),
            (Key::AdminAddress, "localhost:80"),
            (Key::Relay, "on"),
        ] {
            assert!(set(key, text).is_err(), "{key}={text}");
        }
    }
}
