//! `/api/servers`: ordering servers, looking at them, running a command on one, deleting them.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::access::{Admin, Operator, Reader};
use crate::app::plan::Plan;
use crate::app::plan::intended::Intended;
use crate::app::servers::{Deletion, WantedCommand, WantedServer};
use crate::error::{Error, FieldError};
use crate::http::error::{ErrorBody, Problem};
use crate::http::jobs::JobAccepted;
use crate::http::planning::{PlanQuery, Planner};
use crate::http::request::{InPath, InQuery, JsonBody, Key};
use crate::model::names::{ProviderKind, ServerName};
use crate::model::server::{AppsOnIt, Protection, Server};

/// A server that somebody wants.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateServer {
    /// 1 to 63 of a-z, 0-9 and -, with no dash at an end.
    #[schema(example = "prod-01", min_length = 1, max_length = 63)]
    name: String,
    /// See `/api/providers/server-types`.
    #[schema(example = "cx23")]
    server_type: String,
    /// See `/api/providers/locations`.
    #[schema(example = "nbg1")]
    region: String,
    /// See `/api/providers/images`.
    #[serde(default = "debian")]
    #[schema(default = "debian-12")]
    image: String,
    /// Where; the default provider when not said.
    provider: Option<ProviderKind>,
    /// The provider's ids of further keys that may log in.
    #[serde(default)]
    ssh_keys: Vec<String>,
    /// Whether what was made stays when making the server fails.
    #[serde(default)]
    keep_on_failure: bool,
}

fn debian() -> String {
    "debian-12".to_owned()
}

/// A command for a server.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExecCommand {
    /// A line for the server's shell. It stands in the audit log: what is secret goes to `stdin`.
    #[schema(example = "docker ps -a")]
    command: String,
    /// How long it may run, in seconds.
    #[serde(default = "half_a_minute")]
    #[schema(default = 30, minimum = 1, maximum = 300)]
    timeout: u64,
    /// What it reads on its standard input.
    stdin: Option<String>,
}

const fn half_a_minute() -> u64 {
    30
}

/// How a server is deleted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeleteQuery {
    /// Whether its DNS records stay.
    #[param(default = false)]
    keep_dns: Option<bool>,
    /// Whether it goes although apps hold data on it, or although its provider knows nothing of it,
    /// not even its SSH key, as when the token is of another project. Past apps it needs the scope
    /// `admin`, unless the server's protection is `off`.
    #[param(default = false)]
    force: Option<bool>,
    /// Whether to tell only what would be done: the answer is a plan (200), and nothing happens.
    #[param(default = false)]
    plan: Option<bool>,
    /// The `plan_hash` of a plan: the job starts only if it would still do just that.
    #[param(example = "3f1c0d9be27a4c51")]
    if_plan: Option<String>,
}

impl From<DeleteQuery> for PlanQuery {
    fn from(query: DeleteQuery) -> Self {
        Self { plan: query.plan, if_plan: query.if_plan }
    }
}

/// What is to be said of a server.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeServer {
    /// `automatic`: agents cannot destroy it while apps are on it; `on`: nobody can delete it;
    /// `off`: agents can as soon as a person confirms it.
    deletion_protection: Protection,
}

/// All servers.
#[derive(Serialize, ToSchema)]
pub(super) struct ServersBody {
    /// By name.
    servers: BTreeMap<String, Server>,
}

/// What a command did.
#[derive(Serialize, ToSchema)]
pub(super) struct ExecBody {
    /// Whether its exit code is 0.
    success: bool,
    /// 0 to 255; 128 + N when signal N ended it.
    exit_code: i32,
    /// At most 1 MiB.
    stdout: String,
    /// At most 1 MiB.
    stderr: String,
    /// Whether either was longer.
    truncated: bool,
    /// From start to end on the server.
    duration_ms: u64,
}

/// Makes a job that creates a server.
#[utoipa::path(post, path = "/api/servers", tag = "servers", security(("token" = [])),
    request_body = CreateServer,
    params(PlanQuery, ("Idempotency-Key" = Option<String>, Header, max_length = 255,
        description = "The same key with the same body is the same job, for 24 h")),
    responses((status = 202, description = "The job is on disk", body = JobAccepted),
        (status = 200, description = "With `plan=true`: nothing was done", body = Plan),
        (status = 409, description = "`server_exists`, `provider_not_configured`, or \
            `plan_changed`", body = ErrorBody),
        (status = 429, description = "The provider limits its callers", body = ErrorBody),
        (status = 502, description = "The provider does not say what it offers", body = ErrorBody),
        (status = 504, description = "The provider takes too long", body = ErrorBody)))]
pub(super) async fn create_server(
    planner: Planner,
    InQuery(query): InQuery<PlanQuery>,
    JsonBody { value, key }: JsonBody<CreateServer>,
) -> Result<Response, Problem> {
    let name = value.name.parse().map_err(|why| Error::invalid_name("/name", &why))?;
    let wanted = WantedServer {
        name,
        server_type: value.server_type,
        region: value.region,
        image: value.image,
        provider: value.provider,
        ssh_keys: value.ssh_keys,
        keep_on_failure: value.keep_on_failure,
    };
    let intended = Intended::CreateServer(wanted);
    planner.one_job(query, &intended, key, "Server creation started").await
}

