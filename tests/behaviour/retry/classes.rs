//! An effect that nobody knows the outcome of, by its class: what the host does when it looks once
//! more, and when a person says what happened.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tests::workshop::Workshop;
use windlass::effects::context::{JobContext, Signals};
use windlass::effects::grants::{Allowed, Grant, Grants};
use windlass::effects::journal::Journal;
use windlass::effects::{self, Effect, Stop};
use windlass::model::failure::Failure;
use windlass::model::grants::GrantsWanted;
use windlass::model::job::{JobStatus, Outcome};
use windlass::model::journal::{Class, Event, NewEntry};
use windlass::model::names::{Identity, JobId};
use windlass::model::retry::{Resolve, RetryFrom};
use windlass::storage::{Claim, NewJob, ServerChange};

/// The outside: what was sent there, and whether anybody answers.
#[derive(Default)]
struct World {
    sent: AtomicU32,
    there: Mutex<BTreeSet<String>>,
    is_dark: AtomicBool,
}

impl World {
    /// Something is done there, and then, perhaps, the answer is lost.
    fn take(&self, identity: &Identity) -> Result<String, Failure> {
        self.sent.fetch_add(1, Ordering::SeqCst);
        self.there.lock().unwrap().insert(identity.to_string());
        self.answer(identity.to_string())
    }

    fn answer<T>(&self, answer: T) -> Result<T, Failure> {
        if self.is_dark.load(Ordering::SeqCst) {
            return Err(Failure::unsafe_to_retry("outcome_unknown", "the answer was lost"));
        }
        Ok(answer)
    }

    fn has(&self, identity: &Identity) -> bool {
        self.there.lock().unwrap().contains(&identity.to_string())
    }
}

macro_rules! effect {
    ($name:ident, $class:expr, $act:expr) => {
        struct $name(Arc<World>);

        impl Effect for $name {
            type Answer = String;
            const FUNCTION: &'static str = stringify!($name);
            const CLASS: Class = $class;

            fn needs(&self) -> Grant<'_> {
                Grant { interface: "http", server: None }
            }

            fn request(&self) -> Value {
                json!({})
            }

            async fn act(&self, _: &JobContext, identity: &Identity) -> Result<String, Failure> {
                let act: fn(&World, &Identity) -> Result<String, Failure> = $act;
                act(&self.0, identity)
            }

            async fn find(
                &self,
                _: &JobContext,
                identity: &Identity,
            ) -> Result<Option<String>, Failure> {
                let found = self.0.has(identity).then(|| identity.to_string());
                self.0.answer(found)
            }
        }
    };
}

effect!(Make, Class::Create, World::take);
effect!(Post, Class::Opaque, World::take);
// A command is started once for each receipt; asking again answers what it left.
effect!(Command, Class::Exec, |world, identity| {
    if world.has(identity) { world.answer(identity.to_string()) } else { world.take(identity) }
});

struct Bench {
    workshop: Workshop,
    world: Arc<World>,
}

impl Bench {
    async fn new() -> Self {
        let mut workshop = Workshop::open().await;
        workshop.stop_workers().await;
        Self { workshop, world: Arc::default() }
    }

    /// A job that does two of these, the second while nobody answers: it is uncertain.
    async fn uncertain<E: Effect>(&self, make: fn(Arc<World>) -> E) -> JobId {
        let now = Timestamp::now();
        let job = NewJob {
            id: JobId::new(now, rand::random()),
            operation: "misbehaves".parse().unwrap(),
            params: json!({}),
            server: None,
            retry_of: None,
            depends_on: Vec::new(),
            by: "test".to_owned(),
            now,
            server_change: ServerChange::None,
            idempotency: None,
        };
        let id = job.id.clone();
        self.workshop.store.submit(job).await.unwrap();
        self.run(make, true).await;
        let record = self.workshop.store.job(&id).await.unwrap().unwrap();
        assert_eq!(record.status, JobStatus::Uncertain);
        self.world.is_dark.store(false, Ordering::SeqCst);
        id
    }

