//! Why something cannot be done with an app, in words.

use serde_json::json;

use crate::app::plan::fence;
use crate::error::{Error, ErrorKind};
use crate::model::app::{AppRecord, AppStatus};
use crate::model::names::{AppName, JobId, ServerName};
use crate::storage::Submitted;

/// What the store said against a job about an app.
pub(in crate::app) fn about_apps(server: &ServerName, refused: Submitted) -> Error {
    match refused {
        Submitted::AppBusy(record) => busy(&record),
        Submitted::ServerHasApps(names) => has_apps(server, &names),
        Submitted::ServerProtected(names) => protected(server, &names),
        Submitted::AppRequired(by) => required(server, &by),
        Submitted::AppMissing(name) => {
            let message = format!(
                "`{name}`, which this app needs, was taken away from `{server}` meanwhile; try \
                 again."
            );
            Error::new(ErrorKind::Conflict, "app_missing", message)
        }
        Submitted::NoSuchApp => {
            let message = format!("There is no such app on `{server}`.");
            Error::new(ErrorKind::NotFound, "no_such_app", message)
                .with_next(format!("GET /api/servers/{server}/apps"))
        }
        Submitted::Outdated => fence::outdated(),
        other => Error::internal(format!("the store answered {other:?} about an app")),
    }
}

/// Their data would go with the server.
fn has_apps(server: &ServerName, names: &[String]) -> Error {
    let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let message = format!(
        "Apps hold data on `{server}`: {}. Remove them first, or say `force` to lose all of it with \
         the server.",
        listed.join(", ")
    );
    Error::new(ErrorKind::Conflict, "server_has_apps", message)
        .with_detail("apps", json!(names))
        .with_next(format!("DELETE /api/servers/{server}?force=true"))
        .with_next(format!("windlass server delete {server} --force"))
}

/// It stays until a person says that it need not.
pub(in crate::app) fn protected(server: &ServerName, names: &[String]) -> Error {
    let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let apps = match listed.as_slice() {
        [] => String::new(),
        listed => format!(" Apps are on it: {}.", listed.join(", ")),
    };
    let message = format!(
        "`{server}` is protected against being deleted.{apps} Only a person can change that: \
         `windlass server protect {server} off`."
    );
    Error::new(ErrorKind::Conflict, "deletion_protected", message)
        .with_detail("apps", json!(names))
        .with_next(format!("PATCH /api/servers/{server}"))
        .with_next(format!("windlass server protect {server} off"))
}

/// A job changes it already.
pub(super) fn busy(record: &AppRecord) -> Error {
    let AppRecord { app_name, server, job_id, .. } = record;
    let what = match record.status {
        AppStatus::Removing => "is being removed from",
        AppStatus::Deploying | AppStatus::Running | AppStatus::Error => "is being deployed on",
    };
    let message = format!(
        "`{app_name}` {what} `{server}` by the job {job_id}: wait for its end, or cancel it."
    );
    Error::new(ErrorKind::Conflict, "app_busy", message)
        .with_detail("job_id", job_id.as_str())
        .with_next(format!("GET /api/jobs/{job_id}"))
        .with_next(format!("DELETE /api/jobs/{job_id}"))
        .with_next(format!("windlass job watch {job_id}"))
}

/// It is not on that server.
pub(super) fn absent(server: &ServerName, name: &AppName) -> Error {
    let message = format!("There is no app `{name}` on `{server}`.");
    Error::new(ErrorKind::NotFound, "no_such_app", message)
        .with_next(format!("GET /api/servers/{server}/apps"))
        .with_next(format!("windlass app installed {server}"))
}

/// Others need it.
fn required(server: &ServerName, by: &[AppName]) -> Error {
    let names: Vec<&str> = by.iter().map(AppName::as_str).collect();
    let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let message =
        format!("It is needed on `{server}` by {}: remove that first.", listed.join(", "));
    let mut error = Error::new(ErrorKind::Conflict, "app_required_by", message)
        .with_detail("required_by", json!(names));
    for name in names {
        error = error.with_next(format!("DELETE /api/servers/{server}/apps/{name}"));
    }
    error
}

/// The server was not made ready for apps.
pub(super) fn not_ready(server: &ServerName) -> Error {
    let message = format!(
        "The server `{server}` is not ready for apps: set it up first, with an e-mail address for \
         its certificates and, for apps with names, a zone."
    );
    Error::new(ErrorKind::Conflict, "server_not_ready", message)
        .with_next(format!("POST /api/servers/{server}/setup"))
        .with_next(format!("windlass server setup {server} --email you@example.com"))
}

/// The recipe that could take it away is nowhere.
pub(super) fn recipe_gone(record: &AppRecord) -> Error {
    let AppRecord { app_name, plugin, .. } = record;
    let message = format!(
        "`{app_name}` was deployed with {} {} ({}), which this host does not have any more, and \
         nothing else provides it: install that plugin again.",
        plugin.name, plugin.version, plugin.digest
    );
    Error::new(ErrorKind::Conflict, "no_plugin", message).with_next("GET /api/plugins")
}

/// Others change the same apps all the time.
pub(super) fn changing(server: &ServerName) -> Error {
    let message =
        format!("The apps of `{server}` were changed by others meanwhile, again and again.");
    Error::new(ErrorKind::Conflict, "server_busy", message)
        .with_next(format!("GET /api/jobs?server={server}"))
}

/// Somebody who cannot wait for this job.
pub(super) fn being_removed(name: &AppName, needed: &AppName, job: &JobId) -> Error {
    let message =
        format!("`{name}` needs `{needed}`, which the job {job} is taking away: wait for its end.");
    Error::new(ErrorKind::Conflict, "app_busy", message)
        .with_detail("job_id", job.as_str())
        .with_next(format!("GET /api/jobs/{job}"))
}
