//! What one run of a job shares: its journal, its clock, its limits, and whether it should stop.

mod stopping;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{Notify, OnceCell};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::dns::domains::Domains;
use crate::effects::Stop;
use crate::effects::boundary::{Boundaries, Boundary};
use crate::effects::clock::JobClock;
use crate::effects::grants::Grants;
use crate::effects::journal::{Journal, Outcome, Replayed};
use crate::effects::limits::Used;
use crate::effects::references;
use crate::effects::request::Request;
use crate::effects::slots::Place;
use crate::model::failure::Failure;
use crate::model::job::{JobRecord, Lease};
use crate::model::journal::{Event, LogLevel, NewEntry};
use crate::model::limits::Limits;
use crate::model::names::{Identity, JobId};
use crate::providers::registry::Registry;
use crate::ssh::remotes::Remotes;
use crate::stacks::portainer::tokens::Tokens;
use crate::storage::parts::Most;
use crate::storage::{self, CancelRequest, StorageError, Store};
use crate::vault::Vault;
use crate::vault::masks::Masks;

/// How much of a journal is read at once while its plugin is told again what it was told before.
const READ_ON: Most = Most { entries: 1_000, bytes: 256 * 1024 };

/// The parts of the host that effects act through.
#[derive(Clone)]
pub struct Outside {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Who runs servers.
    pub providers: Arc<Registry>,
    /// Names in zones.
    pub domains: Arc<Domains>,
    /// Commands and files on servers; one for each run, so that it has connections of its own.
    pub remotes: Arc<Remotes>,
    /// Secrets at rest.
    pub vault: Arc<Vault>,
    /// Where the process dies on purpose.
    pub boundaries: Boundaries,
    /// Sign-ins at the Portainers of servers.
    pub portainers: Arc<Tokens>,
    /// Whether nothing real may be touched: all of it only shows what would be done.
    pub is_rehearsal: bool,
}

impl Outside {
    /// A job comes to a point of `what` at which the process may die, or somebody cancel the job: it
    /// goes on when it knows.
    pub async fn pass(
        &self,
        boundary: Boundary,
        what: &str,
        (job, cancel): (&JobId, &CancellationToken),
    ) {
        if !self.boundaries.pass(boundary, what) {
            return;
        }
        self.boundaries.pass(Boundary::BeforeCancel, "job");
        match self.store.request_cancel(job, "torture", storage::now()).await {
            Ok(CancelRequest::Requested) => cancel.cancelled().await,
            Ok(_) => {}
            Err(error) => warn!(%error, "a job could not be cancelled on purpose"),
        }
    }
}

/// Tells a run to stop.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// Somebody wants the job to stop.
    pub cancel: CancellationToken,
    /// The host stops.
    pub shutdown: CancellationToken,
}

/// One run of a job.
pub struct JobContext {
    /// What is recorded of the job.
    pub record: JobRecord,
    /// Where its effects go.
    pub outside: Outside,
    journal: Mutex<Journal>,
    masks: Arc<Masks>,
    /// Whether everything that is kept about the job's server is masked.
    masked: OnceCell<()>,
    clock: Arc<JobClock>,
    grants: Grants,
    limits: Arc<Limits>,
    signals: Signals,
    /// The run is to end, by the wish to cancel or the end of its time: this ends what is under way.
    ends: CancellationToken,
    /// Which of the two came first, as the run's end.
    ending: OnceLock<Stop>,
    /// When the plugin was told.
    told: OnceLock<Instant>,
    /// Ends what is still under way when the time for cleaning up is over.
    out_of_time: CancellationToken,
    stop: Mutex<Option<Stop>>,
    halted: CancellationToken,
    used: Used,
    computing: AtomicU64,
    acting: AtomicU32,
    idle: Notify,
    place: Arc<Place>,
}

impl JobContext {
    /// A run of this job.
    pub fn new(
        record: JobRecord,
        journal: Journal,
        grants: Grants,
        outside: Outside,
        signals: Signals,
    ) -> Self {
        let started = record.started_at.unwrap_or(record.created_at);
        let started = journal.clock().unwrap_or(started);
        let clock =
            if outside.is_rehearsal { JobClock::hurried(started) } else { JobClock::new(started) };
        let ends = signals.cancel.child_token();
        let overdue = journal.overdue().cloned().map(Stop::Failed);
        if overdue.is_some() {
            ends.cancel();
        }
        Self {
            record,
            outside,
            masks: journal.masks(),
            masked: OnceCell::new(),
            journal: Mutex::new(journal),
            clock: Arc::new(clock),
            grants,
            limits: Arc::default(),
            signals,
            ends,
            ending: overdue.map(OnceLock::from).unwrap_or_default(),
            told: OnceLock::new(),
            out_of_time: CancellationToken::new(),
            stop: Mutex::new(None),
            halted: CancellationToken::new(),
            used: Used::default(),
            computing: AtomicU64::new(0),
            acting: AtomicU32::new(0),
            idle: Notify::new(),
            place: Arc::default(),
        }
    }

