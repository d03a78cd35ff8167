//! The executables as scripts see them: streams, texts and exit codes. Those of `cosmovisor` were
//! settled by running Cosmovisor 1.7.1.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

const COSMOVISOR: &str = env!("CARGO_BIN_EXE_cosmovisor");
const BATON: &str = env!("CARGO_BIN_EXE_baton");
const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// What a script sees.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    out: String,
    err: String,
    code: Option<i32>,
}

struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("data")).unwrap();
        Self(dir)
    }

    /// With a first binary that tells what it was started with.
    fn with_node() -> Self {
        let home = Self::new();
        let node = home.0.path().join("cosmovisor/genesis/bin/simd");
        fs::create_dir_all(node.parent().unwrap()).unwrap();
        let script = r#"#!/bin/sh
case "$1" in
version) echo "{\"name\": \"sim\", \"args\": \"$*\"}" ;;
fail) echo "went wrong" >&2; exit 7 ;;
kill) kill -9 $$ ;;
*) echo "node: $*"; [ "$2" != fail ] || exit 7; [ "$2" != kill ] || kill -9 $$ ;;
esac
"#;
        let fresh = node.with_extension("fresh");
        fs::write(&fresh, script).unwrap();
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(fresh, node).unwrap();
        home
    }

    fn command(&self, executable: &str, args: &[&str]) -> Command {
        let mut command = Command::new(executable);
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("DAEMON_HOME", self.0.path())
            .env("DAEMON_NAME", "simd")
            .env("COSMOVISOR_DISABLE_LOGS", "true")
            .env("UNSAFE_SKIP_BACKUP", "true")
            .env("BATON_RPC_ADDRESS", "http://127.0.0.1:1")
            .env("DAEMON_GRPC_ADDRESS", "127.0.0.1:1")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, executable: &str, args: &[&str]) -> Seen {
        seen(self.command(executable, args))
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }
}

fn seen(mut command: Command) -> Seen {
    let output = command.output().unwrap();
    Seen {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    }
}

fn told(out: &str, err: &str, code: i32) -> Seen {
    Seen {
        out: out.to_owned(),
        err: err.to_owned(),
        code: Some(code),
    }
}

#[test]
fn what_is_not_understood_goes_to_stderr() {
    let home = Home::new();
    for (args, err) in [
        (
            &["bogus"][..],
            "Error: unknown command \"bogus\" for \"cosmovisor\"\nRun 'cosmovisor --help' for usage.\n",
        ),
        (
            &["verison"],
            "Error: unknown command \"verison\" for \"cosmovisor\"\n\nDid you mean this?\n\tversion\n\nRun 'cosmovisor --help' for usage.\n",
        ),
        (&["init"], "Error: accepts 1 arg(s), received 0\n"),
        (
            &["run", "start", "--cosmovisor-config"],
            "Error: failed to parse cosmovisor config: --cosmovisor-config requires an argument\n",
        ),
        (
            &["add-batch-upgrade", "--upgrade-file=a", "--upgrade-list=b"],
            "Error: if any flags in the group [upgrade-file upgrade-list] are set none of the others can be; [upgrade-file upgrade-list] were all set\n",
        ),
    ] {
        assert_eq!(home.run(COSMOVISOR, args), told("", err, 1), "{args:?}");
    }
    let seen = home.run(COSMOVISOR, &["--version"]);
    let usage =
        "Error: unknown flag: --version\nUsage:\n  cosmovisor [command]\n\nAvailable Commands:\n";
    assert!(seen.err.starts_with(usage), "{seen:?}");
    assert!(seen.err.ends_with("about a command.\n\n"), "{seen:?}");
    assert_eq!((seen.out.as_str(), seen.code), ("", Some(1)));
}

#[test]
fn help_goes_to_stdout() {
    let home = Home::new();
    let root = home.run(COSMOVISOR, &[]);
    assert_eq!((root.err.as_str(), root.code), ("", Some(0)));
    for args in [&["help"][..], &["--help"], &["-h", "run"]] {
        assert_eq!(home.run(COSMOVISOR, args), root, "{args:?}");
    }
    let init = home.run(COSMOVISOR, &["help", "init"]);
    assert!(
        init.out
            .contains("\n\nUsage:\n  cosmovisor init <path to executable> [flags]\n")
    );
    assert_eq!(home.run(COSMOVISOR, &["init", "--help"]), init);
    let unknown = home.run(COSMOVISOR, &["help", "bogus"]);
    assert!(
        unknown
            .err
            .starts_with("Unknown help topic [`bogus`]\nUsage:\n")
    );
    assert_eq!((unknown.out.as_str(), unknown.code), ("", Some(0)));
}

