//! Fresh, by signal, by a file, by the control socket, by joining; and two that begin at once.

use baton_handover::control;
use baton_handover::report::{Began, Outcome};
use rustix::process::Signal;

use crate::harness::{Rules, Server, Traffic, gone, signal};

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_starts_the_next_generation() {
    let server = Server::example("echo").start().await;
    let traffic = Traffic::echo(server.address(), 3).await;
    for generation in 1..=3 {
        let before = server.said(generation).await;
        signal(before.pid, Signal::USR2);
        let after = server.said(generation + 1).await;
        assert_ne!(before.pid, after.pid);
        assert_eq!(before.address, after.address);
        gone(before.pid).await;
        server.serves(after.pid).await;
    }
    traffic.goes_on().await;
    traffic.stop().await.check(Rules::Unnoticed);
    server.logged(&["asked by", "SIGUSR2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_appears_starts_the_next_generation() {
    let server = Server::example("echo")
        .option("upgrade-on-file", "HOME/restart")
        .start()
        .await;
    let file = server.home().join("restart");
    for generation in 2..=3 {
        std::fs::write(&file, format!("{generation}")).unwrap();
        let said = server.said(generation).await;
        server.serves(said.pid).await;
    }
    server.logged(&["asked by", "the file", "restart"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_the_control_socket_gets_the_report() {
    let server = Server::example("echo").start().await;
    let first = server.said(1).await;
    for generation in 2..=6 {
        let report = server.upgrade().await.unwrap();
        assert_eq!(report.outcome, Outcome::HandedOver);
        assert_eq!(report.began, Began::Spawn);
        assert_eq!(report.to.generation, generation);
        // From the report on, whoever asks is led to the successor.
        let status = server.status().await.unwrap();
        assert_eq!((status.generation, status.pid), (generation, report.to.pid));
    }
    gone(first.pid).await;
    let found = control::generations(&server.control_dir()).await.unwrap();
    let current = found.iter().filter(|found| found.current).count();
    assert_eq!(current, 1, "{found:?}");
    assert!(found.iter().any(|found| found.generation == 6), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_comes_by_itself_takes_over() {
    let mut server = Server::example("echo").start().await;
    let first = server.said(1).await;
    let traffic = Traffic::echo(first.address, 3).await;
    let joins = server.launch(&[]);
    let second = server.said(2).await;
    assert_eq!(second.pid, joins);
    let ended = server.exit_status(first.pid).await;
    assert!(ended.success(), "{ended}");
    traffic.goes_on().await;
    traffic.stop().await.check(Rules::Unnoticed);
    server.logged(&["the successor came by itself"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_begin_at_once_one_takes_over_from_the_other() {
    let mut server = Server::example("echo").prepare();
    let both = [server.launch(&[]), server.launch(&[])];
    let first = server.said(1).await;
    let second = server.said(2).await;
    assert_ne!(first.pid, second.pid);
    assert!(both.contains(&first.pid) && both.contains(&second.pid));
    assert_eq!(first.address, second.address, "the one joins the other");
    let ended = server.exit_status(first.pid).await;
    assert!(ended.success(), "{ended}");
    server.serves(second.pid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_ends_and_the_next_begins_afresh() {
    let mut server = Server::example("echo").start().await;
    let first = server.said(1).await;
    signal(first.pid, Signal::TERM);
    assert!(server.exit_status(first.pid).await.success());
    assert!(server.status().await.is_err(), "nobody is left to ask");
    let again = server.launch(&[]);
    server.serves(again).await;
    let said = server.all_said();
    assert_eq!(said.last().unwrap().pid, again);
    assert!(!server.log().contains("warming up"), "nobody to take from");
}
