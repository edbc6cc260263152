//! `aguardar-job-completo`: waiting for a job, never for long. Clients, their libraries and proxies
//! give up on calls that take minutes, so a wait ends early and says that the job goes on; the job
//! never depends on anybody waiting.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use crate::app::access::Scope;
use crate::error::Error;
use crate::mcp::answer::Answer;
use crate::mcp::call::Call;
use crate::mcp::jobs::{JOB, JobView, parsed};
use crate::mcp::progress::Progress;
use crate::mcp::schema::{Kind, needs, takes};
use crate::mcp::tasks::{self, Purpose};
use crate::mcp::tools::{Definition, Nature};
use crate::mcp::words::words;
use crate::model::names::JobId;

/// How long a call waits unless told otherwise: libraries give up after 60 s.
const USUAL: Duration = Duration::from_secs(45);
/// How often progress is told when nothing happens.
const BEAT: Duration = Duration::from_secs(10);
/// The longest that may be asked for; less is waited.
const MOST: u64 = 1_800;

/// The tool.
pub(super) const WAIT: Definition = Definition {
    name: words("aguardar-job-completo", "wait-for-job"),
    title: words("Aguardar job", "Wait for a job"),
    about: words(
        "Espera um job por até 45 s (max_wait muda isso) e responde como ele está. Com done=false \
         ele continua: chame de novo com o mesmo job_id. Nunca falha por tempo.",
        "Waits for a job for up to 45 s (max_wait changes that) and answers how it stands. With \
         done=false it goes on: call again with the same job_id. Never fails for time.",
    ),
    nature: Nature::LOOKS,
    scope: Scope::Read,
    takes: &[
        needs(
            "job_id",
            Kind::Text,
            words("O que a ferramenta respondeu", "What the tool answered"),
        ),
        takes(
            "max_wait",
            Kind::Within(1, MOST),
            words("Segundos; o host limita", "Seconds; the host limits it"),
        ),
    ],
    gives: &JOB,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    job_id: String,
    max_wait: Option<u64>,
}

/// Waits, or gives a client that polls tasks one to poll.
pub(super) async fn wait(call: &Call<'_>) -> Result<Answer, Error> {
    let Wait { job_id, max_wait } = call.arguments()?;
    let id = parsed(&job_id)?;
    if max_wait.is_some_and(|seconds| !(1..=MOST).contains(&seconds)) {
        return Err(Error::invalid_field("/max_wait", "`max_wait` is 1 to 1800 seconds."));
    }
    if call.waits_are_tasks() {
        return Ok(Answer::Goes(tasks::begin(call.server, &id, Purpose::Wait).await?));
    }
    let cap = call.server.gateway.settings.wait_cap;
    let bound = max_wait.map_or(USUAL, Duration::from_secs).min(cap);
    let waited = until_done(call, &id, bound).await?;
    let detail = call.server.reader.job(&id).await?;
    Answer::of(&JobView::of(detail, call.voice()).after(waited))
}

/// Waits until the job is done, the time is over, or nobody listens any more. Answers how long.
async fn until_done(call: &Call<'_>, id: &JobId, bound: Duration) -> Result<Duration, Error> {
    let began = Instant::now();
    let mut following = call.server.reader.follow(id).await?;
    let mut progress = Progress::of(call);
    let end = tokio::time::sleep_until(began + bound);
    tokio::pin!(end);
    loop {
        let job = following.record();
        progress.tell(&job).await;
        if job.status.is_finished() {
            break;
        }
        let beat = tokio::time::sleep(BEAT);
        tokio::select! {
            on = following.changed() => if !on { break },
            () = beat => progress.repeat(&job).await,
            () = &mut end => break,
            () = call.context.ct.cancelled() => break,
        }
    }
    Ok(began.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AgentSettings, Language};

    /// As the specification has it: libraries give up after 60 s, proxies after a pause of 15 s to
    /// 100 s, Node after 300 s.
    #[test]
    fn the_bounds_are_those_of_the_specification() {
        assert_eq!((USUAL.as_secs(), BEAT.as_secs(), MOST), (45, 10, 1_800));
        assert_eq!(AgentSettings::default().wait_cap.as_secs(), 280);
        for language in [Language::Portuguese, Language::English] {
            let about = WAIT.about.within(language);
            assert!(about.contains("45 s"), "{about}");
        }
    }
}
