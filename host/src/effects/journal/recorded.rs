//! The effects of a job so far, as its plugin comes to them again. Of what it was told, only so much
//! is in memory as a plugin may keep there that takes its time; the rest stays on disk until it is
//! asked for.

use jiff::Timestamp;
use serde_json::Value;

use super::{Replayed, without_answer};
use crate::effects::Stop;
use crate::effects::request::{self, Request};
use crate::model::failure::Failure;
use crate::model::journal::{Entry, Event};

/// How many bytes of memory the answers take that a plugin was not given again yet. After a start
/// there may be as many jobs with so much as run at once.
const MOST_UNREAD: usize = 1024 * 1024;

/// The effects of a job, by number.
#[derive(Default)]
pub(super) struct Recorded {
    effects: Vec<Known>,
    next: u32,
    /// Bytes of memory of the answers that the plugin was not given again yet.
    unread: usize,
}

/// What is known of an effect.
pub(super) struct Known {
    /// `interface.function`.
    pub(super) function: String,
    digest: String,
    ended: Option<Ended>,
}

/// How an effect ended.
struct Ended {
    at: Timestamp,
    /// Without its answer when that is on disk, or was given already.
    result: Result<Value, Failure>,
    /// The entry that has the answer, when it is to be read from there.
    on_disk: Option<u64>,
}

impl Known {
    /// What came of it, whatever it was told.
    pub(super) fn result(&self) -> Option<Result<(), &Failure>> {
        self.ended.as_ref().map(|ended| ended.result.as_ref().map(|_| ()))
    }
}

impl Recorded {
    /// An effect was about to be sent.
    pub(super) fn intent(&mut self, ordinal: u32, function: String, digest: String) {
        self.keep(ordinal, Known { function, digest, ended: None });
    }

    /// An effect ended in an earlier attempt, as this entry says.
    pub(super) fn outcome(
        &mut self,
        (seq, at): (u64, Timestamp),
        ordinal: u32,
        (function, digest): (String, String),
        result: Result<Value, Failure>,
    ) {
        let unread = self.unread.saturating_add(request::weight_of(&result));
        let ended = if unread > MOST_UNREAD {
            Ended { at, result: without_answer(&result), on_disk: Some(seq) }
        } else {
            self.unread = unread;
            Ended { at, result, on_disk: None }
        };
        self.keep(ordinal, Known { function, digest, ended: Some(ended) });
    }

    /// An effect of this attempt ended: its answer is given now, and not again.
    pub(super) fn done(
        &mut self,
        ordinal: u32,
        at: Timestamp,
        request: &Request,
        result: &Result<Value, Failure>,
    ) {
        let (function, digest) = (request.function.to_owned(), request.digest.clone());
        let ended = Some(Ended { at, result: without_answer(result), on_disk: None });
        self.keep(ordinal, Known { function, digest, ended });
    }

    /// The entry that has the answer of the plugin's next effect, when it is not in memory.
    pub(super) fn missing(&self) -> Option<u64> {
        self.at(self.next)?.ended.as_ref()?.on_disk
    }

    /// Takes in answers that stayed on disk: that of the plugin's next effect, and as many of those
    /// after it as there is room for.
    pub(super) fn read_on(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            let Event::Outcome { ordinal, result, .. } = entry.event else { continue };
            let unread = self.unread.saturating_add(request::weight_of(&result));
            if ordinal != self.next && unread > MOST_UNREAD {
                return;
            }
            let known = self.effects.get_mut(index(ordinal));
            let ended = known.and_then(|known| known.ended.as_mut());
            if let Some(ended) = ended.filter(|ended| ended.on_disk == Some(entry.seq)) {
                (ended.result, ended.on_disk) = (result, None);
                self.unread = unread;
            }
        }
    }

    /// The number of the plugin's next effect, and what is known of it: an answer is given once and
    /// not kept.
    ///
    /// # Errors
    /// `nondeterministic_plugin` when an earlier attempt asked for something else here.
    pub(super) fn next(&mut self, request: &Request) -> Result<(u32, Replayed), Stop> {
        let ordinal = self.next;
        let replayed = match self.effects.get_mut(index(ordinal)) {
            None => Replayed::Nothing,
            Some(known) if known.function != request.function || known.digest != request.digest => {
                return Err(diverged(ordinal, &known.function, &known.digest, request));
            }
            Some(Known { ended: None, .. }) => Replayed::Intent,
            Some(Known { ended: Some(Ended { at, result, .. }), .. }) => {
                let kept = without_answer(result);
                self.unread = self.unread.saturating_sub(request::weight_of(result));
                Replayed::Outcome { at: *at, result: std::mem::replace(result, kept) }
            }
        };
        self.next += 1;
        Ok((ordinal, replayed))
    }

    /// The number of the plugin's next effect.
    pub(super) const fn next_number(&self) -> u32 {
        self.next
    }

    /// The effect of this number.
    pub(super) fn at(&self, ordinal: u32) -> Option<&Known> {
        self.effects.get(index(ordinal))
    }

    /// All of them, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Known, u32)> {
        self.effects.iter().zip(0..)
    }

    /// How many bytes of memory the answers take that were not given again yet.
    pub(super) const fn unread(&self) -> usize {
        self.unread
    }

    /// Ordinals come in order; one that has an intent already gets its outcome.
    fn keep(&mut self, ordinal: u32, known: Known) {
        match self.effects.get_mut(index(ordinal)) {
            Some(before) => *before = known,
            None => self.effects.push(known),
        }
    }
}

fn index(ordinal: u32) -> usize {
    usize::try_from(ordinal).unwrap_or(usize::MAX)
}

fn diverged(ordinal: u32, function: &str, digest: &str, request: &Request) -> Stop {
    let short = |digest: &str| digest.chars().take(12).collect::<String>();
    Stop::limit(
        "nondeterministic_plugin",
        format!(
            "effect {ordinal} was `{function}` ({}) before the host stopped and is `{}` ({}) now: \
             the plugin depends on something that is not in the journal; nothing was sent",
            short(digest),
            request.function,
            short(&request.digest)
        ),
    )
}
