//! The paths of the API, and who is let in.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::answers::Refusal;
use super::{Shared, actions, catalogue, droplets, keys, tags};
use crate::fake_cloud::{self, Manners, Reception, bearer, put_limit};

/// How DigitalOcean treats requests.
pub(super) fn manners(rate_limit: usize) -> Manners {
    Manners {
        root: "/v2",
        rate_limit,
        refuse: |status, id, message| Refusal::new(status, id, message).into_response(),
        limited: || {
            Refusal::new(429, "too_many_requests", "API rate limit exceeded.").into_response()
        },
        headers: |headers, number, limit| put_limit(headers, "x-request-id", number, limit),
    }
}

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, reception: Arc<Reception>) {
    let api = Router::new()
        .route("/account", get(account))
        .route("/account/keys", get(keys::list).post(keys::create))
        .route("/account/keys/{identifier}", get(keys::show).delete(keys::delete))
        .route("/actions/{id}", get(actions::show))
        .route("/droplets", get(droplets::list).post(droplets::create).delete(droplets::delete_all))
        .route("/droplets/{id}", get(droplets::show).delete(droplets::delete))
        .route("/droplets/{id}/actions", get(actions::list_of))
        .route("/tags/{tag}", get(tags::show).delete(tags::delete))
        .route("/sizes", get(catalogue::sizes))
        .route("/regions", get(catalogue::regions))
        .route("/images", get(catalogue::images))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&shared), let_in));
    let app = Router::new()
        .nest("/v2", api)
        .fallback(|| async { Refusal::not_found() })
        .with_state(shared);
    fake_cloud::serve(listener, app, reception).await;
}

/// Refuses requests without a good token.
async fn let_in(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let refusal = match bearer(request.headers()) {
        Some(token) if token == shared.options.token => return next.run(request).await,
        Some(token) if token == shared.options.read_only_token() => {
            if request.method() == Method::GET {
                return next.run(request).await;
            }
            let message = "You are not authorized to perform this operation";
            Refusal::new(403, "forbidden", message)
        }
        _ => Refusal::new(401, "unauthorized", "Unable to authenticate you"),
    };
    refusal.into_response()
}

async fn account(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({"account": {
        "droplet_limit": shared.options.droplet_limit,
        "floating_ip_limit": 5,
        "volume_limit": 10,
        "email": "sammy@example.com",
        "name": "Sammy the Shark",
        "uuid": "b6fr89dbf6d9156cace5f3c78dc9851d957381ef",
        "email_verified": true,
        "status": shared.options.account_status,
        "status_message": if shared.options.account_status == "locked" { "pay first" } else { "" },
        "team": {"uuid": "5df3e3004a17e242b7c20ca6c9fc25b701a47ece", "name": "My Team"},
    }}))
}