    /// Runs the job that waits: one effect, then another one.
    async fn run<E: Effect>(&self, make: fn(Arc<World>) -> E, gets_dark: bool) -> JobStatus {
        let store = &self.workshop.store;
        let now = windlass::storage::now();
        let until = now + SignedDuration::from_secs(60);
        let claim = Claim { worker: "bench".parse().unwrap(), now, until };
        let job = store.claim_jobs(&claim, 1).await.unwrap().pop().unwrap();
        let entries = store.journal(&job.record.id, 0, 1000).await.unwrap();
        let journal = Journal::new(Arc::clone(store), &job, entries);
        let wanted = GrantsWanted { interfaces: vec!["http".to_owned()], ..Default::default() };
        let allowed = Arc::new(Allowed::new(wanted));
        let (grants, outside) = (Grants::new(allowed, None), self.workshop.outside.clone());
        let context =
            JobContext::new(job.record.clone(), journal, grants, outside, Signals::default());
        let effect = make(Arc::clone(&self.world));
        let mut ended = effects::perform(&context, &effect).await;
        if ended.is_ok() {
            self.world.is_dark.fetch_or(gets_dark, Ordering::SeqCst);
            ended = effects::perform(&context, &effect).await;
        }
        let outcome = match ended {
            Ok(answer) => answer.map_or_else(Outcome::Failed, |it| Outcome::Completed(json!(it))),
            Err(Stop::Uncertain(failure)) => Outcome::Uncertain(failure),
            Err(stop) => panic!("{stop:?}"),
        };
        let job = job.finish(outcome, now);
        let status = job.record.status;
        let event = Event::end_of(&job.record);
        store.finish(job, vec![NewEntry { at: now, event }]).await.unwrap();
        status
    }

    /// Tries it again, and answers how that ended and how often something was sent in all.
    async fn again<E: Effect>(
        &self,
        id: &JobId,
        make: fn(Arc<World>) -> E,
        resolve: Option<Resolve>,
    ) -> (JobStatus, u32) {
        self.workshop.retry(id, RetryFrom::FailedStep, resolve).await;
        let status = self.run(make, false).await;
        (status, self.world.sent.load(Ordering::SeqCst))
    }

    fn forget_all(&self) {
        self.world.there.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn a_creation_is_looked_for_and_adopted_whatever_is_said() {
    for resolve in [None, Some(Resolve::Happened), Some(Resolve::DidNotHappen)] {
        let bench = Bench::new().await;
        let id = bench.uncertain(Make).await;
        let ended = bench.again(&id, Make, resolve).await;
        assert_eq!(ended, (JobStatus::Completed, 2), "{resolve:?}");
    }
}

#[tokio::test]
async fn a_creation_that_is_not_there_is_made_unless_a_person_says_that_it_is() {
    for (resolve, wanted) in [
        (None, (JobStatus::Completed, 3)),
        (Some(Resolve::DidNotHappen), (JobStatus::Completed, 3)),
        (Some(Resolve::Happened), (JobStatus::Uncertain, 2)),
    ] {
        let bench = Bench::new().await;
        let id = bench.uncertain(Make).await;
        bench.forget_all();
        assert_eq!(bench.again(&id, Make, resolve).await, wanted, "{resolve:?}");
    }
}

#[tokio::test]
async fn a_command_is_asked_for_by_its_receipt_and_runs_again_only_when_a_person_says_so() {
    for (resolve, sent) in
        [(None, 2), (Some(Resolve::Happened), 2), (Some(Resolve::DidNotHappen), 3)]
    {
        let bench = Bench::new().await;
        let id = bench.uncertain(Command).await;
        let (status, count) = bench.again(&id, Command, resolve).await;
        assert_eq!(count, sent, "{resolve:?}");
        // This one's answer cannot be made up: the plugin is told so.
        let lost = resolve == Some(Resolve::Happened);
        assert_eq!(status == JobStatus::Failed, lost, "{resolve:?}: {status:?}");
    }
}

#[tokio::test]
async fn what_nobody_can_look_for_stays_uncertain_until_a_person_says_what_happened() {
    let bench = Bench::new().await;
    let id = bench.uncertain(Post).await;
    assert_eq!(bench.again(&id, Post, None).await, (JobStatus::Uncertain, 2));
    let bench = Bench::new().await;
    let id = bench.uncertain(Post).await;
    let ended = bench.again(&id, Post, Some(Resolve::DidNotHappen)).await;
    assert_eq!(ended, (JobStatus::Completed, 3));
    let bench = Bench::new().await;
    let id = bench.uncertain(Post).await;
    assert_eq!(bench.again(&id, Post, Some(Resolve::Happened)).await.1, 2, "never sent again");
}
