//! Public keys: unique by fingerprint, not by name.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::account::Account;
use super::answers::{Listing, Refusal, parsed};
use super::{Shared, views};
use crate::fake_cloud::{Query, fingerprint};

/// A key as the fake knows it.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) public_key: String,
    pub(super) fingerprint: String,
}

#[derive(Deserialize)]
struct NewKey {
    #[serde(default)]
    name: String,
    #[serde(default)]
    public_key: String,
}

impl Account {
    pub(super) fn add_key(&mut self, name: &str, public_key: &str) -> u64 {
        let id = self.next_id();
        let fingerprint = fingerprint(public_key).unwrap();
        let (name, public_key) = (name.to_owned(), public_key.to_owned());
        self.keys.insert(id, Key { id, name, public_key, fingerprint });
        id
    }

    /// The key with this id or fingerprint.
    pub(super) fn key(&self, identifier: &str) -> Option<&Key> {
        let is_it = |key: &&Key| key.id.to_string() == identifier || key.fingerprint == identifier;
        self.keys.values().find(is_it)
    }
}

/// May be asked for ten times a minute.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = Query::new(query);
    let mut account = shared.account();
    account.key_lists += 1;
    if account.key_lists > 10 {
        let refusal = Refusal::new(429, "too_many_requests", "API rate limit exceeded.");
        return Ok(([(RETRY_AFTER, "60")], refusal).into_response());
    }
    let entries: Vec<Value> = account.keys.values().map(views::key).collect();
    let url = format!("{}/v2/account/keys", shared.url);
    let page = Listing { url, query: &query, trouble: &None }.page("ssh_keys", &entries)?;
    Ok(page.into_response())
}

pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    body: String,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let wanted: NewKey = parsed(&body)?;
    if wanted.name.is_empty() {
        return Err(Refusal::unprocessable("Name can't be blank"));
    }
    let fingerprint = fingerprint(&wanted.public_key)
        .ok_or_else(|| Refusal::unprocessable("Key invalid, key should be of the format ..."))?;
    let mut account = shared.account();
    if account.keys.values().any(|key| key.fingerprint == fingerprint) {
        return Err(Refusal::unprocessable("SSH Key is already in use on your account"));
    }
    let id = account.add_key(&wanted.name, &wanted.public_key);
    Ok((StatusCode::CREATED, Json(json!({"ssh_key": views::key(&account.keys[&id])}))))
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(identifier): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let account = shared.account();
    let key = account.key(&identifier).ok_or_else(Refusal::not_found)?;
    Ok(Json(json!({"ssh_key": views::key(key)})))
}

pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path(identifier): Path<String>,
) -> Result<StatusCode, Refusal> {
    let mut account = shared.account();
    let id = account.key(&identifier).ok_or_else(Refusal::not_found)?.id;
    account.keys.remove(&id);
    Ok(StatusCode::NO_CONTENT)
}
