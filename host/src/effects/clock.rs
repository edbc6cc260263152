//! The time that a plugin sees: that of its job's journal, so that a replay sees the same. It moves
//! at host calls, and by a microsecond with each look at it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

const TICK: SignedDuration = SignedDuration::from_micros(1);

/// The clock of one run.
#[derive(Debug)]
pub struct JobClock {
    started: Timestamp,
    now: Mutex<Timestamp>,
    /// Whether whoever waits is told at once that the time is over.
    is_hurried: bool,
}

impl JobClock {
    /// A clock that shows the time at which the job was first started.
    pub const fn new(started: Timestamp) -> Self {
        Self { started, now: Mutex::new(started), is_hurried: false }
    }

    /// The same, with nothing to wait for: its time passes as fast as it is asked to.
    pub const fn hurried(started: Timestamp) -> Self {
        Self { started, now: Mutex::new(started), is_hurried: true }
    }

    /// What it shows, without moving it.
    pub fn now(&self) -> Timestamp {
        *self.lock()
    }

    /// Something happened at this time. It never goes back.
    pub fn advance(&self, at: Timestamp) {
        let mut now = self.lock();
        *now = (*now).max(at);
    }

    /// Waits in real time until it would show this, and shows it then.
    pub async fn wait_until(&self, at: Timestamp) {
        let rest = at.duration_since(Timestamp::now());
        if let (Ok(rest), false) = (Duration::try_from(rest), self.is_hurried) {
            tokio::time::sleep(rest).await;
        }
        self.advance(at);
    }

    fn tick(&self) -> Timestamp {
        let mut now = self.lock();
        *now = now.saturating_add(TICK).unwrap_or(*now);
        *now
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Timestamp> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl bindings::Clock for JobClock {
    fn wall(&self) -> Duration {
        Duration::try_from(self.tick().duration_since(Timestamp::UNIX_EPOCH)).unwrap_or_default()
    }

    fn monotonic(&self) -> u64 {
        let since = self.tick().duration_since(self.started).as_nanos();
        u64::try_from(since).unwrap_or_default()
    }

    async fn sleep_until(&self, monotonic: u64) {
        let since = SignedDuration::from_nanos(i64::try_from(monotonic).unwrap_or(i64::MAX));
        let at = self.started.saturating_add(since).unwrap_or(Timestamp::MAX);
        if at > self.now() {
            self.wait_until(at).await;
        }
    }
}
