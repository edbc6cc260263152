//! A host as its users have it: the real program in a process of its own, asked over HTTP. Every
//! answer is held against the API's own description.

mod contract;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use reqwest::{Method, Response};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// How long anything may take before a test fails.
const DEADLINE: Duration = Duration::from_secs(180);

/// A running host with a home of its own.
pub struct TestHost {
    home: TempDir,
    options: Options,
    /// How much longer than usual the disk takes for each sync.
    sync_delay: Option<Duration>,
    child: Option<Child>,
    url: String,
    client: reqwest::Client,
}

/// What a host under test is told.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Variables of its environment, on top of the usual ones.
    pub environment: Vec<(String, String)>,
}

impl TestHost {
    /// A host with a new home, listening.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// The same, told more.
    pub async fn start_with(options: Options) -> Self {
        Self::start_in(TempDir::new().expect("a temporary folder can be made"), options).await
    }

    /// A host on a home that was made otherwise, which it moves to a place of its own.
    pub async fn start_on(home: &Path) -> Self {
        let place = TempDir::new().expect("a temporary folder can be made");
        std::fs::rename(home, place.path().join("home")).expect("the home can be moved");
        Self::start_in(place, Options::default()).await
    }

    async fn start_in(home: TempDir, options: Options) -> Self {
        let client = reqwest::Client::new();
        let mut host =
            Self { home, options, sync_delay: None, child: None, url: String::new(), client };
        host.run(&[]).await;
        host
    }

    /// Where it keeps everything.
    pub fn home(&self) -> PathBuf {
        self.home.path().join("home")
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the host runs").id()
    }

    /// Its resident memory, in bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// The admin's token that the first start wrote.
    pub fn token(&self) -> String {
        std::fs::read_to_string(self.home().join("token")).expect("there is a token")
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    /// What it wrote to its standard output so far.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.home.path().join("output")).unwrap_or_default()
    }

