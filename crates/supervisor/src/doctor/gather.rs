//! Finding out. Everything here only looks; the one thing that writes is the estimate of a backup,
//! which tries out in an empty directory of its own what the file system can do.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use percent_encoding::percent_decode_str;
use rustix::fs::{Access as Mode, AtFlags, CWD, StatxAttributes, StatxFlags, access, statx};
use rustix::process::geteuid;

use super::facts::{Access, Binary, Current, Data, Directory, Facts, Home, Pending, PlanFile};
use crate::backup::{self, State};
use crate::batch;
use crate::config::go_text::io_error;
use crate::config::{BackupMode, Config, Env, Loaded, Source};
use crate::fetch::executable::{NotExecutable, Program, inspect};
use crate::heights::{self, Heights};
use crate::layout::{Layout, Release};
use crate::node::{identity, lock};
use crate::plan::{self, Plan, PlanError};
use crate::records::Records;
use crate::stage::prepare::locate;
use crate::telling::history;
use crate::upgrade::Journal;

/// How long the chain may take to tell its plan.
const ANSWER: Duration = Duration::from_secs(3);

/// Finds out what there is to know about the home that the environment, or the configuration file,
/// names.
pub async fn gather(file: Option<&Path>, env: &Env) -> Facts {
    let (loaded, errors) = match Config::load(file, env) {
        Ok(loaded) => (Some(loaded), Vec::new()),
        Err(errors) => {
            let errors = errors.iter().map(ToString::to_string).collect();
            // With errors, and without a file, what can be read is still worth looking at.
            let rest = file.is_none().then(|| Config::load_for_init(env).ok());
            (rest.flatten(), errors)
        }
    };
    let ignored = loaded.as_ref().map_or_else(Vec::new, ignored);
    let home = match loaded {
        Some(loaded) => Some(Box::new(home(loaded.config).await)),
        None => None,
    };
    Facts {
        errors,
        ignored,
        home,
    }
}

fn ignored(loaded: &Loaded) -> Vec<String> {
    let named = |ignored: &crate::config::Ignored| match (ignored.source, &loaded.file) {
        (Source::File, Some(file)) => format!("{} (in {})", ignored.name, file.display()),
        _ => format!("{} (in the environment)", ignored.name),
    };
    loaded.ignored.iter().map(named).collect()
}

async fn home(config: Config) -> Home {
    let layout = config.layout();
    let root = layout.root();
    let baton = layout.baton();
    let supervisor = lock::held_by(&baton);
    let left_behind = Records::new(&baton)
        .last_life()
        .and_then(|life| life.process)
        .filter(|process| supervisor.is_none() && identity::is_alive(process))
        .map(|process| process.pid);
    let current = current(&layout);
    let current_binary = match &current {
        Current::To(release) => probe(&layout.bin(release)),
        Current::Unmade => probe(&layout.bin(&Release::Genesis)),
        Current::Wrong(_) => Binary::Missing,
    };
    let runs = supervisor.is_some() || left_behind.is_some();
    let (height, chain) = tokio::join!(height(&config, &layout, runs), async {
        let plan = heights::current_plan(&config.grpc_address, ANSWER).await;
        plan.map_err(|error| error.to_string())
    });
    let plan_file = plan_file(&layout);
    let batch = batch_list(&layout);
    let pending = pending(&config, &layout, &current, &plan_file, &chain, &batch);
    let backup_dir = writable(&config.data_backup_dir);
    let data = data(layout.data());
    let estimate = estimate(&config, &data, &backup_dir);
    let written = [root.clone(), baton.clone(), layout.upgrades()]
        .into_iter()
        // What the upgrade is made from gets a file that says so.
        .chain(pending.iter().filter_map(|pending| {
            let release = layout.release_of(&pending.plan.name).ok()?;
            Some(layout.dir(&release))
        }))
        .map(|path| (path.clone(), writable(&path)))
        .filter(|(_, access)| *access != Access::Absent)
        .collect();
    Home {
        user: geteuid().as_raw(),
        owner: fs::metadata(&root).map_or(geteuid().as_raw(), |meta| meta.uid()),
        written,
        current,
        current_binary,
        releases: releases(&layout),
        plan_file,
        chain,
        pending,
        batch: batch.map(|list| list.len()),
        journal: Journal::load(&baton).map_err(|error| error.to_string()),
        data,
        backup_dir,
        estimate,
        backups: backups(&config.data_backup_dir),
        supervisor,
        left_behind,
        height,
        hook: config
            .baton
            .hook
            .clone()
            .map(|path| (path.clone(), probe(&path))),
        custom: config.custom_preupgrade.as_ref().map(|file| {
            let path = root.join(file);
            (path.clone(), probe(&path))
        }),
        now_s: seconds(SystemTime::now()),
        newest_s: newest(&layout),
        config,
    }
}

