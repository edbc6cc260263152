//! Effects on secrets: made once, with the system's randomness, and the same for ever. A plugin is
//! told a reference.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::effects::Effect;
use crate::effects::context::JobContext;
use crate::effects::grants::Grant;
use crate::effects::references;
use crate::model::failure::Failure;
use crate::model::journal::Class;
use crate::model::names::Identity;
use crate::model::secret::{Form, Reference, SecretName};

const INTERFACE: &str = "secrets";

/// How dear a bcrypt hash is.
const BCRYPT_COST: u32 = 12;

/// What a secret is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// `A-Za-z0-9`.
    Alphanumeric,
    /// `0-9a-f`.
    Hex,
    /// `A-Za-z0-9+/`, without padding.
    Base64,
    /// Letters, digits and punctuation that means nothing to a shell within quotes, to JSON, YAML
    /// or an environment file.
    Printable,
}

/// What a new secret is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Characters.
    pub length: usize,
    /// Which.
    pub alphabet: Alphabet,
}

/// Sees that there is a secret.
#[derive(Debug)]
pub struct EnsureSecret {
    /// Its name.
    pub name: SecretName,
    /// What it is like when it is new.
    pub policy: Policy,
}

/// Sees that there is the bcrypt hash of a secret.
#[derive(Debug)]
pub struct EnsureBcrypt {
    /// Of which.
    pub reference: Reference,
}

impl Alphabet {
    /// Every alphabet.
    pub const ALL: [Self; 4] = [Self::Alphanumeric, Self::Hex, Self::Base64, Self::Printable];

    /// The name in the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alphanumeric => "alphanumeric",
            Self::Hex => "hex",
            Self::Base64 => "base64",
            Self::Printable => "printable",
        }
    }

    const fn characters(self) -> &'static [u8] {
        match self {
            Self::Alphanumeric => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            Self::Hex => b"0123456789abcdef",
            Self::Base64 => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
            Self::Printable => {
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+,-./:=?@^_~"
            }
        }
    }
}

impl Policy {
    /// The policy of these numbers and words.
    ///
    /// # Errors
    /// `invalid_argument` when there is none like that.
    pub fn new(length: u32, alphabet: &str) -> Result<Self, Failure> {
        let invalid = |message: &str| Failure::unsafe_to_retry("invalid_argument", message);
        let alphabet = Alphabet::ALL.into_iter().find(|known| known.as_str() == alphabet);
        let alphabet = alphabet.ok_or_else(|| {
            invalid("a secret's alphabet is alphanumeric, hex, base64 or printable")
        })?;
        match usize::try_from(length) {
            Ok(length) if (8..=1024).contains(&length) => Ok(Self { length, alphabet }),
            _ => Err(invalid("a secret has 8 to 1024 characters")),
        }
    }

    /// A new secret, each character as likely as any other.
    pub fn generate(self) -> SecretString {
        use rand::seq::IndexedRandom;
        let characters = self.alphabet.characters();
        let mut random = rand::rng();
        let mut text = String::with_capacity(self.length);
        for _ in 0..self.length {
            text.extend(characters.choose(&mut random).map(|&byte| char::from(byte)));
        }
        SecretString::from(text)
    }
}

impl Effect for EnsureSecret {
    type Answer = String;
    const FUNCTION: &'static str = "secrets.ensure";
    const CLASS: Class = Class::Put;
    const OWN: bool = true;

    fn needs(&self) -> Grant<'_> {
        Grant { interface: INTERFACE, server: None }
    }

    fn makes(&self) -> Option<&SecretName> {
        Some(&self.name)
    }

    fn request(&self) -> Value {
        let Policy { length, alphabet } = self.policy;
        json!({ "name": self.name.as_str(), "length": length, "alphabet": alphabet.as_str() })
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<String, Failure> {
        let server = job.record.server.clone().ok_or_else(|| {
            let message = "this job is not about a server, and secrets belong to one";
            Failure::unsafe_to_retry("access_denied", message)
        })?;
        let reference = Reference { server, name: self.name.clone(), form: Form::Plain };
        keep(job, &reference, || self.policy.generate()).await?;
        Ok(reference.to_string())
    }
}

