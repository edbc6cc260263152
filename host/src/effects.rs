//! The one door to the outside. Everything a plugin does to the world is an [`Effect`], and
//! [`perform`] is the only way to do one: grant, replay, cancel, INTENT, act, OUTCOME.

pub mod apps;
pub mod boundary;
pub mod clock;
pub mod containers;
pub mod context;
pub mod databases;
pub mod dns;
pub mod grants;
pub mod http;
pub mod inventory;
pub mod journal;
pub mod limits;
pub mod printable;
pub mod references;
pub mod remains;
pub mod request;
pub mod secrets;
pub mod servers;
pub mod sleep;
pub mod slots;
pub mod ssh;
pub mod stacks;
pub mod unsupported;

use std::future::Future;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::effects::boundary::Boundary;
use crate::effects::context::JobContext;
use crate::effects::grants::Grant;
use crate::effects::journal::Replayed;
use crate::effects::request::Request;
use crate::model::dns::DnsName;
use crate::model::failure::Failure;
use crate::model::journal::Class;
use crate::model::names::{AppName, Identity};
use crate::model::secret::{Reference, SecretName};
use crate::stacks::StackName;

/// How long a changing call may still go on when the host is told to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// Why something may have happened of which the journal knows nothing.
const BEHIND: &str = "this host was put back from a backup, and the job may have gone on since that \
                      was taken; see what is there, and retry with `did_not_happen` to have it and \
                      all that follows done, or with `happened` to go past it";

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

    /// Whether it changes the host's own records and nothing outside. Then the change is in one
    /// ordered log with the journal, and nothing has to be on disk before it.
    const OWN: bool = false;

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

    /// Whether it changes a server's record, which a job about an app may not.
    fn changes_server(&self) -> bool {
        false
    }

    /// The app whose record it changes, which the job must be about.
    fn changes_app(&self) -> Option<&AppName> {
        None
    }

    /// The name that it makes say something, which must be one of the app's where the job is about
    /// an app.
    fn changes_name(&self) -> Option<&DnsName> {
        None
    }

    /// The stack that it touches, which must be the app's own where the job is about an app.
    fn touches_stack(&self) -> Option<&StackName> {
        None
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

    /// What the plugin is told when nobody knows the outcome and a person says that it happened.
    /// None when an answer cannot be made up. Not asked of [`Class::Create`].
    fn assumed(&self) -> Option<Self::Answer> {
        None
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
    job.count_effect(&request)?;
    let (ordinal, replayed) = job.next_effect(&request).await?;
    let identity = job.identity(ordinal);
    let began = Instant::now();
    let (result, recovered) = match replayed {
        Replayed::Outcome { at, result } => {
            job.replayed(at, &result);
            job.count_bytes(request::size_of(&result))?;
            return decode(&request, result);
        }
        Replayed::Intent if job.is_said_to_have_happened(ordinal) => {
            believe(job, effect, &request, &identity).await?
        }
        Replayed::Intent => recover(job, effect, &request, &identity).await?,
        Replayed::Nothing => match refusal(job, effect) {
            Some(failure) => (Err(failure), None),
            None => send(job, effect, &request, ordinal, &identity).await?,
        },
    };
    let result = masked(job, encode(&request, result)?);
    job.pass(Boundary::AfterSend, E::FUNCTION).await;
    job.record_outcome(ordinal, &request, &result, began.elapsed(), recovered).await?;
    job.pass(Boundary::AfterOutcome, E::FUNCTION).await;
    // It happened, and that is on record: only then may it have been too much.
    job.count_bytes(request::size_of(&result))?;
    job.catch_up().await?;
    job.place().take_again().await;
    decode(&request, result)
}

/// What keeps an effect from being sent at all.
fn refusal<E: Effect>(job: &JobContext, effect: &E) -> Option<Failure> {
    let grants = job.grants();
    let allowed = grants.check(&effect.needs()).and_then(|()| {
        effect.makes().map_or(Ok(()), |name| grants.check_secret(name))?;
        if effect.changes_server() {
            grants.check_whole_server()?;
        }
        effect.changes_app().map_or(Ok(()), |name| grants.check_app(name))?;
        effect.changes_name().map_or(Ok(()), |name| grants.check_name(name))?;
        effect.touches_stack().map_or(Ok(()), |name| grants.check_stack(name))?;
        effect.mentions()?.iter().try_for_each(|reference| grants.check_reference(reference))
    });
    if let Err(denied) = allowed {
        return Some(denied);
    }
    job.tells_end().then(|| {
        let message = format!("{}; clean up and return", job.why_it_ends());
        Failure::unsafe_to_retry("cancelled", message)
    })
}

/// An answer, and how it was found out when it was not just sent.
type Found<A> = (Result<A, Failure>, Option<&'static str>);

/// An effect that nobody asked for before in this job.
async fn send<E: Effect>(
    job: &JobContext,
    effect: &E,
    request: &Request,
    ordinal: u32,
    identity: &Identity,
) -> Result<Found<E::Answer>, Stop> {
    job.may_begin()?;
    job.pass(Boundary::BeforeIntent, E::FUNCTION).await;
    if E::OWN {
        job.note_intent(ordinal, request);
    } else if E::CLASS != Class::Read {
        job.record_intent(ordinal, request).await?;
    }
    if E::CLASS != Class::Read {
        job.pass(Boundary::AfterIntent, E::FUNCTION).await;
    }
    if job.may_be_behind() && cannot_be_found_out(E::CLASS) {
        return Err(unknown(request, BEHIND));
    }
    if E::CLASS == Class::Create && job.may_have_ordered(request.function, identity) {
        match look(job, effect, identity).await {
            Ok(Some(found)) => return Ok((Ok(found), Some("adopted"))),
            Ok(None) => {}
            Err(failure) => return Ok((Err(failure), None)),
        }
    }
    Ok((act(job, effect, identity).await?, None))
}

/// An effect whose intent is on disk and whose outcome is not: it may have happened.
async fn recover<E: Effect>(
    job: &JobContext,
    effect: &E,
    request: &Request,
    identity: &Identity,
) -> Result<Found<E::Answer>, Stop> {
    job.may_begin()?;
    if job.may_be_behind() && cannot_be_found_out(E::CLASS) {
        return Err(unknown(request, BEHIND));
    }
    match E::CLASS {
        Class::Read | Class::Put | Class::Delete => {
            Ok((act(job, effect, identity).await?, Some("repeated")))
        }
        Class::Exec => match act(job, effect, identity).await? {
            Err(failure) if is_out_of_reach(&failure) => {
                Err(unknown(request, &job.masks().text(&failure.message)))
            }
            result => Ok((result, Some("repeated"))),
        },
        Class::Create => match look(job, effect, identity).await {
            Ok(Some(found)) => Ok((Ok(found), Some("adopted"))),
            Ok(None) => Ok((act(job, effect, identity).await?, Some("repeated"))),
            Err(failure) => Err(unknown(request, &job.masks().text(&failure.message))),
        },
        Class::Opaque => Err(unknown(request, "the host stopped after it was sent")),
    }
}

/// An effect of which a person says that it happened. What it made must be there.
async fn believe<E: Effect>(
    job: &JobContext,
    effect: &E,
    request: &Request,
    identity: &Identity,
) -> Result<Found<E::Answer>, Stop> {
    job.may_begin()?;
    if E::CLASS != Class::Create {
        let lost = || {
            let message = "it happened, as a person says, but nobody knows what came of it";
            Failure::unsafe_to_retry("answer_lost", message)
        };
        return Ok((effect.assumed().ok_or_else(lost), Some("said_to_have_happened")));
    }
    match look(job, effect, identity).await {
        Ok(Some(found)) => Ok((Ok(found), Some("adopted"))),
        Ok(None) => Err(unknown(
            request,
            "a person says that it happened, and nothing with this job's labels is there; if it \
             is really not there, retry with `did_not_happen`",
        )),
        Err(failure) => Err(unknown(request, &job.masks().text(&failure.message))),
    }
}

/// Looks for what this effect, or one of an earlier job of the chain of retries, made.
async fn look<E: Effect>(
    job: &JobContext,
    effect: &E,
    identity: &Identity,
) -> Result<Option<E::Answer>, Failure> {
    let _in_flight = job.in_flight();
    for identity in job.identities(identity, E::FUNCTION) {
        if let Some(found) = effect.find(job, &identity).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Whether nobody can be asked what came of it in a run that the journal does not know of: a
/// command's receipt goes with the end of its job.
const fn cannot_be_found_out(class: Class) -> bool {
    matches!(class, Class::Exec | Class::Opaque)
}

/// Whether the server was not even asked what became of a command.
fn is_out_of_reach(failure: &Failure) -> bool {
    matches!(failure.code.as_str(), "ssh_unreachable" | "host_key_mismatch" | "login_refused")
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
            Class::Exec | Class::Opaque => known(effect.act(job, identity).await),
            Class::Read | Class::Put | Class::Delete => Ok(effect.act(job, identity).await),
        }
    };
    let interruptible = E::CLASS == Class::Read;
    let acting = async {
        tokio::select! {
            biased;
            result = acting => result,
            () = job.cancel_token().cancelled_owned(), if interruptible => {
                Ok(Err(Failure::safe("cancelled", job.why_it_ends())))
            }
            () = job.shutdown_after(grace(E::CLASS)) => Err(Stop::ShuttingDown),
        }
    };
    let result = job.place().lend_while(acting).await?;
    Ok(result.map_err(|failure| match job.overdue() {
        // Nobody cancelled it, and people must not think so.
        Some(_) if failure.code == "cancelled" => {
            Failure { message: format!("it was stopped: {}", job.why_it_ends()), ..failure }
        }
        _ => failure,
    }))
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
    known(last)
}

/// What nobody knows is no answer: a person is asked.
fn known<A>(result: Result<A, Failure>) -> Result<Result<A, Failure>, Stop> {
    match result {
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
