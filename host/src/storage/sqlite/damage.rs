//! Damage that is met while the host runs: said once, and from then on nothing more is written.

use std::sync::OnceLock;

use rusqlite::ErrorCode;
use tracing::error;

use crate::storage::sqlite::fault::Cause;

/// What was found, if anything was.
#[derive(Debug, Default)]
pub(super) struct Damage {
    found: OnceLock<Cause>,
}

impl Damage {
    /// Keeps a reason that means that the file is not what was written to it.
    pub(super) fn note(&self, cause: &Cause) {
        let is_damage =
            matches!(cause.code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase));
        if is_damage && self.found.set(cause.clone()).is_ok() {
            error!(
                reason = %cause,
                "the database is damaged: nothing more is written; stop the host, run `windlass \
                 doctor`, and restore a backup"
            );
        }
    }

    /// Why nothing may be written, if so.
    pub(super) fn found(&self) -> Option<&Cause> {
        self.found.get()
    }
}
