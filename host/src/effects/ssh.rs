//! Effects on a server's commands and files.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::effects::Effect;
use crate::effects::context::JobContext;
use crate::effects::grants::Grant;
use crate::effects::inventory::record_of;
use crate::effects::references;
use crate::model::failure::Failure;
use crate::model::journal::{Class, LogLevel};
use crate::model::names::{Identity, ServerName};
use crate::model::secret::Reference;
use crate::ssh::{Command, LineSink, Output, Remote, Stream};
use crate::vault::masks::Pieces;

const INTERFACE: &str = "ssh";

/// A line that is as long as this may be a part of a longer one: they are cut at 16 KiB, which may
/// be a few bytes less when a character does not fit any more.
const LONG_LINE: usize = 16 * 1024 - 8;

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

    fn mentions(&self) -> Result<Vec<Reference>, Failure> {
        references::refuse(&self.command, "a command line")?;
        references::find(self.stdin.as_deref().unwrap_or_default().as_bytes())
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
        let remote = remote(job, &self.server).await?;
        let lines = self.lines.as_ref().map(|log| Arc::clone(log).numbered(identity.effect));
        let stdin = match &self.stdin {
            Some(text) => Some(references::substitute(job, text.as_bytes()).await?.to_vec()),
            None => None,
        };
        let command = Command {
            receipt: identity.clone(),
            line: self.command.clone(),
            stdin,
            timeout: self.timeout,
            cancel: job.cancel_token(),
            lines,
        };
        let output = remote.exec(command).await?;
        Ok(if output.truncated { without_begun(job, &output) } else { output })
    }

    fn assumed(&self) -> Option<Output> {
        let (stdout, stderr) = (String::new(), String::new());
        Some(Output { exit_code: 0, stdout, stderr, truncated: true, duration_ms: 0 })
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

    fn mentions(&self) -> Result<Vec<Reference>, Failure> {
        references::refuse(&self.path, "a path")?;
        references::find(&self.content)
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
        let content = references::substitute(job, &self.content).await?;
        Ok(remote.upload(&self.path, &content, self.mode).await?)
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
        let content = remote.download(&self.path, job.limits().call_bytes).await?;
        Ok(BASE64_STANDARD.encode(job.masks().bytes(&content)))
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
        let remote = remote(job, &self.server).await?;
        let note = |line: &str| job.journal().note(LogLevel::Info, line);
        Ok(remote.wait_ready(self.timeout, &note).await?)
    }
}

/// Brings a remote command's lines into the job's log.
pub struct JobLog {
    /// Whose log it is.
    pub job: Arc<JobContext>,
    /// Lines that begin so are for the plugin and not for people.
    pub quiet_prefix: Option<String>,
}

impl JobLog {
    /// Where the lines of the effect with this number go.
    pub(super) fn numbered(self: Arc<Self>, ordinal: u32) -> Arc<dyn LineSink> {
        Arc::new(CommandLog { log: self, ordinal, pieces: Mutex::default() })
    }

    fn level(&self, line: &str) -> LogLevel {
        match &self.quiet_prefix {
            Some(prefix) if line.starts_with(prefix.as_str()) => LogLevel::Debug,
            _ => LogLevel::Info,
        }
    }
}

struct CommandLog {
    log: Arc<JobLog>,
    ordinal: u32,
    /// Of standard output and error.
    pieces: Mutex<[Pieces; 2]>,
}

impl LineSink for CommandLog {
    fn line(&self, stream: Stream, line: &str, offset: u64) {
        let line = {
            let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
            let [stdout, stderr] = &mut *pieces;
            let pieces = if stream == Stream::Stdout { stdout } else { stderr };
            pieces.next(&self.log.job.masks(), line, line.len() >= LONG_LINE)
        };
        let from = (self.ordinal, stream, offset);
        self.log.job.journal().remote_line(self.log.level(&line), &line, from);
    }

    fn start(&self, stream: Stream) -> u64 {
        self.log.job.journal().remote_offset(self.ordinal, stream)
    }
}

fn on(server: &ServerName) -> Grant<'_> {
    Grant { interface: INTERFACE, server: Some(server.as_str()) }
}

/// Output that was cut off may end in the beginning of a value.
pub(super) fn without_begun(job: &JobContext, output: &Output) -> Output {
    let masks = job.masks();
    let (stdout, stderr) = (masks.cut_text(&output.stdout), masks.cut_text(&output.stderr));
    Output { stdout, stderr, ..*output }
}

/// The way to a server. Whatever comes back on it, the server's secrets are masked in it.
pub(super) async fn remote(
    job: &JobContext,
    server: &ServerName,
) -> Result<Arc<dyn Remote>, Failure> {
    let server = record_of(job, server).await?;
    job.mask_secrets().await?;
    job.outside.remotes.of(&server).await
}

/// SHA-256, hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
