//! Why something did not happen, in the form that travels: journal, plugin, API.

use serde::{Deserialize, Serialize};

/// A failure with a code for programs and a sentence for people. Holds no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Lower-case with underscores; the list in `wit/types.wit` is open.
    pub code: String,
    /// A sentence that says what to do.
    pub message: String,
    /// Whether doing the same again can do no harm.
    pub retry_safe: bool,
}

impl Failure {
    /// A failure after which the same may be tried again.
    pub fn safe(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), retry_safe: true }
    }

    /// A failure after which trying the same again would fail again, or could hurt.
    pub fn unsafe_to_retry(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), retry_safe: false }
    }
}