fn seconds(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
}

/// What our own files say the time was when they were written.
fn newest(layout: &Layout) -> Option<i64> {
    let baton = layout.baton();
    [
        layout.current(),
        layout.plan_file(),
        Journal::path(&baton),
        baton.join(history::FILE),
        baton.join("node.json"),
    ]
    .iter()
    .filter_map(|path| Some(fs::symlink_metadata(path).ok()?.mtime()))
    .max()
}

fn writable(path: &Path) -> Access {
    match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Access::Absent,
        Err(e) => return Access::Refused(io_error(&e)),
        Ok(meta) if !meta.is_dir() => return Access::Refused("not a directory".to_owned()),
        Ok(_) => {}
    }
    match access(path, Mode::WRITE_OK | Mode::EXEC_OK) {
        Ok(()) => Access::Writable,
        Err(e) => Access::Refused(io_error(&e.into())),
    }
}

/// Looks at a program without making it executable.
fn probe(path: &Path) -> Binary {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Binary::Missing,
        Err(e) => return Binary::Unfit(io_error(&e)),
    };
    let needs = match inspect(path) {
        Ok(Program::Elf { loader }) => loader,
        Ok(Program::Script { interpreter }) => Some(interpreter),
        Ok(Program::MachO) => None,
        Err(error @ NotExecutable::Io { .. }) => return Binary::Unfit(error.to_string()),
        Err(error) => return Binary::Unfit(error.reason()),
    };
    if let Some(needs) = needs.filter(|needs| !Path::new(needs).exists()) {
        return Binary::Unfit(format!("it needs {needs}, which is not on this machine"));
    }
    if access(path, Mode::EXEC_OK).is_ok() {
        Binary::Runs
    } else {
        let me = geteuid();
        Binary::NotMarked {
            ours: me.is_root() || me.as_raw() == meta.uid(),
        }
    }
}

fn current(layout: &Layout) -> Current {
    let link = layout.current();
    // `running` would make it.
    if let Err(e) = fs::symlink_metadata(&link) {
        return if e.kind() == io::ErrorKind::NotFound {
            Current::Unmade
        } else {
            Current::Wrong(format!("{}: {}", link.display(), io_error(&e)))
        };
    }
    match layout.running() {
        Ok(release) => Current::To(release),
        Err(error) => Current::Wrong(error.to_string()),
    }
}

fn releases(layout: &Layout) -> Vec<Directory> {
    let Ok(entries) = fs::read_dir(layout.upgrades()) else {
        return Vec::new();
    };
    let mut releases: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        // A fetch at work.
        .filter(|name| !name.starts_with('.'))
        .map(|name| {
            let release = Release::Upgrade(name.clone());
            let binary = probe(&layout.bin(&release));
            let upgrade = percent_decode_str(&name).decode_utf8_lossy();
            let looked_for = layout.release_of(&upgrade).ok();
            Directory {
                looked_for: looked_for
                    .filter(|looked_for| *looked_for != release)
                    .map(|looked_for| looked_for.label()),
                binary,
                name,
            }
        })
        .collect();
    releases.sort_by(|one, other| one.name.cmp(&other.name));
    releases
}

fn plan_file(layout: &Layout) -> PlanFile {
    match plan::read_file(&layout.plan_file()) {
        Ok(None) => PlanFile::Absent,
        Ok(Some(file)) => match file.content {
            Ok(plan) => PlanFile::Plan(plan),
            Err(error @ PlanError::Incomplete(_)) => PlanFile::Incomplete(error.to_string()),
            Err(error) => PlanFile::Wrong(error.to_string()),
        },
        Err(e) => PlanFile::Wrong(io_error(&e)),
    }
}

