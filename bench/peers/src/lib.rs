//! What the trivial servers have in common: they note in a file when their `main` is entered and
//! when, as a predecessor, they know that the successor serves.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The variable that names the file.
pub const STAMPS: &str = "BENCH_STAMPS";

/// Nanoseconds of the monotonic clock, the same for all processes.
pub fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let time = Duration::new(
        now.tv_sec.cast_unsigned(),
        u32::try_from(now.tv_nsec).expect("under a second"),
    );
    u64::try_from(time.as_nanos()).expect("under 584 years")
}

/// Notes that this happened then: a line `nanoseconds pid what`.
pub fn stamp(at: u64, what: &str) {
    let Some(path) = std::env::var_os(STAMPS) else {
        return;
    };
    let line = format!("{at} {} {what}\n", std::process::id());
    let written = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(e) = written {
        eprintln!("writing {}: {e}", path.display());
    }
}

/// Gives back what comes.
pub async fn echo(mut stream: tokio::net::TcpStream) {
    let (mut read, mut write) = stream.split();
    // A client that goes away is no concern of the server's.
    let _ = tokio::io::copy(&mut read, &mut write).await;
}
