//! The fault points of the driver, for the crash tests.

use fail::fail_point;

/// Dies as a power cut would, for the crash tests.
#[cfg(feature = "failpoints")]
pub(super) fn crash() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}

/// The fault points after each stage, recorded or with nothing to record: `supervisor::<stage>`.
#[allow(
    clippy::match_same_arms,
    reason = "without fault points each arm is nothing"
)]
pub(super) fn crash_after(stage: crate::upgrade::Stage) {
    use crate::upgrade::Stage as S;
    match stage {
        S::Due => fail_point!("supervisor::due", |_| crash()),
        S::Stopped => fail_point!("supervisor::stopped", |_| crash()),
        S::BackedUp => fail_point!("supervisor::backed-up", |_| crash()),
        S::CustomDone => fail_point!("supervisor::custom-done", |_| crash()),
        S::Fetched => fail_point!("supervisor::fetched", |_| crash()),
        S::Switched => fail_point!("supervisor::switched", |_| crash()),
        S::Prepared => fail_point!("supervisor::prepared", |_| crash()),
        S::Started => fail_point!("supervisor::started", |_| crash()),
        S::Confirmed => fail_point!("supervisor::confirmed", |_| crash()),
        S::RollingBack => fail_point!("supervisor::rolling-back", |_| crash()),
        S::DataRestored => fail_point!("supervisor::data-restored", |_| crash()),
        S::RolledBack => fail_point!("supervisor::rolled-back", |_| crash()),
    }
}
