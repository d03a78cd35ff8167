//! Releases from the network, through the whole supervisor.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use crate::plans::practice;
use crate::support::{BATON, COSMOVISOR, Home, Text};

/// Serves one file; breaks the first `breaks` transfers in the middle.
fn serve(content: Vec<u8>, breaks: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let number = counted.fetch_add(1, Ordering::SeqCst);
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut from = 0;
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                let lower = line.to_lowercase();
                if let Some(range) = lower.trim().strip_prefix("range: bytes=") {
                    from = range.trim_end_matches('-').parse().unwrap_or(0);
                }
                line.clear();
            }
            let total = content.len();
            let body = &content[from..];
            let status = if from > 0 {
                format!(
                    "206 Partial Content\r\nContent-Range: bytes {from}-{}/{total}",
                    total - 1
                )
            } else {
                "200 OK".to_owned()
            };
            let mut stream = stream;
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"one\"\r\nAccept-Ranges: bytes\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let part = if number < breaks {
                body.len() / 2
            } else {
                body.len()
            };
            let _ = stream.write_all(&body[..part]);
        }
    });
    (address, requests)
}

fn archive() -> Vec<u8> {
    // A release as chains publish it: the binary below bin/, in a plain tar.
    let content = fs::read(BATON).unwrap();
    let mut tar = Vec::new();
    let mut header = [0_u8; 512];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, "bin/mocknode");
    put(100, "0000755");
    put(124, &format!("{:011o}", content.len()));
    put(136, "00000000000");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\u{0}00");
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    tar.extend_from_slice(&header);
    tar.extend_from_slice(&content);
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    tar
}

fn plan(home: &Home, url: &str) {
    let app = home.at("config/app.toml");
    let info = format!(r#"{{\"binaries\":{{\"any\":\"{url}\"}}}}"#);
    let text = fs::read_to_string(&app).unwrap();
    fs::write(&app, format!("{text}\nplan = [\"v2:30:{info}\"]\n")).unwrap();
}

fn allow(home: &mut Home) {
    home.set("DAEMON_ALLOW_DOWNLOAD_BINARIES", "true");
    home.set("DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM", "true");
}

fn versions(home: &Home) -> usize {
    fs::read_to_string(home.at("mocknode-events.jsonl"))
        .unwrap_or_default()
        .lines()
        .filter(|line| line.contains("\"start\""))
        .count()
}

#[test]
fn a_broken_transfer_is_resumed_and_the_upgrade_made() {
    let mut home = practice(&[], "");
    allow(&mut home);
    let content = archive();
    let checksum = hex::encode(Sha256::digest(&content));
    let (address, requests) = serve(content, 2);
    plan(
        &home,
        &format!("{address}/v2.tar?checksum=sha256:{checksum}"),
    );
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    running.wait_until("v2", |_| versions(&home) == 2);
    assert_eq!(home.current(), "upgrades/v2");
    running.stop();
    assert!(
        requests.load(Ordering::SeqCst) >= 3,
        "it was broken off twice"
    );
    let left: Vec<_> = fs::read_dir(home.root().join("upgrades"))
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left, ["v2"], "no leftovers");
}

#[test]
fn a_wrong_checksum_stops_the_upgrade_and_the_next_try_is_not_wedged() {
    let mut home = practice(&[], "");
    allow(&mut home);
    let content = archive();
    let wrong = "0".repeat(64);
    let (address, _) = serve(content, 0);
    plan(&home, &format!("{address}/v2.tar?checksum=sha256:{wrong}"));
    let out = home.cosmovisor(&["run", "start"]);
    assert_eq!(out.code(), Some(1));
    assert!(
        out.err().contains("Checksums did not match"),
        "{}",
        out.err()
    );
    assert_eq!(home.current(), "genesis");
    assert!(!home.root().join("upgrades/v2").exists());
    let added = home.cosmovisor(&["add-upgrade", "v2", BATON]);
    assert_eq!(added.code(), Some(0), "{}", added.err());
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    running.wait_until("v2", |_| versions(&home) == 2);
    running.stop();
}

#[test]
fn an_address_without_a_checksum_is_refused_when_one_is_demanded() {
    let mut home = practice(&[], "");
    allow(&mut home);
    let (address, requests) = serve(archive(), 0);
    plan(&home, &format!("{address}/v2.tar"));
    let out = home.cosmovisor(&["run", "start"]);
    assert_eq!(out.code(), Some(1));
    assert!(out.err().contains("checksum"), "{}", out.err());
    assert_eq!(requests.load(Ordering::SeqCst), 0, "nothing was asked for");
    assert_eq!(home.current(), "genesis");
}

#[test]
fn a_planned_release_is_fetched_before_its_height() {
    let mut home = practice(&[], "");
    allow(&mut home);
    let content = archive();
    let checksum = hex::encode(Sha256::digest(&content));
    let (address, _) = serve(content, 0);
    let app = home.at("config/app.toml");
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let text = fs::read_to_string(&app).unwrap().replace(
        "grpc = \"127.0.0.1:0\"",
        &format!("grpc = \"127.0.0.1:{port}\""),
    );
    let url = format!("{address}/v2.tar?checksum=sha256:{checksum}");
    let info = format!(r#"{{\"binaries\":{{\"any\":\"{url}\"}}}}"#);
    fs::write(&app, format!("{text}\nplan = [\"v2:1000000:{info}\"]\n")).unwrap();
    home.set("DAEMON_GRPC_ADDRESS", &format!("127.0.0.1:{port}"));
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    let binary = home.root().join("upgrades/v2/bin/mocknode");
    running.wait_until("the release", |_| Path::new(&binary).is_file());
    assert_eq!(home.current(), "genesis");
    running.stop();
    assert_eq!(versions(&home), 1);

    // By hand the same: it is there already.
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    running.wait_until("the node", |_| versions(&home) == 2);
    let mut prepared = home.cosmovisor(&["prepare-upgrade"]);
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while prepared.code() != Some(0) && std::time::Instant::now() < deadline {
        prepared = home.cosmovisor(&["prepare-upgrade"]);
    }
    assert_eq!(prepared.code(), Some(0), "{}", prepared.err());
    running.stop();
}

/// A node that keeps to the contract tells of its chain's plans itself.
#[test]
fn a_release_that_the_node_tells_of_is_fetched_before_its_height() {
    let mut home = practice(&[], "handover = true");
    allow(&mut home);
    let content = archive();
    let checksum = hex::encode(Sha256::digest(&content));
    let (address, _) = serve(content, 0);
    // Nobody answers there: the plan is known from the node alone.
    home.set("DAEMON_GRPC_ADDRESS", "127.0.0.1:1");
    let app = home.at("config/app.toml");
    let text = fs::read_to_string(&app).unwrap();
    let info =
        format!(r#"{{\"binaries\":{{\"any\":\"{address}/v2.tar?checksum=sha256:{checksum}\"}}}}"#);
    fs::write(&app, format!("{text}\nplan = [\"v2:1000000:{info}\"]\n")).unwrap();
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    let binary = home.root().join("upgrades/v2/bin/mocknode");
    running.wait_until("the release", |_| Path::new(&binary).is_file());
    assert_eq!(home.current(), "genesis");
    running.stop();
    assert_eq!(versions(&home), 1);
}
