//! The host's scripts on servers. A script is a constant; all that varies goes over its standard
//! input. What a script says for itself, it says on standard error behind a random word that only
//! this call knows, so that a command's output is never taken for it.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use russh::ChannelMsg;
use tokio::time::{Instant, sleep};

use crate::ssh::SshError;
use crate::ssh::connection::Connection;

/// Starts a command once and follows it.
pub(super) static LAUNCH: Script = Script(LazyLock::new(|| {
    let supervise = quoted(include_str!("scripts/supervise.sh"));
    format!("{} {supervise}", line_of(include_str!("scripts/launch.sh")))
}));
/// Ends a command.
pub(super) static STOP: Script = Script(LazyLock::new(|| line_of(include_str!("scripts/stop.sh"))));
/// Removes receipts.
pub(super) static FORGET: Script =
    Script(LazyLock::new(|| line_of(include_str!("scripts/forget.sh"))));
/// Writes a file.
pub(super) static UPLOAD: Script =
    Script(LazyLock::new(|| line_of(include_str!("scripts/upload.sh"))));
/// Reads a file.
pub(super) static DOWNLOAD: Script =
    Script(LazyLock::new(|| line_of(include_str!("scripts/download.sh"))));
/// Waits for cloud-init.
pub(super) static READY: Script =
    Script(LazyLock::new(|| line_of(include_str!("scripts/ready.sh"))));

/// How long a question that may be asked twice is asked again after the connection broke.
const PATIENCE: Duration = Duration::from_secs(30);

/// A constant line for the login shell of the server.
pub(super) struct Script(LazyLock<String>);

/// The word behind which a script speaks for itself.
pub(super) struct Nonce(String);

