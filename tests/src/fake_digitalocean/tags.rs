//! Tags: made by whoever gives one, there until they are removed.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Shared;
use super::answers::Refusal;

/// Whether it can be a tag.
pub(super) fn is_tag(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_".contains(c);
    (1..=255).contains(&text.len()) && text.chars().all(allowed)
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(tag): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let account = shared.account();
    if !account.tags.contains(&tag) {
        return Err(Refusal::not_found());
    }
    let count = account.droplets.values().filter(|it| it.tags.contains(&tag)).count();
    let kinds = ["images", "volumes", "volume_snapshots", "databases"];
    let mut resources: serde_json::Map<String, Value> =
        kinds.iter().map(|kind| ((*kind).to_owned(), json!({"count": 0}))).collect();
    resources.insert("count".to_owned(), json!(count));
    resources.insert("droplets".to_owned(), json!({"count": count}));
    Ok(Json(json!({"tag": {"name": tag, "resources": resources}})))
}

pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path(tag): Path<String>,
) -> Result<StatusCode, Refusal> {
    let mut account = shared.account();
    if !account.tags.remove(&tag) {
        return Err(Refusal::not_found());
    }
    for droplet in account.droplets.values_mut() {
        droplet.tags.retain(|other| *other != tag);
    }
    Ok(StatusCode::NO_CONTENT)
}
