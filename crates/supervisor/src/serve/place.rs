//! Where the state of a served program is: `<runtime directory>/baton/<name>/`.
//!
//! ```text
//! control.sock     status, reload, stop
//! lock             one supervisor a directory; its process
//! notify-3.sock    where generation 3 may say READY=1
//! ready.sock       the socket of its own that the newest generation is asked on
//! processes.json   what runs, for the next supervisor should this one be killed
//! ```

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::ServeError;
use crate::telling::SOCKET;

/// The longest name of a socket within the directory, with its slash: `/notify-18446744073709551615.sock`.
const LONGEST_NAME: usize = 33;

/// The longest path that fits into a socket's address (`sun_path` with its final zero byte, unix(7)).
const MAX_ADDRESS_BYTES: usize = 107;

/// The system's place for what lives as long as it runs.
const RUN: &str = "/run";

/// The variables of the environment that say where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `RUNTIME_DIRECTORY`: the unit's own, from systemd's `RuntimeDirectory=`.
    pub unit: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`: the user's.
    pub user: Option<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_this_process() -> Self {
        // A unit may have several, with a colon between them; the first is the main one.
        let path = |name| {
            let value = std::env::var(name).ok()?;
            let first = PathBuf::from(value.split(':').next()?);
            first.is_absolute().then_some(first)
        };
        Self {
            unit: path("RUNTIME_DIRECTORY"),
            user: path("XDG_RUNTIME_DIR"),
        }
    }

    /// Where a program of that name is to keep its state.
    pub fn of(&self, name: &str) -> PathBuf {
        match (&self.unit, &self.user) {
            (Some(unit), _) => unit.clone(),
            (None, Some(user)) => user.join("baton").join(name),
            (None, None) => Path::new(RUN).join("baton").join(name),
        }
    }

    /// The directories in which programs keep their state by name: the user's, and the system's.
    fn roots(&self) -> Vec<PathBuf> {
        let roots = self.user.iter().map(PathBuf::as_path);
        let roots = roots.chain([Path::new(RUN)]);
        roots.map(|root| root.join("baton")).collect()
    }

    /// Where the program of that name keeps its state, as far as can be seen.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let places = self.roots().into_iter().map(|root| root.join(name));
        places.into_iter().find(|place| place.join(SOCKET).exists())
    }

    /// All that are served, as far as can be seen.
    pub fn all(&self) -> Vec<PathBuf> {
        let entries = self
            .roots()
            .into_iter()
            .filter_map(|root| fs::read_dir(root).ok());
        let mut found: Vec<PathBuf> = entries
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|place| place.join(SOCKET).exists())
            .collect();
        found.sort();
        found
    }
}

/// Makes the directory, with those above it, closed to others.
pub(super) fn make(directory: &Path) -> Result<(), ServeError> {
    let limit = MAX_ADDRESS_BYTES - LONGEST_NAME;
    if directory.as_os_str().as_bytes().len() > limit {
        return Err(ServeError::TooLong {
            path: directory.to_owned(),
            limit,
        });
    }
    let made = || -> io::Result<()> {
        if let Some(above) = directory.parent() {
            fs::create_dir_all(above)?;
        }
        match DirBuilder::new().mode(0o700).create(directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    };
    made().map_err(|source| ServeError::Directory {
        path: directory.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_s_own_comes_first_then_the_user_s_then_the_system_s() {
        let of = |unit: Option<&str>, user: Option<&str>| {
            let surroundings = Surroundings {
                unit: unit.map(PathBuf::from),
                user: user.map(PathBuf::from),
            };
            surroundings.of("web").display().to_string()
        };
        assert_eq!(of(Some("/run/shop"), Some("/run/user/1")), "/run/shop");
        assert_eq!(of(None, Some("/run/user/1")), "/run/user/1/baton/web");
        assert_eq!(of(None, None), "/run/baton/web");
    }

    #[test]
    fn what_is_served_is_found_by_its_socket() {
        let folder = tempfile::tempdir().unwrap();
        let surroundings = Surroundings {
            unit: None,
            user: Some(folder.path().to_owned()),
        };
        let place = folder.path().join("baton/web");
        make(&place).unwrap();
        assert_eq!(surroundings.find("web"), None);
        fs::write(place.join(SOCKET), "").unwrap();
        assert_eq!(surroundings.find("web"), Some(place.clone()));
        assert!(surroundings.all().contains(&place));
        let long = folder.path().join("x".repeat(100));
        assert!(matches!(make(&long), Err(ServeError::TooLong { .. })));
    }
}
