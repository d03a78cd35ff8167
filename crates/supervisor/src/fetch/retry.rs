//! What an answer of a web server means for a download, and when to ask again. Pure.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{
    CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, RETRY_AFTER,
};
use serde::{Deserialize, Serialize};

use super::run::Limits;

/// What to do with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The body is the artefact from its first byte.
    Whole,
    /// The body continues where we are; the artefact has `total` bytes, if known.
    Rest { total: Option<u64> },
    /// We have all of it.
    Complete,
    /// What we have is of no use with this answer: ask again from the first byte.
    StartOver,
    /// Ask again later.
    Later { after: Option<Duration> },
    /// Asking again is useless.
    Refused,
}

/// By what a server tells one state of a file from another (RFC 9110 §8.8).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Validators {
    /// A strong entity tag.
    pub(super) etag: Option<String>,
    /// The date of the last change, as the server writes it.
    pub(super) last_modified: Option<String>,
}

impl Validators {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| {
            let value = headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        Self {
            // A weak tag says "means the same", not "is the same byte for byte".
            etag: text(ETAG).filter(|tag| !tag.starts_with("W/")),
            last_modified: text(LAST_MODIFIED),
        }
    }

    /// The value for `If-Range`.
    pub(super) fn if_range(&self) -> Option<HeaderValue> {
        let text = self.etag.as_ref().or(self.last_modified.as_ref())?;
        HeaderValue::from_str(text).ok()
    }

    /// Whether an answer that claims to continue comes from another state of the file.
    fn contradict(&self, headers: &HeaderMap) -> bool {
        let now = Self::of(headers);
        matches!((&self.etag, &now.etag), (Some(a), Some(b)) if a != b)
    }
}

/// Judges an answer to a request for all bytes from `have` on (0: for the whole artefact).
pub(super) fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    have: u64,
    validators: &Validators,
    now: Timestamp,
) -> Verdict {
    match status {
        StatusCode::OK => Verdict::Whole,
        StatusCode::PARTIAL_CONTENT if have > 0 => match content_range(headers) {
            Some((Some(first), total)) if first == have && !validators.contradict(headers) => {
                Verdict::Rest { total }
            }
            _ => Verdict::StartOver,
        },
        StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => match content_range(headers) {
            Some((None, Some(total))) if total == have => Verdict::Complete,
            _ => Verdict::StartOver,
        },
        StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => Verdict::Refused,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            let after = retry_after(headers, now);
            Verdict::Later { after }
        }
        status if status.is_server_error() => Verdict::Later {
            after: retry_after(headers, now),
        },
        _ => Verdict::Refused,
    }
}

/// `bytes 5-9/10`, `bytes 5-9/*` and `bytes */10`: the first byte and the total.
fn content_range(headers: &HeaderMap) -> Option<(Option<u64>, Option<u64>)> {
    let value = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let first = match range {
        "*" => None,
        _ => Some(range.split_once('-')?.0.parse().ok()?),
    };
    Some((first, total.parse().ok()))
}

