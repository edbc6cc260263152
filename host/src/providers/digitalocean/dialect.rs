//! How DigitalOcean says no, what to do about it, and how to tell a person. Its code for nearly
//! everything is `unprocessable_entity`, so what is meant has to be read out of the message.

use std::time::Duration;

use reqwest::Url;
use serde_json::Value;

use crate::providers::ProviderError;
use crate::providers::cloud::answer::{ApiError, CallError};
use crate::providers::cloud::{Dialect, Verdict};

/// DigitalOcean's part of the shared core.
pub(super) static DIALECT: Dialect = Dialect {
    provider: "DigitalOcean",
    correlation_header: "x-request-id",
    per_page: 200,
    error: read_error,
    verdict,
    next_page,
};

/// What a 422 is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Something else goes on with the droplet.
    Busy,
    /// The public key is there already.
    KeyInUse,
    /// The account may not have more.
    Quota,
    /// The account's owner has to do something first.
    Account,
    /// There are none of that size, or none there.
    NoCapacity,
    /// The request is wrong.
    Invalid,
}

/// What is meant, by parts of the messages that are known, in small letters.
const MEANINGS: [(Meaning, &[&str]); 5] = [
    (Meaning::Busy, &["pending event", "droplet is locked", "currently locked"]),
    (Meaning::KeyInUse, &["already in use on your account", "key is already in use"]),
    (Meaning::Quota, &["droplet limit", "will exceed your", "limit exceeded", "limit reached"]),
    (Meaning::Account, &["payment", "billing", "verify your", "account is"]),
    (Meaning::NoCapacity, &["not available", "unavailable", "capacity", "sold out", "disabled"]),
];

pub(super) fn meaning(error: &ApiError) -> Meaning {
    let message = error.message.to_lowercase();
    let known = MEANINGS.iter().find(|(_, parts)| parts.iter().any(|part| message.contains(part)));
    known.map_or(Meaning::Invalid, |(meaning, _)| *meaning)
}

/// Whether the request has to wait for something else that goes on with the droplet.
pub(super) fn is_busy(error: &ApiError) -> bool {
    error.status == 422 && meaning(error) == Meaning::Busy
}

fn read_error(body: &Value) -> Option<(String, String, Value)> {
    let code = body.get("id")?.as_str()?.to_owned();
    let message = body.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
    Some((code, message, Value::Null))
}

fn verdict(error: &ApiError) -> Verdict {
    match error.status {
        429 => Verdict::Later,
        408 | 500.. => Verdict::Unclear,
        _ => Verdict::Final,
    }
}

/// The next page's number. Its address is not followed, so that the token goes nowhere but to the
/// endpoint; a link without a number is a page that does not advance.
fn next_page(body: &Value, _page: u64) -> Option<u64> {
    let next = body.pointer("/links/pages/next")?.as_str()?;
    let number = Url::parse(next).ok().and_then(|url| {
        let pages = url.query_pairs().find(|(name, _)| name == "page");
        pages.and_then(|(_, number)| number.parse().ok())
    });
    Some(number.unwrap_or_default())
}

/// An id that DigitalOcean gave, as the number that it is.
pub(super) fn numeric(what: &str, id: &str) -> Result<u64, ProviderError> {
    id.parse().map_err(|error| ProviderError::Refused {
        code: "invalid_argument",
        message: format!("`{}` is no id of a DigitalOcean {what}: {error}", id.escape_debug()),
    })
}

