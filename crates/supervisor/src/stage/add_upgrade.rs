//! `add-upgrade`: puts an upgrade's binary into its release and, if a height is given, makes it the
//! plan to switch at.
//!
//! The binary comes first, as upstream has it: a plan must not point to a release without one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use super::place::{Fresh, give_to_owner_of_parent, make_directories};
use crate::config::Config;
use crate::config::go_text::io_error;
use crate::layout::{Layout, LinkError};
use crate::plan::{self, Fingerprint, Plan};
use crate::records::Records;

/// An upgrade as an operator gives it.
#[derive(Debug, Clone)]
pub struct Upgrade<'a> {
    /// Its name, in any case.
    pub name: &'a str,
    /// Its binary, anywhere.
    pub executable: &'a Path,
    /// The height to switch at; zero or less for none.
    pub height: i64,
    /// Overwrite a binary or a plan that is there.
    pub force: bool,
}

/// Why the upgrade was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// Nothing at the path.
    #[error("invalid executable path: stat {}: {}", .path.display(), io_error(.source))]
    NotFound {
        /// The executable.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path cannot be looked at.
    #[error("failed to load executable path: stat {}: {}", .path.display(), io_error(.source))]
    NoStat {
        /// The executable.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The name cannot name a release.
    #[error(transparent)]
    Name(#[from] LinkError),
    /// The release's directory cannot be made.
    #[error("failed to create upgrade directory: mkdir {}: {}", .path.display(), io_error(.source))]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The executable cannot be read.
    #[error("failed to read binary: {doing} {}: {}", .path.display(), io_error(.source))]
    Read {
        /// What was being done.
        doing: &'static str,
        /// The executable.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something is there, and overwriting was not asked for.
    #[error("file already exists at {}", .0.display())]
    Exists(PathBuf),
    /// The place cannot be looked at.
    #[error("failed to check if file exists: stat {}: {}", .path.display(), io_error(.source))]
    Check {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The binary cannot be written.
    #[error("failed to write binary to location: {}: {}", .path.display(), io_error(.source))]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The plan cannot be written. The binary is in its place by then.
    #[error(
        "failed to write the plan to {}: {} (the binary is in place; mend the cause, then repeat the command with --force)",
        .path.display(), io_error(.source)
    )]
    Plan {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Adds the upgrade, with its plan in the plan file.
pub fn add_upgrade(config: &Config, upgrade: &Upgrade<'_>) -> Result<(), AddError> {
    let layout = config.layout();
    let name = put_binary(&layout, upgrade)?;
    let Ok(height) = u64::try_from(upgrade.height) else {
        warn!(
            height = upgrade.height,
            "an upgrade height must be greater than 0; no plan is written"
        );
        return Ok(());
    };
    if height == 0 {
        return Ok(());
    }
    let plan = Plan {
        name,
        height,
        info: String::new(),
    };
    let path = layout.plan_file();
    check_free(&path, upgrade.force)?;
    tell_of_overwritten(&path, &plan);
    write_plan(&layout, &plan, &path, upgrade.force).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => AddError::Exists(path.clone()),
        _ => AddError::Plan {
            path: path.clone(),
            source,
        },
    })?;
    tell_of_plan(&path, &plan);
    Ok(())
}

pub(super) fn tell_of_plan(path: &Path, plan: &Plan) {
    info!(
        "{} created, {} upgrade binary will switch at height {}",
        path.display(),
        plan.name,
        plan.height
    );
}

/// That there is a binary to add.
pub(super) fn check_executable(path: &Path) -> Result<(), AddError> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Err(AddError::Read {
            doing: "read",
            path: path.to_owned(),
            source: io::ErrorKind::IsADirectory.into(),
        }),
        Ok(_) => Ok(()),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Err(AddError::NotFound {
            path: path.to_owned(),
            source,
        }),
        Err(source) => Err(AddError::NoStat {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Puts the binary into its release; returns the name that the upgrade is known by.
pub(super) fn put_binary(layout: &Layout, upgrade: &Upgrade<'_>) -> Result<String, AddError> {
    let from = upgrade.executable;
    check_executable(from)?;
    let name = layout.cased(upgrade.name);
    let binary = layout.bin(&layout.release_of(&name)?);
    let mut source = File::open(from).map_err(|source| AddError::Read {
        doing: "open",
        path: from.to_owned(),
        source,
    })?;
    let directory = binary.parent().unwrap_or(&binary);
    make_directories(directory, 0o755).map_err(|source| AddError::Directory {
        path: directory.to_owned(),
        source,
    })?;
    check_free(&binary, upgrade.force)?;
    let copied = Fresh::copy(&mut source, &binary, 0o755).and_then(|fresh| {
        if upgrade.force {
            fresh.replace()
        } else {
            fresh.place()
        }
    });
    copied.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => AddError::Exists(binary.clone()),
        _ => AddError::Write {
            path: binary.clone(),
            source,
        },
    })?;
    info!("Using {} for {name} upgrade", from.display());
    info!("Upgrade binary located at {}", binary.display());
    Ok(name)
}

/// That nothing is at the place, unless it may be overwritten.
fn check_free(path: &Path, force: bool) -> Result<(), AddError> {
    match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(AddError::Check {
            path: path.to_owned(),
            source,
        }),
        Ok(_) if force => Ok(()),
        Ok(_) => Err(AddError::Exists(path.to_owned())),
    }
}

/// Nobody should lose a plan without being told, least of all one that governance decided.
fn tell_of_overwritten(path: &Path, new: &Plan) {
    let Ok(Some(old)) = plan::read_file(path) else {
        return;
    };
    if let Ok(old) = old.content
        && (old.name != new.name || old.height != new.height)
    {
        warn!(name = %old.name, height = old.height, "overwriting the plan that is there");
    }
}

/// Writes the plan and marks it as the operator's: a plan that a node writes says that it stands at
/// the height, one of the operator's does not. The mark comes first, so that no supervisor finds
/// the plan without it; renaming changes nothing of what the mark knows the file by.
fn write_plan(layout: &Layout, plan: &Plan, path: &Path, force: bool) -> io::Result<()> {
    // 0755 tells the same to a supervisor that does not know the mark.
    let fresh = Fresh::of(plan.to_json().as_bytes(), path, 0o755)?;
    let marked = Fingerprint::of(fresh.path())?;
    let baton = layout.baton();
    let records = Records::new(&baton);
    records.mark_operator_plan(marked)?;
    if force {
        fresh.replace()?;
    } else {
        fresh.place()?;
    }
    // Where the file system numbers files anew when they are renamed.
    let placed = Fingerprint::of(path)?;
    if placed != marked {
        records.mark_operator_plan(placed)?;
    }
    give_to_owner_of_parent(&baton)?;
    for record in fs::read_dir(&baton)? {
        give_to_owner_of_parent(&record?.path())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Dossier;
    use crate::stage::testing::{Home, logged, mode};

    fn upgrade<'a>(name: &'a str, executable: &'a Path) -> Upgrade<'a> {
        Upgrade {
            name,
            executable,
            height: 0,
            force: false,
        }
    }

    fn add(home: &Home, upgrade: &Upgrade<'_>) -> (Result<(), String>, Vec<String>) {
        logged(|| add_upgrade(&home.config, upgrade).map_err(|e| e.to_string()))
    }

    fn author(home: &Home) -> crate::due::Author {
        let layout = home.config.layout();
        let mut dossier = Dossier::default();
        dossier.saw_file(
            plan::read_file(&layout.plan_file()).unwrap(),
            Records::new(&layout.baton()).operator_plan(),
        );
        dossier.author()
    }

    #[test]
    fn the_binary_is_put_into_its_release() {
        let home = Home::new();
        let new = home.executable("v2");
        let (result, log) = add(&home, &upgrade("V2 beta/1", &new));
        assert_eq!(result, Ok(()));
        let binary = home.at("cosmovisor/upgrades/v2%20beta%2F1/bin/simd");
        assert_eq!(
            log,
            [
                format!("INFO Using {} for v2 beta/1 upgrade", new.display()),
                format!("INFO Upgrade binary located at {}", binary.display()),
            ]
        );
        assert_eq!(fs::read_to_string(&binary).unwrap(), "v2");
        assert_eq!(mode(&binary), 0o755);
        assert!(!home.at("data/upgrade-info.json").exists());
    }

    #[test]
    fn case_is_kept_where_recasing_is_off() {
        let home = Home::with(&[("COSMOVISOR_DISABLE_RECASE", "true")]);
        let new = home.executable("v2");
        add(&home, &upgrade("V2", &new)).0.unwrap();
        assert!(home.at("cosmovisor/upgrades/V2/bin/simd").exists());
    }

    #[test]
    fn what_is_there_is_overwritten_only_by_force() {
        let home = Home::new();
        let old = home.executable("old");
        add(&home, &upgrade("v2", &old)).0.unwrap();
        let binary = home.at("cosmovisor/upgrades/v2/bin/simd");
        let exists = Err(format!("file already exists at {}", binary.display()));
        let new = home.executable("new");
        let (result, log) = add(&home, &upgrade("v2", &new));
        assert_eq!((result, log.len()), (exists.clone(), 0));
        let force = |upgrade| Upgrade {
            force: true,
            ..upgrade
        };
        add(&home, &force(upgrade("v2", &new))).0.unwrap();
        assert_eq!(fs::read_to_string(&binary).unwrap(), "new");

        assert_eq!(add(&home, &upgrade("v2", &binary)).0, exists);
        add(&home, &force(upgrade("v2", &binary))).0.unwrap();
        assert_eq!(fs::read_to_string(&binary).unwrap(), "new", "over itself");
    }

    #[test]
    fn a_height_makes_it_the_plan() {
        let home = Home::new();
        let new = home.executable("v2");
        let at_300 = Upgrade {
            height: 300,
            ..upgrade("V2", &new)
        };
        let (result, log) = add(&home, &at_300);
        assert_eq!(result, Ok(()));
        let file = home.at("data/upgrade-info.json");
        assert_eq!(
            log[2],
            format!(
                "INFO {} created, v2 upgrade binary will switch at height 300",
                file.display()
            )
        );
        assert_eq!(
            home.read("data/upgrade-info.json"),
            r#"{"name":"v2","time":"0001-01-01T00:00:00Z","height":300}"#
        );
        assert_eq!(mode(&file), 0o755);
        assert_eq!(author(&home), crate::due::Author::Operator);
        let marked = Records::new(&home.config.layout().baton()).operator_plan();
        let written = Fingerprint::of(&file).unwrap();
        assert_eq!(marked.map(|mark| mark.plan_file), Some(written));
    }

    #[test]
    fn a_plan_of_governance_is_overwritten_only_by_force_and_said() {
        let home = Home::new();
        let file = home.at("data/upgrade-info.json");
        let theirs = r#"{"name":"gov","height":200}"#;
        crate::files::write_atomic(&file, theirs.as_bytes(), 0o600).unwrap();
        let new = home.executable("v2");
        let mut at_300 = Upgrade {
            height: 300,
            ..upgrade("v2", &new)
        };
        let (result, log) = add(&home, &at_300);
        assert_eq!(
            result,
            Err(format!("file already exists at {}", file.display()))
        );
        assert_eq!(log.len(), 2, "the binary is in place by then: {log:?}");
        assert_eq!(home.read("data/upgrade-info.json"), theirs);
        assert_eq!(author(&home), crate::due::Author::Node);

        at_300.force = true;
        let (result, log) = add(&home, &at_300);
        assert_eq!(result, Ok(()));
        assert_eq!(
            log[2],
            "WARN overwriting the plan that is there name=gov height=200"
        );
        assert_eq!(author(&home), crate::due::Author::Operator);
    }

    #[test]
    fn heights_of_zero_or_less_make_no_plan() {
        let home = Home::new();
        let new = home.executable("v2");
        for (height, lines) in [(0, 2), (-3, 3)] {
            let (result, log) = add(
                &home,
                &Upgrade {
                    height,
                    force: true,
                    ..upgrade("v2", &new)
                },
            );
            assert_eq!(result, Ok(()));
            assert_eq!(log.len(), lines, "{log:?}");
            assert!(!home.at("data/upgrade-info.json").exists());
        }
    }

    #[test]
    fn errors_name_what_is_wrong_and_leave_nothing() {
        let home = Home::new();
        let missing = home.at("nope");
        let below = home.executable("x").join("below");
        for (name, path, says) in [
            (
                "v2",
                &missing,
                format!(
                    "invalid executable path: stat {}: no such file or directory",
                    missing.display()
                ),
            ),
            (
                "v2",
                &below,
                format!(
                    "failed to load executable path: stat {}: not a directory",
                    below.display()
                ),
            ),
            (
                "v2",
                &home.at("data"),
                format!(
                    "failed to read binary: read {}: is a directory",
                    home.at("data").display()
                ),
            ),
            (
                "..",
                &home.executable("x"),
                "upgrade name \"..\" cannot be used as a directory name".to_owned(),
            ),
        ] {
            assert_eq!(add(&home, &upgrade(name, path)), (Err(says), vec![]));
        }
        assert!(!home.at("cosmovisor/upgrades").exists());
    }

    /// Root working for a service, if it is root that tests; else only that nothing is in the way.
    #[test]
    fn what_is_made_belongs_to_the_owner_of_the_home() {
        use std::os::unix::fs::{MetadataExt, chown};
        let home = Home::new();
        let new = home.executable("v2");
        if rustix::process::geteuid().is_root() {
            for path in ["", "data", "cosmovisor"] {
                chown(home.at(path), Some(65534), Some(65534)).unwrap();
            }
        }
        let owner = fs::metadata(home.at("")).unwrap().uid();
        let at_5 = Upgrade {
            height: 5,
            ..upgrade("v2", &new)
        };
        add(&home, &at_5).0.unwrap();
        for path in [
            "data/upgrade-info.json",
            "cosmovisor/upgrades",
            "cosmovisor/upgrades/v2",
            "cosmovisor/upgrades/v2/bin",
            "cosmovisor/upgrades/v2/bin/simd",
            "cosmovisor/.baton",
            "cosmovisor/.baton/operator-plan.json",
        ] {
            assert_eq!(fs::metadata(home.at(path)).unwrap().uid(), owner, "{path}");
        }
    }

    #[test]
    fn a_missing_data_directory_is_told_with_what_to_do() {
        let home = Home::new();
        fs::remove_dir(home.at("data")).unwrap();
        let new = home.executable("v2");
        let (result, _) = add(
            &home,
            &Upgrade {
                height: 5,
                ..upgrade("v2", &new)
            },
        );
        let error = result.unwrap_err();
        assert!(error.contains("--force"), "{error}");
        assert!(error.contains("data/upgrade-info.json"), "{error}");
    }
}
