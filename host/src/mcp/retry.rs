//! `repetir-job`: trying a job again that did not complete.

use serde::Deserialize;

use crate::app::access::Scope;
use crate::app::repeats::Asked;
use crate::app::retry::WantedRetry;
use crate::app::servers::RequestKey;
use crate::error::Error;
use crate::mcp::answer::{Answer, Begun, STARTED};
use crate::mcp::call::Call;
use crate::mcp::jobs::parsed;
use crate::mcp::schema::{Kind, needs, takes};
use crate::mcp::tools::{Definition, Nature};
use crate::mcp::words::words;
use crate::model::names::ServerName;
use crate::model::retry::RetryFrom;

/// The tool. What became of an effect that nobody knows of is for a person to say.
pub(super) const RETRY: Definition = Definition {
    name: words("repetir-job", "retry-job"),
    title: words("Repetir job", "Retry a job"),
    about: words(
        "Inicia um job que continua outro que falhou ou foi cancelado, do passo que parou, sem \
         refazer o que já foi feito. Um job uncertain é a pessoa que resolve.",
        "Starts a job that goes on with another that failed or was cancelled, from the step where \
         it stopped, without redoing what was done. An uncertain job is a person's to resolve.",
    ),
    nature: Nature::MAKES,
    scope: Scope::Operate,
    takes: &[
        needs(
            "job_id",
            Kind::Text,
            words("O job que não completou", "The job that did not complete"),
        ),
        takes(
            "from",
            Kind::OneOf(&["failed_step", "start"]),
            words("Padrão failed_step", "Default failed_step"),
        ),
    ],
    gives: &STARTED,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Again {
    job_id: String,
    from: Option<RetryFrom>,
}

/// Starts the job. The same call again is the same job.
pub(super) async fn retry(call: &Call<'_>) -> Result<Answer, Error> {
    let Again { job_id, from } = call.arguments()?;
    let id = parsed(&job_id)?;
    let record = call.server.reader.job(&id).await?.record;
    let request = call.digest();
    let key = RequestKey { key: format!("{} {request}", call.tool.id()), request };
    let wanted = WantedRetry { from, resolve: None };
    let retried = call.operator()?.retry(&id, wanted, Some(key)).await?;
    let asked = Asked { job: retried.id, before: retried.before };
    let target = record.server.as_ref().map_or("-", ServerName::as_str);
    let begun = Begun::new(call, record.operation.as_str(), target, asked);
    Answer::started(call, &begun, &begun).await
}