/// `Retry-After`, in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// How long to wait after `failures` failures in a row, with `spread` in 0..1 chosen at random so that
/// a thousand validators do not come back at the same moment.
pub(super) fn wait(
    limits: &Limits,
    failures: u32,
    asked: Option<Duration>,
    spread: f64,
) -> Duration {
    if let Some(asked) = asked {
        return asked.min(limits.retry_after_max);
    }
    let doubled = limits.backoff * 2u32.saturating_pow(failures.saturating_sub(1).min(16));
    doubled
        .min(limits.backoff_max)
        .mul_f64(0.75 + 0.5 * spread.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(k, v)| (k.clone(), v.parse().unwrap()))
            .collect()
    }

    fn verdict(status: u16, pairs: &[(HeaderName, &str)], have: u64) -> Verdict {
        let validators = Validators {
            etag: Some("\"a\"".to_owned()),
            last_modified: None,
        };
        let status = StatusCode::from_u16(status).unwrap();
        let now = "2024-11-06T08:49:00Z".parse().unwrap();
        judge(status, &headers(pairs), have, &validators, now)
    }

    #[test]
    fn a_range_is_continued_only_from_where_we_are_and_from_the_same_file() {
        let total = Some(10);
        let rest = verdict(206, &[(CONTENT_RANGE, "bytes 5-9/10")], 5);
        assert_eq!(rest, Verdict::Rest { total });
        let same = [(CONTENT_RANGE, "bytes 5-9/*"), (ETAG, "\"a\"")];
        assert_eq!(verdict(206, &same, 5), Verdict::Rest { total: None });
        let changed = [(CONTENT_RANGE, "bytes 5-9/10"), (ETAG, "\"b\"")];
        assert_eq!(verdict(206, &changed, 5), Verdict::StartOver);
        for range in ["bytes 4-9/10", "bytes */10", "pages 5-9/10", "bytes 5/10"] {
            let odd = verdict(206, &[(CONTENT_RANGE, range)], 5);
            assert_eq!(odd, Verdict::StartOver, "{range}");
        }
        assert_eq!(verdict(206, &[], 5), Verdict::StartOver);
        assert_eq!(verdict(206, &[], 0), Verdict::Refused);
        assert_eq!(verdict(200, &[], 5), Verdict::Whole);
    }

    #[test]
    fn an_unsatisfiable_range_means_complete_or_start_over() {
        let complete = verdict(416, &[(CONTENT_RANGE, "bytes */5")], 5);
        assert_eq!(complete, Verdict::Complete);
        let shorter = verdict(416, &[(CONTENT_RANGE, "bytes */4")], 5);
        assert_eq!(shorter, Verdict::StartOver);
        assert_eq!(verdict(416, &[], 5), Verdict::StartOver);
        assert_eq!(verdict(416, &[], 0), Verdict::Refused);
    }

    #[test]
    fn what_may_pass_is_asked_again_and_what_will_not_is_refused() {
        for status in [408, 425, 429, 500, 502, 503, 504, 522] {
            let later = verdict(status, &[], 0);
            assert_eq!(later, Verdict::Later { after: None }, "{status}");
        }
        for status in [201, 204, 304, 400, 401, 403, 404, 410, 451, 501, 505] {
            assert_eq!(verdict(status, &[], 0), Verdict::Refused, "{status}");
        }
    }

    #[test]
    fn servers_may_say_when_to_come_back() {
        for (value, after) in [
            ("7", Some(7)),
            ("Wed, 06 Nov 2024 08:49:37 GMT", Some(37)),
            ("Wed, 06 Nov 2024 08:00:00 GMT", Some(0)),
            ("soon", None),
        ] {
            let after = after.map(Duration::from_secs);
            let later = verdict(503, &[(RETRY_AFTER, value)], 0);
            assert_eq!(later, Verdict::Later { after }, "{value}");
        }
    }

    #[test]
    fn waits_double_up_to_a_bound_and_spread_around_it() {
        let limits = Limits::default();
        let even = |failures| wait(&limits, failures, None, 0.5).as_secs();
        assert_eq!([1, 2, 3, 6, 7, 40].map(even), [1, 2, 4, 32, 60, 60]);
        assert_eq!(wait(&limits, 3, None, 0.0), Duration::from_secs(3));
        assert_eq!(wait(&limits, 3, None, 1.0), Duration::from_secs(5));
        let asked = Some(Duration::from_secs(9));
        assert_eq!(wait(&limits, 3, asked, 0.0), Duration::from_secs(9));
        let forever = Some(Duration::from_secs(u64::MAX));
        assert_eq!(wait(&limits, 1, forever, 0.0), limits.retry_after_max);
    }

    #[test]
    fn only_strong_tags_identify_bytes() {
        let weak = headers(&[(ETAG, "W/\"a\""), (LAST_MODIFIED, "then")]);
        let validators = Validators::of(&weak);
        assert_eq!(validators.if_range().unwrap(), "then");
        let strong = headers(&[(ETAG, "\"a\""), (LAST_MODIFIED, "then")]);
        assert_eq!(Validators::of(&strong).if_range().unwrap(), "\"a\"");
        assert_eq!(Validators::default().if_range(), None);
    }
}
