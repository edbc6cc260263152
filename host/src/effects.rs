//! The one door to the outside. Everything a plugin does to the world is an [`Effect`], and
//! [`perform`] is the only way to do one: grant, replay, cancel, INTENT, act, OUTCOME.

pub mod clock;
pub mod context;
pub mod dns;
pub mod grants;
pub mod inventory;
pub mod journal;
pub mod references;
pub mod request;
pub mod secrets;
pub mod servers;
pub mod sleep;
pub mod ssh;
pub mod stacks;
pub mod unsupported;

use std::future::Future;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::effects::context::JobContext;
use crate::effects::grants::Grant;
use crate::effects::journal::Replayed;
use crate::effects::request::Request;
use crate::model::failure::Failure;
use crate::model::journal::Class;
use crate::model::names::Identity;
use crate::model::secret::{Reference, SecretName};

/// How long a changing call may still go on when the host is told to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// How often an order whose answer was lost is looked for and sent again.
const ORDER_ATTEMPTS: usize = 3;

/// One thing that a plugin wants done outside.
pub trait Effect: Send + Sync {
    /// What the plugin is told.
    type Answer: Serialize + DeserializeOwned + Send;

    /// `interface.function` of the contract.
    const FUNCTION: &'static str;

    /// What may be done when nobody knows whether it happened.
    const CLASS: Class;

    /// What must have been granted.
    fn needs(&self) -> Grant<'_>;

    /// The secret that it makes, which must have been granted too.
    fn makes(&self) -> Option<&SecretName> {
        None
    }

    /// The secrets whose values it puts somewhere, which must have been granted too.
    ///
    /// # Errors
    /// When a reference is none, or stands where no value may.
    fn mentions(&self) -> Result<Vec<Reference>, Failure> {
        Ok(Vec::new())
    }

    /// The request as it is journaled: all that tells it from another, and no secrets.
    fn request(&self) -> Value;

    /// Does it. What can fail by itself is an ordinary answer.
    fn act(
        &self,
        job: &JobContext,
        identity: &Identity,
    ) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;

    /// Looks for what an earlier, lost request made. Only asked of [`Class::Create`].
    fn find(
        &self,
        _job: &JobContext,
        _identity: &Identity,
    ) -> impl Future<Output = Result<Option<Self::Answer>, Failure>> + Send {
        async { Ok(None) }
    }
}

/// Why the host ends a run: the plugin is not asked and does not see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The job fails: a limit, a trap, a nondeterministic plugin.
    Failed(Failure),
    /// Nobody knows whether an effect happened.
    Uncertain(Failure),
    /// The job was cancelled, and the plugin had its time for cleaning up.
    Cancelled,
    /// The host stops; another run goes on.
    ShuttingDown,
    /// The job is somebody else's by now.
    LeaseLost,
    /// Nothing can be recorded, so nothing may be done.
    Storage(String),
}

impl Stop {
    /// A limit that the plugin exceeded.
    pub fn limit(code: &str, message: String) -> Self {
        Self::Failed(Failure::unsafe_to_retry(code, message))
    }
}

/// Does an effect, or answers it from the journal.
///
/// # Errors
/// When the run has to end; see [`Stop`].
pub async fn perform<E: Effect>(
    job: &JobContext,
    effect: &E,
) -> Result<Result<E::Answer, Failure>, Stop> {
    job.count_call()?;
    let request = Request::new(E::FUNCTION, E::CLASS, effect.request());
    let (ordinal, replayed) = job.journal().next_effect(&request)?;
    let identity = job.identity(ordinal);
    let began = Instant::now();
    let (result, recovered) = match replayed {
        Replayed::Outcome { at, result } => {
            job.replayed(at, &result);
            return decode(&request, result);
        }
        Replayed::Intent => recover(job, effect, &request, &identity).await?,
        Replayed::Nothing => match refusal(job, effect) {
            Some(failure) => (Err(failure), None),
            None => (send(job, effect, &request, ordinal, &identity).await?, None),
        },
    };
    let result = masked(job, encode(&request, result)?);
    job.record_outcome(ordinal, &request, &result, began.elapsed(), recovered).await?;
    decode(&request, result)
}

/// What keeps an effect from being sent at all.
fn refusal<E: Effect>(job: &JobContext, effect: &E) -> Option<Failure> {
    let grants = job.grants();
    let allowed = grants.check(&effect.needs()).and_then(|()| {
        effect.makes().map_or(Ok(()), |name| grants.check_secret(name))?;
        effect.mentions()?.iter().try_for_each(|reference| grants.check_reference(reference))
    });
    if let Err(denied) = allowed {
        return Some(denied);
    }
    job.answers_cancelled().then(|| {
        Failure::unsafe_to_retry("cancelled", "somebody cancelled this job; clean up and return")
    })
}

