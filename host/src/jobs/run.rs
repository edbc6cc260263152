//! One attempt at a job, from its claim to what is written of its end.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::Value;
use tracing::{info, warn};

use crate::effects::Stop;
use crate::effects::boundary::Boundary;
use crate::effects::context::{JobContext, Outside, Signals};
use crate::effects::grants::{AppScope, Grants};
use crate::effects::journal::Journal;
use crate::effects::remains::{self, Trace};
use crate::effects::slots::{Place, Slot};
use crate::jobs::receipts::Receipts;
use crate::jobs::recovery::{self, Parts};
use crate::model::app::{AppRecord, is_about_app};
use crate::model::failure::Failure;
use crate::model::job::{Finished, Job, JobRecord, Outcome, Running};
use crate::model::journal::{Entry, Event, LogLevel, LogSource, NewEntry};
use crate::model::limits::Limits;
use crate::model::names::Identity;
use crate::plugins::catalog::{Catalog, CatalogError};
use crate::plugins::descriptor::Kind;
use crate::plugins::engine::Engine;
use crate::plugins::instance::{self, Ran};
use crate::plugins::plugin::Plugin;
use crate::plugins::quota::{Need, Share};
use crate::storage::{self, StorageError};

/// The longest pause between two attempts to write a job's end.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What a job's log says of a run that others keep from going on.
const WAITS: &str = "waits for memory: other jobs have what all plugins together may use";
/// And when it does.
const GOES_ON: &str = "there is memory for it again: going on from the journal";

/// What a run needs.
#[derive(Clone)]
pub struct Runner {
    /// Where effects go.
    pub outside: Outside,
    /// What runs plugins.
    pub engine: Arc<Engine>,
    catalog: Arc<Catalog>,
    limits: Arc<Limits>,
}

impl Runner {
    /// Runs what this catalogue has, within these limits.
    pub fn new(
        outside: Outside,
        catalog: Arc<Catalog>,
        engine: Arc<Engine>,
        limits: Arc<Limits>,
    ) -> Self {
        Self { outside, engine, catalog, limits }
    }

    /// Runs a claimed job to the end of this attempt, and writes that down.
    #[tracing::instrument(skip_all, fields(job.id = %job.record.id, operation = %job.record.operation))]
    pub async fn run(self, job: Job<Running>, signals: Signals, slot: Slot) {
        let Signals { cancel, shutdown } = signals.clone();
        let (kept, id) = (job.clone(), job.record.id.clone());
        let ended = match AssertUnwindSafe(self.attempt(job, signals, slot)).catch_unwind().await {
            Ok(ended) => ended,
            Err(_panic) => self.broken(kept).await,
        };
        let job = (&id, &cancel);
        self.outside.pass(Boundary::BeforeEnd, "job", job).await;
        let mut pause = Duration::from_millis(200);
        loop {
            match self.write(&ended).await {
                Ok(()) => break,
                // Somebody else has it by now, and writes its end. Its commands' receipts are the
                // other one's: what is on record may know less of them than this run does.
                Err(StorageError::LeaseLost { job }) => {
                    return warn!(job.id = %job, "the job belongs to another worker by now");
                }
                Err(error) => warn!(%error, "could not write how the job ended; trying again"),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                () = shutdown.cancelled() => return,
            }
        }
        self.outside.pass(Boundary::AfterEnd, "job", job).await;
        self.clean_up(&ended).await;
    }

    async fn attempt(&self, job: Job<Running>, signals: Signals, slot: Slot) -> Ended {
        let app = match self.app(&job).await {
            Ok(app) => app,
            Err(error) => return Ended::stopped(job, Stop::Storage(error.to_string())),
        };
        let plugin = match self.plugin(&job, app.as_ref()).await {
            Ok(Some(plugin)) => plugin,
            Ok(None) => {
                let failure = missing_plugin(&job);
                return Ended::with(job, Outcome::Failed(failure));
            }
            Err(error) => return Ended::stopped(job, Stop::Storage(error.to_string())),
        };
        if job.record.plugin.is_none() {
            self.outside.store.pin(job.lease(), &plugin.pin(), storage::now());
        }
        let here = (&job.record.id, &signals.cancel);
        self.outside.pass(Boundary::Claimed, "job", here).await;
        self.runs(job, &plugin, signals, slot).await
    }

