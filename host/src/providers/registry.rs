//! Which providers this host can use: built from what is configured, built anew when that changes;
//! and what they offer, asked at most every ten minutes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tracing::warn;

use crate::model::catalogue::Catalogue;
use crate::model::failure::Failure;
use crate::model::names::ProviderKind;
use crate::providers::digitalocean::{self, DigitalOcean};
use crate::providers::docker::Docker;
use crate::providers::hetzner::{self, Hetzner};
use crate::providers::sandbox::{Pace, Sandbox};
use crate::providers::{Provider, ProviderError};
use crate::storage::{Place, ProviderConfig, StorageError, Store};
use crate::vault::Vault;

/// How long an answer about what is on offer is good.
const FRESH: SignedDuration = SignedDuration::from_mins(10);
/// How long a provider that failed is left alone while an old answer is there.
const REST: SignedDuration = SignedDuration::from_secs(30);
/// How long is waited for a new answer while an old one is there.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a check of credentials may take.
const VERIFY: Duration = Duration::from_secs(2);

/// What the registry is told at the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The host's home: the sandbox's machines and the catalogues are kept in it.
    pub home: PathBuf,
    /// Another base URL of Hetzner Cloud than the usual one.
    pub hcloud_endpoint: Option<String>,
    /// Another base URL of DigitalOcean's API than the usual one.
    pub digitalocean_endpoint: Option<String>,
    /// Whether the sandbox takes its time.
    pub pace: Pace,
}

/// The providers of this host.
pub struct Registry {
    settings: Settings,
    store: Arc<dyn Store>,
    vault: Arc<Vault>,
    sandbox: Arc<Sandbox>,
    /// In a rehearsal, the one that it is rehearsed for.
    real: Option<Arc<Registry>>,
    built: Mutex<BTreeMap<ProviderKind, Arc<dyn Provider>>>,
    /// Where servers are made unless said otherwise, once somebody asked.
    default: Mutex<Option<ProviderKind>>,
    offers: BTreeMap<ProviderKind, Mutex<Offer>>,
}

/// What a provider offered when it was asked last.
#[derive(Default)]
struct Offer {
    catalogue: Option<Catalogue>,
    failed_at: Option<Timestamp>,
}

/// How a provider is to be reached from now on.
#[derive(Clone, Debug)]
pub struct Access {
    /// Which one.
    pub kind: ProviderKind,
    /// Its token.
    pub token: Option<SecretString>,
    /// Another base URL than the usual one.
    pub endpoint: Option<String>,
    /// Whether servers are made there unless said otherwise; none: when no other is the default.
    pub default: Option<bool>,
}

/// What a check of credentials found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// They work.
    Yes,
    /// The provider did not answer; the reason.
    Unknown(String),
}

impl Registry {
    /// The registry of a host with this store and vault.
    pub fn new(settings: Settings, store: Arc<dyn Store>, vault: Arc<Vault>) -> Self {
        let sandbox = Sandbox::new(settings.home.join("sandbox"), settings.pace);
        let offers = ProviderKind::ALL.into_iter().map(|kind| (kind, Mutex::default())).collect();
        let (built, default) = (Mutex::default(), Mutex::default());
        let sandbox = Arc::new(sandbox);
        Self { settings, store, vault, sandbox, real: None, built, default, offers }
    }

    /// The registry of a rehearsal: what is on offer is asked of the real providers, and whatever
    /// is ordered is simulated in this folder.
    #[must_use]
    pub fn rehearsal(real: &Arc<Self>, folder: &Path) -> Self {
        let settings = Settings { home: folder.to_owned(), ..real.settings.clone() };
        let rehearsal = Self::new(settings, real.store.clone(), real.vault.clone());
        let sandbox = Arc::new(Sandbox::rehearsal(folder.join("sandbox")));
        Self { real: Some(real.clone()), sandbox, ..rehearsal }
    }

    /// Whether servers of this provider are simulated in this process.
    pub fn simulates(&self, kind: ProviderKind) -> bool {
        kind == ProviderKind::Sandbox || self.real.is_some()
    }

