//! Commands and files on servers. [`Remote`] is what the host needs of a server; the real one is
//! SSH with a pinned host key, the sandbox has one of its own.

pub mod connection;
mod exec;
pub mod keys;
mod output;
mod receipt;
pub mod remotes;
mod script;
pub mod session;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::model::failure::Failure;
use crate::model::names::Identity;

/// The most that is kept of each output stream of a command, in bytes.
pub const OUTPUT_LIMIT: usize = 1024 * 1024;

/// A server that takes commands and files.
#[async_trait]
pub trait Remote: Send + Sync {
    /// Runs a command once, however often it is asked: the receipt named by `command.receipt` on
    /// the server says whether it was started before, and then its output is read from there.
    /// A cut connection is made again within `command.timeout`; only what is known to have stopped
    /// is reported as stopped.
    async fn exec(&self, command: Command) -> Result<Output, SshError>;

    /// Removes the receipts of commands that ended and may be sent again.
    async fn release(&self, receipts: &[Identity]) -> Result<(), SshError>;

    /// Removes receipts that nobody will ask for again. A command of theirs that is still on its way,
    /// sent over a connection that was cut, is refused when it arrives.
    async fn forget(&self, receipts: &[Identity]) -> Result<(), SshError>;

    /// Writes a file whole, or not at all: to a temporary name, synced, renamed. `mode` is the
    /// permission bits. Missing directories are `SshError::Refused`.
    async fn upload(&self, path: &str, content: &[u8], mode: u32) -> Result<(), SshError>;

    /// Reads a file of at most `limit` bytes.
    async fn download(&self, path: &str, limit: usize) -> Result<Vec<u8>, SshError>;

    /// Waits until a command can be run: TCP, host key, login, a shell, cloud-init done. What it
    /// waits for goes to `note`, each time that this is another thing.
    async fn wait_ready(&self, timeout: Duration, note: Note<'_>) -> Result<(), SshError>;

    /// A TCP connection that the server itself makes, so that what listens there need not be open
    /// to anybody else. `SshError::Refused` where nobody listens.
    async fn tunnel(&self, address: &str, port: u16) -> Result<Tunnel, SshError>;
}

/// Takes a line for people.
pub type Note<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A connection through a server.
pub type Tunnel = Box<dyn Duplex>;

/// Bytes in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A command for `sh -c`.
#[derive(Clone)]
pub struct Command {
    /// What makes it be run once.
    pub receipt: Identity,
    /// The line for the shell.
    pub line: String,
    /// What it reads on its standard input.
    pub stdin: Option<Vec<u8>>,
    /// After so long its process group gets TERM, and 10 s later KILL.
    pub timeout: Duration,
    /// Stops it in the same way.
    pub cancel: CancellationToken,
    /// Gets its output while it runs; none when nobody listens.
    pub lines: Option<Arc<dyn LineSink>>,
}

/// Takes the lines of a command's output while it runs.
pub trait LineSink: Send + Sync {
    /// One line without its end, and how many bytes of its stream are read with it.
    fn line(&self, stream: Stream, line: &str, offset: u64);

    /// Lines of this stream up to this offset were taken before and are not given again.
    fn start(&self, stream: Stream) -> u64;
}

/// An output stream of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Output {
    /// 0 to 255; 128 + N when signal N ended it.
    pub exit_code: i32,
    /// At most [`OUTPUT_LIMIT`] bytes, invalid UTF-8 replaced.
    pub stdout: String,
    /// The same of standard error.
    pub stderr: String,
    /// Whether either was longer.
    pub truncated: bool,
    /// From start to end on the server, milliseconds.
    pub duration_ms: u64,
}

/// Why a server did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// Nobody answers, or the connection broke and could not be made again.
    #[error("cannot reach {target} over SSH: {reason}")]
    Unreachable {
        /// `user@address:port`.
        target: String,
        /// The last attempt's reason.
        reason: String,
    },
    /// A command was sent, and nobody can be asked what became of it.
    #[error("a command was sent to {target}, and what became of it cannot be found out: {reason}")]
    CommandOutOfSight {
        /// `user@address:port`.
        target: String,
        /// Why the server could not be asked.
        reason: String,
    },
    /// Somebody else answers.
    #[error(
        "{target} showed host key {found}, not {expected} which this host gave it: somebody may be \
         in between, or the machine was installed anew; nothing was sent"
    )]
    HostKeyMismatch {
        /// `user@address:port`.
        target: String,
        /// Fingerprint shown.
        found: String,
        /// Fingerprint pinned.
        expected: String,
    },
    /// Our key is refused.
    #[error("{target} refuses this host's key: {reason}")]
    LoginRefused {
        /// `user@address:port`.
        target: String,
        /// Why.
        reason: String,
    },
    /// The command ran longer than it may, and is dead.
    #[error("the command was stopped after {} s", after.as_secs_f32())]
    CommandTimeout {
        /// How long it ran.
        after: Duration,
        /// What it said until then.
        output: Box<Output>,
    },
    /// The command was stopped because the job was cancelled, and is dead.
    #[error("the command was stopped because the job was cancelled")]
    CommandCancelled {
        /// What it said until then.
        output: Box<Output>,
    },
    /// The server lost the command: it was started, is not running, and left no exit code.
    #[error("the command was cut off on the server: {reason}")]
    CommandInterrupted {
        /// A reboot, a kill.
        reason: String,
        /// What it said until then.
        output: Box<Output>,
    },
    /// The server says no: no such file, no permission, no space.
    #[error("{message}")]
    Refused {
        /// The server's reason.
        message: String,
    },
    /// A file is larger than the caller takes.
    #[error("`{path}` is larger than {limit} bytes")]
    TooLarge {
        /// Which file.
        path: String,
        /// How much is taken.
        limit: usize,
    },
    /// It took longer than the caller wanted to wait.
    #[error("{target} was not ready after {} s: {reason}", after.as_secs())]
    NotReady {
        /// `user@address:port`.
        target: String,
        /// How long was waited.
        after: Duration,
        /// What was seen last.
        reason: String,
    },
}

impl From<SshError> for Failure {
    fn from(error: SshError) -> Self {
        let message = error.to_string();
        match error {
            SshError::Unreachable { .. } => Self::safe("ssh_unreachable", message),
            SshError::CommandOutOfSight { .. } => Self::unsafe_to_retry("outcome_unknown", message),
            SshError::HostKeyMismatch { .. } => Self::safe("host_key_mismatch", message),
            SshError::LoginRefused { .. } => Self::safe("login_refused", message),
            SshError::CommandTimeout { .. } => Self::unsafe_to_retry("timeout", message),
            SshError::CommandCancelled { .. } => Self::unsafe_to_retry("cancelled", message),
            SshError::CommandInterrupted { .. } => {
                Self::unsafe_to_retry("command_interrupted", message)
            }
            SshError::Refused { .. } => Self::safe("refused", message),
            SshError::TooLarge { .. } => Self::safe("too_large", message),
            SshError::NotReady { .. } => Self::safe("timeout", message),
        }
    }
}