    /// Runs the plugin, and again from its journal as often as others had the memory that it wanted.
    async fn runs(
        &self,
        mut job: Job<Running>,
        plugin: &Arc<Plugin>,
        signals: Signals,
        slot: Slot,
    ) -> Ended {
        let mut outside = self.outside.clone();
        outside.remotes = Arc::new(outside.remotes.for_one_job());
        let place = Arc::new(Place::new(slot));
        let attempt = job.record.attempt;
        let mut note =
            (attempt > 1).then(|| format!("attempt {attempt}: going on from the journal"));
        let mut share = None;
        loop {
            let (journal, grants) = match self.beginning(&job, plugin).await {
                Ok(beginning) => beginning,
                Err(error) => return Ended::stopped(job, Stop::Storage(error.to_string())),
            };
            let (record, outside, signals) = (job.record.clone(), outside.clone(), signals.clone());
            let context = JobContext::new(record, journal, grants, outside, signals.clone())
                .with_place(Arc::clone(&place))
                .with_limits(Arc::clone(&self.limits));
            let context = Arc::new(context);
            if let Some(note) = note.replace(GOES_ON.to_owned()) {
                context.note(&note);
            }
            let need = match instance::run(plugin, &self.engine, &context, share.take()).await {
                Ok(ran) => return Ended::of(job, &context, masked(ran, &context), plugin),
                Err(need) => need,
            };
            context.note(WAITS);
            let has_effects = context.journal().has_effects();
            job.record.view = context.journal().view();
            if let Err(stop) = context.write_all().await {
                return Ended::stopped(job, stop);
            }
            // All that it has in memory stands in its journal by now.
            drop(context);
            match self.room(need, &place, &signals, has_effects).await {
                Ok(room) => share = room,
                Err(stop) => return Ended::stopped(job, stop),
            }
        }
    }

    /// What a run begins with.
    async fn beginning(
        &self,
        job: &Job<Running>,
        plugin: &Plugin,
    ) -> Result<(Journal, Grants), StorageError> {
        let journal = recovery::journal(&self.outside.store, job).await?;
        Ok((journal, self.grants(job, plugin).await?))
    }

