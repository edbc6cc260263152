//! `/mcp`: where agents come in. Tokens and pages of other sites are treated as everywhere.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{MethodRouter, any};
use rmcp::ServerHandler;

use crate::app::App;
use crate::app::access::Reader;
use crate::mcp;

/// With this header a client asks to be allowed nothing but looking.
const READ_ONLY: &str = "x-mcp-readonly";

/// Serves each request by the handler that is made for its caller, who may want to be allowed no
/// more than looking.
pub fn mount<H>(
    app: &App,
    make: impl Fn(Reader, bool) -> H + Clone + Send + Sync + 'static,
) -> MethodRouter<Arc<App>>
where
    H: ServerHandler + Clone,
{
    let stopping = app.stopping();
    any(move |reader: Reader, request: Request| {
        let handler = make(reader, wants_read_only(request.headers()));
        let service = mcp::over_http(handler, stopping.child_token());
        async move { answered(service.handle(request).await) }
    })
}

fn answered<B>(response: axum::http::Response<B>) -> Response
where
    B: axum::body::HttpBody<Data = axum::body::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    response.map(Body::new)
}

fn wants_read_only(headers: &HeaderMap) -> bool {
    let value = headers.get(READ_ONLY).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| !matches!(value.trim(), "" | "0" | "false"))
}
