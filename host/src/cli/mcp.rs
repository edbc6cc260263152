//! `windlass mcp`: agents on standard input and output. A thin thing between them and the host: it
//! passes messages on, finds the host again when it was gone for a moment, and knows no tools.

mod message;
mod passage;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Stdin};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tracing::warn;

use crate::cli::mcp::message::{Message, refused};
use crate::cli::mcp::passage::Passage;
use crate::cli::{Refusal, serve};
use crate::config::{Config, Flags};

/// What is logged unless told otherwise.
const LOG: &str = "warn";
/// The longest line that is taken, in bytes; the host takes no longer messages either.
const LONGEST: usize = 4 * 1024 * 1024;
/// How many messages may wait to be written.
const WAITING: usize = 64;
/// How long the end may take once the agent is gone.
const GRACE: Duration = Duration::from_millis(1_500);

/// Examples, after the help.
pub(super) const EXAMPLES: &str = "Examples:\n  claude mcp add windlass -- windlass mcp\n  windlass mcp \
    --read-only\n  LIVCHAT_API_URL=https://host.example.com LIVCHAT_API_KEY=… windlass mcp";

/// Flags of `mcp`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The transport; there is no other
    #[arg(long)]
    stdio: bool,
    /// Allow nothing but looking, whatever the token allows
    #[arg(long)]
    read_only: bool,
}

/// Passes messages on until the agent closes our standard input.
pub(super) async fn run(arguments: Arguments, flags: Flags) -> Result<(), Refusal> {
    let Arguments { stdio: _, read_only } = arguments;
    // A home is not needed by whoever names the host.
    let config = Config::read(&flags).ok();
    serve::log(config.and_then(|config| config.log).as_deref().unwrap_or(LOG))?;
    let passage = Arc::new(Passage::open(flags, read_only).await?);
    let (sender, receiver) = mpsc::channel(WAITING);
    let mut tasks = JoinSet::new();
    tasks.spawn(write(receiver));
    let mut agent = Agent { passage: passage.clone(), sender, running: HashMap::new(), tasks };
    let mut input = BufReader::new(tokio::io::stdin());
    loop {
        match next_line(&mut input).await {
            Ok(Some(line)) => agent.take(&line).await,
            Ok(None) => break,
            Err(error) => {
                warn!(%error, "the agent's messages cannot be read");
                break;
            }
        }
    }
    agent.tasks.shutdown().await;
    drop(agent);
    if tokio::time::timeout(GRACE, passage.close()).await.is_err() {
        warn!("the host that is part of this process did not end in time; its jobs go on later");
    }
    Ok(())
}

/// The agent, and what it asked that is not answered yet.
struct Agent {
    passage: Arc<Passage>,
    sender: mpsc::Sender<Value>,
    running: HashMap<String, AbortHandle>,
    tasks: JoinSet<()>,
}

impl Agent {
    async fn take(&mut self, line: &[u8]) {
        while self.tasks.try_join_next().is_some() {}
        self.running.retain(|_, request| !request.is_finished());
        match Message::read(line) {
            Ok(Message::Request(request)) => {
                let key = request.id().to_string();
                let (passage, sender) = (self.passage.clone(), self.sender.clone());
                let task = self.tasks.spawn(async move { passage.pass(request, &sender).await });
                self.running.insert(key, task);
            }
            // To the host, a connection that is closed is a request that is cancelled.
            Ok(Message::Cancelled(id)) => {
                if let Some(request) = self.running.remove(&id.to_string()) {
                    request.abort();
                }
            }
            // The host keeps no sessions, so there is nobody to tell.
            Ok(Message::Other) => {}
            Err(why) => self.answer(refused(&Value::Null, -32_700, &why)).await,
        }
    }

    async fn answer(&self, message: Value) {
        if self.sender.send(message).await.is_err() {
            warn!("nobody reads the answers any more");
        }
    }
}

/// Writes messages, one a line, until there are no more.
async fn write(mut messages: mpsc::Receiver<Value>) {
    let mut output = tokio::io::stdout();
    while let Some(message) = messages.recv().await {
        let line = format!("{message}\n");
        let written = async {
            output.write_all(line.as_bytes()).await?;
            output.flush().await
        };
        if let Err(error) = written.await {
            warn!(%error, "nobody reads the answers any more");
            return;
        }
    }
}

/// The next line; none at the end.
async fn next_line(input: &mut BufReader<Stdin>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    loop {
        let chunk = input.fill_buf().await?;
        if chunk.is_empty() {
            return Ok((!line.is_empty()).then_some(line));
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(chunk.len(), |end| end + 1);
        line.extend_from_slice(chunk.get(..taken).unwrap_or_default());
        input.consume(taken);
        if line.len() > LONGEST {
            return Err(io::Error::other("a message is longer than 4 MiB"));
        }
        if end.is_some() && !line.trim_ascii().is_empty() {
            return Ok(Some(line));
        }
    }
}
