//! Effects on a server's commands and files.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::effects::Effect;
use crate::effects::context::JobContext;
use crate::effects::grants::Grant;
use crate::effects::inventory::record_of;
use crate::model::failure::Failure;
use crate::model::journal::Class;
use crate::model::names::{Identity, ServerName};
use crate::ssh::{Command, LineSink, Output, Remote, Stream};

const INTERFACE: &str = "ssh";

/// The largest file that a plugin may read, in bytes.
const DOWNLOAD_LIMIT: usize = 8 * 1024 * 1024;

/// Runs a command.
pub struct Exec {
    /// Where.
    pub server: ServerName,
    /// The line for the shell.
    pub command: String,
    /// What it reads on its standard input.
    pub stdin: Option<String>,
    /// For how long.
    pub timeout: Duration,
    /// Where its lines go while it runs.
    pub lines: Option<Arc<JobLog>>,
}

impl Effect for Exec {
    type Answer = Output;
    const FUNCTION: &'static str = "ssh.exec";
    const CLASS: Class = Class::Exec;

    fn needs(&self) -> Grant<'_> {
        on(&self.server)
    }

    fn request(&self) -> Value {
        json!({
            "server": self.server,
            "command": self.command,
            "stdin_sha256": self.stdin.as_ref().map(|text| sha256(text.as_bytes())),
            "timeout_ms": self.timeout.as_millis(),
        })
    }

    async fn act(&self, job: &JobContext, identity: &Identity) -> Result<Output, Failure> {
        let lines = self.lines.as_ref().map(|log| Arc::clone(log).numbered(identity.effect));
        let command = Command {
            receipt: identity.clone(),
            line: self.command.clone(),
            stdin: self.stdin.clone().map(String::into_bytes),
            timeout: self.timeout,
            cancel: job.cancel_token(),
            lines,
        };
        Ok(remote(job, &self.server).await?.exec(command).await?)
    }
}

/// Writes a file.
pub struct Upload {
    /// Where.
    pub server: ServerName,
    /// Its path.
    pub path: String,
    /// What is in it.
    pub content: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
}

impl Effect for Upload {
    type Answer = ();
    const FUNCTION: &'static str = "ssh.upload";
    const CLASS: Class = Class::Put;

    fn needs(&self) -> Grant<'_> {
        on(&self.server)
    }

    fn request(&self) -> Value {
        json!({
            "server": self.server,
            "path": self.path,
            "bytes": self.content.len(),
            "sha256": sha256(&self.content),
            "mode": format!("{:o}", self.mode),
        })
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<(), Failure> {
        let remote = remote(job, &self.server).await?;
        Ok(remote.upload(&self.path, &self.content, self.mode).await?)
    }
}

/// Reads a file. The answer is base64, since the journal is text.
pub struct Download {
    /// Where.
    pub server: ServerName,
    /// Its path.
    pub path: String,
}

impl Effect for Download {
    type Answer = String;
    const FUNCTION: &'static str = "ssh.download";
    const CLASS: Class = Class::Read;

    fn needs(&self) -> Grant<'_> {
        on(&self.server)
    }

    fn request(&self) -> Value {
        json!({ "server": self.server, "path": self.path })
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<String, Failure> {
        let remote = remote(job, &self.server).await?;
        Ok(BASE64_STANDARD.encode(remote.download(&self.path, DOWNLOAD_LIMIT).await?))
    }
}

/// Waits until the server takes commands.
pub struct WaitReady {
    /// Which.
    pub server: ServerName,
    /// For how long.
    pub timeout: Duration,
}

impl Effect for WaitReady {
    type Answer = ();
    const FUNCTION: &'static str = "ssh.wait-ready";
    const CLASS: Class = Class::Read;

    fn needs(&self) -> Grant<'_> {
        on(&self.server)
    }

    fn request(&self) -> Value {
        json!({ "server": self.server, "timeout_ms": self.timeout.as_millis() })
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<(), Failure> {
        Ok(remote(job, &self.server).await?.wait_ready(self.timeout).await?)
    }
}

/// Brings a remote command's lines into the job's log.
pub struct JobLog(Arc<JobContext>);

impl JobLog {
    /// The log of this job.
    pub const fn new(job: Arc<JobContext>) -> Self {
        Self(job)
    }

    fn numbered(self: Arc<Self>, ordinal: u32) -> Arc<dyn LineSink> {
        Arc::new(CommandLog { job: Arc::clone(&self.0), ordinal })
    }
}

struct CommandLog {
    job: Arc<JobContext>,
    ordinal: u32,
}

impl LineSink for CommandLog {
    fn line(&self, stream: Stream, line: &str, offset: u64) {
        self.job.journal().remote_line(self.ordinal, stream, line, offset);
    }

    fn start(&self, stream: Stream) -> u64 {
        self.job.journal().remote_offset(self.ordinal, stream)
    }
}

fn on(server: &ServerName) -> Grant<'_> {
    Grant { interface: INTERFACE, server: Some(server.as_str()) }
}

async fn remote(job: &JobContext, server: &ServerName) -> Result<Arc<dyn Remote>, Failure> {
    let server = record_of(job, server).await?;
    job.outside.remotes.of(&server).await
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
