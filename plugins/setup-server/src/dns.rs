//! The names of a server, in a zone that the operator gave to the host.

use sdk::Failure;
use sdk::dns::{self, DnsRecord, NewRecord};
use sdk::job::{self, Level};
use sdk::serde_json::{Value, json};

/// Why a record cannot be made that is no fault of the setup: the host has no such zone.
const NOT_CONFIGURED: [&str; 4] =
    ["unsupported", "not_found", "provider_not_configured", "not_configured"];

/// What a server is called.
pub(crate) struct Names {
    /// The zone.
    pub(crate) zone: String,
    /// Portainer's whole name.
    pub(crate) portainer: String,
}

impl Names {
    /// The names in this zone, none without one.
    pub(crate) fn new(zone: Option<&str>, subdomain: Option<&str>) -> Option<Self> {
        let zone = zone?.to_owned();
        let portainer = match subdomain {
            Some(subdomain) => format!("ptn.{subdomain}.{zone}"),
            None => format!("ptn.{zone}"),
        };
        Some(Self { zone, portainer })
    }

    /// Makes the records, and answers them as the server's record keeps them.
    pub(crate) fn publish(
        &self,
        server: &str,
        ipv4: &str,
        ipv6: Option<&str>,
    ) -> Result<Vec<Value>, Failure> {
        let mut made = Vec::new();
        for (kind, content) in [("A", Some(ipv4)), ("AAAA", ipv6)] {
            let Some(content) = content else { continue };
            match self.upsert(server, kind, content) {
                Ok(record) => made.push(self.kept(&record)),
                Err(failure) if NOT_CONFIGURED.contains(&failure.code.as_str()) => {
                    let message = format!(
                        "{} gets no record: {}; make it by hand ({kind} {content}), or give this \
                         host the zone and run this again",
                        self.portainer, failure.message
                    );
                    job::log(Level::Warn, &message);
                    return Ok(made);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(made)
    }

    fn upsert(&self, server: &str, kind: &str, content: &str) -> Result<DnsRecord, Failure> {
        let there = dns::lookup(&self.zone, &self.portainer)?;
        let same = |it: &&DnsRecord| it.ours && it.kind == kind && it.content == content;
        if let Some(record) = there.iter().find(same) {
            let line = format!("nothing to do: {kind} {} is {content}", self.portainer);
            job::log(Level::Info, &line);
            return Ok(record.clone());
        }
        let record = dns::upsert(&NewRecord {
            zone: self.zone.clone(),
            name: self.portainer.clone(),
            kind: kind.to_owned(),
            content: content.to_owned(),
            options: vec![
                ("proxied".to_owned(), "false".to_owned()),
                ("comment".to_owned(), format!("server {server}")),
            ],
        })?;
        job::log(Level::Info, &format!("{kind} {} is {content}", self.portainer));
        Ok(record)
    }

    fn kept(&self, record: &DnsRecord) -> Value {
        json!({
            "zone": self.zone,
            "id": record.id,
            "name": record.name,
            "kind": record.kind,
            "content": record.content,
        })
    }
}
