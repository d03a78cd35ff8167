//! How long to wait before trying again.

use std::time::Duration;

/// A fraction from 0 to 1, different for every node and every call, so that nodes do not all dial at once.
fn chance() -> f64 {
    // without entropy all nodes would be in step, which is bad manners, not a fault
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}

/// The pause after so many failures in a row: twice as long each time from `first` to `longest`, a quarter more or less.
pub(crate) fn backoff(failures: u32, first: Duration, longest: Duration) -> Duration {
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(20));
    doubled.min(longest).mul_f64(0.75 + chance() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_vary() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(30));
        for (failures, base) in [(1, 1), (2, 2), (3, 4), (6, 30), (u32::MAX, 30)] {
            let base = Duration::from_secs(base);
            let pause = backoff(failures, first, longest);
            assert!(
                pause >= base.mul_f64(0.75) && pause <= base.mul_f64(1.25),
                "{failures}: {pause:?}"
            );
        }
        let pauses: std::collections::HashSet<_> =
            (0..10).map(|_| backoff(1, first, longest)).collect();
        assert!(pauses.len() > 1);
    }
}
