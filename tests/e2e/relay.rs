//! The relay: nodes that hand over to the next process, under load, with failures and crashes at every place.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::process::Signal;
use serde_json::Value;

use crate::plans::{events, practice, started, told};
use crate::support::{BATON, COSMOVISOR, Home, Running, Text, eventually, runs};

/// A node that hands over, with these settings beside.
fn relay(releases: &[&str], settings: &str) -> Home {
    practice(releases, &format!("handover = true\n{settings}"))
}

fn status(home: &Home) -> Value {
    let out = home.baton(&["status", "--json"]);
    serde_json::from_slice(&out.stdout).unwrap_or_default()
}

/// The node, once it has shown that it can hand over.
fn ready(home: &Home, running: &mut Running) -> i32 {
    running.wait_until("a node that can hand over", |_| {
        status(home)["node"]["hands_over"] == true
    });
    node(home)
}

fn node(home: &Home) -> i32 {
    let pid = status(home)["node"]["pid"].as_i64().unwrap_or_default();
    i32::try_from(pid).unwrap()
}

/// Where the node answers.
fn rpc(home: &Home) -> String {
    let text = fs::read_to_string(home.at("config/config.toml")).unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("laddr = \"tcp://"));
    line.unwrap_or_default().trim_end_matches('"').to_owned()
}

/// Clients that ask without a pause: half of them over one connection, half over a new one each time.
struct Load {
    over: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Result<Duration, String>>>,
}

impl Load {
    fn on(home: &Home) -> Self {
        let (over, answers) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let address = rpc(home);
        let clients = (0..6).map(|n| {
            let (over, answers, address) = (over.clone(), answers.clone(), address.clone());
            thread::spawn(move || ask(&address, n % 2 == 0, &over, &answers))
        });
        Self {
            clients: clients.collect(),
            over,
            answers,
        }
    }

    /// Waits until clients have been answered after this.
    fn goes_on(&self) {
        let before = self.answers.load(Ordering::Relaxed);
        eventually("answers", || {
            self.answers.load(Ordering::Relaxed) > before + 20
        });
    }

    /// The longest that any request took; panics if one failed.
    fn ends(self) -> Duration {
        self.over.store(true, Ordering::Relaxed);
        let ends = self
            .clients
            .into_iter()
            .map(|client| client.join().unwrap());
        ends.map(|end| end.unwrap()).max().unwrap()
    }
}

fn ask(
    address: &str,
    keep: bool,
    over: &AtomicBool,
    answers: &AtomicU64,
) -> Result<Duration, String> {
    let open = || {
        let stream = TcpStream::connect(address).map_err(|e| format!("connecting: {e}"))?;
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        Ok::<_, String>(BufReader::new(stream))
    };
    let mut kept = open()?;
    let mut longest = Duration::ZERO;
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        if !keep {
            kept = open()?;
        }
        request(&mut kept, keep).map_err(|e| format!("keep-alive {keep}: {e}"))?;
        longest = longest.max(begun.elapsed());
        answers.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(2));
    }
    Ok(longest)
}

fn request(stream: &mut BufReader<TcpStream>, keep: bool) -> Result<Value, String> {
    let text = |e: std::io::Error| e.to_string();
    let close = if keep { "" } else { "connection: close\r\n" };
    let head = format!("GET /status HTTP/1.1\r\nhost: x\r\n{close}\r\n");
    stream.get_mut().write_all(head.as_bytes()).map_err(text)?;
    let mut line = String::new();
    stream.read_line(&mut line).map_err(text)?;
    if !line.starts_with("HTTP/1.1 200") {
        return Err(format!("answered {line:?}"));
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).map_err(text)?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(|e| format!("{e}"))?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).map_err(text)?;
    serde_json::from_slice(&body).map_err(|e| e.to_string())
}

