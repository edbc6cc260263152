//! What a tool answers: one JSON, as structure and as text, short enough for a model to read.

use rmcp::model::{
    CallToolResponse, CallToolResult, ContentBlock, CreateTaskResult, InputRequiredResult, Resource,
};
use serde::Serialize;
use serde_json::Value;

use crate::app::repeats::Asked;
use crate::error::Error;
use crate::mcp::call::Call;
use crate::mcp::schema::{Field, Kind, gives, may_give};
use crate::mcp::tasks::{self, Purpose};
use crate::mcp::wait;
use crate::model::names::JobId;

/// The longest JSON of an answer, in bytes.
pub(super) const LONGEST: usize = 20_000;

/// What a tool answers.
pub(super) enum Answer {
    /// It did it, and this came of it.
    Done(CallToolResult),
    /// It asks the user something first.
    Asks(InputRequiredResult),
    /// It goes on by itself.
    Goes(CreateTaskResult),
}

/// What every tool gives that starts a job. Where it only tells what it would do, there is none.
pub(super) const STARTED: [Field; 8] = [
    may_give("job_id", Kind::Text),
    gives("type", Kind::Text),
    gives("status", Kind::Text),
    gives("target", Kind::Text),
    may_give("deduplicated", Kind::Boolean),
    may_give("log_uri", Kind::Text),
    gives("next", Kind::Text),
    may_give("plan_hash", Kind::Text),
];

/// A job that a tool started.
#[derive(Serialize)]
pub(super) struct Begun {
    job_id: JobId,
    #[serde(rename = "type")]
    operation: String,
    status: &'static str,
    target: String,
    /// Whether it had been started before.
    deduplicated: bool,
    log_uri: String,
    next: String,
}

impl Answer {
    /// This, cut where it is too long.
    pub(super) fn of(value: &impl Serialize) -> Result<Self, Error> {
        Self::with_links(value, Vec::new())
    }

    /// This, with things to read on.
    pub(super) fn with_links(value: &impl Serialize, links: Vec<Resource>) -> Result<Self, Error> {
        let mut value = serde_json::to_value(value).map_err(Error::internal)?;
        shorten(&mut value);
        let mut result = CallToolResult::structured(value);
        result.content.extend(links.into_iter().map(ContentBlock::resource_link));
        Ok(Self::Done(result))
    }

    /// A job was started, of which this is to be told; or a task, where the host makes one of it.
    pub(super) async fn started(
        call: &Call<'_>,
        begun: &Begun,
        told: &(impl Serialize + Sync),
    ) -> Result<Self, Error> {
        if call.jobs_are_tasks() {
            let task = tasks::begin(call.server, &begun.job_id, Purpose::Job).await?;
            return Ok(Self::Goes(task));
        }
        Self::with_links(told, vec![begun.log()])
    }

    pub(super) fn response(self) -> CallToolResponse {
        match self {
            Self::Done(result) => result.into(),
            Self::Asks(asking) => asking.into(),
            Self::Goes(task) => task.into(),
        }
    }
}

impl Begun {
    /// The job of this operation on this target.
    pub(super) fn new(
        call: &Call<'_>,
        operation: impl Into<String>,
        target: impl Into<String>,
        asked: Asked,
    ) -> Self {
        let Asked { job, before } = asked;
        let wait = call.voice().name(&wait::WAIT);
        let next = call.pick(
            format!("Chame {wait} com job_id {job}."),
            format!("Call {wait} with job_id {job}."),
        );
        Self {
            operation: operation.into(),
            status: "queued",
            target: target.into(),
            deduplicated: before,
            log_uri: format!("job://{job}/log"),
            next,
            job_id: job,
        }
    }

    /// Where its log is to be read.
    fn log(&self) -> Resource {
        let name = format!("{}-log", self.job_id);
        Resource::new(self.log_uri.clone(), name).with_mime_type("text/plain")
    }
}

/// Text from outside, without what would move a terminal's cursor.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// The last so many bytes of a text, from the start of a character on.
pub(super) fn tail(text: &str, bytes: usize) -> &str {
    let start = text.len().saturating_sub(bytes);
    (start..=text.len()).find_map(|at| text.get(at..)).unwrap_or_default()
}

/// Halves the longest field of an object until it is short enough, and says so in it.
fn shorten(value: &mut Value) {
    while value.to_string().len() > LONGEST {
        let Value::Object(fields) = value else { return };
        let longest = fields.iter_mut().max_by_key(|(_, field)| field.to_string().len());
        let Some((_, field)) = longest else { return };
        match field {
            Value::String(text) => *text = tail(text, text.len() / 2).to_owned(),
            Value::Array(items) => items.truncate(items.len() / 2),
            Value::Object(inner) => inner.clear(),
            Value::Null | Value::Bool(_) | Value::Number(_) => return,
        }
        fields.insert("truncated".to_owned(), Value::Bool(true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_that_is_too_long_is_cut_and_says_so() {
        let mut value = json!({ "a": "ä".repeat(30_000), "b": vec!["x"; 20_000], "c": 1 });
        shorten(&mut value);
        assert!(value.to_string().len() <= LONGEST);
        assert_eq!((&value["truncated"], &value["c"]), (&json!(true), &json!(1)));
    }
}
