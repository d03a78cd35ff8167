//! Commands that run no node: their texts, streams and exit codes, and what they leave on the disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::{BATOND, Home, Said};

#[test]
fn init_says_and_does_what_bytomd_does_and_its_secrets_are_its_owners() {
    let home = Home::empty();
    let said = home.batond(&["init", "--chain_id", "solonet"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""));
    let lines: Vec<_> = said.err.lines().collect();
    assert_eq!(lines.len(), 2, "{said:?}");
    assert!(
        lines[0].contains("level=info msg=\"success generate private\" pubkey="),
        "{said:?}"
    );
    assert!(
        lines[1].contains("level=info msg=\"Initialized bytom\" config="),
        "{said:?}"
    );
    assert!(lines[1].ends_with("module=cmd"), "{said:?}");
    let mode = |name: &str| fs::metadata(home.at(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode("."), mode("data"), mode("node_key.txt")),
        (0o700, 0o700, 0o600)
    );

    let before = fs::read(home.at("config.toml")).unwrap();
    let again = home.batond(&["init", "--chain_id", "mainnet"]);
    assert_eq!((again.code, again.out.as_str()), (Some(0), ""));
    assert!(
        again
            .err
            .contains("level=info msg=\"Already exists config file.\" config="),
        "{again:?}"
    );
    assert_eq!(fs::read(home.at("config.toml")).unwrap(), before);

    let other = Home::empty();
    let said = other.batond(&["init", "--chain_id=foo"]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.err.starts_with("ERROR: --chain_id \"foo\""),
        "{said:?}"
    );
    assert!(!other.path().exists());
}

