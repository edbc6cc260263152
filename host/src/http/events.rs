//! A job's journal, or those of all jobs, as a stream of server-sent events: nothing lost, nothing
//! twice, however often the listener comes back.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use futures_util::{Stream, stream};
use serde_json::{Value, json};
use tracing::warn;

use crate::app::access::Reader;
use crate::app::jobs::Watch;
use crate::error::Error;
use crate::http::error::Problem;
use crate::http::request::InPath;
use crate::model::job::JobStatus;
use crate::model::journal::{Entry, Event, Feed, LogLevel};
use crate::model::names::JobId;

/// How long a stream says nothing at most.
const QUIET: Duration = Duration::from_secs(15);

/// Where a listener goes on who was here before.
pub(super) struct LastEventId(pub(super) Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(header) = parts.headers.get("last-event-id") else { return Ok(Self(None)) };
        let number = header.to_str().ok().and_then(|text| text.parse().ok());
        number.map(|number| Self(Some(number))).ok_or_else(|| {
            let message = "Last-Event-ID is the number of an event of this stream.";
            Error::invalid_field("Last-Event-ID", message).into()
        })
    }
}

/// Streams what happens to a job until it ends: `status`, `plan`, `step`, `progress`, `log`.
/// `Last-Event-ID` goes on after that event, with nothing lost or doubled.
#[utoipa::path(get, path = "/api/jobs/{job_id}/events", tag = "jobs", security(("token" = [])),
    params(("job_id" = String, Path, description = "The job",
            example = "job_20250110_150000_a1b2c3"),
        ("Last-Event-ID" = Option<u64>, Header, description = "The last event that came")),
    responses((status = 200, description = "Server-sent events; each `data` is a JSON object",
        content_type = "text/event-stream", body = String,
        example = "id: 1\nevent: status\ndata: {\"status\":\"queued\"}\n\n")))]
pub(super) async fn job_events(
    reader: Reader,
    InPath(id): InPath<JobId>,
    LastEventId(after): LastEventId,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, Problem> {
    Ok(messages(reader.watch(&id, after.unwrap_or(0)).await?, shown))
}

/// Streams what happens to all jobs from now on: the events of each job, with its `job_id`.
/// `Last-Event-ID` goes on after that event, with nothing lost or doubled; 0 begins with the oldest
/// that is kept. Where events after it are not kept any more (there were over 100 000 since, or a
/// backup was put back), `missed` comes first: look at the jobs anew.
#[utoipa::path(get, path = "/api/events", tag = "jobs", security(("token" = [])),
    params(("Last-Event-ID" = Option<u64>, Header, description = "The last event that came")),
    responses((status = 200, description = "Server-sent events; each `data` is a JSON object",
        content_type = "text/event-stream", body = String,
        example = "id: 7\nevent: status\ndata: {\"job_id\":\"job_20250110_150000_a1b2c3\",\"status\":\"queued\"}\n\n")))]
pub(super) async fn all_events(
    reader: Reader,
    LastEventId(after): LastEventId,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, Problem> {
    let listener = reader.listen(after).await?;
    let ready: VecDeque<Message> = VecDeque::new();
    let stream = stream::unfold((listener, ready), |(mut listener, mut ready)| async {
        loop {
            if let Some(message) = ready.pop_front() {
                return Some((Ok(message), (listener, ready)));
            }
            match listener.next().await {
                Ok(Some(feed)) => ready.extend(told(&feed)),
                Ok(None) => return None,
                Err(error) => {
                    warn!(%error, "a stream of all events ended early");
                    return None;
                }
            }
        }
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(QUIET)))
}

/// What listeners to all jobs are told.
fn told(feed: &Feed) -> Vec<Message> {
    let missed = feed.news.first().filter(|_| !feed.is_whole).map(|first| {
        let content = json!({ "message": "Events are missing here: look at GET /api/jobs anew." });
        let before = first.number.saturating_sub(1).to_string();
        Message::default().id(before).event("missed").data(content.to_string())
    });
    let news = feed.news.iter().filter_map(|news| {
        let (name, mut content) = shown(&news.entry)?;
        if let Value::Object(fields) = &mut content {
            fields.insert("job_id".to_owned(), json!(news.job));
        }
        let message = Message::default().id(news.number.to_string()).event(name);
        Some(message.data(content.to_string()))
    });
    missed.into_iter().chain(news).collect()
}

/// Streams a job's log lines of this level on.
pub(super) fn follow_log(
    watch: Watch,
    least: LogLevel,
) -> Sse<impl Stream<Item = Result<Message, Infallible>>> {
    messages(watch, move |entry| match &entry.event {
        Event::Log { level, .. } if *level >= least => shown(entry),
        _ => None,
    })
}

fn messages(
    watch: Watch,
    shown: impl Fn(&Entry) -> Option<(&'static str, Value)> + Send + 'static,
) -> Sse<impl Stream<Item = Result<Message, Infallible>>> {
    let ready: VecDeque<Message> = VecDeque::new();
    let stream = stream::unfold((watch, ready, shown), |(mut watch, mut ready, shown)| async {
        loop {
            if let Some(message) = ready.pop_front() {
                return Some((Ok(message), (watch, ready, shown)));
            }
            match watch.next().await {
                Ok(Some(entries)) => ready.extend(entries.iter().filter_map(|entry| {
                    let (name, content) = shown(entry)?;
                    let message = Message::default().id(entry.seq.to_string()).event(name);
                    Some(message.data(content.to_string()))
                })),
                Ok(None) => return None,
                Err(error) => {
                    warn!(%error, "a stream of events ended early");
                    return None;
                }
            }
        }
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(QUIET))
}

/// The name and content of an entry that listeners are told of.
fn shown(entry: &Entry) -> Option<(&'static str, Value)> {
    let status = |status: JobStatus| ("status", json!({ "status": status, "timestamp": entry.at }));
    match &entry.event {
        Event::Submitted { .. } | Event::Requeued { .. } | Event::Restored { .. } => {
            Some(status(JobStatus::Queued))
        }
        Event::Claimed { attempt, .. } => {
            let (name, mut content) = status(JobStatus::Running);
            if let Value::Object(fields) = &mut content {
                fields.insert("attempt".to_owned(), json!(attempt));
            }
            Some((name, content))
        }
        Event::CancelRequested { .. } => {
            Some(("status", json!({ "cancel_requested": true, "timestamp": entry.at })))
        }
        Event::Finished { status: end, failure, .. } => {
            let (name, mut content) = status(*end);
            if let (Value::Object(fields), Some(failure)) = (&mut content, failure) {
                fields.insert("error".to_owned(), json!(failure.message));
                fields.insert("code".to_owned(), json!(failure.code));
            }
            Some((name, content))
        }
        Event::Plan { steps, .. } => Some(("plan", json!({ "steps": steps }))),
        Event::Step { name, .. } => Some(("step", json!({ "step": name, "timestamp": entry.at }))),
        Event::Progress { percent, .. } => Some(("progress", json!({ "progress": percent }))),
        Event::Log { level, message, .. } => {
            let content = json!({ "timestamp": entry.at, "level": level, "message": message });
            Some(("log", content))
        }
        // Its log has a line of it.
        Event::Overdue { .. } => None,
        Event::Retried(_) | Event::Pinned { .. } | Event::Intent { .. } | Event::Outcome { .. } => {
            None
        }
    }
}
