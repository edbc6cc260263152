//! Ids and names as types: checked once where they come in, trusted ever after.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Why a name was refused, as a sentence for whoever typed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidName(String);

impl InvalidName {
    /// The reason, as a sentence.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text of it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

text_type! {
    /// A server's name: 1 to 63 of `[a-z0-9-]`, no dash at an end (a DNS label, RFC 1123).
    ServerName
}

impl FromStr for ServerName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let refused = |why: &str| {
            let shown: String = text.chars().take(70).collect();
            Err(InvalidName(format!(
                "`{}` is no server name: {why}; use 1 to 63 of a-z, 0-9 and -, with no dash at an end",
                shown.escape_debug()
            )))
        };
        if text.is_empty() {
            return refused("it is empty");
        }
        if let Some(c) = text.chars().find(|&c| !allowed(c)) {
            return refused(&format!("it has `{}` in it", c.escape_debug()));
        }
        if text.len() > 63 {
            return refused(&format!("it has {} characters", text.len()));
        }
        if text.starts_with('-') || text.ends_with('-') {
            return refused("it has a dash at an end");
        }
        Ok(Self(text.to_owned()))
    }
}

text_type! {
    /// An app's name, which is its stack's and its recipe's too: 1 to 63 of `[a-z0-9-]`, no dash at
    /// an end.
    AppName
}

impl FromStr for AppName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_short = (1..=63).contains(&text.len());
        if is_short && text.chars().all(allowed) && !text.starts_with('-') && !text.ends_with('-') {
            return Ok(Self(text.to_owned()));
        }
        let shown: String = text.chars().take(70).collect();
        Err(InvalidName(format!(
            "`{}` is no name of an app: use 1 to 63 of a-z, 0-9 and -, with no dash at an end",
            shown.escape_debug()
        )))
    }
}

text_type! {
    /// A job's id: `job_<date>_<time>_<six hex digits>`, the time in UTC.
    JobId
}

impl JobId {
    /// The id of a job made at `now`, told from others of the same second by `random`.
    pub fn new(now: Timestamp, random: u32) -> Self {
        let at = now.strftime("%Y%m%d_%H%M%S");
        Self(format!("job_{at}_{:06x}", random & 0x00ff_ffff))
    }

    /// When the job was made, to the second; none when the id tells no time that there is.
    pub fn made_at(&self) -> Option<Timestamp> {
        let at = self.0.get("job_".len().."job_20250110_150000".len())?;
        let at = jiff::civil::DateTime::strptime("%Y%m%d_%H%M%S", at).ok()?;
        Some(at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    }
}

impl FromStr for JobId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let body = text.strip_prefix("job_").unwrap_or_default();
        let shape = |i: usize, b: u8| match i {
            8 | 15 => b == b'_',
            0..=14 => b.is_ascii_digit(),
            _ => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
        };
        if body.len() == 22 && body.bytes().enumerate().all(|(i, b)| shape(i, b)) {
            return Ok(Self(text.to_owned()));
        }
        let shown: String = text.chars().take(40).collect();
        Err(InvalidName(format!(
            "`{}` is no job id; they look like job_20250110_150000_a1b2c3",
            shown.escape_debug()
        )))
    }
}

text_type! {
    /// What a job does, such as `create_server` or `deploy_app:n8n`: the operation of a plugin.
    OperationName
}

impl FromStr for OperationName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-:.".contains(c);
        if text.is_empty() || text.len() > 100 || !text.chars().all(allowed) {
            let shown: String = text.chars().take(40).collect();
            return Err(InvalidName(format!("`{}` is no operation", shown.escape_debug())));
        }
        Ok(Self(text.to_owned()))
    }
}

text_type! {
    /// SHA-256 of a component's bytes, as `sha256:<64 hex digits>`.
    Digest
}

impl FromStr for Digest {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let hex = text.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidName("a digest looks like sha256:<64 hex digits>".to_owned()))
    }
}

text_type! {
    /// One run of the host process; what it left behind is known by it.
    WorkerId
}

impl FromStr for WorkerId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() || text.len() > 64 {
            return Err(InvalidName("a worker id has 1 to 64 characters".to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A kind of provider that the host can buy servers from.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// Hetzner Cloud.
    Hetzner,
    /// DigitalOcean Droplets.
    DigitalOcean,
    /// Containers of the local Docker engine.
    Docker,
    /// Nothing real: machines simulated by the host.
    Sandbox,
}

impl ProviderKind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Hetzner, Self::DigitalOcean, Self::Docker, Self::Sandbox];

    /// The name that people and APIs use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hetzner => "hetzner",
            Self::DigitalOcean => "digitalocean",
            Self::Docker => "docker",
            Self::Sandbox => "sandbox",
        }
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ProviderKind {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            InvalidName(format!(
                "`{}` is no provider; there are hetzner, digitalocean, docker and sandbox",
                shown.escape_debug()
            ))
        })
    }
}

/// Which effect of which job made a thing outside: its label there, and its name in receipts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The job that did it first; a retry of it keeps this id.
    pub job: JobId,
    /// The number of the effect in that job, from 0.
    pub effect: u32,
}

impl Identity {
    /// The label that holds the job's id.
    pub const JOB_LABEL: &'static str = "windlass-job";
    /// The label that holds the effect's number.
    pub const EFFECT_LABEL: &'static str = "windlass-effect";
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.job, self.effect)
    }
}

text_type! {
    /// Where a plugin's manifest is in a registry, by its digest: `oci://…@sha256:…`.
    Origin
}

/// The longest place in a registry, in bytes.
const LONGEST_ORIGIN: usize = 512;

impl FromStr for Origin {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let place = text.strip_prefix("oci://").and_then(|rest| rest.rsplit_once('@'));
        let is_one = place.is_some_and(|(place, digest)| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_:/[]".contains(c);
            place.contains('/') && place.chars().all(allowed) && digest.parse::<Digest>().is_ok()
        });
        if is_one && text.len() <= LONGEST_ORIGIN {
            return Ok(Self(text.to_owned()));
        }
        let shown: String = text.chars().take(80).collect();
        Err(InvalidName::new(format!(
            "`{}` is no place in a registry: use oci://REGISTRY/REPOSITORY@sha256:DIGEST",
            shown.escape_debug()
        )))
    }
}

#[cfg(test)]
mod origin_tests {
    use super::*;

    #[test]
    fn a_place_in_a_registry_has_a_digest_and_nothing_that_could_be_more_than_text() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for place in ["ghcr.io/team/echo", "localhost:5000/echo:1.0.0", "[::1]:5000/a/b"] {
            assert!(format!("oci://{place}@{digest}").parse::<Origin>().is_ok(), "{place}");
        }
        let long = format!("oci://ghcr.io/{}@{digest}", "a".repeat(600));
        for text in [
            "",
            "oci://ghcr.io/team/echo:1.0.0",
            &format!("https://ghcr.io/echo@{digest}"),
            &format!("oci://ghcr.io@{digest}"),
            &format!("oci://ghcr.io/e&x=1@{digest}"),
            &format!("oci://ghcr.io/\u{1b}[2J@{digest}"),
            &long,
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text:?}");
        }
    }
}
