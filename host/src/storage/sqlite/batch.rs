//! What one commit is for: who shares it, and how long it waits for more to do so.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::storage::sqlite::journal::Deferred;
use crate::storage::sqlite::verb::Verb;

/// The most messages that share a commit: who comes first waits for who comes last.
pub(super) const BATCH: usize = 512;

/// A commit waits for others to share it as long as a few answers of the disk take, within these
/// bounds: on a slow disk, or a busy machine, they come later and are worth more.
const GATHERING: (Duration, Duration) = (Duration::from_millis(4), Duration::from_millis(15));
const ANSWERS: u32 = 2;

/// Where a caller is among them, who waits at the door, it is as long as one answer of the disk.
const GATHERING_FOR_CALLERS: (Duration, Duration) =
    (Duration::from_micros(500), Duration::from_millis(4));

/// For how long one who was answered is believed to be about to write again. Who waits for the
/// outside longer than this is not waited for.
const RECENT: Duration = Duration::from_millis(60);

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

/// Who a durable verb comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    /// A caller, who may come again with something else.
    Caller,
    /// The run of the job with this number, which goes on.
    Run(u64),
    /// The same, for the last time.
    End(u64),
}

pub(super) enum Message {
    Verb { urgency: Urgency, from: Origin, verb: Verb },
    Deferred(Box<Deferred>),
    Close(oneshot::Sender<()>),
}

impl Message {
    pub(super) const fn is_relaxed(&self) -> bool {
        matches!(self, Self::Verb { urgency: Urgency::Relaxed, .. })
    }

    /// The run that goes on when this is answered.
    pub(super) const fn run(&self) -> Option<u64> {
        match self {
            Self::Verb { from: Origin::Run(job), .. } => Some(*job),
            Self::Verb { .. } | Self::Deferred(_) | Self::Close(_) => None,
        }
    }
}

/// What one commit is for.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) messages: Vec<Message>,
    /// The most urgent verb's, if there is one.
    pub(super) urgency: Option<Urgency>,
    /// How many of them are durable.
    pub(super) durable: usize,
    /// Whether one of those is from a caller.
    pub(super) has_caller: bool,
    /// When the first of those came.
    pub(super) since: Option<Instant>,
    pub(super) close: Option<oneshot::Sender<()>>,
    pub(super) is_last: bool,
}

impl Batch {
    pub(super) fn take(&mut self, message: Message, now: Instant) {
        if let Message::Verb { urgency, from, .. } = message {
            self.urgency = self.urgency.max(Some(urgency));
            if urgency == Urgency::Durable {
                self.durable += 1;
                self.has_caller |= matches!(from, Origin::Caller);
                self.since.get_or_insert(now);
            }
        }
        self.messages.push(message);
    }
}

/// Who is expected to write soon: the runs that wrote a short time ago, and as many callers as the
/// last commit answered.
#[derive(Default)]
pub(super) struct Crowd {
    runs: HashMap<u64, Instant>,
    callers: usize,
    came: usize,
    /// When somebody was answered last.
    answered: Option<Instant>,
}

impl Crowd {
    /// A message came: who sent something durable is not waited for any more.
    pub(super) fn came(&mut self, message: &Message, now: Instant) {
        match message {
            Message::Verb { urgency: Urgency::Durable, from, .. } => match from {
                Origin::Caller => self.came += 1,
                Origin::Run(job) | Origin::End(job) => {
                    self.runs.remove(job);
                }
            },
            // Its run goes on at once.
            Message::Deferred(deferred) => {
                self.runs.insert(deferred.lease().number, now);
            }
            Message::Verb { .. } | Message::Close(_) => {}
        }
    }

    /// Those who waited are answered, and some of these runs go on.
    pub(super) fn answered(&mut self, runs: &[u64], now: Instant) {
        self.runs.extend(runs.iter().map(|run| (*run, now)));
        self.callers = std::mem::take(&mut self.came);
        self.answered = Some(now);
    }

    /// A new batch begins: who did not come for long is not waited for.
    pub(super) fn forget(&mut self, now: Instant) {
        let is_old = |at: &Instant| now.duration_since(*at) >= RECENT;
        self.runs.retain(|_, at| !is_old(at));
        if self.answered.as_ref().is_some_and(is_old) {
            self.callers = 0;
        }
    }

