//! What the program says: sentences for people, JSON for programs. A reader that went away is no
//! reason to fail. Colours are for terminals, unless `NO_COLOR` says otherwise.

use std::io::{IsTerminal, Write, stderr, stdout};

use console::style;
use serde_json::{Value, json};

use crate::cli::Refusal;

/// Where the program says it.
pub(crate) struct Terminal {
    json: bool,
}

impl Terminal {
    /// For programs, or for people.
    pub(super) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// For nobody.
    pub(super) const fn silent() -> Self {
        Self { json: true }
    }

    /// Whether a program reads.
    pub(super) const fn is_json(&self) -> bool {
        self.json
    }

    /// Whether somebody looks at progress as it happens.
    pub(super) fn is_watched(&self) -> bool {
        !self.json && stderr().is_terminal()
    }

    /// A line for people.
    pub(super) fn say(&self, line: &str) {
        if !self.json {
            self.line(line);
        }
    }

    /// A line for everybody.
    pub(super) fn line(&self, line: &str) {
        let mut out = stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).unwrap_or_default();
    }

    /// A value for everybody.
    pub(super) fn json(&self, value: &Value) {
        self.line(&serde_json::to_string_pretty(value).unwrap_or_default());
    }

    /// Why it did not work, and what to do.
    pub(super) fn complain(&self, refusal: &Refusal) {
        let Refusal { code, message, next, exit: _ } = refusal;
        let mut out = stderr().lock();
        let said = if self.json {
            writeln!(out, "{}", json!({ "code": code, "error": message, "next": next }))
        } else {
            let [error, attempt] = [style("error:").red().bold(), style("try:").dim()];
            let (error, attempt) = (error.for_stderr(), attempt.for_stderr());
            let hints: String = next.iter().map(|hint| format!("\n  {attempt} {hint}")).collect();
            writeln!(out, "{error} {message}{hints}")
        };
        said.unwrap_or_default();
    }

    /// A table for people.
    pub(super) fn table<const N: usize>(&self, head: [&str; N], rows: &[[String; N]]) {
        let head = head.map(str::to_owned);
        let all = || std::iter::once(&head).chain(rows);
        let mut widths = [0; N];
        for row in all() {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for (line, row) in all().enumerate() {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            let cells: Vec<String> = match line {
                0 => cells.map(|cell| style(cell).bold().to_string()).collect(),
                _ => cells.map(painted).collect(),
            };
            self.say(cells.join("  ").trim_end());
        }
    }
}

/// Words of a stranger, with what a terminal would obey made visible.
pub(super) fn plain(words: &str) -> String {
    let turns =
        |c: char| matches!(u32::from(c), 0x200e | 0x200f | 0x202a..=0x202e | 0x2066..=0x2069);
    let obeyed = |c: char| turns(c) || c.is_control() && c != '\n';
    let shown = |c: char| if obeyed(c) { c.escape_default().to_string() } else { c.to_string() };
    words.chars().map(shown).collect()
}

/// A cell of a table, in the colour of what it says where colours are seen.
fn painted(cell: String) -> String {
    let shown = match cell.trim_end() {
        "completed" | "ready" | "healthy" | "active" => style(cell).green(),
        "running" | "queued" | "creating" | "deploying" => style(cell).cyan(),
        "failed" | "error" | "missing" | "unhealthy" => style(cell).red(),
        "uncertain" | "cancelled" | "pending" | "deleting" | "removing" => style(cell).yellow(),
        _ => return cell,
    };
    shown.to_string()
}

/// The text at a pointer of a value, or a dash.
pub(super) fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
