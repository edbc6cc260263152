//! `cancelar-job`: stopping a job.

use serde::Deserialize;

use crate::app::access::Scope;
use crate::error::Error;
use crate::mcp::Server;
use crate::mcp::answer::Answer;
use crate::mcp::call::Call;
use crate::mcp::jobs::{JOB, JobView, parsed};
use crate::mcp::schema::{Kind, needs};
use crate::mcp::tools::{Definition, Nature};
use crate::mcp::words::words;
use crate::model::job::JobStatus;
use crate::model::names::JobId;

/// The tool.
pub(super) const CANCEL: Definition = Definition {
    name: words("cancelar-job", "cancel-job"),
    title: words("Cancelar job", "Cancel a job"),
    about: words(
        "Manda um job parar. O que ele já fez fica feito; verificar-job diz o quê. Com \
         cancel_requested ele ainda está parando: chame aguardar-job-completo.",
        "Tells a job to stop. What it has done stays done; verificar-job says what. With \
         cancel_requested it is still stopping: call aguardar-job-completo.",
    ),
    nature: Nature::DESTROYS,
    scope: Scope::Operate,
    takes: &[needs(
        "job_id",
        Kind::Text,
        words("O que a ferramenta respondeu", "What the tool answered"),
    )],
    gives: &JOB,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    job_id: String,
}

/// Tells a job to stop, and how it stands then.
pub(super) async fn cancel(call: &Call<'_>) -> Result<Answer, Error> {
    let Cancel { job_id } = call.arguments()?;
    let id = parsed(&job_id)?;
    stop(call.server, &id).await?;
    let detail = call.server.reader.job(&id).await?;
    Answer::of(&JobView::of(detail, call.voice()))
}

/// Tells a job to stop. One that was cancelled before is no error: a client that did not hear the
/// answer asks again.
pub(super) async fn stop(server: &Server, id: &JobId) -> Result<(), Error> {
    let Err(error) = server.reader.clone().operator()?.cancel(id).await else { return Ok(()) };
    let is_cancelled = error.code() == "job_finished"
        && server.reader.job(id).await?.record.status == JobStatus::Cancelled;
    if is_cancelled { Ok(()) } else { Err(error) }
}
