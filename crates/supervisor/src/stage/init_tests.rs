//! Upstream's `init_test.go`, by the names of its tests.

use super::*;
use crate::config::{Config, ConfigErrors, Env};
use crate::stage::testing::{logged, mode};
use std::os::unix::fs::symlink;
use tempfile::TempDir;

/// A directory with a home (yet to be made) and an executable.
struct Place {
    dir: TempDir,
    name: &'static str,
}

impl Place {
    fn new(name: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("hello"), "#!/bin/sh\necho 'Hello World'\n").unwrap();
        Self { dir, name }
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn at(&self, path: &str) -> PathBuf {
        self.home().join("cosmovisor").join(path)
    }

    fn make(&self, path: &str) -> PathBuf {
        let path = self.at(path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn genesis(&self) -> PathBuf {
        self.at("genesis/bin").join(self.name)
    }

    fn load(&self) -> Loaded {
        let home = self.home();
        load(home.to_str().unwrap(), self.name).unwrap()
    }

    fn init(&self) -> (Result<(), String>, Vec<String>) {
        self.init_answering(|_| panic!("nothing to ask about"))
    }

    fn init_answering(
        &self,
        overwrite: impl FnOnce(&Path) -> bool,
    ) -> (Result<(), String>, Vec<String>) {
        let executable = Executable::at(&self.dir.path().join("hello")).unwrap();
        let loaded = self.load();
        logged(|| init(&loaded, &executable, overwrite).map_err(|e| e.to_string()))
    }
}

fn load(home: &str, name: &str) -> Result<Loaded, ConfigErrors> {
    let env: Env = [("DAEMON_HOME", home), ("DAEMON_NAME", name)]
        .into_iter()
        .collect();
    Config::load_for_init(&env)
}

fn quoted_at(format: &str, path: &Path) -> String {
    format!("INFO {}", format.replace("{}", &quoted(path)))
}

#[test]
fn test_initialize_cosmovisor_negative_validation() {
    let place = Place::new("foo");
    let dir = place.dir.path();
    let ((), log) = logged(|| {
        for (path, says) in [
            (PathBuf::new(), "no <path to executable> provided"),
            (
                dir.join("not-here"),
                "executable file not found: stat {}: no such file or directory",
            ),
            (
                dir.join("hello/below"),
                "could not stat executable: stat {}: not a directory",
            ),
            (
                dir.to_owned(),
                "invalid path to executable: must not be a directory",
            ),
        ] {
            let error = Executable::at(&path).unwrap_err().to_string();
            assert_eq!(error, says.replace("{}", path.to_str().unwrap()));
        }
        for (home, name, says) in [
            ("/example", "", "DAEMON_NAME is not set"),
            ("", "foo", "DAEMON_HOME is not set"),
            ("./home", "foo", "DAEMON_HOME must be an absolute path"),
            ("", "", "DAEMON_NAME is not set\nDAEMON_HOME is not set"),
        ] {
            assert_eq!(load(home, name).unwrap_err().to_string(), says);
        }
    });
    assert_eq!(log, [""; 0], "nothing is done before the errors are told");
}

#[test]
fn test_initialize_cosmovisor_invalid_existing_genesis_bin_is_not_a_directory() {
    let place = Place::new("pear");
    let bin = place.make("genesis").join("bin");
    fs::write(&bin, "x").unwrap();
    let (result, _) = place.init();
    let error = format!(
        "the path {} already exists but is not a directory",
        quoted(&bin)
    );
    assert_eq!(result, Err(error));
}

#[test]
fn test_initialize_cosmovisor_invalid_existing_ensure_binary_fails() {
    let place = Place::new("grapes");
    let exe = place.make("genesis/bin/grapes");
    let (result, log) = place.init();
    assert_eq!(result, Err("grapes is not a regular file".to_owned()));
    assert_eq!(
        log,
        [
            "INFO checking on the genesis/bin directory".to_owned(),
            quoted_at("the {} directory already exists", &place.at("genesis/bin")),
            "INFO checking on the genesis/bin executable".to_owned(),
            quoted_at("the {} file already exists", &exe),
            quoted_at("making sure {} is executable", &exe),
        ]
    );
}

#[test]
fn test_initialize_cosmovisor_invalid_existing_current_is_a_file() {
    let place = Place::new("orange");
    let current = place.make("").join("current");
    for make in [
        (|path: &Path| fs::write(path, "x").unwrap()) as fn(&Path),
        |path| symlink("gone", path).unwrap(),
    ] {
        let _ = fs::remove_file(&current);
        make(&current);
        let (result, log) = place.init();
        assert_eq!(
            result,
            Err("symlink genesis current: file exists".to_owned())
        );
        let [.., checking, hint] = &log[..] else {
            panic!("{log:?}")
        };
        assert_eq!(
            checking,
            "INFO checking on the current symlink and creating it if needed"
        );
        assert!(hint.starts_with("WARN `current` is in the way"), "{hint}");
        assert!(hint.contains(current.to_str().unwrap()), "{hint}");
    }
}

#[test]
fn test_initialize_cosmovisor_valid_blank_slate() {
    let place = Place::new("blank");
    let (result, log) = place.init();
    assert_eq!(result, Ok(()));
    let exe = place.genesis();
    let real = fs::canonicalize(&exe).unwrap();
    assert_eq!(
        log,
        [
            "INFO checking on the genesis/bin directory".to_owned(),
            quoted_at(
                "creating directory (and any parents): {}",
                &place.at("genesis/bin")
            ),
            "INFO checking on the genesis/bin executable".to_owned(),
            quoted_at("copying executable into place: {}", &exe),
            quoted_at("making sure {} is executable", &exe),
            "INFO checking on the current symlink and creating it if needed".to_owned(),
            quoted_at("the current symlink points to: {}", &real),
            format!(
                "INFO cosmovisor config.toml created at: {}",
                place.at("config.toml").display()
            ),
        ]
    );
    assert_eq!(mode(&exe), 0o755);
    assert_eq!(mode(&place.home()), 0o750);
    assert_eq!(mode(&place.at("genesis/bin")), 0o750);
    assert_eq!(mode(&place.at("config.toml")), 0o644);
    assert_eq!(
        fs::read_link(place.at("current")).unwrap(),
        Path::new("genesis")
    );
    assert_eq!(
        fs::read_to_string(place.at("config.toml")).unwrap(),
        place.load().to_toml()
    );
}

#[test]
fn test_initialize_cosmovisor_valid_genesis_and_upgrades_exist_but_no_current() {
    let place = Place::new("nocur");
    let exe = place.make("genesis/bin").join("nocur");
    fs::write(&exe, "the first").unwrap();
    for number in 1..=5 {
        place.make(&format!("upgrades/upgrade-0{number}/bin"));
    }
    let (result, log) = place.init();
    assert_eq!(result, Ok(()));
    let real = fs::canonicalize(&exe).unwrap();
    assert_eq!(
        log[1..],
        [
            quoted_at("the {} directory already exists", &place.at("genesis/bin")),
            "INFO checking on the genesis/bin executable".to_owned(),
            quoted_at("the {} file already exists", &exe),
            quoted_at("making sure {} is executable", &exe),
            "INFO checking on the current symlink and creating it if needed".to_owned(),
            quoted_at("the current symlink points to: {}", &real),
            format!(
                "INFO cosmovisor config.toml created at: {}",
                place.at("config.toml").display()
            ),
        ]
    );
    assert_eq!(fs::read_to_string(&exe).unwrap(), "the first", "kept");
}

#[test]
fn test_initialize_cosmovisor_valid_genesis_bin_dir_exists_empty() {
    let place = Place::new("emptygen");
    place.make("genesis/bin");
    let (result, log) = place.init();
    assert_eq!(result, Ok(()));
    assert_eq!(
        log[3],
        quoted_at("copying executable into place: {}", &place.genesis())
    );
}

#[test]
fn test_initialize_cosmovisor_with_override_cfg() {
    let place = Place::new("new_test");
    let file = place.make("").join("config.toml");
    fs::write(&file, "daemon_name = 'old_test'\n").unwrap();
    let (result, log) = place.init_answering(|asked| {
        assert_eq!(asked, file);
        is_yes("n\n".as_bytes())
    });
    assert_eq!(result, Ok(()));
    assert!(fs::read_to_string(&file).unwrap().contains("old_test"));
    let [.., kept, created] = &log[..] else {
        panic!("{log:?}")
    };
    assert_eq!(kept, "INFO file already exists, not overriding");
    assert!(created.starts_with("INFO cosmovisor config.toml created at:"));

    let (result, log) = place.init_answering(|_| is_yes("y\n".as_bytes()));
    assert_eq!(result, Ok(()));
    assert!(fs::read_to_string(&file).unwrap().contains("new_test"));
    assert!(!log.contains(kept));
}

#[test]
fn only_a_lone_y_overwrites() {
    for (answer, yes) in [
        ("y\n", true),
        ("Y\n", true),
        ("  y", true),
        ("y\r\n", true),
        ("", false),
        ("n\n", false),
        ("yes\n", false),
        ("y x\n", false),
        ("\ny\n", false),
    ] {
        assert_eq!(is_yes(answer.as_bytes()), yes, "{answer:?}");
    }
    assert!(!is_yes(io::Cursor::new(vec![b' '; 1 << 20])), "bounded");
}

#[test]
fn a_linked_config_is_replaced_where_it_lies() {
    let place = Place::new("linked");
    let real = place.dir.path().join("etc.toml");
    fs::write(&real, "old").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
    let link = place.make("").join("config.toml");
    symlink(&real, &link).unwrap();
    assert_eq!(place.init_answering(|_| true).0, Ok(()));
    assert_eq!(fs::read_to_string(&real).unwrap(), place.load().to_toml());
    assert_eq!(mode(&real), 0o600);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn settings_that_are_passed_over_are_told() {
    let place = Place::new("odd");
    let env: Env = [
        ("DAEMON_HOME", place.home().to_str().unwrap()),
        ("DAEMON_NAME", "odd"),
        ("DAEMON_POLL_INTERVAL", "600"),
    ]
    .into_iter()
    .collect();
    let loaded = Config::load_for_init(&env).unwrap();
    let executable = Executable::at(&place.dir.path().join("hello")).unwrap();
    let (result, log) = logged(|| init(&loaded, &executable, |_| false));
    result.unwrap();
    assert!(log[0].contains("DAEMON_POLL_INTERVAL"), "{}", log[0]);
}
