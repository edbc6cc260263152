//! A host in a process of its own that is there to be killed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::app::evidence::{Evidence, LAST_WORDS, POINTS_PASSED};
use crate::cli::torture::life::Life;
use crate::cli::torture::scenario::{SERVER, Scenario};
use crate::cli::watch::is_finished;
use crate::cli::{Exit, Refusal};

/// How long a start, a job, or an end may take.
const DEADLINE: Duration = Duration::from_secs(120);

/// How long between two looks at a job.
const LOOK: Duration = Duration::from_millis(10);

/// The program that this process runs, where the system keeps one: a path could lead to another one
/// by now, when somebody builds it anew meanwhile.
const ITSELF: &str = "/proc/self/exe";

/// The number of a point that no run comes to: points are counted all the same.
const NEVER: u64 = u64::MAX;

/// A running host.
pub(super) struct Victim {
    child: Child,
    url: String,
    token: String,
    client: reqwest::Client,
}

/// What came of a start.
pub(super) enum Start {
    /// It listens.
    Runs(Box<Victim>),
    /// It took a job up again, and died at this point before it could say that it listens.
    Died(String),
}

/// What came of a request.
pub(super) enum Asked {
    /// This job.
    Job(String),
    /// There is nothing that could be removed any more.
    Nothing,
    /// The host died before it answered.
    Died,
}

/// How a job stands when nobody can ask any more, or need not.
pub(super) enum Seen {
    /// The job ended so.
    Ended(Value),
    /// The host died before.
    Died,
}

/// How a host ended.
pub(super) enum End {
    /// It was told to, having come to so many points of its jobs' runs.
    Told(u64),
    /// It died at this point.
    Died(String),
}

