//! The fixture on a door that our host does not have: one that keeps sessions, which the older
//! revision's questions to the client need. Beside it stands what our own door can do.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::routing::{MethodRouter, any};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;
use windlass::app::App;
use windlass::app::access::Reader;

use super::Fixture;

/// Where agents come in: with tokens as everywhere, and with sessions.
pub(super) fn mount(fixture: Fixture, ending: CancellationToken) -> MethodRouter<Arc<App>> {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(true)
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_cancellation_token(ending);
    let make = move || Ok(fixture.clone());
    let service = StreamableHttpService::new(make, Arc::<LocalSessionManager>::default(), config);
    any(move |_: Reader, request: Request| {
        let service = service.clone();
        async move { service.handle(request).await.map(Body::new) }
    })
}