fn batch_list(layout: &Layout) -> Result<Vec<Plan>, String> {
    match fs::read(layout.batch_file()) {
        Ok(text) => batch::parse(&text).map_err(|error| error.to_string()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(io_error(&e)),
    }
}

/// The upgrades to come, whoever says so, each once.
fn pending(
    config: &Config,
    layout: &Layout,
    current: &Current,
    plan_file: &PlanFile,
    chain: &Result<Option<Plan>, String>,
    batch: &Result<Vec<Plan>, String>,
) -> Vec<Pending> {
    let in_file = match plan_file {
        PlanFile::Plan(plan) => Some(plan),
        _ => None,
    };
    let running = match current {
        Current::To(release) => Some(release),
        Current::Unmade | Current::Wrong(_) => None,
    };
    let reached = running
        .and_then(|release| plan::read_file(&layout.release_plan(release)).ok()?)
        .and_then(|file| file.content.ok())
        .map_or(0, |plan| plan.height);
    let said = in_file
        .map(|plan| (plan, "upgrade-info.json"))
        .into_iter()
        .chain(
            chain
                .iter()
                .flatten()
                .map(|plan| (plan, "the chain's plan")),
        )
        .chain(batch.iter().flatten().map(|plan| (plan, "the batch list")));
    let mut pending: Vec<Pending> = Vec::new();
    for (plan, said_by) in said {
        let release = layout.release_of(&plan.name);
        let is_new = pending
            .iter()
            .all(|known| (&known.plan.name, known.plan.height) != (&plan.name, plan.height));
        if !is_new || plan.height <= reached || release.as_ref().ok() == running {
            continue;
        }
        let (path, binary) = match release {
            Ok(release) => (layout.bin(&release), probe(&layout.bin(&release))),
            Err(error) => (layout.upgrades(), Binary::Unfit(error.to_string())),
        };
        pending.push(Pending {
            plan: plan.clone(),
            said_by,
            path,
            binary,
            address: locate(&plan.info, config.download_must_have_checksum),
        });
    }
    pending
}

fn data(path: &Path) -> Data {
    let wrong = |e: &io::Error| Data::Wrong(io_error(e));
    let is_link = match fs::symlink_metadata(path) {
        Ok(meta) => meta.is_symlink(),
        Err(e) => return wrong(&e),
    };
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) if is_link && e.kind() == io::ErrorKind::NotFound => {
            return Data::Dangling(fs::read_link(path).unwrap_or_default());
        }
        Err(e) => return wrong(&e),
    };
    if !meta.is_dir() {
        return Data::Wrong("not a directory".to_owned());
    }
    let real = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(e) => return wrong(&e),
    };
    Data::There {
        mount_point: is_mount_point(&real),
        access: writable(&real),
        real: is_link.then_some(real),
    }
}

fn is_mount_point(path: &Path) -> bool {
    statx(
        CWD,
        path,
        AtFlags::SYMLINK_NOFOLLOW,
        StatxFlags::BASIC_STATS,
    )
    .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn estimate(
    config: &Config,
    data: &Data,
    backup_dir: &Access,
) -> Option<Result<backup::Estimate, String>> {
    let off = config.skip_backup || config.baton.backup_mode == BackupMode::Off;
    let possible = matches!(data, Data::There { .. }) && *backup_dir == Access::Writable;
    if off || !possible {
        return None;
    }
    let request = backup::Request {
        data: config.data_dir.clone(),
        dest_dir: config.data_backup_dir.clone(),
        mode: config.baton.backup_mode,
        immutable: config.baton.backup_immutable.clone(),
        upgrade: None,
        today: jiff::Zoned::now().date(),
    };
    let estimate = backup::estimate(&request, &());
    Some(estimate.map_err(|error| error.to_string()))
}

fn backups(dir: &Path) -> Result<(usize, Vec<PathBuf>), String> {
    if !dir.is_dir() {
        return Ok((0, Vec::new()));
    }
    let (complete, doubtful): (Vec<_>, Vec<_>) = backup::list(dir)
        .map_err(|error| error.to_string())?
        .into_iter()
        .partition(|entry| matches!(entry.state, State::Complete(_)));
    let doubtful = doubtful.into_iter().map(|entry| entry.path).collect();
    Ok((complete.len(), doubtful))
}

async fn height(config: &Config, layout: &Layout, runs: bool) -> Result<(u64, String), String> {
    let mut heights = Heights::new(heights::Settings {
        home: config.home.clone(),
        rpc_address: config.baton.rpc_address.clone(),
        grpc_address: config.grpc_address.clone(),
        node_args: Vec::new(),
        control_dir: runs.then(|| layout.control_dir()),
    });
    let read = if runs {
        let bin = layout.current().join("bin").join(&config.name);
        heights.read(&bin).await
    } else {
        heights.read_network().await
    };
    match read {
        Ok(reading) => Ok((reading.height, reading.source.to_string())),
        Err(unknown) => Err(unknown.to_string()),
    }
}

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;
