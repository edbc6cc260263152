//! What one commit is for: who shares it, and how long it waits for more to do so.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::storage::sqlite::journal::Deferred;
use crate::storage::sqlite::verb::Verb;

/// The most messages that share a commit: who comes first waits for who comes last.
pub(super) const BATCH: usize = 512;

/// A commit waits for others to share it as long as the disk takes, within these bounds: on a slow
/// disk, or a busy machine, they come later and are worth more.
pub(super) const GATHERING: (Duration, Duration) =
    (Duration::from_millis(3), Duration::from_millis(15));

/// How much a verb waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// That it is written.
    Relaxed,
    /// The same, after all that was deferred before.
    Ordered,
    /// That it is on disk.
    Durable,
}

pub(super) enum Message {
    Verb { urgency: Urgency, verb: Verb },
    Deferred(Box<Deferred>),
    Close(oneshot::Sender<()>),
}

/// What one commit is for.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) messages: Vec<Message>,
    /// The most urgent verb's, if there is one.
    pub(super) urgency: Option<Urgency>,
    /// How many of them are durable.
    pub(super) durable: usize,
    /// When the first of those came.
    pub(super) since: Option<Instant>,
    pub(super) close: Option<oneshot::Sender<()>>,
    pub(super) is_last: bool,
}

impl Batch {
    pub(super) fn take(&mut self, message: Message) {
        if let Message::Verb { urgency, .. } = message {
            self.urgency = self.urgency.max(Some(urgency));
            if urgency == Urgency::Durable {
                self.durable += 1;
                self.since.get_or_insert_with(Instant::now);
            }
        }
        self.messages.push(message);
    }

    /// How long it waits for more: until as many share the disk's answer as did the last time. Who
    /// is alone waits for nobody. `pace` is how long the disk took then.
    pub(super) fn patience(&self, crowd: usize, pace: Duration) -> Duration {
        let longest = pace.clamp(GATHERING.0, GATHERING.1);
        let waited = self.since.filter(|_| self.durable < crowd);
        waited.map_or(Duration::ZERO, |since| longest.saturating_sub(since.elapsed()))
    }
}
