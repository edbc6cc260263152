//! A workshop in a process of its own, which can be killed.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use windlass::effects::boundary::LAST_WORDS;
use windlass::model::names::JobId;

/// A process that runs one job and ends with it.
pub struct KillableWorkshop {
    child: Child,
}

impl KillableWorkshop {
    /// One in this home, whose job misbehaves on a server in this way, with that.
    pub fn start(home: &Path, server: &str, how: &str, what: &Value) -> Self {
        Self::start_to_die(home, server, (how, what), &[])
    }

    /// The same, with the point at which it dies, and the word at which it cancels its job.
    pub fn start_to_die(
        home: &Path,
        server: &str,
        (how, what): (&str, &Value),
        fate: &[&str],
    ) -> Self {
        let test = std::env::current_exe().unwrap();
        let program = test.ancestors().nth(2).unwrap().join("workshop-under-test");
        let child = Command::new(program)
            .arg(home)
            .args([server, how, &what.to_string()])
            .args(fate)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { child }
    }

    /// Its job, as soon as that is on disk.
    pub async fn job(&mut self) -> JobId {
        let mut line = String::new();
        let output = self.child.stdout.as_mut().expect("it is asked once");
        BufReader::new(output).read_line(&mut line).await.unwrap();
        line.trim().parse().unwrap()
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) {
        let mut words = String::new();
        let stderr = self.child.stderr.as_mut().expect("it is piped");
        stderr.read_to_string(&mut words).await.unwrap();
        let ended = self.child.wait().await.unwrap();
        assert!(ended.success(), "{ended}: {words}");
    }

    /// Waits until it has died at one of its points, and answers which.
    pub async fn died(mut self) -> String {
        let mut words = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut words).await.unwrap();
        let ended = self.child.wait().await.unwrap();
        let died = words.lines().find_map(|line| line.strip_prefix(LAST_WORDS));
        died.unwrap_or_else(|| panic!("{ended}: {words}")).to_owned()
    }

    /// Ends it as a power cut would.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}
