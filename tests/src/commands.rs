//! What a job ran on servers, as its journal tells.

use std::fmt;

use serde_json::Value;

use crate::host_process::TestHost;

/// A command that a job sent to a server.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its first line.
    pub line: String,
    /// SHA-256 of all of it.
    pub sha256: String,
    /// Its receipt on the server.
    pub receipt: String,
    /// How it ended; none when it did not end by itself.
    pub exit_code: Option<i64>,
    /// Why it did not.
    pub failure: Option<String>,
    /// How long it took.
    pub took_ms: u64,
    /// How its end was found out after a crash of the host.
    pub recovered: Option<String>,
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, sha256, receipt, took_ms, .. } = self;
        let code = self.exit_code.map_or_else(|| "-".to_owned(), |code| code.to_string());
        let how = self.failure.as_deref().or(self.recovered.as_deref()).unwrap_or_default();
        write!(f, "{receipt}  {sha256:.12}  {code:>4}  {took_ms:>8} ms  {line}  {how}")
    }
}

/// All commands of a job, in order, printed as a table.
pub async fn sent(host: &TestHost, job: &str) -> Vec<Sent> {
    let mut commands: Vec<Sent> = Vec::new();
    let mut after = 0;
    loop {
        let path = format!("/api/jobs/{job}/journal?limit=1000&after={after}");
        let (_, page) = host.get(&path).await;
        for entry in page["entries"].as_array().unwrap() {
            note(&mut commands, entry);
        }
        match page["next_after"].as_u64() {
            Some(next) => after = next,
            None => break,
        }
    }
    println!("receipt, digest, exit code, duration and first line of what {job} ran:");
    for command in &commands {
        println!("{command}");
    }
    commands
}

fn note(commands: &mut Vec<Sent>, entry: &Value) {
    let remote = &entry["remote"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let Some(receipt) = text(&remote["receipt"]) else { return };
    if entry["kind"] == "intent" {
        commands.push(Sent {
            line: text(&remote["first_line"]).unwrap(),
            sha256: text(&remote["sha256"]).unwrap(),
            receipt,
            exit_code: None,
            failure: None,
            took_ms: 0,
            recovered: None,
        });
        return;
    }
    let command = commands.iter_mut().find(|command| command.receipt == receipt).unwrap();
    command.exit_code = remote["exit_code"].as_i64();
    command.failure = text(&entry["result"]["Err"]["code"]);
    command.took_ms = entry["duration_ms"].as_u64().unwrap();
    command.recovered = text(&entry["recovered"]);
}
