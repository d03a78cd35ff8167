//! Many handovers in a row leave nothing behind.

use baton_handover::control::UpgradeRequest;
use baton_handover::report::Outcome;

use crate::harness::{Rules, Server, Traffic, descriptors, gone, memory};

#[tokio::test(flavor = "multi_thread")]
async fn fifty_handovers_leave_nothing_behind() {
    let server = Server::example("echo")
        .option("boundary-ms", 2000)
        .start()
        .await;
    let traffic = Traffic::echo(server.address(), 4).await;
    let mut last = server.said(1).await.pid;
    let mut counts = Vec::new();
    let mut sizes = Vec::new();
    for generation in 2..=51 {
        let report = server.upgrade().await.unwrap();
        assert_eq!(report.outcome, Outcome::HandedOver);
        assert_eq!(report.to.generation, generation);
        gone(last).await;
        last = report.to.pid;
        server.said(generation).await;
        traffic.goes_on().await;
        counts.push(open(&server, last).await);
        sizes.push(memory(last));
    }
    // The second generation has all that a successor has; the last has no more.
    assert_eq!(counts.first(), counts.last(), "{counts:?}");
    let (early, late) = (sizes[..10].iter().max(), sizes[40..].iter().max());
    assert!(
        late.unwrap() * 4 <= early.unwrap() * 5,
        "memory in KiB: {sizes:?}"
    );
    let tally = traffic.stop().await;
    tally.check(Rules::Unnoticed);
    // One socket, one link, one lock.
    let left: Vec<_> = std::fs::read_dir(server.control_dir()).unwrap().collect();
    assert!(left.len() <= 3, "{left:?}");
    assert_eq!(server.processes(), [last]);
}

/// How many descriptors are open for good: those of connections that come and go are left out.
async fn open(server: &Server, pid: u32) -> usize {
    let kinds = |target: &String| !target.starts_with("socket:");
    let mut count = 0;
    // Until two looks in a row see the same: a client may just be asking for something.
    server
        .wait("a steady number of descriptors", || {
            let now = descriptors(pid)
                .iter()
                .filter(|target| kinds(target))
                .count();
            (std::mem::replace(&mut count, now) == now).then_some(now)
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_failures_leave_nothing_behind() {
    let server = Server::example("stateful")
        .option("lock", "HOME/lock")
        .option("bytes", 100_000)
        .start()
        .await;
    let first = server.said(1).await.pid;
    let rehearsal = UpgradeRequest {
        dry_run: true,
        ..UpgradeRequest::default()
    };
    let mut counts = Vec::new();
    for round in 0..20 {
        let request = match round % 4 {
            0 => rehearsal.clone(),
            1 => server.request("handover::successor::warm=panic", &[]),
            2 => server.request("handover::successor::pledged=panic", &[]),
            _ => server.request("", &["--name", "another"]),
        };
        let report = server.upgrade_as(request).await.unwrap();
        assert_ne!(report.outcome, Outcome::HandedOver);
        gone(report.to.pid).await;
        server.serves(first).await;
        // The last successor's process is reaped, its channel closed, its memory files gone.
        let count = server
            .wait("no channel is left", || {
                let open = descriptors(first);
                let memory = open.iter().any(|target| target.contains("memfd"));
                let pidfds = open.iter().any(|target| target.contains("pidfd"));
                (!memory && !pidfds).then_some(open.len())
            })
            .await;
        counts.push(count);
    }
    let sockets = |counts: &[usize]| counts.iter().min().copied();
    assert_eq!(sockets(&counts[..4]), sockets(&counts[16..]), "{counts:?}");
    assert_eq!(server.processes(), [first]);
}
