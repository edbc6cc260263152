//! `POST /api/plugins`: a component as the body.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use futures_util::StreamExt;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::app::access::Admin;
use crate::app::plugins::Upload;
use crate::http::error::{ErrorBody, Problem};
use crate::http::plugins::changes::PluginChangedBody;
use crate::http::request::InQuery;
use crate::model::names::Origin;

/// What an upload is called.
const MEDIA_TYPE: &str = "application/wasm";

/// A component, whole.
pub(in crate::http) struct Component(Vec<u8>);

/// What becomes of an upload.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct AddQuery {
    /// Whether it gets what it asks for beyond what its predecessor has.
    #[serde(default)]
    accept_grants: bool,
    /// Whether new jobs run it from now on; true unless said otherwise.
    activate: Option<bool>,
    /// Where in a registry it was fetched, by the digest of its manifest. It is shown, and not asked.
    #[param(value_type = Option<String>,
        example = "oci://ghcr.io/team/hello@sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")]
    origin: Option<Origin>,
    /// Whether it may take the place of a plugin that came with the program.
    #[serde(default)]
    replace_built_in: bool,
}

/// Adds a version of a plugin: checks that it fits, compiles it, and lets new jobs run it. A refusal
/// changes nothing.
#[utoipa::path(post, path = "/api/plugins", tag = "plugins", security(("token" = [])),
    params(AddQuery),
    request_body(content = inline(Vec<u8>), content_type = "application/wasm",
        description = "The component, at most 64 MiB unless the host is told otherwise"),
    responses((status = 201, description = "It is there", body = PluginChangedBody),
        (status = 400, description = "`body_cut_off`", body = ErrorBody),
        (status = 409, description = "`grants_needed` with what in `details.grants`, \
            `built_in_name`", body = ErrorBody),
        (status = 413, description = "The component is larger than the host takes", body = ErrorBody),
        (status = 415, description = "The body is not called `application/wasm`",
            body = ErrorBody),
        (status = 422, description = "`not_a_component`, `bad_descriptor`, `does_not_fit`, \
            `too_costly`", body = ErrorBody)))]
pub(in crate::http) async fn add_plugin(
    admin: Admin,
    InQuery(query): InQuery<AddQuery>,
    Component(bytes): Component,
) -> Result<(StatusCode, Json<PluginChangedBody>), Problem> {
    let upload = Upload {
        bytes,
        origin: query.origin,
        accept_grants: query.accept_grants,
        activate: query.activate.unwrap_or(true),
        replace_built_in: query.replace_built_in,
    };
    Ok((StatusCode::CREATED, Json(admin.add_plugin(upload).await?.into())))
}

impl FromRequest<Arc<App>> for Component {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let called = parts.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
        if called.is_none_or(|called| !called.eq_ignore_ascii_case(MEDIA_TYPE)) {
            return Err(Problem::not_wasm());
        }
        read(body, app.largest_component()).await.map(Self)
    }
}

async fn read(body: Body, largest: usize) -> Result<Vec<u8>, Problem> {
    let too_large = || Problem::body_too_large(largest);
    if body.size_hint().lower() > u64::try_from(largest).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_cut| Problem::body_cut_off())?;
        if bytes.len().saturating_add(chunk.len()) > largest {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
