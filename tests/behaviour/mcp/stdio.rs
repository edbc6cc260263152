//! Agents on standard input and output.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::agent::Agent;
use tests::host_process::{TestHost, program};

use super::{host_with_endless_job, wanted};

const DEADLINE: Duration = Duration::from_secs(180);

/// `windlass mcp`, as a client starts it.
pub(super) struct Proxy {
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
}

impl Proxy {
    pub(super) fn start(home: &Path, settings: &[(&str, &str)], flags: &[&str]) -> Self {
        let mut command = program();
        command.arg("--home").arg(home).arg("mcp").args(flags).envs(settings.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("the program can be started");
        let output = BufReader::new(child.stdout.take().expect("an output"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { input: child.stdin.take(), child, lines }
    }

    fn send(&mut self, message: &Value) {
        let input = self.input.as_mut().expect("the input is open");
        writeln!(input, "{message}").expect("the program reads");
    }

    /// The next message; every line has to be one.
    fn next(&self) -> Value {
        let line = self.lines.recv_timeout(DEADLINE).expect("an answer in time");
        let message: Value = serde_json::from_str(&line).expect("a line is JSON");
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        message
    }

    pub(super) fn ask(&mut self, message: &Value) -> Value {
        self.send(message);
        self.next()
    }

    /// Closes the input, and answers how long the end took.
    pub(super) fn end(mut self) -> Duration {
        drop(self.input.take());
        let began = Instant::now();
        assert!(self.child.wait().expect("it ends").success());
        began.elapsed()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn hello() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "old", "version": "1" } } })
}

fn call(id: u64, tool: &str, arguments: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": { "name": tool, "arguments": arguments } })
}

#[tokio::test]
async fn both_openers_reach_the_host_of_the_home() {
    let host = TestHost::start().await;
    let mut agent = Proxy::start(&host.home(), &[], &["--stdio"]);
    assert_eq!(agent.ask(&hello())["result"]["protocolVersion"], "2025-11-25");
    agent.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    let started = agent.ask(&call(2, "criar-servidor", wanted("web-1")));
    let job = started["result"]["structuredContent"]["job_id"].as_str().expect("a job").to_owned();
    host.wait_for(&job, "completed").await;
    let discover = Agent::of(&host).message("server/discover", json!({}));
    assert!(agent.ask(&discover)["result"]["supportedVersions"].is_array());
    assert!(agent.end() < Duration::from_secs(10));
}

#[test]
fn a_host_is_started_where_none_runs_and_ends_with_the_agent() {
    let home = tempfile::tempdir().expect("a folder");
    let home = home.path().join("home");
    let mut agent = Proxy::start(&home, &[], &[]);
    agent.ask(&hello());
    let started = agent.ask(&call(2, "criar-servidor", wanted("web-1")));
    let job = started["result"]["structuredContent"]["job_id"].clone();
    let waited = agent.ask(&call(3, "aguardar-job-completo", json!({ "job_id": job })));
    assert_eq!(waited["result"]["structuredContent"]["status"], "completed", "{waited:#}");
    assert!(agent.end() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_host_elsewhere_is_found_by_the_names_that_agents_know() {
    let host = TestHost::start().await;
    let home = tempfile::tempdir().expect("a folder");
    let token = host.token();
    let settings = [("LIVCHAT_API_URL", host.url()), ("LIVCHAT_API_KEY", token.trim())];
    let mut agent = Proxy::start(home.path(), &settings, &["--read-only"]);
    agent.ask(&hello());
    let list = json!({ "jsonrpc": "2.0", "id": "x", "method": "tools/list", "params": {} });
    let list = agent.ask(&list);
    assert_eq!(
        (&list["id"], list["result"]["tools"].as_array().map(Vec::len)),
        (&json!("x"), Some(7))
    );
    drop(agent);
    let settings = [("LIVCHAT_API_URL", host.url()), ("LIVCHAT_API_KEY", "wrong")];
    let mut agent = Proxy::start(home.path(), &settings, &[]);
    assert!(agent.ask(&hello())["error"]["message"].as_str().expect("words").contains("token"));
}

#[tokio::test]
async fn a_request_that_is_cancelled_is_not_answered() {
    let (host, _cloud, job) = host_with_endless_job().await;
    let mut agent = Proxy::start(&host.home(), &[], &[]);
    agent.ask(&hello());
    let mut wait = call(7, "aguardar-job-completo", json!({ "job_id": job }));
    wait["params"]["_meta"] = json!({ "progressToken": 7 });
    assert_eq!(agent.ask(&wait)["method"], "notifications/progress");
    agent.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
                        "params": { "requestId": 7 } }));
    let shown = agent.ask(&call(8, "verificar-job", json!({ "job_id": job })));
    assert_eq!(
        (&shown["id"], &shown["result"]["structuredContent"]["done"]),
        (&json!(8), &json!(false))
    );
}

#[tokio::test]
async fn a_host_that_starts_again_in_the_middle_of_a_wait_is_found_again() {
    let (mut host, _cloud, job) = host_with_endless_job().await;
    let mut agent = Proxy::start(&host.home(), &[], &[]);
    agent.ask(&hello());
    let mut wait = call(7, "aguardar-job-completo", json!({ "job_id": job }));
    wait["params"]["_meta"] = json!({ "progressToken": 7 });
    assert_eq!(agent.ask(&wait)["method"], "notifications/progress");
    host.crash();
    host.restart().await;
    let cut = agent.next();
    assert_eq!((&cut["id"], &cut["result"]["isError"]), (&json!(7), &json!(true)), "{cut:#}");
    let shown = agent.ask(&call(8, "verificar-job", json!({ "job_id": job })));
    assert_eq!(shown["result"]["structuredContent"]["done"], false, "{shown:#}");
}

#[test]
fn what_is_no_message_is_answered_with_an_error_and_the_rest_goes_on() {
    let home = tempfile::tempdir().expect("a folder");
    let mut agent = Proxy::start(&home.path().join("home"), &[], &[]);
    writeln!(agent.input.as_mut().expect("open"), "no JSON").expect("the program reads");
    assert_eq!(agent.next()["error"]["code"], -32_700);
    assert_eq!(agent.ask(&hello())["id"], 1);
}
