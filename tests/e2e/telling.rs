//! What the operator is told: status, events, hooks, metrics, systemd.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::plans::practice;
use crate::support::{BATON, COSMOVISOR, Home, Text, eventually, write_script};

fn status(home: &Home) -> serde_json::Value {
    let out = home.baton(&["status", "--json"]);
    serde_json::from_slice(&out.stdout).unwrap_or_default()
}

#[test]
fn status_tells_of_a_running_node_and_of_one_that_ran() {
    let home = practice(&[], "plan = [\"v2:100000\"]");
    let out = home.baton(&["status"]);
    assert_eq!(out.code(), Some(1));
    assert!(
        out.out().contains("o supervisor is running"),
        "{}",
        out.out()
    );

    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    running.wait_until("a height", |_| {
        status(&home)["node"]["height"].as_u64() > Some(0)
    });
    let now = status(&home);
    assert_eq!(now["node"]["state"], "running");
    assert_eq!(now["node"]["release"], "genesis");
    assert_eq!(now["node"]["height_source"], "rpc");
    assert_eq!(now["supervisor"]["pid"], running.pid());
    let text = home.baton(&["status"]);
    assert_eq!(text.code(), Some(0));
    assert!(text.out().contains("genesis"), "{}", text.out());
    running.stop();

    let out = home.baton(&["status"]);
    assert_eq!(out.code(), Some(1));
    assert!(out.out().contains("exited with code 0"), "{}", out.out());
}

#[test]
fn events_are_followed_live_and_read_afterwards() {
    let home = practice(&["upgrades/v2"], "plan = [\"v2:20\"]");
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    let mut follower = home.spawn(BATON, &["events", "--follow"]);
    follower.wait_for_stdout("upgrade-confirmed");
    assert!(running.is_running());
    running.stop();
    drop(follower);
    let all = home.baton(&["events", "--json"]);
    let kinds: Vec<String> = all
        .out()
        .lines()
        .map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            event["kind"].as_str().unwrap().to_owned()
        })
        .collect();
    for kind in [
        "supervisor-started",
        "node-started",
        "plan-seen",
        "upgrade-started",
        "node-exited",
        "upgrade-step",
        "upgrade-confirmed",
        "supervisor-stopped",
    ] {
        assert!(kinds.iter().any(|k| k == kind), "{kind} in {kinds:?}");
    }
    let last = home.baton(&["events", "-n", "1"]);
    assert!(last.out().contains("supervisor-stopped"), "{}", last.out());
}

#[test]
fn the_hook_gets_each_event_and_never_holds_up_an_upgrade() {
    let mut home = practice(&["upgrades/v2"], "plan = [\"v2:12\"]");
    let hook = home.at("hook.sh");
    write_script(
        &hook,
        "cat >> $DAEMON_HOME/hooked; case $1 in upgrade-started) sleep 600;; esac",
    );
    home.set("BATON_HOOK", hook.to_str().unwrap());
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    running.wait_until("v2", |_| home.current() == "upgrades/v2");
    let hooked = || fs::read_to_string(home.at("hooked")).unwrap_or_default();
    running.wait_until("the hook", |_| hooked().contains("\"upgrade-started\""));
    assert!(hooked().contains("\"node-started\""), "{}", hooked());
    // A node that is only just starting does not handle TERM yet.
    running.wait_until("v2 serves", |r| {
        r.stdout().matches("serving RPC").count() == 2
    });
    let out = running.stop();
    assert_eq!(
        out.code(),
        Some(0),
        "a hanging hook is ended with the supervisor"
    );
}

#[test]
fn metrics_and_health_are_served_on_the_admin_address() {
    let mut home = practice(&[], "");
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    home.set("BATON_ADMIN_ADDRESS", &format!("127.0.0.1:{port}"));
    let running = home.spawn(COSMOVISOR, &["run", "start"]);
    let get = |path: &str| -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .ok()?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    };
    eventually("the admin address", || {
        get("/readyz").is_some_and(|a| a.starts_with("HTTP/1.1 200"))
    });
    let metrics = get("/metrics").unwrap();
    assert!(metrics.contains("baton_node_up 1"), "{metrics}");
    assert!(get("/status").unwrap().contains("\"node\""));
    running.stop();
}

#[test]
fn systemd_is_told_ready_and_stopping() {
    let mut home = practice(&[], "");
    let path = home.at("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    home.set("NOTIFY_SOCKET", path.to_str().unwrap());
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    running.wait_for_stdout("serving RPC");
    let mut heard = String::new();
    let mut hear = |what: &str| {
        let mut buffer = [0; 4096];
        while !heard.contains(what) {
            let length = socket.recv(&mut buffer).expect(what);
            heard.push_str(&String::from_utf8_lossy(&buffer[..length]));
            heard.push('\n');
        }
    };
    hear("READY=1");
    hear("STATUS=running genesis");
    running.signal(rustix::process::Signal::TERM);
    hear("STOPPING=1");
    assert_eq!(running.end().code(), Some(0));
}