    /// Asks with the admin's token.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, None).await
    }

    /// Sends a body with the admin's token.
    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// Deletes with the admin's token.
    pub async fn delete(&self, path: &str) -> (u16, Value) {
        self.ask(Method::DELETE, path, None).await
    }

    /// A request that the test finishes itself, with the admin's token.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.bare_request(method, path).bearer_auth(self.token())
    }

    /// A request that the test finishes itself.
    pub fn bare_request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url)).timeout(DEADLINE)
    }

    /// Sends a request and holds its answer against the contract.
    pub async fn answer(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let request = request.build().expect("the request is one");
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = self.client.execute(request).await.expect("the host answers");
        let status = response.status().as_u16();
        let text = response.text().await.expect("the answer has a body");
        let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"));
        contract::check(method.as_str(), &path, status, &body);
        (status, body)
    }

    /// Makes a job and answers its id.
    pub async fn submit(&self, method: Method, path: &str, body: Option<Value>) -> String {
        let (status, answer) = self.ask(method, path, body).await;
        assert_eq!(status, 202, "{answer}");
        answer["job_id"].as_str().expect("a job has an id").to_owned()
    }

    /// Makes a job that creates a server on the sandbox.
    pub async fn create_server(&self, name: &str) -> String {
        let body = json!({ "name": name, "server_type": "cx23", "region": "nbg1" });
        self.submit(Method::POST, "/api/servers", Some(body)).await
    }

    /// Waits until a job had this status, and answers the job as it is then.
    pub async fn wait_for(&self, job: &str, status: &str) -> Value {
        self.wait_within(job, status, DEADLINE).await
    }

    /// The same for what takes longer than usual.
    pub async fn wait_within(&self, job: &str, status: &str, deadline: Duration) -> Value {
        let waited = tokio::time::timeout(deadline, self.see_status(job, status)).await;
        waited.unwrap_or_else(|_| panic!("{job} was not {status} in time:\n{}", self.log()));
        self.get(&format!("/api/jobs/{job}")).await.1
    }

    /// Asks again and again until the answer is as wanted, and gives that one.
    pub async fn until(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            let mut pause = tokio::time::interval(Duration::from_millis(50));
            loop {
                pause.tick().await;
                let (_, answer) = self.get(path).await;
                if is_so(&answer) {
                    return answer;
                }
            }
        };
        let asked = tokio::time::timeout(DEADLINE, asking).await;
        asked.unwrap_or_else(|_| panic!("{path} never was as wanted:\n{}", self.log()))
    }

    /// Opens the stream of a job's events after this one.
    pub async fn events(&self, job: &str, after: u64) -> Events {
        self.stream(&format!("/api/jobs/{job}/events"), Some(after)).await
    }

    /// Opens the stream of all jobs' events after this one, or from now on.
    pub async fn all_events(&self, after: Option<u64>) -> Events {
        self.stream("/api/events", after).await
    }

    /// Opens a stream of events, after this one where it is named.
    pub async fn stream(&self, path: &str, after: Option<u64>) -> Events {
        let mut request = self.request(Method::GET, path);
        if let Some(after) = after {
            request = request.header("Last-Event-ID", after);
        }
        let response = request.send().await.expect("the host answers");
        assert_eq!(response.status(), 200);
        Events { response, text: String::new() }
    }

    /// Ends the process as a power cut would.
    pub fn crash(&mut self) {
        self.signal(Signal::KILL);
        self.reap();
    }

    /// Asks the process to end, and waits until it did.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let mut child = self.child.take().expect("the host runs");
        let waited = tokio::task::spawn_blocking(move || child.wait());
        let waited = tokio::time::timeout(DEADLINE, waited).await;
        waited.expect("the host ends in time").expect("no panic").expect("it can be waited for")
    }

    /// From its next start on, the disk takes so much longer for each sync.
    pub const fn slow_down(&mut self, delay: Option<Duration>) {
        self.sync_delay = delay;
    }

    /// From its next start on, it is told this too.
    pub fn set(&mut self, settings: &[(&str, &str)]) {
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        self.options.environment.extend(settings);
    }

    /// Starts it again on the same home.
    pub async fn restart(&mut self) {
        self.restart_with(&[]).await;
    }

    /// The same, with more on its command line.
    pub async fn restart_with(&mut self, arguments: &[&str]) {
        assert!(self.child.is_none(), "the host still runs");
        self.run(arguments).await;
    }

    /// Starts it again so that it dies at the point of this number of its jobs' runs. Answers whether
    /// it came so far as to listen.
    pub async fn restart_to_die(&mut self, point: u64) -> bool {
        assert!(self.child.is_none(), "the host still runs");
        self.listens(&["--die-at", &point.to_string()]).await
    }

    /// Waits until a job is completed, or the process has died. Answers whether it is completed.
    pub async fn completes(&self, job: &str) -> bool {
        let mut pause = tokio::time::interval(Duration::from_millis(50));
        loop {
            pause.tick().await;
            let asked = self.request(Method::GET, &format!("/api/jobs/{job}")).send().await;
            let Ok(answer) = asked else { return false };
            let Ok(job) = answer.json::<Value>().await else { return false };
            match job["status"].as_str() {
                Some("completed") => return true,
                Some("queued" | "running") => {}
                _ => panic!("{job:#}"),
            }
        }
    }

    /// Waits for the end of a process that ends by itself.
    pub fn died(&mut self) {
        self.reap();
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = self.request(method, path);
        self.answer(if let Some(body) = body { request.json(&body) } else { request }).await
    }

    async fn see_status(&self, job: &str, status: &str) {
        let mut events = self.events(job, 0).await;
        while let Some(event) = events.next().await {
            if event.name == "status" && event.content["status"] == status {
                return;
            }
        }
        panic!(
            "{job} ended without having been {status}: {:?}",
            self.get(&format!("/api/jobs/{job}")).await
        );
    }

    async fn run(&mut self, arguments: &[&str]) {
        assert!(self.listens(arguments).await, "the host did not start:\n{}", self.log());
    }

    async fn listens(&mut self, arguments: &[&str]) -> bool {
        let log = File::options().create(true).append(true).open(self.home.path().join("log"));
        let mut command = self.sync_delay.map_or_else(program, slowed);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--home"])
            .arg(self.home())
            .args(arguments)
            .envs(self.options.environment.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(log.expect("the log can be written"));
        let mut child = command.spawn().expect("the program can be started");
        let stdout = child.stdout.take().expect("it has a standard output");
        self.child = Some(child);
        let kept = File::options().create(true).append(true).open(self.home.path().join("output"));
        let line = first_line(stdout, kept.expect("its output can be kept"));
        let line = tokio::time::timeout(DEADLINE, line).await.expect("the host starts in time");
        let url =
            line.ok().and_then(|line| line.trim().strip_prefix("listening on ").map(str::to_owned));
        let listens = url.is_some();
        self.url = url.unwrap_or_default();
        listens
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("our own process can be told");
    }

    fn reap(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.wait().expect("our own process can be waited for");
        }
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the host's log:\n{}", self.log());
        }
    }
}

