//! Removing old jobs.

use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::app::access::Operator;
use crate::error::{Error, ErrorKind};
use crate::model::job::JobStatus;
use crate::storage::AuditRecord;
use crate::storage::removal::OldJobs;

/// How these jobs ended unless somebody says otherwise. An uncertain one waits for a person.
const USUAL: [JobStatus; 3] = [JobStatus::Completed, JobStatus::Failed, JobStatus::Cancelled];

/// How long ago something was: `30m`, `12h`, `7d`, `4w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age(SignedDuration);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let shown: String = text.chars().take(40).collect();
            let shown = shown.escape_debug();
            format!("`{shown}` is no age: write a number and a unit, such as 30m, 12h, 7d or 4w")
        };
        let unit = text.chars().next_back().ok_or_else(wrong)?;
        let hours = |hours: i64| move |count: i64| count.checked_mul(hours * 3600);
        let digits = text.strip_suffix(unit).filter(|it| it.bytes().all(|b| b.is_ascii_digit()));
        let count: i64 = digits.and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
        let seconds = match unit {
            'm' => count.checked_mul(60),
            'h' => hours(1)(count),
            'd' => hours(24)(count),
            'w' => hours(7 * 24)(count),
            _ => None,
        };
        seconds.map(|seconds| Self(SignedDuration::from_secs(seconds))).ok_or_else(wrong)
    }
}

impl Operator {
    /// Removes jobs that ended so long ago, with their journals and logs, and answers how many.
    /// Those that another job needs stay: one that goes on, or that can still be tried again.
    #[tracing::instrument(skip_all)]
    pub async fn remove_jobs(&self, age: Age, status: Vec<JobStatus>) -> Result<u64, Error> {
        let now = Timestamp::now();
        let before = now.checked_sub(age.0).unwrap_or(Timestamp::MIN);
        let status = if status.is_empty() { USUAL.to_vec() } else { status };
        if let Some(unfinished) = status.iter().find(|status| !status.is_finished()) {
            return Err(not_finished(*unfinished));
        }
        let names: Vec<&str> = status.iter().map(|status| status.as_str()).collect();
        let detail = json!({ "before": before, "status": names });
        let (by, target) = (self.by.clone(), "jobs".to_owned());
        let record = AuditRecord { at: now, by, action: "jobs.remove".to_owned(), target, detail };
        self.app.store.audit(record).await?;
        let mut old = OldJobs { status, before, after: None };
        let mut count = 0;
        loop {
            let removed = self.app.store.remove_jobs(&old).await?;
            count += removed.count;
            old.after = removed.next;
            if removed.next.is_none() {
                return Ok(count);
            }
        }
    }
}

fn not_finished(status: JobStatus) -> Error {
    let status = status.as_str();
    let message = format!(
        "Jobs that are {status} are not removed: cancel them first, or name finished states."
    );
    Error::new(ErrorKind::Invalid, "invalid_request", message).with_detail(
        "fields",
        json!([{ "pointer": "?status", "message": "name completed, failed, cancelled or uncertain" }]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_and_a_unit() {
        for (text, seconds) in [("30m", 1800), ("12h", 43_200), ("7d", 604_800), ("4w", 2_419_200)]
        {
            assert_eq!(text.parse(), Ok(Age(SignedDuration::from_secs(seconds))), "{text}");
        }
        for text in
            ["", "7", "d", "-7d", "+7d", "7 d", "7D", "1.5h", "7days", "99999999999999999999d"]
        {
            assert!(text.parse::<Age>().is_err(), "{text}");
        }
        assert!("9223372036854775807w".parse::<Age>().is_err(), "no overflow");
    }
}
