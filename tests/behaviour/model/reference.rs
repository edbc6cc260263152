//! The model: jobs, leases and what of them is on disk, in as few words as the specification has.

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use proptest_state_machine::ReferenceStateMachine;
use windlass::model::app::AppStatus;
use windlass::model::job::JobStatus;

use super::apps::{APPS, Apps, Refusal};

/// How long a lease lasts, in seconds.
pub(super) const LEASE: u32 = 30;

/// How many workers there are: all but one think that they are somewhere else.
const WORKERS: u8 = 3;

/// How many servers jobs are about.
const SERVERS: u8 = 2;

/// The most jobs of a sequence.
const MOST_JOBS: usize = 12;

/// A step of somebody.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A new job about this server, which needs these.
    Submit { server: Option<u8>, needs: Vec<usize> },
    /// A new job that makes this app run.
    Deploy { app: u8 },
    /// A new job that takes this app away, perhaps with its secret.
    Undeploy { app: u8, forgets: bool },
    /// Somebody says what an app's secret is.
    Tell { app: u8, secret: usize },
    /// A worker wants a job.
    Claim { worker: u8 },
    /// Whoever had this lease writes to the journal, durably.
    Append { lease: usize },
    /// The same with how far it got, and nobody waits for it.
    Defer { lease: usize },
    /// The same with what the job runs.
    Pin { lease: usize },
    /// The same with an app's secret, unless there is one: on disk when what comes next is.
    Keep { lease: usize, app: u8 },
    /// The same with a note in an app's record.
    Note { lease: usize, app: u8 },
    /// The same with the removal of an app's record.
    Forget { lease: usize, app: u8 },
    /// Whoever had this lease ends the job.
    Finish { lease: usize, status: JobStatus },
    /// The same, giving it back.
    Requeue { lease: usize },
    /// A worker prolongs its leases.
    Renew { worker: u8 },
    /// A worker puts jobs back whose worker is gone.
    Recover { worker: u8, exclusive: bool },
    /// Somebody wants a job to stop.
    Cancel { job: usize },
    /// Waiting jobs are looked at again.
    Wake,
    /// Time passes, in seconds.
    Pass(u32),
    /// The process is killed, and another one starts.
    Kill,
    /// The machine loses its power, and starts again.
    PowerCut,
}

/// What the store has to answer to a step.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    /// Nothing.
    Nothing,
    /// This job, if there is one.
    Claimed(Option<usize>),
    /// It is done; or the lease is an old one.
    Done(bool),
    /// There is no job, for this reason.
    Refused(Refusal),
    /// The secret that is kept; none when the lease is an old one.
    Kept(Option<usize>),
    /// The lease counts, and there is no such app.
    NoApp,
    /// So many jobs were put back.
    Recovered(u64),
    /// These leases are kept: jobs, and whether they are to stop.
    Renewed(Vec<(usize, bool)>),
    /// The job was cancelled before it began.
    Cancelled,
    /// Its worker is told.
    Requested,
    /// It had ended so.
    Finished(JobStatus),
}

#[derive(Clone, Debug)]
pub(super) struct Job {
    server: Option<u8>,
    needs: Vec<usize>,
    pub(super) status: JobStatus,
    pub(super) attempt: u32,
    pub(super) cancel_requested: bool,
    /// Who has it, and until when.
    holder: Option<(u8, u32)>,
    fence: u64,
    /// Its journal.
    pub(super) kinds: Vec<&'static str>,
}

/// A lease as it was given, whether it still counts or not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    pub(super) job: usize,
    pub(super) worker: u8,
    pub(super) fence: u64,
}

/// What a reader sees.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    pub(super) jobs: Vec<Job>,
    pub(super) leases: Vec<Lease>,
    pub(super) apps: Apps,
}

/// Everything.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) now: u32,
    pub(super) written: Written,
    /// What a power cut leaves.
    safe: Written,
    /// Leases whose holders wrote something that waits in memory, and what.
    held: Vec<(usize, &'static str)>,
    /// What the last step was answered.
    pub(super) said: Said,
}

pub(super) struct Model;

