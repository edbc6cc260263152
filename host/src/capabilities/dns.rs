//! The `dns` interface.

use bindings::windlass::plugin::dns::{self, Host};
use bindings::windlass::plugin::types::{Failure, Property};
use wasmtime::Result as Trap;

use crate::capabilities::{Capabilities, invalid, parsed};
use crate::effects::dns::{DeleteRecord, ListZones, LookUp, UpsertRecord};
use crate::model::dns::{Content, DnsRecord, NewRecord};

/// The longest remark that is taken, in bytes. The provider keeps less.
const LONGEST_NOTE: usize = 1_000;

impl Host for Capabilities {
    async fn zones(&mut self) -> Trap<Result<Vec<dns::Zone>, Failure>> {
        let zones = self.perform(ListZones).await?;
        let zone =
            |zone: crate::model::dns::Zone| dns::Zone { id: zone.id.into(), name: zone.name };
        Ok(zones.map(|zones| zones.into_iter().map(zone).collect()))
    }

    async fn lookup(
        &mut self,
        zone: String,
        name: String,
    ) -> Trap<Result<Vec<dns::DnsRecord>, Failure>> {
        let effect = LookUp { zone: parsed!(&zone), name: parsed!(&name) };
        let found = self.perform(effect).await?;
        Ok(found.map(|records| records.into_iter().map(record).collect()))
    }

    async fn upsert(&mut self, wanted: dns::NewRecord) -> Trap<Result<dns::DnsRecord, Failure>> {
        let wanted = match new_record(&wanted) {
            Ok(wanted) => wanted,
            Err(failure) => return Ok(Err(failure)),
        };
        Ok(self.perform(UpsertRecord { wanted }).await?.map(record))
    }

    async fn delete(&mut self, zone: String, id: String) -> Trap<Result<(), Failure>> {
        self.perform(DeleteRecord { zone: parsed!(&zone), id: parsed!(&id) }).await
    }
}

/// What the plugin wants, checked. Options of a later contract are ignored.
fn new_record(wanted: &dns::NewRecord) -> Result<NewRecord, Failure> {
    let content = Content::parse(&wanted.kind, &wanted.content)
        .map_err(|error| invalid(&error.to_string()))?;
    let mut new = NewRecord {
        zone: crate::capabilities::parse(&wanted.zone)?,
        name: crate::capabilities::parse(&wanted.name)?,
        content,
        proxied: false,
        ttl: None,
        note: String::new(),
        force: false,
    };
    for (name, value) in &wanted.options {
        match name.as_str() {
            "proxied" => new.proxied = flag(name, value)?,
            "force" => new.force = flag(name, value)?,
            "ttl" => new.ttl = Some(seconds(value)?),
            "comment" if value.len() > LONGEST_NOTE => {
                return Err(invalid("the option `comment` is too long: use one short line"));
            }
            "comment" => new.note.clone_from(value),
            _ => {}
        }
    }
    if new.proxied && matches!(new.content, Content::Txt(_)) {
        return Err(invalid("a TXT record cannot be proxied: only A, AAAA and CNAME can"));
    }
    Ok(new)
}

fn flag(name: &str, value: &str) -> Result<bool, Failure> {
    value.parse().map_err(|_other| invalid(&format!("the option `{name}` is `true` or `false`")))
}

fn seconds(value: &str) -> Result<u32, Failure> {
    let seconds = value.parse().ok().filter(|ttl| *ttl == 1 || (30..=86_400).contains(ttl));
    seconds.ok_or_else(|| {
        invalid("the option `ttl` is a number of seconds from 60 to 86400, or 1 for automatic")
    })
}

fn record(record: DnsRecord) -> dns::DnsRecord {
    let mut properties: Vec<Property> = vec![
        ("proxied".to_owned(), record.proxied.to_string()),
        ("ttl".to_owned(), record.ttl.to_string()),
        ("simulated".to_owned(), record.simulated.to_string()),
    ];
    properties.extend(record.comment.map(|comment| ("comment".to_owned(), comment)));
    dns::DnsRecord {
        id: record.id.into(),
        name: record.name,
        kind: record.kind,
        content: record.content,
        ours: record.ours,
        properties,
    }
}
