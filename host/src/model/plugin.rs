//! Versions of plugins: how each came here, how it stands, and which was active when.

use std::str::FromStr;

use jiff::Timestamp;

use crate::model::grants::GrantsWanted;
use crate::model::names::{Digest, InvalidName, Origin};

/// A version of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginVersion {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its plugin.
    pub name: String,
    /// What it calls itself.
    pub version: String,
    /// How it came here.
    pub source: Source,
    /// Where in a registry it is, as whoever sent it says; none of what came otherwise.
    pub origin: Option<Origin>,
    /// How many bytes it has.
    pub size: u64,
    /// When it came.
    pub added_at: Timestamp,
    /// The name of the token that brought it.
    pub added_by: String,
    /// What it asks for.
    pub wanted: GrantsWanted,
    /// What of that was accepted; none while nobody has answered.
    pub accepted: Option<GrantsWanted>,
    /// Whether its bytes are in the home.
    pub is_kept: bool,
}

/// How a version came here.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// With the program.
    BuiltIn,
    /// An operator sent it.
    Upload,
    /// It lay in the watched directory.
    Directory,
    /// An operator fetched it from a registry.
    Registry,
}

/// Something became active, or was taken out of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// Its place in the order of all.
    pub number: u64,
    /// What it was.
    pub entry: NewActivation,
}

/// An activation that has no number yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewActivation {
    /// The plugin.
    pub name: String,
    /// The version; none when the plugin was taken out of use.
    pub digest: Option<Digest>,
    /// The version before.
    pub previous: Option<Digest>,
    /// What led to it.
    pub cause: Cause,
    /// When.
    pub at: Timestamp,
    /// The name of the token that asked.
    pub by: String,
    /// Why, for people.
    pub reason: String,
}

/// What led to an activation.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The program brought it; the next program's own takes its place.
    BuiltIn,
    /// An operator went back to what the program brought, with the same consequence.
    Return,
    /// An operator chose it.
    Operator,
    /// It came into the watched directory.
    Directory,
    /// An operator wanted the one before.
    Rollback,
    /// A trial ended.
    Canary,
    /// An operator took it out of use.
    Removal,
}

/// A version that some of the new jobs try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// The plugin.
    pub name: String,
    /// The version.
    pub digest: Digest,
    /// How many of a hundred jobs.
    pub percent: u8,
    /// Since when.
    pub since: Timestamp,
}

/// How jobs ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that did what they were for.
    pub completed: u64,
    /// Those that did not; cancelled ones count for neither.
    pub failed: u64,
}

/// How a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// New jobs run it.
    Active,
    /// Some of the new jobs run it.
    Canary,
    /// Somebody has to say whether it gets what it wants.
    Pending,
    /// It is there and can be activated.
    Kept,
    /// Its bytes are not there any more.
    Collected,
}

/// A file of the watched directory that is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its name.
    pub file: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}

impl Source {
    /// The name that APIs and the database use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Upload => "upload",
            Self::Directory => "directory",
            Self::Registry => "registry",
        }
    }
}

impl FromStr for Source {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        [Self::BuiltIn, Self::Upload, Self::Directory, Self::Registry]
            .into_iter()
            .find(|source| source.as_str() == text)
            .ok_or_else(|| InvalidName::new(format!("`{text}` is no source of plugins")))
    }
}

impl Cause {
    const ALL: [Self; 7] = [
        Self::BuiltIn,
        Self::Return,
        Self::Operator,
        Self::Directory,
        Self::Rollback,
        Self::Canary,
        Self::Removal,
    ];

    /// Whether the next program's own version takes the place of this one.
    pub const fn follows_program(self) -> bool {
        matches!(self, Self::BuiltIn | Self::Return)
    }

    /// Whether it is a way back, and no choice that could be gone back from.
    pub const fn is_way_back(self) -> bool {
        matches!(self, Self::Return | Self::Rollback | Self::Canary)
    }

    /// The name that APIs and the database use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Return => "return",
            Self::Operator => "operator",
            Self::Directory => "directory",
            Self::Rollback => "rollback",
            Self::Canary => "canary",
            Self::Removal => "removal",
        }
    }
}

impl FromStr for Cause {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::ALL
            .into_iter()
            .find(|cause| cause.as_str() == text)
            .ok_or_else(|| InvalidName::new(format!("`{text}` is no cause of an activation")))
    }
}

impl Tally {
    /// All that ended.
    pub const fn total(self) -> u64 {
        self.completed + self.failed
    }
}
