//! The envelope of the fake's answers: errors, pages.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::fake_cloud::{Harm, Query, Trouble};

/// An error as the API answers it.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    id: String,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, id: &str, message: impl Into<String>) -> Self {
        Self { status, id: id.to_owned(), message: message.into() }
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, "not_found", "The resource you requested could not be found.")
    }

    pub(super) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, "unprocessable_entity", message)
    }

    pub(super) fn pending_event() -> Self {
        Self::unprocessable("Droplet already has a pending event.")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap();
        (status, Json(json!({"id": self.id, "message": self.message}))).into_response()
    }
}

/// A list's address with its parameters and what goes wrong with it.
pub(super) struct Listing<'a> {
    pub(super) url: String,
    pub(super) query: &'a Query,
    pub(super) trouble: &'a Option<Trouble>,
}

impl Listing<'_> {
    /// One page of the entries, as a list answers it.
    pub(super) fn page(&self, key: &str, entries: &[Value]) -> Result<Json<Value>, Refusal> {
        let wrong = || Refusal::unprocessable("page and per_page must be positive numbers");
        let page = self.query.number("page", 1).ok_or_else(wrong)?;
        let per_page = self.query.number("per_page", 20).ok_or_else(wrong)?;
        if per_page > 200 {
            return Err(Refusal::unprocessable("per_page must be at most 200"));
        }
        let last = entries.len().div_ceil(per_page).max(1);
        let shown: Vec<&Value> =
            entries.iter().skip((page - 1) * per_page).take(per_page).collect();
        let link = |page: usize| format!("{}?page={page}&per_page={per_page}", self.url);
        let mut pages = serde_json::Map::new();
        if page > 1 {
            pages.insert("first".to_owned(), json!(link(1)));
            pages.insert("prev".to_owned(), json!(link(page - 1)));
        }
        if page < last {
            pages.insert("next".to_owned(), json!(link(page + 1)));
            pages.insert("last".to_owned(), json!(link(last)));
        }
        match self.trouble {
            Some(Trouble { harm: Harm::SamePage, .. }) => {
                pages.insert("next".to_owned(), json!(link(page)));
            }
            Some(Trouble { harm: Harm::NextPage(url), .. }) => {
                pages.insert("next".to_owned(), json!(url));
            }
            _ => {}
        }
        // What has one page only has no links in it, as at the real one.
        let links = if pages.is_empty() { json!({}) } else { json!({"pages": pages}) };
        Ok(Json(json!({key: shown, "links": links, "meta": {"total": entries.len()}})))
    }
}

/// The body, which has to be JSON of the right shape.
pub(super) fn parsed<T: DeserializeOwned>(body: &str) -> Result<T, Refusal> {
    serde_json::from_str(body)
        .map_err(|error| Refusal::new(400, "bad_request", format!("Unable to parse: {error}")))
}
