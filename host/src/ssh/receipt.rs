//! What a receipt on the server says about its command.

use std::time::Duration;

use crate::ssh::{Output, SshError};

/// What the script says that follows a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// It runs since so long.
    Running(Duration),
    /// It ended, or is lost.
    Over(End),
    /// The server cannot do it.
    Refused(String),
}

/// A command's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    fate: Fate,
    took_ms: u64,
    stopped: Option<Why>,
    /// The sizes of its streams, where more may have been written than was read.
    pub(super) sizes: Option<(u64, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Exited(i32),
    Lost(&'static str),
}

/// Why a command is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It ran too long.
    Timeout,
    /// Nobody wants it any more.
    Cancelled,
}

impl Why {
    /// The word in the receipt.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Report {
    /// Reads a script's word; none when it is none of these.
    pub(super) fn parse(word: &str) -> Option<Self> {
        let (kind, rest) = word.split_once(' ').unwrap_or((word, ""));
        let mut words = rest.split(' ');
        match kind {
            "running" => Some(Self::Running(Duration::from_millis(words.next()?.parse().ok()?))),
            "refused" => Some(Self::Refused(rest.to_owned())),
            "ended" => {
                let fate = Fate::Exited(words.next()?.parse().ok()?);
                Self::over(fate, words)
            }
            "lost" => {
                let fate = Fate::Lost(match words.next()? {
                    "reboot" => "the server was restarted while it ran",
                    "unstarted" => "its start was cut off, it did not begin",
                    _ => "it left no exit code: it, or what watched over it, was killed",
                });
                Self::over(fate, words)
            }
            _ => None,
        }
    }

    fn over<'a>(fate: Fate, mut words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let took_ms = words.next()?.parse().unwrap_or_default();
        let stopped = match words.next()? {
            "timeout" => Some(Why::Timeout),
            "cancelled" => Some(Why::Cancelled),
            _ => None,
        };
        let stdout = words.next()?.parse().ok();
        let stderr = words.next()?.parse().ok();
        Some(Self::Over(End { fate, took_ms, stopped, sizes: stdout.zip(stderr) }))
    }
}

impl End {
    /// What the caller is told; `output` gets exit code and duration, and has the streams.
    pub(super) fn told(&self, output: impl FnOnce(i32, u64) -> Output) -> Result<Output, SshError> {
        let exit_code = match self.fate {
            Fate::Exited(code) => code,
            Fate::Lost(_) => 255,
        };
        let output = output(exit_code, self.took_ms);
        match (self.stopped, &self.fate) {
            (Some(Why::Timeout), _) => Err(SshError::CommandTimeout {
                after: Duration::from_millis(self.took_ms),
                output: Box::new(output),
            }),
            (Some(Why::Cancelled), _) => {
                Err(SshError::CommandCancelled { output: Box::new(output) })
            }
            (None, Fate::Exited(_)) => Ok(output),
            (None, Fate::Lost(reason)) => Err(SshError::CommandInterrupted {
                reason: (*reason).to_owned(),
                output: Box::new(output),
            }),
        }
    }
}