    /// A provider that is ready for use.
    pub async fn get(&self, kind: ProviderKind) -> Result<Arc<dyn Provider>, Failure> {
        if kind == ProviderKind::Sandbox {
            return Ok(self.sandbox.clone());
        }
        if let Some(real) = &self.real {
            // A provider that could not be reached cannot be rehearsed with either.
            Box::pin(real.get(kind)).await?;
            return Ok(self.sandbox.clone());
        }
        let mut built = self.built.lock().await;
        if let Some(provider) = built.get(&kind) {
            return Ok(provider.clone());
        }
        let provider = self.build(&self.stored(kind).await?)?;
        built.insert(kind, provider.clone());
        Ok(provider)
    }

    /// The sandbox, whose machines are reached in the process.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Where servers are made unless said otherwise.
    pub async fn default_kind(&self) -> Result<ProviderKind, Failure> {
        let mut known = self.default.lock().await;
        if let Some(kind) = *known {
            return Ok(kind);
        }
        let configs = self.store.providers().await.map_err(|error| unreadable(&error))?;
        let default = configs.iter().find(|config| config.default);
        Ok(*known.insert(default.map_or(ProviderKind::Sandbox, |config| config.kind)))
    }

    /// Checks credentials and keeps them unless they are refused.
    pub async fn configure(&self, access: Access) -> Result<Verified, Failure> {
        let provider = match access.kind {
            ProviderKind::Sandbox => self.sandbox.clone(),
            _ => self.build(&access)?,
        };
        let verified = match tokio::time::timeout(VERIFY, provider.verify()).await {
            Ok(Ok(())) => Verified::Yes,
            Ok(Err(ProviderError::InvalidCredentials { message })) => {
                return Err(Failure::safe("invalid_credentials", message));
            }
            Ok(Err(error)) => Verified::Unknown(error.to_string()),
            Err(_elapsed) => Verified::Unknown("it did not answer within 2 s".to_owned()),
        };
        self.keep(&access).await?;
        self.built.lock().await.remove(&access.kind);
        self.forget_catalogue(access.kind).await;
        Ok(verified)
    }

    /// What a provider offers, and whether that is an old answer because it does not give a new
    /// one. Many who ask at once cost it one request.
    pub async fn catalogue(&self, kind: ProviderKind) -> Result<(Catalogue, bool), Failure> {
        if let Some(real) = &self.real {
            return Box::pin(real.catalogue(kind)).await;
        }
        let provider = self.get(kind).await?;
        let Some(offer) = self.offers.get(&kind) else { return Err(unsupported(kind)) };
        let mut offer = offer.lock().await;
        if offer.catalogue.is_none() {
            offer.catalogue = self.kept(kind).await;
        }
        let now = Timestamp::now();
        let Some(old) = offer.catalogue.clone() else {
            return self.asked(&*provider, &mut offer).await.map(|fresh| (fresh, false));
        };
        if now.duration_since(old.fetched_at) < FRESH {
            return Ok((old, false));
        }
        if offer.failed_at.is_some_and(|at| now.duration_since(at) < REST) {
            return Ok((old, true));
        }
        match tokio::time::timeout(PATIENCE, self.asked(&*provider, &mut offer)).await {
            Ok(Ok(fresh)) => Ok((fresh, false)),
            Ok(Err(_)) | Err(_) => {
                offer.failed_at = Some(now);
                Ok((old, true))
            }
        }
    }

    async fn asked(
        &self,
        provider: &dyn Provider,
        offer: &mut Offer,
    ) -> Result<Catalogue, Failure> {
        let catalogue = provider.catalogue().await?;
        *offer = Offer { catalogue: Some(catalogue.clone()), failed_at: None };
        if let Err(error) = self.keep_catalogue(provider.kind(), &catalogue).await {
            warn!(provider = %provider.kind(), %error, "could not keep the provider's catalogue");
        }
        Ok(catalogue)
    }

    async fn stored(&self, kind: ProviderKind) -> Result<Access, Failure> {
        let configs = self.store.providers().await.map_err(|error| unreadable(&error))?;
        let config = configs.into_iter().find(|config| config.kind == kind);
        let Some(config) = config else {
            return if kind == ProviderKind::Docker {
                Ok(Access { kind, token: None, endpoint: None, default: None })
            } else {
                Err(not_configured(kind))
            };
        };
        let token = config.token.map(|sealed| self.opened(kind, &sealed)).transpose()?;
        Ok(Access { kind, token, endpoint: config.endpoint, default: Some(config.default) })
    }

