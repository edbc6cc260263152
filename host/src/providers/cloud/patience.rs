//! When to try again: the pure arithmetic of backing off, and what the other side asks for.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::providers::cloud::answer::ApiError;

/// How often a call is tried, and how long it waits in between.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Tries in all.
    pub tries: u32,
    /// The longest wait after the first failure; it doubles with each further one.
    pub backoff: Duration,
    /// What the doubling ends at.
    pub backoff_cap: Duration,
    /// A wait that the other side asks for is kept up to this; a longer one is not worth it.
    pub longest_wait: Duration,
    /// The wait after a 429 that does not say for how long; none: as after any other failure.
    pub limit_wait: Option<Duration>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            tries: 5,
            backoff: Duration::from_secs(1),
            backoff_cap: Duration::from_secs(60),
            longest_wait: Duration::from_secs(60),
            limit_wait: None,
        }
    }
}

impl Patience {
    /// How long to wait after so many failures, or none when it is time to give up. `random` is
    /// from 0 to 1: all waits up to the longest are equally likely, so that clients that failed
    /// together do not come back together.
    pub fn wait(&self, error: Option<&ApiError>, failures: u32, random: f64) -> Option<Duration> {
        if failures >= self.tries {
            return None;
        }
        if let Some(asked) = error.and_then(|error| error.retry_after) {
            return (asked <= self.longest_wait).then_some(asked);
        }
        if let (Some(429), Some(wait)) = (error.map(|error| error.status), self.limit_wait) {
            return (wait <= self.longest_wait).then_some(wait);
        }
        let doubled = self.backoff.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
        let longest = doubled.min(self.backoff_cap);
        let reset = error.and_then(|error| error.limit_resets_in).unwrap_or(longest);
        Some(longest.min(reset).mul_f64(random.clamp(0.0, 1.0)))
    }
}

/// What `Retry-After` asks for: seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

/// How long until `RateLimit-Reset`, which is in Unix seconds; none when that is over.
pub(super) fn limit_resets_in(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let seconds = headers.get("ratelimit-reset")?.to_str().ok()?.trim().parse().ok()?;
    let at = Timestamp::from_second(seconds).ok()?;
    Duration::try_from(at.duration_since(now)).ok().filter(|left| !left.is_zero())
}

/// What `t` of a `RateLimit` header such as `"default";r=0;t=30` asks for, in seconds. Its `r`
/// counts what is left, so it means something only with a 429.
pub(super) fn quota_returns_in(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("ratelimit")?.to_str().ok()?;
    let seconds = text.split([';', ',']).find_map(|part| part.trim().strip_prefix("t="))?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate_limited(retry_after: Option<u64>, limit_resets_in: Option<u64>) -> ApiError {
        ApiError {
            status: 429,
            retry_after: retry_after.map(Duration::from_secs),
            limit_resets_in: limit_resets_in.map(Duration::from_secs),
            ..ApiError::default()
        }
    }

    #[test]
    fn waits_double_up_to_the_cap_and_end_after_the_last_try() {
        let patience = Patience { tries: 9, ..Patience::default() };
        let waits: Vec<_> = (1..=9).map(|failures| patience.wait(None, failures, 1.0)).collect();
        let seconds = [1, 2, 4, 8, 16, 32, 60, 60].map(|n| Some(Duration::from_secs(n)));
        assert_eq!(waits[..8], seconds);
        assert_eq!(waits[8], None);
    }

    #[test]
    fn the_whole_wait_is_random() {
        let patience = Patience::default();
        assert_eq!(patience.wait(None, 3, 0.0), Some(Duration::ZERO));
        assert_eq!(patience.wait(None, 3, 0.5), Some(Duration::from_secs(2)));
    }

    #[test]
    fn an_asked_wait_is_kept_unless_it_is_too_long() {
        let patience = Patience::default();
        let asked = |seconds| patience.wait(Some(&rate_limited(Some(seconds), None)), 1, 0.1);
        assert_eq!(asked(7), Some(Duration::from_secs(7)));
        assert_eq!(asked(61), None);
    }

    #[test]
    fn a_limit_that_says_nothing_has_a_wait_of_its_own() {
        let minute = Some(Duration::from_secs(60));
        let patience = Patience { limit_wait: minute, ..Patience::default() };
        assert_eq!(patience.wait(Some(&rate_limited(None, None)), 1, 0.1), minute);
        assert!(patience.wait(Some(&ApiError::default()), 1, 1.0) < minute);
    }

    #[test]
    fn a_quota_is_read_from_the_draft_header() {
        let header = |value: &'static str| {
            HeaderMap::from_iter([("ratelimit".parse().unwrap(), value.parse().unwrap())])
        };
        let thirty = Some(Duration::from_secs(30));
        assert_eq!(quota_returns_in(&header("\"default\";r=0;t=30")), thirty);
        assert_eq!(quota_returns_in(&header("\"default\";r=0")), None);
    }

    #[test]
    fn nobody_waits_longer_than_the_limit_lasts() {
        let error = rate_limited(None, Some(3));
        assert_eq!(Patience::default().wait(Some(&error), 4, 1.0), Some(Duration::from_secs(3)));
    }

    #[test]
    fn headers_are_read_as_seconds_dates_and_unix_time() {
        let now: Timestamp = "1994-11-06T08:49:30Z".parse().unwrap();
        let header = |value: &str| HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
        let seven = Some(Duration::from_secs(7));
        assert_eq!(retry_after(&header("7"), now), seven);
        assert_eq!(retry_after(&header("Sun, 06 Nov 1994 08:49:37 GMT"), now), seven);
        assert_eq!(retry_after(&header("soon"), now), None);
        let mut headers = HeaderMap::new();
        headers.insert("ratelimit-reset", (now.as_second() + 7).into());
        assert_eq!(limit_resets_in(&headers, now), seven);
        headers.insert("ratelimit-reset", (now.as_second() - 7).into());
        assert_eq!(limit_resets_in(&headers, now), None);
    }
}
