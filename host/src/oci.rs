//! Plugins in OCI registries, in the layout of the CNCF's Wasm artifact. Nothing that a registry says
//! is believed: every answer has a size limit and is held against its digest.

mod artifact;
mod challenge;
mod client;
pub mod credentials;
pub mod reference;
pub mod signature;

use sha2::{Digest as _, Sha256};

pub use artifact::{About, Package, Pulled, component_of, pull};
pub use client::{Manifest, Options, Repository};

use crate::model::names::{Digest, InvalidName};
use crate::oci::reference::Reference;

/// Why an artifact could not be had or brought.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// Nobody answers, or not to the end.
    #[error("the registry {registry} gave no answer: {reason}")]
    Unreachable {
        /// Whose.
        registry: String,
        /// The last cause.
        reason: String,
    },
    /// It wants a login, or another one.
    #[error("the registry {registry} refuses {what}: {hint}")]
    Denied {
        /// Who.
        registry: String,
        /// What was asked for.
        what: String,
        /// What can be done.
        hint: String,
    },
    /// There is no such artifact.
    #[error("there is no {reference}")]
    NotFound {
        /// Where it was looked for.
        reference: String,
    },
    /// It answers otherwise than a registry does.
    #[error("the registry {registry} answered {status} to {what}: {said}")]
    Refused {
        /// Who.
        registry: String,
        /// HTTP's number.
        status: u16,
        /// What was asked for.
        what: String,
        /// Its words, cut.
        said: String,
    },
    /// It sends more than is taken.
    #[error("{what} has more than {most} bytes, and no more are taken")]
    TooLarge {
        /// What it is.
        what: String,
        /// In bytes.
        most: usize,
    },
    /// It sends something else than was asked for.
    #[error("{what} is not what was asked for: it should have the digest {wanted} and has {found}")]
    Changed {
        /// What it is.
        what: String,
        /// What it was asked for by.
        wanted: String,
        /// What came.
        found: String,
    },
    /// It is there and no plugin.
    #[error("there is no plugin at {reference}: {reason}")]
    NotAPlugin {
        /// Where it is.
        reference: String,
        /// What it is instead.
        reason: String,
    },
    /// The words of a reference.
    #[error(transparent)]
    Reference(#[from] InvalidName),
    /// What a registry is logged in to with.
    #[error("{0}")]
    Credentials(String),
}

/// The digest of some bytes.
pub fn digest_of(bytes: &[u8]) -> Result<Digest, InvalidName> {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes))).parse()
}

/// That these bytes are what was asked for by a digest.
fn check(what: &str, wanted: &Digest, bytes: &[u8]) -> Result<(), OciError> {
    let found = digest_of(bytes)?;
    if found == *wanted {
        return Ok(());
    }
    let (wanted, found) = (wanted.to_string(), found.to_string());
    Err(OciError::Changed { what: what.to_owned(), wanted, found })
}

fn not_a_plugin(reference: &Reference, reason: impl Into<String>) -> OciError {
    OciError::NotAPlugin { reference: reference.to_string(), reason: reason.into() }
}
