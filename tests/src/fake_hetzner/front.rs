//! The way of every request: counted, harmed where that is wanted, let in by its token, answered
//! with the headers that the API puts on everything.

use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::answers::Refusal;
use super::connection::{Lines, Scissors};
use super::faults::{self, Harm};
use super::{Shared, catalogue, keys, servers};

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
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
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), receive))
        .with_state(shared)
        .into_make_service_with_connect_info::<Scissors>();
    // Ends only by being dropped.
    axum::serve(Lines(listener), app).await.unwrap();
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

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    mut request: Request,
    next: Next,
) -> Response {
    let name = format!("{} {}", request.method(), template(request.uri().path()));
    let (number, trouble) = {
        let mut project = shared.project();
        *project.requests.entry(name.clone()).or_default() += 1;
        (project.requests.values().sum::<usize>(), faults::take(&mut project.faults, &name))
    };
    let limit = shared.options.rate_limit;
    let mut answer = match &trouble {
        _ if number > limit => {
            Refusal::new(429, "rate_limit_exceeded", "limit of 3600 requests per hour reached")
                .into_response()
        }
        Some(trouble) if !trouble.works => Response::default(),
        _ => {
            request.extensions_mut().insert(trouble.clone());
            work(&shared, request, next).await
        }
    };
    if let Some(trouble) = trouble {
        match &trouble.harm {
            Harm::Cut => scissors.cut(),
            // Its sender is dropped with the fake.
            Harm::Silence => while shared.stopped.clone().changed().await.is_ok() {},
            harm => answer = faults::answer(harm).unwrap_or(answer),
        }
    }
    put_headers(answer.headers_mut(), number, limit);
    answer
}

/// Carries the request out to its end, even when the client goes away in the middle.
async fn work(shared: &Shared, request: Request, next: Next) -> Response {
    let (sender, receiver) = oneshot::channel();
    {
        let mut works = shared.works.lock().unwrap();
        while works.try_join_next().is_some() {}
        works.spawn(async move {
            // A client that is gone takes no answer.
            drop(sender.send(next.run(request).await));
        });
    }
    receiver.await.unwrap_or_else(|_stopped| Response::default())
}

fn put_headers(headers: &mut HeaderMap, number: usize, limit: usize) {
    let remaining = limit.saturating_sub(number);
    let reset = jiff::Timestamp::now().as_second() + i64::try_from(limit - remaining).unwrap();
    for (name, value) in [
        ("ratelimit-limit", limit.to_string()),
        ("ratelimit-remaining", remaining.to_string()),
        ("ratelimit-reset", reset.to_string()),
        ("x-correlation-id", format!("fake{number:012x}")),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
}

/// The path with `{id}` for ids, and without the API's version.
fn template(path: &str) -> String {
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let is_id = |segment: &str| !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit());
    let segments = path.split('/').map(|segment| if is_id(segment) { "{id}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}
