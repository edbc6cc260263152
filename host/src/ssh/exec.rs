//! Running a command once: start it or find it started, follow it, stop it, whatever becomes of the
//! connection meanwhile.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::debug;

use crate::ssh::connection::Connection;
use crate::ssh::output::Streams;
use crate::ssh::receipt::{End, Report, Why};
use crate::ssh::script::{self, Heard, LAUNCH, Nonce, STOP};
use crate::ssh::{Command, OUTPUT_LIMIT, Output, SshError};

/// How long a server may be out of reach before a command is known to have begun.
const FIRST_CONTACT: Duration = Duration::from_secs(120);
/// How long a server may be out of reach, beyond the grace, when a command is to be stopped.
const LAST_CONTACT: Duration = Duration::from_secs(60);
/// The longest pause between two tries to reach a server.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// One run of a command, with what was read of it so far.
pub(super) struct Run<'a> {
    connection: &'a Connection,
    command: &'a Command,
    grace: Duration,
    streams: Streams,
    /// When it has run too long.
    deadline: watch::Sender<Instant>,
    began: Instant,
    /// Whether the server is known to have its receipt.
    is_known: bool,
    /// Whether it may have begun for all that is known.
    was_sent: bool,
    /// Since when it is to be stopped.
    stopping: Option<(Why, Instant)>,
}

impl<'a> Run<'a> {
    /// Nothing was sent yet.
    pub(super) fn new(connection: &'a Connection, command: &'a Command, grace: Duration) -> Self {
        let began = Instant::now();
        Self {
            connection,
            command,
            grace,
            streams: Streams::new(command.lines.as_ref()),
            deadline: watch::Sender::new(began + command.timeout),
            began,
            is_known: false,
            was_sent: false,
            stopping: None,
        }
    }

    /// Runs it to its end.
    pub(super) async fn finish(mut self) -> Result<Output, SshError> {
        let mut pause = Duration::from_millis(100);
        loop {
            let read = self.streams.stdout.read() + self.streams.stderr.read();
            match self.attempt().await {
                Ok(end) if self.has_all(&end) => {
                    return end.told(|code, took| self.streams.finish(code, took));
                }
                // The rest of the output is in the receipt.
                Ok(_) => continue,
                Err(error @ SshError::Unreachable { .. }) => {
                    debug!(receipt = %self.command.receipt, %error, "reading on later");
                    if self.streams.stdout.read() + self.streams.stderr.read() > read {
                        pause = Duration::from_millis(100);
                    }
                    if Instant::now() + pause > self.give_up_at() {
                        return Err(self.out_of_reach(error));
                    }
                }
                Err(error) => return Err(self.out_of_reach(error)),
            }
            self.rest(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The server cannot be asked any more: what was never sent did not happen.
    fn out_of_reach(&self, error: SshError) -> SshError {
        let reason = error.to_string();
        match error {
            SshError::Unreachable { target, reason } if self.was_sent => {
                SshError::CommandOutOfSight { target, reason }
            }
            SshError::HostKeyMismatch { target, .. } | SshError::LoginRefused { target, .. }
                if self.was_sent =>
            {
                SshError::CommandOutOfSight { target, reason }
            }
            other => other,
        }
    }

    /// Waits for the next try, not longer than nobody wants the command to stop.
    async fn rest(&self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            () = self.command.cancel.cancelled(), if self.stopping.is_none() => {}
        }
    }

    fn give_up_at(&self) -> Instant {
        match self.stopping {
            Some((_, since)) => since + self.grace + LAST_CONTACT,
            None if self.is_known => *self.deadline.borrow(),
            None => self.began + FIRST_CONTACT.min(self.command.timeout),
        }
    }

    fn has_all(&self, end: &End) -> bool {
        let (stdout, stderr) = end.sizes.unwrap_or_default();
        self.streams.stdout.read() >= stdout && self.streams.stderr.read() >= stderr
    }

    /// Follows it over one connection, and stops it when that is wanted.
    async fn attempt(&mut self) -> Result<End, SshError> {
        if self.stopping.is_none() {
            self.stopping = self.command.cancel.is_cancelled().then(|| stop(Why::Cancelled));
        }
        if let Some((why, _)) = self.stopping {
            // Its receipt says so before anything else: what has not begun never will.
            stop_command(self.connection, self.command, why, self.grace).await?;
        }
        let (connection, command, grace) = (self.connection, self.command, self.grace);
        let until = self.deadline.subscribe();
        let was_stopped = self.stopping.is_some();
        let nonce = Nonce::new();
        let input = launch_input(command, &nonce, &self.streams, self.is_known);
        let mut hearing = Hearing {
            streams: &mut self.streams,
            deadline: &self.deadline,
            timeout: command.timeout,
            report: None,
            complaint: Vec::new(),
        };
        let mut hear = |heard: Heard<'_>| hearing.hear(heard);
        let exit = {
            let following = script::call(connection, &LAUNCH, &nonce, input, &mut hear);
            let mut following = std::pin::pin!(following);
            tokio::select! {
                exit = &mut following => {
                    self.was_sent |= exit.is_ok();
                    exit
                }
                why = wanted_to_stop(command, until), if !was_stopped => {
                    self.stopping = Some(stop(why));
                    self.was_sent = true;
                    let stopping = stop_command(connection, command, why, grace);
                    futures_util::future::try_join(stopping, following).await.map(|(_, exit)| exit)
                }
            }
        };
        let Hearing { report, complaint, .. } = hearing;
        self.is_known |= report.is_some();
        match (report, exit?) {
            (Some(Report::Over(end)), _) => Ok(end),
            (Some(Report::Refused(message)), _) => Err(SshError::Refused { message }),
            (Some(Report::Running(_)), _) => {
                Err(connection.unreachable("the connection was cut while the command ran"))
            }
            (None, exit) => Err(script::wordless(connection, exit, &complaint)),
        }
    }
}

/// Takes what comes while a command is followed.
struct Hearing<'a> {
    streams: &'a mut Streams,
    deadline: &'a watch::Sender<Instant>,
    timeout: Duration,
    report: Option<Report>,
    complaint: Vec<u8>,
}

impl Hearing<'_> {
    fn hear(&mut self, heard: Heard<'_>) {
        match heard {
            Heard::Stdout(bytes) => self.streams.stdout.take(bytes),
            Heard::Stderr(bytes) => self.streams.stderr.take(bytes),
            Heard::Word(word) => {
                self.report = Report::parse(&word);
                if let Some(Report::Running(age)) = self.report {
                    let left = self.timeout.saturating_sub(age);
                    self.deadline.send_replace(Instant::now() + left);
                }
            }
        }
    }
}

