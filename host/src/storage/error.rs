//! Why the store did not do something, in sentences that say what to do.

use crate::model::names::JobId;

/// Why the store did not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// The disk is full.
    #[error("the disk with {path} is full: free some space, nothing was lost")]
    DiskFull {
        /// The database file.
        path: String,
    },
    /// It is not ours to write.
    #[error("{path} cannot be written: {reason}")]
    ReadOnly {
        /// The database file.
        path: String,
        /// The system's reason.
        reason: String,
    },
    /// A newer host wrote it.
    #[error(
        "{path} was written by a newer windlass (schema {found}, this one knows {known}): run that \
         version, or restore a backup from before the upgrade"
    )]
    NewerSchema {
        /// The database file.
        path: String,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// It is damaged, or no database.
    #[error(
        "{path} is damaged: {reason}; `windlass doctor` says more. Restore a backup (`windlass \
         restore FILE`), or move the whole home away to begin anew"
    )]
    Damaged {
        /// The database file.
        path: String,
        /// What was found.
        reason: String,
    },
    /// It is not there, or has nothing in it, although it was in use.
    #[error(
        "{path} {how}, and {trace} says that it was in use: restore a backup (`windlass restore \
         FILE`), or move the whole home away to begin anew; `windlass doctor` says more"
    )]
    Missing {
        /// The database file.
        path: String,
        /// What is wrong with it.
        how: &'static str,
        /// What says so.
        trace: String,
    },
    /// It lacks what was confirmed.
    #[error(
        "{path} lacks the last {missing} commits that this host confirmed: {path}-wal was cut off \
         or damaged, or an older copy took the file's place; `windlass doctor` says more. Restore a \
         backup (`windlass restore FILE`), or remove {path}-mark to go on with what is left"
    )]
    CutOff {
        /// The database file.
        path: String,
        /// How many.
        missing: u64,
    },
    /// Somebody else has this job by now.
    #[error("job {job} belongs to another worker by now")]
    LeaseLost {
        /// Which job.
        job: JobId,
    },
    /// The id is taken.
    #[error("the id is taken")]
    Duplicate,
    /// Something else.
    #[error("the database failed while it {doing}: {reason}")]
    Failed {
        /// What it did.
        doing: &'static str,
        /// Its words.
        reason: String,
    },
    /// The host is stopping.
    #[error("the database is closed")]
    Closed,
}