    /// The same, with a place among those that may be busy.
    #[must_use]
    pub fn with_place(self, place: Arc<Place>) -> Self {
        Self { place, ..self }
    }

    /// The same, with what an operator lets a run use up.
    #[must_use]
    pub fn with_limits(self, limits: Arc<Limits>) -> Self {
        self.journal().limit_log(&limits);
        Self { limits, ..self }
    }

    /// Its place among those that may be busy.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The job's parameters.
    pub const fn params(&self) -> &Value {
        &self.record.params
    }

    /// What its randomness follows from: the first job of a chain of retries.
    pub fn seed(&self) -> &str {
        self.record.root.as_str()
    }

    /// The time that the plugin sees.
    pub fn clock(&self) -> Arc<JobClock> {
        Arc::clone(&self.clock)
    }

    /// What the run may use up.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What the plugin may do.
    pub const fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Who did the effect of this number, for labels and receipts.
    pub fn identity(&self, ordinal: u32) -> Identity {
        Identity { job: self.record.root.clone(), effect: self.journal().mark(ordinal) }
    }

    /// The receipts of commands that nobody will ask for again.
    pub fn ended_commands(&self) -> Vec<Identity> {
        let marks = self.journal().ended_commands().into_iter();
        marks.map(|effect| Identity { job: self.record.root.clone(), effect }).collect()
    }

    /// Under which marks a thing may stand that this effect is to make: its own, and those of what
    /// earlier jobs of the chain of retries ordered by the same function.
    pub fn identities(&self, own: &Identity, function: &str) -> Vec<Identity> {
        let earlier = self.journal().ordered(function, own.effect).into_iter();
        let earlier = earlier.map(|effect| Identity { job: own.job.clone(), effect });
        std::iter::once(own.clone()).chain(earlier.filter(|it| it != own)).collect()
    }

    /// Whether an earlier run, or an earlier job of the chain of retries, may have made what this
    /// effect makes.
    pub fn may_have_ordered(&self, function: &str, own: &Identity) -> bool {
        let journal = self.journal();
        journal.may_be_behind() || !journal.ordered(function, own.effect).is_empty()
    }

    /// Whether an effect may have happened of which the journal knows nothing.
    pub fn may_be_behind(&self) -> bool {
        self.journal().may_be_behind()
    }

    /// Whether a person said that this effect happened.
    pub fn is_said_to_have_happened(&self, ordinal: u32) -> bool {
        self.journal().is_said_to_have_happened(ordinal)
    }

    /// The journal, for a moment: never held while waiting.
    pub fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Values that nobody may see in what this job says.
    pub fn masks(&self) -> Arc<Masks> {
        Arc::clone(&self.masks)
    }

