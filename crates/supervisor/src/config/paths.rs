//! Where things lie below a home. The layout is Cosmovisor's: operators, guides and exporters know it.

use std::path::PathBuf;

use super::{
    Config,
    go_text::{join, path_escape, to_lower},
};

impl Config {
    /// `$DAEMON_HOME/cosmovisor`, the working directory of the node.
    pub fn root(&self) -> PathBuf {
        join(&self.home, "cosmovisor")
    }

    /// The link to the release that runs.
    pub fn current_link(&self) -> PathBuf {
        join(&self.root(), "current")
    }

    /// The directory of the release a chain starts with.
    pub fn genesis_dir(&self) -> PathBuf {
        join(&self.root(), "genesis")
    }

    /// The executable of the release a chain starts with.
    pub fn genesis_bin(&self) -> PathBuf {
        self.bin_in(&self.genesis_dir())
    }

    /// The directory of all upgrades' releases.
    pub fn upgrades_dir(&self) -> PathBuf {
        join(&self.root(), "upgrades")
    }

    /// The directory of an upgrade's release. The name is taken as it is; see
    /// [`release_name`](Self::release_name).
    pub fn upgrade_dir(&self, name: &str) -> PathBuf {
        join(&self.upgrades_dir(), path_escape(name))
    }

    /// The executable of an upgrade's release.
    pub fn upgrade_bin(&self, name: &str) -> PathBuf {
        self.bin_in(&self.upgrade_dir(name))
    }

    /// The name under which a plan's release is kept: in lower case, unless
    /// `COSMOVISOR_DISABLE_RECASE` is set.
    pub fn release_name(&self, plan_name: &str) -> String {
        if self.disable_recase {
            plan_name.to_owned()
        } else {
            to_lower(plan_name)
        }
    }

    /// The file the node writes when it reaches an upgrade.
    pub fn upgrade_info_file(&self) -> PathBuf {
        join(&self.data_dir, "upgrade-info.json")
    }

    /// The file with the plans of `add-batch-upgrade`.
    pub fn batch_file(&self) -> PathBuf {
        join(&self.data_dir, "upgrade-info.json.batch")
    }

    /// The configuration file that `init` writes.
    pub fn config_file(&self) -> PathBuf {
        join(&self.root(), "config.toml")
    }

    /// The operator's own pre-upgrade script, if one is configured.
    pub fn custom_preupgrade_file(&self) -> Option<PathBuf> {
        let name = self.custom_preupgrade.as_ref()?;
        Some(join(&self.root(), name))
    }

    /// The directory of the supervisor's own files.
    pub fn baton_dir(&self) -> PathBuf {
        join(&self.root(), ".baton")
    }

    fn bin_in(&self, release: &std::path::Path) -> PathBuf {
        join(&join(release, "bin"), &self.name)
    }
}
