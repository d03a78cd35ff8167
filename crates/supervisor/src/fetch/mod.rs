//! The release of a plan, brought here from where the plan says: whole or not at all.
//!
//! A fetch works in a directory of its own beside the releases, verifies the artefact's checksum, unpacks
//! it, makes sure that the binary is one for this machine and starts, makes everything durable, and only
//! then renames it to `upgrades/<name>`. A crash or `kill -9` at any moment leaves either no release or a
//! whole one; what was left over is found, and a broken download continued, by the next try.
//!
//! The parts, each its own file: [`info`] reads what the plan says, [`source`] takes a URL apart,
//! [`checksum`] verifies, `transfer` and `retry` get bytes, [`archive`] unpacks them, [`executable`] and
//! [`start`] judge the binary, `install` puts it into place; `work` keeps fetches apart.

pub mod archive;
mod bring;
mod causes;
pub mod checksum;
mod disk;
mod elf;
mod error;
pub mod executable;
mod existing;
mod http;
pub mod info;
mod install;
mod layout;
mod local;
mod partial;
mod record;
mod retry;
mod run;
pub mod source;
pub mod start;
mod transfer;
mod work;

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

pub use disk::NoSpace;
pub use error::{FetchError, Stage};
pub use http::{NoClient, RedirectRefused};
pub use info::os_arch;
pub use layout::LayoutError;
pub use record::Record;
pub use run::{Interrupted, Limits, Observer, Progress, Step, Unobserved};
pub use transfer::TransferError;
pub use work::sweep;

use bring::{ARTEFACT, Fetch};
use existing::Existing;
use run::Run;
use transfer::origin_file;
use work::Work;

/// What to fetch, and to where.
#[derive(Debug, Clone)]
pub struct Request {
    /// `$DAEMON_HOME/cosmovisor/upgrades`; made if it is not there.
    pub upgrades_dir: PathBuf,
    /// The release's directory in it: the plan's name, lower-cased and escaped as configured.
    pub dir_name: String,
    /// `DAEMON_NAME`.
    pub daemon_name: String,
    /// The plan's `info`.
    pub info: String,
    /// `DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM`. Holds for every URL: that of the info and that of the binary.
    pub must_have_checksum: bool,
    /// Which binary, such as `linux/amd64`; normally [`os_arch`]'s answer.
    pub os_arch: String,
    /// The environment that `version` is run with; this process's own if `None`.
    pub environment: Option<Vec<(OsString, OsString)>>,
    /// The limits.
    pub limits: Limits,
}

/// A release that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// `upgrades/<name>/bin/<daemon>`.
    pub binary: PathBuf,
    /// How it came there.
    pub outcome: Outcome,
    /// What is known about its origin: always when it was fetched now or by an earlier fetch.
    pub record: Option<Record>,
    /// What the operator should read, such as a `version` command that failed. For the caller to tell.
    pub warnings: Vec<String>,
}

/// How a release came to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was fetched now.
    Installed,
    /// It was fetched now, into a directory that had no binary.
    Completed,
    /// The plan's artefact was there before.
    AlreadyThere,
    /// A binary was there that is not, or not provably, the plan's. It was not touched.
    Kept {
        /// What tells it from the plan's.
        why: String,
    },
}

impl Request {
    fn release(&self) -> PathBuf {
        self.upgrades_dir.join(&self.dir_name)
    }

    fn binary(&self) -> PathBuf {
        self.release().join("bin").join(&self.daemon_name)
    }

    fn check_names(&self) -> Result<(), FetchError> {
        for (what, name) in [
            ("the upgrade name", &self.dir_name),
            ("DAEMON_NAME", &self.daemon_name),
        ] {
            let bad = matches!(name.as_str(), "" | "." | "..")
                || name.contains(['/', '\0'])
                || name.starts_with(".fetch-");
            if bad {
                let name = name.clone();
                return Err(FetchError::Name { what, name });
            }
        }
        Ok(())
    }
}

/// Fetches the release of a plan into `upgrades_dir/dir_name`, unless its binary is there already.
///
/// Two fetches of one release, in this process or another, wait for each other. Dropping the future
/// stops the fetch; what it leaves behind, the next one finds.
///
/// # Errors
/// See [`FetchError`]; whatever the error, no half release is left.
pub async fn release(
    request: &Request,
    observer: Arc<dyn Observer>,
) -> Result<Fetched, FetchError> {
    request.check_names()?;
    let upgrades = &request.upgrades_dir;
    fs::create_dir_all(upgrades).map_err(|source| FetchError::Io {
        doing: "create",
        path: upgrades.clone(),
        source,
    })?;
    let run = Run::new(request.limits.clone(), observer);
    if let Some(fetched) = already_there(request).await? {
        let upgrades = upgrades.clone();
        blocking(move || sweep(&upgrades, None)).await;
        return Ok(fetched);
    }
    let work = Arc::new(Work::claim(upgrades, &request.dir_name, &run).await?);
    fail::fail_point!("fetch::claimed");
    // The one we waited for may have brought it.
    let result = match already_there(request).await {
        Ok(None) => Fetch::new(request, &run, &work).bring().await,
        Ok(Some(fetched)) => Ok(fetched),
        Err(error) => Err(error),
    };
    let keep = result.as_ref().is_err_and(FetchError::keeps_download);
    let (upgrades, name) = (upgrades.clone(), request.dir_name.clone());
    blocking(move || {
        tidy(&work, keep);
        sweep(&upgrades, Some(&name));
    })
    .await;
    result
}

async fn already_there(request: &Request) -> Result<Option<Fetched>, FetchError> {
    let looking = request.clone();
    let existing = blocking(move || existing::look(&looking)).await?;
    let mut warnings = Vec::new();
    let outcome = match existing {
        Existing::Nothing => return Ok(None),
        Existing::Same => Outcome::AlreadyThere,
        Existing::Other { why } => {
            let binary = request.binary();
            warnings.push(format!(
                "{} is there already and was kept: {why}",
                binary.display()
            ));
            Outcome::Kept { why }
        }
    };
    Ok(Some(Fetched {
        binary: request.binary(),
        outcome,
        record: Record::read(&request.release()),
        warnings,
    }))
}

/// Leaves only what is of use to the next try.
fn tidy(work: &Work, keep_download: bool) {
    let origin = origin_file(ARTEFACT);
    // Without its origin nobody can tell what it is a part of.
    let tidied = if keep_download && work.path(&origin).exists() {
        work.clear(&[ARTEFACT, &origin])
    } else {
        work.remove()
    };
    if let Err(error) = tidied {
        tracing::warn!(dir = %work.dir().display(), %error, "cannot remove the work directory of a fetch");
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // A blocking task ends in no other way while somebody waits for it.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests;
