//! Effects on names in zones.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::dns::Zones;
use crate::effects::Effect;
use crate::effects::apps;
use crate::effects::context::JobContext;
use crate::effects::grants::Grant;
use crate::model::app::AppDnsRecord;
use crate::model::dns::{DnsId, DnsName, DnsRecord, NewRecord, Zone, ZoneRef};
use crate::model::failure::Failure;
use crate::model::journal::Class;
use crate::model::names::Identity;
use crate::model::server::Server;

const GRANT: Grant<'_> = Grant { interface: "dns", server: None };

/// Lists the zones.
#[derive(Debug)]
pub struct ListZones;

impl Effect for ListZones {
    type Answer = Vec<Zone>;
    const FUNCTION: &'static str = "dns.zones";
    const CLASS: Class = Class::Read;

    fn needs(&self) -> Grant<'_> {
        GRANT
    }

    fn request(&self) -> Value {
        json!({})
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<Vec<Zone>, Failure> {
        Ok(zones_of(job).await?.zones().await?)
    }
}

/// Looks up the records of a name.
#[derive(Debug)]
pub struct LookUp {
    /// In which zone.
    pub zone: ZoneRef,
    /// The full name.
    pub name: DnsName,
}

impl Effect for LookUp {
    type Answer = Vec<DnsRecord>;
    const FUNCTION: &'static str = "dns.lookup";
    const CLASS: Class = Class::Read;

    fn needs(&self) -> Grant<'_> {
        GRANT
    }

    fn request(&self) -> Value {
        json!({ "zone": self.zone.to_string(), "name": self.name })
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<Vec<DnsRecord>, Failure> {
        Ok(zones_of(job).await?.lookup(&self.zone, &self.name).await?)
    }
}

/// Makes a name say something.
#[derive(Debug)]
pub struct UpsertRecord {
    /// What it is to say.
    pub wanted: NewRecord,
}

impl Effect for UpsertRecord {
    type Answer = DnsRecord;
    const FUNCTION: &'static str = "dns.upsert";
    const CLASS: Class = Class::Put;

    fn needs(&self) -> Grant<'_> {
        GRANT
    }

    fn changes_name(&self) -> Option<&DnsName> {
        Some(&self.wanted.name)
    }

    fn request(&self) -> Value {
        let wanted = &self.wanted;
        json!({
            "zone": wanted.zone.to_string(),
            "name": wanted.name,
            "kind": wanted.content.kind(),
            "content": wanted.content.to_string(),
            "proxied": wanted.proxied,
            "ttl": wanted.ttl,
            "comment": wanted.note,
            "force": wanted.force,
        })
    }

    async fn act(&self, job: &JobContext, identity: &Identity) -> Result<DnsRecord, Failure> {
        if self.wanted.force && job.grants().app().is_some() {
            let message = "an app may not take over a record that somebody else made: delete it \
                           by hand if it is not needed";
            return Err(Failure::unsafe_to_retry("access_denied", message));
        }
        let name = self.wanted.name.as_str();
        let is_simulated = check_owner(job, name, |it| it.name == name).await?;
        let zones = job.outside.domains.of(is_simulated).await?;
        let marker = job.outside.domains.marker(identity);
        let record = zones.upsert(&self.wanted, &marker).await?;
        apps::note_record(job, &self.wanted.zone, &record).await?;
        Ok(record)
    }
}

/// Deletes a record that this host made.
#[derive(Debug)]
pub struct DeleteRecord {
    /// In which zone.
    pub zone: ZoneRef,
    /// Which.
    pub id: DnsId,
}

impl Effect for DeleteRecord {
    type Answer = ();
    const FUNCTION: &'static str = "dns.delete";
    const CLASS: Class = Class::Delete;

    fn needs(&self) -> Grant<'_> {
        GRANT
    }

    fn request(&self) -> Value {
        json!({ "zone": self.zone.to_string(), "id": self.id })
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<(), Failure> {
        let zones = zones_of(job).await?;
        apps::check_record(job, &*zones, &self.zone, &self.id).await?;
        check_owner(job, self.id.as_str(), |it| it.id == self.id.as_str()).await?;
        zones.delete(&self.zone, &self.id).await?;
        apps::forget_record(job, &self.id).await
    }
}

/// Refuses a record, of which `value` is known, of another server or of an app on one. What is
/// simulated has zones of its own: answers whether the job's server is.
async fn check_owner(
    job: &JobContext,
    value: &str,
    is_it: impl Fn(&AppDnsRecord) -> bool,
) -> Result<bool, Failure> {
    let own = job.record.server.as_ref();
    let found = job.outside.store.dns_owners(value, own).await;
    let found = found.map_err(|error| Failure::safe("internal", error.to_string()))?;
    let is_simulated = found.servers.iter().any(|it| Some(&it.name) == own && it.simulated);
    let others = |it: &&Server| Some(&it.name) != own && it.simulated == is_simulated;
    for server in found.servers.iter().filter(others) {
        let mut records = server.dns_records();
        let of_apps = found.apps.iter().filter(|app| app.server == server.name);
        records.extend(of_apps.flat_map(|app| app.dns.iter().cloned()));
        if let Some(record) = records.iter().find(|&it| is_it(it)) {
            let message = format!(
                "{} belongs to the server `{}` of this host: choose another name, or remove what \
                 has it there",
                record.name, server.name
            );
            return Err(Failure::safe("name_taken", message));
        }
    }
    Ok(is_simulated)
}

/// The zones that the job works on: a job whose server is simulated needs no real ones.
async fn zones_of(job: &JobContext) -> Result<Arc<dyn Zones>, Failure> {
    let server = match &job.record.server {
        Some(name) => job.outside.store.server(name).await,
        None => Ok(None),
    };
    let server = server.map_err(|error| Failure::safe("internal", error.to_string()))?;
    job.outside.domains.of(server.is_some_and(|server| server.simulated)).await
}
