//! An instant as operators and machines read it: RFC 3339, to the millisecond, in UTC.
//!
//! One width for every instant, so that lines align and sort as text.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant, to the millisecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Timestamp);

impl Time {
    /// This instant.
    pub fn now() -> Self {
        Self::from(Timestamp::now())
    }

    /// How long after `earlier` it is; zero if it is before, as after a step of the clock.
    pub fn since(self, earlier: Self) -> Duration {
        let ms = self.0.as_millisecond() - earlier.0.as_millisecond();
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    }

    /// The instant `span` later; the last that can be told if there is none.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        self.0
            .checked_add(span)
            .map_or(Self(Timestamp::MAX), Self::from)
    }

    /// Seconds since the Unix epoch, as Prometheus counts time.
    pub fn unix_seconds(self) -> f64 {
        Duration::from_millis(u64::try_from(self.0.as_millisecond()).unwrap_or(0)).as_secs_f64()
    }

    /// To the minute, for what is only estimated: `2026-11-21 03:24 UTC`.
    pub fn to_the_minute(self) -> String {
        let text = self.to_string();
        format!("{} {} UTC", &text[..10], &text[11..16])
    }

    /// To the second, for people: `2026-11-21 03:24:05 UTC`.
    pub fn to_the_second(self) -> String {
        let text = self.to_string();
        format!("{} {} UTC", &text[..10], &text[11..19])
    }
}

impl From<Timestamp> for Time {
    fn from(exact: Timestamp) -> Self {
        let whole = Timestamp::from_millisecond(exact.as_millisecond());
        Self(whole.expect("an instant cut to its millisecond stays in range"))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Time {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Timestamp>().map(Self::from)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A [`Duration`] as whole milliseconds, for fields named `…_ms`.
pub mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes whole milliseconds.
    pub fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }

    /// Reads whole milliseconds.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

/// A [`Duration`] as whole microseconds, for fields named `…_us`.
pub mod micros {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes whole microseconds.
    pub fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
    }

    /// Reads whole microseconds.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instant_has_the_same_width() {
        for text in [
            "2026-11-21T03:24:05Z",
            "2026-11-21T03:24:05.1Z",
            "2026-11-21T05:24:05.123456789+02:00",
        ] {
            let time: Time = text.parse().unwrap();
            let json = serde_json::to_string(&time).unwrap();
            assert_eq!(json.len(), "\"2026-11-21T03:24:05.123Z\"".len(), "{json}");
            assert_eq!(serde_json::from_str::<Time>(&json).unwrap(), time);
        }
        assert!("yesterday".parse::<Time>().is_err());
    }

    #[test]
    fn a_clock_set_back_gives_no_negative_span() {
        let early: Time = "2026-11-21T03:24:05Z".parse().unwrap();
        let late = early.after(Duration::from_millis(1500));
        assert_eq!(late.since(early), Duration::from_millis(1500));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.after(Duration::MAX).0, Timestamp::MAX);
        assert_eq!(late.to_the_minute(), "2026-11-21 03:24 UTC");
    }
}
