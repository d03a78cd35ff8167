//! Where everything lies in a home: the paths that operators, guides and scripts rely on.
//!
//! `$DAEMON_HOME/cosmovisor` is the root. `current` in it is a symbolic link to the release that
//! runs: `genesis` or `upgrades/<name>`. What Baton keeps for itself lies in `.baton`.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::config::go_text::{self, path_escape, to_lower};

/// The paths of one home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    home: PathBuf,
    name: String,
    data: PathBuf,
    recase: bool,
}

/// A directory with one version's `bin/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    /// The one the chain began with.
    Genesis,
    /// An upgrade's, by the name of its directory (lower-cased and escaped).
    Upgrade(String),
    /// A directory elsewhere that an operator linked by hand.
    Elsewhere(PathBuf),
}

/// Why `current` does not lead to a release.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Something that is no symbolic link stands in its place.
    #[error(
        "symlink genesis current: file exists ({} is not a symbolic link; move it away, then start again)",
        .0.display()
    )]
    NotALink(PathBuf),
    /// The link points to nothing.
    #[error(
        "symlink genesis current: file exists ({} points to {}, which does not exist; restore that directory or re-link it)",
        .link.display(), .target.display()
    )]
    Dangling {
        /// The link.
        link: PathBuf,
        /// Where it points.
        target: PathBuf,
    },
    /// There is no release to begin with.
    #[error(
        "lstat {}: no such file or directory (put the node's first binary in place with `init`)",
        .0.display()
    )]
    NoGenesis(PathBuf),
    /// The upgrade's name cannot name a directory.
    #[error("upgrade name {0:?} cannot be used as a directory name")]
    BadName(String),
    /// The system refused.
    #[error("{doing} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Layout {
    /// The layout of the home of the node called `name`, whose data lies in `data`.
    ///
    /// `recase` lower-cases upgrade names, as upstream does unless `COSMOVISOR_DISABLE_RECASE`.
    pub fn new(home: &Path, name: &str, data: &Path, recase: bool) -> Self {
        Self {
            // Cleaned as Go cleans paths: they are shown, and compared with upstream's.
            home: go_text::join(home, ""),
            name: name.to_owned(),
            data: go_text::join(data, ""),
            recase,
        }
    }

    /// The node's home, `$DAEMON_HOME`.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The file name of the node's binary, `$DAEMON_NAME`.
    pub fn daemon_name(&self) -> &str {
        &self.name
    }

    /// The node's data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// `$DAEMON_HOME/cosmovisor`.
    pub fn root(&self) -> PathBuf {
        self.home.join("cosmovisor")
    }

    /// The link to the running release.
    pub fn current(&self) -> PathBuf {
        self.root().join("current")
    }

    /// The directory of all upgrades.
    pub fn upgrades(&self) -> PathBuf {
        self.root().join("upgrades")
    }

    /// The directory of a release.
    pub fn dir(&self, release: &Release) -> PathBuf {
        match release {
            Release::Genesis => self.root().join("genesis"),
            Release::Upgrade(dir) => self.upgrades().join(dir),
            Release::Elsewhere(path) => path.clone(),
        }
    }

    /// The binary of a release.
    pub fn bin(&self, release: &Release) -> PathBuf {
        self.dir(release).join("bin").join(&self.name)
    }

    /// The file in a release that says which plan brought it.
    pub fn release_plan(&self, release: &Release) -> PathBuf {
        self.dir(release).join("upgrade-info.json")
    }

    /// The file through which the node says that it needs an upgrade.
    pub fn plan_file(&self) -> PathBuf {
        self.data.join("upgrade-info.json")
    }

    /// The list of plans made by `add-batch-upgrade`.
    pub fn batch_file(&self) -> PathBuf {
        self.data.join("upgrade-info.json.batch")
    }

    /// Where Baton keeps its own records.
    pub fn baton(&self) -> PathBuf {
        self.root().join(".baton")
    }

    /// Where a node shows that it can hand over to the next process, and where that finds it.
    pub fn control_dir(&self) -> PathBuf {
        self.baton().join("handover")
    }

    /// The upgrade's name as it is compared and used: lower-cased unless that is turned off.
    pub fn cased(&self, name: &str) -> String {
        if self.recase {
            to_lower(name)
        } else {
            name.to_owned()
        }
    }

    /// The release that the upgrade called `name` brings.
    pub fn release_of(&self, name: &str) -> Result<Release, LinkError> {
        let dir = path_escape(&self.cased(name));
        // `..` would be `cosmovisor` itself; the others no directory at all.
        if matches!(dir.as_str(), "" | "." | "..") || dir.len() > 255 {
            return Err(LinkError::BadName(name.to_owned()));
        }
        Ok(Release::Upgrade(dir))
    }

    /// The release that `current` points to; makes the link to `genesis` if there is none.
    pub fn running(&self) -> Result<Release, LinkError> {
        let link = self.current();
        let io = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| LinkError::Io {
                doing,
                path,
                source,
            }
        };
        let meta = match fs::symlink_metadata(&link) {
            Ok(meta) => meta,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                std::os::unix::fs::symlink("genesis", &link)
                    .map_err(io("symlink genesis", &link))?;
                let genesis = self.dir(&Release::Genesis);
                return if genesis.is_dir() {
                    Ok(Release::Genesis)
                } else {
                    Err(LinkError::NoGenesis(genesis))
                };
            }
            Err(e) => return Err(io("lstat", &link)(e)),
        };
        if !meta.file_type().is_symlink() {
            return Err(LinkError::NotALink(link));
        }
        let target = fs::read_link(&link).map_err(io("readlink", &link))?;
        if let Some(release) = self.named_by(&target) {
            // A link by name is taken at its word; whether the binary is there is asked later.
            if self.dir(&release).is_dir() {
                return Ok(release);
            }
        }
        match fs::canonicalize(&link) {
            Ok(real) => Ok(self.named_by(&real).unwrap_or(Release::Elsewhere(real))),
            Err(_) if self.named_by(&target) == Some(Release::Genesis) => {
                Err(LinkError::NoGenesis(self.dir(&Release::Genesis)))
            }
            Err(_) => Err(LinkError::Dangling { link, target }),
        }
    }

    /// The release that a link target names, relative to the root or absolute.
    fn named_by(&self, target: &Path) -> Option<Release> {
        let root = self.root();
        let inside = if target.is_absolute() {
            let real_root = fs::canonicalize(&root).unwrap_or_else(|_| root.clone());
            target
                .strip_prefix(&root)
                .or_else(|_| target.strip_prefix(&real_root))
                .ok()?
                .to_owned()
        } else {
            target.to_owned()
        };
        let mut parts = inside
            .components()
            .filter(|part| !matches!(part, Component::CurDir));
        match (parts.next()?, parts.next(), parts.next()) {
            (Component::Normal(one), None, None) if one == "genesis" => Some(Release::Genesis),
            (Component::Normal(one), Some(Component::Normal(two)), None) if one == "upgrades" => {
                Some(Release::Upgrade(two.to_str()?.to_owned()))
            }
            _ => None,
        }
    }

    /// Points `current` to a release: **the commit point of an upgrade**.
    ///
    /// A temporary link is made beside it and renamed over it, then the directory is synced; a
    /// crash leaves the old link or the new one, never none. The target is relative, so that the
    /// home can be mounted elsewhere.
    pub fn switch(&self, release: &Release) -> Result<(), LinkError> {
        self.switch_to(&match release {
            Release::Genesis => PathBuf::from("genesis"),
            Release::Upgrade(dir) => Path::new("upgrades").join(dir),
            Release::Elsewhere(path) => path.clone(),
        })
    }

    /// The same with the link's target as it is to be written: to put a link back as it was.
    pub fn switch_to(&self, target: &Path) -> Result<(), LinkError> {
        let link = self.current();
        match fs::symlink_metadata(&link) {
            Ok(meta) if !meta.file_type().is_symlink() => return Err(LinkError::NotALink(link)),
            _ => {}
        }
        let fresh = self.root().join(".current.new");
        let io = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| LinkError::Io {
                doing,
                path,
                source,
            }
        };
        match fs::remove_file(&fresh) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(io("removing the leftover", &fresh)(e));
            }
            _ => {}
        }
        std::os::unix::fs::symlink(target, &fresh).map_err(io("symlink", &fresh))?;
        fs::rename(&fresh, &link).map_err(io("rename over", &link))?;
        crate::files::sync_dir(&self.root()).map_err(io("sync", &self.root()))
    }
}