impl ReferenceStateMachine for Model {
    type State = State;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<State> {
        let (written, safe) = (Written::default(), Written::default());
        Just(State { now: 0, written, safe, held: Vec::new(), said: Said::Nothing }).boxed()
    }

    fn transitions(state: &State) -> BoxedStrategy<Step> {
        let (jobs, leases) = (state.written.jobs.len(), state.written.leases.len());
        let worker = 0..WORKERS;
        let claim = worker.clone().prop_map(|worker| Step::Claim { worker });
        let renew = worker.clone().prop_map(|worker| Step::Renew { worker });
        let recover = (worker, any::<bool>())
            .prop_map(|(worker, exclusive)| Step::Recover { worker, exclusive });
        let pass = prop_oneof![1..LEASE, LEASE..LEASE * 2].prop_map(Step::Pass);
        let mut steps = vec![
            (6, claim.boxed()),
            (1, renew.boxed()),
            (2, recover.boxed()),
            (2, pass.boxed()),
            (1, Just(Step::Wake).boxed()),
            (1, Just(Step::Kill).boxed()),
            (1, Just(Step::PowerCut).boxed()),
            (1, tell().boxed()),
        ];
        if jobs < MOST_JOBS {
            steps.push((5, submit(jobs)));
            steps.push((5, about_app()));
        }
        if jobs > 0 {
            steps.push((1, (0..jobs).prop_map(|job| Step::Cancel { job }).boxed()));
        }
        if leases > 0 {
            steps.push((12, with_lease(leases)));
        }
        proptest::strategy::Union::new_weighted(steps).boxed()
    }

    fn preconditions(state: &State, step: &Step) -> bool {
        let (jobs, leases) = (state.written.jobs.len(), state.written.leases.len());
        match step {
            Step::Submit { needs, .. } => jobs < MOST_JOBS && needs.iter().all(|it| *it < jobs),
            Step::Deploy { .. } | Step::Undeploy { .. } => jobs < MOST_JOBS,
            Step::Cancel { job } => *job < jobs,
            Step::Append { lease }
            | Step::Defer { lease }
            | Step::Pin { lease }
            | Step::Keep { lease, .. }
            | Step::Note { lease, .. }
            | Step::Forget { lease, .. }
            | Step::Finish { lease, .. }
            | Step::Requeue { lease } => *lease < leases,
            _ => true,
        }
    }

    fn apply(mut state: State, step: &Step) -> State {
        state.said = state.take(step);
        state
    }
}

fn submit(jobs: usize) -> BoxedStrategy<Step> {
    let server = prop_oneof![2 => Just(None), 5 => (0..SERVERS).prop_map(Some)];
    let all: Vec<usize> = (0..jobs).collect();
    let needs = prop_oneof![3 => Just(Vec::new()), 1 => subsequence(all, 0..=jobs.min(2))];
    (server, needs).prop_map(|(server, needs)| Step::Submit { server, needs }).boxed()
}

fn about_app() -> BoxedStrategy<Step> {
    (0..APPS, any::<Option<bool>>())
        .prop_map(|(app, forgets)| match forgets {
            None => Step::Deploy { app },
            Some(forgets) => Step::Undeploy { app, forgets },
        })
        .boxed()
}

/// Something that no lease's holder keeps.
fn tell() -> impl Strategy<Value = Step> {
    (0..APPS, 1_000..2_000_usize).prop_map(|(app, secret)| Step::Tell { app, secret })
}

/// A step of somebody who had a lease: of the newest ones more often than of old ones.
fn with_lease(leases: usize) -> BoxedStrategy<Step> {
    let newest = leases.saturating_sub(3)..leases;
    let lease = prop_oneof![3 => newest, 1 => 0..leases];
    let status = prop_oneof![
        3 => Just(JobStatus::Completed),
        1 => Just(JobStatus::Failed),
        1 => Just(JobStatus::Cancelled),
        1 => Just(JobStatus::Uncertain),
    ];
    (lease, status, 0..APPS, any::<Index>())
        .prop_map(|(lease, status, app, which)| match which.index(12) {
            0 => Step::Append { lease },
            1 | 2 => Step::Defer { lease },
            8 => Step::Pin { lease },
            3 => Step::Keep { lease, app },
            4 | 5 => Step::Note { lease, app },
            6 => Step::Forget { lease, app },
            7 => Step::Requeue { lease },
            _ => Step::Finish { lease, status },
        })
        .boxed()
}

