//! Usage, help and refusals: nothing is sent.

mod program;

use baton_client::Exit;
use baton_client::table::{Origin, commands};
use program::batoncli;

/// Nobody is there.
const NOWHERE: &str = "http://127.0.0.1:1";

#[test]
fn alone_it_shows_its_usage_on_stderr_as_bytomcli_does() {
    let ran = batoncli(NOWHERE, &[]);
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Done, ""));
    assert!(
        ran.err.starts_with(
            "Usage:\n  batoncli [flags]\n  batoncli [command]\n\nAvailable Commands:\n"
        )
    );
    for command in commands() {
        assert!(ran.err.contains(&format!("\n    {} ", command.name)));
    }
    assert!(ran.err.lines().all(|line| !line.ends_with(' ')));
}

#[test]
fn help_goes_to_stdout_in_every_way_of_asking() {
    let whole = batoncli(NOWHERE, &["--help"]);
    assert_eq!((whole.exit, whole.err.as_str()), (Exit::Done, ""));
    assert_eq!(batoncli(NOWHERE, &["help"]).out, whole.out);
    for command in commands() {
        let ran = batoncli(NOWHERE, &["help", command.name]);
        assert_eq!((ran.exit, ran.err.as_str()), (Exit::Done, ""));
        assert!(ran.out.starts_with(command.about), "{}", ran.out);
        let space = if command.usage.is_empty() { "" } else { " " };
        let usage = format!(
            "  batoncli {}{space}{} [flags]\n",
            command.name, command.usage
        );
        assert!(ran.out.contains(&usage), "{}", ran.out);
        for flag in command.flags {
            assert!(ran.out.contains(&format!("--{}", flag.name)), "{}", ran.out);
        }
        let bytomcli = command.origin != Origin::Addition;
        let added = command.flags.iter().filter(|flag| flag.is_addition).count();
        let marks = ran.out.matches("(not in bytomcli)").count();
        assert!(!bytomcli || marks == added, "{}", ran.out);
        for asked in [
            &[command.name, "--help"][..],
            &["-h", command.name],
            &[command.name, "a", "-h", "b"],
        ] {
            assert_eq!(batoncli(NOWHERE, asked).out, ran.out);
        }
    }
}

#[test]
fn help_of_nothing_is_told_but_no_failure() {
    let ran = batoncli(NOWHERE, &["help", "bogus"]);
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Done, ""));
    assert!(
        ran.err
            .starts_with("Unknown help topic [`bogus`]\nUsage:\n")
    );
}

#[test]
fn what_makes_no_sense_is_refused_in_the_words_of_cobra() {
    for (typed, error) in [
        ("bogus", "unknown command \"bogus\" for \"batoncli\""),
        ("--bogus", "unknown flag: --bogus"),
        ("get-block", "accepts 1 arg(s), received 0"),
        ("get-block a b", "accepts 1 arg(s), received 2"),
        ("net-info extra", "accepts no arguments, received 1"),
        (
            "create-account a",
            "requires at least 2 arg(s), only received 1",
        ),
        (
            "create-account-receiver a b c",
            "accepts between 1 and 2 arg(s), received 3",
        ),
        ("get-block --bogus 1", "unknown flag: --bogus"),
        ("get-block --bogus=1", "unknown flag: --bogus"),
        ("get-block -z 1", "unknown flag: -z"),
        ("get-block -1", "unknown flag: -1"),
        (
            "list-accounts --alia x",
            "unknown flag: --alia; did you mean --alias?",
        ),
        ("list-accounts --id", "flag needs an argument: --id"),
        (
            "create-account a b -q x",
            "invalid argument \"x\" for \"--quorom\" flag: not a whole number",
        ),
        (
            "list-unspent-outputs --count -1",
            "invalid argument \"-1\" for \"--count\" flag: less than zero",
        ),
        (
            "list-unspent-outputs --contract=maybe",
            "invalid argument \"maybe\" for \"--contract\" flag: neither true nor false",
        ),
        (
            "build-transaction a b 1",
            "required flag(s) \"type\" not set",
        ),
        (
            "build-transaction a b 1 -t spend",
            "required flag(s) \"receiver\" not set",
        ),
        (
            "sign-transaction {}",
            "required flag(s) \"password\" not set",
        ),
        (
            "net-info --timeout 0",
            "invalid argument \"0\" for \"--timeout\" flag: not from 1 to 86400 seconds",
        ),
        ("completion", "accepts 1 arg(s), received 0"),
        ("completion csh", "unknown shell \"csh\""),
    ] {
        let typed: Vec<_> = typed.split(' ').collect();
        let ran = batoncli(NOWHERE, &typed);
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Local, ""), "{typed:?}");
        let (first, hint) = ran.err.split_once('\n').unwrap();
        assert_eq!(first, format!("Error: {error}"), "{typed:?}");
        let usage = match typed[0] {
            "bogus" | "--bogus" => "Run 'batoncli --help' for usage.\n".to_owned(),
            command => format!("Usage:\n  batoncli {command} "),
        };
        assert!(hint.starts_with(&usage), "{typed:?}: {hint}");
    }
}

#[test]
fn the_likeliest_command_is_proposed_first() {
    let ran = batoncli(NOWHERE, &["lst-keys"]);
    assert!(
        ran.err.contains("\nDid you mean this?\n\tlist-keys\n"),
        "{}",
        ran.err
    );
}

#[test]
fn no_secret_is_repeated() {
    for typed in [
        &["create-key", "alice", "s3cret", "more"][..],
        &["delete-key", "zz", "s3cret"],
        &["sign-transaction", "{}", "-p", "s3cret", "--bogus=s3cret"],
        &["sign-transaction", "{}", "-p", "s3cret"],
        &["sign-message", "a", "zz", "s3cret"],
        &["net-info", "--token", "s3cret"],
        &["net-info", "--token", "id:s3cret"],
        &["net-info", "--node", "http://id:s3cret@127.0.0.1:1"],
        &["net-info", "--node", "id:s3cret@127.0.0.1:1"],
        &["net-info", "--node", "http://id:s3cret@127.0.0.1:port"],
    ] {
        let ran = batoncli(NOWHERE, typed);
        assert_ne!(ran.exit, Exit::Done, "{typed:?}");
        assert!(!format!("{ran:?}").contains("s3cret"), "{ran:?}");
    }
}

#[test]
fn the_version_names_the_machine_as_go_does() {
    let ran = batoncli(NOWHERE, &["version", "whatever"]);
    let version = concat!("Batoncli v", env!("CARGO_PKG_VERSION"), " ");
    assert!(ran.out.starts_with(version), "{}", ran.out);
    assert!(
        !ran.out.contains("x86_64") && ran.out.contains('/'),
        "{}",
        ran.out
    );
}

#[test]
fn every_shell_learns_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = batoncli(NOWHERE, &["completion", shell]);
        assert_eq!((ran.exit, ran.err.as_str()), (Exit::Done, ""));
        for command in commands() {
            assert!(ran.out.contains(command.name), "{shell}: {}", command.name);
        }
    }
}