impl Release {
    /// How the release is shown: `genesis`, the upgrade's directory, or a path.
    pub fn label(&self) -> String {
        match self {
            Self::Genesis => "genesis".to_owned(),
            Self::Upgrade(dir) => dir.clone(),
            Self::Elsewhere(path) => path.display().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), "dummyd", &dir.path().join("data"), true);
        for release in ["genesis", "upgrades/chain2", "upgrades/chain3"] {
            fs::create_dir_all(layout.root().join(release).join("bin")).unwrap();
        }
        (dir, layout)
    }

    fn upgrade(name: &str) -> Release {
        Release::Upgrade(name.to_owned())
    }

    #[test]
    fn config_paths() {
        let layout = Layout::new(
            Path::new("/longer/prefix/"),
            "yourd",
            Path::new("/longer/prefix/data"),
            true,
        );
        let root = Path::new("/longer/prefix/cosmovisor");
        assert_eq!(layout.root(), root);
        assert_eq!(
            layout.bin(&Release::Genesis),
            root.join("genesis/bin/yourd")
        );
        let spaced = layout.release_of("some spaces").unwrap();
        assert_eq!(
            layout.bin(&spaced),
            root.join("upgrades/some%20spaces/bin/yourd")
        );
        assert_eq!(
            layout.plan_file(),
            Path::new("/longer/prefix/data/upgrade-info.json")
        );
    }

    #[test]
    fn names_are_lower_cased_unless_told_otherwise() {
        let (_dir, layout) = home();
        assert_eq!(layout.release_of("Chain2").unwrap(), upgrade("chain2"));
        let kept = Layout::new(layout.home(), "dummyd", layout.data(), false);
        assert_eq!(kept.release_of("Chain2").unwrap(), upgrade("Chain2"));
    }

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        let (_dir, layout) = home();
        for bad in ["", ".", ".."] {
            assert!(matches!(layout.release_of(bad), Err(LinkError::BadName(_))));
        }
        assert_eq!(
            layout.release_of("../x").unwrap(),
            upgrade("..%2Fx"),
            "a slash is escaped, so it cannot climb"
        );
    }

    #[test]
    fn a_missing_link_is_made_to_genesis() {
        let (_dir, layout) = home();
        assert_eq!(layout.running().unwrap(), Release::Genesis);
        assert_eq!(
            fs::read_link(layout.current()).unwrap(),
            Path::new("genesis")
        );
    }

    #[test]
    fn links_of_every_kind_are_read() {
        let (_dir, layout) = home();
        let root = layout.root();
        let elsewhere = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(elsewhere.path()).unwrap();
        for (target, want) in [
            (PathBuf::from("genesis"), Release::Genesis),
            (PathBuf::from("./upgrades/chain2/"), upgrade("chain2")),
            (root.join("upgrades/chain3"), upgrade("chain3")),
            (root.join("genesis"), Release::Genesis),
            (real.clone(), Release::Elsewhere(real)),
        ] {
            let _ = fs::remove_file(layout.current());
            std::os::unix::fs::symlink(&target, layout.current()).unwrap();
            assert_eq!(layout.running().unwrap(), want, "{}", target.display());
        }
    }

    #[test]
    fn what_is_no_link_is_left_alone() {
        let (_dir, layout) = home();
        fs::create_dir(layout.current()).unwrap();
        assert!(matches!(layout.running(), Err(LinkError::NotALink(_))));
        assert!(matches!(
            layout.switch(&upgrade("chain2")),
            Err(LinkError::NotALink(_))
        ));
        assert!(layout.current().is_dir());
    }

    #[test]
    fn a_dangling_link_is_reported_and_can_be_switched() {
        let (_dir, layout) = home();
        std::os::unix::fs::symlink("upgrades/gone", layout.current()).unwrap();
        let error = layout.running().unwrap_err().to_string();
        assert!(error.contains("upgrades/gone"), "{error}");
        layout.switch(&upgrade("chain2")).unwrap();
        assert_eq!(layout.running().unwrap(), upgrade("chain2"));
    }

    #[test]
    fn a_home_without_a_first_binary_says_so_at_every_start() {
        let (_dir, layout) = home();
        fs::remove_dir_all(layout.root().join("genesis")).unwrap();
        for _ in 0..2 {
            let error = layout.running().unwrap_err();
            assert!(matches!(error, LinkError::NoGenesis(_)), "{error}");
        }
        fs::create_dir(layout.root().join("genesis")).unwrap();
        assert_eq!(layout.running().unwrap(), Release::Genesis);
    }

    #[test]
    fn switching_is_relative_and_survives_a_leftover() {
        let (_dir, layout) = home();
        std::os::unix::fs::symlink("anything", layout.root().join(".current.new")).unwrap();
        layout.switch(&upgrade("chain3")).unwrap();
        assert_eq!(
            fs::read_link(layout.current()).unwrap(),
            Path::new("upgrades/chain3")
        );
        assert!(!layout.root().join(".current.new").exists());
    }
}
