//! The steps of an upgrade, as system calls. Each may be performed again after a crash.

use std::fs;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::journal::{Journal, Way};
use super::machine::Step;
use super::scripts::{self, ScriptError};
use crate::backup::{self, BackupError, RestoreError};
use crate::binary::{self, BinaryError};
use crate::config::{BackupMode, Config};
use crate::fetch::{self, FetchError};
use crate::files::write_atomic;
use crate::layout::{Layout, LinkError, Release};
use crate::node::contract::{self, ContractError};
use crate::plan::{Fingerprint, Plan};
use crate::telling::{Event, Telling};

/// How long a node may take to write a snapshot of itself. It goes on answering, and the chain stands still anyway.
const SNAPSHOT: Duration = Duration::from_hours(1);

/// What the steps work on.
#[derive(Debug)]
pub struct Steps {
    config: Arc<Config>,
    layout: Layout,
    telling: Telling,
    cancel: Arc<AtomicBool>,
}

/// What a step has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// There was something to do.
    pub changed: bool,
    backup: Option<PathBuf>,
    failed_binary: Option<Fingerprint>,
}

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The backup failed.
    #[error("error while taking data backup: {0}")]
    Backup(#[from] BackupError),
    /// A program failed.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// The binary is not there, and may not be downloaded.
    #[error("binary not present, downloading disabled: {0}")]
    NotPresent(BinaryError),
    /// The binary is there and cannot run here.
    #[error("the new binary {} cannot run on this machine: {why}", .path.display())]
    NotForHere {
        /// The binary.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The binary could not be downloaded.
    #[error("{prefix}{0}", prefix = .0.stage().prefix())]
    Fetch(#[from] FetchError),
    /// The link could not be set.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The system refused.
    #[error("{doing} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data could not be put back.
    #[error("putting the data back from {}: {source}", .backup.display())]
    Restore {
        /// The backup.
        backup: PathBuf,
        /// What went wrong.
        source: Box<RestoreError>,
    },
    /// The node did not write a snapshot.
    #[error("the node has not written a snapshot: {0}")]
    Snapshot(#[from] ContractError),
    /// The thread that did it is gone.
    #[error("the step ended unexpectedly: {0}")]
    Lost(#[from] tokio::task::JoinError),
}

impl Done {
    fn something() -> Self {
        Self {
            changed: true,
            ..Self::default()
        }
    }

    fn nothing() -> Self {
        Self::default()
    }

    /// Adds what the step made to the journal.
    pub fn note_in(&self, journal: &mut Journal) {
        if let Some(backup) = &self.backup {
            journal.backup = Some(backup.clone());
        }
        if self.failed_binary.is_some() {
            journal.failed_binary = self.failed_binary;
        }
    }
}

/// This moment as upstream logs one: RFC 3339, to the second, in the local zone.
fn now() -> String {
    let now = jiff::Zoned::now();
    let zone = if now.offset().is_zero() { "Z" } else { "%:z" };
    now.strftime(&format!("%Y-%m-%dT%H:%M:%S{zone}"))
        .to_string()
}

/// What an operator can do about a failed step.
pub fn what_to_do(step: Step) -> &'static str {
    match step {
        Step::BackUp => {
            "make room or choose another DAEMON_DATA_BACKUP_DIR or BATON_BACKUP_MODE, then start again; nothing was changed"
        }
        Step::CustomPreUpgrade => {
            "mend the script that COSMOVISOR_CUSTOM_PREUPGRADE names, then start again; the backup is kept and not made twice"
        }
        Step::Fetch => {
            "put the binary in place with `add-upgrade`, or allow downloads, then start again; the backup is kept and not made twice"
        }
        Step::PreUpgrade => {
            "the link was put back; mend what pre-upgrade complains about, then start again"
        }
        Step::RestoreData | Step::RestoreLink => {
            "see `baton status`, then start again: the roll-back goes on where it stopped"
        }
        Step::Stop | Step::Switch | Step::Start | Step::HandOver | Step::SwitchBack => {
            "mend the cause, then start again: the upgrade goes on where it stopped"
        }
    }
}

/// The same where the old node goes on answering.
pub fn what_to_do_beside(step: Step) -> String {
    let mend = match step {
        Step::BackUp => {
            "make room or choose another DAEMON_DATA_BACKUP_DIR, or see what the node says of its snapshot"
        }
        Step::CustomPreUpgrade => "mend the script that COSMOVISOR_CUSTOM_PREUPGRADE names",
        Step::Fetch => "put the binary in place with `add-upgrade`",
        Step::PreUpgrade => "the link was put back; mend what pre-upgrade complains about",
        Step::HandOver => {
            "the link was put back; see in the node's log what the new binary says, and mend that or put another in place with `add-upgrade --force`"
        }
        _ => "mend the cause",
    };
    format!("{mend}; then `baton retry`, or `baton retry --stop` to stop the old node first")
}

impl Steps {
    /// The steps for one home; `cancel` breaks off the one under way.
    pub fn new(
        config: Arc<Config>,
        layout: Layout,
        telling: Telling,
        cancel: Arc<AtomicBool>,
    ) -> Self {
        Self {
            config,
            layout,
            telling,
            cancel,
        }
    }

    /// Performs one step of the journal's upgrade.
    pub async fn perform(
        self: Arc<Self>,
        step: Step,
        journal: &Journal,
    ) -> Result<Done, StepError> {
        match step {
            // The node's processes are the driver's; here they are gone already or not yet there.
            Step::Stop | Step::Start | Step::HandOver => Ok(Done::nothing()),
            Step::BackUp => self.back_up(journal).await,
            Step::CustomPreUpgrade => self.custom(&journal.plan).await,
            Step::Fetch => self.fetch(&journal.plan).await,
            Step::Switch => self.switch(&journal.plan),
            Step::PreUpgrade => self.pre_upgrade(&journal.plan).await,
            Step::SwitchBack => self.switch_back(&journal.from),
            Step::RestoreData => self.restore(journal).await,
            Step::RestoreLink => {
                let failed_binary = self.binary_of(&journal.plan);
                let done = self.switch_back(&journal.from)?;
                Ok(Done {
                    failed_binary,
                    ..done
                })
            }
        }
    }

    /// Whether the data is backed up before an upgrade.
    pub fn backs_up(&self) -> bool {
        !self.config.skip_backup && self.config.baton.backup_mode != BackupMode::Off
    }

    async fn back_up(self: Arc<Self>, journal: &Journal) -> Result<Done, StepError> {
        if !self.backs_up() {
            return Ok(Done::nothing());
        }
        let request = self.backup_request(journal);
        if journal.way == Way::Relay {
            return self.snapshot(request).await;
        }
        info!(
            "backup start time" = %now(),
            "starting to take backup of data directory"
        );
        let steps = self.clone();
        let outcome =
            tokio::task::spawn_blocking(move || backup::take(&request, &Watcher { steps }))
                .await??;
        let path = match outcome {
            backup::Outcome::Off => return Ok(Done::nothing()),
            backup::Outcome::Found(entry) => {
                info!("backup saved at" = %entry.path.display(), "the backup for this upgrade was made before");
                entry.path
            }
            backup::Outcome::Taken(report) => {
                self.tell_backup(&report);
                report.path
            }
        };
        Ok(Done {
            backup: Some(path),
            ..Done::something()
        })
    }

    /// The node writes the backup itself, and goes on answering meanwhile.
    async fn snapshot(self: Arc<Self>, request: backup::Request) -> Result<Done, StepError> {
        let prepared =
            tokio::task::spawn_blocking(move || backup::prepare_snapshot(request)).await??;
        let path = match prepared {
            backup::Prepared::Found(entry) => {
                info!("backup saved at" = %entry.path.display(), "the backup for this upgrade was made before");
                entry.path
            }
            backup::Prepared::Ready(snapshot) => {
                info!("backup start time" = %now(), "the node writes a snapshot of its data");
                let control_dir = self.layout.control_dir();
                let target = snapshot.target();
                contract::snapshot(&control_dir, &target, SNAPSHOT).await?;
                let steps = self.clone();
                let report =
                    tokio::task::spawn_blocking(move || snapshot.complete(&Watcher { steps }))
                        .await??;
                self.tell_backup(&report);
                report.path
            }
        };
        Ok(Done {
            backup: Some(path),
            ..Done::something()
        })
    }

    fn backup_request(&self, journal: &Journal) -> backup::Request {
        backup::Request {
            data: self.layout.data().to_owned(),
            dest_dir: self.config.data_backup_dir.clone(),
            mode: self.config.baton.backup_mode,
            immutable: self.config.baton.backup_immutable.clone(),
            upgrade: Some(backup::Upgrade {
                id: journal.id(),
                plan: journal.plan.clone(),
            }),
            today: jiff::Zoned::now().date(),
        }
    }

    fn tell_backup(&self, report: &backup::Report) {
        info!(
            "backup completion time" = %now(),
            "backup saved at" = %report.path.display(),
            "time taken to complete backup" = report.took.as_secs_f64() * 1000.0,
            "backup completed"
        );
        info!(
            method = %report.summary.method,
            files = report.summary.files,
            bytes = report.summary.bytes,
            "how the backup was made"
        );
        for passed in &report.passed {
            info!("{passed}");
        }
        if let Some((files, why)) = &report.copied_instead {
            warn!(files, why, "files were copied that should have been shared");
        }
        self.telling.tell(Event::BackupMade {
            path: report.path.clone(),
            mode: report.summary.method.to_string(),
            bytes: report.summary.bytes,
            files: report.summary.files,
            took: report.took,
        });
    }

    async fn custom(&self, plan: &Plan) -> Result<Done, StepError> {
        let Some(file) = &self.config.custom_preupgrade else {
            return Ok(Done::nothing());
        };
        scripts::custom(&self.layout.root(), self.layout.home(), file, plan).await?;
        Ok(Done::something())
    }

    /// Sees that the new release is in place and can run here.
    pub async fn fetch(self: Arc<Self>, plan: &Plan) -> Result<Done, StepError> {
        let release = self.layout.release_of(&plan.name)?;
        let bin = self.layout.bin(&release);
        match binary::ensure(&bin) {
            Ok(()) => {
                fetch::executable::inspect(&bin).map_err(|why| StepError::NotForHere {
                    path: bin,
                    why: why.to_string(),
                })?;
                return Ok(Done::nothing());
            }
            Err(missing @ BinaryError::Missing { .. }) => {
                if !self.config.allow_download_binaries {
                    return Err(StepError::NotPresent(missing));
                }
            }
            Err(other) => return Err(StepError::NotPresent(other)),
        }
        info!("no upgrade binary found, beginning to download it");
        self.download(plan, &release).await?;
        info!("downloading binary complete");
        Ok(Done::something())
    }

    /// Makes `current` point to the new release, which knows its plan by then.
    fn switch(&self, plan: &Plan) -> Result<Done, StepError> {
        let release = self.layout.release_of(&plan.name)?;
        let recased = Plan {
            name: self.layout.cased(&plan.name),
            ..plan.clone()
        };
        let path = self.layout.release_plan(&release);
        let text = recased.to_json();
        if fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
            match write_atomic(&path, text.as_bytes(), 0o644) {
                Ok(()) => {}
                // A release that root has put there is as good as any; `current` is what counts.
                Err(e) if e.kind() == ErrorKind::PermissionDenied => {
                    warn!(path = %path.display(), error = %e, "the release cannot be marked with its plan");
                }
                Err(source) => {
                    return Err(StepError::Io {
                        doing: "writing",
                        path,
                        source,
                    });
                }
            }
        }
        self.layout.switch(&release)?;
        Ok(Done::something())
    }

    async fn pre_upgrade(&self, plan: &Plan) -> Result<Done, StepError> {
        let bin = self.layout.bin(&self.layout.release_of(&plan.name)?);
        let ran = scripts::pre_upgrade(
            &self.layout.root(),
            &bin,
            self.config.preupgrade_max_retries,
        )
        .await?;
        Ok(if ran {
            Done::something()
        } else {
            Done::nothing()
        })
    }

    fn switch_back(&self, from: &Path) -> Result<Done, StepError> {
        self.layout.switch_to(from)?;
        Ok(Done::something())
    }

    async fn restore(self: Arc<Self>, journal: &Journal) -> Result<Done, StepError> {
        let Some(path) = journal.backup.clone() else {
            return Ok(Done::nothing());
        };
        let request = backup::RestoreRequest {
            backup: path.clone(),
            data: self.layout.data().to_owned(),
            mode: self.config.baton.backup_mode,
            signing: backup::SigningChoice::default(),
            accept_unverified: false,
            today: jiff::Zoned::now().date(),
        };
        let steps = self.clone();
        let restoration =
            tokio::task::spawn_blocking(move || backup::restore(&request, &Watcher { steps }))
                .await?
                .map_err(|source| StepError::Restore {
                    backup: path,
                    source: Box::new(source),
                })?;
        warn!(
            backup = %restoration.backup.display(),
            aside = %restoration.aside.as_deref().unwrap_or_else(|| Path::new("-")).display(),
            "the data from before the upgrade was put back"
        );
        Ok(Done::something())
    }

    /// Removes backups beyond the number to keep; what goes wrong is told, nothing more.
    pub async fn prune(self: Arc<Self>) {
        let keep = self.config.baton.backup_keep as usize;
        if keep == 0 {
            return;
        }
        let dir = self.config.data_backup_dir.clone();
        let data = self.layout.data().to_owned();
        let watcher = Watcher {
            steps: self.clone(),
        };
        let pruned =
            tokio::task::spawn_blocking(move || backup::prune(&dir, &data, keep, &watcher)).await;
        match pruned {
            Ok(Ok(pruned)) => {
                if let Some(why) = pruned.held_back {
                    warn!(why, "no old backup was removed");
                }
                if !pruned.removed.is_empty() {
                    self.telling.tell(Event::BackupsPruned {
                        paths: pruned.removed,
                    });
                }
            }
            Ok(Err(error)) => warn!(%error, "old backups could not be removed"),
            Err(error) => warn!(%error, "old backups could not be removed"),
        }
    }

    fn binary_of(&self, plan: &Plan) -> Option<Fingerprint> {
        let release = self.layout.release_of(&plan.name).ok()?;
        Fingerprint::of(&self.layout.bin(&release)).ok()
    }
}

/// Shows how far a backup is, and breaks it off.
struct Watcher {
    steps: Arc<Steps>,
}

impl backup::Observer for Watcher {
    fn progress(&self, progress: backup::Progress) {
        self.steps.telling.tell(Event::BackupProgress {
            bytes_done: progress.bytes_done,
            bytes_total: progress.bytes_total,
            files_done: progress.files_done,
            files_total: progress.files_total,
        });
    }

    fn cancelled(&self) -> bool {
        self.steps.cancel.load(Ordering::Relaxed)
    }
}

impl Steps {
    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where things lie.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The supervisor's voice.
    pub fn telling(&self) -> &Telling {
        &self.telling
    }

    /// Fetches a planned release ahead of its height; nothing if its binary is there.
    pub async fn prefetch(self: Arc<Self>, plan: &Plan) -> Result<(), String> {
        let release = self
            .layout
            .release_of(&plan.name)
            .map_err(|e| e.to_string())?;
        if binary::ensure(&self.layout.bin(&release)).is_ok() {
            return Ok(());
        }
        self.download(plan, &release)
            .await
            .map_err(|e| e.to_string())
    }

    async fn download(&self, plan: &Plan, release: &Release) -> Result<(), FetchError> {
        let dir_name = match release {
            Release::Upgrade(dir) => dir.clone(),
            other => other.label(),
        };
        let request = fetch::Request {
            upgrades_dir: self.layout.upgrades(),
            dir_name,
            daemon_name: self.layout.daemon_name().to_owned(),
            info: plan.info.clone(),
            must_have_checksum: self.config.download_must_have_checksum,
            os_arch: fetch::os_arch(),
            environment: None,
            limits: fetch::Limits::default(),
        };
        let begun = Instant::now();
        self.telling.tell(Event::PrefetchStarted {
            name: plan.name.clone(),
            url: address_in(&plan.info),
        });
        let observer = {
            let (telling, cancel, name) =
                (self.telling.clone(), self.cancel.clone(), plan.name.clone());
            move |progress: &fetch::Progress| {
                if progress.step == fetch::Step::Downloading {
                    telling.tell(Event::PrefetchProgress {
                        name: name.clone(),
                        bytes_done: progress.bytes,
                        bytes_total: progress.total,
                    });
                }
                if cancel.load(Ordering::Relaxed) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            }
        };
        let fetched = fetch::release(&request, Arc::new(observer)).await?;
        for warning in &fetched.warnings {
            warn!("{warning}");
        }
        let record = fetched.record.as_ref();
        self.telling.tell(Event::PrefetchFinished {
            name: plan.name.clone(),
            bytes: record.map_or(0, |record| record.bytes),
            verified: record.is_some_and(|record| record.checksum.is_some()),
            took: begun.elapsed(),
        });
        Ok(())
    }
}

/// Where a plan's info says that this machine's binary is, without credentials.
fn address_in(info: &str) -> String {
    match fetch::info::Info::read(info) {
        Ok(fetch::info::Info::At(url)) => fetch::source::redact(&url),
        Ok(fetch::info::Info::Here(binaries)) => binaries
            .choose(&fetch::os_arch())
            .map(|(_, url)| fetch::source::redact(url))
            .unwrap_or_default(),
        Err(_) => String::new(),
    }
}
