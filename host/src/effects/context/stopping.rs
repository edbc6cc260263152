//! How a run is told to stop, and when it has: what is under way is known to have come to its end
//! before anybody is told so.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::JobContext;
use crate::effects::Stop;

/// How long a cancelled job may clean up.
const CLEANUP_BUDGET: Duration = Duration::from_secs(30);

impl JobContext {
    /// Whether the next effect is answered with `cancelled`: once, then it is time to clean up.
    pub fn answers_cancelled(&self) -> bool {
        self.signals.cancel.is_cancelled() && self.cancel_answered.get().is_none()
    }

    /// Whether somebody wants the job to stop.
    pub fn is_cancelled(&self) -> bool {
        self.signals.cancel.is_cancelled()
    }

    /// Whether the plugin was told so.
    pub fn knows_of_cancel(&self) -> bool {
        self.cancel_answered.get().is_some()
    }

    /// What ends a call under way: the wish to cancel, the end of the run's time, or, while
    /// cleaning up, the end of the time for that.
    pub fn cancel_token(&self) -> CancellationToken {
        if self.knows_of_cancel() { &self.out_of_time } else { &self.calls }.clone()
    }

    /// Whether a new effect may begin.
    pub fn may_begin(&self) -> Result<(), Stop> {
        if self.signals.shutdown.is_cancelled() {
            return Err(Stop::ShuttingDown);
        }
        if self.out_of_time.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        self.in_time()
    }

    /// Whether the run still has time; if not, how it ends.
    pub fn in_time(&self) -> Result<(), Stop> {
        self.late.get().map_or(Ok(()), |late| Err(late.clone()))
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

    /// Ready when the run has to end although the plugin goes on: ended by [`Self::stop`], after so
    /// long for this reason, the time for cleaning up over, or the host stopping while the plugin
    /// computes.
    pub async fn stopped(&self, timeout: Duration, late: Stop) -> Stop {
        tokio::select! {
            () = self.halted.cancelled() => {}
            () = self.overdue(timeout, &late) => self.stop(late.clone()),
            () = self.cleaned_up() => self.stop(Stop::Cancelled),
            () = self.shutdown_while_idle() => self.stop(Stop::ShuttingDown),
        }
        self.take_stop().unwrap_or(Stop::Cancelled)
    }

    /// Waits for the end of the time for cleaning up, and then for the effect under way: it is
    /// known to have stopped only when it says so.
    async fn cleaned_up(&self) {
        self.signals.cancel.cancelled().await;
        let requested = Instant::now();
        loop {
            let since = self.cancel_answered.get().copied();
            tokio::time::sleep_until(since.unwrap_or(requested) + CLEANUP_BUDGET).await;
            if self.cancel_answered.get().copied() == since {
                break;
            }
        }
        self.out_of_time.cancel();
        self.until_idle().await;
    }

    /// Waits for the end of the run's time, and then for the effect under way: a command is killed,
    /// and what nobody can stop comes to its end. A cancelled job has its time for cleaning up.
    async fn overdue(&self, timeout: Duration, late: &Stop) {
        tokio::time::sleep(timeout).await;
        if self.is_cancelled() {
            std::future::pending::<()>().await;
        }
        self.late.get_or_init(|| late.clone());
        self.note("its time is over: what is under way is stopped, or waited for");
        self.calls.cancel();
        self.until_idle().await;
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
