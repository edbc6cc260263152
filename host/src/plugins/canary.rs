//! Whether a version that is tried does worse than the active one.

use crate::model::plugin::Tally;

/// So many jobs of a canary are waited for before it is judged.
const LEAST_JOBS: u64 = 5;

/// A failure rate counts as worse from so much more on.
const MARGIN: f64 = 0.05;

/// How sure we want to be: 95 %, one-sided.
const Z: f64 = 1.645;

/// What becomes of a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    GoOn,
    /// It ends, for this reason.
    Worse(String),
}

/// Judges a trial: it ends when even the lower bound of its failure rate (Wilson, 95 %) is above the
/// active version's rate since the trial began, by a margin. A few bad jobs of a plugin that fails
/// often anyway end nothing.
pub fn judge(tried: Tally, usual: Tally) -> Verdict {
    if tried.total() < LEAST_JOBS || lower_bound(tried) <= rate(usual) + MARGIN {
        return Verdict::GoOn;
    }
    Verdict::Worse(format!(
        "{} of its {} jobs failed, and {} of {} with the active version",
        tried.failed,
        tried.total(),
        usual.failed,
        usual.total()
    ))
}

#[expect(clippy::cast_precision_loss, reason = "counts of jobs are far below 2^52")]
fn rate(tally: Tally) -> f64 {
    if tally.total() == 0 { 0.0 } else { tally.failed as f64 / tally.total() as f64 }
}

#[expect(clippy::cast_precision_loss, reason = "counts of jobs are far below 2^52")]
fn lower_bound(tally: Tally) -> f64 {
    let (n, p) = (tally.total() as f64, rate(tally));
    let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    (p + Z * Z / (2.0 * n) - spread) / (1.0 + Z * Z / n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(failed: u64, total: u64) -> Tally {
        Tally { completed: total - failed, failed }
    }

    #[test]
    fn a_trial_is_not_judged_by_a_few_jobs() {
        assert_eq!(judge(tally(4, 4), tally(0, 100)), Verdict::GoOn);
        assert_eq!(judge(tally(1, 5), tally(0, 100)), Verdict::GoOn);
    }

    #[test]
    fn a_trial_that_fails_clearly_more_often_ends_with_the_figures() {
        let Verdict::Worse(why) = judge(tally(4, 5), tally(0, 45)) else { panic!("it goes on") };
        assert_eq!(why, "4 of its 5 jobs failed, and 0 of 45 with the active version");
        assert!(matches!(judge(tally(20, 100), tally(2, 900)), Verdict::Worse(_)));
    }

    #[test]
    fn a_trial_of_a_plugin_that_fails_as_often_anyway_goes_on() {
        assert_eq!(judge(tally(5, 10), tally(50, 100)), Verdict::GoOn);
        assert_eq!(judge(tally(0, 1000), tally(0, 1000)), Verdict::GoOn);
    }
}
