//! What is known of the disk: when it last took a commit, and how long it took for it.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For how long a commit that reached the disk is the proof that commits do.
const FRESH: Duration = Duration::from_secs(5);

/// Told by the writer, read by whoever wants to know.
#[derive(Default)]
pub(super) struct Disk {
    /// How many commits waited for it.
    pub(super) syncs: AtomicU64,
    /// Whether something can be read that may not be on disk.
    pub(super) has_unsynced: AtomicBool,
    times: Mutex<Times>,
}

#[derive(Default)]
struct Times {
    /// Since when a commit waits for it.
    since: Option<Instant>,
    /// When the last one reached it; none when the last one failed.
    synced: Option<Instant>,
    /// How long that one took.
    took: Duration,
}

impl Disk {
    /// A commit begins to wait for it.
    pub(super) fn begin(&self) {
        self.times().since = Some(Instant::now());
    }

    /// It ended so. Answers how long it took.
    pub(super) fn end(&self, is_on_disk: bool) -> Duration {
        let mut times = self.times();
        let took = times.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        times.took = took;
        times.synced = is_on_disk.then(Instant::now);
        took
    }

    /// That commits reached it says nothing any more.
    pub(super) fn forget(&self) {
        self.times().synced = None;
    }

    /// Whether a commit reached it so short a time ago that it does.
    pub(super) fn has_just_synced(&self) -> bool {
        self.times().synced.is_some_and(|at| at.elapsed() < FRESH)
    }

    /// How long the last commit took, or the one takes that still waits.
    pub(super) fn takes(&self) -> Duration {
        let times = self.times();
        times.since.map_or(times.took, |since| times.took.max(since.elapsed()))
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
