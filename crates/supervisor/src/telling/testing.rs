//! What several of these tests need.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::event::Event;
use super::outlet::Line;
use super::status::Supervisor;
use super::time::Time;

/// The longest that a test waits for something that must come.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn supervisor() -> Supervisor {
    Supervisor {
        pid: std::process::id(),
        version: "0.1.0".into(),
        since: Time::now(),
        home: "/home/val/.simd".into(),
        name: "simd".into(),
        admin_address: None,
        config: BTreeMap::new(),
    }
}

pub(super) fn line(seq: u64) -> Arc<Line> {
    Arc::new(Line {
        seq,
        kind: "warning".into(),
        json: format!(r#"{{"seq":{seq}}}"#),
    })
}

pub(super) fn warning(text: &str) -> Event {
    Event::Warning {
        text: text.into(),
        what_to_do: "nothing".into(),
    }
}

/// An executable script. Another process writes it: while this one has it open for writing, a
/// process that some other test forks at that moment would inherit that, and nobody could run it.
pub(super) fn script(dir: &Path, body: &str) -> PathBuf {
    let path = dir.join("hook.sh");
    let mut writer = Command::new("sh")
        .args(["-c", r#"cat >"$0" && chmod 755 "$0""#])
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = writer.stdin.take().unwrap();
    write!(stdin, "#!/bin/sh\n{body}\n").unwrap();
    drop(stdin);
    assert!(writer.wait().unwrap().success());
    path
}

/// Waits until `check` gives something.
pub(super) async fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Is there such a process, and not just its remains?
pub(super) fn is_alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.rsplit_once(") ").unwrap().1.starts_with(['Z', 'X']))
}
