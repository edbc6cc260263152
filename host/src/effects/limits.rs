//! What one run has used up of what it may. Every limit that is exceeded is a failed job with a
//! sentence.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::effects::Stop;
use crate::model::limits::Limits;

const MIB: usize = 1024 * 1024;

/// What a run has used. An attempt that replays uses the same as the one before did.
#[derive(Debug, Default)]
pub(super) struct Used {
    calls: AtomicU64,
    effects: AtomicU32,
    journal_bytes: AtomicUsize,
}

impl Used {
    /// A call of the host more.
    pub(super) fn call(&self, limits: &Limits) -> Result<(), Stop> {
        let most = limits.calls;
        if self.calls.fetch_add(1, Ordering::Relaxed) < most {
            return Ok(());
        }
        Err(Stop::limit("too_many_calls", format!("the plugin called the host over {most} times")))
    }

    /// An effect more.
    pub(super) fn effect(&self, limits: &Limits) -> Result<(), Stop> {
        let most = limits.effects;
        if self.effects.fetch_add(1, Ordering::Relaxed) < most {
            return Ok(());
        }
        let message = format!("the plugin asked for more than {most} effects in one run");
        Err(Stop::limit("too_many_effects", message))
    }

    /// So many bytes more of the journal.
    pub(super) fn bytes(&self, limits: &Limits, bytes: usize) -> Result<(), Stop> {
        let most = limits.journal_bytes;
        let before = self.journal_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= most {
            return Ok(());
        }
        Err(Stop::limit(
            "journal_too_large",
            format!(
                "what the plugin asked for and was answered is more than {} MiB in one run: ask \
                 for less at once, or let the server do the work on its own files",
                most / MIB
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_beyond_a_limit_ends_the_run_with_the_number_in_a_sentence() {
        let limits = Limits { calls: 2, effects: 1, journal_bytes: 3 * MIB, ..Limits::default() };
        let used = Used::default();
        assert!(used.call(&limits).is_ok() && used.call(&limits).is_ok());
        assert!(used.effect(&limits).is_ok() && used.bytes(&limits, 3 * MIB).is_ok());
        let stops = [used.call(&limits), used.effect(&limits), used.bytes(&limits, usize::MAX)];
        for (stop, words) in stops.into_iter().zip(["over 2 times", "than 1 effects", "than 3 MiB"])
        {
            let Err(Stop::Failed(failure)) = stop else { panic!("{stop:?}") };
            assert!(failure.message.contains(words), "{failure:?}");
        }
    }
}
