//! `/api/apps` and `/api/servers/{name}/apps`: what can be installed, and what is.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::app::access::Reader;
use crate::app::apps::live::{InstalledApp, LiveStatus};
use crate::app::apps::{CatalogueApp, CatalogueQuery, Installation, WantedApp};
use crate::app::plan::Plan;
use crate::app::plan::intended::Intended;
use crate::http::error::{ErrorBody, Problem};
use crate::http::jobs::JobAccepted;
use crate::http::planning::{Answered, PlanQuery, Planner};
use crate::http::request::{BothInPath, InPath, InQuery, JsonBody, Key};
use crate::model::app::AppStatus;
use crate::model::job::{JobStatus, PluginPin};
use crate::model::names::{AppName, JobId, ServerName};

/// Which apps to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AppsQuery {
    /// Only those of this category.
    #[param(example = "database")]
    category: Option<String>,
    /// Only those with these words in their name, title, description or category.
    #[param(example = "workflow")]
    q: Option<String>,
}

/// What can be installed.
#[derive(Serialize, ToSchema)]
pub(super) struct CatalogueBody {
    /// By name.
    apps: Vec<CatalogueApp>,
}

/// An app that somebody wants.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "app_name": "n8n", "config": { "timezone": "Europe/Berlin" } }))]
pub(super) struct InstallApp {
    /// See `/api/apps`.
    #[schema(example = "n8n")]
    app_name: String,
    /// As the app's `params` say. Without any: that of before, or the defaults. A secret in it that
    /// is left out stays what it was.
    #[schema(value_type = Option<Object>)]
    config: Option<Value>,
}

/// A job that deploys an app was made.
#[derive(Serialize, ToSchema)]
pub(super) struct InstallAccepted {
    /// Its id.
    #[schema(value_type = String, example = "job_20250110_150000_a1b2c3")]
    job_id: JobId,
    /// Always `queued`: it may run by the time that this is read.
    status: JobStatus,
    /// What was begun.
    #[schema(example = "App deployment started")]
    message: &'static str,
    /// Where to look.
    #[schema(example = "/api/jobs/job_20250110_150000_a1b2c3")]
    check_status: String,
    /// The jobs that it waits for: those of apps that it needs, or of the server's setup.
    #[schema(value_type = Vec<String>)]
    depends_on: Vec<JobId>,
    /// Whether the same was asked for before, and this is that job.
    deduplicated: bool,
    /// What may go wrong.
    warnings: Vec<String>,
}

/// What is installed on a server.
#[derive(Serialize, ToSchema)]
pub(super) struct InstalledBody {
    /// By name.
    apps: Vec<InstalledAppBody>,
}

/// An app on a server.
#[derive(Serialize, ToSchema)]
pub(super) struct InstalledAppBody {
    #[schema(value_type = String, example = "n8n")]
    app_name: AppName,
    #[schema(example = "n8n")]
    title: String,
    #[schema(example = "1.0.0")]
    version: String,
    #[schema(example = "automation")]
    category: String,
    /// What the server really runs; `unknown` when it does not say.
    status: LiveStatus,
    /// How it stands as far as jobs know.
    recorded_status: AppStatus,
    /// What is wrong with it, or why nobody knows.
    problem: Option<String>,
    /// When the server was asked, if it answered.
    #[schema(value_type = Option<String>, format = DateTime)]
    checked_at: Option<Timestamp>,
    /// Where it is to be reached.
    #[schema(example = "https://edt.example.com")]
    url: Option<String>,
    /// All such places.
    urls: Vec<String>,
    /// What its users should know.
    notes: Vec<String>,
    /// What it was configured with; secrets as references.
    #[schema(value_type = Object)]
    config: Value,
    /// The apps that it needs.
    #[schema(value_type = Vec<String>)]
    dependencies: Vec<AppName>,
    /// When it was last deployed to the end.
    #[schema(value_type = Option<String>, format = DateTime)]
    deployed_at: Option<Timestamp>,
    /// The newest job that changes it.
    #[schema(value_type = String, example = "job_20250110_150000_a1b2c3")]
    job_id: JobId,
    /// What it was deployed with.
    plugin: PluginPin,
}

/// How an app is removed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RemoveQuery {
    /// Whether its volumes, databases and secrets go too. Nothing brings them back.
    #[param(default = false)]
    delete_data: Option<bool>,
    /// Whether to tell only what would be done: the answer is a plan (200), and nothing happens.
    #[param(default = false)]
    plan: Option<bool>,
    /// The `plan_hash` of a plan: the job starts only if it would still do just that.
    #[param(example = "3f1c0d9be27a4c51")]
    if_plan: Option<String>,
}

/// Lists the apps that can be installed.
#[utoipa::path(get, path = "/api/apps", tag = "apps", security(("token" = [])),
    params(AppsQuery),
    responses((status = 200, description = "The apps, by name", body = CatalogueBody)))]
