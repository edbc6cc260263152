//! Groups of containers that run on a server.

pub mod compose;
pub mod container;
pub mod database;
pub mod policy;
pub mod portainer;
pub mod swarm;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A stack's name: 1 to 63 of a-z, 0-9, `-` and `_`, with a letter or digit first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StackName(String);

/// Why a text is no name of a stack.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidStackName(String);

/// A stack as a server runs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub status: Status,
    /// Its services, by name.
    pub services: Vec<Service>,
    /// [`compose::digest`] of what it was deployed as, where that is known.
    pub digest: Option<String>,
}

/// How a stack stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// There is nothing of it.
    Absent,
    /// Not everything runs yet.
    Starting,
    /// Every service has the replicas that it should have.
    Healthy,
    /// Not everything runs, and the engine says why.
    Failing,
}

/// A service of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its name in the Compose file.
    pub name: String,
    /// Its image.
    pub image: String,
    /// How many of its containers run that image, and are healthy.
    pub running: u32,
    /// How many should.
    pub wanted: u32,
    /// What the engine said of the newest one that ended badly, while one is missing.
    pub error: Option<String>,
}

impl StackName {
    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StackName {
    type Err = InvalidStackName;

    fn from_str(text: &str) -> Result<Self, InvalidStackName> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        let begins_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if begins_well && text.len() <= 63 && text.chars().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        let shown: String = text.chars().take(70).collect();
        Err(InvalidStackName(format!(
            "`{}` is no name of a stack: use 1 to 63 of a-z, 0-9, - and _, with a letter or digit \
             first",
            shown.escape_debug()
        )))
    }
}

impl Status {
    /// The name in the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Failing => "failing",
        }
    }
}

impl Stack {
    /// What of it does not run, as one line.
    pub fn missing(&self) -> String {
        let missing = self.services.iter().filter(|it| it.running < it.wanted);
        let named: Vec<String> = missing
            .map(|it| {
                let why = it.error.as_ref().map_or_else(String::new, |error| format!(" ({error})"));
                format!("`{}` runs {} of {}{why}", it.name, it.running, it.wanted)
            })
            .collect();
        match (named.is_empty(), self.status) {
            (false, _) => named.join(", "),
            (true, Status::Absent) => "nothing of it is there".to_owned(),
            (true, _) => "an update of it has not come to its end".to_owned(),
        }
    }
}
