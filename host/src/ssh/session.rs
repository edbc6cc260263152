//! A server over SSH.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::warn;

use crate::model::names::Identity;
use crate::ssh::connection::{Access, Connection};
use crate::ssh::exec::Run;
use crate::ssh::script::{self, FORGET, Nonce, READY};
use crate::ssh::{Command, Note, Output, Remote, SshError, Tunnel, upload};

/// How long a command may take to end by itself after TERM.
const GRACE: Duration = Duration::from_secs(10);
/// The longest pause between two tries to reach a booting server.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A server over SSH. All calls share one connection, which is made with the first of them, and
/// made anew when it broke.
pub struct Session {
    connection: Connection,
    grace: Duration,
}

impl Session {
    /// Nothing is connected yet; a damaged key is refused.
    pub fn new(access: Access) -> Result<Self, SshError> {
        Ok(Self { connection: Connection::new(access)?, grace: GRACE })
    }

    /// The same with another time between TERM and KILL.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Ends the connection; the next call makes a new one.
    pub async fn close(&self) {
        self.connection.close().await;
    }

    /// Removes receipts in this way of the script's.
    async fn remove(&self, receipts: &[Identity], how: &str) -> Result<(), SshError> {
        let input = |nonce: &Nonce| {
            let lines = receipts.iter().map(|receipt| format!("{receipt}\n"));
            format!("{nonce} {how}\n{}", lines.collect::<String>()).into_bytes()
        };
        script::ask(&self.connection, &FORGET, &input).await.map(drop)
    }

    /// One try: a command can be run, and cloud-init has ended.
    async fn is_ready(&self, until: Instant, note: Note<'_>) -> Result<(), SshError> {
        // It gives up before this side does, so that what it saw is told.
        let left = until.saturating_duration_since(Instant::now()).as_secs();
        let seconds = left.saturating_sub(2).max(1);
        let input = |nonce: &Nonce| format!("{nonce} {seconds}\n").into_bytes();
        let takes = |word: &str| {
            let line = word.strip_prefix("waiting ");
            line.inspect(|line| note(&format!("waiting for cloud-init: {line}"))).is_some()
        };
        let (word, _) = script::ask_hearing(&self.connection, &READY, &input, &takes).await?;
        if let Some(reason) = word.strip_prefix("refused ") {
            return Err(SshError::Refused { message: reason.to_owned() });
        }
        if word.contains("error") {
            warn!(target = self.connection.target(), status = %word, "cloud-init ended in error");
        }
        Ok(())
    }
}

#[async_trait]
impl Remote for Session {
    #[tracing::instrument(skip_all, fields(target = self.connection.target(), receipt = %command.receipt))]
    async fn exec(&self, command: Command) -> Result<Output, SshError> {
        Box::pin(Run::new(&self.connection, &command, self.grace).finish()).await
    }

    async fn release(&self, receipts: &[Identity]) -> Result<(), SshError> {
        self.remove(receipts, "release").await
    }

    async fn forget(&self, receipts: &[Identity]) -> Result<(), SshError> {
        self.remove(receipts, "forget").await
    }

    async fn upload(&self, path: &str, content: &[u8], mode: u32) -> Result<(), SshError> {
        upload::upload(&self.connection, path, content, mode).await
    }

    async fn download(&self, path: &str, limit: usize) -> Result<Vec<u8>, SshError> {
        upload::download(&self.connection, path, limit).await
    }

    #[tracing::instrument(skip_all, fields(target = self.connection.target()))]
    async fn wait_ready(&self, timeout: Duration, note: Note<'_>) -> Result<(), SshError> {
        let until = Instant::now() + timeout;
        let mut pause = Duration::from_millis(100);
        let mut seen = "nothing was tried".to_owned();
        let mut noted = String::new();
        loop {
            match timeout_at(until, self.is_ready(until, note)).await {
                Ok(Ok(())) => return Ok(()),
                // A stranger will not become the right one by waiting.
                Ok(Err(error @ SshError::HostKeyMismatch { .. })) => return Err(error),
                Ok(Err(error)) => seen = error.to_string(),
                Err(_elapsed) if seen.starts_with("nothing") => {
                    "it did not answer in time".clone_into(&mut seen);
                }
                Err(_elapsed) => {}
            }
            if Instant::now() + pause >= until {
                let target = self.connection.target();
                return Err(SshError::NotReady { target, after: timeout, reason: seen });
            }
            if seen != noted {
                note(&format!("waiting for the server: {seen}"));
                noted.clone_from(&seen);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn tunnel(&self, address: &str, port: u16) -> Result<Tunnel, SshError> {
        Ok(Box::new(self.connection.tunnel(address, port).await?.into_stream()))
    }
}
