//! Setting a server up for apps.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::app::access::Operator;
use crate::app::servers::{RequestKey, Wish, busy};
use crate::error::{Error, FieldError};
use crate::model::dns::DnsName;
use crate::model::names::{JobId, ServerName};
use crate::model::server::{ServerStatus, domain_asked};
use crate::storage::ServerChange;

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct WantedSetup {
    /// Whom the certificates' maker writes to.
    pub ssl_email: String,
    /// The zone of its names.
    pub zone_name: Option<String>,
    /// What stands between its names and the zone.
    pub subdomain: Option<String>,
    /// Its timezone.
    pub timezone: String,
    /// The network that its apps share.
    pub network_name: String,
}

impl Operator {
    /// Makes a job that sets a server up. One that is still being created is waited for.
    #[tracing::instrument(skip_all, fields(server = %name))]
    pub async fn setup_server(
        &self,
        name: ServerName,
        wanted: WantedSetup,
        key: Option<RequestKey>,
    ) -> Result<JobId, Error> {
        check(&wanted)?;
        if self.app.known_server(&name).await?.status == ServerStatus::Deleting {
            return Err(busy(&name, "is being deleted"));
        }
        let mut params = json!({
            "name": name,
            "ssl_email": wanted.ssl_email,
            "timezone": wanted.timezone,
            "network_name": wanted.network_name,
        });
        for (field, value) in [("zone_name", wanted.zone_name), ("subdomain", wanted.subdomain)] {
            if let (Value::Object(fields), Some(value)) = (&mut params, value) {
                fields.insert(field.to_owned(), Value::String(value.to_ascii_lowercase()));
            }
        }
        let domain = domain_asked(&params);
        let (change, now) =
            (ServerChange::SettingUp { server: name.clone(), domain }, Timestamp::now());
        self.submit("setup_server", Wish { server: name, params, change, key, now }).await
    }
}

/// Says now what would go wrong in ten minutes.
fn check(wanted: &WantedSetup) -> Result<(), Error> {
    let mut wrong = Vec::new();
    let mut field = |pointer: &str, message: String| {
        wrong.push(FieldError { pointer: pointer.to_owned(), message });
    };
    if !is_email(&wanted.ssl_email) {
        let shown = shown(&wanted.ssl_email);
        field(
            "/ssl_email",
            format!("`{shown}` is no e-mail address: use one such as admin@example.com."),
        );
    }
    if let Some(zone) = &wanted.zone_name
        && !is_name(zone)
    {
        let shown = shown(zone);
        field("/zone_name", format!("`{shown}` is no zone: use one such as example.com."));
    }
    match (&wanted.subdomain, &wanted.zone_name) {
        (Some(_), None) => {
            field("/subdomain", "A subdomain is one of a zone: say its zone_name too.".to_owned());
        }
        (Some(subdomain), Some(zone)) if !is_name(&format!("ptn.{subdomain}.{zone}")) => {
            let shown = shown(subdomain);
            field("/subdomain", format!("`{shown}` is no subdomain: use one such as lab."));
        }
        _ => {}
    }
    if wrong.is_empty() { Ok(()) } else { Err(Error::invalid_fields(&wrong)) }
}

/// Whether certificates' makers would take it: one plain address at a name with a dot.
fn is_email(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._%+-".contains(c);
    text.split_once('@').is_some_and(|(person, place)| {
        (1..=64).contains(&person.len()) && person.chars().all(allowed) && is_name(place)
    })
}

/// A name of at least two labels.
fn is_name(text: &str) -> bool {
    let is_host = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    text.contains('.') && text.chars().all(is_host) && text.parse::<DnsName>().is_ok()
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_no_mail_reaches_are_refused() {
        assert!(is_email("ops+acme@mail.example.com"));
        for text in
            ["", "a", "a@b", "@example.com", "a b@example.com", "a@b@c.de", "a@-x.de", "a@.de"]
        {
            assert!(!is_email(text), "{text}");
        }
    }
}