    /// How long a commit waits for more: until half of those who are at work share it, within the
    /// time. Who is alone waits for nobody. `pace` is how long the disk took the last time.
    pub(super) fn patience(&self, batch: &Batch, pace: Duration, now: Instant) -> Duration {
        let Some(since) = batch.since else { return Duration::ZERO };
        let missing = self.runs.len() + self.callers.saturating_sub(self.came);
        if batch.durable >= missing {
            return Duration::ZERO;
        }
        let longest = if batch.has_caller {
            pace.clamp(GATHERING_FOR_CALLERS.0, GATHERING_FOR_CALLERS.1)
        } else {
            (ANSWERS * pace).clamp(GATHERING.0, GATHERING.1)
        };
        longest.saturating_sub(now.duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::sqlite::verb::Done;

    const PACE: Duration = Duration::from_millis(1);

    fn durable(from: Origin) -> Message {
        let verb: Verb =
            Box::new(|_| Done { kept: true, cause: None, answer: Box::new(|_committed| ()) });
        Message::Verb { urgency: Urgency::Durable, from, verb }
    }

    /// A crowd in which these runs were just answered.
    fn crowd(runs: &[u64], now: Instant) -> Crowd {
        let mut crowd = Crowd::default();
        crowd.answered(runs, now);
        crowd
    }

    /// How long a batch waits once these came.
    fn waits(crowd: &mut Crowd, came: &[Origin], now: Instant) -> Duration {
        let mut batch = Batch::default();
        crowd.forget(now);
        for from in came {
            let message = durable(*from);
            crowd.came(&message, now);
            batch.take(message, now);
        }
        crowd.patience(&batch, PACE, now)
    }

    #[test]
    fn who_is_alone_waits_for_nobody() {
        let now = Instant::now();
        assert_eq!(waits(&mut crowd(&[], now), &[Origin::Caller], now), Duration::ZERO);
        assert_eq!(waits(&mut crowd(&[7], now), &[Origin::Run(7)], now), Duration::ZERO);
        assert_eq!(waits(&mut crowd(&[7], now), &[Origin::Caller], now), Duration::ZERO);
    }

    #[test]
    fn a_commit_waits_until_half_of_those_at_work_share_it_and_no_longer_than_its_time() {
        let now = Instant::now();
        let one = [Origin::Run(1)];
        assert_eq!(waits(&mut crowd(&[1, 2, 3, 4], now), &one, now), GATHERING.0);
        let with_caller = [Origin::Run(1), Origin::Caller];
        assert_eq!(waits(&mut crowd(&[1, 2, 3, 4, 5], now), &with_caller, now), PACE);
        let half = [Origin::Run(1), Origin::Run(2)];
        assert_eq!(waits(&mut crowd(&[1, 2, 3, 4], now), &half, now), Duration::ZERO);
        let mut batch = Batch::default();
        batch.take(durable(one[0]), now);
        let later = now + GATHERING.1;
        assert_eq!(crowd(&[2, 3], now).patience(&batch, PACE, later), Duration::ZERO);
    }

    #[test]
    fn who_ended_or_did_not_come_for_long_is_not_waited_for() {
        let now = Instant::now();
        let mut ending = crowd(&[1, 2, 3], now);
        waits(&mut ending, &[Origin::End(1), Origin::End(2), Origin::End(3)], now);
        ending.answered(&[], now);
        waits(&mut ending, &[Origin::Caller], now);
        ending.answered(&[], now);
        assert_eq!(waits(&mut ending, &[Origin::Caller], now), Duration::ZERO);
        let mut away = crowd(&[1, 2, 3], now);
        assert_eq!(waits(&mut away, &[Origin::Caller], now + RECENT), Duration::ZERO);
    }

    #[test]
    fn callers_who_came_together_are_expected_together() {
        let now = Instant::now();
        let mut many = Crowd::default();
        waits(&mut many, &[Origin::Caller; 8], now);
        many.answered(&[], now);
        assert_eq!(waits(&mut many, &[Origin::Caller; 3], now), PACE);
    }
}
