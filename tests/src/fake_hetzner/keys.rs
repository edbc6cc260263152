//! Public keys: unique by name and by fingerprint.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{Refusal, page};
use super::project::{Project, now};
use super::servers::parsed;
use super::{Shared, labels, views};
use crate::fake_cloud::{Query, fingerprint};

/// A key as the fake knows it.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) public_key: String,
    pub(super) fingerprint: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) created: String,
}

#[derive(Deserialize)]
struct NewKey {
    #[serde(default)]
    name: String,
    #[serde(default)]
    public_key: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl Project {
    pub(super) fn add_key(
        &mut self,
        name: &str,
        public_key: &str,
        labels: BTreeMap<String, String>,
    ) -> u64 {
        let id = self.next_id();
        let fingerprint = fingerprint(public_key).unwrap();
        let (name, public_key) = (name.to_owned(), public_key.to_owned());
        self.keys.insert(id, Key { id, name, public_key, fingerprint, labels, created: now() });
        id
    }
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let query = Query::new(query);
    let project = shared.project();
    let mut entries = Vec::new();
    for key in project.keys.values() {
        let selected = query.first("label_selector").map(|text| labels::selects(text, &key.labels));
        if selected.transpose()?.unwrap_or(true)
            && query.admits("name", &key.name)
            && query.admits("fingerprint", &key.fingerprint)
        {
            entries.push(views::key(key));
        }
    }
    page("ssh_keys", &entries, &query)
}

pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    body: String,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let wanted: NewKey = parsed(&body)?;
    if wanted.name.is_empty() {
        return Err(Refusal::invalid("name", "must not be empty"));
    }
    labels::check(&wanted.labels)?;
    let fingerprint = fingerprint(&wanted.public_key)
        .ok_or_else(|| Refusal::invalid("public_key", "invalid public key"))?;
    let mut project = shared.project();
    if project.keys.values().any(|key| key.fingerprint == fingerprint) {
        let message = "SSH key with the same fingerprint already exists";
        return Err(Refusal::not_unique("public_key", message));
    }
    if project.keys.values().any(|key| key.name == wanted.name) {
        return Err(Refusal::not_unique("name", "SSH key with the same name already exists"));
    }
    let id = project.add_key(&wanted.name, &wanted.public_key, wanted.labels);
    Ok((StatusCode::CREATED, Json(json!({"ssh_key": views::key(&project.keys[&id])}))))
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<u64>,
) -> Result<Json<Value>, Refusal> {
    let project = shared.project();
    let key = project.keys.get(&id).ok_or_else(|| Refusal::not_found("SSH key"))?;
    Ok(Json(json!({"ssh_key": views::key(key)})))
}

pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<u64>,
) -> Result<StatusCode, Refusal> {
    let removed = shared.project().keys.remove(&id);
    removed.map(|_| StatusCode::NO_CONTENT).ok_or_else(|| Refusal::not_found("SSH key"))
}
