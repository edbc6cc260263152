//! What a call came to: the answer read within its size, the provider's error as a type, and what
//! is known when there was no usable answer at all.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::providers::cloud::{Dialect, Verdict, patience};
use crate::vault::masks::Masks;

/// A provider's own words are cut at this many characters.
const LONGEST_MESSAGE: usize = 500;

/// An error that the provider answered with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// The provider's code; empty where it told none.
    pub code: String,
    /// The provider's words.
    pub message: String,
    /// What else it told.
    pub details: Value,
    /// What to call the request in a question to the provider.
    pub correlation: Option<String>,
    /// How long it asks to wait.
    pub retry_after: Option<Duration>,
    /// How long until its rate limit has recovered.
    pub limit_resets_in: Option<Duration>,
    /// Whether an earlier try of the same call may have been carried out.
    pub perhaps_done: bool,
}

impl ApiError {
    /// The provider's words with its code and the request's name.
    pub fn told(&self) -> String {
        let mut told = if self.message.is_empty() {
            format!("HTTP {}", self.status)
        } else {
            self.message.clone()
        };
        if !self.code.is_empty() {
            told = format!("{told} ({})", self.code);
        }
        if let Some(correlation) = &self.correlation {
            told = format!("{told} [request {correlation}]");
        }
        told
    }
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq)]
pub enum CallError {
    /// The provider answered with an error, at last or at once.
    Refused(Box<ApiError>),
    /// There were too many requests, for longer than was worth waiting.
    RateLimited(Box<ApiError>),
    /// No usable answer, and nothing that matters was changed.
    Unreachable {
        /// What was seen instead.
        why: String,
    },
    /// The request may have been carried out.
    OutcomeUnknown {
        /// What was seen instead of an answer.
        why: String,
    },
    /// The address or the token cannot be used at all.
    Unusable {
        /// What is wrong with it.
        why: String,
    },
}

/// Why one try has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum Setback {
    #[error("{}", .0.told())]
    Answered(Box<ApiError>),
    #[error("{0}")]
    NotSent(String),
    #[error("{0}")]
    Lost(String),
}

impl Setback {
    pub(super) fn answered(&self) -> Option<&ApiError> {
        match self {
            Self::Answered(error) => Some(error),
            Self::NotSent(_) | Self::Lost(_) => None,
        }
    }

    /// The same words without what is masked; those of the body are already.
    pub(super) fn masked(self, masks: &Masks) -> Self {
        match self {
            Self::Answered(mut error) => {
                error.correlation = error.correlation.map(|name| masks.text(&name));
                Self::Answered(error)
            }
            Self::NotSent(why) => Self::NotSent(masks.text(&why)),
            Self::Lost(why) => Self::Lost(masks.text(&why)),
        }
    }

    /// What to tell the caller after the last try; `unknown` when any try may have changed
    /// something that must not be changed twice.
    pub(super) fn into_error(self, verdict: Verdict, unknown: bool) -> CallError {
        match self {
            Self::Answered(error) if verdict == Verdict::Final => {
                CallError::Refused(Box::new(ApiError { perhaps_done: unknown, ..*error }))
            }
            setback if unknown => CallError::OutcomeUnknown { why: setback.to_string() },
            Self::Answered(error) if error.status == StatusCode::TOO_MANY_REQUESTS => {
                CallError::RateLimited(error)
            }
            Self::Answered(error) => CallError::Refused(error),
            Self::NotSent(why) | Self::Lost(why) => CallError::Unreachable { why },
        }
    }
}

/// Reads the answer, of at most `max_bytes`, with masks in it.
pub(super) async fn read<T: DeserializeOwned>(
    mut response: Response,
    dialect: &Dialect,
    max_bytes: usize,
    masks: &Masks,
) -> Result<T, Setback> {
    let status = response.status();
    let headers = response.headers().clone();
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| Setback::Lost(format!("the answer broke off: {}", error.without_url())))?
    {
        if body.len() + chunk.len() > max_bytes {
            return Err(Setback::Lost(format!("the answer is longer than {max_bytes} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    let body = masks.bytes(&body);
    if !status.is_success() {
        return Err(read_error(status, &headers, &body, dialect));
    }
    let body: &[u8] = if body.is_empty() { b"null" } else { &body };
    serde_json::from_slice(body).map_err(|error| {
        let why = format!("{} with what cannot be read: {error}", described(status, &headers));
        Setback::Lost(why)
    })
}

fn read_error(status: StatusCode, headers: &HeaderMap, body: &[u8], dialect: &Dialect) -> Setback {
    let told = serde_json::from_slice(body).ok().and_then(|body| (dialect.error)(&body));
    // Without the provider's own error there is no telling who answered, nor what was done. Only
    // a rate limit says by its status alone that nothing was.
    if told.is_none() && status != StatusCode::TOO_MANY_REQUESTS {
        return Setback::Lost(described(status, headers));
    }
    let (code, message, details) = told.unwrap_or_default();
    let now = Timestamp::now();
    let correlation = headers.get(dialect.correlation_header).and_then(|id| id.to_str().ok());
    let printable = |text: &str| -> String {
        text.chars().filter(|c| !c.is_control()).take(LONGEST_MESSAGE).collect()
    };
    Setback::Answered(Box::new(ApiError {
        status: status.as_u16(),
        code: printable(&code),
        message: printable(&message),
        details,
        correlation: correlation.map(printable),
        retry_after: patience::retry_after(headers, now).or_else(|| {
            (status == StatusCode::TOO_MANY_REQUESTS)
                .then(|| patience::quota_returns_in(headers))
                .flatten()
        }),
        limit_resets_in: patience::limit_resets_in(headers, now),
        perhaps_done: false,
    }))
}

fn described(status: StatusCode, headers: &HeaderMap) -> String {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    format!("HTTP {} and {}", status.as_u16(), kind.unwrap_or("no content type"))
}
