//! What a caller is told when something fails: a kind to branch on, a sentence to read, and a
//! cause that stays inside.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::model::failure::Failure;
use crate::model::names::InvalidName;
use crate::storage::StorageError;

/// What a caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no such thing.
    NotFound,
    /// The request is wrong, and will be wrong again.
    Invalid,
    /// The request is right, but not now.
    Conflict,
    /// Nobody knows who asks.
    Unauthenticated,
    /// Whoever asks may not.
    Denied,
    /// Too often; later.
    Limited,
    /// Somebody whom the host asks does not do his part.
    Upstream,
    /// Somebody whom the host asks takes too long.
    Timeout,
    /// The host can't serve now.
    Unavailable,
    /// A fault of the host.
    Internal,
}

/// Why a verb did not do it. Holds no secrets but in its cause, which callers never see.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    code: Cow<'static, str>,
    message: String,
    details: Map<String, Value>,
    retry_safe: bool,
    next: Vec<String>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with a code for programs and a sentence for people.
    pub fn new(
        kind: ErrorKind,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            details: Map::new(),
            retry_safe: true,
            next: Vec::new(),
            source: None,
        }
    }

    /// The request has wrong fields.
    pub fn invalid_fields(fields: &[FieldError]) -> Self {
        let message = match fields {
            [] => "The request is invalid.".to_owned(),
            [one] => one.message.clone(),
            [first, rest @ ..] => format!("{} (and {} more)", first.message, rest.len()),
        };
        let listed: Vec<Value> = fields
            .iter()
            .map(|field| json!({ "pointer": field.pointer, "message": field.message }))
            .collect();
        Self::new(ErrorKind::Invalid, "invalid_request", message).with_detail("fields", listed)
    }

    /// One field of the request is wrong.
    pub fn invalid_field(pointer: &str, message: impl Into<String>) -> Self {
        Self::invalid_fields(&[FieldError { pointer: pointer.to_owned(), message: message.into() }])
    }

    /// A name in the request is none.
    pub fn invalid_name(pointer: &str, why: &InvalidName) -> Self {
        Self::invalid_field(pointer, sentence(&why.to_string()))
    }

    /// A fault of the host: the caller is told no more than that.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let message = "Something went wrong inside the host; its log says what.";
        Self::new(ErrorKind::Internal, "internal", message).caused_by(source)
    }

    /// Adds a detail for programs.
    #[must_use]
    pub fn with_detail(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// Adds something to do next, such as `GET /api/jobs/job_…`.
    #[must_use]
    pub fn with_next(mut self, next: impl Into<String>) -> Self {
        self.next.push(next.into());
        self
    }

    /// The same again could hurt.
    #[must_use]
    pub const fn not_retry_safe(mut self) -> Self {
        self.retry_safe = false;
        self
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a caller can do about it.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// For programs: lower-case with underscores.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// For people: a sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// More for programs.
    pub const fn details(&self) -> &Map<String, Value> {
        &self.details
    }

    /// Whether the same again can do no harm.
    pub const fn retry_safe(&self) -> bool {
        self.retry_safe
    }

    /// Its causes, for the log.
    pub fn causes(&self) -> String {
        let mut text = String::new();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    /// What to do next.
    pub fn next(&self) -> &[String] {
        &self.next
    }
}

/// One wrong field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer to it.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        let unavailable = |code: &'static str, error: &StorageError| {
            Self::new(ErrorKind::Unavailable, code, sentence(&error.to_string()))
        };
        match &error {
            StorageError::DiskFull { .. } => unavailable("disk_full", &error),
            StorageError::ReadOnly { .. } => unavailable("storage_read_only", &error),
            StorageError::NewerSchema { .. } => unavailable("newer_schema", &error),
            StorageError::Damaged { .. }
            | StorageError::CutOff { .. }
            | StorageError::Missing { .. } => unavailable("storage_damaged", &error),
            StorageError::Closed => Self::shutting_down(),
            StorageError::LeaseLost { .. }
            | StorageError::Duplicate
            | StorageError::Failed { .. } => Self::internal(error),
        }
    }
}

impl Error {
    /// The host is about to end.
    pub fn shutting_down() -> Self {
        let message = "The host is shutting down; try again when it is back.";
        Self::new(ErrorKind::Unavailable, "shutting_down", message)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let kind = match failure.code.as_str() {
            "not_found" => ErrorKind::NotFound,
            "provider_not_configured" | "conflict" | "protected" => ErrorKind::Conflict,
            "invalid_argument" | "unsupported" => ErrorKind::Invalid,
            "rate_limited" => ErrorKind::Limited,
            "timeout" => ErrorKind::Timeout,
            "internal" => ErrorKind::Internal,
            _ => ErrorKind::Upstream,
        };
        let retry_safe = failure.retry_safe;
        let error = Self::new(kind, failure.code, sentence(&failure.message));
        if retry_safe { error } else { error.not_retry_safe() }
    }
}

/// Makes a fragment a sentence: a capital letter at the start, a full stop at the end.
pub fn sentence(fragment: &str) -> String {
    let mut chars = fragment.trim().chars();
    let Some(first) = chars.next() else { return String::new() };
    let mut text: String = first.to_uppercase().chain(chars).collect();
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}
