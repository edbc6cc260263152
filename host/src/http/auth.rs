//! Bearer tokens: a handler that takes a [`Reader`], [`Operator`] or [`Admin`] runs only for a
//! caller who may be one.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

use crate::app::App;
use crate::app::access::{Admin, Operator, Reader};
use crate::http::error::Problem;
use crate::http::planning;

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let header = parts.headers.get(header::AUTHORIZATION).ok_or_else(Problem::no_token)?;
        let (scheme, token) = header
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .ok_or_else(Problem::no_token)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Problem::no_token());
        }
        Ok(Self::authenticate(app, token.trim())?)
    }
}

impl FromRequestParts<Arc<App>> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let operator = Reader::from_request_parts(parts, app).await?.operator()?;
        planning::refuse(parts)?;
        Ok(operator)
    }
}

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let admin = Reader::from_request_parts(parts, app).await?.admin()?;
        planning::refuse(parts)?;
        Ok(admin)
    }
}
