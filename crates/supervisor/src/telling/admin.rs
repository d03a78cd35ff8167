//! The admin address, `BATON_ADMIN_ADDRESS`: what the control socket tells, for those who may
//! only look.
//!
//! An address that is not free is no reason to keep a node down: it is told once and tried again.

use std::io;
use std::time::Duration;

use tokio::net::TcpListener;

use super::Telling;
use super::event::Event;

/// The first and the longest pause before the address is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// The address as the system takes it: `host:port`, also with the `tcp://` of Cosmos
/// configurations or the `http://` of URLs before it; without a host, on all of them.
pub(super) fn host_and_port(address: &str) -> String {
    let bare = ["tcp://", "http://"]
        .iter()
        .find_map(|scheme| address.strip_prefix(scheme))
        .unwrap_or(address);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    if bare.starts_with(':') {
        format!("0.0.0.0{bare}")
    } else {
        bare.to_owned()
    }
}

/// Binds the address, whenever that succeeds.
pub(super) async fn bind(address: &str, telling: &Telling) -> TcpListener {
    let bare = host_and_port(address);
    let (mut pause, longest) = PAUSES;
    let mut is_told = false;
    loop {
        match TcpListener::bind(&bare).await {
            Ok(listener) => {
                let bound = listener.local_addr().map(|a| a.to_string()).ok();
                tracing::info!(address = bound, "serving metrics and status");
                telling.update(|status| status.supervisor.admin_address = bound);
                return listener;
            }
            Err(error) if !is_told => {
                telling.tell(refused(address, &error));
                is_told = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = longest.min(pause * 2);
    }
}

fn refused(address: &str, error: &io::Error) -> Event {
    Event::Warning {
        text: format!("cannot listen on BATON_ADMIN_ADDRESS {address:?}: {error}"),
        what_to_do: format!(
            "free that port or choose another, as in 127.0.0.1:9464; it is tried again every {} s",
            PAUSES.1.as_secs()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_operators_write_them() {
        for (written, bare) in [
            ("127.0.0.1:9464", "127.0.0.1:9464"),
            (":9464", "0.0.0.0:9464"),
            ("tcp://0.0.0.0:26661", "0.0.0.0:26661"),
            ("http://localhost:9464/", "localhost:9464"),
            ("[::1]:9464", "[::1]:9464"),
        ] {
            assert_eq!(host_and_port(written), bare);
        }
    }
}
