//! Every error answer has the shape of [`ErrorBody`], and only this file decides a status code.

use std::any::Any;

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tracing::{debug, error};
use utoipa::ToSchema;

use crate::error::{Error, ErrorKind};

/// What every error answer looks like.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong and what to do, as a sentence.
    #[schema(example = "There is no job `job_20250110_150000_a1b2c3`.")]
    error: String,
    /// The same for programs.
    #[schema(example = "no_such_job")]
    code: String,
    /// The same sentence as `error`.
    #[schema(example = "There is no job `job_20250110_150000_a1b2c3`.")]
    detail: String,
    /// More for programs; a 422 has `fields`, each with `pointer` and `message`.
    #[schema(value_type = Object)]
    details: Map<String, Value>,
    /// Whether sending the same again can do no harm.
    retry_safe: bool,
    /// Requests that help on from here.
    #[schema(example = json!(["GET /api/jobs"]))]
    next: Vec<String>,
}

/// An error on its way to the caller.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    body: Box<ErrorBody>,
}

impl Problem {
    fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let body = ErrorBody {
            detail: message.clone(),
            error: message,
            code: code.to_owned(),
            details: Map::new(),
            retry_safe: true,
            next: Vec::new(),
        };
        Self { status, body: Box::new(body) }
    }

    /// The body is no JSON; where it ceases to be, as line and column.
    pub(super) fn broken_json(message: String, pointer: &str, at: (usize, usize)) -> Self {
        let (line, column) = at;
        let field =
            json!({ "pointer": pointer, "message": message, "line": line, "column": column });
        let fields = json!([field]);
        let mut problem = Self::new(StatusCode::BAD_REQUEST, "invalid_json", message);
        problem.body.details.insert("fields".to_owned(), fields);
        problem
    }

    /// The body is too long.
    pub(super) fn body_too_large(limit: usize) -> Self {
        let message = format!("A request's body has at most {limit} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    }

    /// The body came to no end.
    pub(super) fn body_cut_off() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "body_cut_off", "The request's body was cut off.")
    }

    /// The body does not say that it is JSON.
    pub(super) fn not_json() -> Self {
        let message = "The body must be JSON, with `Content-Type: application/json`.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    /// The body does not say that it is a component.
    pub(super) fn not_wasm() -> Self {
        let message = "The body must be a component, with `Content-Type: application/wasm`.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    /// There is no token in the request.
    pub(super) fn no_token() -> Self {
        let message = "This needs a token: `Authorization: Bearer <token>`; the first one is in \
                       the file `token` of the host's home.";
        Self::new(StatusCode::UNAUTHORIZED, "no_token", message)
    }

    /// The request is for somebody else, or from somebody else's page.
    pub(super) fn other_site(message: String) -> Self {
        Self::new(StatusCode::FORBIDDEN, "other_site", message)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorKind::Denied => StatusCode::FORBIDDEN,
            ErrorKind::Limited => StatusCode::TOO_MANY_REQUESTS,
            ErrorKind::Upstream => StatusCode::BAD_GATEWAY,
            ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let causes = error.causes();
        if error.kind() == ErrorKind::Internal {
            error!(code = error.code(), causes, "a request failed inside the host");
        } else {
            debug!(code = error.code(), causes, "a request was refused");
        }
        let body = ErrorBody {
            error: error.message().to_owned(),
            code: error.code().to_owned(),
            detail: error.message().to_owned(),
            details: error.details().clone(),
            retry_safe: error.retry_safe(),
            next: error.next().to_vec(),
        };
        Self { status, body: Box::new(body) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// The answer for a path that there is not.
pub(super) async fn no_such_route(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    let message = format!("There is nothing at `{path}`; `/docs` lists what there is.");
    let mut problem = Problem::new(StatusCode::NOT_FOUND, "no_such_route", message);
    problem.body.next.push("GET /openapi.json".to_owned());
    problem
}

/// The answer for a method that a path does not have.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    let message = format!("`{path}` takes no {method}; `/docs` lists what there is.");
    let mut problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
    problem.body.next.push("GET /openapi.json".to_owned());
    problem
}

/// The answer when a handler panicked. The log says where, and not its words.
pub(super) fn panicked(_panic: Box<dyn Any + Send>) -> Response {
    Problem::from(Error::internal("a handler panicked")).into_response()
}
