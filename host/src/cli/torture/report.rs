//! What came of all runs: kills by point.

use std::collections::BTreeMap;

use crate::cli::torture::scenario::Scenario;
use crate::cli::torture::trial::Ran;

/// The table.
pub(super) struct Report {
    seed: u64,
    runs: usize,
    wrong: usize,
    cancelled: usize,
    points: BTreeMap<(Scenario, String), Counts>,
}

/// What came of the runs that were killed at a point.
#[derive(Default)]
struct Counts {
    kills: usize,
    in_cancel: usize,
    right: usize,
    wrong: usize,
}

impl Report {
    /// An empty one.
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, runs: 0, wrong: 0, cancelled: 0, points: BTreeMap::new() }
    }

    /// Adds a run.
    pub(super) fn add(&mut self, scenario: Scenario, ran: &Ran) {
        self.runs += 1;
        self.wrong += usize::from(ran.wrong.is_some());
        self.cancelled += usize::from(ran.ended_cancelled);
        for kill in &ran.kills {
            let counts = self.points.entry((scenario, kill.point.clone())).or_default();
            counts.kills += 1;
            counts.in_cancel += usize::from(kill.is_in_cancel);
            counts.right += usize::from(ran.wrong.is_none());
            counts.wrong += usize::from(ran.wrong.is_some());
        }
    }

    /// What the chosen points followed from.
    pub(super) const fn seed(&self) -> u64 {
        self.seed
    }

    /// How many runs there were.
    pub(super) const fn runs(&self) -> usize {
        self.runs
    }

    /// How many of them went wrong.
    pub(super) const fn wrong(&self) -> usize {
        self.wrong
    }

    /// In how many of them a job ended as cancelled.
    pub(super) const fn cancelled(&self) -> usize {
        self.cancelled
    }

    /// How often a host was killed after somebody had come to cancel its job.
    pub(super) fn kills_in_cancel(&self) -> usize {
        self.points.values().map(|counts| counts.in_cancel).sum()
    }

    /// How often a host was killed.
    pub(super) fn kills(&self) -> usize {
        self.points.values().map(|counts| counts.kills).sum()
    }

    /// How often a host was killed in this scenario.
    pub(super) fn kills_of(&self, wanted: Scenario) -> usize {
        let of_it = self.points.iter().filter(|((scenario, _), _)| *scenario == wanted);
        of_it.map(|(_, counts)| counts.kills).sum()
    }

    /// Whether nothing went wrong.
    pub(super) const fn is_clean(&self) -> bool {
        self.wrong == 0
    }

    /// Scenario, point, kills, those of them while the job was being cancelled, runs that came out
    /// right, and those that did not.
    pub(super) fn rows(&self) -> Vec<[String; 6]> {
        rows(&self.points)
    }

    /// The same, with all effects in one row for each boundary.
    pub(super) fn summary(&self) -> Vec<[String; 6]> {
        let mut boundaries = BTreeMap::<(Scenario, String), Counts>::new();
        for ((scenario, point), counts) in &self.points {
            let boundary = point.split(' ').next().unwrap_or_default().to_owned();
            let sum = boundaries.entry((*scenario, boundary)).or_default();
            sum.kills += counts.kills;
            sum.in_cancel += counts.in_cancel;
            sum.right += counts.right;
            sum.wrong += counts.wrong;
        }
        rows(&boundaries)
    }
}

fn rows(points: &BTreeMap<(Scenario, String), Counts>) -> Vec<[String; 6]> {
    let row = |((scenario, point), counts): (&(Scenario, String), &Counts)| {
        let Counts { kills, in_cancel, right, wrong } = counts;
        let counted = [kills, in_cancel, right, wrong].map(ToString::to_string);
        let [kills, in_cancel, right, wrong] = counted;
        [scenario.to_string(), point.clone(), kills, in_cancel, right, wrong]
    };
    points.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::cli::torture::life::Kill;

    fn kill(point: &str, is_in_cancel: bool) -> Kill {
        Kill { point: point.to_owned(), is_in_cancel }
    }

    #[test]
    fn the_summary_has_one_row_for_each_boundary() {
        let mut report = Report::new(7);
        let ran = |points: &[&str], ended_cancelled, wrong: Option<&str>| Ran {
            home: PathBuf::new(),
            kills: points.iter().map(|&point| kill(point, ended_cancelled)).collect(),
            ended_cancelled,
            wrong: wrong.map(str::to_owned),
        };
        report.add(Scenario::Create, &ran(&["after-send a", "after-send b"], true, None));
        report.add(Scenario::Create, &ran(&["after-send a"], false, Some("twice")));
        report.add(Scenario::Delete, &ran(&["claimed job"], false, None));
        let row = |row: [&str; 6]| row.map(str::to_owned);
        let summary = [
            row(["create", "after-send", "3", "2", "2", "1"]),
            row(["delete", "claimed", "1", "0", "1", "0"]),
        ];
        assert_eq!(report.summary(), summary);
        assert_eq!(report.rows().len(), 3);
        assert_eq!((report.kills(), report.runs(), report.wrong()), (4, 3, 1));
        assert_eq!((report.kills_in_cancel(), report.cancelled()), (2, 1));
    }
}
