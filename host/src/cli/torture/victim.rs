//! A host in a process of its own that is there to be killed.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::app::evidence::LAST_WORDS;
use crate::cli::torture::scenario::Scenario;
use crate::cli::watch::is_finished;
use crate::cli::{Exit, Refusal};

/// How long a start, a job, or an end may take.
const DEADLINE: Duration = Duration::from_secs(120);

/// How long between two looks at a job.
const LOOK: Duration = Duration::from_millis(10);

/// A running host.
pub(super) struct Victim {
    child: Child,
    url: String,
    token: String,
    client: reqwest::Client,
}

/// How a job stands when nobody can ask any more, or need not.
pub(super) enum Seen {
    /// The job ended so.
    Ended(Value),
    /// The host died before.
    Died,
}

impl Victim {
    /// Starts a host that dies at this point.
    pub(super) async fn start(
        home: &Path,
        cache: &Path,
        die_at: Option<u64>,
    ) -> Result<Self, Refusal> {
        let program = std::env::current_exe().map_err(|error| failed("start", &error))?;
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--home"]).arg(home);
        if let Some(point) = die_at {
            command.args(["--die-at", &point.to_string()]);
        }
        command
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
            return Err(failed("start", &format!("it said {}", words.trim())));
        };
        let token = tokio::fs::read_to_string(home.join("token")).await;
        let token = token.map_err(|error| failed("let us in", &error))?;
        Ok(Self { child, url, token, client: reqwest::Client::new() })
    }

    /// Makes the scenario's job, or the same one again: none when the host died.
    pub(super) async fn submit(&self, scenario: Scenario) -> Result<Option<String>, Refusal> {
        let (method, path, body) = scenario.request();
        let request = self.client.request(method, format!("{}{path}", self.url));
        let request = request
            .bearer_auth(self.token.trim())
            .header("Idempotency-Key", format!("torture-{scenario}"));
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let Ok(response) = request.timeout(DEADLINE).send().await else { return Ok(None) };
        let status = response.status();
        let Ok(answer) = response.json::<Value>().await else { return Ok(None) };
        match answer.get("job_id").and_then(Value::as_str) {
            Some(job) if status == StatusCode::ACCEPTED => Ok(Some(job.to_owned())),
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

    /// Asks the host to end and waits until it did: a job's last points are passed by then. Answers
    /// the point at which it died, unless it ended by itself.
    pub(super) async fn end(mut self) -> Result<Option<String>, Refusal> {
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // A process that is gone needs no telling.
            kill_process(pid, Signal::TERM).unwrap_or_default();
        }
        let words = tokio::time::timeout(DEADLINE, words(&mut self.child)).await;
        let words = words.map_err(|_elapsed| failed("end", &"it does not"))?;
        let ended = self.child.wait().await.map_err(|error| failed("end", &error))?;
        let point = words.lines().find_map(|line| line.strip_prefix(LAST_WORDS));
        match point {
            Some(point) => Ok(Some(point.to_owned())),
            None if ended.success() => Ok(None),
            None => Err(failed("end well", &format!("{ended}: {}", words.trim()))),
        }
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