#[test]
fn a_reload_is_noticed_by_nobody() {
    let home = relay(&[], "");
    let mut running = home.spawn(BATON, &["run", "start"]);
    let mut pid = ready(&home, &mut running);
    let load = Load::on(&home);
    for n in 0..5 {
        load.goes_on();
        let out = home.baton(&["reload"]);
        assert_eq!(out.code(), Some(0), "{}", out.err());
        assert!(out.out().contains("reload: handed over"), "{}", out.out());
        let next = node(&home);
        assert_ne!(next, pid, "{n}");
        eventually("the old one's end", || !runs(pid));
        pid = next;
    }
    load.goes_on();
    let longest = load.ends();
    assert!(longest < Duration::from_secs(5), "{longest:?}");
    let now = status(&home);
    assert_eq!(now["node"]["generation"], 6);
    assert_eq!(now["last_change"]["how"], "handed-over");
    assert!(now["last_change"]["phases"].as_array().unwrap().len() > 3);
    assert_eq!(
        now["supervisor"]["pid"],
        running.pid(),
        "the main process stays"
    );
    let out = running.stop();
    assert_eq!(out.code(), Some(0), "{}", out.err());
    assert!(!runs(pid));
    assert_eq!(told(&home, "generation-ended").len(), 5);
}

#[test]
fn a_reload_can_be_rehearsed_and_one_that_fails_changes_nothing() {
    let home = relay(&[], "");
    let mut running = home.spawn(BATON, &["run", "start"]);
    let pid = ready(&home, &mut running);
    let load = Load::on(&home);
    let out = home.baton(&["reload", "--dry-run"]);
    assert_eq!(out.code(), Some(0), "{}", out.err());
    assert!(out.out().contains("could have taken over"), "{}", out.out());

    // A binary that cannot open the data, one that is none, one that ends at once.
    fs::create_dir(home.at("poisoned")).unwrap();
    let poisoned = home.at("poisoned/mocknode");
    let stamped = home.run(
        home.root().join("genesis/bin/mocknode").to_str().unwrap(),
        &["stamp", "poisoned", poisoned.to_str().unwrap()],
    );
    assert_eq!(stamped.code(), Some(0), "{}", stamped.err());
    let app = home.at("config/app.toml");
    let text = fs::read_to_string(&app).unwrap();
    fs::write(
        &app,
        format!("{text}\n[mock.version.poisoned]\npoison = 'open'\n"),
    )
    .unwrap();
    crate::support::write_script(&home.at("ends"), "exit 7");
    for (exec, says) in [
        ("poisoned/mocknode", "poisoned"),
        ("nowhere", "nowhere"),
        ("ends", "exit status 7"),
    ] {
        let exec = home.at(exec);
        let out = home.baton(&["reload", "--exec", exec.to_str().unwrap()]);
        assert_eq!(out.code(), Some(1), "{}", out.out());
        assert!(out.err().contains("serves as before"), "{}", out.err());
        assert!(out.err().contains(says), "{says}: {}", out.err());
        assert_eq!(node(&home), pid);
        load.goes_on();
    }
    load.ends();
    assert_eq!(told(&home, "handover-failed").len(), 3);
    assert_eq!(running.stop().code(), Some(0));
}

#[test]
fn an_upgrade_is_noticed_by_nobody() {
    let mut home = relay(&["upgrades/v2"], "plan = [\"v2:40\"]\nsst-every = 8");
    home.unset("UNSAFE_SKIP_BACKUP");
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    let pid = ready(&home, &mut running);
    let load = Load::on(&home);
    running.wait_until("the upgrade", |_| {
        told(&home, "upgrade-confirmed").len() == 1
    });
    load.goes_on();
    let longest = load.ends();
    assert!(longest < Duration::from_secs(5), "{longest:?}");
    eventually("the old one's end", || !runs(pid));

    let now = status(&home);
    assert_eq!(now["node"]["release"], "upgrades/v2");
    assert_eq!(now["last_upgrade"]["result"], "confirmed");
    assert_eq!(now["last_upgrade"]["how"], "handed-over");
    let steps: Vec<&str> = now["last_upgrade"]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert_eq!(steps, ["back-up", "switch", "pre-upgrade", "hand-over"]);
    assert_eq!(home.current(), "upgrades/v2");
    assert_eq!(events(&home, "applied").len(), 1);
    assert!(told(&home, "node-stopping").is_empty());
    assert!(told(&home, "node-exited").is_empty());

    // The node wrote its backup itself, which is one like any other.
    assert_eq!(now["backups"][0]["mode"], "snapshot");
    let backups = home.backups();
    assert_eq!(backups.len(), 1);
    let verified = home.baton(&["backup", "verify", &backups[0]]);
    assert_eq!(
        verified.code(),
        Some(0),
        "{}{}",
        verified.out(),
        verified.err()
    );
    running.stop();
    let restored = home.baton(&["rollback"]);
    assert_eq!(restored.code(), Some(0), "{}", restored.err());
    assert_eq!(home.current(), "genesis");
    let verify = home.run(
        home.root().join("genesis/bin/mocknode").to_str().unwrap(),
        &["verify"],
    );
    assert!(
        verify.out().contains("\"height\":40"),
        "{}{}",
        verify.out(),
        verify.err()
    );
}

