//! The `http` interface.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bindings::windlass::plugin::http::{Host, Request, Response};
use bindings::windlass::plugin::types::{self, Failure};
use reqwest::{Method, Url};
use wasmtime::Result as Trap;

use crate::capabilities::{Capabilities, invalid, parse};
use crate::effects::http::{Answer, Ask, Exchange, Order, Repeat};

/// How long a request may take that asks for no limit, and at most.
const TIMEOUT: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(300));

impl types::Host for Capabilities {}

impl Host for Capabilities {
    async fn send(&mut self, request: Request) -> Trap<Result<Response, Failure>> {
        let option = |wanted: &str| {
            request.options.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
        };
        let is_repeatable = option("repeat-safe").as_deref() == Some("true");
        let exchange = match exchange(&request, option("via-server").as_deref()) {
            Ok(exchange) => exchange,
            Err(failure) => return Ok(Err(failure)),
        };
        let answer = if matches!(exchange.method, Method::GET | Method::HEAD) {
            Box::pin(self.perform(Ask(exchange))).await?
        } else if is_repeatable {
            Box::pin(self.perform(Repeat(exchange))).await?
        } else {
            Box::pin(self.perform(Order(exchange))).await?
        };
        Ok(answer.and_then(|Answer { status, headers, body }| {
            let body = BASE64_STANDARD.decode(body);
            let body = body.map_err(|error| invalid(&format!("the journal: {error}")))?;
            Ok(Response { status, headers, body })
        }))
    }
}

fn exchange(request: &Request, via: Option<&str>) -> Result<Exchange, Failure> {
    let method = match request.method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => parse(known)?,
        _ => return Err(invalid("the method is GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS")),
    };
    let url: Url = parse(&request.url)?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !is_plain {
        return Err(invalid("the URL is http or https, with a host and without a user in it"));
    }
    let (usual, longest) = TIMEOUT;
    Ok(Exchange {
        method,
        url,
        headers: request.headers.clone(),
        body: request.body.clone().unwrap_or_default(),
        timeout: match request.timeout_ms {
            0 => usual,
            milliseconds => Duration::from_millis(milliseconds).min(longest),
        },
        via: via.map(parse).transpose()?,
    })
}