#[test]
fn what_is_not_understood_is_told_on_stderr_as_bytomd_tells_it() {
    let home = Home::empty();
    for (args, wanted) in [
        (
            &["bogus"][..],
            "ERROR: unknown command \"bogus\" for \"batond\"\n",
        ),
        (&["node", "--bogus"], "ERROR: unknown flag: --bogus\n"),
    ] {
        let said = home.batond(args);
        assert_eq!(
            (said.code, said.err.as_str(), said.out.as_str()),
            (Some(1), wanted, "")
        );
    }
    let said: Said = Command::new(BATOND).output().unwrap().into();
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(said.out.contains("Usage: batond"), "{said:?}");
    let said = home.batond(&["version"]);
    assert_eq!(said.out, concat!(env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_home_is_found_by_flag_environment_or_default() {
    let home = Home::empty();
    let run = |variables: &[(&str, &str)]| {
        let mut command = Command::new(BATOND);
        command
            .arg("init")
            .env_clear()
            .envs(variables.iter().copied());
        assert!(command.output().unwrap().status.success());
    };
    let own = home.path();
    let own = own.to_str().unwrap();
    run(&[("HOME", own)]);
    run(&[("HOME", own), ("TMHOME", "$HOME/short")]);
    run(&[("HOME", own), ("TM_HOME", "~/long")]);
    for name in [".batond", "short", "long"] {
        assert!(home.at(name).join("config.toml").is_file(), "{name}");
    }
}

#[test]
fn a_home_that_is_not_there_is_not_made_by_a_typing_error() {
    let home = Home::empty();
    for args in [
        &["node", "--api_addr=127.0.0.1:0"][..],
        &["status"],
        &["stop"],
        &["token", "list"],
        &["check"],
        &["config", "check"],
    ] {
        let said = home.batond(args);
        assert_eq!(said.code, Some(1), "{args:?}: {said:?}");
        let path = home.path();
        let path = path.to_str().unwrap();
        assert!(said.err.contains(path), "{args:?}: {said:?}");
        assert!(!home.path().exists(), "{args:?}");
    }
    for args in [&["init"][..], &["status"]] {
        let mut command = Command::new(BATOND);
        let said = command.args(args).args(["--home", ""]).output().unwrap();
        let said = Said::from(said);
        assert_eq!(said.code, Some(1));
        assert_eq!(said.err, "ERROR: flag needs an argument: --home\n");
    }
}

#[test]
fn what_cannot_be_done_is_told_before_what_could_be_lost() {
    let home = Home::solonet();
    for (args, wanted) in [
        (
            &["namespace", "destroy", "global"][..],
            "cannot be destroyed",
        ),
        (&["pay", "sn1q", "-5"], "\"-5\" is not an amount of BTM"),
    ] {
        let said = home.batond(args);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.err.contains(wanted), "{said:?}");
    }
}

#[test]
fn a_network_is_at_an_address() {
    let home = Home::empty();
    for host in ["foo", "0.0.0.0", "127.0.0.1:80"] {
        let output = home.path();
        let output = output.to_str().unwrap();
        let mut command = Command::new(BATOND);
        let said = command
            .args(["testnet", "--output", output, "--host", host])
            .output()
            .unwrap();
        let said = Said::from(said);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(
            said.err.contains("--host") && said.err.contains(host),
            "{said:?}"
        );
        assert!(!home.path().exists());
    }
}

#[test]
fn a_node_that_cannot_start_says_what_to_do() {
    let home = Home::solonet();
    let config = fs::read_to_string(home.at("config.toml")).unwrap();
    let fails = |args: &[&str], wanted: &str| {
        let mut all = vec!["node", "--api_addr=127.0.0.1:0", "--p2p.laddr=127.0.0.1:0"];
        all.extend(args);
        let said = home.batond(&all);
        assert_eq!(said.code, Some(1), "{args:?}: {said:?}");
        assert!(said.err.starts_with(wanted), "{args:?}: {said:?}");
    };
    fails(&["--chain_id=testnet"], "chain_id[testnet] was asked for");
    fails(
        &["--db_backend=foo"],
        "ERROR: --db_backend: Param db_backend [foo] is invalid",
    );
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = busy.local_addr().unwrap();
    fails(
        &[&format!("--api_addr={busy}")],
        &format!("Failed to register tcp port: listen tcp {busy}: bind: address already in use"),
    );
    fails(
        &["--api_addr=192.0.2.1:80"],
        "Failed to register tcp port: listen tcp 192.0.2.1:80: bind: cannot assign requested address (api_addr); this machine's",
    );
    fails(
        &[&format!("--p2p.laddr={busy}")],
        "Failed to create sync manager: p2p.laddr: cannot listen on 127.0.0.1:",
    );

    fs::write(home.at("config.toml"), format!("{config}\n= 1\n")).unwrap();
    fails(&[], "ERROR: While parsing config: (");
    fs::write(home.at("config.toml"), &config).unwrap();

    let key = home.at("node_key.txt");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let said = home.batond(&["node", "--api_addr=127.0.0.1:0"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("chmod 600"), "{said:?}");
    fs::remove_file(&key).unwrap();
    fails(&[], "fail on open private key file");
    fs::remove_file(home.at("genesis.json")).unwrap();
    fs::write(home.at("config.toml"), config.replace("solonet", "mainnet")).unwrap();
    fs::write(&key, "00").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let said = home.batond(&["config", "check"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("is no node key"), "{said:?}");
}

#[test]
fn everything_wrong_is_told_at_once_by_config_check() {
    let home = Home::solonet();
    let said = home.batond(&[
        "config",
        "check",
        "--api_addr=127.0.0.1:0",
        "--p2p.laddr=127.0.0.1:0",
    ]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let mut command = home.command(&["config", "check", "--p2p.max_num_peers=0"]);
    command.env("TM_MINING", "maybe").env("LISTEN", "nowhere");
    let said: Said = command.output().unwrap().into();
    assert_eq!(said.code, Some(1));
    for wanted in [
        "--p2p.max_num_peers",
        "TM_MINING in the environment",
        "LISTEN in the environment",
    ] {
        assert!(
            said.err.contains(&format!("ERROR: {wanted}: ")),
            "{said:?} has no {wanted}"
        );
    }
}
