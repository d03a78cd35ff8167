use std::fs;
use std::path::Path;

use tokio::sync::watch;

use super::*;
use crate::telling::status::Status;
use crate::telling::testing::{PATIENCE, eventually, is_alive, line, script, supervisor};

fn hook(dir: &Path, body: &str) -> Hook {
    Hook {
        path: script(dir, body),
        dir: dir.to_owned(),
        limit: PATIENCE,
    }
}

fn metrics() -> Metrics {
    let (_, status) = watch::channel(Status::new(supervisor()));
    Metrics::new(status, Vec::new())
}

#[tokio::test]
async fn it_is_given_kind_and_record_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let hook = hook(dir.path(), r#"echo "$1 $# $(cat)" >>told; pwd >>told"#);
    let (to, lines) = mpsc::channel(8);
    for seq in 1..=3 {
        to.try_send(line(seq)).unwrap();
    }
    drop(to);
    let metrics = metrics();
    run(hook, lines, metrics.clone()).await;
    let told = fs::read_to_string(dir.path().join("told")).unwrap();
    let here = dir.path().canonicalize().unwrap();
    let expected = (1..=3).flat_map(|seq| {
        let told = format!("warning 1 {{\"seq\":{seq}}}");
        [told, here.display().to_string()]
    });
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        expected.collect::<Vec<_>>()
    );
    assert!(
        metrics
            .render()
            .contains(r#"baton_hook_runs_total{result="ok"} 3"#)
    );
}

#[tokio::test]
async fn a_failure_says_how_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let hook = hook(dir.path(), "echo to the log; echo oh no >&2; exit 3");
    let (outcome, output) = hook.run_once(&line(1)).await;
    let error = outcome.unwrap_err();
    assert!(
        error.to_string().ends_with("hook.sh exited with code 3"),
        "{error}"
    );
    assert_eq!(error.result(), "failed");
    assert_eq!(output.out.text().as_deref(), Some("to the log"));
    assert_eq!(output.err.text().as_deref(), Some("oh no"));
}

#[tokio::test]
async fn what_cannot_be_run_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let mut hook = Hook {
        path: dir.path().join("none"),
        dir: dir.path().to_owned(),
        limit: PATIENCE,
    };
    let error = hook.run_once(&line(1)).await.0.unwrap_err().to_string();
    assert!(
        error.contains("none: No such file") && error.contains("is the path right"),
        "{error}"
    );
    hook.path = dir.path().join("plain");
    fs::write(&hook.path, "#!/bin/sh\n").unwrap();
    let error = hook.run_once(&line(1)).await.0.unwrap_err().to_string();
    assert!(error.contains("chmod +x"), "{error}");
}

#[tokio::test]
async fn one_that_hangs_is_killed_with_all_that_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let mut hook = hook(
        dir.path(),
        "sleep 1000 & echo $! >child; echo $$ >own; wait",
    );
    hook.limit = Duration::from_secs(3);
    let error = hook.run_once(&line(1)).await.0.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("not done within 3s and was killed"),
        "{error}"
    );
    assert_eq!(error.result(), "timed-out");
    for file in ["own", "child"] {
        let pid = fs::read_to_string(dir.path().join(file)).unwrap();
        eventually("its end", || (!is_alive(&pid)).then_some(())).await;
    }
}

#[tokio::test]
async fn one_whose_supervisor_ends_is_killed_too() {
    let dir = tempfile::tempdir().unwrap();
    let hook = hook(
        dir.path(),
        "echo $$ >own.new; mv own.new own; exec sleep 1000",
    );
    let task = tokio::spawn(async move { hook.run_once(&line(1)).await.0 });
    let pid = eventually("its start", || {
        fs::read_to_string(dir.path().join("own")).ok()
    })
    .await;
    assert!(is_alive(&pid));
    task.abort();
    eventually("its end", || (!is_alive(&pid)).then_some(())).await;
}

#[tokio::test]
async fn one_that_floods_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let hook = hook(dir.path(), "exec yes");
    let (outcome, output) = hook.run_once(&line(1)).await;
    let error = outcome.unwrap_err().to_string();
    assert!(error.ends_with("was ended by SIGPIPE"), "{error}");
    assert_eq!(output.out.head.len(), LOGGED_BYTES);
    assert!((TAKEN_BYTES..2 * TAKEN_BYTES).contains(&(output.out.more + LOGGED_BYTES as u64)));
}

#[tokio::test]
async fn one_that_says_much_is_heard_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let hook = hook(
        dir.path(),
        "head -c 100000 /dev/zero | tr '\\0' x; echo said >&2",
    );
    let (outcome, output) = hook.run_once(&line(1)).await;
    outcome.unwrap();
    assert_eq!(output.out.head, vec![b'x'; LOGGED_BYTES]);
    assert_eq!(output.out.more, 100_000 - LOGGED_BYTES as u64);
    assert_eq!(output.err.text().as_deref(), Some("said"));
}

#[tokio::test]
async fn what_it_leaves_running_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    // It keeps the hook's output open.
    let hook = hook(dir.path(), "sleep 1000 & echo $! >child; echo done");
    let (outcome, output) = hook.run_once(&line(1)).await;
    outcome.unwrap();
    assert_eq!(output.out.text().as_deref(), Some("done"));
    let pid = fs::read_to_string(dir.path().join("child")).unwrap();
    assert!(is_alive(&pid));
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
}

#[tokio::test]
async fn one_that_reads_nothing_is_fine() {
    let dir = tempfile::tempdir().unwrap();
    let hook = hook(dir.path(), "exec <&-; exit 0");
    let long = Arc::new(Line {
        seq: 1,
        kind: "warning".into(),
        json: "x".repeat(1 << 20),
    });
    hook.run_once(&long).await.0.unwrap();
}
