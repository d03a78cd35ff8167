//! An echo server that restarts itself with `shellflip`, on SIGUSR2. That library passes no
//! listeners, so each process has its own, as in its example.

use baton_bench_peers::{echo, now, stamp};
use shellflip::{RestartConfig, ShutdownCoordinator};
use tokio::net::TcpListener;
use tokio::signal::unix::SignalKind;

fn main() {
    let entered = now();
    stamp(entered, "main");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let socket = std::env::var_os("BENCH_SOCKET").expect("BENCH_SOCKET names a socket's path");
        let config = RestartConfig {
            enabled: true,
            coordination_socket_path: socket.into(),
            restart_signal: SignalKind::user_defined2(),
            ..RestartConfig::default()
        };
        let restart = config.try_into_restart_task().expect("a restart task");
        tokio::pin!(restart);
        stamp(now(), "serves");
        loop {
            tokio::select! {
                accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                    tokio::spawn(echo(stream));
                },
                restarted = &mut restart => {
                    match restarted {
                        Ok(_) => stamp(now(), "committed"),
                        Err(e) => stamp(now(), &format!("failed: {e}")),
                    }
                    ShutdownCoordinator::new().shutdown().await;
                    return;
                }
            }
        }
    });
}
