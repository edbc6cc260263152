//! Actions, as their client asks for them.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::answers::{Listing, Refusal};
use super::{Shared, views};
use crate::fake_cloud::{Query, Trouble};

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<u64>,
) -> Result<Json<Value>, Refusal> {
    let mut account = shared.account();
    account.look(&[id]);
    let action = account.actions.get(&id).ok_or_else(Refusal::not_found)?;
    Ok(Json(json!({"action": views::action(&account, action)})))
}

pub(super) async fn list_of(
    State(shared): State<Arc<Shared>>,
    Extension(trouble): Extension<Option<Trouble>>,
    Path(id): Path<u64>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let query = Query::new(query);
    let mut account = shared.account();
    if !account.droplets.contains_key(&id) {
        return Err(Refusal::not_found());
    }
    let ids = account.actions_of(id);
    account.look(&ids);
    let shown: Vec<Value> = ids
        .iter()
        .filter_map(|id| account.actions.get(id))
        .map(|action| views::action(&account, action))
        .collect();
    let url = format!("{}/v2/droplets/{id}/actions", shared.url);
    Listing { url, query: &query, trouble: &trouble }.page("actions", &shown)
}
