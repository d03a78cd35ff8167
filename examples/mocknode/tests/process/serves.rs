//! What a node tells those who ask.

use std::path::Path;
use std::process::Command;

use crate::common::{Home, files};
use cosmos_sdk_proto::cosmos::base::tendermint::v1beta1 as blocks;
use cosmos_sdk_proto::cosmos::upgrade::v1beta1 as upgrades;
use serde_json::Value;

/// The address after `key` in one of the configuration files.
pub(crate) fn address(home: &Home, file: &str, key: &str) -> String {
    let text = home.read(file);
    let document: toml::Table = text.parse().unwrap();
    let (table, key) = key.split_once('.').unwrap();
    document[table][key].as_str().unwrap().replace("tcp://", "")
}

fn get(home: &Home, path: &str) -> Value {
    let address = address(home, "config/config.toml", "rpc.laddr");
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let answer = std::io::read_to_string(stream).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn http_answers_as_cometbft_does() {
    let home = Home::new("plan = ['v2:6']");
    let node = home.start("genesis", &[]);
    node.says("CONSENSUS FAILURE");
    for path in ["/status", "/v1/status"] {
        let sync = &get(&home, path)["result"]["sync_info"];
        assert_eq!(sync["latest_block_height"], "6");
        assert_eq!(sync["catching_up"], false);
    }
    let block = get(&home, "/block");
    assert_eq!(block["result"]["block"]["header"]["height"], "6");
    let third = get(&home, "/block?height=3");
    assert_eq!(third["result"]["block"]["header"]["height"], "3");
    assert_eq!(get(&home, "/block?height=99")["error"]["code"], -32603);
    assert_eq!(
        get(&home, "/abci_info")["result"]["response"]["last_block_height"],
        "5"
    );
    assert_eq!(get(&home, "/health")["result"], serde_json::json!({}));
    let mock = get(&home, "/mock/status");
    assert_eq!(mock["pid"], node.pid());
    assert!(mock["halted"].as_str().unwrap().contains("NEEDED"));
}

#[test]
fn grpc_answers_as_the_sdk_does() {
    let home = Home::new("plan = ['v2:6:the info']");
    let node = home.start("genesis", &[]);
    node.says("CONSENSUS FAILURE");
    let uri = format!(
        "http://{}",
        address(&home, "config/app.toml", "grpc.address")
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut client = upgrades::query_client::QueryClient::connect(uri.clone())
            .await
            .unwrap();
        let request = upgrades::QueryCurrentPlanRequest {};
        let plan = client
            .current_plan(request)
            .await
            .unwrap()
            .into_inner()
            .plan
            .unwrap();
        assert_eq!(
            (&*plan.name, plan.height, &*plan.info),
            ("v2", 6, "the info")
        );
        let status = client
            .authority(upgrades::QueryAuthorityRequest {})
            .await
            .unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unimplemented);

        let mut client = blocks::service_client::ServiceClient::connect(uri)
            .await
            .unwrap();
        let request = blocks::GetLatestBlockRequest {};
        let latest = client.get_latest_block(request).await.unwrap().into_inner();
        assert_eq!(latest.sdk_block.unwrap().header.unwrap().height, 6);
        assert_eq!(latest.block.unwrap().header.unwrap().height, 6);
    });
}

#[test]
fn status_prints_in_both_casings_and_fails_without_a_node() {
    let home = Home::new("");
    let mut node = home.start("genesis", &[]);
    node.reaches(2);
    let new = home.run("genesis", &["status"]);
    assert!(new.status.success() && new.stderr.is_empty());
    let new: Value = serde_json::from_slice(&new.stdout).unwrap();
    assert!(new["sync_info"]["latest_block_height"].is_string());

    let old = home.run("genesis", &["status", "--status-casing", "old"]);
    assert!(old.status.success() && old.stdout.is_empty());
    let old: Value = serde_json::from_slice(&old.stderr).unwrap();
    assert!(old["SyncInfo"]["latest_block_height"].is_string());
    assert!(old["ValidatorInfo"]["VotingPower"].is_string());
    let asked = address(&home, "config/config.toml", "rpc.laddr");
    let other = Home::new("");
    assert!(
        other
            .run("genesis", &["status", "--node", &asked])
            .status
            .success()
    );

    node.stop();
    let down = home.run("genesis", &["status"]);
    assert_eq!(down.status.code(), Some(1));
    assert!(
        String::from_utf8(down.stderr)
            .unwrap()
            .starts_with("Error: post failed")
    );
}