    /// Waits until there is so much memory for a run that has nothing, not even a place. One that
    /// somebody cancels goes on waiting where it may have to clean up.
    async fn room(
        &self,
        need: Need,
        place: &Place,
        Signals { cancel, shutdown }: &Signals,
        has_effects: bool,
    ) -> Result<Option<Share>, Stop> {
        let room = async {
            let share = place.lend_while(self.engine.pool().share(need)).await;
            place.take_again().await;
            share
        };
        let given_up = async {
            cancel.cancelled().await;
            if has_effects {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            share = room => Ok(share),
            () = given_up => Err(Stop::Cancelled),
            () = shutdown.cancelled() => Err(Stop::ShuttingDown),
        }
    }

    /// The app that the job is about, if it is about one.
    async fn app(&self, job: &Job<Running>) -> Result<Option<AppRecord>, StorageError> {
        if !is_about_app(&job.record.operation) {
            return Ok(None);
        }
        self.outside.store.app_of_job(&job.record.id).await
    }

    /// The plugin that an earlier attempt ran, or the one that new jobs run now; of an app, else
    /// the one that it was deployed with. Its bytes are kept as long as this job may need them.
    async fn plugin(
        &self,
        job: &Job<Running>,
        app: Option<&AppRecord>,
    ) -> Result<Option<Arc<Plugin>>, CatalogError> {
        let operation = &job.record.operation;
        let plugin = match &job.record.plugin {
            Some(pin) => self.catalog.find(&pin.digest).await?,
            None => match (self.chosen(&job.record), app) {
                (None, Some(app)) => {
                    let deployed_with = self.catalog.find(&app.plugin.digest).await?;
                    deployed_with.filter(|plugin| plugin.operations.contains(operation))
                }
                (active, _) => active,
            },
        };
        if let Some(plugin) = plugin.as_ref().filter(|_| !self.outside.is_rehearsal) {
            self.catalog.keep(plugin).await?;
        }
        Ok(plugin)
    }

    /// What a new job runs. A rehearsal is of what most jobs do: nothing is tried in it.
    fn chosen(&self, job: &JobRecord) -> Option<Arc<Plugin>> {
        if self.outside.is_rehearsal {
            self.catalog.active(&job.operation)
        } else {
            self.catalog.for_job(&job.operation, &job.id)
        }
    }

    /// What the plugin may do in this job. An app's jobs are about that app alone.
    async fn grants(&self, job: &Job<Running>, plugin: &Plugin) -> Result<Grants, StorageError> {
        let descriptor = &plugin.descriptor;
        let grants = Grants::new(Arc::clone(plugin.allowed()), job.record.server.clone());
        let (Kind::App, Ok(name)) = (descriptor.kind, descriptor.name.parse()) else {
            return Ok(grants);
        };
        let server = match &job.record.server {
            Some(server) => self.outside.store.server(server).await?,
            None => None,
        };
        let own = job.record.params.pointer("/config/domain").and_then(Value::as_str);
        let own = own.map(str::to_owned);
        let domains = own.into_iter().chain(server.and_then(|server| server.domain()));
        let names = domains.flat_map(|domain| {
            let name = move |prefix: &String| format!("{prefix}.{domain}").parse().ok();
            descriptor.dns_prefixes.iter().filter_map(name).collect::<Vec<_>>()
        });
        let delete_data = job.record.params.get("delete_data") == Some(&Value::Bool(true));
        Ok(grants.for_app(AppScope { name, names: names.collect(), delete_data }))
    }

    /// How a job ends in which the host's own code failed.
    async fn broken(&self, job: Job<Running>) -> Ended {
        match self.written(&job).await {
            Ok(entries) => Ended::with(job, after_panic(&entries)),
            Err(StorageError::LeaseLost { .. }) => Ended::stopped(job, Stop::LeaseLost),
            Err(error) => Ended::stopped(job, Stop::Storage(error.to_string())),
        }
    }

    /// The whole journal of a job that runs no more, with what the run wrote and nobody waited for.
    async fn written(&self, job: &Job<Running>) -> Result<Vec<Entry>, StorageError> {
        let store = &self.outside.store;
        store.append_durable(job.lease(), Vec::new()).await?;
        let (mut parts, mut entries) = (Parts::of(store, &job.record.id), Vec::new());
        while let Some(part) = parts.next().await? {
            entries.extend(part);
        }
        Ok(entries)
    }

    async fn write(&self, ended: &Ended) -> Result<(), StorageError> {
        let store = &self.outside.store;
        match &ended.how {
            How::Finished(job) => {
                let failure = job.record.failure.as_ref();
                let (code, reason) =
                    failure.map_or(("", ""), |failure| (&failure.code, &failure.message));
                info!(status = job.record.status.as_str(), code, reason, "job finished");
                if let (Some(lease), Some(server)) = (job.lease(), &job.record.server)
                    && !ended.receipts.is_empty()
                {
                    store.leave_receipts(lease, server, ended.receipts.clone());
                }
                store.finish((**job).clone(), ended.entries.clone()).await
            }
            How::GivenBack { job, reason } => {
                let event = Event::Requeued { reason: reason.clone() };
                store.requeue((**job).clone(), NewEntry { at: storage::now(), event }).await
            }
            How::Lost => Ok(()),
        }
    }

    /// Removes the receipts of commands that nobody will ask for again. What is left is on record with
    /// the job's end, and removed after the next start.
    async fn clean_up(&self, ended: &Ended) {
        let How::Finished(job) = &ended.how else { return };
        let Some(name) = &job.record.server else { return };
        if !ended.receipts.is_empty() {
            let Outside { store, remotes, .. } = self.outside.clone();
            Receipts { store, remotes }.remove(name, &ended.receipts).await;
        }
    }
}

/// How an attempt ended, and what is written with it.
struct Ended {
    how: How,
    entries: Vec<NewEntry>,
    receipts: Vec<Identity>,
}

enum How {
    Finished(Box<Job<Finished>>),
    GivenBack { job: Box<Job<Running>>, reason: String },
    Lost,
}

impl Ended {
    fn with(job: Job<Running>, outcome: Outcome) -> Self {
        let now = storage::now();
        let job = job.finish(outcome, now);
        let mut entries = Vec::new();
        if let Some(failure) = &job.record.failure {
            let event = Event::Log {
                level: LogLevel::Error,
                message: failure.message.clone(),
                source: LogSource::Host,
            };
            entries.push(NewEntry { at: now, event });
        }
        let event = Event::end_of(&job.record);
        entries.push(NewEntry { at: now, event });
        Self { how: How::Finished(Box::new(job)), entries, receipts: Vec::new() }
    }

