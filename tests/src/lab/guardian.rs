//! The process that keeps the engine and takes it down when nobody needs it any more.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

/// The network bridge of the lab.
const BRIDGE: &str = "windlass-lab";

/// A running guardian. It ends when this process does, since it reads from it: also after SIGKILL.
pub(super) struct Guardian {
    process: Child,
    subnet: String,
}

impl Guardian {
    /// Starts it and waits for its engine.
    pub(super) fn start(cache: &Path) -> Result<Self> {
        let mut process = Command::new("sh")
            .args(["-c", include_str!("guardian.sh"), "windlass-lab-guardian"])
            .arg(cache)
            .arg(BRIDGE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Control-C at a terminal is for the tests alone.
            .process_group(0)
            .spawn()?;
        let output = process.stdout.take().context("the guardian has an output")?;
        let mut word = String::new();
        BufReader::new(output).read_line(&mut word)?;
        let mut guardian = Self { process, subnet: String::new() };
        match word.trim().split_once(' ') {
            Some(("ready", subnet)) => subnet.clone_into(&mut guardian.subnet),
            Some(("failed", reason)) => bail!("{reason}"),
            _ => bail!("the guardian ended without a word"),
        }
        Ok(guardian)
    }

    /// The first three numbers of the lab's addresses.
    pub(super) fn subnet(&self) -> &str {
        &self.subnet
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().map(drop).unwrap_or_default();
    }
}