pub(super) async fn list_catalogue(
    reader: Reader,
    InQuery(query): InQuery<AppsQuery>,
) -> Json<CatalogueBody> {
    let query = CatalogueQuery { category: query.category, text: query.q };
    Json(CatalogueBody { apps: reader.app_catalogue(&query) })
}

/// Makes a job that deploys an app, and jobs for what it needs and is not there.
#[utoipa::path(post, path = "/api/servers/{name}/apps", tag = "apps", security(("token" = [])),
    params(("name" = String, Path, description = "The server", example = "prod-01"), PlanQuery,
        ("Idempotency-Key" = Option<String>, Header, max_length = 255,
            description = "The same key with the same body is the same job, for 24 h")),
    request_body = InstallApp,
    responses((status = 202, description = "The jobs are on disk", body = InstallAccepted),
        (status = 200, description = "With `plan=true`: nothing was done", body = Plan),
        (status = 409, description = "`plan_changed`; `server_not_ready`: set it up first; `server_busy`; \
            `app_busy`: another job changes the app, or one that it needs; `name_taken`; \
            `no_plugin`: nothing provides an app that it needs", body = ErrorBody),
        (status = 422, description = "The app or its configuration is wrong, and \
            `details.fields` says where; `dependency_cycle`; `not_enough_memory`",
            body = ErrorBody)))]
pub(super) async fn install_app(
    planner: Planner,
    InPath(server): InPath<ServerName>,
    InQuery(query): InQuery<PlanQuery>,
    JsonBody { value, key }: JsonBody<InstallApp>,
) -> Result<Response, Problem> {
    let wanted = WantedApp { name: value.app_name, config: value.config };
    let intended = Intended::InstallApp(server, wanted);
    Ok(match planner.answer(query, &intended, key).await? {
        Answered::Told(plan) => plan,
        Answered::Begun(begun) => {
            (StatusCode::ACCEPTED, Json(InstallAccepted::from(begun))).into_response()
        }
    })
}

/// Lists the apps of a server, with what it really runs of them.
#[utoipa::path(get, path = "/api/servers/{name}/apps", tag = "apps", security(("token" = [])),
    params(("name" = String, Path, description = "The server", example = "prod-01")),
    responses((status = 200, description = "The apps, by name", body = InstalledBody)))]
pub(super) async fn list_installed(
    reader: Reader,
    InPath(server): InPath<ServerName>,
) -> Result<Json<InstalledBody>, Problem> {
    let apps = reader.installed_apps(&server).await?;
    Ok(Json(InstalledBody { apps: apps.into_iter().map(InstalledAppBody::from).collect() }))
}

/// Makes a job that takes an app away.
#[utoipa::path(delete, path = "/api/servers/{name}/apps/{app_name}", tag = "apps",
    security(("token" = [])),
    params(("name" = String, Path, description = "The server", example = "prod-01"),
        ("app_name" = String, Path, description = "The app", example = "n8n"), RemoveQuery,
        ("Idempotency-Key" = Option<String>, Header, max_length = 255,
            description = "The same key for the same app is the same job, for 24 h")),
    responses((status = 202, description = "The job is on disk", body = JobAccepted),
        (status = 200, description = "With `plan=true`: nothing was done", body = Plan),
        (status = 409, description = "`plan_changed`; `app_required_by`: `details.required_by` names the apps \
            that need it; `app_busy`: a job changes it; `server_busy`; `no_plugin`",
            body = ErrorBody)))]
pub(super) async fn remove_app(
    planner: Planner,
    BothInPath(server, app): BothInPath<ServerName, AppName>,
    InQuery(query): InQuery<RemoveQuery>,
    Key(key): Key,
) -> Result<Response, Problem> {
    let delete_data = query.delete_data.unwrap_or(false);
    let intended = Intended::RemoveApp { server, app, delete_data };
    let query = PlanQuery { plan: query.plan, if_plan: query.if_plan };
    planner.one_job(query, &intended, key, "App removal started").await
}

impl From<Installation> for InstallAccepted {
    fn from(installation: Installation) -> Self {
        let Installation { job, depends_on, deduplicated, warnings } = installation;
        Self {
            check_status: format!("/api/jobs/{job}"),
            job_id: job,
            status: JobStatus::Queued,
            message: "App deployment started",
            depends_on,
            deduplicated,
            warnings,
        }
    }
}

impl From<InstalledApp> for InstalledAppBody {
    fn from(app: InstalledApp) -> Self {
        let InstalledApp { record, status, problem, checked_at } = app;
        Self {
            app_name: record.app_name,
            title: record.title,
            version: record.version,
            category: record.category,
            status,
            recorded_status: record.status,
            problem,
            checked_at,
            url: record.urls.first().cloned(),
            urls: record.urls,
            notes: record.notes,
            config: record.config,
            dependencies: record.dependencies,
            deployed_at: record.deployed_at,
            job_id: record.job_id,
            plugin: record.plugin,
        }
    }
}
