//! Is somebody there to make the upgrade, and can they see the chain?

use super::Findings;
use super::facts::Home;

/// The clock of a machine that has just been built says less than this: 2025.
const PLAUSIBLE_S: i64 = 1_735_689_600;
/// By so much may a file be ahead of the clock, in seconds.
const AHEAD_S: i64 = 60;

pub(super) fn judge(home: &Home, findings: &mut Findings) {
    supervisor(home, findings);
    height(home, findings);
    clock(home, findings);
}

fn supervisor(home: &Home, findings: &mut Findings) {
    match (home.supervisor, home.left_behind) {
        (Some(pid), _) => findings.ok("supervisor", format!("running, pid {pid}")),
        (None, Some(pid)) => findings.fail(
            "supervisor",
            format!("its supervisor was killed and the node (pid {pid}) runs without one"),
            "start the supervisor: it ends that node and starts it anew",
        ),
        (None, None) => findings.warn(
            "supervisor",
            "none is running on this home, so nobody would make the upgrade",
            "start it with `baton run start`, or see that its service is enabled",
        ),
    }
}

fn height(home: &Home, findings: &mut Findings) {
    let runs = home.supervisor.is_some() || home.left_behind.is_some();
    match &home.height {
        Ok((height, source)) => findings.ok("height", format!("{height}, from {source}")),
        Err(why) if runs => findings.fail(
            "height",
            format!("nobody tells where the chain is, so an upgrade at a given height cannot be seen to be due: {why}"),
            "while the node is starting, look again later; else set BATON_RPC_ADDRESS to the node's RPC (rpc.laddr in its config.toml)",
        ),
        Err(_) => findings.ok("height", "not known, as no node answers"),
    }
}

fn clock(home: &Home, findings: &mut Findings) {
    let behind = home.newest_s.map_or(0, |newest| newest - home.now_s);
    if home.now_s < PLAUSIBLE_S {
        findings.fail(
            "clock",
            "this machine's clock is years behind: downloads fail, as no certificate is valid yet",
            "set the clock, and let it be kept (timedatectl set-ntp true)",
        );
    } else if behind > AHEAD_S {
        findings.warn(
            "clock",
            format!("this machine's clock was set back: files here are {behind} s ahead of it"),
            "set the clock, and let it be kept (timedatectl set-ntp true)",
        );
    } else {
        findings.ok("clock", "plausible");
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Home as Given, assert_fails, assert_oks, assert_warns};
    use super::*;

    #[test]
    fn somebody_must_be_there() {
        let mut home = Given::good();
        home.supervisor = None;
        home.height = Err("connection refused".to_owned());
        assert_warns(&home.facts(), "supervisor", "none is running");
        assert_oks(&home.facts(), "height", "no node answers");
        home.left_behind = Some(42);
        assert_fails(&home.facts(), "supervisor", "pid 42");
        assert_fails(&home.facts(), "height", "connection refused");
    }

    #[test]
    fn the_clock_must_be_plausible() {
        let mut home = Given::good();
        home.newest_s = Some(home.now_s + AHEAD_S + 1);
        assert_warns(&home.facts(), "clock", "61 s ahead");
        home.now_s = 0;
        assert_fails(&home.facts(), "clock", "years behind");
    }
}