impl State {
    fn take(&mut self, step: &Step) -> Said {
        match *step {
            Step::Claim { worker } => Said::Claimed(self.written.claim(worker, self.now + LEASE)),
            Step::Renew { worker } => Said::Renewed(self.written.renew(worker, self.now + LEASE)),
            Step::Wake => Said::Nothing,
            Step::Pass(seconds) => {
                self.now += seconds;
                Said::Nothing
            }
            Step::Defer { lease } => {
                self.held.push((lease, "progress"));
                Said::Nothing
            }
            Step::Pin { lease } => {
                self.held.push((lease, "pinned"));
                Said::Nothing
            }
            Step::Keep { .. } | Step::Note { .. } | Step::Forget { .. } => {
                self.write_held();
                self.written.in_order(step)
            }
            Step::Kill => {
                self.held.clear();
                self.safe = self.written.clone();
                Said::Nothing
            }
            Step::PowerCut => {
                self.held.clear();
                self.written = self.safe.clone();
                Said::Nothing
            }
            _ => {
                self.write_held();
                let said = self.written.durably(step, self.now);
                self.safe = self.written.clone();
                said
            }
        }
    }

    /// What waits in memory is written with whatever has to come after it.
    fn write_held(&mut self) {
        for (lease, kind) in std::mem::take(&mut self.held) {
            self.written.append(lease, kind);
        }
    }
}

impl Written {
    /// What is written in the order of a job's journal, and on disk with what comes then.
    fn in_order(&mut self, step: &Step) -> Said {
        match *step {
            Step::Keep { lease, app } => Said::Kept(self.keep(lease, app)),
            Step::Note { lease, .. } | Step::Forget { lease, .. } if !self.holds(lease) => {
                Said::Done(false)
            }
            Step::Note { lease, app } => match self.apps.records.get_mut(&app) {
                Some(record) => {
                    record.note = Some(lease);
                    Said::Done(true)
                }
                None => Said::NoApp,
            },
            Step::Forget { app, .. } => {
                self.apps.remove(app);
                Said::Done(true)
            }
            _ => unreachable!("{step:?} is not of a job"),
        }
    }

    fn durably(&mut self, step: &Step, now: u32) -> Said {
        match step {
            Step::Submit { server, needs } => self.submit(*server, needs.clone()),
            Step::Deploy { app } => self.change_app(*app, AppStatus::Deploying, false),
            Step::Undeploy { app, forgets } => self.change_app(*app, AppStatus::Removing, *forgets),
            Step::Tell { app, secret } => {
                self.apps.secrets.insert(*app, *secret);
                Said::Nothing
            }
            Step::Append { lease } => Said::Done(self.append(*lease, "log")),
            Step::Finish { lease, status } => Said::Done(self.finish(*lease, *status)),
            Step::Requeue { lease } => {
                let is_held = self.append(*lease, "requeued");
                if is_held {
                    self.put_back(self.leases[*lease].job);
                }
                Said::Done(is_held)
            }
            Step::Recover { worker, exclusive } => self.recover(*worker, *exclusive, now),
            Step::Cancel { job } => self.cancel(*job),
            other => unreachable!("{other:?} is not durable"),
        }
    }

    fn submit(&mut self, server: Option<u8>, needs: Vec<usize>) -> Said {
        let is_lost = |needed: &usize| {
            let status = self.jobs[*needed].status;
            status.is_finished() && status != JobStatus::Completed
        };
        let (is_hopeless, number) = (needs.iter().any(is_lost), self.jobs.len());
        self.jobs.push(Job {
            server,
            needs,
            status: JobStatus::Queued,
            attempt: 0,
            cancel_requested: false,
            holder: None,
            fence: 0,
            kinds: vec!["submitted"],
        });
        if is_hopeless {
            self.end(number, JobStatus::Failed);
        }
        Said::Nothing
    }

