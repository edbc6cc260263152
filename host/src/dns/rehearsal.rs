//! The zones of a rehearsal: the real ones are read, so that a name that somebody has is found to
//! be taken, and what would be written is kept here and nowhere else.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::dns::decision::{Step, decide};
use crate::dns::marker::Marker;
use crate::dns::{Zones, check_inside, strangers};
use crate::model::dns::{DnsId, DnsName, DnsRecord, NewRecord, Zone, ZoneRef};
use crate::providers::ProviderError;

/// Zones as they would be.
pub struct Rehearsal {
    real: Arc<dyn Zones>,
    made: Mutex<Vec<DnsRecord>>,
}

impl Rehearsal {
    /// These zones, with nothing done in them.
    pub fn of(real: Arc<dyn Zones>) -> Self {
        Self { real, made: Mutex::default() }
    }

    /// The zone that is meant, if the credentials reach it.
    async fn zone(&self, wanted: &ZoneRef) -> Result<Option<Zone>, ProviderError> {
        let zones = self.real.zones().await?;
        Ok(match wanted {
            ZoneRef::Id(id) => zones.into_iter().find(|zone| zone.id == *id),
            ZoneRef::Name(name) => {
                let found = name.upwards().find_map(|apex| zones.iter().find(|it| it.name == apex));
                found.cloned()
            }
        })
    }

    fn made(&self) -> std::sync::MutexGuard<'_, Vec<DnsRecord>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Zones for Rehearsal {
    async fn verify(&self) -> Result<(), ProviderError> {
        self.real.verify().await
    }

    async fn zones(&self) -> Result<Vec<Zone>, ProviderError> {
        self.real.zones().await
    }

    async fn lookup(
        &self,
        zone: &ZoneRef,
        name: &DnsName,
    ) -> Result<Vec<DnsRecord>, ProviderError> {
        let mut found = self.real.lookup(zone, name).await?;
        for made in self.made().iter().filter(|made| made.name == name.as_str()) {
            found.retain(|record| record.id != made.id);
            found.push(made.clone());
        }
        Ok(found)
    }

    async fn record(&self, zone: &ZoneRef, id: &DnsId) -> Result<Option<DnsRecord>, ProviderError> {
        let made = self.made().iter().find(|record| record.id == *id).cloned();
        match made {
            Some(record) => Ok(Some(record)),
            None => self.real.record(zone, id).await,
        }
    }

    async fn upsert(&self, wanted: &NewRecord, _: &Marker) -> Result<DnsRecord, ProviderError> {
        // A zone that there is not is refused in the words of whoever keeps the zones.
        let there = self.lookup(&wanted.zone, &wanted.name).await?;
        if let Some(zone) = self.zone(&wanted.zone).await? {
            check_inside(&zone, &wanted.name)?;
        }
        let id = match decide(&there, wanted) {
            Step::Refuse(others) => return Err(strangers(wanted, &others)),
            Step::Keep { record, .. } => return Ok(record.clone()),
            Step::Change { record, .. } => record.id.clone(),
            Step::Add => new_id(self.made().len())?,
        };
        let record = DnsRecord {
            id,
            name: wanted.name.to_string(),
            kind: wanted.content.kind().to_owned(),
            content: wanted.content.to_string(),
            proxied: wanted.proxied,
            ttl: wanted.ttl.unwrap_or(1),
            comment: None,
            ours: true,
            simulated: true,
        };
        let mut made = self.made();
        made.retain(|it| it.id != record.id);
        made.push(record.clone());
        Ok(record)
    }

    async fn delete(&self, _: &ZoneRef, id: &DnsId) -> Result<(), ProviderError> {
        self.made().retain(|record| record.id != *id);
        Ok(())
    }
}

fn new_id(made: usize) -> Result<DnsId, ProviderError> {
    let id = format!("rehearsed{made}").parse();
    id.map_err(|error: crate::model::dns::InvalidRecord| ProviderError::Refused {
        code: "invalid_argument",
        message: error.to_string(),
    })
}
