//! The REST API: the whole of it on one screen. Every handler decodes, calls one verb of the app,
//! and encodes.

pub mod apps;
pub mod auth;
pub mod dns;
pub mod docs;
pub mod error;
pub mod events;
pub mod guard;
pub mod jobs;
pub mod mcp;
pub mod openapi;
pub mod planning;
pub mod plugins;
pub mod providers;
pub mod removal;
pub mod request;
pub mod retry;
pub mod servers;
pub mod setup;
pub mod system;
pub mod tokens;

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::routing::MethodRouter;
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::warn;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::Error;
use crate::mcp::Gateway;

/// How long requests that run may go on when the host ends.
const GRACE: Duration = Duration::from_secs(10);

/// Every route.
fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(system::welcome))
        .routes(routes!(system::health))
        .routes(routes!(system::init))
        .routes(routes!(system::openapi_document))
        .routes(routes!(docs::docs))
        .routes(routes!(providers::configure_provider))
        .routes(routes!(dns::configure_cloudflare))
        .routes(routes!(jobs::list_jobs, removal::remove_jobs))
        .routes(routes!(jobs::show_job, jobs::cancel_job))
        .routes(routes!(retry::retry_job))
        .routes(routes!(jobs::job_logs))
        .routes(routes!(jobs::job_journal))
        .routes(routes!(events::job_events))
        .routes(routes!(events::all_events))
        .routes(routes!(servers::list_servers, servers::create_server))
        .routes(routes!(servers::show_server, servers::change_server, servers::delete_server))
        .routes(routes!(servers::exec_command))
        .routes(routes!(setup::setup_server))
        .routes(routes!(apps::list_catalogue))
        .routes(routes!(apps::list_installed, apps::install_app))
        .routes(routes!(apps::remove_app))
        .routes(routes!(providers::list_server_types))
        .routes(routes!(providers::list_locations))
        .routes(routes!(providers::list_images))
        .routes(routes!(plugins::list_plugins, plugins::add_plugin))
        .routes(routes!(plugins::show_plugin, plugins::remove_plugin))
        .routes(routes!(plugins::plugin_history))
        .routes(routes!(plugins::activate_plugin))
        .routes(routes!(plugins::roll_back_plugin))
        .routes(routes!(plugins::start_canary, plugins::end_canary))
        .routes(routes!(plugins::change_grants))
        .routes(routes!(tokens::list_tokens, tokens::create_token))
        .routes(routes!(tokens::revoke_token))
}

/// The API of this app, for a host that listens there.
///
/// # Errors
/// When the host's key is none.
pub fn router(app: Arc<App>, listen: SocketAddr) -> Result<Router, Error> {
    let gateway = Arc::new(Gateway::new(&app)?);
    let agents = mcp::mount(&app, move |reader, read_only| gateway.server(reader, read_only));
    Ok(router_with(app, listen, agents))
}

/// The same, with other things for agents.
pub fn router_with(app: Arc<App>, listen: SocketAddr, agents: MethodRouter<Arc<App>>) -> Router {
    Router::from(routes())
        .route("/mcp", agents)
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(middleware::from_fn_with_state(app.clone(), guard::refuse_while_stopping))
        .layer(middleware::from_fn_with_state(listen.ip(), guard::refuse_other_sites))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(middleware::from_fn(guard::observe))
        .with_state(app)
}

/// The API's description of itself.
pub fn document() -> &'static serde_json::Value {
    static DOCUMENT: LazyLock<serde_json::Value> =
        LazyLock::new(|| openapi::complete(&routes().into_openapi()));
    &DOCUMENT
}

/// Answers requests until `end`, then lets those that run come to their ends. Streams of events
/// end when the app is told to stop.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    end: CancellationToken,
) -> std::io::Result<()> {
    let router = router(app.clone(), listener.local_addr()?).map_err(std::io::Error::other)?;
    serve_router(router, app, listener, end).await
}

/// The same, with a router of one's own.
///
/// # Errors
/// When the listener fails.
pub async fn serve_router(
    router: Router,
    app: Arc<App>,
    listener: TcpListener,
    end: CancellationToken,
) -> std::io::Result<()> {
    let stopping = app.stopping();
    let ended = end.clone();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        ended.cancelled().await;
        stopping.cancel();
    });
    let out_of_patience = async {
        end.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = server.into_future() => served,
        () = out_of_patience => {
            warn!(grace_s = GRACE.as_secs(), "requests were cut off: they did not end in time");
            Ok(())
        }
    }
}
