//! Running out. The limit of open files is the whole process's, so these run in a process of their own.

use std::net::TcpStream as StdStream;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

const INSIDE: &str = "BATON_TEST_SCARCITY";

/// Runs `body` in a copy of this test program that runs only the test `name`.
fn alone(name: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        body();
        return;
    }
    let status = Command::new(std::env::current_exe().expect("the test program"))
        .args([
            "--exact",
            &format!("listen::tests::scarcity::{name}"),
            "--nocapture",
        ])
        .env(INSIDE, "1")
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&status.stdout);
    assert!(
        status.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&status.stderr)
    );
    assert!(said.contains("1 passed"), "{said}");
}

fn with_runtime(body: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(body);
}

#[test]
fn without_descriptors_connections_wait_and_nothing_spins() {
    alone(
        "without_descriptors_connections_wait_and_nothing_spins",
        || {
            with_runtime(async {
                let (keeper, mut table) = fresh();
                keeper.set(Flow::Open);
                let mut listener = table.tcp("web", any_port()).expect("bound");
                let address = listener.local_addr().expect("an address");
                let client = StdStream::connect(address).expect("queued");
                let mut hoard = Vec::new();
                let used = crate::strays::open_descriptors().expect("counted");
                setrlimit(
                    Resource::Nofile,
                    Rlimit {
                        current: Some(used as u64 + 8),
                        ..getrlimit(Resource::Nofile)
                    },
                )
                .expect("lowered");
                while let Ok(file) = std::fs::File::open("/dev/null") {
                    hoard.push(file);
                }
                // The back-off survives a caller that gives up and asks again.
                for _ in 0..3 {
                    let waited =
                        tokio::time::timeout(Duration::from_millis(1), listener.accept()).await;
                    assert!(waited.is_err(), "no descriptor, no connection, no error");
                }
                hoard.clear();
                let (_stream, peer) = soon(listener.accept())
                    .await
                    .expect("no error")
                    .expect("open");
                assert_eq!(peer, client.local_addr().expect("an address"));
            });
        },
    );
}

#[test]
fn a_closing_gate_ends_the_wait_for_descriptors() {
    alone("a_closing_gate_ends_the_wait_for_descriptors", || {
        with_runtime(async {
            let (keeper, mut table) = fresh();
            keeper.set(Flow::Open);
            let mut listener = table.tcp("web", any_port()).expect("bound");
            let _client =
                StdStream::connect(listener.local_addr().expect("an address")).expect("queued");
            let mut hoard = Vec::new();
            while let Ok(file) = std::fs::File::open("/dev/null") {
                hoard.push(file);
            }
            let closing = async {
                tokio::task::yield_now().await;
                keeper.set(Flow::Closed);
            };
            let (accepted, ()) = soon(async { tokio::join!(listener.accept(), closing) }).await;
            assert!(accepted.expect("no error").is_none());
        });
    });
}

#[test]
fn hundreds_of_listeners_are_inherited() {
    alone("hundreds_of_listeners_are_inherited", || {
        with_runtime(async {
            crate::strays::ensure_headroom(2_000).expect("room for three copies of each");
            let (_old, mut table) = fresh();
            let listeners: Vec<_> = (0..600)
                .map(|number| {
                    table
                        .tcp(&format!("web-{number:03}"), any_port())
                        .expect("bound")
                })
                .collect();
            let (keeper, mut next) = successor(&table);
            keeper.set(Flow::Open);
            assert_eq!(next.unclaimed().len(), 600);
            for listener in &listeners {
                let address = listener.local_addr().expect("an address");
                let mut inherited = next.tcp(listener.name(), address).expect("inherited");
                let _client = StdStream::connect(address).expect("queued");
                soon(inherited.accept())
                    .await
                    .expect("no error")
                    .expect("open");
            }
            assert!(next.unclaimed().is_empty());
        });
    });
}
