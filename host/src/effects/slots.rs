//! How many runs may be busy at once. One that waits for the outside lends its place to others, so
//! that ten thousand waiting jobs stop nobody.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// A call that takes no longer than this keeps its place.
const MOMENT: Duration = Duration::from_millis(50);

/// The places of a worker.
pub struct Slots {
    free: Arc<Semaphore>,
    freed: Notify,
}

/// A place, until it is dropped.
pub struct Slot {
    slots: Arc<Slots>,
    permit: Option<OwnedSemaphorePermit>,
    was_used: bool,
}

/// The place of one run, which it has or lends.
#[derive(Default)]
pub struct Place {
    slots: Option<Arc<Slots>>,
    held: Mutex<Option<Slot>>,
}

impl Slots {
    /// So many.
    pub fn new(count: usize) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { free, freed: Notify::new() })
    }

    /// A place, if one is free and nobody waits for it who began before.
    pub fn take(self: &Arc<Self>) -> Option<Slot> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(Slot { slots: Arc::clone(self), permit: Some(permit), was_used: true })
    }

    /// Ready when a place became free since the last time.
    pub async fn freed(&self) {
        self.freed.notified().await;
    }

    /// The next free place.
    async fn wait(self: &Arc<Self>) -> Slot {
        // Nobody closes the semaphore: without a permit there would be no limit, and that is all.
        let permit = Arc::clone(&self.free).acquire_owned().await.ok();
        Slot { slots: Arc::clone(self), permit, was_used: true }
    }
}

impl Slot {
    /// Nobody needed it: there is nobody to wake either.
    pub fn put_back(mut self) {
        self.was_used = false;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        drop(self.permit.take());
        if self.was_used {
            self.slots.freed.notify_one();
        }
    }
}

impl Place {
    /// The place of a run that has this one.
    pub fn new(slot: Slot) -> Self {
        Self { slots: Some(Arc::clone(&slot.slots)), held: Mutex::new(Some(slot)) }
    }

    /// Waits for this, and lends the place meanwhile when it takes longer than a moment.
    pub async fn lend_while<T>(&self, waiting: impl Future<Output = T>) -> T {
        let mut waiting = std::pin::pin!(waiting);
        match tokio::time::timeout(MOMENT, &mut waiting).await {
            Ok(done) => done,
            Err(_elapsed) => {
                drop(self.held.lock().unwrap_or_else(PoisonError::into_inner).take());
                waiting.await
            }
        }
    }

    /// Takes a place again, if it is lent.
    pub async fn take_again(&self) {
        let Some(slots) = &self.slots else { return };
        if self.held.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return;
        }
        let slot = slots.wait().await;
        self.held.lock().unwrap_or_else(PoisonError::into_inner).replace(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_run_that_waits_lends_its_place_and_gets_one_again_before_newcomers() {
        let slots = Slots::new(1);
        let place = Place::new(slots.take().unwrap());
        place.lend_while(async {}).await;
        assert!(slots.take().is_none(), "a short call keeps it");
        let (answer, waiting) = tokio::sync::oneshot::channel();
        let (_, other) = tokio::join!(place.lend_while(waiting), async {
            slots.freed().await;
            answer.send(()).unwrap();
            slots.take().unwrap()
        });
        let again = std::pin::pin!(place.take_again());
        tokio::join!(biased; again, async { drop(other) });
        assert!(slots.take().is_none());
    }

    #[tokio::test]
    async fn a_place_that_was_not_used_wakes_nobody() {
        let slots = Slots::new(1);
        slots.take().unwrap().put_back();
        assert!(futures_util::FutureExt::now_or_never(slots.freed()).is_none());
        drop(slots.take().unwrap());
        assert!(futures_util::FutureExt::now_or_never(slots.freed()).is_some());
    }
}
