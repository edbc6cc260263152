//! What a command wrote, as it comes: kept up to a limit, and cut into lines for who listens.

use std::fmt::Write;
use std::sync::Arc;

use crate::ssh::{LineSink, OUTPUT_LIMIT, Output, Stream};

/// The longest line that is given as one, in bytes.
const LINE_LIMIT: usize = 16 * 1024;

/// Both streams of a command.
pub(super) struct Streams {
    /// Standard output.
    pub(super) stdout: Collected,
    /// Standard error.
    pub(super) stderr: Collected,
}

impl Streams {
    /// Nothing was read yet.
    pub(super) fn new(sink: Option<&Arc<dyn LineSink>>) -> Self {
        let collected = |stream| Collected {
            stream,
            read: 0,
            kept: Vec::new(),
            partial: Vec::new(),
            given: sink.map_or(0, |sink| sink.start(stream)),
            sink: sink.cloned(),
        };
        Self { stdout: collected(Stream::Stdout), stderr: collected(Stream::Stderr) }
    }

    /// The command's end.
    pub(super) fn finish(&mut self, exit_code: i32, duration_ms: u64) -> Output {
        let truncated = [&self.stdout, &self.stderr].iter().any(|it| it.is_truncated());
        Output {
            exit_code,
            stdout: self.stdout.finish(),
            stderr: self.stderr.finish(),
            truncated,
            duration_ms,
        }
    }
}

/// One stream of a command.
pub(super) struct Collected {
    stream: Stream,
    read: u64,
    kept: Vec<u8>,
    partial: Vec<u8>,
    given: u64,
    sink: Option<Arc<dyn LineSink>>,
}

impl Collected {
    /// How many bytes came.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    /// Takes what comes next.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let room = OUTPUT_LIMIT.saturating_sub(self.kept.len());
        self.kept.extend(bytes.iter().take(room));
        if self.sink.is_none() {
            self.read += length(bytes);
            return;
        }
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.read += length(piece);
            self.partial.extend_from_slice(piece);
            while self.partial.len() > LINE_LIMIT {
                let rest = self.partial.split_off(LINE_LIMIT);
                let line = std::mem::replace(&mut self.partial, rest);
                self.give(&line, self.read - length(&self.partial));
            }
            if self.partial.ends_with(b"\n") {
                let line = std::mem::take(&mut self.partial);
                self.give(&line, self.read);
            }
        }
    }

    fn is_truncated(&self) -> bool {
        self.read > length(&self.kept)
    }

    fn finish(&mut self) -> String {
        let last = std::mem::take(&mut self.partial);
        if !last.is_empty() {
            self.give(&last, self.read);
        }
        let mut text = match String::from_utf8(std::mem::take(&mut self.kept)) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        text.truncate(text.floor_char_boundary(OUTPUT_LIMIT));
        text
    }

    fn give(&self, line: &[u8], offset: u64) {
        if let Some(sink) = self.sink.as_ref().filter(|_| offset > self.given) {
            sink.line(self.stream, &shown(line), offset);
        }
    }
}

/// A line as it can be shown: no end, and what would move a terminal's cursor or turn the
/// direction of writing is spelled out.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\n', '\r']);
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c != '\t' && (c.is_control() || turns) {
            // Writing to a String cannot fail.
            let _written: std::fmt::Result = write!(shown, "{}", c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
