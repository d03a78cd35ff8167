use std::os::unix::process::ExitStatusExt;

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

fn holder(limit: Duration) -> (tempfile::TempDir, Holder) {
    let temp = tempfile::tempdir().unwrap();
    let holder = Holder::new(temp.path().join("control")).unwrap();
    (temp, holder.timeout(limit))
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[tokio::test]
async fn what_cannot_be_started_or_does_not_serve_is_said() {
    let (_temp, holder) = holder(LIMIT);
    assert_eq!(holder.ended().await, None);
    let error = holder.start(Command::new("/no/such/file")).await;
    let error = error.unwrap_err();
    assert!(matches!(error, HolderError::Start { .. }), "{error}");
    let error = holder.start(shell("exit 7")).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("before it served: exit status: 7"), "{said}");
    let last = holder.ended().await.unwrap();
    assert_eq!(last.code(), Some(7));
    assert_eq!(holder.serving(), None);
}

#[tokio::test]
async fn a_process_that_never_serves_is_ended() {
    let (_temp, holder) = holder(Duration::from_millis(50));
    let starting = holder.clone();
    let started = tokio::spawn(async move { starting.start(shell("exec sleep 600")).await });
    let error = started.await.unwrap().unwrap_err();
    assert!(matches!(error, HolderError::Late { .. }), "{error}");
    let last = holder.ended().await.unwrap();
    assert_eq!(last.signal(), Some(9));
}

#[tokio::test]
async fn one_at_a_time() {
    let (_temp, holder) = holder(LIMIT);
    let alone = holder.alone().unwrap();
    let error = holder.replace(shell("exit 0")).await.unwrap_err();
    assert!(matches!(error, HolderError::Busy), "{error}");
    drop(alone);
    // Nobody is there to be replaced.
    let error = holder.replace(shell("exec sleep 600")).await.unwrap_err();
    assert!(matches!(error, HolderError::Control(_)), "{error}");
    assert!(holder.ended().await.is_some());
}

#[tokio::test]
async fn a_signal_to_nobody_is_an_error() {
    let (_temp, holder) = holder(LIMIT);
    let error = holder.signal(15).await.unwrap_err();
    assert_eq!(error.to_string(), "nobody serves");
}
