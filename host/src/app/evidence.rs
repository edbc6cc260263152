//! What the sandbox of a home shows of what was done, for whoever compares two runs of a host.

use std::path::Path;

use crate::error::Error;
use crate::providers::sandbox::evidence;

pub use crate::effects::boundary::{LAST_WORDS, POINTS_PASSED};
pub use crate::providers::sandbox::evidence::Evidence;

/// The sandbox of this home keeps a ledger from now on.
///
/// # Errors
/// When its folder cannot be written.
pub fn begin(home: &Path) -> Result<(), Error> {
    evidence::begin(&home.join("sandbox")).map_err(Error::internal)
}

/// What was done since, and what is there.
///
/// # Errors
/// When its folder cannot be read.
pub fn read(home: &Path) -> Result<Evidence, Error> {
    evidence::read(&home.join("sandbox")).map_err(Error::internal)
}
