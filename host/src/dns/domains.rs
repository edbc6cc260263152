//! Whose zones this host works on: Cloudflare's with the credentials that are configured, built
//! anew when those change, or the sandbox's.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::dns::Zones;
use crate::dns::cloudflare::{self, Access, Cloudflare};
use crate::dns::marker::{Marker, Owner};
use crate::dns::rehearsal::Rehearsal;
use crate::dns::sandbox::Sandbox;
use crate::model::failure::Failure;
use crate::model::names::Identity;
use crate::providers::ProviderError;
use crate::providers::registry::Verified;
use crate::storage::{StorageError, Store};
use crate::vault::Vault;

/// The name of the secret that is Cloudflare's credentials.
const CLOUDFLARE: &str = "credentials/cloudflare";
/// The name of the secret that is who we are in our records' comments. It is none, and is kept with
/// the secrets because it is made once and must stay as long as they do.
const OWNER: &str = "dns/owner";
/// How long a check of credentials may take.
const VERIFY: Duration = Duration::from_secs(2);

/// What is told at the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The host's home: the sandbox's zones are kept in it.
    pub home: PathBuf,
    /// Another base URL of Cloudflare than the usual one.
    pub cloudflare_endpoint: Option<String>,
}

/// The zones that this host works on.
pub struct Domains {
    settings: Settings,
    store: Arc<dyn Store>,
    vault: Arc<Vault>,
    owner: Owner,
    sandbox: Arc<Sandbox>,
    built: Mutex<Option<Arc<dyn Zones>>>,
    /// Where these are those of a rehearsal.
    rehearsed: Option<Rehearsed>,
}

/// The domains that something is rehearsed for, and what would become of their zones: those of
/// simulated servers, and the others.
struct Rehearsed {
    real: Arc<Domains>,
    zones: Mutex<BTreeMap<bool, Arc<dyn Zones>>>,
}

/// What is sealed. Has no `Debug`.
#[derive(Deserialize)]
struct Credentials {
    #[serde(flatten)]
    access: OneWay,
    endpoint: Option<String>,
}

/// One of the two ways.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneWay {
    Token { api_token: SecretText },
    Key { email: String, api_key: SecretText },
}

/// A text that is wiped when it is no longer needed.
#[derive(Deserialize)]
#[serde(from = "String")]
struct SecretText(SecretString);

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(SecretString::from(text))
    }
}

impl Domains {
    /// The domains of a host with this store and vault.
    pub async fn open(
        settings: Settings,
        store: Arc<dyn Store>,
        vault: Arc<Vault>,
    ) -> Result<Self, Failure> {
        let new = format!("{:08x}", rand::random::<u32>());
        let kept = store.ensure_secret(OWNER, &vault.seal(OWNER, new.as_bytes())).await;
        let kept = kept.map_err(|error| unreadable(&error))?;
        let id = vault.unseal(OWNER, &kept).map_err(|error| damaged(&error))?;
        let owner = Owner::new(id.expose_secret());
        let path = settings.home.join("sandbox").join("dns").join("zones.json");
        let sandbox = Arc::new(Sandbox::new(path, owner.clone()));
        Ok(Self {
            settings,
            store,
            vault,
            owner,
            sandbox,
            built: Mutex::default(),
            rehearsed: None,
        })
    }

    /// The domains of a rehearsal: the same zones, in which nothing is done.
    #[must_use]
    pub fn rehearsal(real: &Arc<Self>) -> Self {
        Self {
            settings: real.settings.clone(),
            store: real.store.clone(),
            vault: real.vault.clone(),
            owner: real.owner.clone(),
            sandbox: real.sandbox.clone(),
            built: Mutex::default(),
            rehearsed: Some(Rehearsed { real: real.clone(), zones: Mutex::default() }),
        }
    }

    /// The zones to work on: the sandbox's for a job whose server is simulated, so that no real
    /// name ever points at nothing, else Cloudflare's.
    pub async fn of(&self, is_simulated: bool) -> Result<Arc<dyn Zones>, Failure> {
        if let Some(rehearsed) = &self.rehearsed {
            return rehearsed.of(is_simulated).await;
        }
        if is_simulated {
            return Ok(self.sandbox.clone());
        }
        let mut built = self.built.lock().await;
        if let Some(zones) = &*built {
            return Ok(Arc::clone(zones));
        }
        match self.stored().await? {
            Some((access, endpoint)) => {
                let zones: Arc<dyn Zones> = Arc::new(self.build(&access, endpoint)?);
                *built = Some(Arc::clone(&zones));
                Ok(zones)
            }
            None => Err(not_configured()),
        }
    }