    fn change_app(&mut self, app: u8, status: AppStatus, forgets: bool) -> Said {
        match self.apps.begin(app, self.jobs.len(), status, forgets) {
            Ok(()) => self.submit(Some(0), Vec::new()),
            Err(refusal) => Said::Refused(refusal),
        }
    }

    /// The oldest job that may run.
    pub(super) fn claimable(&self) -> Option<usize> {
        (0..self.jobs.len()).find(|&number| {
            let job = &self.jobs[number];
            let is_next = |older: &Job| older.server != job.server || older.status.is_finished();
            job.status == JobStatus::Queued
                && (job.server.is_none() || self.jobs[..number].iter().all(is_next))
                && job.needs.iter().all(|&it| self.jobs[it].status == JobStatus::Completed)
        })
    }

    fn claim(&mut self, worker: u8, until: u32) -> Option<usize> {
        let number = self.claimable()?;
        let job = &mut self.jobs[number];
        job.status = JobStatus::Running;
        job.attempt += 1;
        job.fence += 1;
        job.holder = Some((worker, until));
        job.kinds.push("claimed");
        self.leases.push(Lease { job: number, worker, fence: job.fence });
        Some(number)
    }

    fn holds(&self, lease: usize) -> bool {
        let Lease { job, worker, fence } = self.leases[lease];
        let job = &self.jobs[job];
        job.status == JobStatus::Running
            && job.fence == fence
            && job.holder.is_some_and(|(holder, _)| holder == worker)
    }

    fn append(&mut self, lease: usize, kind: &'static str) -> bool {
        let is_held = self.holds(lease);
        if is_held {
            let job = self.leases[lease].job;
            self.jobs[job].kinds.push(kind);
        }
        is_held
    }

    fn keep(&mut self, lease: usize, app: u8) -> Option<usize> {
        self.holds(lease).then(|| *self.apps.secrets.entry(app).or_insert(lease))
    }

    fn finish(&mut self, lease: usize, status: JobStatus) -> bool {
        let is_held = self.holds(lease);
        if is_held {
            self.end(self.leases[lease].job, status);
        }
        is_held
    }

    /// A job ends, and with it those that needed it to complete.
    fn end(&mut self, number: usize, status: JobStatus) {
        let job = &mut self.jobs[number];
        (job.status, job.holder) = (status, None);
        job.kinds.push("finished");
        self.apps.settle(number, status, self.jobs[number].attempt > 0);
        if status == JobStatus::Completed {
            return;
        }
        for dependant in 0..self.jobs.len() {
            let job = &self.jobs[dependant];
            if job.needs.contains(&number) && job.status == JobStatus::Queued {
                self.end(dependant, JobStatus::Failed);
            }
        }
    }

    fn put_back(&mut self, number: usize) {
        let job = &mut self.jobs[number];
        (job.status, job.holder) = (JobStatus::Queued, None);
    }

    fn renew(&mut self, worker: u8, until: u32) -> Vec<(usize, bool)> {
        let mut kept = Vec::new();
        for (number, job) in self.jobs.iter_mut().enumerate() {
            if let Some((holder, lasts)) = &mut job.holder
                && *holder == worker
            {
                *lasts = until;
                kept.push((number, job.cancel_requested));
            }
        }
        kept
    }

    fn recover(&mut self, worker: u8, exclusive: bool, now: u32) -> Said {
        let mut recovered = 0;
        for number in 0..self.jobs.len() {
            let Some((holder, until)) = self.jobs[number].holder else { continue };
            if until < now || (exclusive && holder != worker) {
                self.put_back(number);
                self.jobs[number].kinds.push("requeued");
                recovered += 1;
            }
        }
        Said::Recovered(recovered)
    }

    fn cancel(&mut self, number: usize) -> Said {
        let job = &mut self.jobs[number];
        if job.status.is_finished() {
            return Said::Finished(job.status);
        }
        if !job.cancel_requested {
            job.cancel_requested = true;
            job.kinds.push("cancel_requested");
        }
        if job.status == JobStatus::Queued && job.attempt == 0 {
            self.end(number, JobStatus::Cancelled);
            return Said::Cancelled;
        }
        Said::Requested
    }
}
