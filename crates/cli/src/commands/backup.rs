//! `backup`, `restore` and `rollback`: copies of the data, by hand.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use baton_supervisor::backup::{self, Outcome as Took, SigningChoice};
use baton_supervisor::config::Loaded;
use baton_supervisor::node::{identity, lock};
use baton_supervisor::records::Records;
use baton_supervisor::run::rollback;
use baton_supervisor::telling::words;

use super::{Outcome, runtime};
use crate::console;
use crate::context::Context;
use crate::ending::Ending;
use crate::progress::Bar;

/// What `backup` is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct BackupArgs {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The backups there are, newest first
    List,
    /// Compare a backup with its manifest, file by file
    Verify {
        /// The backup: a path, or a name in the backup directory
        backup: PathBuf,
    },
}

/// What `restore` is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    /// The backup: a path, or a name in the backup directory
    backup: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Restore a backup without a manifest too, such as one that Cosmovisor made
    #[arg(long)]
    accept_unverified: bool,
    /// Which signing state a validator gets; with an older one it could sign twice
    #[arg(long, value_enum, default_value = "newer")]
    signing_state: SigningState,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SigningState {
    /// The newer of the backup's and the present one
    Newer,
    /// The backup's, whatever it is
    Backup,
}

/// What `rollback` is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct RollbackArgs {
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Point `current` back and leave the data as it is
    #[arg(long)]
    keep_data: bool,
}

/// Backs the data up now, or looks at the backups there are.
pub(crate) fn backup(context: &Context, args: &BackupArgs) -> Outcome {
    let loaded = context.load()?;
    match &args.what {
        None => take(&loaded),
        Some(What::List) => list(&loaded),
        Some(What::Verify { backup }) => verify(&loaded, backup),
    }
}

/// The node must not write while its data is copied or replaced.
fn node_is_down(loaded: &Loaded, what: &str) -> anyhow::Result<lock::Lock> {
    let baton = loaded.config.layout().baton();
    let lock = lock::take(&baton).with_context(|| {
        format!("cannot {what} while the node may be running: stop the supervisor first")
    })?;
    if let Some(process) = Records::new(&baton).last_life().and_then(|l| l.process)
        && identity::is_alive(&process)
    {
        bail!(
            "cannot {what} while the node runs (pid {}, left behind by a supervisor that was killed): stop it first",
            process.pid
        );
    }
    Ok(lock)
}

fn take(loaded: &Loaded) -> Outcome {
    let config = &loaded.config;
    let _lock = node_is_down(loaded, "back up")?;
    let mode = match config.baton.backup_mode {
        // Off is for upgrades; who asks for a backup wants one.
        backup::Mode::Off => backup::Mode::Auto,
        mode => mode,
    };
    let request = backup::Request {
        data: config.data_dir.clone(),
        dest_dir: config.data_backup_dir.clone(),
        mode,
        immutable: config.baton.backup_immutable.clone(),
        upgrade: None,
        today: jiff::Zoned::now().date(),
    };
    let bar = Bar::bytes("backing up");
    match backup::take(&request, &bar)? {
        Took::Taken(report) => {
            bar.end();
            console::out(&format!(
                "{}\n{} in {} files by {} in {}\n",
                report.path.display(),
                words::bytes(report.summary.bytes),
                report.summary.files,
                report.summary.method,
                words::span(report.took),
            ));
            for passed in &report.passed {
                console::out(&format!("{passed}\n"));
            }
            if let Some((files, why)) = &report.copied_instead {
                console::out(&format!("{files} files were copied instead: {why}\n"));
            }
            for skipped in &report.skipped {
                console::out(&format!("left out: {skipped}\n"));
            }
        }
        Took::Found(entry) => console::out(&format!("{}\n", entry.path.display())),
        Took::Off => {}
    }
    Ok(Ending::Done)
}