    /// Marks what this effect makes.
    pub fn marker(&self, identity: &Identity) -> Marker {
        Marker { owner: self.owner.clone(), identity: identity.clone() }
    }

    /// Checks Cloudflare's credentials and keeps them unless they are refused.
    pub async fn configure(
        &self,
        access: Access,
        endpoint: Option<String>,
    ) -> Result<Verified, Failure> {
        let zones = self.build(&access, endpoint.clone())?;
        let verified = match tokio::time::timeout(VERIFY, zones.verify()).await {
            Ok(Ok(())) => Verified::Yes,
            Ok(Err(ProviderError::InvalidCredentials { message })) => {
                return Err(Failure::safe("invalid_credentials", message));
            }
            Ok(Err(error)) => Verified::Unknown(error.to_string()),
            Err(_elapsed) => Verified::Unknown("it did not answer within 2 s".to_owned()),
        };
        let sealed = self.vault.seal(CLOUDFLARE, text(&access, endpoint.as_deref()).as_bytes());
        let kept = self.store.put_secret(CLOUDFLARE, &sealed).await;
        kept.map_err(|error| unreadable(&error))?;
        // What is built from now on is built from these.
        *self.built.lock().await = None;
        Ok(verified)
    }

    fn build(&self, access: &Access, endpoint: Option<String>) -> Result<Cloudflare, Failure> {
        let endpoint = endpoint.or_else(|| self.settings.cloudflare_endpoint.clone());
        let options = cloudflare::Options::default();
        Ok(Cloudflare::new(access, self.owner.clone(), endpoint.as_deref(), options)?)
    }

    async fn stored(&self) -> Result<Option<(Access, Option<String>)>, Failure> {
        let found = self.store.secret(CLOUDFLARE).await.map_err(|error| unreadable(&error))?;
        let Some(sealed) = found else { return Ok(None) };
        let opened = self.vault.unseal(CLOUDFLARE, &sealed).map_err(|error| damaged(&error))?;
        // The parser's own words could hold a part of the secret.
        let read = serde_json::from_str(opened.expose_secret());
        let Credentials { access, endpoint } =
            read.map_err(|_secret| damaged(&"this version cannot read them"))?;
        let access = match access {
            OneWay::Token { api_token } => Access::Token(api_token.0),
            OneWay::Key { email, api_key } => Access::Key { email, key: api_key.0 },
        };
        Ok(Some((access, endpoint)))
    }
}

impl Rehearsed {
    async fn of(&self, is_simulated: bool) -> Result<Arc<dyn Zones>, Failure> {
        let mut known = self.zones.lock().await;
        if let Some(zones) = known.get(&is_simulated) {
            return Ok(zones.clone());
        }
        let real = Box::pin(self.real.of(is_simulated)).await?;
        let zones: Arc<dyn Zones> = Arc::new(Rehearsal::of(real));
        known.insert(is_simulated, zones.clone());
        Ok(zones)
    }
}

/// The credentials as they are sealed.
fn text(access: &Access, endpoint: Option<&str>) -> Zeroizing<String> {
    let value = match access {
        Access::Token(token) => json!({ "api_token": token.expose_secret(), "endpoint": endpoint }),
        Access::Key { email, key } => {
            json!({ "email": email, "api_key": key.expose_secret(), "endpoint": endpoint })
        }
    };
    Zeroizing::new(value.to_string())
}

fn not_configured() -> Failure {
    let message = "Cloudflare has no credentials yet: POST /api/config/cloudflare \
                   {\"api_token\":\"…\"}, or `windlass config cloudflare`; on a server of the \
                   sandbox, DNS is simulated without any";
    Failure::safe("provider_not_configured", message)
}

fn unreadable(error: &StorageError) -> Failure {
    Failure::safe("unavailable", format!("the host's database does not answer: {error}"))
}

fn damaged(reason: &dyn std::fmt::Display) -> Failure {
    let message = format!("what the host keeps for its DNS cannot be read: {reason}");
    Failure::safe("provider_not_configured", message)
}
