//! What came of all runs: kills by point.

use std::collections::BTreeMap;

use crate::cli::torture::scenario::Scenario;
use crate::cli::torture::trial::Ran;

/// The table.
pub(super) struct Report {
    seed: u64,
    runs: usize,
    wrong: usize,
    points: BTreeMap<(Scenario, String), Counts>,
}

/// What came of the runs that were killed at a point.
#[derive(Default)]
struct Counts {
    kills: usize,
    right: usize,
    wrong: usize,
}

impl Report {
    /// An empty one.
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, runs: 0, wrong: 0, points: BTreeMap::new() }
    }

    /// Adds a run.
    pub(super) fn add(&mut self, scenario: Scenario, ran: &Ran) {
        self.runs += 1;
        self.wrong += usize::from(ran.wrong.is_some());
        for point in &ran.points {
            let counts = self.points.entry((scenario, point.clone())).or_default();
            counts.kills += 1;
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

    /// How often a host was killed.
    pub(super) fn kills(&self) -> usize {
        self.points.values().map(|counts| counts.kills).sum()
    }

    /// Whether nothing went wrong.
    pub(super) const fn is_clean(&self) -> bool {
        self.wrong == 0
    }

    /// Scenario, point, kills, runs that came out right, and those that did not.
    pub(super) fn rows(&self) -> Vec<[String; 5]> {
        let row = |((scenario, point), counts): (&(Scenario, String), &Counts)| {
            let Counts { kills, right, wrong } = counts;
            let numbers = [kills, right, wrong].map(ToString::to_string);
            let [kills, right, wrong] = numbers;
            [scenario.to_string(), point.clone(), kills, right, wrong]
        };
        self.points.iter().map(row).collect()
    }
}
