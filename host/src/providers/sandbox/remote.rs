//! The way into a simulated machine. A command is thought through at once and its receipt kept;
//! the time it takes is then waited for, so that it goes on while the host is dead, as on a real
//! machine.

use std::io::Result as IoResult;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::names::{Identity, ServerName};
use crate::model::server::Server;
use crate::providers::sandbox::commands::System;
use crate::providers::sandbox::files::Files;
use crate::providers::sandbox::machines::{Machines, Phase, Simulated};
use crate::providers::sandbox::scripts;
use crate::providers::sandbox::shell::{self, Script};
use crate::providers::sandbox::{Pace, disk, phase};
use crate::ssh::{Command, LineSink, Note, OUTPUT_LIMIT, Output, Remote, SshError, Stream, Tunnel};

/// The way into one machine.
pub(super) struct SandboxRemote {
    machines: Machines,
    pace: Pace,
    name: ServerName,
    id: Option<String>,
}

/// What is known of a command that was started.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Receipt {
    started_at: Timestamp,
    script: Script,
    stopped: Option<Stopped>,
}

/// A command that did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stopped {
    after: Duration,
    by: StoppedBy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum StoppedBy {
    Timeout,
    Cancel,
}

impl SandboxRemote {
    /// The way into this server's machine.
    pub(super) fn new(machines: Machines, pace: Pace, server: &Server) -> Self {
        Self { machines, pace, name: server.name.clone(), id: server.provider_id.clone() }
    }

    fn target(&self) -> String {
        format!("root@{} (simulated)", self.name)
    }

    fn unreachable(&self, reason: impl Into<String>) -> SshError {
        SshError::Unreachable { target: self.target(), reason: reason.into() }
    }

    /// The machine and how far it is.
    async fn found(&self) -> Result<(Simulated, Phase), SshError> {
        let (machines, name, id) = (self.machines.clone(), self.name.clone(), self.id.clone());
        let look = move || match id {
            Some(id) => machines.with_id(&id),
            None => machines.with_name(name.as_str()),
        };
        let machine = self.blocking(look).await?;
        let machine = machine.ok_or_else(|| self.unreachable("no route to host"))?;
        let phase = phase(&machine, self.pace, Timestamp::now());
        Ok((machine, phase))
    }

