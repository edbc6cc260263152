//! The database's place in the home.

use std::path::{Path, PathBuf};

use crate::app::tokens;
use crate::storage::sqlite::Options;
use crate::vault::source;

/// The database of this home.
pub(super) fn of(home: &Path) -> PathBuf {
    home.join("windlass.db")
}

/// How a host uses it: a home that has a key or a token had a database too.
pub(super) fn options(home: &Path) -> Options {
    Options { traces: traces(home), ..Options::default() }
}

/// What is in a home only when the database was.
pub(super) fn traces(home: &Path) -> Vec<PathBuf> {
    [source::KEY_FILE, source::RECIPE_FILE, tokens::FILE].map(|name| home.join(name)).to_vec()
}
