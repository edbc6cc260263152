//! How Cloudflare says no, what to do about it, and how to tell a person.

use std::fmt::Display;
use std::time::Duration;

use serde_json::Value;

use crate::providers::ProviderError;
use crate::providers::cloud::answer::{ApiError, CallError};
use crate::providers::cloud::{Dialect, Verdict};

/// Cloudflare's part of the shared core.
pub(super) static DIALECT: Dialect = Dialect {
    provider: "Cloudflare",
    correlation_header: "cf-ray",
    per_page: 50,
    error: read_error,
    verdict,
    next_page: |body, page| {
        let last = body.pointer("/result_info/total_pages")?.as_u64()?;
        (page < last).then_some(page + 1)
    },
};

/// The first error's code, and its words with those of what caused it.
fn read_error(body: &Value) -> Option<(String, String, Value)> {
    if body.get("success")?.as_bool()? {
        return None;
    }
    let errors = body.get("errors").cloned().unwrap_or_default();
    let first = errors.get(0);
    let code = first.and_then(|error| error.get("code")).and_then(Value::as_u64);
    let chain = first.and_then(|error| error.get("error_chain")).and_then(Value::as_array);
    let words: Vec<&str> = first
        .into_iter()
        .chain(chain.into_iter().flatten())
        .filter_map(|error| error.get("message").and_then(Value::as_str))
        .collect();
    Some((code.map(|code| code.to_string()).unwrap_or_default(), words.join(": "), errors))
}

/// The error in an answer whose status says that there is none.
pub(super) fn refusal_in(body: &Value) -> Option<ApiError> {
    let (code, message, details) = read_error(body)?;
    let message = message.chars().filter(|c| !c.is_control()).take(500).collect();
    Some(ApiError { status: 200, code, message, details, ..ApiError::default() })
}

fn verdict(error: &ApiError) -> Verdict {
    match error.status {
        429 => Verdict::Later,
        500.. => Verdict::Unclear,
        _ => Verdict::Final,
    }
}

/// Whether there is a record that says the same: two codes, an old and a new one.
pub(super) fn is_already_there(error: &CallError) -> bool {
    has_code(error, &["81057", "81058"])
}

/// Whether what was asked for is not there.
pub(super) fn is_gone(error: &CallError) -> bool {
    has_code(error, &["81044"]) || matches!(error, CallError::Refused(error) if error.status == 404)
}

fn has_code(error: &CallError, codes: &[&str]) -> bool {
    matches!(error, CallError::Refused(error) if codes.contains(&error.code.as_str()))
}

/// There is no such zone, as far as the credentials reach.
pub(super) fn no_such_zone(zone: &dyn Display) -> ProviderError {
    ProviderError::NotFound {
        message: format!(
            "Cloudflare shows no zone for `{zone}` to these credentials: add the zone in the \
             dashboard, or give the token Zone:Read and DNS:Edit for it"
        ),
    }
}

/// The error as a person should read it. `doing` ends the sentence "could not …"; `hint` is what
/// may be wrong with the credentials.
pub(super) fn explain(doing: &str, error: CallError, hint: Option<&str>) -> ProviderError {
    match error {
        CallError::Refused(error) => explain_refusal(doing, &error, hint),
        CallError::RateLimited(error) => rate_limited(doing, &error),
        CallError::Unreachable { why } | CallError::OutcomeUnknown { why } => {
            // Nothing that we send does harm when it is sent again.
            ProviderError::Unavailable {
                message: format!(
                    "could not {doing}: Cloudflare's API gave no usable answer, {why}; see whether \
                     the host can reach it and www.cloudflarestatus.com, then try again"
                ),
            }
        }
        CallError::Unusable { why } => ProviderError::Refused {
            code: "invalid_argument",
            message: format!("could not {doing}: {why}; correct the endpoint or the credentials"),
        },
    }
}

fn explain_refusal(doing: &str, error: &ApiError, hint: Option<&str>) -> ProviderError {
    let say =
        |advice: &str| format!("could not {doing}, Cloudflare says: {}; {advice}", error.told());
    let refused = |code, advice: &str| ProviderError::Refused { code, message: say(advice) };
    match error.code.as_str() {
        "1000" | "6003" | "6100" | "6101" | "6102" | "6103" | "6106" | "6111" | "9103" | "9106"
        | "9107" | "9109" | "10000" | "10001" => {
            let advice = "make an API token with Zone:Read and DNS:Edit for the zone, under My \
                          Profile, API Tokens, and give it to the host";
            ProviderError::InvalidCredentials { message: say(hint.unwrap_or(advice)) }
        }
        _ if error.status == 401 => ProviderError::InvalidCredentials {
            message: say(hint.unwrap_or("give the host a token that is good")),
        },
        "81053" | "81054" | "81055" | "81056" => ProviderError::Conflict {
            message: say("a name is either an alias or has addresses: remove the record that \
                          stands there, or choose another name"),
        },
        "81057" | "81058" => ProviderError::Conflict { message: say("look at the zone's records") },
        "81044" | "7000" | "7003" => ProviderError::NotFound {
            message: say("look in the dashboard whether it is still there"),
        },
        "81045" => refused("quota_exceeded", "remove records that are not needed"),
        _ if error.status == 404 => ProviderError::NotFound {
            message: say("look in the dashboard whether it is still there"),
        },
        _ if error.status == 403 => {
            refused("access_denied", "give the token Zone:Read and DNS:Edit for this zone")
        }
        _ if error.status >= 500 => ProviderError::Unavailable {
            message: say("see www.cloudflarestatus.com, then try again"),
        },
        _ => refused("invalid_argument", "correct the record and try again"),
    }
}

fn rate_limited(doing: &str, error: &ApiError) -> ProviderError {
    let retry_after = error.retry_after.or(error.limit_resets_in);
    let wait = retry_after.unwrap_or(Duration::from_secs(300)).max(Duration::from_secs(1));
    ProviderError::RateLimited {
        message: format!(
            "could not {doing}, Cloudflare says: {}; the user's 1200 requests in 5 minutes are used \
             up, by the host, by other programs or in the dashboard: try again in {} s",
            error.told(),
            wait.as_secs()
        ),
        retry_after,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_whole_chain_of_an_error_is_told() {
        let body = json!({"success": false, "result": null, "messages": [], "errors": [
            {"code": 6003, "message": "Invalid request headers", "error_chain": [
                {"code": 6103, "message": "Invalid format for X-Auth-Key header"}]}]});
        let error = refusal_in(&body).unwrap();
        let words = "Invalid request headers: Invalid format for X-Auth-Key header";
        assert_eq!((error.code.as_str(), error.message.as_str()), ("6003", words));
        assert!(refusal_in(&json!({"success": true, "errors": []})).is_none());
        assert!(refusal_in(&json!({"success": false, "errors": []})).is_some());
    }

    #[test]
    fn a_hint_takes_the_place_of_the_usual_advice() {
        let error = ApiError { status: 400, code: "6003".to_owned(), ..ApiError::default() };
        let told = explain("check", CallError::Refused(Box::new(error)), Some("swap them"));
        assert!(matches!(told, ProviderError::InvalidCredentials { .. }));
        assert!(told.to_string().ends_with("swap them"));
    }
}
