//! `init`: lays a home out around the chain's first executable.
//!
//! Done in the order and with the log lines of Cosmovisor. What is there already is kept, so that
//! it can be run again; only `config.toml` is replaced, and only after asking.

use std::fs::{self, File};
use std::io::{self, BufRead};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use super::place::{Fresh, make_directories};
use crate::binary::{self, BinaryError};
use crate::config::Loaded;
use crate::config::go_text::{io_error, quote};
use crate::layout::{Layout, LinkError, Release};
use crate::node::spawn::real_path;

/// The longest answer to the question whether to overwrite, in bytes.
const MAX_ANSWER: u64 = 1024;

/// Why the home was not laid out.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// An empty argument.
    #[error("no <path to executable> provided")]
    NoPath,
    /// Nothing at the path.
    #[error("executable file not found: stat {}: {}", .path.display(), io_error(.source))]
    NotFound {
        /// The executable.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path cannot be looked at.
    #[error("could not stat executable: stat {}: {}", .path.display(), io_error(.source))]
    NoStat {
        /// The executable.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory at the path.
    #[error("invalid path to executable: must not be a directory")]
    Directory,
    /// The place of `genesis/bin` cannot be looked at.
    #[error(
        "error getting info on genesis/bin directory: stat {}: {}",
        .path.display(), io_error(.source)
    )]
    BinDirectory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else in the place of `genesis/bin`.
    #[error("the path {} already exists but is not a directory", quote(&.0.to_string_lossy()))]
    NotADirectory(PathBuf),
    /// What should be the first executable cannot be one.
    #[error(transparent)]
    Binary(#[from] BinaryError),
    /// `current` is something else than a link to a release.
    #[error("symlink genesis current: file exists")]
    CurrentTaken,
    /// `current` cannot be made.
    #[error(transparent)]
    Link(LinkError),
    /// The configuration cannot be written.
    #[error("failed to export configuration: {}: {}", .path.display(), io_error(.source))]
    Export {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused.
    #[error("{doing} {}: {}", .path.display(), io_error(.source))]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The executable to begin with: something that is there and is no directory.
#[derive(Debug)]
pub struct Executable(PathBuf);

impl Executable {
    /// Looks at it, before anything is logged or done.
    pub fn at(path: &Path) -> Result<Self, InitError> {
        if path.as_os_str().is_empty() {
            return Err(InitError::NoPath);
        }
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => Err(InitError::Directory),
            Ok(_) => Ok(Self(path.to_owned())),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Err(InitError::NotFound {
                path: path.to_owned(),
                source,
            }),
            Err(source) => Err(InitError::NoStat {
                path: path.to_owned(),
                source,
            }),
        }
    }
}

/// Lays the home out. `overwrite` is asked whether to replace an existing `config.toml`.
pub fn init(
    loaded: &Loaded,
    executable: &Executable,
    overwrite: impl FnOnce(&Path) -> bool,
) -> Result<(), InitError> {
    if let Some(dropped) = &loaded.dropped {
        for error in dropped.iter() {
            warn!(%error, "a setting is passed over; config.toml gets its default");
        }
    }
    let layout = loaded.config.layout();
    let genesis = layout.bin(&Release::Genesis);
    make_bin_directory(&layout.dir(&Release::Genesis).join("bin"))?;
    put_executable(&executable.0, &genesis)?;
    info!("making sure {} is executable", quoted(&genesis));
    binary::ensure(&genesis)?;

    info!("checking on the current symlink and creating it if needed");
    let current = current(&layout)?;
    info!("the current symlink points to: {}", quoted(&current));

    let config_file = layout.root().join("config.toml");
    export(loaded, &config_file, overwrite)?;
    info!(
        "cosmovisor config.toml created at: {}",
        config_file.display()
    );
    Ok(())
}

/// The question about an existing file, as it is put to the operator.
pub fn question(path: &Path) -> String {
    format!(
        "file {} already exists, do you want to overwrite it? [y/n]: ",
        path.display()
    )
}

/// Whether the answer to [`question`] is yes: a line that says `y` or `Y` and nothing else.
pub fn is_yes(answer: impl BufRead) -> bool {
    let mut line = String::new();
    let read = answer.take(MAX_ANSWER).read_line(&mut line);
    read.is_ok() && matches!(line.trim(), "y" | "Y")
}

fn quoted(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

fn make_bin_directory(path: &Path) -> Result<(), InitError> {
    info!("checking on the genesis/bin directory");
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => {
            info!("the {} directory already exists", quoted(path));
            Ok(())
        }
        Ok(_) => Err(InitError::NotADirectory(path.to_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            info!("creating directory (and any parents): {}", quoted(path));
            make_directories(path, 0o750).map_err(|source| InitError::Io {
                doing: "mkdir",
                path: path.to_owned(),
                source,
            })
        }
        Err(source) => Err(InitError::BinDirectory {
            path: path.to_owned(),
            source,
        }),
    }
}

fn put_executable(from: &Path, to: &Path) -> Result<(), InitError> {
    info!("checking on the genesis/bin executable");
    match fs::metadata(to) {
        Ok(_) => {
            info!("the {} file already exists", quoted(to));
            Ok(())
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            info!("copying executable into place: {}", quoted(to));
            let io = |doing, path: &Path| {
                let path = path.to_owned();
                move |source| InitError::Io {
                    doing,
                    path,
                    source,
                }
            };
            let mut source = File::open(from).map_err(io("open", from))?;
            Fresh::copy(&mut source, to, 0o755)
                .and_then(Fresh::place)
                .map_err(io("copying the executable to", to))
        }
        Err(source) => Err(BinaryError::Missing {
            path: to.to_owned(),
            source,
        }
        .into()),
    }
}

/// The binary that `current` leads to, with all links resolved.
fn current(layout: &Layout) -> Result<PathBuf, InitError> {
    let release = layout.running().map_err(|error| match error {
        LinkError::NotALink(_) | LinkError::Dangling { .. } => {
            // The error itself has Cosmovisor's text, which does not say what to do.
            warn!(%error, "`current` is in the way");
            InitError::CurrentTaken
        }
        other => InitError::Link(other),
    })?;
    Ok(real_path(&layout.bin(&release)))
}

fn export(
    loaded: &Loaded,
    path: &Path,
    overwrite: impl FnOnce(&Path) -> bool,
) -> Result<(), InitError> {
    let failed = |source| InitError::Export {
        path: path.to_owned(),
        source,
    };
    let text = loaded.to_toml();
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let fresh = Fresh::of(text.as_bytes(), path, 0o644);
            fresh.and_then(Fresh::place).map_err(failed)
        }
        Err(e) => Err(failed(e)),
        Ok(_) if !overwrite(path) => {
            info!("file already exists, not overriding");
            Ok(())
        }
        Ok(_) => {
            // What the operator linked here from elsewhere is replaced there, with its mode.
            let real = fs::canonicalize(path).map_err(failed)?;
            let meta = fs::metadata(&real).map_err(failed)?;
            if !meta.is_file() {
                return Err(failed(io::ErrorKind::IsADirectory.into()));
            }
            let mode = meta.permissions().mode() & 0o777;
            let fresh = Fresh::of(text.as_bytes(), &real, mode);
            fresh.and_then(Fresh::replace).map_err(failed)
        }
    }
}

#[cfg(test)]
#[path = "init_tests.rs"]
mod tests;
