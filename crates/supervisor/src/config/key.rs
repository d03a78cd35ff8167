//! The names of the settings, in the environment and in the file.

use std::fmt;

/// A setting. Displays as its environment variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(
    missing_docs,
    reason = "each is documented where its value lives, in Config"
)]
pub enum Key {
    DaemonHome,
    DaemonName,
    AllowDownloadBinaries,
    DownloadMustHaveChecksum,
    RestartAfterUpgrade,
    RestartDelay,
    ShutdownGrace,
    PollInterval,
    SkipBackup,
    DataBackupDir,
    PreupgradeMaxRetries,
    GrpcAddress,
    DisableLogs,
    ColorLogs,
    TimeFormat,
    CustomPreupgrade,
    DisableRecase,
    DataDir,
    BackupMode,
    BackupKeep,
    BackupImmutable,
    Restart,
    RpcAddress,
    Prefetch,
    Rollback,
    Hook,
    Webhook,
    AdminAddress,
    Relay,
}

impl Key {
    /// Cosmovisor's keys, in the order of its `config.toml`.
    pub const COSMOVISOR: [Self; 17] = [
        Self::DaemonHome,
        Self::DaemonName,
        Self::AllowDownloadBinaries,
        Self::DownloadMustHaveChecksum,
        Self::RestartAfterUpgrade,
        Self::RestartDelay,
        Self::ShutdownGrace,
        Self::PollInterval,
        Self::SkipBackup,
        Self::DataBackupDir,
        Self::PreupgradeMaxRetries,
        Self::GrpcAddress,
        Self::DisableLogs,
        Self::ColorLogs,
        Self::TimeFormat,
        Self::CustomPreupgrade,
        Self::DisableRecase,
    ];

    /// The keys Cosmovisor does not know.
    pub const BATON: [Self; 12] = [
        Self::DataDir,
        Self::BackupMode,
        Self::BackupKeep,
        Self::BackupImmutable,
        Self::Restart,
        Self::RpcAddress,
        Self::Prefetch,
        Self::Rollback,
        Self::Hook,
        Self::Webhook,
        Self::AdminAddress,
        Self::Relay,
    ];

    /// The environment variable.
    pub const fn env_name(self) -> &'static str {
        match self {
            Self::DaemonHome => "DAEMON_HOME",
            Self::DaemonName => "DAEMON_NAME",
            Self::AllowDownloadBinaries => "DAEMON_ALLOW_DOWNLOAD_BINARIES",
            Self::DownloadMustHaveChecksum => "DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM",
            Self::RestartAfterUpgrade => "DAEMON_RESTART_AFTER_UPGRADE",
            Self::RestartDelay => "DAEMON_RESTART_DELAY",
            Self::ShutdownGrace => "DAEMON_SHUTDOWN_GRACE",
            Self::PollInterval => "DAEMON_POLL_INTERVAL",
            Self::SkipBackup => "UNSAFE_SKIP_BACKUP",
            Self::DataBackupDir => "DAEMON_DATA_BACKUP_DIR",
            Self::PreupgradeMaxRetries => "DAEMON_PREUPGRADE_MAX_RETRIES",
            Self::GrpcAddress => "DAEMON_GRPC_ADDRESS",
            Self::DisableLogs => "COSMOVISOR_DISABLE_LOGS",
            Self::ColorLogs => "COSMOVISOR_COLOR_LOGS",
            Self::TimeFormat => "COSMOVISOR_TIMEFORMAT_LOGS",
            Self::CustomPreupgrade => "COSMOVISOR_CUSTOM_PREUPGRADE",
            Self::DisableRecase => "COSMOVISOR_DISABLE_RECASE",
            Self::DataDir => "DAEMON_DATA_DIR",
            Self::BackupMode => "BATON_BACKUP_MODE",
            Self::BackupKeep => "BATON_BACKUP_KEEP",
            Self::BackupImmutable => "BATON_BACKUP_IMMUTABLE",
            Self::Restart => "BATON_RESTART",
            Self::RpcAddress => "BATON_RPC_ADDRESS",
            Self::Prefetch => "BATON_PREFETCH",
            Self::Rollback => "BATON_ROLLBACK",
            Self::Hook => "BATON_HOOK",
            Self::Webhook => "BATON_WEBHOOK",
            Self::AdminAddress => "BATON_ADMIN_ADDRESS",
            Self::Relay => "BATON_RELAY",
        }
    }

    /// The key in `config.toml`: the variable in lower case. Of a key in the `[baton]` table, the
    /// name there.
    pub fn file_name(self) -> String {
        let name = self.env_name();
        name.strip_prefix("BATON_")
            .unwrap_or(name)
            .to_ascii_lowercase()
    }

    /// Whether the key lies in the file's `[baton]` table.
    pub fn in_baton_table(self) -> bool {
        self.env_name().starts_with("BATON_")
    }

    /// The key in the file with its table: `daemon_home`, `baton.restart`.
    pub fn file_path(self) -> String {
        let table = if self.in_baton_table() { "baton." } else { "" };
        format!("{table}{}", self.file_name())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.env_name())
    }
}
