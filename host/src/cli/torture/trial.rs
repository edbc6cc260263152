//! One run of a scenario, killed at some points, held against the undisturbed one.

use std::io;
use std::path::{Path, PathBuf};

use crate::app::evidence;
use crate::cli::torture::life::{self, Kill, Life, Place, Story};
use crate::cli::torture::scenario::Scenario;
use crate::cli::torture::unusable;
use crate::cli::torture::verdict::{self, Wanted};
use crate::cli::{Exit, Refusal};

/// The undisturbed run of a scenario.
pub(super) struct Baseline {
    scenario: Scenario,
    folder: PathBuf,
    /// How many points it comes to.
    pub(super) points: u64,
    /// What it did, and what is there and on record before and afterwards.
    pub(super) wanted: Wanted,
    /// Runs whose job was cancelled while nobody was killed: at which point, and how many there are.
    pub(super) cancelled: Vec<(u64, u64)>,
}

/// One run that is to be killed.
pub(super) struct Trial {
    home: PathBuf,
    lives: Vec<Life>,
}

/// What came of it.
pub(super) struct Ran {
    /// Its home.
    pub(super) home: PathBuf,
    /// Where it was killed.
    pub(super) kills: Vec<Kill>,
    /// Whether a job of it ended as cancelled.
    pub(super) ended_cancelled: bool,
    /// What was not as it should be.
    pub(super) wrong: Option<String>,
}

impl Baseline {
    /// Does everything that comes before, then the scenario, undisturbed.
    pub(super) async fn of(scenario: Scenario, folder: &Path) -> Result<Self, Refusal> {
        let folder = folder.join(scenario.to_string());
        std::fs::create_dir_all(&folder).map_err(|error| unusable(&error))?;
        let mut baseline =
            Self { scenario, folder, points: 0, wanted: Wanted::default(), cancelled: Vec::new() };
        let before = baseline.folder.join("before");
        for earlier in scenario.before() {
            let cache = life::cache(&baseline.folder);
            let key = earlier.to_string();
            let place = Place { home: &before, cache: &cache, scenario: earlier, key: &key };
            completed(life::last(place, Life::default()).await?)?;
        }
        let home = baseline.new_home("baseline")?;
        let before = evidence::read(&home)?;
        let story = baseline.last(&home, Life::default()).await?;
        let story = completed(story)?;
        baseline.points = story.points;
        baseline.wanted = Wanted::new(scenario, before, story.evidence);
        Ok(baseline)
    }

    /// Cancels the job at this point, with nobody killed, and remembers how far that goes. Answers
    /// what came of it.
    pub(super) async fn cancel_at(&mut self, point: u64) -> Result<Ran, Refusal> {
        let home = self.new_home(&format!("cancelled-{point}"))?;
        let story = self.last(&home, Life::cancelled_at(point)).await?;
        self.cancelled.push((point, story.points));
        self.wanted.allow(&story.evidence);
        let wrong = self.wrong(&story, &home).await?;
        let ended_cancelled = story.is_cancelled();
        Ok(Ran { home, kills: Vec::new(), ended_cancelled, wrong })
    }

    async fn last(&self, home: &Path, life: Life) -> Result<Story, Refusal> {
        let (cache, key) = (life::cache(&self.folder), self.scenario.to_string());
        let place = Place { home, cache: &cache, scenario: self.scenario, key: &key };
        life::last(place, life).await
    }

    /// What is not as it should be. Where the job was cancelled, it is done again: whatever is left
    /// may not be in the way.
    async fn wrong(&self, story: &Story, home: &Path) -> Result<Option<String>, Refusal> {
        if !story.is_cancelled() {
            return Ok(verdict::of_completed(story, &self.wanted));
        }
        if let Some(wrong) = verdict::of_cancelled(story, &self.wanted) {
            return Ok(Some(wrong));
        }
        let (cache, key) = (life::cache(&self.folder), format!("{}-again", self.scenario));
        let place = Place { home, cache: &cache, scenario: self.scenario, key: &key };
        let again = life::last(place, Life::default()).await?;
        Ok(verdict::of_again(&again, &self.wanted).map(|wrong| format!("done again: {wrong}")))
    }

    /// A copy of the home as it is before the scenario.
    fn new_home(&self, name: &str) -> Result<PathBuf, Refusal> {
        let home = self.folder.join(name);
        let before = self.folder.join("before");
        let copied = if before.exists() { copy(&before, &home) } else { Ok(()) };
        copied.map_err(|error| unusable(&error))?;
        evidence::begin(&home)?;
        Ok(home)
    }
}

impl Trial {
    /// A run of the baseline's scenario with these lives, one after the other.
    pub(super) fn new(baseline: &Baseline, number: usize, lives: Vec<Life>) -> Self {
        Self { home: baseline.folder.join(format!("trial-{number}")), lives }
    }

    /// Runs it to the end. A host that does not start any more, or a job that is stuck, is what
    /// this is to find out, and no reason to stop looking.
    pub(super) async fn run(self, baseline: &Baseline) -> Result<Ran, Refusal> {
        let name = self.home.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let home = baseline.new_home(&name)?;
        let mut ran = Ran { home, kills: Vec::new(), ended_cancelled: false, wrong: None };
        let judged = self.judged(baseline, &mut ran).await;
        ran.wrong = judged.unwrap_or_else(|refusal| Some(refusal.message));
        if ran.wrong.is_none() {
            std::fs::remove_dir_all(&ran.home).map_err(|error| unusable(&error))?;
        }
        Ok(ran)
    }

    async fn judged(&self, baseline: &Baseline, ran: &mut Ran) -> Result<Option<String>, Refusal> {
        let (cache, key) = (life::cache(&baseline.folder), baseline.scenario.to_string());
        let place =
            Place { home: &ran.home, cache: &cache, scenario: baseline.scenario, key: &key };
        let story = life::live(place, &self.lives, &mut ran.kills).await?;
        ran.ended_cancelled = story.is_cancelled();
        baseline.wrong(&story, &ran.home).await
    }

    /// Keeps a home for whoever wants to look at it.
    pub(super) fn keep(home: &Path, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let parts: Vec<String> = home
            .components()
            .rev()
            .take(2)
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        copy(home, &folder.join(parts.into_iter().rev().collect::<Vec<_>>().join("-")))
    }
}

impl Ran {
    /// Where it was killed, as one line.
    pub(super) fn killed_at(&self) -> String {
        if self.kills.is_empty() {
            return "nothing".to_owned();
        }
        let point = |kill: &Kill| {
            if kill.is_in_cancel {
                format!("{} (cancelled)", kill.point)
            } else {
                kill.point.clone()
            }
        };
        self.kills.iter().map(point).collect::<Vec<_>>().join(", ")
    }
}

/// An undisturbed run, which has to complete.
fn completed(story: Story) -> Result<Story, Refusal> {
    match story.stopped.first().or(story.job.as_ref().filter(|_| !story.is_completed())) {
        None if story.is_completed() => Ok(story),
        job => {
            let job = job.map(ToString::to_string).unwrap_or_default();
            let message = format!("A job fails although nobody disturbs it: {job}");
            Err(Refusal::new(Exit::JobFailed, message))
        }
    }
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    std::fs::set_permissions(to, std::fs::metadata(from)?.permissions())?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