#[test]
fn an_operator_s_plan_is_followed_by_a_node_that_does_not_halt() {
    let home = relay(&["upgrades/v2"], "");
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    ready(&home, &mut running);
    let load = Load::on(&home);
    // Height 30 is ahead; the node itself knows of no plan.
    let bin = home.root().join("upgrades/v2/bin/mocknode");
    let out = home.cosmovisor(&[
        "add-upgrade",
        "v2",
        bin.to_str().unwrap(),
        "--force",
        "--upgrade-height",
        "30",
    ]);
    assert_eq!(out.code(), Some(0), "{}", out.err());
    running.wait_until("the upgrade", |_| {
        told(&home, "upgrade-confirmed").len() == 1
    });
    load.ends();
    assert_eq!(status(&home)["node"]["release"], "upgrades/v2");
}

#[test]
fn a_successor_that_fails_leaves_the_old_node_answering_until_the_operator_has_mended_it() {
    for (poison, says) in [("open", "poisoned"), ("schema", "plans")] {
        let home = relay(
            &["upgrades/v2"],
            &format!("plan = [\"v2:20\"]\n[mock.version.v2]\npoison = '{poison}'"),
        );
        let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
        let pid = ready(&home, &mut running);
        let load = Load::on(&home);
        running.wait_until("the failure", |_| told(&home, "upgrade-stands").len() == 1);
        eventually("the link to be put back", || home.current() == "genesis");
        load.goes_on();
        let now = status(&home);
        assert_eq!(now["node"]["pid"], pid);
        assert_eq!(now["standing"]["step"], "hand-over");
        assert!(
            now["standing"]["error"].as_str().unwrap().contains(says),
            "{now}"
        );
        assert!(
            now["standing"]["what_to_do"]
                .as_str()
                .unwrap()
                .contains("baton retry")
        );
        let text = home.baton(&["status"]).out();
        assert!(
            text.starts_with("Upgrade v2 failed; genesis answers on"),
            "{text}"
        );
        // No hot loop: some polls later it was still tried once.
        let before = started(&home).len();
        load.goes_on();
        assert_eq!(started(&home).len(), before);
        assert_eq!(home.journal_stage(), "fetched");

        // Again in vain, then mended.
        assert_eq!(home.baton(&["retry"]).code(), Some(0));
        running.wait_until("the second failure", |_| {
            told(&home, "upgrade-stands").len() == 2
        });
        eventually("the link to be put back", || {
            home.current() == "genesis" && status(&home)["upgrade"].is_null()
        });
        let app = home.at("config/app.toml");
        let text = fs::read_to_string(&app).unwrap();
        fs::write(&app, text.replace(&format!("poison = '{poison}'"), "")).unwrap();
        eventually("a retry", || home.baton(&["retry"]).code() == Some(0));
        running.wait_until("the upgrade", |_| {
            told(&home, "upgrade-confirmed").len() == 1
        });
        load.goes_on();
        load.ends();
        assert_eq!(home.current(), "upgrades/v2");
        assert!(status(&home)["standing"].is_null());
        assert_eq!(running.stop().code(), Some(0));
    }
}