    fn opened(&self, kind: ProviderKind, sealed: &[u8]) -> Result<SecretString, Failure> {
        self.vault.unseal(&secret_name(kind), sealed).map_err(|error| {
            let message = format!("the stored token of {kind} cannot be read: {error}");
            Failure::safe("provider_not_configured", message)
        })
    }

    fn build(&self, access: &Access) -> Result<Arc<dyn Provider>, Failure> {
        match access.kind {
            ProviderKind::Hetzner => {
                let token = access.token.clone().ok_or_else(|| not_configured(access.kind))?;
                let endpoint = access.endpoint.clone();
                let endpoint = endpoint.or_else(|| self.settings.hcloud_endpoint.clone());
                let options = hetzner::Options::default();
                Ok(Arc::new(Hetzner::new(token, endpoint.as_deref(), options)?))
            }
            ProviderKind::Docker => Ok(Arc::new(Docker::new(access.endpoint.clone())?)),
            ProviderKind::Sandbox => Ok(self.sandbox.clone()),
            ProviderKind::DigitalOcean => {
                let token = access.token.clone().ok_or_else(|| not_configured(access.kind))?;
                let endpoint = access.endpoint.clone();
                let endpoint = endpoint.or_else(|| self.settings.digitalocean_endpoint.clone());
                let options = digitalocean::Options::default();
                Ok(Arc::new(DigitalOcean::new(token, endpoint.as_deref(), options)?))
            }
        }
    }

    async fn keep(&self, access: &Access) -> Result<(), Failure> {
        let default = match access.default {
            Some(default) => default,
            None => {
                let configs = self.store.providers().await.map_err(|error| unreadable(&error))?;
                !configs.iter().any(|config| config.default && config.kind != access.kind)
            }
        };
        let sealed = |token: &SecretString| {
            let name = secret_name(access.kind);
            self.vault.seal(&name, token.expose_secret().as_bytes())
        };
        let config = ProviderConfig {
            kind: access.kind,
            token: access.token.as_ref().map(sealed),
            endpoint: access.endpoint.clone(),
            default,
        };
        let mut known = self.default.lock().await;
        *known = None;
        self.store.put_provider(config).await.map_err(|error| unreadable(&error))
    }

    fn catalogue_path(&self, kind: ProviderKind) -> PathBuf {
        self.settings.home.join("cache").join(format!("catalogue-{kind}.json"))
    }

    /// What another account or endpoint offered says nothing about this one.
    async fn forget_catalogue(&self, kind: ProviderKind) {
        if let Some(offer) = self.offers.get(&kind) {
            let mut offer = offer.lock().await;
            *offer = Offer::default();
            if let Err(error) = tokio::fs::remove_file(self.catalogue_path(kind)).await
                && error.kind() != std::io::ErrorKind::NotFound
            {
                warn!(provider = %kind, %error, "could not remove the provider's old catalogue");
            }
        }
    }

    async fn kept(&self, kind: ProviderKind) -> Option<Catalogue> {
        let bytes = tokio::fs::read(self.catalogue_path(kind)).await.ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    async fn keep_catalogue(&self, kind: ProviderKind, it: &Catalogue) -> std::io::Result<()> {
        let path = self.catalogue_path(kind);
        if let Some(directory) = path.parent() {
            tokio::fs::create_dir_all(directory).await?;
        }
        let unfinished = path.with_extension("new");
        tokio::fs::write(&unfinished, serde_json::to_vec(it)?).await?;
        tokio::fs::rename(&unfinished, &path).await
    }
}

/// The name under which the vault seals a provider's token.
fn secret_name(kind: ProviderKind) -> String {
    Place::ProviderToken(kind).name()
}

fn not_configured(kind: ProviderKind) -> Failure {
    let message = format!(
        "{kind} has no token yet: POST /api/config/provider {{\"name\":\"{kind}\",\"token\":\"…\"}}, \
         or `windlass config provider {kind}`; the provider `sandbox` needs none"
    );
    Failure::safe("provider_not_configured", message)
}

fn unsupported(kind: ProviderKind) -> Failure {
    let message = format!("this version cannot list what {kind} offers");
    Failure::safe("unsupported", message)
}

fn unreadable(error: &StorageError) -> Failure {
    Failure::safe("unavailable", format!("the host's database does not answer: {error}"))
}
