//! Zones, and what a token is good for.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::answers::{Refusal, page, success};
use super::{Shared, Zone};
use crate::fake_cloud::{Query, Trouble};

pub(super) async fn verify(headers: HeaderMap) -> Result<Json<Value>, Refusal> {
    if headers.contains_key("x-auth-key") {
        return Err(Refusal::new(401, 1000, "Invalid API Token"));
    }
    Ok(success(&json!({"id": "ed17574386854bf78a67040be0a770b0", "status": "active"})))
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(trouble): Extension<Option<Trouble>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let query = Query::new(query);
    let state = shared.state();
    let zones = state.zones.iter().filter(|zone| query.admits("name", &zone.name));
    let zones: Vec<Value> = zones.map(view).collect();
    page(&zones, &query, (5, 20, 50), trouble.as_ref())
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let state = shared.state();
    let zone = state.zones.iter().find(|zone| zone.id == id);
    zone.map(|zone| success(&view(zone))).ok_or_else(Refusal::no_such_path)
}

fn view(zone: &Zone) -> Value {
    json!({
        "id": zone.id,
        "name": zone.name,
        "status": "active",
        "paused": false,
        "type": "full",
        "development_mode": 0,
        "name_servers": ["blakely.ns.cloudflare.com", "vin.ns.cloudflare.com"],
        "original_name_servers": null,
        "original_registrar": null,
        "original_dnshost": null,
        "modified_on": "2025-06-27T16:15:05.621864Z",
        "created_on": "2025-06-27T16:15:01.206882Z",
        "activated_on": "2025-06-27T16:15:05.465417Z",
        "vanity_name_servers": [],
        "meta": {
            "step": 4,
            "custom_certificate_quota": 0,
            "page_rule_quota": 3,
            "phishing_detected": false,
        },
        "owner": {"id": "00000000000000000000000000000000", "type": "user"},
        "account": {"id": "00000000000000000000000000000000", "name": zone.account},
        "permissions": ["#dns_records:edit", "#dns_records:read", "#zone:read"],
    })
}
