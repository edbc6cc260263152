//! HTTP requests that plugins send: to public addresses that were looked at before anything is
//! sent, or to a server's own web ports, seen from that server.

mod addresses;
mod direct;
mod hosts;
pub mod tls;
mod tunnel;

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, Url};

pub use direct::send;
pub use hosts::is_granted;
pub use tunnel::send_through;

/// A request with its secrets in their places.
pub struct Request {
    /// What is asked for.
    pub method: Method,
    /// Of whom.
    pub url: Url,
    /// Its headers, without those that the connection has.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
    /// How long all of it may take.
    pub timeout: Duration,
    /// The most bytes of an answer's body that are read.
    pub most: usize,
}

/// What was answered. Where it sends one elsewhere, that is the answer.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As much as was to be read, or less.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// It may not be sent there.
    #[error("{0}")]
    Refused(String),
    /// Nothing was sent.
    #[error("cannot reach {host}: {reason}")]
    Unreachable {
        /// Whom.
        host: String,
        /// Why.
        reason: String,
    },
    /// It was sent, or may have been.
    #[error("{host} gave no whole answer: {reason}")]
    Lost {
        /// Who.
        host: String,
        /// Why.
        reason: String,
    },
    /// The answer is larger than is read.
    #[error("the answer of {host} is larger than {most} bytes")]
    TooLarge {
        /// Whose.
        host: String,
        /// How many are read.
        most: usize,
    },
}

/// Who is asked, for a message.
fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// Headers as the contract has them.
fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &reqwest::header::HeaderValue| {
        String::from_utf8_lossy(value.as_bytes()).into_owned()
    };
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}
