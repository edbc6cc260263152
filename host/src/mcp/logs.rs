//! Lines of a job's log as agents read them.

use crate::app::jobs::LogLine;
use crate::mcp::answer::plain;

/// The most bytes of log lines in an answer.
const LONGEST: usize = 4_000;

/// The last lines that are short enough together, oldest first.
pub(super) fn last(lines: &[LogLine]) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    let mut bytes = 0;
    for line in lines.iter().rev() {
        let line = text(line);
        bytes += line.len();
        if bytes > LONGEST {
            break;
        }
        shown.push(line);
    }
    shown.reverse();
    shown
}

/// A line on its own.
pub(super) fn text(line: &LogLine) -> String {
    let at = line.timestamp.strftime("%H:%M:%S");
    let message: String = line.message.chars().take(1_000).collect();
    format!("{at} {} {}", line.level.as_str(), plain(&message))
}
