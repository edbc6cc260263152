//! Failures, so that `?` works on what a plugin does itself.

use std::fmt;

use crate::Failure;

impl Failure {
    /// A failure of the plugin's own. `message` is a sentence that says what to do.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), retry_safe: true }
    }

    /// Whether the job is to end, since somebody cancelled it or its time is over: it has 30 s to
    /// clean up and return.
    pub fn is_cancelled(&self) -> bool {
        self.code == "cancelled"
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::new("bad_json", fmt::format(format_args!("cannot be read as JSON: {error}")))
    }
}