#[test]
fn results_go_to_stderr_as_exporters_expect() {
    let home = Home::with_node();
    let none = format!(
        "No upgrade info found at {}\n",
        home.path("data/upgrade-info.json").display()
    );
    let show = || home.run(COSMOVISOR, &["show-upgrade-info"]);
    assert_eq!(show(), told("", &none, 0));
    fs::write(home.path("data/upgrade-info.json"), "{\"name\":\"v2\"}").unwrap();
    assert_eq!(show(), told("", "{\"name\":\"v2\"}\n", 0));
    let config = home.run(COSMOVISOR, &["config"]);
    assert!(
        config
            .err
            .starts_with("Configurable Values:\n  DAEMON_HOME: ")
    );
    assert_eq!((config.out.as_str(), config.code), ("", Some(0)));
}

#[test]
fn versions_are_told_as_exporters_expect() {
    let home = Home::with_node();
    let line = format!("cosmovisor version: {VERSION}\n");
    let node = "{\"name\": \"sim\", \"args\": \"version --long\"}\n";
    for (args, seen) in [
        (&["version", "--cosmovisor-only"][..], told("", &line, 0)),
        (&["version", "--", "--long"], told(node, &line, 0)),
        (
            &["version", "-o", "json", "--cosmovisor-only"],
            told(
                "",
                &format!("{{\"cosmovisor_version\":\"{VERSION}\"}}\n"),
                0,
            ),
        ),
        (
            &["version", "-o", "json"],
            told(
                "",
                &format!(
                    "{{\"cosmovisor_version\":\"{VERSION}\",\"app_version\":{{\"name\":\"sim\",\"args\":\"version --long --output json\"}}}}\n"
                ),
                0,
            ),
        ),
    ] {
        assert_eq!(home.run(COSMOVISOR, args), seen, "{args:?}");
    }
    let mut nameless = home.command(COSMOVISOR, &["version"]);
    nameless.env_remove("DAEMON_NAME");
    let error = format!("{line}Error: failed to run version command: DAEMON_NAME is not set\n");
    assert_eq!(seen(nameless), told("", &error, 1));
}

#[test]
fn run_passes_everything_on_and_ends_as_the_node_does() {
    let home = Home::with_node();
    for (args, out, err, cosmovisor, baton) in [
        (
            &["x", "--help", "-c", "y"][..],
            "node: x --help -c y\n",
            "",
            0,
            0,
        ),
        (&["x", "fail"], "node: x fail\n", "exit status 7", 1, 7),
        (&["x", "kill"], "node: x kill\n", "signal: killed", 1, 137),
    ] {
        let mut all = vec!["run"];
        all.extend(args);
        let error = |prefix: &str| match err {
            "" => String::new(),
            err => format!("{prefix}{err}\n"),
        };
        assert_eq!(
            home.run(COSMOVISOR, &all),
            told(out, &error("Error: "), cosmovisor)
        );
        assert_eq!(
            home.run(BATON, &all),
            told(out, &error("error: the node ended: "), baton)
        );
    }
    let home_flag = home.0.path().to_str().unwrap();
    let mut flags = home.command(BATON, &["--home", home_flag, "run", "x", "--home", "/z"]);
    flags.env_remove("DAEMON_HOME");
    assert_eq!(seen(flags), told("node: x --home /z\n", "", 0));
}

#[test]
fn the_old_style_without_run_works_for_commands_of_nodes() {
    let home = Home::with_node();
    let warning =
        "Use of cosmovisor without the 'run' command is deprecated. Use: cosmovisor run [args]\n";
    assert_eq!(
        home.run(COSMOVISOR, &["start", "--x"]),
        told("node: start --x\n", warning, 0)
    );
    assert_eq!(
        home.run(COSMOVISOR, &["start", "fail"]),
        told(
            "node: start fail\n",
            &format!("{warning}Error: exit status 7\n"),
            1
        )
    );
}

