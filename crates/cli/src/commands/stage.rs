//! The commands that prepare a home.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use baton_supervisor::config::Config;
use baton_supervisor::fetch;
use baton_supervisor::heights;
use baton_supervisor::layout::Release;
use baton_supervisor::stage::add_batch::{self, BatchError};
use baton_supervisor::stage::add_upgrade::{self, Upgrade};
use baton_supervisor::stage::init::{self, Executable};
use baton_supervisor::stage::prepare::{Brought, Wanted, locate, prepare};
use baton_supervisor::stage::show;

use super::{Outcome, runtime};
use crate::console;
use crate::context::Context;
use crate::ending::Ending;

/// How long the chain may take to tell its plan.
const ANSWER: Duration = Duration::from_secs(10);

/// `init`.
pub(crate) fn init(context: &Context, executable: &OsStr) -> Outcome {
    let executable = Executable::at(Path::new(executable))?;
    let loaded = Config::load_for_init(&context.env)?;
    context.start_log(&loaded.config);
    init::init(&loaded, &executable, |path| {
        console::out(&init::question(path));
        init::is_yes(io::stdin().lock())
    })?;
    Ok(Ending::Done)
}

/// `add-upgrade`.
pub(crate) fn add_upgrade(
    context: &Context,
    name: &OsStr,
    executable: &OsStr,
    height: i64,
    force: bool,
) -> Outcome {
    let loaded = context.load()?;
    context.start_log(&loaded.config);
    let upgrade = Upgrade {
        name: name
            .to_str()
            .ok_or_else(|| anyhow!("the upgrade name {} is not UTF-8", name.display()))?,
        executable: Path::new(executable),
        height,
        force,
    };
    add_upgrade::add_upgrade(&loaded.config, &upgrade)?;
    Ok(Ending::Done)
}

/// `add-batch-upgrade`.
pub(crate) fn add_batch(context: &Context, file: Option<&OsStr>, list: &[String]) -> Outcome {
    let loaded = context.load()?;
    context.start_log(&loaded.config);
    let entries = match file {
        Some(file) => add_batch::from_file(Path::new(file))?,
        None if list.is_empty() => return Err(BatchError::Nothing.into()),
        None => add_batch::from_list(list)?,
    };
    add_batch::add_batch(&loaded.config, &entries)?;
    Ok(Ending::Done)
}

/// `show-upgrade-info`.
pub(crate) fn show_upgrade_info(context: &Context) -> Outcome {
    let loaded = context.load()?;
    context.say(&show::show(&loaded.config.layout())?);
    Ok(Ending::Done)
}

/// `prepare-upgrade`.
pub(crate) fn prepare_upgrade(context: &Context) -> Outcome {
    let loaded = context
        .load()
        .map_err(|errors| anyhow!("failed to get config: {errors}"))?;
    context.start_log(&loaded.config);
    let config = &loaded.config;
    let query = async |address: &str| {
        let plan = heights::current_plan(address, ANSWER).await;
        plan.map_err(|error| format!("failed to query current upgrade plan: {error}"))
    };
    let locate = |info: &str| locate(info, config.download_must_have_checksum);
    let fetch = async |wanted: &Wanted| bring(config, wanted).await;
    runtime()?.block_on(prepare(config, query, locate, fetch))?;
    Ok(Ending::Done)
}

async fn bring(config: &Config, wanted: &Wanted) -> Result<Brought, String> {
    let Release::Upgrade(dir_name) = &wanted.release else {
        return Err(format!("{} is no upgrade", wanted.release.label()));
    };
    let request = fetch::Request {
        upgrades_dir: config.layout().upgrades(),
        dir_name: dir_name.clone(),
        daemon_name: config.name.clone(),
        info: wanted.plan.info.clone(),
        must_have_checksum: config.download_must_have_checksum,
        os_arch: fetch::os_arch(),
        environment: None,
        limits: fetch::Limits::default(),
    };
    match fetch::release(&request, Arc::new(fetch::Unobserved)).await {
        Ok(fetched) => Ok(match fetched.outcome {
            fetch::Outcome::Installed | fetch::Outcome::Completed => Brought::Fetched,
            fetch::Outcome::AlreadyThere => Brought::AlreadyThere,
            fetch::Outcome::Kept { .. } => Brought::Kept,
        }),
        Err(error) => Err(error.to_string()),
    }
}