    async fn ready(&self) -> Result<Simulated, SshError> {
        match self.found().await? {
            (machine, Phase::Ready) => Ok(machine),
            (_, Phase::Booting) => Err(self.unreachable("connection timed out")),
            (_, Phase::Starting) => Err(self.unreachable("connection refused")),
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> IoResult<T> + Send + 'static,
    ) -> Result<T, SshError> {
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(std::io::Error::other)
            .flatten()
            .map_err(|error| self.unreachable(format!("its folder cannot be used: {error}")))
    }

    /// The receipt of the command, which is started unless it was.
    async fn started(
        &self,
        machine: &Simulated,
        command: &Command,
    ) -> Result<(Receipt, std::path::PathBuf), SshError> {
        let contents = self.machines.contents(machine);
        let path = contents.join("receipts").join(format!("{}.json", command.receipt));
        let (machine, line) = (machine.clone(), command.line.clone());
        let ledger = self.machines.ledger();
        let (stdin, pace) = (command.stdin.clone().unwrap_or_default(), self.pace);
        self.blocking(move || {
            if let Some(receipt) = disk::read(&path)? {
                return Ok((receipt, path));
            }
            let started_at = Timestamp::now();
            let files = Files::new(&contents, &machine);
            let system = System { machine: machine.clone(), files, now: started_at };
            let known = scripts::run(&line, &stdin, &system);
            let script = known.unwrap_or_else(|| shell::run(&line, &stdin, &system, 0));
            let script = delayed(script, pace.command(&line));
            let receipt = Receipt { started_at, script, stopped: None };
            if disk::create(&path, &receipt)? {
                ledger.started(&machine, &line)?;
                return Ok((receipt, path));
            }
            let first = disk::read(&path)?.unwrap_or(receipt);
            Ok((first, path))
        })
        .await
    }

    /// Waits until the command ended or is stopped, giving its lines as they come.
    async fn watch(&self, receipt: &Receipt, command: &Command) -> Option<Stopped> {
        let mut lines = command.lines.as_deref().map(Lines::new);
        let limit = command.timeout;
        for said in &receipt.script.said {
            let stopped = self.wait(receipt, said.after.min(limit), command).await;
            if stopped.is_some() || said.after > limit {
                return stopped.or(Some(Stopped { after: limit, by: StoppedBy::Timeout }));
            }
            if let Some(lines) = &mut lines {
                lines.take(said.stream, &said.text);
            }
        }
        let stopped = self.wait(receipt, receipt.script.took.min(limit), command).await;
        if let (Some(lines), None) = (lines, stopped) {
            lines.end();
        }
        let is_over = receipt.script.took > limit;
        stopped.or_else(|| is_over.then_some(Stopped { after: limit, by: StoppedBy::Timeout }))
    }

    /// Waits until so long after the start, unless the job is cancelled before.
    async fn wait(&self, receipt: &Receipt, until: Duration, command: &Command) -> Option<Stopped> {
        let age = |now: Timestamp| {
            Duration::try_from(now.duration_since(receipt.started_at)).unwrap_or_default()
        };
        let left = match self.pace {
            Pace::Realistic => until.saturating_sub(age(Timestamp::now())),
            Pace::Instant => Duration::ZERO,
        };
        tokio::select! {
            biased;
            () = command.cancel.cancelled() => {
                let after = match self.pace {
                    Pace::Realistic => age(Timestamp::now()).min(receipt.script.took),
                    Pace::Instant => Duration::ZERO,
                };
                Some(Stopped { after, by: StoppedBy::Cancel })
            }
            () = tokio::time::sleep(left) => None,
        }
    }
}

#[async_trait]
impl Remote for SandboxRemote {
    async fn exec(&self, command: Command) -> Result<Output, SshError> {
        let machine = self.ready().await?;
        let (mut receipt, path) = self.started(&machine, &command).await?;
        if receipt.stopped.is_none() {
            receipt.stopped = self.watch(&receipt, &command).await;
            if receipt.stopped.is_some() {
                let content = serde_json::to_vec(&receipt).map_err(std::io::Error::other);
                self.blocking(move || disk::replace(&path, &content?)).await?;
            }
        }
        receipt.result()
    }

    async fn forget(&self, receipts: &[Identity]) -> Result<(), SshError> {
        // Nothing is ever on its way here.
        self.release(receipts).await
    }

    async fn release(&self, receipts: &[Identity]) -> Result<(), SshError> {
        let (machine, _) = self.found().await?;
        let folder = self.machines.contents(&machine).join("receipts");
        let paths: Vec<_> =
            receipts.iter().map(|receipt| folder.join(format!("{receipt}.json"))).collect();
        self.blocking(move || paths.iter().try_for_each(|path| disk::remove(path))).await
    }

    async fn upload(&self, path: &str, content: &[u8], mode: u32) -> Result<(), SshError> {
        let machine = self.ready().await?;
        let files = Files::new(&self.machines.contents(&machine), &machine);
        let (wanted, content) = (path.to_owned(), content.to_vec());
        let is_written = self.blocking(move || files.write(&wanted, &content, mode)).await?;
        if is_written {
            return Ok(());
        }
        let message = format!("`{path}` cannot be written on {}: no such directory", self.name);
        Err(SshError::Refused { message })
    }

    async fn download(&self, path: &str, limit: usize) -> Result<Vec<u8>, SshError> {
        let machine = self.ready().await?;
        let files = Files::new(&self.machines.contents(&machine), &machine);
        let wanted = path.to_owned();
        match self.blocking(move || files.read(&wanted)).await? {
            Some(content) if content.len() > limit => {
                Err(SshError::TooLarge { path: path.to_owned(), limit })
            }
            Some(content) => Ok(content),
            None => {
                let message = format!("`{path}` cannot be read on {}: no such file", self.name);
                Err(SshError::Refused { message })
            }
        }
    }

