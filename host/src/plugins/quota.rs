//! What one run may have of memory, tables and instances, and what all of them may have together.
//! What a run got is never counted back while it lasts: a guest's memories and tables cannot shrink,
//! and all of it goes with the run.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::{ResourceLimiter, Result};

use crate::model::limits::Limits;

/// Bytes of memory that every run has for itself, whatever others have. Ours take a tenth of it.
const OWN: usize = 16 * MIB;

const MIB: usize = 1024 * 1024;

/// Bytes of a page of WebAssembly, which memory grows by.
const PAGE: usize = 64 * 1024;

/// Memory that all runs share beyond what each has for itself: jobs that wait keep theirs, and there
/// may be thousands.
#[derive(Debug)]
pub struct Pool {
    free: Arc<Semaphore>,
    /// In pages.
    size: u32,
}

/// Memory of the pool that a run has, whether it uses it or not.
#[derive(Debug)]
pub struct Share(OwnedSemaphorePermit);

/// What a run has to have of the pool from its beginning to get further than it got, in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need(u32);

/// Why a run gets no more memory out of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// Others have it, and will give it back.
    #[error("others have the memory that it wants")]
    Now(Need),
    /// There is not so much, whoever has it.
    #[error(
        "wants more than {wanted} MiB of memory, and all plugins together have {size} MiB beyond {} \
         MiB each",
        OWN / MIB
    )]
    Ever {
        /// MiB that it wants beyond its own.
        wanted: usize,
        /// MiB of the pool.
        size: usize,
    },
}

impl Pool {
    /// One of so many bytes.
    pub fn new(size: usize) -> Self {
        let size = pages(size);
        let free = Semaphore::new(usize::try_from(size).unwrap_or(Semaphore::MAX_PERMITS));
        Self { free: Arc::new(free), size }
    }

    /// Waits until so much is free. Whoever came first has it first, and nobody who came later gets
    /// in between by wanting less: else one that wants much might wait for ever.
    pub async fn share(&self, Need(pages): Need) -> Option<Share> {
        Arc::clone(&self.free).acquire_many_owned(pages).await.ok().map(Share)
    }

    /// So many pages more for a run that has some and may have `most`.
    fn take(&self, had: u32, wanted: u32, most: u32) -> Result<Share, NoRoom> {
        if wanted > self.size {
            let mib = |pages: u32| usize::try_from(pages).unwrap_or(usize::MAX) / (MIB / PAGE);
            return Err(NoRoom::Ever { wanted: mib(wanted), size: mib(self.size) });
        }
        let more = Arc::clone(&self.free).try_acquire_many_owned(wanted.saturating_sub(had));
        // Memory mostly grows in small steps: with room for as much again it is not put off at each.
        let pages = wanted.saturating_mul(2).min(most).min(self.size);
        more.map(Share).map_err(|_none| NoRoom::Now(Need(pages)))
    }
}

/// Whole pages for so many bytes.
fn pages(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(PAGE)).unwrap_or(u32::MAX)
}

/// What a run may have, and what of it is left.
#[derive(Debug)]
pub struct Quota {
    /// Bytes of all linear memories that the run has.
    memory: usize,
    most_memory: usize,
    /// What it has of the pool.
    share: Option<Share>,
    pool: Arc<Pool>,
    /// Entries of all tables that are left.
    entries: usize,
    instances: usize,
    tables: usize,
    memories: usize,
}

impl Quota {
    /// All of it, and of the pool so much from the beginning.
    pub const fn new(limits: &Limits, pool: Arc<Pool>, share: Option<Share>) -> Self {
        let Limits { memory: most_memory, table_entries: entries, .. } = *limits;
        let Limits { instances, tables, memories, .. } = *limits;
        Self { memory: 0, most_memory, share, pool, entries, instances, tables, memories }
    }

    /// Sees that the run has so many bytes of the pool.
    fn pooled(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let had = self.share.as_ref().map_or(0, Share::pages);
        let wanted = pages(bytes);
        if wanted > had {
            let most = pages(self.most_memory.saturating_sub(OWN));
            let more = self.pool.take(had, wanted, most)?;
            match &mut self.share {
                Some(share) => share.0.merge(more.0),
                share => *share = Some(more),
            }
        }
        Ok(())
    }
}

impl Share {
    fn pages(&self) -> u32 {
        u32::try_from(self.0.num_permits()).unwrap_or(u32::MAX)
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
        self.pooled(wanted.saturating_sub(OWN))?;
        self.memory = wanted;
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
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_memories_have_together_what_one_may_have() {
        let limits = Limits { memory: 100, table_entries: 10, ..Limits::default() };
        let mut quota = Quota::new(&limits, Arc::new(Pool::new(0)), None);
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

    fn refused(quota: &mut Quota, from: usize, to: usize) -> NoRoom {
        let error = quota.memory_growing(from, to, None).unwrap_err();
        *error.downcast_ref::<NoRoom>().unwrap()
    }

    #[tokio::test]
    async fn what_one_run_takes_of_the_pool_others_wait_for_until_it_ends() {
        let limits = Limits { memory: 100 * MIB, ..Limits::default() };
        let pool = Arc::new(Pool::new(40 * MIB));
        let run = |share| Quota::new(&limits, Arc::clone(&pool), share);
        let (mut greedy, mut other) = (run(None), run(None));
        assert!(greedy.memory_growing(0, 50 * MIB, None).unwrap());
        assert!(other.memory_growing(0, OWN, None).unwrap(), "every run has its own");
        let NoRoom::Now(need) = refused(&mut other, OWN, OWN + 7 * MIB) else { panic!() };
        assert_eq!(need, Need(pages(14 * MIB)), "as much again");
        assert!(other.memory_growing(OWN, OWN + 6 * MIB, None).unwrap(), "so much is left");
        drop(other);
        let share = pool.share(need);
        let (share, ()) = tokio::join!(share, async { drop(greedy) });
        let mut other = run(share);
        let mut third = run(None);
        assert!(third.memory_growing(0, OWN + 26 * MIB, None).unwrap(), "the rest is for others");
        assert!(other.memory_growing(0, OWN + 14 * MIB, None).unwrap(), "it is his alone");
        drop((other, third));
        assert_eq!(pool.free.available_permits(), 40 * MIB / PAGE);
    }

    #[test]
    fn what_there_will_never_be_is_not_waited_for() {
        let limits = Limits { memory: 100 * MIB, ..Limits::default() };
        let mut run = Quota::new(&limits, Arc::new(Pool::new(40 * MIB)), None);
        let never = refused(&mut run, 0, OWN + 41 * MIB);
        assert_eq!(never, NoRoom::Ever { wanted: 41, size: 40 });
        let told = "wants more than 41 MiB of memory, and all plugins together have 40 MiB beyond \
                    16 MiB each";
        assert_eq!(never.to_string(), told);
    }
}