/// The error as a person should read it. `doing` ends the sentence "could not …".
pub(super) fn explain(doing: &str, error: CallError) -> ProviderError {
    match error {
        CallError::Refused(error) => explain_refusal(doing, &error),
        CallError::RateLimited(error) => rate_limited(doing, &error),
        CallError::Unreachable { why } => ProviderError::Unavailable {
            message: format!(
                "could not {doing}: DigitalOcean's API gave no usable answer, {why}; see whether \
                 the host can reach it and status.digitalocean.com, then try again"
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
    let say = |advice: &str| format!("could not {doing}, DigitalOcean says: {told}; {advice}");
    let refused = |code, advice: &str| ProviderError::Refused { code, message: say(advice) };
    match error.status {
        401 => ProviderError::InvalidCredentials {
            message: say(
                "make a new token in the DigitalOcean control panel under API, Tokens, and give \
                 that to the host",
            ),
        },
        402 | 403 => refused(
            "access_denied",
            "see in the DigitalOcean control panel whether the token's account is in order, and \
             whether the token has these scopes: account:read, actions:read, droplet, image:read, \
             regions:read, sizes:read, ssh_key, tag",
        ),
        404 => ProviderError::NotFound {
            message: say("see in the DigitalOcean control panel whether it is still there"),
        },
        405 | 410 => refused("unsupported", "this needs a newer version of the host"),
        409 | 423 => ProviderError::Unavailable { message: say("try again in some minutes") },
        408 | 500.. => ProviderError::Unavailable {
            message: say("see status.digitalocean.com, then try again"),
        },
        _ => explain_meaning(meaning(error), say),
    }
}

fn explain_meaning(meaning: Meaning, say: impl Fn(&str) -> String) -> ProviderError {
    let refused = |code, advice: &str| ProviderError::Refused { code, message: say(advice) };
    match meaning {
        Meaning::Busy => ProviderError::Unavailable {
            message: say("something else goes on with it: try again in some minutes"),
        },
        Meaning::KeyInUse => ProviderError::Conflict {
            message: say(
                "look for the key in the DigitalOcean control panel under Settings, Security",
            ),
        },
        Meaning::Quota => refused(
            "quota_exceeded",
            "delete what is not needed, or ask for more in the DigitalOcean control panel under \
             Settings",
        ),
        Meaning::Account => refused(
            "access_denied",
            "see to that in the DigitalOcean control panel, then try again",
        ),
        Meaning::NoCapacity => refused(
            "no_capacity",
            "choose another region or server type, or try later; the catalogue lists what is to \
             be had where",
        ),
        Meaning::Invalid => refused(
            "invalid_argument",
            "correct it and try again; the catalogue lists the server types, regions and images \
             that there are",
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
            "could not {doing}, DigitalOcean says: {}; the token's limit of requests is used up, \
             by the host or by other programs that use the token: try again {when}",
            error.told()
        ),
        retry_after,
    }
}

fn outcome_unknown(doing: &str, why: &str) -> ProviderError {
    ProviderError::OutcomeUnknown {
        message: format!(
            "asked DigitalOcean to {doing}, and its answer was lost: {why}; it may have been done, \
             so look in the DigitalOcean control panel before it is tried again"
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(status: u16, message: &str) -> ApiError {
        let code = "unprocessable_entity".to_owned();
        ApiError { status, code, message: message.to_owned(), ..ApiError::default() }
    }

    #[test]
    fn what_is_meant_is_read_out_of_the_message() {
        for (message, meant) in [
            ("Droplet already has a pending event.", Meaning::Busy),
            ("SSH Key is already in use on your account", Meaning::KeyInUse),
            ("creating this/these droplet(s) will exceed your droplet limit", Meaning::Quota),
            ("Region is not available", Meaning::NoCapacity),
            ("Size is not available in this region.", Meaning::NoCapacity),
            ("You specified an invalid image for Droplet creation.", Meaning::Invalid),
            ("1234 are invalid key identifiers for Droplet creation.", Meaning::Invalid),
            ("Please add a payment method", Meaning::Account),
            ("a message of next year", Meaning::Invalid),
        ] {
            assert_eq!(meaning(&told(422, message)), meant, "{message}");
        }
    }

    #[test]
    fn only_what_cannot_have_been_done_is_simply_tried_again() {
        assert_eq!(verdict(&told(429, "")), Verdict::Later);
        assert_eq!(verdict(&told(500, "")), Verdict::Unclear);
        assert_eq!(verdict(&told(503, "")), Verdict::Unclear);
        assert_eq!(verdict(&told(422, "")), Verdict::Final);
    }

    #[test]
    fn of_a_link_only_the_pages_number_is_used() {
        let next = |link: &str| next_page(&json!({"links": {"pages": {"next": link}}}), 1);
        assert_eq!(next("https://api.digitalocean.com/v2/sizes?page=2&per_page=200"), Some(2));
        assert_eq!(next("https://elsewhere.example/?page=3"), Some(3));
        assert_eq!(next("https://api.digitalocean.com/v2/sizes"), Some(0));
        assert_eq!(next_page(&json!({"links": {}}), 1), None);
        assert_eq!(next_page(&json!({"meta": {"total": 0}}), 1), None);
    }
}
