//! The paths of the API, and who is let in.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::answers::Refusal;
use super::{Shared, catalogue, keys, servers};
use crate::fake_cloud::{self, Manners, Reception, bearer, put_limit};

/// How Hetzner treats requests.
pub(super) fn manners(rate_limit: usize) -> Manners {
    Manners {
        root: "/v1",
        rate_limit,
        refuse: |status, code, message| Refusal::new(status, code, message).into_response(),
        limited: || {
            let message = "limit of 3600 requests per hour reached";
            Refusal::new(429, "rate_limit_exceeded", message).into_response()
        },
        headers: |headers, number, limit| put_limit(headers, "x-correlation-id", number, limit),
    }
}

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, reception: Arc<Reception>) {
    let api = Router::new()
        .route("/servers", get(servers::list).post(servers::create))
        .route("/servers/{id}", get(servers::show).delete(servers::delete))
        .route("/servers/{id}/actions", get(servers::list_actions_of))
        .route("/actions", get(servers::list_actions))
        .route("/actions/{id}", get(servers::show_action))
        .route("/ssh_keys", get(keys::list).post(keys::create))
        .route("/ssh_keys/{id}", get(keys::show).delete(keys::delete))
        .route("/server_types", get(catalogue::server_types))
        .route("/locations", get(catalogue::locations))
        .route("/images", get(catalogue::images))
        .route("/pricing", get(catalogue::pricing))
        .method_not_allowed_fallback(|| async {
            Refusal::new(405, "method_not_allowed", "method not allowed")
        })
        .route_layer(middleware::from_fn_with_state(Arc::clone(&shared), let_in));
    let app = Router::new()
        .nest("/v1", api)
        .fallback(|| async { Refusal::new(404, "not_found", "not found") })
        .with_state(shared);
    fake_cloud::serve(listener, app, reception).await;
}

/// Refuses requests without a good token. Only known paths ask for one.
async fn let_in(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let token = bearer(request.headers());
    let refusal = match token {
        None => Refusal::new(401, "unauthorized", "token is required"),
        Some(token) if token == shared.options.token => return next.run(request).await,
        Some(token) if token == shared.options.read_only_token() => {
            if request.method() == Method::GET {
                return next.run(request).await;
            }
            Refusal::new(401, "token_readonly", "token is only allowed to perform GET requests")
        }
        Some(_) => Refusal::new(401, "unauthorized", "the token you have provided is invalid"),
    };
    refusal.into_response()
}
