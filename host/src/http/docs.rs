//! A page that lists the routes, made from the API's description. It loads nothing from anywhere.

use std::fmt::Write;

use axum::http::{HeaderName, header};
use axum::response::{Html, IntoResponse};
use serde_json::Value;

/// What the page may load: its own style, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// The head of the page.
const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>Windlass API</title><style>\
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;\
margin:2rem auto;padding:0 1rem}code{font:14px ui-monospace,monospace}\
td{padding:.2rem .8rem .2rem 0;vertical-align:top}.method{font-weight:600}h2{margin:1.5rem 0 .3rem}</style>";

/// Lists the routes for people.
#[utoipa::path(get, path = "/docs", tag = "system",
    responses((status = 200, description = "A page", content_type = "text/html", body = String)))]
pub(super) async fn docs() -> impl IntoResponse {
    let policy: (HeaderName, &str) = (header::CONTENT_SECURITY_POLICY, POLICY);
    ([policy], Html(page(super::document())))
}

fn page(document: &Value) -> String {
    let mut page = HEAD.to_owned();
    let text =
        |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (title, version) = (escaped(text("/info/title")), escaped(text("/info/version")));
    let about = escaped(text("/info/description"));
    put(&mut page, format_args!("<h1>{title} {version}</h1><p>{about}</p>"));
    put(
        &mut page,
        format_args!(
            "<p>For programs: <a href=\"/openapi.json\"><code>/openapi.json</code></a></p>"
        ),
    );
    for tag in document.pointer("/tags").and_then(Value::as_array).into_iter().flatten() {
        section(&mut page, document, tag);
    }
    page
}

fn section(page: &mut String, document: &Value, tag: &Value) {
    let text = |name: &str| tag.get(name).and_then(Value::as_str).unwrap_or_default();
    let (name, about) = (text("name"), escaped(text("description")));
    put(page, format_args!("<h2>{about}</h2><table>"));
    let paths = document.pointer("/paths").and_then(Value::as_object);
    for (path, item) in paths.into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            if operation.pointer("/tags/0").and_then(Value::as_str) == Some(name) {
                let summary = operation.get("summary").and_then(Value::as_str).unwrap_or_default();
                let (method, path) = (escaped(&method.to_uppercase()), escaped(path));
                let summary = escaped(summary);
                put(
                    page,
                    format_args!(
                        "<tr><td class=\"method\">{method}<td><code>{path}</code><td>{summary}"
                    ),
                );
            }
        }
    }
    page.push_str("</table>");
}

/// Writing to a string does not fail.
fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).unwrap_or_default();
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
