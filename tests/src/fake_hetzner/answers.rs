//! The envelope of the fake's answers: errors, pages.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::fake_cloud::Query;

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

/// One page of the entries, as a list answers it.
pub(super) fn page(key: &str, entries: &[Value], query: &Query) -> Result<Json<Value>, Refusal> {
    let number = |name: &str, default| {
        let wrong = || Refusal::invalid(name, "must be a number greater than 0");
        query.number(name, default).ok_or_else(wrong)
    };
    let page = number("page", 1)?;
    let per_page = number("per_page", 25)?.min(50);
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
