//! Settled by running Cosmovisor 1.7.1 with the same arguments.

use std::fmt::Write;

use super::*;
use crate::cosmovisor::table::Action;

/// What the arguments come to, in a line.
fn shown(line: &str) -> String {
    shown_of(line.split_whitespace())
}

fn shown_of<'a>(args: impl IntoIterator<Item = &'a str>) -> String {
    match parse(args.into_iter().map(OsString::from).collect()) {
        Parsed::Call(call) => {
            let args: Vec<_> = call.args.iter().map(|arg| arg.to_string_lossy()).collect();
            format!("{}: [{}]", spoken(&call.path), args.join("|"))
        }
        Parsed::Help(path) => format!("help for {}", spoken(&path)),
        Parsed::Refused(refusal) => {
            let after = match refusal.after {
                After::Nothing => String::new(),
                After::Usage(path) => format!(" +usage of {}", spoken(&path)),
                After::Pointer => " +pointer".to_owned(),
            };
            format!("{}{after}", refusal.message)
        }
    }
}

fn call(args: &[&str]) -> Call {
    match parse(args.iter().map(OsString::from).collect()) {
        Parsed::Call(call) => call,
        other => panic!("{other:?}"),
    }
}

#[test]
fn commands_are_found() {
    for (line, want) in [
        ("", "help for cosmovisor"),
        ("--", "help for cosmovisor"),
        ("-- config", "help for cosmovisor"),
        ("config", "cosmovisor config: []"),
        ("config x", "cosmovisor config: [x]"),
        ("config -- --x", "cosmovisor config: [--x]"),
        ("config -", "cosmovisor config: [-]"),
        ("-c x config", "cosmovisor config: []"),
        ("-cx config", "cosmovisor config: []"),
        ("--cosmovisor-config=x config", "cosmovisor config: []"),
        ("init a", "cosmovisor init: [a]"),
        ("init -- --help", "cosmovisor init: [--help]"),
        ("completion bash", "cosmovisor completion bash: []"),
        ("help a b", "cosmovisor help: [a|b]"),
        ("help -- init", "cosmovisor help: [init]"),
    ] {
        assert_eq!(shown(line), want, "{line}");
    }
    assert_eq!(shown_of([""]), "help for cosmovisor");
}

#[test]
fn run_takes_everything_as_it_is() {
    for (line, want) in [
        ("run", "cosmovisor run: []"),
        ("run --help -c x", "cosmovisor run: [--help|-c|x]"),
        ("run -- start", "cosmovisor run: [--|start]"),
        ("-c x run ab", "cosmovisor run: [-c|x|ab]"),
        (
            "--cosmovisor-config x run ab",
            "cosmovisor run: [--cosmovisor-config|x|ab]",
        ),
        ("-c run run x", "cosmovisor run: [-c|run|x]"),
    ] {
        assert_eq!(shown(line), want, "{line}");
    }
}

#[test]
fn a_flag_on_the_way_takes_the_next_word_along() {
    for (line, want) in [
        ("-h run", "help for cosmovisor"),
        ("--help bogus", "help for cosmovisor"),
        ("-x run config", "unknown shorthand flag: 'x' in -x"),
        (
            "--help config x",
            "unknown command \"x\" for \"cosmovisor\" +pointer",
        ),
        ("--foo config", "unknown flag: --foo +usage of cosmovisor"),
        ("--foo config config", "unknown flag: --foo"),
        ("--foo=1 config", "unknown flag: --foo"),
        (
            "-c",
            "flag needs an argument: 'c' in -c +usage of cosmovisor",
        ),
        (
            "--cosmovisor-config",
            "flag needs an argument: --cosmovisor-config +usage of cosmovisor",
        ),
        ("--version", "unknown flag: --version +usage of cosmovisor"),
    ] {
        assert_eq!(shown(line), want, "{line}");
    }
}

#[test]
fn unknown_commands_are_told_with_those_that_are_close() {
    for (word, close) in [
        ("versoin", &["version"][..]),
        ("VERSION", &["version"]),
        ("con", &["run", "config"]),
        ("c", &["config", "completion"]),
        ("add", &["add-upgrade", "add-batch-upgrade"]),
        ("show", &["show-upgrade-info"]),
        ("hel", &[]),
        ("startt", &[]),
        ("upgrade", &[]),
    ] {
        let mut want = format!("unknown command \"{word}\" for \"cosmovisor\"");
        if !close.is_empty() {
            let close = close.join("\n\t");
            let _ = write!(want, "\n\nDid you mean this?\n\t{close}\n");
        }
        assert_eq!(shown(word), want + " +pointer");
    }
    assert_eq!(
        shown("a\"b --help"),
        "unknown command \"a\\\"b\" for \"cosmovisor\" +pointer"
    );
}