#[test]
fn init_asks_before_it_overwrites() {
    let home = Home::new();
    let binary = home.path("binary");
    fs::write(&binary, "x").unwrap();
    let binary = binary.to_str().unwrap();
    for executable in [COSMOVISOR, BATON] {
        let _ = fs::remove_dir_all(home.path("cosmovisor"));
        assert_eq!(home.run(executable, &["init", binary]), told("", "", 0));
        let file = home.path("cosmovisor/config.toml");
        let question = format!(
            "file {} already exists, do you want to overwrite it? [y/n]: ",
            file.display()
        );
        fs::write(&file, "old").unwrap();
        assert_eq!(
            home.run(executable, &["init", binary]),
            told(&question, "", 0)
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
        let answer = home.path("answer");
        fs::write(&answer, "y\n").unwrap();
        let mut yes = home.command(executable, &["init", binary]);
        yes.stdin(fs::File::open(answer).unwrap());
        assert_eq!(seen(yes), told(&question, "", 0));
        assert!(
            fs::read_to_string(&file)
                .unwrap()
                .starts_with("daemon_home")
        );
    }
}

#[test]
fn both_print_completions() {
    let home = Home::new();
    for (executable, shells) in [
        (COSMOVISOR, &["bash", "zsh", "fish", "powershell"][..]),
        (BATON, &["bash", "zsh", "fish", "powershell"]),
    ] {
        for shell in shells {
            let seen = home.run(executable, &["completion", shell]);
            assert!(seen.out.contains("add-upgrade"), "{executable} {shell}");
            assert_eq!((seen.err.as_str(), seen.code), ("", Some(0)));
        }
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let home = Home::new();
    let mut command = home.command(COSMOVISOR, &["completion", "bash"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn baton_prints_results_to_stdout_and_errors_to_stderr() {
    let home = Home::with_node();
    let config = home.run(BATON, &["config"]);
    assert!(config.out.starts_with("Configurable Values:\n"));
    assert_eq!((config.err.as_str(), config.code), ("", Some(0)));
    assert_eq!(
        home.run(BATON, &["version", "--baton-only"]),
        told(&format!("baton version: {VERSION}\n"), "", 0)
    );
    assert_eq!(
        home.run(BATON, &["add-upgrade", "v2", "/no/such"]),
        told(
            "",
            "error: invalid executable path: stat /no/such: no such file or directory\n",
            1
        )
    );
    assert_eq!(home.run(BATON, &["run", "fail"]).code, Some(7));
    assert_eq!(home.run(BATON, &["bogus"]).code, Some(2));
    let help = home.run(BATON, &["--help"]);
    assert!(help.out.contains("prepare-upgrade"));
    assert_eq!((help.err.as_str(), help.code), ("", Some(0)));
}

#[test]
fn what_happened_is_told_after_the_supervisor_has_ended() {
    let home = Home::with_node();
    assert_eq!(home.run(BATON, &["events"]), told("", "", 0));
    let none = home.run(BATON, &["status"]);
    assert!(none.out.contains("none has run there yet"), "{none:?}");
    assert_eq!(none.code, Some(1));

    home.run(BATON, &["run", "x", "fail"]);
    let status = home.run(BATON, &["status"]);
    assert!(status.out.starts_with("No supervisor is running on "));
    assert!(status.out.contains("exited with code 7"), "{status:?}");
    assert_eq!((status.err.as_str(), status.code), ("", Some(1)));
    let events = home.run(BATON, &["events", "--kind", "supervisor", "-n", "1"]);
    assert!(events.out.contains("supervisor-stopped"), "{events:?}");
    assert_eq!(events.out.lines().count(), 1);
    let json = home.run(BATON, &["events", "--json"]);
    assert!(json.out.starts_with("{\"seq\":1,"), "{json:?}");
}

#[test]
fn following_ends_when_nobody_reads_any_more() {
    let home = Home::with_node();
    home.run(BATON, &["run", "x"]);
    let mut command = home.command(BATON, &["events", "--follow"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while child.try_wait().unwrap().is_none() {
        if std::time::Instant::now() > deadline {
            let _ = child.kill();
            panic!("it goes on");
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn doctor_tells_by_its_exit_code_whether_the_next_upgrade_would_fail() {
    let home = Home::with_node();
    let good = home.run(BATON, &["doctor"]);
    assert_eq!((good.err.as_str(), good.code), ("", Some(0)), "{good:?}");
    assert!(good.out.contains("\nok    current-binary   genesis\n"));

    fs::write(
        home.path("data/upgrade-info.json"),
        "{\"name\":\"v2\",\"height\":100}",
    )
    .unwrap();
    let bad = home.run(BATON, &["doctor"]);
    assert_eq!((bad.err.as_str(), bad.code), ("", Some(1)));
    assert!(
        bad.out
            .contains("\nFAIL  next-binary      v2 at height 100")
    );
    assert!(
        bad.out
            .contains("to do: add it with `baton add-upgrade v2 ")
    );
    let json = home.run(BATON, &["doctor", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&report["verdict"], json.code), (&"fail".into(), Some(1)));
}