    async fn wait_ready(&self, timeout: Duration, _: Note<'_>) -> Result<(), SshError> {
        let (machine, _) = self.found().await?;
        let left = self.pace.ready().saturating_sub(machine.age(Timestamp::now()));
        tokio::time::sleep(left.min(timeout)).await;
        if left > timeout {
            let reason = "connection refused".to_owned();
            return Err(SshError::NotReady { target: self.target(), after: timeout, reason });
        }
        self.ready().await.map(drop)
    }

    async fn tunnel(&self, address: &str, port: u16) -> Result<Tunnel, SshError> {
        self.ready().await?;
        let message = format!("nothing listens at {address}:{port} of a simulated machine");
        Err(SshError::Refused { message })
    }
}

impl Receipt {
    fn result(&self) -> Result<Output, SshError> {
        let output = self.output();
        match self.stopped {
            None => Ok(output),
            Some(Stopped { by: StoppedBy::Cancel, .. }) => {
                Err(SshError::CommandCancelled { output: Box::new(output) })
            }
            Some(Stopped { after, by: StoppedBy::Timeout }) => {
                Err(SshError::CommandTimeout { after, output: Box::new(output) })
            }
        }
    }

    fn output(&self) -> Output {
        let until = self.stopped.map_or(self.script.took, |stopped| stopped.after);
        let said = |stream: Stream| -> (String, bool) {
            let parts = self.script.said.iter().filter(|said| said.stream == stream);
            cut(parts.filter(|said| said.after <= until).map(|said| said.text.as_str()).collect())
        };
        let ((stdout, is_out_cut), (stderr, is_err_cut)) =
            (said(Stream::Stdout), said(Stream::Stderr));
        Output {
            // 128 + 15: what a shell says of a command that TERM ended.
            exit_code: self.stopped.map_or(self.script.exit_code, |_| 143),
            stdout,
            stderr,
            truncated: is_out_cut || is_err_cut,
            duration_ms: u64::try_from(until.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Pace {
    /// How long the way to the machine and back takes: between 100 and 300 ms, the same for the
    /// same line.
    fn command(self, line: &str) -> Duration {
        let mixed = line.bytes().fold(7_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 201);
        match self {
            Self::Realistic => Duration::from_millis(100 + mixed),
            Self::Instant => Duration::ZERO,
        }
    }
}

fn delayed(mut script: Script, by: Duration) -> Script {
    script.said.iter_mut().for_each(|said| said.after += by);
    script.took += by;
    script
}

fn cut(mut text: String) -> (String, bool) {
    let is_longer = text.len() > OUTPUT_LIMIT;
    text.truncate(text.floor_char_boundary(OUTPUT_LIMIT));
    (text, is_longer)
}

/// Makes lines of pieces of output.
struct Lines<'s> {
    sink: &'s dyn LineSink,
    out: Tail,
    err: Tail,
}

#[derive(Default)]
struct Tail {
    text: String,
    offset: u64,
    start: u64,
}

impl<'s> Lines<'s> {
    fn new(sink: &'s dyn LineSink) -> Self {
        let tail = |stream| Tail { start: sink.start(stream), ..Tail::default() };
        Self { sink, out: tail(Stream::Stdout), err: tail(Stream::Stderr) }
    }

    fn take(&mut self, stream: Stream, text: &str) {
        let tail = match stream {
            Stream::Stdout => &mut self.out,
            Stream::Stderr => &mut self.err,
        };
        let whole = std::mem::take(&mut tail.text) + text;
        for part in whole.split_inclusive('\n') {
            match part.strip_suffix('\n') {
                Some(line) => tail.give(self.sink, stream, line, 1),
                None => part.clone_into(&mut tail.text),
            }
        }
    }

    fn end(mut self) {
        for (stream, tail) in [(Stream::Stdout, &mut self.out), (Stream::Stderr, &mut self.err)] {
            let line = std::mem::take(&mut tail.text);
            if !line.is_empty() {
                tail.give(self.sink, stream, &line, 0);
            }
        }
    }
}

impl Tail {
    fn give(&mut self, sink: &dyn LineSink, stream: Stream, line: &str, end: usize) {
        self.offset += u64::try_from(line.len() + end).unwrap_or_default();
        if self.offset > self.start {
            sink.line(stream, line, self.offset);
        }
    }
}
