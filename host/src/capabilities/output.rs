//! Standard output and error of a guest: lines of the job's log.

use std::sync::{Arc, Mutex};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::effects::context::JobContext;
use crate::model::journal::LogLevel;

/// The longest line that is kept together, in bytes. Constant, so that a replay says the same lines.
const LONGEST_LINE: usize = 16 * 1024;

/// What a guest may write at once. Constant, so that a replay writes in the same pieces.
const PERMIT: usize = 64 * 1024;

/// One of a guest's two outputs.
#[derive(Clone)]
pub struct GuestOutput {
    job: Arc<JobContext>,
    level: LogLevel,
    line: Arc<Mutex<Vec<u8>>>,
}

impl GuestOutput {
    /// Standard output: lines for the plugin's author.
    pub fn stdout(job: &Arc<JobContext>) -> Self {
        Self { job: Arc::clone(job), level: LogLevel::Debug, line: Arc::default() }
    }

    /// Standard error: lines that somebody should see.
    pub fn stderr(job: &Arc<JobContext>) -> Self {
        Self { job: Arc::clone(job), level: LogLevel::Warn, line: Arc::default() }
    }

    fn take(&self, bytes: &[u8]) {
        let mut line = self.line.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for &byte in bytes {
            if byte == b'\n' || line.len() >= LONGEST_LINE {
                self.job.log(self.level, &String::from_utf8_lossy(&line));
                line.clear();
            }
            if byte != b'\n' {
                line.push(byte);
            }
        }
    }
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Only WASI 0.3 asks for it, which is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for GuestOutput {
    async fn ready(&mut self) {
        if let Err(stop) = self.job.catch_up().await {
            self.job.stop(stop);
        }
    }
}

impl OutputStream for GuestOutput {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        if bytes.len() > PERMIT {
            return Err(StreamError::trap("wrote more than was permitted"));
        }
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}
