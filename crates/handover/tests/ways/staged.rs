//! Staged: the predecessor sleeps after the commit, and can be woken.

use baton_handover::control::{self, UpgradeRequest};
use rustix::process::Signal;

use crate::harness::{Http, Server, gone, signal};

#[tokio::test(flavor = "multi_thread")]
async fn the_predecessor_sleeps_until_it_is_let_go() {
    let server = Server::example("web").option("staged", "yes").start().await;
    let mut client = Http::connect(server.address()).await.unwrap();
    let report = server.upgrade().await.unwrap();
    assert!(report.staged);
    assert!(client.get("/").await.unwrap().body.contains("generation 2"));
    let found = control::generations(&server.control_dir()).await.unwrap();
    let phases: Vec<_> = found
        .iter()
        .map(|found| {
            found
                .status
                .as_ref()
                .unwrap()
                .as_ref()
                .unwrap()
                .phase
                .clone()
        })
        .collect();
    assert_eq!(phases, ["asleep", "serving"]);
    // No further one before this is settled.
    signal(report.from.pid, Signal::TERM);
    gone(report.from.pid).await;
    assert!(client.get("/").await.unwrap().body.contains("generation 2"));
    server.upgrade().await.unwrap();
    assert!(client.get("/").await.unwrap().body.contains("generation 3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_rolls_back_and_the_successor_goes() {
    let server = Server::example("web").start().await;
    let staged = UpgradeRequest {
        staged: true,
        ..UpgradeRequest::default()
    };
    let report = server.upgrade_as(staged.clone()).await.unwrap();
    // One that serves has nothing to go back to.
    let refused = control::roll_back(&server.control_dir(), 2)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("does not sleep"), "{refused}");
    control::roll_back(&server.control_dir(), 1).await.unwrap();
    signal(report.to.pid, Signal::TERM);
    gone(report.to.pid).await;
    server.serves(report.from.pid).await;
    let mut client = Http::connect(server.address()).await.unwrap();
    assert!(client.get("/").await.unwrap().body.contains("generation 1"));
    let report = server.upgrade_as(staged).await.unwrap();
    assert!(client.get("/").await.unwrap().body.contains("generation 2"));
    signal(report.to.pid, Signal::KILL);
    // Nobody asked: it wakes because the successor is gone.
    server.serves(report.from.pid).await;
    let mut client = Http::connect(server.address()).await.unwrap();
    assert!(client.get("/").await.unwrap().body.contains("generation 1"));
}
