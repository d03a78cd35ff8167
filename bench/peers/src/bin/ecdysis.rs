//! An echo server that hands its listener over with `ecdysis`, on SIGUSR2.

use baton_bench_peers::{echo, now, stamp};
use ecdysis::Ecdysis;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

fn main() {
    let entered = now();
    stamp(entered, "main");
    let mut ecdysis = Ecdysis::new();
    let address = "127.0.0.1:0".parse().expect("an address");
    let listener = ecdysis.listen_tcp(address).expect("a listener");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async move {
        let mut asked = signal(SignalKind::user_defined2()).expect("a signal");
        listener.set_nonblocking(true).expect("a socket");
        let listener = TcpListener::from_std(listener).expect("a listener");
        ecdysis.ready().expect("telling that it is ready");
        stamp(now(), "serves");
        let ecdysis = std::sync::Arc::new(ecdysis);
        loop {
            tokio::select! {
                accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                    tokio::spawn(echo(stream));
                },
                _ = asked.recv() => {
                    let ecdysis = ecdysis.clone();
                    let upgraded = tokio::task::spawn_blocking(move || {
                        let begun = now();
                        let upgraded = ecdysis.upgrade();
                        stamp(begun, "begins");
                        upgraded.inspect(|()| stamp(now(), "committed"))
                    });
                    match upgraded.await.expect("the upgrade does not panic") {
                        Ok(()) => return,
                        Err(e) => stamp(now(), &format!("failed: {e}")),
                    }
                }
            }
        }
    });
}
