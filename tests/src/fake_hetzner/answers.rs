//! The envelope of the fake's answers: errors, pages, parameters.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An error as the API answers it.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    code: String,
    message: String,
    details: Value,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), details: Value::Null }
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new(404, "not_found", format!("{what} not found"))
    }

    pub(super) fn invalid(field: &str, why: &str) -> Self {
        let message = format!("invalid input in field '{field}': {why}");
        let details = json!({"fields": [{"name": field, "messages": [why]}]});
        Self { details, ..Self::new(422, "invalid_input", message) }
    }

    pub(super) fn not_unique(field: &str, message: &str) -> Self {
        let details = json!({"fields": [{"name": field}]});
        Self { details, ..Self::new(409, "uniqueness_error", message) }
    }

    pub(super) fn limit(name: &str) -> Self {
        let details = json!({"limits": [{"name": name}]});
        Self { details, ..Self::new(403, "resource_limit_exceeded", "server limit reached") }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap();
        let error = json!({"code": self.code, "message": self.message, "details": self.details});
        (status, Json(json!({"error": error}))).into_response()
    }
}

/// A request's parameters, repeated ones included.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn new(raw: Option<String>) -> Self {
        let url = format!("http://fake/?{}", raw.unwrap_or_default());
        let url = reqwest::Url::parse(&url).unwrap();
        Self(url.query_pairs().into_owned().collect())
    }

    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether the parameter lets this value through: it is not there, or it is one of its values.
    pub(super) fn admits(&self, name: &str, value: &str) -> bool {
        self.first(name).is_none() || self.all(name).any(|wanted| wanted == value)
    }

    fn number(&self, name: &str, default: usize) -> Result<usize, Refusal> {
        let Some(text) = self.first(name) else { return Ok(default) };
        text.parse()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| Refusal::invalid(name, "must be a number greater than 0"))
    }
}

/// One page of the entries, as a list answers it.
pub(super) fn page(key: &str, entries: &[Value], query: &Query) -> Result<Json<Value>, Refusal> {
    let page = query.number("page", 1)?;
    let per_page = query.number("per_page", 25)?.min(50);
    let last = entries.len().div_ceil(per_page).max(1);
    let shown: Vec<&Value> = entries.iter().skip((page - 1) * per_page).take(per_page).collect();
    let pagination = json!({
        "page": page,
        "per_page": per_page,
        "previous_page": (page > 1).then(|| page - 1),
        "next_page": (page < last).then(|| page + 1),
        "last_page": last,
        "total_entries": entries.len(),
    });
    Ok(Json(json!({key: shown, "meta": {"pagination": pagination}})))
}
