//! The lives of hosts on one home: some are killed, in some a job is cancelled, the last one ends as
//! it is told to.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::app::evidence::{self, Evidence};
use crate::cli::Refusal;
use crate::cli::torture::scenario::Scenario;
use crate::cli::torture::victim::{Asked, End, Seen, Start, Victim};

/// What happens to one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Life {
    /// The number of the point at which it is killed, counted from 1.
    pub(super) death: Option<u64>,
    /// The number of the point at which somebody cancels the job that comes to it.
    pub(super) cancel: Option<u64>,
}

/// Where hosts live.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The home of one after the other.
    pub(super) home: &'a Path,
    /// Compiled plugins.
    pub(super) cache: &'a Path,
    /// What they are asked for.
    pub(super) scenario: Scenario,
    /// The request's key: the same one, the same job.
    pub(super) key: &'a str,
}

/// Where a host was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kill {
    /// The point.
    pub(super) point: String,
    /// Whether somebody had come to cancel the job before.
    pub(super) is_in_cancel: bool,
}

/// What came of it all.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// The job that was asked for, as it ended. None when it is lost, or there was nothing to do.
    pub(super) job: Option<Value>,
    /// Whether the host said that there is nothing to do.
    pub(super) is_done_already: bool,
    /// All jobs that did not complete.
    pub(super) stopped: Vec<Value>,
    /// What was done, is there and is on record.
    pub(super) evidence: Evidence,
    /// How many points the last life came to.
    pub(super) points: u64,
}

impl Life {
    /// Killed at this point.
    pub(super) const fn killed_at(point: u64) -> Self {
        Self { death: Some(point), cancel: None }
    }

    /// The job cancelled at this point.
    pub(super) const fn cancelled_at(point: u64) -> Self {
        Self { death: None, cancel: Some(point) }
    }

    /// Whether somebody cancels before the host dies.
    fn is_cancelled(self) -> bool {
        let death = self.death.unwrap_or(u64::MAX);
        self.cancel.is_some_and(|cancel| cancel < death)
    }
}

/// Lets one host after the other live, and then one that nobody disturbs: all of them are asked for
/// the same job. Says in `kills` where they were killed, also when it goes wrong.
pub(super) async fn live(
    place: Place<'_>,
    lives: &[Life],
    kills: &mut Vec<Kill>,
) -> Result<Story, Refusal> {
    let mut is_in_cancel = false;
    for &life in lives {
        is_in_cancel |= life.is_cancelled();
        let (_, end) = one(place, life).await?;
        if let End::Died(point) = end {
            kills.push(Kill { point, is_in_cancel });
        }
    }
    last(place, Life::default()).await
}

/// One life that is not killed, to its end.
pub(super) async fn last(place: Place<'_>, life: Life) -> Result<Story, Refusal> {
    let (mut story, end) = one(place, life).await?;
    let End::Told(points) = end else { return Err(Victim::died()) };
    story.points = points;
    story.evidence.extend(evidence::read(place.home)?);
    Ok(story)
}

async fn one(place: Place<'_>, life: Life) -> Result<(Story, End), Refusal> {
    let mut story = Story::default();
    let mut victim = match Victim::start(place.home, place.cache, life).await? {
        Start::Runs(victim) => victim,
        Start::Died(point) => return Ok((story, End::Died(point))),
    };
    match victim.submit(place.scenario, place.key).await? {
        Asked::Died => {}
        Asked::Nothing => story.is_done_already = true,
        Asked::Job(job) => {
            if let Seen::Ended(job) = victim.watch(&job).await? {
                story.job = Some(job);
            }
        }
    }
    if life.death.is_none() {
        story.evidence = victim.records().await?;
        story.stopped = victim.stopped().await?;
    }
    Ok((story, victim.end().await?))
}

/// Compiled plugins, for all hosts below a folder.
pub(super) fn cache(folder: &Path) -> PathBuf {
    folder.parent().unwrap_or(folder).join("cache")
}