impl Effect for EnsureBcrypt {
    type Answer = String;
    const FUNCTION: &'static str = "secrets.bcrypt";
    const CLASS: Class = Class::Put;
    const OWN: bool = true;

    fn needs(&self) -> Grant<'_> {
        Grant { interface: INTERFACE, server: None }
    }

    fn mentions(&self) -> Result<Vec<Reference>, Failure> {
        Ok(vec![self.reference.clone()])
    }

    fn request(&self) -> Value {
        json!({ "reference": self.reference.to_string() })
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<String, Failure> {
        if self.reference.form != Form::Plain {
            let message = format!("`{}` is a hash already", self.reference);
            return Err(Failure::unsafe_to_retry("invalid_argument", message));
        }
        let wanted = self.reference.with_form(Form::Bcrypt);
        let kept = job.outside.store.secret(&wanted.kept_as()).await;
        if kept.map_err(|error| Failure::safe("unavailable", error.to_string()))?.is_none() {
            let hash = hash(references::value(job, &self.reference).await?).await?;
            keep(job, &wanted, || hash).await?;
        }
        Ok(wanted.to_string())
    }
}

/// Keeps a new value unless there is one. Of two that are made at once the first counts.
pub(super) async fn keep(
    job: &JobContext,
    reference: &Reference,
    new: impl FnOnce() -> SecretString,
) -> Result<(), Failure> {
    let name = reference.kept_as();
    let unread = |why: String| {
        Failure::safe("unavailable", format!("the host's secret `{name}` cannot be kept: {why}"))
    };
    let sealed = job.outside.vault.seal(&name, new().expose_secret().as_bytes());
    // Whoever gets the value outside has something durable written first.
    let kept = job.outside.store.add_secret(&job.lease(), &name, &sealed).await;
    let kept = kept.map_err(|error| unread(error.to_string()))?;
    let opened = job.outside.vault.unseal(&name, &kept);
    job.masks().add(&opened.map_err(|error| unread(error.to_string()))?);
    Ok(())
}

/// It takes its time, off the runtime's threads.
async fn hash(value: SecretString) -> Result<SecretString, Failure> {
    let hashing = tokio::task::spawn_blocking(move || {
        bcrypt::non_truncating_hash(value.expose_secret(), BCRYPT_COST).map(SecretString::from)
    });
    match hashing.await {
        Ok(Ok(hash)) => Ok(hash),
        Ok(Err(bcrypt::BcryptError::Truncation(bytes))) => {
            let message = format!(
                "bcrypt takes at most 71 bytes and this secret has {bytes}: make a shorter one \
                 under another name"
            );
            Err(Failure::unsafe_to_retry("invalid_argument", message))
        }
        Ok(Err(error)) => Err(Failure::safe("internal", format!("bcrypt: {error}"))),
        Err(_stopped) => Err(Failure::safe("internal", "the hashing was cut off")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_new_secret_has_its_length_and_only_its_alphabet() {
        for alphabet in Alphabet::ALL {
            let policy = Policy::new(1024, alphabet.as_str()).unwrap();
            let (one, other) = (policy.generate(), policy.generate());
            let used: BTreeSet<u8> = one.expose_secret().bytes().collect();
            let allowed: BTreeSet<u8> = alphabet.characters().iter().copied().collect();
            assert_eq!(one.expose_secret().len(), 1024);
            assert!(used.is_subset(&allowed) && used.len() * 4 > allowed.len() * 3, "{alphabet:?}");
            assert_ne!(one.expose_secret(), other.expose_secret());
        }
    }

    #[test]
    fn a_policy_that_there_is_not_is_refused() {
        for (length, alphabet) in [(7, "hex"), (1025, "hex"), (16, "emoji"), (16, "")] {
            assert!(Policy::new(length, alphabet).is_err(), "{length} {alphabet}");
        }
    }
}
