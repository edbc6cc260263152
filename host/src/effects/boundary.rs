//! The points of a run at which the process may die on purpose, so that `windlass torture` can prove
//! that none of them matters.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Signal, getpid, kill_process};

/// What the dying process says on its standard error, before the name of the point.
pub const LAST_WORDS: &str = "died on purpose at: ";

/// What a process that was not killed says on its standard error, before how many points it came to.
pub const POINTS_PASSED: &str = "points passed: ";

/// A point between two things that a crash can come between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// A worker has the job, and nothing of it was done.
    Claimed,
    /// Somebody wants the job to stop, and nothing of that is on disk.
    BeforeCancel,
    /// That is on disk, and the run does not know.
    AfterCancel,
    /// An effect is wanted, and nothing of it is on disk.
    BeforeIntent,
    /// It is on disk that an effect will be sent.
    AfterIntent,
    /// The other side did it, and nothing here knows what came of it.
    Within,
    /// An effect came to its end, and the journal does not know.
    AfterSend,
    /// The journal has the outcome, which may not have reached the disk.
    AfterOutcome,
    /// The plugin has ended, and the job's end is not written.
    BeforeEnd,
    /// The job's end is on disk, and its receipts are still on the server.
    AfterEnd,
    /// A plugin's bytes are on disk, and nothing is on record of them.
    PluginFile,
    /// A plugin's activation is on record, and nobody in this process knows.
    PluginRow,
    /// A plugin's bytes are off the record, and still on disk.
    PluginCollected,
}

/// Counts the points that this process comes to, and ends it at one of them.
#[derive(Clone, Debug, Default)]
pub struct Boundaries {
    fatal: Option<Arc<Fatal>>,
}

#[derive(Debug)]
struct Fatal {
    points: Points,
    passed: AtomicU64,
}

/// The numbers of points at which something happens on purpose, counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Points {
    /// The process dies.
    pub death: Option<u64>,
    /// Somebody cancels the job that comes to it.
    pub cancel: Option<u64>,
}

impl Boundaries {
    /// What happens at these points. Without any nothing is counted.
    pub fn fatal(points: Points) -> Self {
        let is_wanted = points != Points::default();
        let fatal = Fatal { points, passed: AtomicU64::new(0) };
        Self { fatal: is_wanted.then(|| Arc::new(fatal)) }
    }

    /// Something comes to a point of `what`. Answers whether it is where a job is to be cancelled.
    pub fn pass(&self, boundary: Boundary, what: &str) -> bool {
        let Some(fatal) = &self.fatal else { return false };
        let point = Some(fatal.passed.fetch_add(1, Ordering::SeqCst) + 1);
        if point == fatal.points.death {
            let said = writeln!(std::io::stderr(), "{LAST_WORDS}{} {what}", boundary.name());
            said.unwrap_or_default();
            // As a power cut would: nothing is flushed, nobody is told. This process may always
            // signal itself, so there is no failure to handle.
            kill_process(getpid(), Signal::KILL).unwrap_or_default();
        }
        point == fatal.points.cancel
    }
}

impl Boundaries {
    /// Says how many points this process came to, where somebody counts them.
    pub fn tell(&self) {
        let Some(fatal) = &self.fatal else { return };
        let passed = fatal.passed.load(Ordering::SeqCst);
        writeln!(std::io::stderr(), "{POINTS_PASSED}{passed}").unwrap_or_default();
    }
}

impl Boundary {
    const fn name(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::BeforeCancel => "before-cancel",
            Self::AfterCancel => "after-cancel",
            Self::BeforeIntent => "before-intent",
            Self::AfterIntent => "after-intent",
            Self::Within => "within",
            Self::AfterSend => "after-send",
            Self::AfterOutcome => "after-outcome",
            Self::BeforeEnd => "before-end",
            Self::AfterEnd => "after-end",
            Self::PluginFile => "plugin-file",
            Self::PluginRow => "plugin-row",
            Self::PluginCollected => "plugin-collected",
        }
    }
}
