//! The envelope of the fake's answers: results, errors, pages.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::fake_cloud::{Harm, Query, Trouble};

/// An error as the API answers it.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    error: Value,
}

impl Refusal {
    pub(super) fn new(status: u16, code: u32, message: &str) -> Self {
        Self { status, error: json!({"code": code, "message": message}) }
    }

    /// An error that another one caused.
    pub(super) fn chained(status: u16, (code, message): (u32, &str), cause: (u32, &str)) -> Self {
        let chain = json!([{"code": cause.0, "message": cause.1}]);
        Self { status, error: json!({"code": code, "message": message, "error_chain": chain}) }
    }

    pub(super) fn no_such_path() -> Self {
        let cause = (7003, "Could not route, perhaps your object identifier is invalid?");
        Self::chained(404, (7003, "Could not route"), cause)
    }

    pub(super) fn no_such_record() -> Self {
        Self::new(404, 81044, "Record does not exist.")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap();
        let body =
            json!({"result": null, "success": false, "errors": [self.error], "messages": []});
        (status, Json(body)).into_response()
    }
}

/// A result in its envelope.
pub(super) fn success(result: &Value) -> Json<Value> {
    Json(json!({"result": result, "success": true, "errors": [], "messages": []}))
}

/// One page of the entries, as a list answers it, with at least and at most so many.
pub(super) fn page(
    entries: &[Value],
    query: &Query,
    (least, usual, most): (usize, usize, usize),
    trouble: Option<&Trouble>,
) -> Result<Json<Value>, Refusal> {
    let wrong = || Refusal::new(400, 1002, "Invalid page or per_page");
    let page = query.number("page", 1).ok_or_else(wrong)?;
    let per_page = query.number("per_page", usual).ok_or_else(wrong)?;
    if !(least..=most).contains(&per_page) {
        return Err(wrong());
    }
    let shown: Vec<&Value> = entries.iter().skip((page - 1) * per_page).take(per_page).collect();
    let told = if matches!(trouble, Some(Trouble { harm: Harm::SamePage, .. })) { 1 } else { page };
    let position = json!({
        "page": told,
        "per_page": per_page,
        "count": shown.len(),
        "total_count": entries.len(),
        "total_pages": entries.len().div_ceil(per_page).max(1),
    });
    let mut body = success(&json!(shown));
    body["result_info"] = position;
    Ok(body)
}

/// The time as the API writes it.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