    /// Masks everything that is kept about the job's server: an earlier run, or another job, may
    /// have put it where this one finds it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn mask_secrets(&self) -> Result<(), Failure> {
        let Some(server) = &self.record.server else { return Ok(()) };
        let Outside { store, vault, .. } = &self.outside;
        let mask = || references::mask_server(&**store, vault, server, &self.masks);
        self.masked.get_or_try_init(mask).await.copied()
    }

    /// The plugin says something.
    pub fn log(&self, level: LogLevel, message: &str) {
        self.journal().log(level, message);
    }

    /// The host says something in the job's log.
    pub fn note(&self, message: &str) {
        self.journal().note(LogLevel::Info, message);
    }

    /// Counts a call of the host, which also ends a stretch of computing.
    pub fn count_call(&self) -> Result<(), Stop> {
        self.computing.store(0, Ordering::Relaxed);
        self.used.call(&self.limits)
    }

    /// Counts an effect. An attempt that replays counts as the first one did.
    pub fn count_effect(&self, request: &Request) -> Result<(), Stop> {
        self.used.effect(&self.limits)?;
        self.count_bytes(request.bytes)
    }

    /// Counts what the journal takes of memory and disk.
    pub fn count_bytes(&self, bytes: usize) -> Result<(), Stop> {
        self.used.bytes(&self.limits, bytes)
    }

    /// Epochs since the last call of the host.
    pub const fn computing(&self) -> &AtomicU64 {
        &self.computing
    }

    // Recording.

    /// The number of the plugin's next effect, and what is known of it: what earlier attempts were
    /// told is read as the plugin comes to it.
    pub async fn next_effect(&self, request: &Request) -> Result<(u32, Replayed), Stop> {
        let missing = self.journal().missing();
        if let Some(seq) = missing {
            let (store, job) = (&self.outside.store, &self.record.id);
            let part = store.journal_part(job, seq.saturating_sub(1), READ_ON).await;
            let part = part.map_err(|error| stop_for(&error))?;
            let mut journal = self.journal();
            journal.read_on(part.entries);
            if journal.missing().is_some() {
                return Err(Stop::Storage(format!("there is no entry {seq} in its journal")));
            }
        }
        self.journal().next_effect(request)
    }

    /// An earlier attempt's answer is given again.
    pub fn replayed(&self, at: Timestamp, result: &Result<Value, Failure>) {
        self.clock.advance(at);
        self.notice_end(result);
    }

    /// The right to write what this run does.
    pub fn lease(&self) -> Lease {
        self.journal().lease().clone()
    }

    /// Writes that an effect is about to be done, before whatever is written next.
    pub fn note_intent(&self, ordinal: u32, request: &Request) {
        let (lease, entry) = self.journal().intent(ordinal, request);
        self.outside.store.append(&lease, vec![entry], None);
    }

    /// Writes that an effect is about to be sent, durably.
    pub async fn record_intent(&self, ordinal: u32, request: &Request) -> Result<(), Stop> {
        let (lease, entry) = {
            let mut journal = self.journal();
            journal.catches_up();
            journal.intent(ordinal, request)
        };
        let written = self.outside.store.append_durable(&lease, vec![entry]).await;
        written.map_err(|e| stop_for(&e))
    }

    /// Waits until all that this job wrote so far is on disk: for an effect that makes something of
    /// the host's own and sends it away at once.
    ///
    /// # Errors
    /// When it cannot be written, or the job is somebody else's by now.
    pub async fn settle(&self) -> Result<(), Failure> {
        let settled = self.outside.store.append_durable(&self.lease(), Vec::new()).await;
        settled.map_err(|error| Failure::safe("unavailable", error.to_string()))
    }

    /// Waits for the database when this run is far ahead of it: what is not written is in memory.
    pub async fn catch_up(&self) -> Result<(), Stop> {
        if self.journal().is_far_ahead() { self.write_all().await } else { Ok(()) }
    }

    /// Waits until all that this run said and did is on disk.
    ///
    /// # Errors
    /// When the run has to end instead.
    pub async fn write_all(&self) -> Result<(), Stop> {
        let lease = {
            let mut journal = self.journal();
            journal.catches_up();
            journal.lease().clone()
        };
        let written = self.outside.store.append_durable(&lease, Vec::new()).await;
        written.map_err(|e| stop_for(&e))
    }

    /// Writes how an effect ended: with the next durable write, or at once where nobody could find
    /// it out again.
    pub async fn record_outcome(
        &self,
        ordinal: u32,
        request: &Request,
        result: &Result<Value, Failure>,
        took: Duration,
        recovered: Option<&'static str>,
    ) -> Result<(), Stop> {
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let outcome = Outcome { ordinal, request, result, duration_ms, recovered };
        let (at, at_once) = self.journal().outcome(outcome);
        self.clock.advance(at);
        self.notice_end(result);
        let Some(entry) = at_once else { return Ok(()) };
        let written = self.outside.store.append_durable(&self.lease(), vec![entry]).await;
        written.map_err(|e| stop_for(&e))
    }

    /// The run comes to a point at which the process may die, or somebody cancel the job.
    pub async fn pass(&self, boundary: Boundary, function: &str) {
        let job = (&self.record.id, &self.signals.cancel);
        self.outside.pass(boundary, function, job).await;
    }

    /// Writes durably that the run's time is over, before anything is ended by that.
    async fn record_overdue(&self, failure: &Failure) -> Result<(), Stop> {
        let event = Event::Overdue { failure: failure.clone() };
        let entry = NewEntry { at: storage::now(), event };
        let written = self.outside.store.append_durable(&self.lease(), vec![entry]).await;
        written.map_err(|e| stop_for(&e))
    }

    fn notice_end(&self, result: &Result<Value, Failure>) {
        if matches!(result, Err(failure) if failure.code == "cancelled") {
            self.ending();
            self.told.get_or_init(Instant::now);
        }
    }
}

/// What a failed write means for the run: what cannot be recorded must not be done.
fn stop_for(error: &StorageError) -> Stop {
    match error {
        StorageError::LeaseLost { .. } => Stop::LeaseLost,
        other => Stop::Storage(other.to_string()),
    }
}
