//! At which points hosts are killed: every one in turn, then several in a row, by a seed.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::cli::torture::MOST_DEATHS;
use crate::cli::torture::trial::{Baseline, Trial};

/// Chooses points.
pub(super) struct Plan {
    random: StdRng,
}

impl Plan {
    /// The choice that follows from this seed.
    pub(super) fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed) }
    }

    /// One trial for each point, then as many with several deaths as make `kills` in all.
    pub(super) fn trials(&mut self, baseline: &Baseline, kills: usize) -> Vec<Trial> {
        let deaths = self.deaths(baseline.points, kills);
        let numbered = deaths.into_iter().enumerate();
        numbered.map(|(number, deaths)| Trial::new(baseline, number, deaths)).collect()
    }

    fn deaths(&mut self, points: u64, kills: usize) -> Vec<Vec<u64>> {
        let mut all: Vec<Vec<u64>> = (1..=points).map(|point| vec![point]).collect();
        let mut planned = all.len();
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
    fn every_point_comes_once_and_then_several_by_the_seed() {
        let planned = Plan::new(7).deaths(5, 30);
        let singles: Vec<Vec<u64>> = (1..=5).map(|point| vec![point]).collect();
        assert_eq!(planned.get(..5), Some(singles.as_slice()));
        assert!(planned.iter().skip(5).all(|deaths| (2..=MOST_DEATHS).contains(&deaths.len())));
        assert!(planned.iter().map(Vec::len).sum::<usize>() >= 30);
        assert_eq!(planned, Plan::new(7).deaths(5, 30));
        assert_ne!(planned, Plan::new(8).deaths(5, 30));
    }
}
