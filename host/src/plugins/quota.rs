//! What one run may have of memory, tables and instances, and what all of them may have together.
//! What a run got is never counted back while it lasts: a guest's memories and tables cannot shrink,
//! and all of it goes with the run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::{ResourceLimiter, Result};

use crate::model::limits::Limits;

/// The most linear memories of a run; all of them together have one limit.
const MEMORIES: usize = 8;

/// The most tables of a run, likewise.
const TABLES: usize = 64;

/// Bytes of memory that every run has for itself, whatever others have. Ours take a tenth of it.
const OWN: usize = 16 * 1024 * 1024;

/// Memory that all runs share beyond what each has for itself: jobs that wait keep theirs, and there
/// may be thousands.
#[derive(Debug)]
pub struct Pool {
    left: AtomicUsize,
    size: usize,
}

/// There is no room in the pool.
#[derive(Debug, thiserror::Error)]
#[error("all plugins together use the {mib} MiB that they may have beyond {own} MiB each")]
pub struct PoolEmpty {
    mib: usize,
    own: usize,
}

impl Pool {
    /// One of so many bytes.
    pub const fn new(size: usize) -> Self {
        Self { left: AtomicUsize::new(size), size }
    }

    /// Takes so many bytes out of it.
    fn take(&self, bytes: usize) -> Result<(), PoolEmpty> {
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        let mib = |bytes: usize| bytes / (1024 * 1024);
        taken.map(drop).map_err(|_left| PoolEmpty { mib: mib(self.size), own: mib(OWN) })
    }
}

/// What a run may have, and what of it is left.
#[derive(Debug)]
pub struct Quota {
    /// Bytes of all linear memories that the run has.
    memory: usize,
    most_memory: usize,
    /// Bytes of them that are out of the pool.
    pooled: usize,
    pool: Arc<Pool>,
    /// Entries of all tables that are left.
    entries: usize,
    instances: usize,
}

impl Quota {
    /// All of it.
    pub const fn new(limits: &Limits, pool: Arc<Pool>) -> Self {
        let Limits { memory: most_memory, table_entries: entries, instances, .. } = *limits;
        Self { memory: 0, most_memory, pooled: 0, pool, entries, instances }
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        self.pool.left.fetch_add(self.pooled, Ordering::Relaxed);
    }
}

impl ResourceLimiter for Quota {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        let wanted = self.memory.saturating_add(desired.saturating_sub(current));
        if wanted > self.most_memory || maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let pooled = wanted.saturating_sub(OWN);
        self.pool.take(pooled.saturating_sub(self.pooled))?;
        (self.memory, self.pooled) = (wanted, pooled);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        let rest = self.entries.checked_sub(desired.saturating_sub(current));
        let Some(rest) = rest.filter(|_| maximum.is_none_or(|maximum| desired <= maximum)) else {
            return Ok(false);
        };
        self.entries = rest;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn several_memories_have_together_what_one_may_have() {
        let limits = Limits { memory: 100, table_entries: 10, ..Limits::default() };
        let mut quota = Quota::new(&limits, Arc::new(Pool::new(0)));
        let mut grow = |from, to, maximum| quota.memory_growing(from, to, maximum).unwrap();
        assert!(grow(0, 60, None), "the first memory");
        assert!(!grow(0, 41, None), "the second together with it");
        assert!(!grow(0, 20, Some(10)), "more than its own type allows");
        assert!(grow(0, 20, Some(20)), "what was refused counts for nothing");
        assert!(grow(60, 80, None));
        assert!(!grow(80, 81, None), "nothing is left");
        assert!(quota.table_growing(0, 10, None).unwrap());
        assert!(!quota.table_growing(0, usize::MAX, None).unwrap());
    }

    #[test]
    fn what_one_run_takes_of_the_pool_others_do_not_have_until_it_ends() {
        let limits = Limits { memory: 100 * MIB, ..Limits::default() };
        let pool = Arc::new(Pool::new(40 * MIB));
        let run = || Quota::new(&limits, Arc::clone(&pool));
        let (mut greedy, mut other) = (run(), run());
        assert!(greedy.memory_growing(0, 50 * MIB, None).unwrap());
        assert!(other.memory_growing(0, OWN, None).unwrap(), "every run has its own");
        let refused = other.memory_growing(OWN, OWN + 7 * MIB, None).unwrap_err();
        let told = refused.downcast_ref::<PoolEmpty>().unwrap().to_string();
        assert_eq!(
            told,
            "all plugins together use the 40 MiB that they may have beyond 16 MiB each"
        );
        assert!(other.memory_growing(OWN, OWN + 6 * MIB, None).unwrap(), "so much is left");
        drop(greedy);
        assert!(other.memory_growing(OWN + 6 * MIB, OWN + 40 * MIB, None).unwrap());
        drop(other);
        assert_eq!(pool.left.load(Ordering::Relaxed), 40 * MIB);
    }
}
