//! At which points hosts are killed and jobs cancelled: every one in turn, then several in a row, by
//! a seed.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::cli::torture::MOST_DEATHS;
use crate::cli::torture::life::Life;
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
        let lives = (1..=baseline.points).map(|point| vec![Life::killed_at(point)]).collect();
        self.numbered(baseline, lives)
    }

    /// At which points the job is cancelled: so many, one in each part of the run.
    pub(super) fn moments(&mut self, points: u64, count: u64) -> Vec<u64> {
        let count = count.min(points);
        let begin = |part: u64| points * part / count;
        (0..count).map(|part| self.random.random_range(begin(part) + 1..=begin(part + 1))).collect()
    }

    /// For each moment at which the job was cancelled, one trial for each point that comes then.
    pub(super) fn cancelled(&mut self, baseline: &Baseline) -> Vec<Trial> {
        let after = |&(cancel, points): &(u64, u64)| {
            let life = move |point| Life { death: Some(point), cancel: Some(cancel) };
            (cancel + 1..=points).map(move |point| vec![life(point)])
        };
        let lives = baseline.cancelled.iter().flat_map(after).collect();
        self.numbered(baseline, lives)
    }

    /// As many with several deaths as make `kills` if all of them come to be. In every other one
    /// somebody cancels the job as well, unless nobody is to.
    pub(super) fn more(&mut self, baseline: &Baseline, kills: usize) -> Vec<Trial> {
        let mut lives = self.deaths(baseline.points, kills);
        if !baseline.cancelled.is_empty() {
            lives.iter_mut().step_by(2).for_each(|lives| self.cancel_in(lives));
        }
        self.numbered(baseline, lives)
    }

    fn numbered(&mut self, baseline: &Baseline, lives: Vec<Vec<Life>>) -> Vec<Trial> {
        let first = self.planned;
        self.planned += lives.len();
        let numbered = (first..).zip(lives);
        numbered.map(|(number, lives)| Trial::new(baseline, number, lives)).collect()
    }

    fn deaths(&mut self, points: u64, kills: usize) -> Vec<Vec<Life>> {
        let (mut all, mut planned) = (Vec::new(), 0);
        while planned < kills && points > 0 {
            let deaths = self.random.random_range(2..=MOST_DEATHS);
            all.push((0..deaths).map(|_| Life::killed_at(self.point(points))).collect());
            planned += deaths;
        }
        all
    }

    /// One of these hosts does not die before somebody has cancelled its job.
    fn cancel_in(&mut self, lives: &mut [Life]) {
        let chosen = self.random.random_range(0..lives.len());
        let Some(life) = lives.get_mut(chosen) else { return };
        let cancel = life.death.map(|point| self.random.random_range(1..=point));
        life.cancel = cancel;
        // What comes then is seldom much.
        life.death = cancel.map(|cancel| cancel + self.random.random_range(1..=8));
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
        assert!(planned.iter().all(|lives| (2..=MOST_DEATHS).contains(&lives.len())));
        let points = planned.iter().flatten().map(|life| life.death.unwrap());
        assert!(points.into_iter().all(|point| (1..=5).contains(&point)));
        assert!(planned.iter().map(Vec::len).sum::<usize>() >= 30);
        assert_eq!(planned, Plan::new(7).deaths(5, 30));
        assert_ne!(planned, Plan::new(8).deaths(5, 30));
        assert!(Plan::new(7).deaths(5, 0).is_empty() && Plan::new(7).deaths(0, 30).is_empty());
    }

    #[test]
    fn a_job_is_cancelled_in_every_part_of_its_run() {
        let moments = Plan::new(7).moments(40, 4);
        assert!(
            moments.iter().zip(0..).all(|(at, part)| (10 * part + 1..=10 * part + 10).contains(at))
        );
        assert_eq!(moments, Plan::new(7).moments(40, 4));
        assert_eq!(Plan::new(7).moments(3, 100), [1, 2, 3]);
        assert!(Plan::new(7).moments(3, 0).is_empty() && Plan::new(7).moments(0, 3).is_empty());
    }

    #[test]
    fn whoever_cancels_comes_before_the_host_dies() {
        let mut lives = vec![Life::killed_at(9), Life::killed_at(9)];
        Plan::new(7).cancel_in(&mut lives);
        let chosen: Vec<&Life> = lives.iter().filter(|life| life.cancel.is_some()).collect();
        assert!(chosen.len() == 1 && chosen[0].cancel < chosen[0].death, "{lives:?}");
    }
}
