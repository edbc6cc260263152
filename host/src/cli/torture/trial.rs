//! One run of a scenario, killed at some points, held against the undisturbed one.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::app::evidence::{self, Evidence};
use crate::cli::torture::scenario::Scenario;
use crate::cli::torture::unusable;
use crate::cli::torture::victim::{End, Seen, Start, Victim};
use crate::cli::{Exit, Refusal};

/// The number of a point that no run comes to.
const NEVER: u64 = u64::MAX;

/// The undisturbed run of a scenario.
pub(super) struct Baseline {
    scenario: Scenario,
    folder: PathBuf,
    /// How many points it comes to.
    pub(super) points: u64,
    /// What it did, and what is there and on record afterwards.
    pub(super) evidence: Evidence,
}

/// One run that is to be killed.
pub(super) struct Trial {
    home: PathBuf,
    deaths: Vec<u64>,
}

/// What came of it.
pub(super) struct Ran {
    /// Its home.
    pub(super) home: PathBuf,
    /// Where it was killed.
    pub(super) points: Vec<String>,
    /// What was not as it should be.
    pub(super) wrong: Option<String>,
}

impl Baseline {
    /// Does everything that comes before, then the scenario, undisturbed.
    pub(super) async fn of(scenario: Scenario, folder: &Path) -> Result<Self, Refusal> {
        let folder = folder.join(scenario.to_string());
        let before = folder.join("before");
        let cache = cache(&folder);
        std::fs::create_dir_all(&folder).map_err(|error| unusable(&error))?;
        for earlier in scenario.before() {
            undisturbed(earlier, &before, &cache).await?;
        }
        let mut baseline = Self { scenario, folder, points: 0, evidence: Evidence::new() };
        let home = baseline.new_home("baseline")?;
        (baseline.evidence, baseline.points) = undisturbed(scenario, &home, &cache).await?;
        Ok(baseline)
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
    /// A run of the baseline's scenario that dies at these points, one after the other.
    pub(super) fn new(baseline: &Baseline, number: usize, deaths: Vec<u64>) -> Self {
        Self { home: baseline.folder.join(format!("trial-{number}")), deaths }
    }

    /// Runs it to the end. A host that does not start any more, or a job that is stuck, is what
    /// this is to find out, and no reason to stop looking.
    pub(super) async fn run(self, baseline: &Baseline) -> Result<Ran, Refusal> {
        let name = self.home.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let home = baseline.new_home(&name)?;
        let mut points = Vec::new();
        let lived = lives(&self.deaths, &home, baseline, &mut points).await;
        let wrong = match lived {
            Ok((job, found)) => wrong(job.as_ref(), &found, &baseline.evidence),
            Err(refusal) => Some(refusal.message),
        };
        if wrong.is_none() {
            std::fs::remove_dir_all(&home).map_err(|error| unusable(&error))?;
        }
        Ok(Ran { home, points, wrong })
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
        if self.points.is_empty() { "nothing".to_owned() } else { self.points.join(", ") }
    }
}

/// What is not as it should be.
fn wrong(job: Option<&Value>, found: &Evidence, wanted: &Evidence) -> Option<String> {
    let status = job.and_then(|job| job.get("status")?.as_str()).unwrap_or("lost");
    if status != "completed" {
        let error = job.and_then(|job| job.get("error")?.as_str()).unwrap_or_default();
        return Some(format!("the job is {status}: {error}"));
    }
    let all = found.keys().chain(wanted.keys().filter(|key| !found.contains_key(*key)));
    let differing: Vec<String> = all
        .filter_map(|what| {
            let count = |evidence: &Evidence| evidence.get(what).copied().unwrap_or_default();
            let (found, wanted) = (count(found), count(wanted));
            (found != wanted).then(|| format!("{what}: {found} times instead of {wanted}"))
        })
        .collect();
    (!differing.is_empty()).then(|| differing.join("; "))
}

/// Lets one host after the other live on this home, the last one to the end. Answers how the job
/// ended then, and what is to be seen of it all.
async fn lives(
    deaths: &[u64],
    home: &Path,
    baseline: &Baseline,
    points: &mut Vec<String>,
) -> Result<(Option<Value>, Evidence), Refusal> {
    let cache = cache(&baseline.folder);
    let (mut ended, mut records) = (None, Evidence::new());
    for &die_at in deaths.iter().chain([&NEVER]) {
        let mut victim = match Victim::start(home, &cache, die_at).await? {
            Start::Runs(victim) => victim,
            Start::Died(point) => {
                points.push(point);
                continue;
            }
        };
        if let Some(job) = victim.submit(baseline.scenario).await?
            && let Seen::Ended(job) = victim.watch(&job).await?
        {
            ended = Some(job);
            if die_at == NEVER {
                records = victim.records().await?;
            }
        }
        if let End::Died(point) = victim.end().await? {
            points.push(point);
        }
    }
    records.extend(evidence::read(home)?);
    Ok((ended, records))
}

/// Runs it with nobody killed. Answers what is to be seen afterwards, and how many points it came to.
async fn undisturbed(
    scenario: Scenario,
    home: &Path,
    cache: &Path,
) -> Result<(Evidence, u64), Refusal> {
    let died = || Refusal::new(Exit::JobFailed, "An undisturbed host died.");
    let Start::Runs(mut victim) = Victim::start(home, cache, NEVER).await? else {
        return Err(died());
    };
    let job = victim.submit(scenario).await?.ok_or_else(died)?;
    let Seen::Ended(job) = victim.watch(&job).await? else { return Err(died()) };
    let mut found = victim.records().await?;
    let End::Told(points) = victim.end().await? else { return Err(died()) };
    if job.get("status").and_then(Value::as_str) != Some("completed") {
        let message = format!("`{scenario}` fails although nobody disturbs it: {job}");
        return Err(Refusal::new(Exit::JobFailed, message));
    }
    found.extend(evidence::read(home)?);
    Ok((found, points))
}

/// Compiled plugins, for all hosts.
fn cache(folder: &Path) -> PathBuf {
    folder.parent().unwrap_or(folder).join("cache")
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seen(things: &[(&str, usize)]) -> Evidence {
        things.iter().map(|&(what, count)| (what.to_owned(), count)).collect()
    }

    #[test]
    fn whatever_was_done_twice_or_is_left_over_is_wrong() {
        let job = json!({ "status": "completed" });
        let wanted = seen(&[("did: order a", 1), ("there: machine a", 1)]);
        assert_eq!(wrong(Some(&job), &wanted, &wanted), None);
        for (found, said) in [
            (
                seen(&[("did: order a", 2), ("there: machine a", 1)]),
                "order a: 2 times instead of 1",
            ),
            (seen(&[("did: order a", 1)]), "machine a: 0 times instead of 1"),
            (
                seen(&[("did: order a", 1), ("there: machine a", 1), ("there: key k", 1)]),
                "key k: 1 times instead of 0",
            ),
        ] {
            let said_of_it = wrong(Some(&job), &found, &wanted).unwrap();
            assert!(said_of_it.contains(said), "{said_of_it}");
        }
    }

    #[test]
    fn a_job_that_did_not_complete_is_wrong() {
        let failed = json!({ "status": "failed", "error": "no luck" });
        let nothing = Evidence::new();
        assert!(wrong(Some(&failed), &nothing, &nothing).unwrap().contains("failed: no luck"));
        assert!(wrong(None, &nothing, &nothing).unwrap().contains("lost"));
    }
}