#[test]
fn an_upgrade_that_stands_can_be_made_by_stopping_or_by_the_next_supervisor() {
    for by_retry in [true, false] {
        let home = relay(
            &["upgrades/v2"],
            "plan = [\"v2:20\"]\n[mock.version.v2]\npoison = 'schema'",
        );
        let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
        ready(&home, &mut running);
        running.wait_until("the failure", |_| told(&home, "upgrade-stands").len() == 1);
        eventually("the link to be put back", || {
            home.current() == "genesis" && home.journal_stage() == "fetched"
        });
        // A node that begins alone takes over from nobody: the poison does not harm it.
        if by_retry {
            eventually("a retry", || {
                home.baton(&["retry", "--stop"]).code() == Some(0)
            });
        } else {
            assert_eq!(running.stop().code(), Some(0));
            running = home.spawn(COSMOVISOR, &["run", "start"]);
        }
        running.wait_until("the upgrade", |_| {
            told(&home, "upgrade-confirmed").len() == 1
        });
        assert_eq!(home.current(), "upgrades/v2");
        assert_eq!(status(&home)["last_upgrade"]["how"], "stopped-and-started");
        assert_eq!(running.stop().code(), Some(0));
    }
}

#[test]
fn a_new_binary_that_dies_after_it_has_taken_over_is_a_node_that_died() {
    let mut home = relay(
        &["upgrades/v2"],
        "plan = [\"v2:20\"]\n[mock.version.v2]\npoison = 'die'",
    );
    home.set("BATON_RESTART", "on-failure");
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    let pid = ready(&home, &mut running);
    running.wait_until("the upgrade", |_| {
        told(&home, "upgrade-confirmed").len() == 1
    });
    eventually("the old one's end", || !runs(pid));
    assert_eq!(home.current(), "upgrades/v2");
    assert_eq!(events(&home, "applied").len(), 1);
    assert_eq!(running.stop().code(), Some(0));
}

#[test]
fn without_a_snapshot_or_when_told_so_a_node_is_stopped_as_ever() {
    // What is off, and what the operator set against it.
    let mut home = relay(&["upgrades/v2"], "plan = [\"v2:20\"]");
    home.set("BATON_RELAY", "off");
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    running.wait_until("the upgrade", |_| {
        told(&home, "upgrade-confirmed").len() == 1
    });
    let now = status(&home);
    assert_eq!(now["last_upgrade"]["how"], "stopped-and-started");
    assert_eq!(now["node"]["hands_over"], false);
    let refused = home.baton(&["reload", "--handover-only"]);
    assert_eq!(refused.code(), Some(1));
    assert!(
        refused.err().contains("cannot hand over"),
        "{}",
        refused.err()
    );
    running.stop();
}

#[test]
fn a_node_that_cannot_hand_over_is_stopped_and_started() {
    let home = practice(&[], "");
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    running.wait_until("the node", |_| status(&home)["node"]["state"] == "running");
    let pid = node(&home);
    let refused = home.baton(&["reload", "--dry-run"]);
    assert_eq!(refused.code(), Some(1), "{}", refused.out());
    let out = home.baton(&["reload"]);
    assert_eq!(out.code(), Some(0), "{}", out.err());
    assert!(
        out.out().contains("reload: stopped and started"),
        "{}",
        out.out()
    );
    assert_ne!(node(&home), pid);
    assert_eq!(status(&home)["last_change"]["how"], "stopped-and-started");
    assert!(running.is_running());
    assert_eq!(running.stop().code(), Some(0));
}

/// A supervisor that is killed at this place, the next one, and what came of it.
fn killed_at(place: &str, settings: &str) -> (Home, Running) {
    let mut home = relay(&["upgrades/v2"], settings);
    home.unset("UNSAFE_SKIP_BACKUP");
    home.set("FAILPOINTS", &format!("supervisor::{place}=return"));
    let first = home.spawn(COSMOVISOR, &["run", "start"]);
    let killed = first.end();
    assert_eq!(killed.code(), None, "{place}: {}", killed.err());
    home.unset("FAILPOINTS");
    let next = home.spawn(COSMOVISOR, &["run", "start"]);
    (home, next)
}

