//! At which points hosts are killed: every one in turn, then several in a row, by a seed.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::cli::torture::MOST_DEATHS;
use crate::cli::torture::trial::{Baseline, Trial};

/// Chooses points.
pub(super) struct Plan {
    random: StdRng,
    planned: usize,
}

impl Plan {
    /// The choice that follows from this seed.
    pub(super) fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), planned: 0 }
    }

    /// One trial for each point.
    pub(super) fn trials(&mut self, baseline: &Baseline) -> Vec<Trial> {
        self.numbered(baseline, (1..=baseline.points).map(|point| vec![point]).collect())
    }

    /// As many with several deaths as make `kills` if all of them come to be.
    pub(super) fn more(&mut self, baseline: &Baseline, kills: usize) -> Vec<Trial> {
        let deaths = self.deaths(baseline.points, kills);
        self.numbered(baseline, deaths)
    }

    fn numbered(&mut self, baseline: &Baseline, deaths: Vec<Vec<u64>>) -> Vec<Trial> {
        let first = self.planned;
        self.planned += deaths.len();
        let numbered = (first..).zip(deaths);
        numbered.map(|(number, deaths)| Trial::new(baseline, number, deaths)).collect()
    }

    fn deaths(&mut self, points: u64, kills: usize) -> Vec<Vec<u64>> {
        let (mut all, mut planned) = (Vec::new(), 0);
        while planned < kills && points > 0 {
            let deaths = self.random.random_range(2..=MOST_DEATHS);
            all.push((0..deaths).map(|_| self.point(points)).collect());
            planned += deaths;
        }
        all
    }

    /// Early points are likelier: a run that goes on has fewer of them than one that begins.
    fn point(&mut self, points: u64) -> u64 {
        let most = self.random.random_range(1..=points);
        self.random.random_range(1..=most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_points_follow_from_the_seed() {
        let planned = Plan::new(7).deaths(5, 30);
        assert!(planned.iter().all(|deaths| (2..=MOST_DEATHS).contains(&deaths.len())));
        assert!(planned.iter().flatten().all(|point| (1..=5).contains(point)));
        assert!(planned.iter().map(Vec::len).sum::<usize>() >= 30);
        assert_eq!(planned, Plan::new(7).deaths(5, 30));
        assert_ne!(planned, Plan::new(8).deaths(5, 30));
        assert!(Plan::new(7).deaths(5, 0).is_empty() && Plan::new(7).deaths(0, 30).is_empty());
    }
}
