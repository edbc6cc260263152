//! Why the registrar changes nothing.

use crate::model::grants::GrantsWanted;
use crate::model::names::Digest;
use crate::plugins::catalog::CatalogError;
use crate::plugins::plugin::PluginError;
use crate::storage::StorageError;

/// Why nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The component is of no use.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// Nothing can be recorded.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Somebody has to say yes first.
    #[error("`{name}` asks for more than it has ({more}): accept that, or leave it")]
    GrantsNeeded {
        /// The plugin.
        name: String,
        /// The version that asks.
        digest: Digest,
        /// What it asks for beyond what its predecessor has.
        more: Box<GrantsWanted>,
    },
    /// The name belongs to the program.
    #[error(
        "`{name}` is the name of a plugin that comes with windlass: rename yours, or say that it \
         takes that one's place (`replace_built_in`, `--replace-built-in`)"
    )]
    BuiltInName {
        /// That name.
        name: String,
    },
    /// There is none of this name.
    #[error("there is no plugin `{name}`")]
    NoSuchPlugin {
        /// That name.
        name: String,
    },
    /// It has no such version.
    #[error("`{name}` has no version {digest} here: add it first")]
    NoSuchVersion {
        /// The plugin.
        name: String,
        /// The version.
        digest: Digest,
    },
    /// The version's bytes are gone.
    #[error("the bytes of `{name}` {digest} are not kept any more: add them again")]
    NotKept {
        /// The plugin.
        name: String,
        /// The version.
        digest: Digest,
    },
    /// There is nothing to go back to.
    #[error("`{name}` has no earlier version that could be gone back to")]
    NothingBefore {
        /// The plugin.
        name: String,
    },
    /// It cannot go.
    #[error(
        "`{name}` comes with windlass and cannot be removed; add a version of your own to take its \
         place"
    )]
    IsBuiltIn {
        /// The plugin.
        name: String,
    },
    /// It is active already.
    #[error("{digest} is what `{name}` runs already")]
    IsActive {
        /// The plugin.
        name: String,
        /// The version.
        digest: Digest,
    },
    /// There is nothing to answer.
    #[error("`{name}` {digest} does not wait for an answer")]
    NotPending {
        /// The plugin.
        name: String,
        /// The version.
        digest: Digest,
    },
    /// There is nothing to take away or give back.
    #[error("none of that ({named}) is among what `{name}` {whose}: {there}")]
    NoSuchGrant {
        /// The plugin.
        name: String,
        /// What was named.
        named: Box<GrantsWanted>,
        /// `has` or `asks for and does not have`.
        whose: &'static str,
        /// What there is.
        there: Box<GrantsWanted>,
    },
    /// No version is tried.
    #[error("no version of `{name}` is being tried")]
    NoCanary {
        /// The plugin.
        name: String,
    },
    /// Not a share of a hundred.
    #[error("a canary gets 1 to 100 percent of the new jobs, not {percent}")]
    BadShare {
        /// What was asked for.
        percent: u8,
    },
}

impl From<CatalogError> for Refusal {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Plugin(error) => Self::Plugin(error),
            CatalogError::Storage(error) => Self::Storage(error),
        }
    }
}
