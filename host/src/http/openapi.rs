//! The API's description: generated from the handlers, completed with the answers that all of them
//! share.

use serde_json::{Value, json};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa::{PartialSchema, ToSchema};

use crate::http::error::ErrorBody;

/// What holds for the API as a whole.
pub(super) fn base() -> OpenApi {
    let about = InfoBuilder::new()
        .title("Windlass")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Durable jobs on servers. Long work answers 202 at once with a job; watch it at \
             `/api/jobs/{job_id}` or as a stream at `/api/jobs/{job_id}/events`. Times are RFC \
             3339 in UTC. Unknown fields are an error. Every error has the same shape.",
        ))
        .build();
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "A token with the scope read (GET), operate (jobs and servers) or admin (all). The \
             first one is in the file `token` of the host's home.",
        ))
        .build();
    let components = ComponentsBuilder::new()
        .security_scheme("token", SecurityScheme::Http(scheme))
        .schema(ErrorBody::name(), ErrorBody::schema())
        .build();
    let tags = [
        ("system", "The host itself"),
        ("configuration", "How providers are reached"),
        ("jobs", "Runs of operations"),
        ("servers", "Servers, and commands on them"),
        ("apps", "What runs on servers by recipes"),
        ("providers", "What providers offer"),
        ("plugins", "The operations that this host can run"),
        ("tokens", "Who may talk to the host"),
    ];
    let tags =
        tags.map(|(name, what)| TagBuilder::new().name(name).description(Some(what)).build());
    OpenApiBuilder::new().info(about).components(Some(components)).tags(Some(tags)).build()
}

/// The description with every answer that an operation can give.
pub(super) fn complete(api: &OpenApi) -> Value {
    let mut document = serde_json::to_value(api).unwrap_or_default();
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else {
        return document;
    };
    for (path, item) in paths.iter_mut() {
        for operation in item.as_object_mut().into_iter().flat_map(|item| item.values_mut()) {
            add_errors(path, operation);
        }
    }
    document
}

fn add_errors(path: &str, operation: &mut Value) {
    let mut errors = vec![
        (403, "other_site", "The token's scope is too small, or another site's page asks"),
        (500, "internal", "A fault of the host; it says nothing internal"),
        (503, "shutting_down", "The host can't serve now"),
    ];
    if operation.get("security").is_some() {
        errors.push((401, "no_token", "There is no token, or an unknown one"));
    }
    if path.contains('{') {
        errors.push((404, "not_found", "There is no such thing"));
    }
    if operation.get("requestBody").is_some() {
        errors.extend([
            (400, "invalid_json", "The body is no JSON; `details.fields` says where"),
            (413, "body_too_large", "The body has more than 1 MiB"),
            (415, "unsupported_media_type", "The body is not called JSON"),
        ]);
    }
    if operation.get("requestBody").is_some() || operation.get("parameters").is_some() {
        errors.push((422, "invalid_request", "`details.fields` says what is wrong, and where"));
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    for (status, code, what) in errors {
        responses.entry(status.to_string()).or_insert_with(|| problem(code, what));
    }
}

fn problem(code: &str, what: &str) -> Value {
    json!({
        "description": what,
        "content": { "application/json": {
            "schema": { "$ref": "#/components/schemas/ErrorBody" },
            "example": {
                "error": format!("{what}."),
                "code": code,
                "detail": format!("{what}."),
                "details": {},
                "retry_safe": true,
                "next": [],
            },
        }},
    })
}
