//! What every request passes first: an id and a log line, the refusal of other sites' pages, and
//! of everybody while the host ends.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::{Instrument, debug, info_span};

use crate::app::App;
use crate::error::Error;
use crate::http::error::Problem;

/// The header that tells one request from others, in logs on both sides.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives the request an id unless it brings one, and logs it without anything that could be secret.
pub(super) async fn observe(request: Request, next: Next) -> Response {
    let id = request.headers().get(&REQUEST_ID).filter(|id| is_short_text(id)).cloned();
    let id = id.unwrap_or_else(new_id);
    let span = info_span!(
        "request",
        request.id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        path = request.uri().path(),
    );
    let began = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| debug!(status = response.status().as_u16(), elapsed_ms, "answered"));
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Refuses what a web page of another site sends from its reader's browser. A host that listens
/// on this machine alone takes only names of this machine, so that no foreign name can be pointed
/// here.
pub(super) async fn refuse_other_sites(
    State(listen): State<IpAddr>,
    request: Request,
    next: Next,
) -> Response {
    match foreign(listen, request.headers(), request.uri()) {
        Some(why) => Problem::other_site(why).into_response(),
        None => next.run(request).await,
    }
}

/// Refuses everything once the host is about to end.
pub(super) async fn refuse_while_stopping(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    if app.stopping().is_cancelled() {
        return Problem::from(Error::shutting_down()).into_response();
    }
    next.run(request).await
}

fn foreign(listen: IpAddr, headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(Authority::as_str)).unwrap_or_default();
    if listen.is_loopback() && !host.is_empty() && !names_this_machine(host) {
        let shown: String = host.chars().take(100).collect();
        return Some(format!("This host is `localhost`, not `{}`.", shown.escape_debug()));
    }
    let origin = headers.get(header::ORIGIN)?;
    let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    let from = origin.as_ref().and_then(Uri::authority).map(Authority::as_str);
    if from.is_some_and(|from| from.eq_ignore_ascii_case(host)) {
        return None;
    }
    Some("This host takes no requests from pages of other sites.".to_owned())
}

fn names_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_short_text(id: &HeaderValue) -> bool {
    (1..=64).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

fn new_id() -> HeaderValue {
    let text = format!("{:032x}", rand::random::<u128>());
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("none"))
}
