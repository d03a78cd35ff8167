//! Without a fault nobody notices anything.

use baton_handover::report::Outcome;

use crate::harness::{Rules, Server, Traffic, gone};

#[tokio::test(flavor = "multi_thread")]
async fn a_handover_without_a_fault_goes_unnoticed() {
    let server = Server::example("echo").start().await;
    let traffic = Traffic::echo(server.address(), 4).await;
    let first = server.said(1).await;
    let report = server.upgrade().await.unwrap();
    assert_eq!(report.outcome, Outcome::HandedOver);
    let second = server.said(2).await;
    assert_eq!(report.to.pid, second.pid);
    server.serves(second.pid).await;
    traffic.goes_on().await;
    gone(first.pid).await;
    traffic.stop().await.check(Rules::Unnoticed);
}
