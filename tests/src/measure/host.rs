//! The program under test in a process of its own, asked as clients ask it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tests::agent::Agent;
use tokio::task::JoinSet;

use crate::floors::REST;

/// A running host.
pub(crate) struct Host {
    child: Child,
    url: String,
    token: String,
    client: reqwest::Client,
    home: PathBuf,
}

impl Host {
    /// One with its home in this folder, when it listens.
    pub(crate) async fn start(program: &Path, folder: &Path) -> Result<Arc<Self>> {
        let home = folder.join("home");
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--home"])
            .arg(&home)
            .env("WINDLASS_SANDBOX_PACE", "instant")
            .env("WINDLASS_LOG", "error,rmcp::service=off")
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let url = line.trim().strip_prefix("listening on ").context(line.clone())?.to_owned();
        let token = std::fs::read_to_string(home.join("token"))?.trim().to_owned();
        Ok(Arc::new(Self { child, url, token, client: reqwest::Client::new(), home }))
    }

    /// Its home.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// An agent's client of it.
    pub(crate) fn agent(&self) -> Agent {
        Agent::at(&self.url, self.token.clone())
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Asks once. The answer must have this status.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        expected: u16,
    ) -> Result<Value> {
        let request = self.client.request(method, format!("{}{path}", self.url));
        let request = request.bearer_auth(&self.token);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status == expected, "{path}: {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Asks for a server of this name, and answers the job.
    pub(crate) async fn create(&self, name: &str) -> Result<String> {
        let body = json!({ "name": name, "server_type": "cx23", "region": "nbg1" });
        let made = self.ask(Method::POST, "/api/servers", Some(body), 202).await?;
        Ok(made["job_id"].as_str().context("no job")?.to_owned())
    }

    /// Puts a component in the place of a plugin that came with the program.
    pub(crate) async fn add_plugin(&self, component: Vec<u8>) -> Result<()> {
        let query = "accept_grants=true&replace_built_in=true";
        let added = self.client.post(format!("{}/api/plugins?{query}", self.url));
        let added = added.header("Content-Type", "application/wasm").body(component);
        let added = added.bearer_auth(&self.token).send().await?;
        let (status, text) = (added.status(), added.text().await?);
        ensure!(status == 201, "the plugin is not taken: {status}: {text}");
        Ok(())
    }

    /// Has this done so often by so many clients at once, and answers the sorted times.
    pub(crate) async fn series<F>(
        self: &Arc<Self>,
        turns: usize,
        clients: usize,
        work: impl Fn(Arc<Self>, usize) -> F + Send + Sync + 'static,
    ) -> Result<Vec<Duration>>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let (work, mut tasks) = (Arc::new(work), JoinSet::new());
        for client in 0..clients {
            let (host, work) = (Arc::clone(self), Arc::clone(&work));
            tasks.spawn(async move {
                let mut took = Vec::new();
                for turn in 0..turns / clients {
                    let began = Instant::now();
                    work(Arc::clone(&host), client * (turns / clients) + turn).await?;
                    took.push(began.elapsed());
                }
                anyhow::Ok(took)
            });
        }
        let mut all = Vec::new();
        while let Some(took) = tasks.join_next().await {
            all.extend(took??);
        }
        all.sort_unstable();
        Ok(all)
    }

    /// Waits until a job has ended.
    pub(crate) async fn until_ended(&self, job: &str) -> Result<()> {
        let path = format!("/api/jobs/{job}");
        loop {
            tokio::time::sleep(REST).await;
            let shown = self.ask(Method::GET, &path, None, 200).await?;
            match shown["status"].as_str() {
                Some("queued" | "running") => {}
                _ => return Ok(()),
            }
        }
    }

    /// Waits until so many jobs run and none waits for a worker.
    pub(crate) async fn until_running(&self, count: u64) -> Result<()> {
        let began = Instant::now();
        loop {
            let health = self.ask(Method::GET, "/health", None, 200).await?;
            if health["jobs"] == json!({ "queued": 0, "running": count }) {
                return Ok(());
            }
            ensure!(began.elapsed() < Duration::from_secs(300), "{health}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Its resident memory in MB.
    pub(crate) fn memory_mb(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS")).context("no VmRSS")?;
        let kb: f64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
        Ok(kb / 1024.0)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many commits of this database waited for the disk.
pub(crate) fn commits(database: &Path) -> Result<u32> {
    let database = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let sql = "SELECT n FROM counters WHERE name = 'commits'";
    Ok(database.query_row(sql, [], |row| row.get(0))?)
}
