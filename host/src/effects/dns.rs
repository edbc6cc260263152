//! Effects on names in zones.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::dns::Zones;
use crate::effects::Effect;
use crate::effects::context::JobContext;
use crate::effects::grants::Grant;
use crate::model::dns::{DnsId, DnsName, DnsRecord, NewRecord, Zone, ZoneRef};
use crate::model::failure::Failure;
use crate::model::journal::Class;
use crate::model::names::Identity;

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
        let marker = job.outside.domains.marker(identity);
        Ok(zones_of(job).await?.upsert(&self.wanted, &marker).await?)
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
        Ok(zones_of(job).await?.delete(&self.zone, &self.id).await?)
    }
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