    fn stopped(job: Job<Running>, stop: Stop) -> Self {
        let given_back = |job: Job<Running>, reason: String| Self {
            how: How::GivenBack { job: Box::new(job), reason },
            entries: Vec::new(),
            receipts: Vec::new(),
        };
        match stop {
            Stop::Failed(failure) => Self::with(job, Outcome::Failed(failure)),
            Stop::Uncertain(failure) => Self::with(job, Outcome::Uncertain(failure)),
            Stop::Cancelled => Self::with(job, Outcome::Cancelled(cancelled())),
            Stop::ShuttingDown => given_back(job, "the host stopped".to_owned()),
            Stop::Storage(reason) => given_back(job, format!("nothing could be written: {reason}")),
            Stop::LeaseLost => Self { how: How::Lost, entries: Vec::new(), receipts: Vec::new() },
        }
    }

    fn of(mut job: Job<Running>, context: &Arc<JobContext>, ran: Ran, plugin: &Plugin) -> Self {
        job.record.plugin.get_or_insert(plugin.pin());
        let (view, last_words, left_out) = {
            let journal = context.journal();
            (journal.view(), journal.last_words(), journal.left_out())
        };
        job.record.view = view;
        let ran = match (ran, left_out) {
            (Ran::Returned(_), Some(stop)) => Ran::Stopped(stop),
            (ran, _) => ran,
        };
        let mut ended = match ran {
            Ran::Stopped(stop) => Self::stopped(job, stop),
            Ran::Returned(Ok(result)) => Self::with(job, Outcome::Completed(result)),
            Ran::Returned(Err(failure)) if context.knows_of_cancel() => {
                let reason = if failure.code == "cancelled" { cancelled() } else { failure };
                Self::with(job, Outcome::Cancelled(reason))
            }
            Ran::Returned(Err(failure)) => Self::with(job, Outcome::Failed(failure)),
        };
        ended.entries.splice(0..0, last_words);
        ended.receipts = context.ended_commands();
        ended
    }
}

/// A plugin is told no value, but its words go where everybody reads them.
fn masked(mut ran: Ran, context: &JobContext) -> Ran {
    let masks = context.masks();
    match &mut ran {
        Ran::Returned(Ok(result)) => masks.value(result),
        Ran::Returned(Err(failure))
        | Ran::Stopped(Stop::Failed(failure) | Stop::Uncertain(failure)) => masks.failure(failure),
        Ran::Stopped(_) => {}
    }
    ran
}

/// What was under way when the host's own code failed may have happened.
fn after_panic(entries: &[Entry]) -> Outcome {
    let message = "the host itself failed in this job; its log has the reason";
    let failure = Failure::unsafe_to_retry("internal", message);
    match remains::traces(entries).iter().any(Trace::is_unknown) {
        true => Outcome::Uncertain(failure),
        false => Outcome::Failed(failure),
    }
}

fn cancelled() -> Failure {
    Failure::safe("cancelled", "somebody cancelled this job")
}

fn missing_plugin(job: &Job<Running>) -> Failure {
    let operation = &job.record.operation;
    let message = match &job.record.plugin {
        Some(pin) => format!(
            "this job began with {} {} ({}), which is not there any more: install it again and \
             retry the job",
            pin.name, pin.version, pin.digest
        ),
        None => {
            format!("no installed plugin provides `{operation}`: install one and retry the job")
        }
    };
    Failure::safe("plugin_missing", message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::journal::Class;

    #[test]
    fn what_was_under_way_when_the_host_failed_may_have_happened() {
        let entry = |seq, event| Entry { seq, at: storage::now(), event };
        let (function, class) = ("http.send".to_owned(), Class::Opaque);
        let intent = Event::Intent {
            ordinal: 0,
            function: function.clone(),
            class,
            digest: String::new(),
            request: json!({}),
        };
        let mut entries = vec![entry(1, intent)];
        assert!(matches!(after_panic(&entries), Outcome::Uncertain(_)));
        let outcome = Event::Outcome {
            ordinal: 0,
            function,
            class,
            digest: String::new(),
            result: Ok(json!({})),
            duration_ms: 1,
            recovered: None,
        };
        entries.push(entry(2, outcome));
        assert!(matches!(after_panic(&entries), Outcome::Failed(_)));
        assert!(matches!(after_panic(&[]), Outcome::Failed(_)));
    }
}
