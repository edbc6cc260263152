//! How a run is told to stop, and when it has: what is under way is known to have come to its end
//! before anybody is told so.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::JobContext;
use crate::effects::Stop;
use crate::model::failure::Failure;

/// How long a job may clean up that is to end.
const CLEANUP_BUDGET: Duration = Duration::from_secs(30);

impl JobContext {
    /// Whether the run is to end: somebody cancelled the job, or its time is over.
    pub fn is_to_end(&self) -> bool {
        self.ends.is_cancelled()
    }

    /// Whether the next effect is answered with that: once, then it is time to clean up.
    pub fn tells_end(&self) -> bool {
        self.is_to_end() && self.told.get().is_none()
    }

    /// Whether the plugin was told that somebody cancelled the job.
    pub fn knows_of_cancel(&self) -> bool {
        self.told.get().is_some() && self.overdue().is_none()
    }

    /// How a run ends that is to: for the first of its reasons.
    pub fn ending(&self) -> Stop {
        self.ending.get_or_init(|| Stop::Cancelled).clone()
    }

    /// How a run ends whose time is over.
    pub fn overdue(&self) -> Option<Stop> {
        self.ending.get().filter(|ending| **ending != Stop::Cancelled).cloned()
    }

    /// Why the run is to end, as a fragment of a sentence.
    pub fn why_it_ends(&self) -> &'static str {
        match self.overdue() {
            Some(_) => "the time of this job is over",
            None => "somebody cancelled this job",
        }
    }

    /// What ends a call under way: the wish to cancel, the end of the run's time, or, while
    /// cleaning up, the end of the time for that.
    pub fn cancel_token(&self) -> CancellationToken {
        if self.told.get().is_some() { &self.out_of_time } else { &self.ends }.clone()
    }

    /// Whether a new effect may begin.
    pub fn may_begin(&self) -> Result<(), Stop> {
        if self.signals.shutdown.is_cancelled() {
            return Err(Stop::ShuttingDown);
        }
        if self.out_of_time.is_cancelled() { Err(self.ending()) } else { Ok(()) }
    }

    /// Ready so long after the host was told to stop.
    pub async fn shutdown_after(&self, grace: Duration) {
        self.signals.shutdown.cancelled().await;
        tokio::time::sleep(grace).await;
    }

    /// Marks that an effect acts, until it is dropped.
    pub fn in_flight(&self) -> InFlight<'_> {
        self.acting.fetch_add(1, Ordering::SeqCst);
        InFlight(self)
    }

    /// Ends the run for this reason; the first one counts.
    pub fn stop(&self, reason: Stop) {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.halted.cancel();
    }

    /// The reason for which the run was ended.
    pub fn take_stop(&self) -> Option<Stop> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Ready when the run has to end although the plugin goes on: ended by [`Self::stop`], the time
    /// for cleaning up over, or the host stopping while the plugin computes. So long after its
    /// beginning its time is over, for this reason.
    pub async fn stopped(&self, timeout: Duration, late: &Failure) -> Stop {
        tokio::select! {
            () = self.halted.cancelled() => {}
            stop = self.overstays(timeout, late) => self.stop(stop),
            () = self.cleaned_up() => self.stop(self.ending()),
            () = self.shutdown_while_idle() => self.stop(Stop::ShuttingDown),
        }
        self.take_stop().unwrap_or_else(|| self.ending())
    }

    /// Waits for the end of the time for cleaning up, and then for the effect under way: it is
    /// known to have stopped only when it says so.
    async fn cleaned_up(&self) {
        self.ends.cancelled().await;
        let began = Instant::now();
        loop {
            let since = self.told.get().copied();
            tokio::time::sleep_until(since.unwrap_or(began) + CLEANUP_BUDGET).await;
            if self.told.get().copied() == since {
                break;
            }
        }
        self.out_of_time.cancel();
        self.until_idle().await;
    }

    /// Waits for the end of the run's time. One that asked for nothing has nothing to clean up; any
    /// other is to end as if somebody had cancelled it.
    async fn overstays(&self, timeout: Duration, late: &Failure) -> Stop {
        tokio::time::sleep(timeout).await;
        let stop = Stop::Failed(late.clone());
        if self.is_to_end() || self.ending.set(stop.clone()).is_err() {
            return std::future::pending().await;
        }
        if !self.journal().has_effects() {
            return stop;
        }
        // A run that goes on from here must know it before anything can tell that it is so.
        if let Err(stop) = self.record_overdue(late).await {
            return stop;
        }
        self.note("its time is over: what is under way is stopped, or waited for");
        self.ends.cancel();
        std::future::pending().await
    }

    async fn shutdown_while_idle(&self) {
        self.signals.shutdown.cancelled().await;
        self.until_idle().await;
    }

    async fn until_idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.acting.load(Ordering::SeqCst) == 0 {
                return;
            }
            idle.await;
        }
    }
}

/// An effect that acts now.
pub struct InFlight<'a>(&'a JobContext);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.acting.fetch_sub(1, Ordering::SeqCst);
        self.0.idle.notify_waiters();
    }
}
