//! Commands and files on servers: a real sshd on this machine, and a machine of the lab.

mod commands;
mod docker;
mod files;
mod interruptions;
mod late_starts;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tests::sshd::Sshd;
use tokio_util::sync::CancellationToken;
use windlass::model::names::{Identity, JobId};
use windlass::ssh::connection::Access;
use windlass::ssh::session::Session;
use windlass::ssh::{Command, LineSink, Remote, Stream};

/// A receipt that no other test has.
fn receipt() -> Identity {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let random = std::process::id() ^ (jiff::Timestamp::now().subsec_nanosecond().unsigned_abs());
    let job = JobId::new(jiff::Timestamp::now(), random);
    Identity { job, effect: NEXT.fetch_add(1, Ordering::Relaxed) }
}

fn command(line: &str) -> Command {
    Command {
        receipt: receipt(),
        line: line.to_owned(),
        stdin: None,
        timeout: Duration::from_secs(60),
        cancel: CancellationToken::new(),
        lines: None,
    }
}

/// A session that gives a command a second after TERM.
fn session(access: Access) -> Session {
    Session::new(access).unwrap().with_grace(Duration::from_secs(1))
}

/// Runs a command on a fresh session and forgets it.
async fn run(
    sshd: &Sshd,
    command: Command,
) -> Result<windlass::ssh::Output, windlass::ssh::SshError> {
    let session = session(sshd.access());
    let receipt = command.receipt.clone();
    let result = session.exec(command).await;
    session.forget(&[receipt]).await.unwrap();
    session.close().await;
    result
}

/// Whether a process with this word in its command line is alive.
fn is_alive(word: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(word)
    })
}

/// Keeps the lines that it is given, and wakes who waits for one.
#[derive(Default)]
struct Lines {
    taken: Mutex<Vec<(Stream, String, u64)>>,
    more: tokio::sync::Notify,
    start: u64,
}

impl Lines {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    fn texts(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|(_, line, _)| line.clone()).collect()
    }

    async fn wait_for(&self, line: &str) {
        loop {
            let more = self.more.notified();
            if self.texts().iter().any(|taken| taken == line) {
                return;
            }
            more.await;
        }
    }
}

impl LineSink for Lines {
    fn line(&self, stream: Stream, line: &str, offset: u64) {
        self.taken.lock().unwrap().push((stream, line.to_owned(), offset));
        self.more.notify_one();
    }

    fn start(&self, _: Stream) -> u64 {
        self.start
    }
}