impl Nonce {
    /// A new one, which nobody can guess.
    pub(super) fn new() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()))
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What comes from a script.
#[derive(Debug)]
pub(super) enum Heard<'a> {
    /// Bytes of its standard output.
    Stdout(&'a [u8]),
    /// Bytes of its standard error that are not its own words.
    Stderr(&'a [u8]),
    /// Its own words, a line.
    Word(String),
}

/// Runs a script and hears it to its end. Answers its exit code, none when the connection broke.
pub(super) async fn call(
    connection: &Connection,
    script: &Script,
    nonce: &Nonce,
    input: Vec<u8>,
    hear: &mut (dyn FnMut(Heard<'_>) + Send),
) -> Result<Option<u32>, SshError> {
    let channel = connection.channel().await?;
    let (mut reader, writer) = channel.split();
    let broken = |error: russh::Error| connection.unreachable(error.to_string());
    writer.exec(false, script.0.as_bytes()).await.map_err(broken)?;
    let sending = async {
        // A script that needs no more input has ended by then: what counts is what it said.
        let _sent: Result<(), russh::Error> = async {
            writer.data_bytes(input).await?;
            writer.eof().await
        }
        .await;
    };
    let mut ear = Ear { nonce: nonce.0.as_bytes(), held: Vec::new() };
    let hearing = async {
        let mut exit = None;
        while let Some(message) = reader.wait().await {
            match message {
                ChannelMsg::Data { data: bytes } => hear(Heard::Stdout(&bytes)),
                ChannelMsg::ExtendedData { data: bytes, ext: 1 } => ear.hear(&bytes, hear),
                ChannelMsg::ExitStatus { exit_status } => exit = Some(exit_status),
                ChannelMsg::ExitSignal { .. } => exit = Some(255),
                ChannelMsg::Close => break,
                _ => {}
            }
        }
        exit
    };
    // A channel that closed takes no more input, and then nobody waits for it to.
    let mut sending = std::pin::pin!(sending);
    let mut hearing = std::pin::pin!(hearing);
    tokio::select! {
        exit = &mut hearing => Ok(exit),
        () = &mut sending => Ok(hearing.await),
    }
}

/// Runs a script that may be run twice, and answers its last word and its standard output.
pub(super) async fn ask(
    connection: &Connection,
    script: &Script,
    input: &(dyn Fn(&Nonce) -> Vec<u8> + Sync),
) -> Result<(String, Vec<u8>), SshError> {
    let until = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(100);
    loop {
        match ask_once(connection, script, input).await {
            Err(SshError::Unreachable { .. }) if Instant::now() + pause < until => {
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            Ok((word, output)) => {
                return match word.strip_prefix("refused ") {
                    Some(reason) => Err(SshError::Refused { message: reason.to_owned() }),
                    None => Ok((word, output)),
                };
            }
            Err(error) => return Err(error),
        }
    }
}

/// As [`ask`], without a second try.
pub(super) async fn ask_once(
    connection: &Connection,
    script: &Script,
    input: &(dyn Fn(&Nonce) -> Vec<u8> + Sync),
) -> Result<(String, Vec<u8>), SshError> {
    ask_hearing(connection, script, input, &|_| false).await
}

/// As [`ask_once`], with each word shown to `takes` when it is said; what that takes is not the last.
pub(super) async fn ask_hearing(
    connection: &Connection,
    script: &Script,
    input: &(dyn Fn(&Nonce) -> Vec<u8> + Sync),
    takes: &(dyn Fn(&str) -> bool + Send + Sync),
) -> Result<(String, Vec<u8>), SshError> {
    let nonce = Nonce::new();
    let (mut output, mut complaint, mut last) = (Vec::new(), Vec::new(), None);
    let exit = call(connection, script, &nonce, input(&nonce), &mut |heard| match heard {
        Heard::Stdout(bytes) => output.extend_from_slice(bytes),
        Heard::Stderr(bytes) => complaint.extend_from_slice(bytes),
        Heard::Word(word) if takes(&word) => {}
        Heard::Word(word) => last = Some(word),
    })
    .await?;
    match last {
        Some(word) => Ok((word, output)),
        None => Err(wordless(connection, exit, &complaint)),
    }
}

/// Why a script ended without a word.
pub(super) fn wordless(connection: &Connection, exit: Option<u32>, complaint: &[u8]) -> SshError {
    let complaint = String::from_utf8_lossy(complaint);
    let complaint: String =
        complaint.trim().chars().filter(|c| !c.is_control()).take(300).collect();
    match exit {
        None => connection.unreachable("the connection was cut"),
        // Whoever was killed does not say what it had done by then: its receipt does.
        Some(code) if code > 128 => {
            connection.unreachable(format!("the shell was killed there (code {code})"))
        }
        Some(code) => SshError::Refused {
            message: format!(
                "the shell of {} failed with code {code}: {complaint}",
                connection.target()
            ),
        },
    }
}

/// For a line of a script's input.
pub(super) fn encoded(text: &str) -> String {
    STANDARD.encode(text)
}

/// Tells a script's own words from other output.
struct Ear<'a> {
    nonce: &'a [u8],
    held: Vec<u8>,
}

impl Ear<'_> {
    fn hear(&mut self, bytes: &[u8], hear: &mut (dyn FnMut(Heard<'_>) + Send)) {
        self.held.extend_from_slice(bytes);
        let found = |held: &[u8]| held.windows(self.nonce.len()).position(|w| w == self.nonce);
        while let Some(at) = found(&self.held) {
            let word = self.held.split_off(at);
            let other = std::mem::replace(&mut self.held, word);
            if !other.is_empty() {
                hear(Heard::Stderr(&other));
            }
            let Some(end) = self.held.iter().position(|&byte| byte == b'\n') else { return };
            let rest = self.held.split_off(end + 1);
            let word = std::mem::replace(&mut self.held, rest);
            let word = word.get(self.nonce.len()..).unwrap_or_default();
            hear(Heard::Word(String::from_utf8_lossy(word).trim().to_owned()));
        }
        // The end may be the beginning of the nonce.
        let most = self.held.len().min(self.nonce.len());
        let kept = (1..=most)
            .rev()
            .find(|&n| self.nonce.get(..n).is_some_and(|beginning| self.held.ends_with(beginning)));
        let rest = self.held.split_off(self.held.len() - kept.unwrap_or_default());
        let other = std::mem::replace(&mut self.held, rest);
        if !other.is_empty() {
            hear(Heard::Stderr(&other));
        }
    }
}

fn line_of(script: &str) -> String {
    format!("exec sh -c {}", quoted(script))
}

/// One word of shell, without the script's comments.
fn quoted(script: &str) -> String {
    let is_code = |line: &&str| !line.trim_start().starts_with('#') && !line.trim().is_empty();
    let code = script.lines().filter(is_code).collect::<Vec<_>>().join("\n");
    format!("'{}'", code.replace('\'', r"'\''"))
}