#[test]
fn a_node_keeps_its_port_and_gives_way_if_it_is_taken() {
    let home = Home::new("");
    let place = || address(&home, "config/config.toml", "rpc.laddr");
    let mut node = home.start("genesis", &[]);
    node.reaches(1);
    let first = place();
    node.stop();
    let mut node = home.start("genesis", &[]);
    node.reaches(2);
    assert_eq!(place(), first);
    node.stop();

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|a| (taken, a.to_string())).unwrap();
    let text = home.read("config/config.toml").replace(&first, &taken.1);
    std::fs::write(home.path("config/config.toml"), text).unwrap();
    let mut node = home.start("genesis", &[]);
    node.reaches(3);
    assert_ne!(place(), taken.1);
    node.stop();
    let stderr = home.start("genesis", &["--rpc", &taken.1]).ends_with(1);
    assert!(
        stderr.contains(&taken.1) && stderr.contains("in use"),
        "{stderr}"
    );
    home.start("genesis", &["--rpc", "off", "--grpc", "off"])
        .reaches(4);
    assert!(!home.read("stdout").contains("serving"));
}

#[test]
fn the_version_comes_from_the_stamp_or_the_place() {
    let home = Home::new("");
    let version = |binary: &Path| {
        let output = Command::new(binary).arg("version").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(version(&home.binary("v7")), "v7\n");
    let release = home.path("cosmovisor/upgrades/v%208/bin");
    std::fs::create_dir_all(&release).unwrap();
    let placed = release.join("mocknode");
    std::fs::hard_link(home.binary("genesis"), &placed)
        .or_else(|_| {
            let status = Command::new("cp")
                .arg(home.binary("genesis"))
                .arg(&placed)
                .status()?;
            status
                .success()
                .then_some(())
                .ok_or_else(|| std::io::Error::other("cp"))
        })
        .unwrap();
    assert_eq!(version(&placed), "v 8\n");
    let long = home.run("v7", &["version", "--long", "--output", "json"]);
    let long: Value = serde_json::from_slice(&long.stdout).unwrap();
    assert_eq!(long["version"], "v7");
}

#[test]
fn pre_upgrade_exits_as_told_and_finds_its_home_in_the_environment() {
    let home = Home::new("pre-upgrade = 30");
    assert_eq!(home.run("v2", &["pre-upgrade"]).status.code(), Some(30));
    std::fs::write(home.path("pre-upgrade-exit"), "31 0").unwrap();
    let bare = || {
        let mut command = Command::new(home.binary("v2"));
        command.arg("pre-upgrade").env("DAEMON_HOME", home.path(""));
        command.env_remove("MOCKNODE_HOME").status().unwrap().code()
    };
    assert_eq!((bare(), bare(), bare()), (Some(31), Some(0), Some(0)));
    assert_eq!(home.events("pre-upgrade").len(), 4);
}

#[test]
fn wrong_use_exits_with_1_and_names_what_is_wrong() {
    let home = Home::new("");
    for (args, named) in [
        (&["start", "--blok-time", "1s"][..], "--blok-time"),
        (&["start", "--block-time", "1"], "not a duration"),
        (&["start", "--plan", "v2"], "not a plan"),
        (&["start", "--rpc", "nowhere"], "nowhere"),
        (&["nonsense"], "nonsense"),
        (&["init"], "genesis.json file already exists"),
    ] {
        let output = home.run("genesis", args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(named), "{args:?}: {stderr}");
    }
    std::fs::write(home.path("config/app.toml"), "[mock]\nplans = []").unwrap();
    let stderr = home.start("genesis", &[]).ends_with(1);
    assert!(
        stderr.contains("config/app.toml") && stderr.contains("plans"),
        "{stderr}"
    );
    assert_eq!(home.run("genesis", &["--help"]).status.code(), Some(0));
}

#[test]
fn a_big_data_directory_can_be_made() {
    let home = Home::new("");
    let big = ["init", "-o", "--fill-files", "7", "--fill-size", "50KiB"];
    assert!(home.run("genesis", &big).status.success());
    let tables = files(&home.path("data/application.db")).into_iter();
    let sizes = tables.filter(|path| path.extension().is_some_and(|e| e == "sst"));
    assert_eq!(
        sizes
            .filter(|p| p.metadata().unwrap().len() == 50 << 10)
            .count(),
        7
    );
    let mut node = home.start("genesis", &["--block-time", "5ms"]);
    node.reaches(3);
    node.stop();
    assert!(home.run("genesis", &["verify"]).status.success());
}