fn list(loaded: &Loaded) -> Outcome {
    let dir = &loaded.config.data_backup_dir;
    let entries = backup::list(dir)?;
    if entries.is_empty() {
        console::out(&format!("no backups in {}\n", dir.display()));
        return Ok(Ending::Done);
    }
    let mut table = comfy_table::Table::new();
    table
        .load_preset(comfy_table::presets::NOTHING)
        .set_header(["backup", "size", "files", "made by", "for upgrade"]);
    for entry in entries.iter().rev() {
        let name = entry.path.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        match (&entry.state, entry.summary()) {
            (_, Some(summary)) => {
                let upgrade = summary.upgrade.as_ref().map_or("-".to_owned(), |u| {
                    format!("{} at {}", u.plan.name, u.plan.height)
                });
                table.add_row([
                    name,
                    words::bytes(summary.bytes),
                    summary.files.to_string(),
                    summary.method.to_string(),
                    upgrade,
                ]);
            }
            (state, None) => {
                let unknown = || "?".to_owned();
                table.add_row([
                    name,
                    unknown(),
                    unknown(),
                    state.to_string(),
                    "-".to_owned(),
                ]);
            }
        }
    }
    console::out(&format!("{table}\n"));
    Ok(Ending::Done)
}

/// A path as it is, or the name of a backup.
fn find(loaded: &Loaded, given: &std::path::Path) -> PathBuf {
    if given.components().count() == 1 {
        let named = loaded.config.data_backup_dir.join(given);
        if named.is_dir() {
            return named;
        }
    }
    given.to_owned()
}

fn verify(loaded: &Loaded, given: &std::path::Path) -> Outcome {
    let path = find(loaded, given);
    let bar = Bar::bytes("verifying");
    let found = backup::verify(&path, &bar)?;
    bar.end();
    if found.is_sound() {
        console::out(&format!("{}: sound\n", path.display()));
        return Ok(Ending::Done);
    }
    console::out(&format!(
        "{}: damaged, {} differences\n",
        path.display(),
        found.differences_total
    ));
    for difference in &found.differences {
        console::out(&format!("  {difference}\n"));
    }
    Ok(Ending::Wrong)
}

/// Puts a backup in the place of the data.
pub(crate) fn restore(context: &Context, args: &RestoreArgs) -> Outcome {
    let loaded = context.load()?;
    let config = &loaded.config;
    let request = backup::RestoreRequest {
        backup: find(&loaded, &args.backup),
        data: config.data_dir.clone(),
        mode: config.baton.backup_mode,
        signing: match args.signing_state {
            SigningState::Newer => SigningChoice::Newer,
            SigningState::Backup => SigningChoice::Backup,
        },
        accept_unverified: args.accept_unverified,
        today: jiff::Zoned::now().date(),
    };
    let bar = Bar::bytes("restoring");
    let (did, done) = if args.dry_run {
        ("would be", backup::plan_restore(&request, &bar)?)
    } else {
        let _lock = node_is_down(&loaded, "restore")?;
        ("was", backup::restore(&request, &bar)?)
    };
    bar.end();
    console::out(&format!(
        "{} {did} restored to {} by {}: {} in {} files\n",
        done.backup.display(),
        done.data.display(),
        done.method,
        words::bytes(done.bytes),
        done.files,
    ));
    if let Some(aside) = &done.aside {
        console::out(&format!(
            "the present data {did} kept in {}\n",
            aside.display()
        ));
    }
    if done.signing.is_empty() {
        console::out("signing state: none, here or in the backup\n");
    }
    for signing in &done.signing {
        console::out(&format!("signing state: {signing} ({})\n", signing.file));
    }
    Ok(Ending::Done)
}

/// Takes the last upgrade back.
pub(crate) fn rollback(context: &Context, args: &RollbackArgs) -> Outcome {
    let loaded = context.load()?;
    context.start_log(&loaded.config);
    let (did, done) = if args.dry_run {
        ("would be", rollback::plan(&loaded.config, args.keep_data)?)
    } else {
        let runtime = runtime()?;
        let done = runtime.block_on(rollback::perform(loaded, args.keep_data))?;
        ("was", done)
    };
    console::out(&format!(
        "the upgrade {} at height {} {did} taken back: current points to {}\n",
        done.name,
        done.height,
        done.to.display()
    ));
    match &done.backup {
        Some(backup) => console::out(&format!(
            "the data {did} put back from {}\n",
            backup.display()
        )),
        None => console::out("the data is left as it is\n"),
    }
    Ok(Ending::Done)
}
