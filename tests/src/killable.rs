//! A workshop in a process of its own, which can be killed.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use windlass::model::names::JobId;

/// A process that runs one job and ends with it.
pub struct KillableWorkshop {
    child: Child,
}

impl KillableWorkshop {
    /// One in this home, whose job misbehaves on a server in this way, with that.
    pub fn start(home: &Path, server: &str, how: &str, what: &Value) -> Self {
        let test = std::env::current_exe().unwrap();
        let program = test.ancestors().nth(2).unwrap().join("workshop-under-test");
        let child = Command::new(program)
            .arg(home)
            .args([server, how, &what.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
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
        let ended = self.child.wait().await.unwrap();
        assert!(ended.success(), "{ended}");
    }

    /// Ends it as a power cut would.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}