/// Lists all servers.
#[utoipa::path(get, path = "/api/servers", tag = "servers", security(("token" = [])),
    responses((status = 200, description = "All servers, by name", body = ServersBody)))]
pub(super) async fn list_servers(reader: Reader) -> Result<Json<ServersBody>, Problem> {
    let servers = reader.servers().await?;
    let servers = servers.into_iter().map(|server| (server.name.to_string(), server)).collect();
    Ok(Json(ServersBody { servers }))
}

/// Shows a server.
#[utoipa::path(get, path = "/api/servers/{name}", tag = "servers", security(("token" = [])),
    params(("name" = String, Path, description = "The server", example = "prod-01")),
    responses((status = 200, description = "Its record", body = Server)))]
pub(super) async fn show_server(
    reader: Reader,
    InPath(name): InPath<ServerName>,
) -> Result<Json<Server>, Problem> {
    Ok(Json(reader.server(&name).await?))
}

/// Says whether a server is protected against being deleted. It needs the scope `admin`, which an
/// agent's token has not.
#[utoipa::path(patch, path = "/api/servers/{name}", tag = "servers", security(("token" = [])),
    params(("name" = String, Path, description = "The server", example = "prod-01")),
    request_body = ChangeServer,
    responses((status = 200, description = "Its record", body = Server)))]
pub(super) async fn change_server(
    admin: Admin,
    InPath(name): InPath<ServerName>,
    JsonBody { value, key: _ }: JsonBody<ChangeServer>,
) -> Result<Json<Server>, Problem> {
    Ok(Json(admin.protect_server(&name, value.deletion_protection).await?))
}

/// Makes a job that deletes a server.
#[utoipa::path(delete, path = "/api/servers/{name}", tag = "servers", security(("token" = [])),
    params(("name" = String, Path, description = "The server", example = "prod-01"), DeleteQuery,
        ("Idempotency-Key" = Option<String>, Header, max_length = 255,
            description = "The same key for the same server is the same job, for 24 h")),
    responses((status = 202, description = "The job is on disk", body = JobAccepted),
        (status = 200, description = "With `plan=true`: nothing was done", body = Plan),
        (status = 409, description = "`server_busy`: it is being deleted already; \
            `plan_changed`; `server_has_apps`: their data would be lost; `deletion_protected`: somebody said that \
            it shall stay",
            body = ErrorBody)))]
pub(super) async fn delete_server(
    planner: Planner,
    InPath(name): InPath<ServerName>,
    InQuery(query): InQuery<DeleteQuery>,
    Key(key): Key,
) -> Result<Response, Problem> {
    let force = query.force.unwrap_or(false);
    // Who may not lift a protection does not get past it either.
    let apps = match (force, planner.is_admin) {
        (false, _) => AppsOnIt::Refuse,
        (true, true) => AppsOnIt::Lose,
        (true, false) => AppsOnIt::LoseUnprotected,
    };
    let how = Deletion { keep_dns: query.keep_dns.unwrap_or(false), apps, force };
    let (plan, intended) = (PlanQuery::from(query), Intended::DeleteServer(name, how));
    planner.one_job(plan, &intended, key, "Server deletion started").await
}

/// Runs a command on a server and waits for its end.
#[utoipa::path(post, path = "/api/servers/{name}/exec", tag = "servers", security(("token" = [])),
    params(("name" = String, Path, description = "The server", example = "prod-01")),
    request_body = ExecCommand,
    responses((status = 200, description = "It ran, whatever its exit code", body = ExecBody),
        (status = 409, description = "`server_busy`: it is still being created", body = ErrorBody),
        (status = 502, description = "`ssh_unreachable`: the server does not answer",
            body = ErrorBody),
        (status = 504, description = "`command_timeout`: it is dead; `details` has its output",
            body = ErrorBody)))]
pub(super) async fn exec_command(
    operator: Operator,
    InPath(name): InPath<ServerName>,
    JsonBody { value, key: _ }: JsonBody<ExecCommand>,
) -> Result<Json<ExecBody>, Problem> {
    let output = operator.exec(&name, wanted_command(value)?).await?;
    Ok(Json(ExecBody {
        success: output.exit_code == 0,
        exit_code: output.exit_code,
        stdout: output.stdout,
        stderr: output.stderr,
        truncated: output.truncated,
        duration_ms: output.duration_ms,
    }))
}

fn wanted_command(asked: ExecCommand) -> Result<WantedCommand, Error> {
    let mut wrong = Vec::new();
    let mut field = |pointer: &str, message: &str| {
        wrong.push(FieldError { pointer: pointer.to_owned(), message: message.to_owned() });
    };
    if asked.command.trim().is_empty() || asked.command.contains('\0') {
        field("/command", "A command is a line for the shell, without NUL.");
    }
    if !(1..=300).contains(&asked.timeout) {
        field("/timeout", "The timeout is 1 to 300 seconds.");
    }
    if !wrong.is_empty() {
        return Err(Error::invalid_fields(&wrong));
    }
    let timeout = Duration::from_secs(asked.timeout);
    Ok(WantedCommand { line: asked.command, stdin: asked.stdin, timeout })
}
