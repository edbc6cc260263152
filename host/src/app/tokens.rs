//! Tokens: who may talk to the host. Only their hashes are kept, on disk and here.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::app::access::{Admin, Caller, Scope};
use crate::app::home::Home;
use crate::error::{Error, ErrorKind};
use crate::storage::{AuditRecord, StorageError, Store, Token};

/// What the first start's token is called.
const FIRST: &str = "admin";
/// The file in the home that holds it.
pub(super) const FILE: &str = "token";

/// The tokens that are good, by hash. Looking one up by its hash takes no time that depends on how
/// much of a wrong token is right.
pub(super) struct Tokens {
    kept: ArcSwap<HashMap<String, Caller>>,
    /// The hash of the one of the program that the host is part of.
    own: ArcSwapOption<String>,
}

/// A token as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its name.
    pub name: String,
    /// How much it allows.
    pub scope: Scope,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Tokens {
    /// The stored ones; at the first start, makes one and writes it into the home.
    pub(super) async fn load(store: &Arc<dyn Store>, home: &Home) -> Result<Self, Error> {
        if store.tokens().await?.is_empty() {
            let secret = new_secret();
            // Its owner has it before it is good: a host that is killed in between makes another.
            home.write_private(FILE, &secret)?;
            store.put_token(record(FIRST, Scope::Admin, &secret, Timestamp::now())).await?;
        }
        let tokens = Self { kept: ArcSwap::default(), own: ArcSwapOption::default() };
        tokens.reload(&**store).await?;
        Ok(tokens)
    }

    /// None at all: nobody comes in.
    pub(super) fn none() -> Self {
        Self { kept: ArcSwap::default(), own: ArcSwapOption::default() }
    }

    /// Who brings this token.
    pub(super) fn caller(&self, token: &str) -> Option<Caller> {
        let hash = hash(token);
        if self.own.load().as_deref() == Some(&hash) {
            return Some(Caller { name: "cli".to_owned(), scope: Scope::Admin });
        }
        self.kept.load().get(&hash).cloned()
    }

    /// One that is good as long as this process, for the program that the host is part of.
    fn own(&self) -> String {
        let secret = new_secret();
        self.own.store(Some(Arc::new(hash(&secret))));
        secret
    }

    async fn reload(&self, store: &dyn Store) -> Result<(), StorageError> {
        let known = store.tokens().await?.into_iter().filter_map(|token| {
            let scope = token.scope.parse().ok()?;
            Some((token.hash, Caller { name: token.name, scope }))
        });
        self.kept.store(Arc::new(known.collect()));
        Ok(())
    }
}

impl App {
    /// A token for the program that the host is part of; it is not kept.
    pub fn own_token(&self) -> String {
        self.tokens.own()
    }

    /// Puts a token where the command line of this machine looks for one, if there is none.
    /// Answers whether it did.
    pub fn replace_lost_token(&self, secret: &str) -> Result<bool, Error> {
        if self.home.path().join(FILE).exists() {
            return Ok(false);
        }
        self.home.write_private(FILE, secret)?;
        Ok(true)
    }
}

impl Admin {
    /// Makes a token. It is told once and never again.
    #[tracing::instrument(skip_all, fields(name))]
    pub async fn create_token(&self, name: &str, scope: Scope) -> Result<String, Error> {
        check_name(name)?;
        let store = &self.app.store;
        if store.tokens().await?.iter().any(|token| token.name == name) {
            let message =
                format!("There is a token `{name}`: revoke it first, or use another name.");
            return Err(Error::new(ErrorKind::Conflict, "token_exists", message)
                .with_next(format!("DELETE /api/tokens/{name}")));
        }
        let now = Timestamp::now();
        self.note(now, "token.create", name, scope.as_str()).await?;
        let secret = new_secret();
        store.put_token(record(name, scope, &secret, now)).await?;
        self.app.tokens.reload(&**store).await?;
        Ok(secret)
    }

    /// All tokens, without what is secret in them.
    pub async fn tokens(&self) -> Result<Vec<TokenInfo>, Error> {
        let shown = |token: Token| {
            let scope = token.scope.parse().ok()?;
            Some(TokenInfo { name: token.name, scope, created_at: token.created_at })
        };
        Ok(self.app.store.tokens().await?.into_iter().filter_map(shown).collect())
    }

    /// Makes a token worthless, from now on.
    #[tracing::instrument(skip_all, fields(name))]
    pub async fn revoke_token(&self, name: &str) -> Result<(), Error> {
        let tokens = self.tokens().await?;
        let Some(token) = tokens.iter().find(|token| token.name == name) else {
            let message = format!("There is no token `{}`.", name.escape_debug());
            return Err(Error::new(ErrorKind::NotFound, "no_such_token", message)
                .with_next("GET /api/tokens")
                .with_next("windlass token list"));
        };
        let admins = tokens.iter().filter(|token| token.scope == Scope::Admin).count();
        if token.scope == Scope::Admin && admins == 1 {
            let message =
                format!("`{name}` is the last token with the scope admin: make another one first.");
            return Err(Error::new(ErrorKind::Conflict, "last_admin_token", message)
                .with_next("POST /api/tokens"));
        }
        self.note(Timestamp::now(), "token.revoke", name, token.scope.as_str()).await?;
        let store = &self.app.store;
        store.delete_token(name).await?;
        Ok(self.app.tokens.reload(&**store).await?)
    }

    async fn note(
        &self,
        at: Timestamp,
        action: &str,
        target: &str,
        scope: &str,
    ) -> Result<(), Error> {
        let record = AuditRecord {
            at,
            by: self.by.clone(),
            action: action.to_owned(),
            target: target.to_owned(),
            detail: json!({ "scope": scope }),
        };
        Ok(self.app.store.audit(record).await?)
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if (1..=64).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    Err(Error::invalid_field("/name", "A token's name has 1 to 64 of a-z, 0-9, -, _ and dots."))
}

fn record(name: &str, scope: Scope, secret: &str, created_at: Timestamp) -> Token {
    let scope = scope.as_str().to_owned();
    Token { name: name.to_owned(), hash: hash(secret), scope, created_at }
}

fn new_secret() -> String {
    format!("wl_{}", BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
}

fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}
