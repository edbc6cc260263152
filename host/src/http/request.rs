//! What comes in, parsed at the edge: JSON bodies, paths, queries, idempotency keys. What is wrong
//! is named by its place.

use std::fmt::Display;
use std::str::FromStr;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use sha2::{Digest, Sha256};

use crate::app::servers::RequestKey;
use crate::error::{Error, FieldError, sentence};
use crate::http::error::Problem;

/// The longest body that is taken, in bytes.
pub(super) const BODY_LIMIT: usize = 1024 * 1024;
/// How much of a longer one is read and thrown away, so that its sender gets to read the answer.
const DRAINED: usize = 16 * 1024 * 1024;

/// A JSON body, and what makes the same request twice one job.
pub(super) struct JsonBody<T> {
    /// The body.
    pub(super) value: T,
    /// From `Idempotency-Key`.
    pub(super) key: Option<RequestKey>,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(Problem::not_json());
        }
        let bytes = read(body).await?;
        let key = request_key(&parts, &bytes)?;
        Ok(Self { value: parse(&bytes)?, key })
    }
}

impl<T: DeserializeOwned + Default> JsonBody<T> {
    /// The same for a body that may be left out.
    pub(super) async fn or_none(request: Request) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(body).await?;
        let key = request_key(&parts, &bytes)?;
        if bytes.is_empty() {
            return Ok(Self { value: T::default(), key });
        }
        if !is_json(&parts.headers) {
            return Err(Problem::not_json());
        }
        Ok(Self { value: parse(&bytes)?, key })
    }
}

/// The `Idempotency-Key` of a request without a body.
pub(super) struct Key(pub(super) Option<RequestKey>);

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(request_key(parts, b"")?))
    }
}

/// The one name or id in a path.
pub(super) struct InPath<T>(pub(super) T);

impl<S, T> FromRequestParts<S> for InPath<T>
where
    S: Send + Sync,
    T: FromStr<Err: Display>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|rejection| in_path(&rejection.body_text()))?;
        text.parse().map(Self).map_err(|error: T::Err| in_path(&error.to_string()))
    }
}

/// The two names in a path.
pub(super) struct BothInPath<A, B>(pub(super) A, pub(super) B);

impl<S, A, B> FromRequestParts<S> for BothInPath<A, B>
where
    S: Send + Sync,
    A: FromStr<Err: Display>,
    B: FromStr<Err: Display>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((one, other)) = path.map_err(|rejection| in_path(&rejection.body_text()))?;
        let one = one.parse().map_err(|error: A::Err| in_path(&error.to_string()))?;
        let other = other.parse().map_err(|error: B::Err| in_path(&error.to_string()))?;
        Ok(Self(one, other))
    }
}

/// The parameters after `?`.
pub(super) struct InQuery<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for InQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::<T>::try_from_uri(&parts.uri).map_err(|rejection| {
            let text = rejection.body_text();
            let text = text.rsplit_once("query string: ").map_or(text.as_str(), |(_, why)| why);
            let (name, why) = text.split_once(": ").unwrap_or(("", text));
            in_query(name, why)
        })?;
        Ok(Self(query.0))
    }
}

/// A parameter after `?` is wrong.
pub(super) fn in_query(name: &str, why: &str) -> Problem {
    let shown = if name.is_empty() { String::new() } else { format!("`{name}`: ") };
    let message = sentence(&format!("the query is wrong: {shown}{why}"));
    let pointer = if name.is_empty() { "?".to_owned() } else { format!("?{name}") };
    Error::invalid_field(&pointer, message).into()
}

fn in_path(why: &str) -> Problem {
    let field = FieldError { pointer: "path".to_owned(), message: sentence(why) };
    Error::invalid_fields(&[field]).into()
}

fn is_json(headers: &HeaderMap) -> bool {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = text.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

async fn read(body: Body) -> Result<Vec<u8>, Problem> {
    let expected = body.size_hint().lower();
    let mut bytes = Vec::new();
    let mut seen = 0_usize;
    let mut chunks = body.into_data_stream();
    if expected > DRAINED as u64 {
        return Err(Problem::body_too_large(BODY_LIMIT));
    }
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_cut| Problem::body_cut_off())?;
        seen = seen.saturating_add(chunk.len());
        if seen <= BODY_LIMIT {
            bytes.extend_from_slice(&chunk);
        } else if seen > DRAINED {
            break;
        }
    }
    if seen > BODY_LIMIT { Err(Problem::body_too_large(BODY_LIMIT)) } else { Ok(bytes) }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Serde would take a list for an object whose fields it has in their order.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(Error::invalid_field("", "The body is a list: send an object.").into());
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let pointer = pointer(error.path());
        let inner = error.into_inner();
        match inner.classify() {
            Category::Data => Error::invalid_field(&pointer, data_message(&inner)).into(),
            // Of a number where a word is due, serde says that it expected a value.
            Category::Syntax if serde_json::from_slice::<IgnoredAny>(bytes).is_ok() => {
                Error::invalid_field(&pointer, "This is none of the words that it may be.").into()
            }
            Category::Syntax | Category::Eof | Category::Io => {
                let message = format!("The body is no JSON: {inner}.");
                Problem::broken_json(message, &pointer, (inner.line(), inner.column()))
            }
        }
    })?;
    json.end().map_err(|error| {
        let message = format!("Something follows the JSON of the body: {error}.");
        Problem::broken_json(message, "", (error.line(), error.column()))
    })?;
    Ok(value)
}

/// Serde's own words, without the place, which the pointer says better, and without the value: it
/// may be a token in the wrong field.
fn data_message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(words, _)| words);
    match text.rsplit_once(", expected ") {
        Some((found, expected)) if !found.starts_with("unknown field") => {
            let found = found.split(['"', '`']).next().unwrap_or_default().trim_end();
            sentence(&format!("{found}, expected {expected}"))
        }
        _ => sentence(text),
    }
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        let name = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.clone(),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    }
    pointer
}

fn request_key(parts: &Parts, body: &[u8]) -> Result<Option<RequestKey>, Problem> {
    let Some(header) = parts.headers.get("idempotency-key") else { return Ok(None) };
    let key = header.to_str().ok().filter(|key| {
        (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    });
    let Some(key) = key else {
        let message = "An Idempotency-Key has 1 to 255 visible ASCII characters.";
        return Err(Error::invalid_field("Idempotency-Key", message).into());
    };
    let mut digest = Sha256::new();
    digest.update(format!("{} {}\n", parts.method, parts.uri));
    digest.update(body);
    let request = hex::encode(digest.finalize());
    Ok(Some(RequestKey { key: key.to_owned(), request }))
}
