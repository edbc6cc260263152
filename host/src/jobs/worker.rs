//! Claims jobs and runs them, many at once. Woken by the store's commits, never by a poll, but for
//! a slow one as a safety net.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::task::{Id, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::effects::boundary::Boundary;
use crate::effects::context::Signals;
use crate::effects::slots::{Slot, Slots};
use crate::jobs::run::Runner;
use crate::model::job::{Job, Running};
use crate::model::names::{JobId, WorkerId};
use crate::storage::{self, Change, Claim, KeptLease};

/// How long a lease lasts unless it is renewed.
const LEASE: SignedDuration = SignedDuration::from_secs(30);

/// How often leases are renewed, and the queue is looked at without having been woken.
const ROUND: Duration = Duration::from_secs(10);

/// How many jobs are claimed at once: who goes on after a wait must not wait long for his place.
const AT_ONCE: usize = 16;

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Who it is.
    pub id: WorkerId,
    /// How many jobs may be busy at once. Those that wait for the outside do not count.
    pub limit: usize,
}

/// The task that runs jobs.
pub struct Workers {
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Workers {
    /// Starts to claim jobs.
    pub fn start(runner: Runner, options: WorkerOptions) -> Self {
        let shutdown = CancellationToken::new();
        let tasks = TaskTracker::new();
        let worker = Worker {
            changes: runner.outside.store.changes(),
            runner,
            slots: Slots::new(options.limit),
            options,
            looked_up_to: 0,
            may_be_more: true,
            shutdown: shutdown.clone(),
            running: JoinSet::new(),
            jobs: HashMap::new(),
            tasks: HashMap::new(),
        };
        tasks.spawn(worker.work());
        tasks.close();
        Self { tasks, shutdown }
    }

    /// Stops claiming, gives running jobs back, and returns when none runs any more.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.wait().await;
    }
}

struct Worker {
    runner: Runner,
    options: WorkerOptions,
    slots: Arc<Slots>,
    /// Up to where waiting jobs were looked at in this round through the queue.
    looked_up_to: u64,
    /// Whether there may be jobs to claim.
    may_be_more: bool,
    changes: Receiver<Change>,
    shutdown: CancellationToken,
    running: JoinSet<()>,
    /// Tells running jobs to stop.
    jobs: HashMap<JobId, CancellationToken>,
    /// Which task runs which job.
    tasks: HashMap<Id, JobId>,
}

enum Event {
    Changed(Result<Change, RecvError>),
    Ended(Id),
    Freed,
    Round,
    Stop,
}

impl Worker {
    async fn work(mut self) {
        let mut round = interval(ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                () = self.shutdown.cancelled() => Event::Stop,
                change = self.changes.recv() => Event::Changed(change),
                Some(ended) = self.running.join_next_with_id() => Event::Ended(task_of(ended)),
                () = self.slots.freed() => Event::Freed,
                _ = round.tick() => Event::Round,
            };
            match event {
                Event::Stop => break,
                Event::Changed(Ok(Change::CancelRequested(id))) => self.cancel(&id),
                Event::Changed(Ok(Change::Claimable)) => {
                    self.may_be_more = true;
                    self.claim().await;
                }
                // What was missed may have been a cancel; the records say so.
                Event::Changed(Err(RecvError::Lagged(_))) => self.look_around().await,
                Event::Changed(Err(RecvError::Closed)) => break,
                Event::Changed(Ok(Change::Job(_))) => {}
                Event::Ended(task) => {
                    self.forget(task);
                    self.claim().await;
                }
                Event::Freed => self.claim().await,
                Event::Round => self.look_around().await,
            }
        }
        self.shutdown.cancel();
        while let Some(ended) = self.running.join_next_with_id().await {
            self.forget(task_of(ended));
        }
    }

    /// Takes jobs as long as there may be some and there is room. What was just given back, since the
    /// host stops, is not taken again.
    async fn claim(&mut self) {
        while self.may_be_more && !self.shutdown.is_cancelled() {
            let room = self.runner.engine.room().saturating_sub(self.running.len());
            let slots = std::iter::from_fn(|| self.slots.take());
            let slots: Vec<Slot> = slots.take(room.min(AT_ONCE)).collect();
            if slots.is_empty() {
                return;
            }
            let claimed = self.runner.outside.store.claim_jobs(&self.lease(), slots.len()).await;
            let mut slots = slots.into_iter();
            match claimed {
                Ok(jobs) => {
                    self.may_be_more = jobs.len() == slots.len();
                    jobs.into_iter().zip(&mut slots).for_each(|(job, slot)| self.start(job, slot));
                    slots.for_each(Slot::put_back);
                }
                Err(error) => {
                    slots.for_each(Slot::put_back);
                    return error!(%error, "could not claim jobs");
                }
            }
        }
    }

    fn start(&mut self, job: Job<Running>, slot: Slot) {
        let cancel = CancellationToken::new();
        if job.record.cancel_requested {
            cancel.cancel();
        }
        let id = job.record.id.clone();
        info!(job.id = %id, operation = %job.record.operation, attempt = job.record.attempt, "job started");
        let signals = Signals { cancel: cancel.clone(), shutdown: self.shutdown.clone() };
        let task = self.running.spawn(self.runner.clone().run(job, signals, slot));
        self.tasks.insert(task.id(), id.clone());
        self.jobs.insert(id, cancel);
    }

    fn cancel(&self, id: &JobId) {
        if let Some(token) = self.jobs.get(id).filter(|token| !token.is_cancelled()) {
            self.runner.outside.boundaries.pass(Boundary::AfterCancel, "job");
            token.cancel();
        }
    }

    fn forget(&mut self, task: Id) {
        if let Some(id) = self.tasks.remove(&task) {
            self.jobs.remove(&id);
        }
    }

    /// Keeps what runs, takes over what nobody runs any more, notices cancels, claims.
    async fn look_around(&mut self) {
        let lease = self.lease();
        let store = Arc::clone(&self.runner.outside.store);
        match store.renew_leases(&lease).await {
            Ok(kept) => {
                // Whoever ended meanwhile has given its lease back, and is not missed.
                while let Some(ended) = self.running.try_join_next_with_id() {
                    self.forget(task_of(ended));
                }
                self.compare(&kept);
            }
            Err(error) => warn!(%error, "could not renew leases"),
        }
        if let Err(error) = store.recover(&lease, false).await {
            warn!(%error, "could not look for jobs whose worker died");
        }
        match store.wake_waiting(self.looked_up_to).await {
            Ok(place) => self.looked_up_to = place.unwrap_or(0),
            Err(error) => warn!(%error, "could not look at the jobs that wait"),
        }
        self.may_be_more = true;
        self.claim().await;
    }

    fn compare(&self, kept: &[KeptLease]) {
        for lease in kept.iter().filter(|lease| lease.cancel_requested) {
            self.cancel(&lease.job);
        }
        let kept: HashSet<&JobId> = kept.iter().map(|lease| &lease.job).collect();
        for id in self.jobs.keys().filter(|id| !kept.contains(id)) {
            warn!(job.id = %id, "this job's lease is not ours any more");
        }
    }

    fn lease(&self) -> Claim {
        let now = storage::now();
        let until = now.saturating_add(LEASE).unwrap_or(now);
        Claim { worker: self.options.id.clone(), now, until }
    }
}

fn task_of(ended: Result<(Id, ()), tokio::task::JoinError>) -> Id {
    match ended {
        Ok((id, ())) => id,
        Err(error) => error.id(),
    }
}