/// A stream of events.
pub struct Events {
    response: Response,
    text: String,
}

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// What it says.
    pub content: Value,
}

impl Events {
    /// The next event; none at the end of the stream.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let event = parse(message);
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
                continue;
            }
            let chunk = self.response.chunk().await.ok()??;
            self.text.push_str(std::str::from_utf8(&chunk).expect("events are text"));
        }
    }

    /// All that come until the stream ends.
    pub async fn all(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

/// The first line of an output, all of which goes into a file as it comes.
fn first_line(output: ChildStdout, mut kept: File) -> oneshot::Receiver<String> {
    let (first, line) = oneshot::channel();
    std::thread::spawn(move || {
        let mut first = Some(first);
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = writeln!(kept, "{line}");
            if let Some(first) = first.take() {
                let _ = first.send(line);
            }
        }
    });
    line
}

/// The program with a slow disk.
fn slowed(delay: Duration) -> Command {
    injected("fsync,fdatasync", &format!("delay_exit={}", delay.as_micros()))
}

/// The program, in which strace does this to these calls of the system. It is the process that is
/// started, and strace one beside it.
pub fn injected(calls: &str, what: &str) -> Command {
    let program = program();
    let mut command = Command::new("strace");
    command
        .args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", "signal=none"])
        .args(["-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:{what}")])
        .arg(program.get_program())
        .stdin(Stdio::null());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// The program under test, with an environment that does not depend on whose machine this is.
pub fn program() -> Command {
    let test = std::env::current_exe().expect("a test knows where it is");
    let mut folders = test.ancestors().skip(1);
    // Tests are in a folder of their own below that of the programs.
    let folder = folders.find(|folder| !folder.ends_with("deps"));
    let folder = folder.expect("programs are in a folder").to_owned();
    let mut command = Command::new(folder.join("windlass-under-test"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("WINDLASS_") || text.ends_with("_ENDPOINT") {
            command.env_remove(&name);
        }
    }
    command
        .env("WINDLASS_SANDBOX_PACE", "instant")
        .env("WINDLASS_CACHE", cache(&folder))
        .env("WINDLASS_LOG", "warn,windlass=debug")
        .stdin(Stdio::null());
    command
}

/// Builds the program under test of today's source, where cargo runs this: a program that cargo
/// runs has only itself built.
///
/// # Errors
/// When it does not build.
pub fn build_program() -> anyhow::Result<PathBuf> {
    let program = PathBuf::from(program().get_program());
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut build = Command::new(cargo);
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        build.args(["build", "--locked", "-p", "tests", "--bin", "windlass-under-test"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        build.arg("--target-dir").arg(crate::workshop::target());
        anyhow::ensure!(build.status()?.success(), "the program under test does not build");
    }
    Ok(program)
}

/// Compiled plugins, shared by all hosts under test.
fn cache(folder: &Path) -> PathBuf {
    folder.join("windlass-cache")
}

/// None for a comment that only keeps the connection.
fn parse(message: &str) -> Option<Event> {
    let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name));
    Some(Event {
        id: field("id: ")?.parse().expect("an id is a number"),
        name: field("event: ")?.to_owned(),
        content: serde_json::from_str(field("data: ")?).expect("an event is JSON"),
    })
}