#[test]
fn a_supervisor_that_is_killed_at_any_arrow_of_a_relay_is_followed_by_one_that_goes_on() {
    for place in [
        "due",
        "backed-up",
        "switched",
        "prepared",
        "introducing",
        "taken-over",
        "started",
    ] {
        let (home, mut next) = killed_at(place, "plan = [\"v2:30\"]\nsst-every = 8");
        next.wait_until(place, |_| told(&home, "upgrade-confirmed").len() == 1);
        assert_eq!(home.current(), "upgrades/v2", "{place}");
        assert_eq!(events(&home, "applied").len(), 1, "{place}");
        assert_eq!(home.backups().len(), 1, "{place}: {:?}", home.backups());
        assert_eq!(told(&home, "node-found").len(), 1, "{place}");
        assert!(told(&home, "node-stopping").is_empty(), "{place}");
        assert_eq!(status(&home)["last_upgrade"]["result"], "confirmed");
        let pid = node(&home);
        let out = next.stop();
        assert_eq!(out.code(), Some(0), "{place}: {}", out.err());
        assert!(!runs(pid), "{place}");
    }
}

#[test]
fn a_node_outlives_its_supervisor_and_the_next_one_goes_on_with_it() {
    let home = relay(&[], "");
    let mut first = home.spawn(BATON, &["run", "start"]);
    let pid = ready(&home, &mut first);
    let load = Load::on(&home);
    first.kill();
    load.goes_on();
    let mut next = home.spawn(BATON, &["run", "start"]);
    next.wait_until("the node", |_| told(&home, "node-found").len() == 1);
    assert_eq!(node(&home), pid);
    let out = home.baton(&["reload"]);
    assert_eq!(out.code(), Some(0), "{}", out.err());
    load.goes_on();
    load.ends();
    eventually("the old one's end", || !runs(pid));
    let pid = node(&home);
    next.signal(Signal::TERM);
    assert_eq!(next.end().code(), Some(0));
    assert!(!runs(pid));

    // One that was started with other arguments is ended.
    let mut first = home.spawn(BATON, &["run", "start"]);
    let pid = ready(&home, &mut first);
    first.kill();
    let mut next = home.spawn(BATON, &["run", "start", "--block-time", "30ms"]);
    next.wait_until("another node", |_| ![0, pid].contains(&node(&home)));
    assert!(!runs(pid));
    assert_eq!(told(&home, "node-found").len(), 1);
    next.stop();
}

#[test]
fn a_node_that_dies_beside_its_upgrade_is_upgraded_as_one_that_ended() {
    let mut home = relay(&["upgrades/v2"], "plan = [\"v2:20\"]");
    home.set("COSMOVISOR_CUSTOM_PREUPGRADE", "custom.sh");
    crate::support::write_script(
        &home.root().join("custom.sh"),
        "touch $DAEMON_HOME/custom; while test -e $DAEMON_HOME/custom; do sleep 0.01; done",
    );
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    let pid = ready(&home, &mut running);
    eventually("the script", || home.at("custom").exists());
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(killed.unwrap().success());
    running.wait_until("the death", |_| told(&home, "node-exited").len() == 1);
    fs::remove_file(home.at("custom")).unwrap();
    running.wait_until("the upgrade", |_| {
        told(&home, "upgrade-confirmed").len() == 1
    });
    assert_eq!(home.current(), "upgrades/v2");
    assert_eq!(running.stop().code(), Some(0));
}

#[test]
fn a_node_that_hands_over_by_itself_is_followed() {
    let home = relay(&[], "");
    let mut running = home.spawn(COSMOVISOR, &["run", "start"]);
    let pid = ready(&home, &mut running);
    let load = Load::on(&home);
    running.signal(Signal::USR2);
    running.wait_until("the next process", |_| told(&home, "node-found").len() == 1);
    load.goes_on();
    load.ends();
    assert!(!runs(pid));
    let next = node(&home);
    assert_ne!(next, pid);
    assert_eq!(running.stop().code(), Some(0));
    assert!(!runs(next));
}