/// An effect that nobody asked for before.
async fn send<E: Effect>(
    job: &JobContext,
    effect: &E,
    request: &Request,
    ordinal: u32,
    identity: &Identity,
) -> Result<Result<E::Answer, Failure>, Stop> {
    job.may_begin()?;
    if E::CLASS != Class::Read {
        job.record_intent(ordinal, request).await?;
    }
    act(job, effect, identity).await
}

/// An effect whose intent is on disk and whose outcome is not: it may have happened.
async fn recover<E: Effect>(
    job: &JobContext,
    effect: &E,
    request: &Request,
    identity: &Identity,
) -> Result<(Result<E::Answer, Failure>, Option<&'static str>), Stop> {
    job.may_begin()?;
    match E::CLASS {
        Class::Read | Class::Put | Class::Delete | Class::Exec => {
            Ok((act(job, effect, identity).await?, Some("repeated")))
        }
        Class::Create => match effect.find(job, identity).await {
            Ok(Some(found)) => Ok((Ok(found), Some("adopted"))),
            Ok(None) => Ok((act(job, effect, identity).await?, Some("repeated"))),
            Err(failure) => Err(unknown(request, &job.masks().text(&failure.message))),
        },
        Class::Opaque => Err(unknown(request, "the host stopped after it was sent")),
    }
}

fn unknown(request: &Request, why: &str) -> Stop {
    Stop::Uncertain(Failure::unsafe_to_retry(
        "uncertain",
        format!(
            "`{}` may or may not have happened, and it cannot be found out: {why}",
            request.function
        ),
    ))
}

/// Lets the effect act, as long as cancel and shutdown let it.
async fn act<E: Effect>(
    job: &JobContext,
    effect: &E,
    identity: &Identity,
) -> Result<Result<E::Answer, Failure>, Stop> {
    let _in_flight = job.in_flight();
    let acting = async {
        match E::CLASS {
            Class::Create => order(job, effect, identity).await,
            _ => Ok(effect.act(job, identity).await),
        }
    };
    let interruptible = E::CLASS == Class::Read;
    tokio::select! {
        biased;
        result = acting => result,
        () = job.cancel_token().cancelled_owned(), if interruptible => {
            Ok(Err(Failure::safe("cancelled", "somebody cancelled this job")))
        }
        () = job.shutdown_after(grace(E::CLASS)) => Err(Stop::ShuttingDown),
    }
}

/// How long a call goes on after the host was told to stop. What can be taken up again is dropped
/// at once.
const fn grace(class: Class) -> Duration {
    match class {
        Class::Read | Class::Exec => Duration::ZERO,
        Class::Put | Class::Create | Class::Delete | Class::Opaque => SHUTDOWN_GRACE,
    }
}

/// An order whose answer is lost is looked for before it is sent again. When nobody can tell what
/// became of it, a person is asked: something may have been made that costs money.
async fn order<E: Effect>(
    job: &JobContext,
    effect: &E,
    identity: &Identity,
) -> Result<Result<E::Answer, Failure>, Stop> {
    let mut last = effect.act(job, identity).await;
    for _ in 1..ORDER_ATTEMPTS {
        let unknown = match &last {
            Err(failure) if failure.code == "outcome_unknown" => failure.clone(),
            _ => return Ok(last),
        };
        job.note("the answer to an order was lost: looking whether it was carried out");
        match effect.find(job, identity).await {
            Ok(Some(found)) => return Ok(Ok(found)),
            Ok(None) => last = effect.act(job, identity).await,
            Err(failure) => {
                let message = format!("{}; {}", unknown.message, failure.message);
                return Err(Stop::Uncertain(Failure { message, ..unknown }));
            }
        }
    }
    match last {
        Err(failure) if failure.code == "outcome_unknown" => Err(Stop::Uncertain(failure)),
        other => Ok(other),
    }
}

/// What came of an effect, without the secrets that it may have come by.
fn masked(job: &JobContext, mut result: Result<Value, Failure>) -> Result<Value, Failure> {
    let masks = job.masks();
    match &mut result {
        Ok(value) => masks.value(value),
        Err(failure) => masks.failure(failure),
    }
    result
}

fn encode<A: Serialize>(
    request: &Request,
    result: Result<A, Failure>,
) -> Result<Result<Value, Failure>, Stop> {
    match result {
        Ok(answer) => serde_json::to_value(answer).map(Ok).map_err(|e| {
            Stop::limit("internal", format!("the answer of `{}`: {e}", request.function))
        }),
        Err(failure) => Ok(Err(failure)),
    }
}

fn decode<A: DeserializeOwned>(
    request: &Request,
    result: Result<Value, Failure>,
) -> Result<Result<A, Failure>, Stop> {
    match result {
        Ok(value) => serde_json::from_value(value).map(Ok).map_err(|e| {
            Stop::limit(
                "internal",
                format!("the journal's answer of `{}` cannot be read: {e}", request.function),
            )
        }),
        Err(failure) => Ok(Err(failure)),
    }
}
