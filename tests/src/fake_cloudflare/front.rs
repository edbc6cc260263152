//! The fake's door: who is let in, and to what.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::answers::Refusal;
use super::{Options, Shared, records, zones};
use crate::fake_cloud::{Manners, Reception};

/// What the API does differently from others.
pub(super) fn manners(rate_limit: usize) -> Manners {
    Manners {
        root: "/client/v4",
        rate_limit,
        refuse: |status, code, message| {
            Refusal::new(status, code.parse().unwrap(), message).into_response()
        },
        limited: || Refusal::new(429, 10100, "rate limit reached").into_response(),
        headers: put_headers,
    }
}

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, reception: Arc<Reception>) {
    let one = get(records::show).put(records::replace).delete(records::delete);
    let api = Router::new()
        .route("/user/tokens/verify", get(zones::verify))
        .route("/zones", get(zones::list))
        .route("/zones/{zone}", get(zones::show))
        .route("/zones/{zone}/dns_records", get(records::list).post(records::create))
        .route("/zones/{zone}/dns_records/{id}", one)
        .route_layer(middleware::from_fn_with_state(Arc::clone(&shared), let_in));
    let app = Router::new()
        .nest("/client/v4", api)
        .fallback(|| async { Refusal::no_such_path() })
        .with_state(shared);
    crate::fake_cloud::serve(listener, app, reception).await;
}

/// Refuses requests without good credentials, in the API's words.
async fn let_in(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    match check(&shared.options, request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn check(options: &Options, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let malformed =
        |cause: (u32, &str)| Refusal::chained(400, (6003, "Invalid request headers"), cause);
    if let Some(token) = text("authorization").and_then(|text| text.strip_prefix("Bearer ")) {
        return match token {
            _ if token == options.token => Ok(()),
            _ if token == options.read_only_token && method == Method::GET => Ok(()),
            _ if token == options.read_only_token => {
                Err(Refusal::new(403, 10000, "Authentication error"))
            }
            _ if token.len() == 40 => Err(Refusal::new(403, 9109, "Invalid access token")),
            _ => Err(malformed((6111, "Invalid format for Authorization header"))),
        };
    }
    match (text("x-auth-email"), text("x-auth-key")) {
        (Some(email), Some(key)) if email == options.email && key == options.key => Ok(()),
        (_, Some(key)) if key.len() != 37 || !key.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Err(malformed((6103, "Invalid format for X-Auth-Key header")))
        }
        (Some(_), Some(_)) => Err(Refusal::new(403, 9103, "Unknown X-Auth-Key or X-Auth-Email")),
        _ => Err(Refusal::new(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization")),
    }
}

fn put_headers(headers: &mut HeaderMap, number: usize, limit: usize) {
    let left = limit.saturating_sub(number);
    headers.insert("ratelimit", format!("\"default\";r={left};t=240").parse().unwrap());
    headers.insert("ratelimit-policy", "\"default\";q=1200;w=300".parse().unwrap());
    headers.insert("cf-ray", format!("fake{number:012x}-TST").parse().unwrap());
}