#[test]
fn flags_are_read_as_pflag_reads_them() {
    for (line, want) in [
        ("config --help", "help for cosmovisor config"),
        ("init --help x y", "help for cosmovisor init"),
        ("config -h=true", "help for cosmovisor config"),
        ("config --help=false", "cosmovisor config: []"),
        ("config -h=", "unknown shorthand flag: '=' in -="),
        ("config -hc", "flag needs an argument: 'c' in -c"),
        ("config -hz", "unknown shorthand flag: 'z' in -z"),
        ("config -zh", "unknown shorthand flag: 'z' in -zh"),
        ("config -é", "unknown shorthand flag: 'Ã' in -é"),
        ("config --hel", "unknown flag: --hel"),
        ("config ---x", "bad flag syntax: ---x"),
        ("config --=x", "bad flag syntax: --=x"),
        (
            "config --help=x",
            "invalid argument \"x\" for \"-h, --help\" flag: strconv.ParseBool: parsing \"x\": invalid syntax",
        ),
        (
            "add-upgrade a b --upgrade-height x",
            "invalid argument \"x\" for \"--upgrade-height\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
        (
            "add-upgrade a b --upgrade-height 99999999999999999999",
            "invalid argument \"99999999999999999999\" for \"--upgrade-height\" flag: strconv.ParseInt: parsing \"99999999999999999999\": value out of range",
        ),
        (
            "add-upgrade a b --upgrade-height",
            "flag needs an argument: --upgrade-height",
        ),
        (
            "add-batch-upgrade --upgrade-list \"x:b:4",
            "invalid argument \"\\\"x:b:4\" for \"--upgrade-list\" flag: parse error on line 1, column 7: extraneous or missing \" in quoted-field",
        ),
        (
            "completion bash --no-descriptions=zz",
            "invalid argument \"zz\" for \"--no-descriptions\" flag: strconv.ParseBool: parsing \"zz\": invalid syntax +usage of cosmovisor completion bash",
        ),
        (
            "completion --foo",
            "unknown flag: --foo +usage of cosmovisor completion",
        ),
        (
            "help --foo",
            "unknown flag: --foo +usage of cosmovisor help",
        ),
        ("help -h", "help for cosmovisor help"),
    ] {
        assert_eq!(shown(line), want, "{line}");
    }
}

#[test]
fn arguments_are_counted() {
    for (line, want) in [
        ("init", "accepts 1 arg(s), received 0"),
        ("init a b", "accepts 1 arg(s), received 2"),
        ("add-upgrade a", "accepts 2 arg(s), received 1"),
        (
            "add-batch-upgrade foo --upgrade-file a --upgrade-list b",
            "unknown command \"foo\" for \"cosmovisor add-batch-upgrade\"",
        ),
        (
            "add-batch-upgrade --upgrade-file a --upgrade-list b",
            "if any flags in the group [upgrade-file upgrade-list] are set none of the others can be; [upgrade-file upgrade-list] were all set",
        ),
        (
            "prepare-upgrade x",
            "unknown command \"x\" for \"cosmovisor prepare-upgrade\" +usage of cosmovisor prepare-upgrade",
        ),
        (
            "show-upgrade-info x",
            "unknown command \"x\" for \"cosmovisor show-upgrade-info\" +usage of cosmovisor show-upgrade-info",
        ),
        (
            "completion bash x",
            "unknown command \"x\" for \"cosmovisor completion bash\" +usage of cosmovisor completion bash",
        ),
        ("completion bogus", "help for cosmovisor completion"),
        ("completion -h bash", "help for cosmovisor completion"),
    ] {
        assert_eq!(shown(line), want, "{line}");
    }
}

#[test]
fn values_of_flags_reach_the_command() {
    let add = call(&[
        "add-upgrade",
        "--force",
        "v2",
        "--upgrade-height=0x10",
        "path",
    ]);
    assert_eq!(add.path[1].action, Some(Action::AddUpgrade));
    assert!(add.is_on("force"));
    assert_eq!(add.int("upgrade-height"), 16);
    assert_eq!(add.args, ["v2", "path"]);
    assert!(!call(&["add-upgrade", "--force=0", "a", "b"]).is_on("force"));

    let version = call(&["version", "-o=json", "-c", "x", "--", "--long"]);
    assert_eq!(version.text("output"), Some(OsStr::new("json")));
    assert_eq!(version.text("cosmovisor-config"), Some(OsStr::new("x")));
    assert_eq!(version.args, ["--long"]);
    assert_eq!(call(&["version", "-o", ""]).text("output"), None);

    let batch = call(&[
        "add-batch-upgrade",
        "--upgrade-list",
        "a:b:1, c:d:2",
        "--upgrade-list=\"e,f:g:3\"",
        "--upgrade-list=",
    ]);
    assert_eq!(batch.list("upgrade-list"), ["a:b:1", " c:d:2", "e,f:g:3"]);
}

#[test]
fn any_bytes_are_taken() {
    use std::os::unix::ffi::OsStringExt;
    let odd = OsString::from_vec(vec![b'-', b'-', 0xff, b'=']);
    for args in [vec![odd.clone()], vec!["config".into(), odd]] {
        assert!(matches!(parse(args), Parsed::Refused(_)));
    }
    let path = OsString::from_vec(vec![0xff]);
    let Parsed::Call(call) = parse(vec!["init".into(), path.clone()]) else {
        panic!("a path need not be Unicode");
    };
    assert_eq!(call.args, [path]);
}