impl Victim {
    /// Starts a host that has this life before it.
    pub(super) async fn start(home: &Path, cache: &Path, life: Life) -> Result<Start, Refusal> {
        let mut command = Command::new(program().map_err(|error| failed("start", &error))?);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--home"])
            .arg(home)
            .args(["--die-at", &life.death.unwrap_or(NEVER).to_string()])
            .args(["--cancel-at", &life.cancel.unwrap_or(NEVER).to_string()])
            .env("WINDLASS_SANDBOX_PACE", "instant")
            .env("WINDLASS_CACHE", cache)
            .env("WINDLASS_LOG", "error")
            .env_remove("WINDLASS_KEY")
            .env_remove("WINDLASS_PASSPHRASE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| failed("start", &error))?;
        let url = tokio::time::timeout(DEADLINE, address(&mut child)).await;
        let Some(url) = url.ok().flatten() else {
            let words = words(&mut child).await;
            let died = words.lines().find_map(|line| line.strip_prefix(LAST_WORDS));
            let died = died.map(|point| Start::Died(point.to_owned()));
            return died.ok_or_else(|| failed("start", &format!("it said {}", words.trim())));
        };
        let token = tokio::fs::read_to_string(home.join("token")).await;
        let token = token.map_err(|error| failed("let us in", &error))?;
        let client = reqwest::Client::new();
        Ok(Start::Runs(Box::new(Self { child, url, token, client })))
    }

    /// Makes the scenario's job, or the same one again where the key is the same.
    pub(super) async fn submit(&self, scenario: Scenario, key: &str) -> Result<Asked, Refusal> {
        let (method, path, body) = scenario.request();
        let request = self.client.request(method, format!("{}{path}", self.url));
        let request = request
            .bearer_auth(self.token.trim())
            .header("Idempotency-Key", format!("torture-{key}"));
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let Ok(response) = request.timeout(DEADLINE).send().await else {
            return Ok(Asked::Died);
        };
        let status = response.status();
        let Ok(answer) = response.json::<Value>().await else { return Ok(Asked::Died) };
        match answer.get("job_id").and_then(Value::as_str) {
            Some(job) if status == StatusCode::ACCEPTED => Ok(Asked::Job(job.to_owned())),
            _ if status == StatusCode::NOT_FOUND => Ok(Asked::Nothing),
            _ => Err(failed("make a job", &answer)),
        }
    }

    /// Waits for the end of a job and of all others, or of the host.
    pub(super) async fn watch(&mut self, job: &str) -> Result<Seen, Refusal> {
        let watched = tokio::time::timeout(DEADLINE, async {
            loop {
                if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                    return Seen::Died;
                }
                let ended = self.get(&format!("/api/jobs/{job}")).await.filter(is_finished);
                if let Some(ended) = ended
                    && self.is_quiet().await
                {
                    return Seen::Ended(ended);
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        watched.await.map_err(|_elapsed| failed("finish", &format!("{job} is stuck")))
    }

    /// What the host has on record, in words that are the same for two runs that did the same.
    pub(super) async fn records(&self) -> Result<Evidence, Refusal> {
        let mut records = Evidence::new();
        let mut see = |what: String| *records.entry(what).or_default() += 1;
        for job in self.list("/api/jobs?limit=100", "jobs").await? {
            see(format!("recorded: job {} {}", text(&job, "type"), text(&job, "status")));
        }
        for server in self.list("/api/servers", "servers").await? {
            let (name, status) = (text(&server, "name"), text(&server, "status"));
            let machine = if server.get("provider_id").is_some_and(Value::is_string) {
                "a machine"
            } else {
                "no machine"
            };
            see(format!("recorded: server {name} {status}, {machine}"));
        }
        for app in self.list(&format!("/api/servers/{SERVER}/apps"), "apps").await? {
            let (name, status) = (text(&app, "app_name"), text(&app, "recorded_status"));
            see(format!("recorded: app {name} {status}, {} there", text(&app, "status")));
        }
        Ok(records)
    }

    /// All jobs that did not complete, with all that there is to say about them.
    pub(super) async fn stopped(&self) -> Result<Vec<Value>, Refusal> {
        let mut stopped = Vec::new();
        for job in
            self.list("/api/jobs?status=failed,cancelled,uncertain&limit=100", "jobs").await?
        {
            let path = format!("/api/jobs/{}", text(&job, "job_id"));
            let job = self.get(&path).await;
            stopped.push(job.ok_or_else(|| failed("answer", &format!("{path} has none")))?);
        }
        Ok(stopped)
    }

    /// What is in a list, or in an object by name; nothing where there is no such list.
    async fn list(&self, path: &str, field: &str) -> Result<Vec<Value>, Refusal> {
        let answer = self.get(path).await;
        let answer = answer.ok_or_else(|| failed("answer", &format!("{path} has none")))?;
        let is_absent = answer.get("code").and_then(Value::as_str) == Some("no_such_server");
        match answer.get(field) {
            Some(Value::Array(found)) => Ok(found.clone()),
            Some(Value::Object(found)) => Ok(found.values().cloned().collect()),
            _ if is_absent => Ok(Vec::new()),
            _ => Err(failed("answer", &format!("{path}: {answer}"))),
        }
    }

    /// Asks the host to end and waits until it did: a job's last points are passed by then.
    pub(super) async fn end(mut self) -> Result<End, Refusal> {
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // A process that is gone needs no telling.
            kill_process(pid, Signal::TERM).unwrap_or_default();
        }
        let words = tokio::time::timeout(DEADLINE, words(&mut self.child)).await;
        let words = words.map_err(|_elapsed| failed("end", &"it does not"))?;
        let ended = self.child.wait().await.map_err(|error| failed("end", &error))?;
        let said = |what: &str| words.lines().find_map(|line| line.strip_prefix(what));
        match (said(LAST_WORDS), said(POINTS_PASSED).map(str::parse)) {
            (Some(point), _) => Ok(End::Died(point.to_owned())),
            (None, Some(Ok(passed))) if ended.success() => Ok(End::Told(passed)),
            (None, _) => Err(failed("end well", &format!("{ended}: {}", words.trim()))),
        }
    }

    /// It was not to.
    pub(super) fn died() -> Refusal {
        Refusal::new(Exit::JobFailed, "A host died that nobody killed.")
    }

    async fn is_quiet(&self) -> bool {
        let path = "/api/jobs?status=queued,running&limit=1";
        let jobs = self.get(path).await;
        jobs.as_ref().and_then(|jobs| jobs.get("jobs")?.as_array()).is_some_and(Vec::is_empty)
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let request = self.client.get(format!("{}{path}", self.url)).timeout(DEADLINE);
        request.bearer_auth(self.token.trim()).send().await.ok()?.json().await.ok()
    }
}

fn text(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or("?").to_owned()
}

fn program() -> std::io::Result<PathBuf> {
    let itself = Path::new(ITSELF);
    if itself.exists() { Ok(itself.to_owned()) } else { std::env::current_exe() }
}

/// Where the host says that it listens.
async fn address(child: &mut Child) -> Option<String> {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut()?).read_line(&mut line).await.ok()?;
    line.trim().strip_prefix("listening on ").map(str::to_owned)
}

/// All that the host says on its standard error until it ends.
async fn words(child: &mut Child) -> String {
    let mut words = Vec::new();
    if let Some(stderr) = &mut child.stderr {
        stderr.read_to_end(&mut words).await.unwrap_or_default();
    }
    String::from_utf8_lossy(&words).into_owned()
}

fn failed(what: &str, why: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(Exit::JobFailed, format!("A host under torture did not {what}: {why}."))
}