/// What the script reads that starts and follows a command.
fn launch_input(command: &Command, nonce: &Nonce, streams: &Streams, is_known: bool) -> Vec<u8> {
    let stdin = command.stdin.as_deref().filter(|_| !is_known).unwrap_or_default();
    let mode = if is_known { "attach" } else { "start" };
    let (stdout, stderr) = (streams.stdout.read(), streams.stderr.read());
    let (receipt, kept, size) = (&command.receipt, OUTPUT_LIMIT + 1, stdin.len());
    let head = format!("{receipt} {nonce} {stdout} {stderr} {kept} {size} {mode}\n");
    let line = format!("{}\n", script::encoded(&command.line));
    [head.as_bytes(), line.as_bytes(), stdin].concat()
}

async fn wanted_to_stop(command: &Command, mut until: watch::Receiver<Instant>) -> Why {
    loop {
        let deadline = *until.borrow_and_update();
        tokio::select! {
            () = command.cancel.cancelled() => return Why::Cancelled,
            () = sleep_until(deadline) => return Why::Timeout,
            changed = until.changed() => {
                if changed.is_err() {
                    return Why::Timeout;
                }
            }
        }
    }
}

fn stop(why: Why) -> (Why, Instant) {
    (why, Instant::now())
}

/// Kills a command and all that it started. Answers when they are dead.
async fn stop_command(
    connection: &Connection,
    command: &Command,
    why: Why,
    grace: Duration,
) -> Result<(), SshError> {
    let tenths = grace.as_millis() / 100;
    let input = |nonce: &Nonce| {
        format!("{} {nonce} {} {tenths}\n", command.receipt, why.as_str()).into_bytes()
    };
    let (word, _) = script::ask_once(connection, &STOP, &input).await?;
    match word.split_once(' ') {
        None => Ok(()),
        Some(("alive", processes)) => Err(SshError::Refused {
            message: format!("the command cannot be killed: processes {processes} are still there"),
        }),
        Some((_, reason)) => Err(SshError::Refused { message: reason.to_owned() }),
    }
}
