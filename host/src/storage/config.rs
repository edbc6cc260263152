//! Providers, callers' tokens, sealed secrets, and who did what: a part of
//! [`Store`](crate::storage::Store) in a trait of its own.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use crate::model::job::Lease;
use crate::model::names::ProviderKind;
use crate::storage::StorageError;

/// What is configured, and what is secret: secrets come sealed and are kept so.
#[async_trait]
pub trait ConfigStore {
    /// Writes how a provider is reached.
    async fn put_provider(&self, provider: ProviderConfig) -> Result<(), StorageError>;

    /// The configured providers.
    async fn providers(&self) -> Result<Vec<ProviderConfig>, StorageError>;

    /// Writes a token; one of the same name is replaced.
    async fn put_token(&self, token: Token) -> Result<(), StorageError>;

    /// The token with this hash, or none.
    async fn token(&self, hash: &str) -> Result<Option<Token>, StorageError>;

    /// All tokens, by name.
    async fn tokens(&self) -> Result<Vec<Token>, StorageError>;

    /// Removes a token. Answers whether there was one.
    async fn delete_token(&self, name: &str) -> Result<bool, StorageError>;

    /// Writes a secret unless there is one of this name, and answers the one that is there then.
    async fn ensure_secret(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, StorageError>;

    /// The same as a part of what a job does: in the order of its journal, refused when the lease is
    /// an old one, and on disk when whatever the job does next is.
    async fn add_secret(
        &self,
        lease: &Lease,
        name: &str,
        sealed: &[u8],
    ) -> Result<Vec<u8>, StorageError>;

    /// Writes a secret; one of the same name is replaced.
    async fn put_secret(&self, name: &str, sealed: &[u8]) -> Result<(), StorageError>;

    /// A secret, still sealed, or none.
    async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError>;

    /// The secrets whose names begin so, still sealed, by name.
    async fn secrets(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StorageError>;

    /// Everything that is sealed, wherever it stands.
    async fn sealed(&self) -> Result<Vec<Sealed>, StorageError>;

    /// Replaces sealed values, all of them or none, durably. Nothing of the old ones stays in the
    /// database's files.
    async fn reseal(&self, values: Vec<Sealed>) -> Result<(), StorageError>;

    /// Removes the secrets whose names begin so.
    async fn delete_secrets(&self, prefix: &str) -> Result<(), StorageError>;

    /// Notes who did what, durably.
    async fn audit(&self, record: AuditRecord) -> Result<(), StorageError>;
}

/// How a provider is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderConfig {
    /// Which one.
    pub kind: ProviderKind,
    /// Its token, sealed.
    pub token: Option<Vec<u8>>,
    /// Another base URL than the usual one.
    pub endpoint: Option<String>,
    /// Whether servers are made there unless said otherwise; setting one unsets the others.
    pub default: bool,
}

/// A value that the vault sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Where it stands.
    pub place: Place,
    /// As the vault made it.
    pub bytes: Vec<u8>,
}

/// Where a sealed value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Among the secrets, under this name.
    Secret(String),
    /// With the provider that it is the token of.
    ProviderToken(ProviderKind),
}

impl Place {
    /// The name under which the vault seals what stands there.
    pub fn name(&self) -> String {
        match self {
            Self::Secret(name) => name.clone(),
            Self::ProviderToken(kind) => format!("provider/{kind}/token"),
        }
    }
}

/// A caller's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its name, unique.
    pub name: String,
    /// SHA-256 of it, hex; the token itself is not kept.
    pub hash: String,
    /// `read`, `operate` or `admin`.
    pub scope: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Who did what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// When.
    pub at: Timestamp,
    /// The name of the token.
    pub by: String,
    /// What: `exec`, `config.provider`, …
    pub action: String,
    /// To what.
    pub target: String,
    /// More, as JSON, without secrets.
    pub detail: Value,
}
