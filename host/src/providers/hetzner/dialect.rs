//! How Hetzner says no, what to do about it, and how to tell a person.

use std::time::Duration;

use serde_json::Value;

use crate::providers::ProviderError;
use crate::providers::cloud::answer::{ApiError, CallError};
use crate::providers::cloud::{Dialect, Verdict};

/// Hetzner's part of the shared core.
pub(super) static DIALECT: Dialect = Dialect {
    provider: "Hetzner",
    correlation_header: "x-correlation-id",
    per_page: 50,
    error: read_error,
    verdict,
    next_page: |body, _page| body.pointer("/meta/pagination/next_page")?.as_u64(),
};

fn read_error(body: &Value) -> Option<(String, String, Value)> {
    let error = body.get("error")?;
    let code = error.get("code")?.as_str()?.to_owned();
    let message = error.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
    Some((code, message, error.get("details").cloned().unwrap_or_default()))
}

fn verdict(error: &ApiError) -> Verdict {
    match error.code.as_str() {
        "conflict" | "rate_limit_exceeded" | "unavailable" => Verdict::Later,
        "bad_gateway" | "timeout" => Verdict::Repeatable,
        "server_error" | "service_error" => Verdict::Unclear,
        _ if error.status == 429 => Verdict::Later,
        _ if error.status >= 500 => Verdict::Unclear,
        _ => Verdict::Final,
    }
}

/// The error as a person should read it. `doing` ends the sentence "could not …".
pub(super) fn explain(doing: &str, error: CallError) -> ProviderError {
    match error {
        CallError::Refused(error) => explain_refusal(doing, &error),
        CallError::RateLimited(error) => rate_limited(doing, &error),
        CallError::Unreachable { why } => ProviderError::Unavailable {
            message: format!(
                "could not {doing}: Hetzner's API gave no usable answer, {why}; see whether the \
                 host can reach it and status.hetzner.com, then try again"
            ),
        },
        CallError::OutcomeUnknown { why } => outcome_unknown(doing, &why),
        CallError::Unusable { why } => ProviderError::Refused {
            code: "invalid_argument",
            message: format!("could not {doing}: {why}; correct the endpoint or the token"),
        },
    }
}

fn explain_refusal(doing: &str, error: &ApiError) -> ProviderError {
    let told = error.told();
    if error.perhaps_done {
        return outcome_unknown(doing, &told);
    }
    let say = |advice: &str| format!("could not {doing}, Hetzner says: {told}; {advice}");
    let refused = |code, advice: &str| ProviderError::Refused { code, message: say(advice) };
    match error.code.as_str() {
        "unauthorized" => ProviderError::InvalidCredentials {
            message: say(
                "make a new token with read and write access in the Hetzner console under \
                 Security, API tokens, and give that to the host",
            ),
        },
        "token_readonly" => ProviderError::InvalidCredentials {
            message: say("this token may only read: give the host one with read and write access"),
        },
        "forbidden" => refused(
            "access_denied",
            "the token's project does not allow this: look at the project in the Hetzner console",
        ),
        "not_found" => ProviderError::NotFound {
            message: say("see in the Hetzner console whether it is still in the token's project"),
        },
        "resource_limit_exceeded" => refused(
            "quota_exceeded",
            &format!(
                "the project is at its limit{}: delete what is not needed, or ask for more in the \
                 Hetzner console under Limits",
                names(&error.details, "limits")
            ),
        ),
        "resource_unavailable" | "placement_error" => refused(
            "no_capacity",
            "it is sold out there for now: choose another region or server type, or try later",
        ),
        "uniqueness_error" => ProviderError::Conflict {
            message: say("choose another name, or remove what has it in the Hetzner console"),
        },
        "protected" => {
            refused("protected", "switch its protection off in the Hetzner console, then try again")
        }
        "conflict" | "locked" | "maintenance" | "unavailable" => {
            ProviderError::Unavailable { message: say("try again in some minutes") }
        }
        "deprecated_api_endpoint" | "unsupported_error" | "method_not_allowed" => {
            refused("unsupported", "this needs a newer version of the host")
        }
        _ if error.status >= 500 || error.code == "service_error" => {
            ProviderError::Unavailable { message: say("see status.hetzner.com, then try again") }
        }
        _ => refused(
            "invalid_argument",
            &format!(
                "correct it{} and try again; the catalogue lists the server types, regions and \
                 images that there are",
                names(&error.details, "fields")
            ),
        ),
    }
}

fn rate_limited(doing: &str, error: &ApiError) -> ProviderError {
    let retry_after = error.retry_after.or(error.limit_resets_in);
    let when = match retry_after {
        Some(wait) => format!("in {} s", wait.max(Duration::from_secs(1)).as_secs()),
        None => "in some minutes".to_owned(),
    };
    ProviderError::RateLimited {
        message: format!(
            "could not {doing}, Hetzner says: {}; the project's limit of requests is used up, by \
             the host or by other programs with its tokens: try again {when}",
            error.told()
        ),
        retry_after,
    }
}

fn outcome_unknown(doing: &str, why: &str) -> ProviderError {
    ProviderError::OutcomeUnknown {
        message: format!(
            "asked Hetzner to {doing}, and its answer was lost: {why}; it may have been done, so \
             look in the Hetzner console before it is tried again"
        ),
    }
}

/// The names in a list of the error's details, ready to be put into a sentence.
fn names(details: &Value, list: &str) -> String {
    let entries = details.get(list).and_then(Value::as_array).into_iter().flatten();
    let names: Vec<&str> =
        entries.filter_map(|entry| entry.get("name").and_then(Value::as_str)).collect();
    if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(status: u16, code: &str) -> ApiError {
        ApiError { status, code: code.to_owned(), ..ApiError::default() }
    }

    #[test]
    fn only_what_cannot_have_been_done_is_simply_tried_again() {
        assert_eq!(verdict(&told(409, "conflict")), Verdict::Later);
        assert_eq!(verdict(&told(504, "timeout")), Verdict::Repeatable);
        assert_eq!(verdict(&told(422, "service_error")), Verdict::Unclear);
        assert_eq!(verdict(&told(500, "brand_new")), Verdict::Unclear);
        assert_eq!(verdict(&told(409, "uniqueness_error")), Verdict::Final);
        assert_eq!(verdict(&told(403, "maintenance")), Verdict::Final);
    }

    #[test]
    fn a_refusal_names_the_fields() {
        let error = ApiError {
            message: "invalid input".to_owned(),
            details: json!({"fields": [{"name": "image"}, {"name": "location"}]}),
            correlation: Some("c-1".to_owned()),
            ..told(422, "invalid_input")
        };
        let message = explain("order `a`", CallError::Refused(Box::new(error))).to_string();
        assert!(message.starts_with(
            "could not order `a`, Hetzner says: invalid input (invalid_input) [request c-1]; \
             correct it (image, location)"
        ));
    }
}
