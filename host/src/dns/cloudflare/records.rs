//! Records of a zone: found by name, made with our mark, changed and removed by id.

use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::dns::cloudflare::Cloudflare;
use crate::dns::cloudflare::dialect::{is_already_there, is_gone};
use crate::dns::cloudflare::wire::RecordFound;
use crate::dns::decision::{Step, decide};
use crate::dns::marker::Marker;
use crate::dns::{check_inside, check_ours, strangers};
use crate::model::dns::{DnsId, DnsName, DnsRecord, NewRecord, Zone, ZoneRef};
use crate::providers::ProviderError;
use crate::providers::cloud::answer::CallError;
use crate::providers::cloud::request::Request;

/// How often the records are looked at anew when they change under our hands.
const ROUNDS: u32 = 4;

impl Cloudflare {
    /// The records of exactly this name, of all kinds.
    pub(super) async fn records(
        &self,
        zone: &Zone,
        name: &DnsName,
    ) -> Result<Vec<DnsRecord>, ProviderError> {
        let path = format!("/zones/{}/dns_records", zone.id);
        let found: Vec<RecordFound> = self
            .list(&path, &[("name", name.as_str())])
            .await
            .map_err(|error| self.explain(&format!("look up `{name}`"), error))?;
        let found = found.into_iter().map(|record| record.seen_by(&self.owner));
        Ok(found.filter(|record| record.name == name.as_str()).collect())
    }

    /// Makes the name say what is wanted.
    pub(super) async fn make_so(
        &self,
        wanted: &NewRecord,
        marker: &Marker,
    ) -> Result<DnsRecord, ProviderError> {
        let zone = self.zone(&wanted.zone).await?;
        check_inside(&zone, &wanted.name)?;
        let body = body(wanted, marker);
        for round in 1..=ROUNDS {
            let there = self.records(&zone, &wanted.name).await?;
            let (record, stale) = match decide(&there, wanted) {
                Step::Refuse(others) => return Err(strangers(wanted, &others)),
                Step::Keep { record, stale } => (Some(record.clone()), stale),
                Step::Add => (self.add(&zone, wanted, &body).await?, Vec::new()),
                Step::Change { record, stale } => {
                    (self.change(&zone, &record.id, wanted, &body).await?, stale)
                }
            };
            if let Some(record) = record {
                for old in stale {
                    self.remove(&zone, &old.id).await?;
                }
                return Ok(record);
            }
            tracing::debug!(name = %wanted.name, round, "the records changed meanwhile");
            tokio::time::sleep(self.options.settles).await;
        }
        let message = format!(
            "could not make {} {} be `{}`: Cloudflare says that this record exists and does not \
             list it, or somebody changes it at the same time; try again in some minutes",
            wanted.content.kind(),
            wanted.name,
            wanted.content
        );
        Err(ProviderError::Unavailable { message })
    }

    /// Deletes a record that we made.
    pub(super) async fn delete_ours(
        &self,
        zone: &ZoneRef,
        id: &DnsId,
    ) -> Result<(), ProviderError> {
        let zone = self.zone(zone).await?;
        let Some(found) = self.found(&zone, id).await? else { return Ok(()) };
        check_ours(&found)?;
        self.remove(&zone, id).await
    }

    /// The record of this id, if there is one.
    pub(super) async fn found(
        &self,
        zone: &Zone,
        id: &DnsId,
    ) -> Result<Option<DnsRecord>, ProviderError> {
        let request = Request::get(format!("/zones/{}/dns_records/{id}", zone.id));
        match self.call::<RecordFound>(&request).await {
            Ok(found) => Ok(Some(found.seen_by(&self.owner))),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(self.explain(&format!("look at the record {id}"), error)),
        }
    }

    /// Adds a record, or nothing when there is one that says the same: perhaps our own, whose
    /// answer was lost. So a second one of these does no harm.
    async fn add(
        &self,
        zone: &Zone,
        wanted: &NewRecord,
        body: &Value,
    ) -> Result<Option<DnsRecord>, ProviderError> {
        let path = format!("/zones/{}/dns_records", zone.id);
        let request = Request::post(path, body.clone()).harmless_to_repeat();
        self.written(wanted, self.call(&request).await)
    }

    /// Changes a record, or nothing when it is gone, or another one says the same by now.
    async fn change(
        &self,
        zone: &Zone,
        id: &DnsId,
        wanted: &NewRecord,
        body: &Value,
    ) -> Result<Option<DnsRecord>, ProviderError> {
        let path = format!("/zones/{}/dns_records/{id}", zone.id);
        match self.call(&Request::put(path, body.clone())).await {
            Err(error) if is_gone(&error) => Ok(None),
            answer => self.written(wanted, answer),
        }
    }

    fn written(
        &self,
        wanted: &NewRecord,
        answer: Result<RecordFound, CallError>,
    ) -> Result<Option<DnsRecord>, ProviderError> {
        match answer {
            Ok(found) => Ok(Some(found.seen_by(&self.owner))),
            Err(error) if is_already_there(&error) => Ok(None),
            Err(error) => {
                let (kind, name) = (wanted.content.kind(), &wanted.name);
                Err(self.explain(&format!("write {kind} {name}"), error))
            }
        }
    }

    async fn remove(&self, zone: &Zone, id: &DnsId) -> Result<(), ProviderError> {
        let request = Request::delete(format!("/zones/{}/dns_records/{id}", zone.id));
        match self.call(&request).await {
            Ok(IgnoredAny) => Ok(()),
            Err(error) if is_gone(&error) => Ok(()),
            Err(error) => Err(self.explain(&format!("remove the record {id}"), error)),
        }
    }
}

/// The record as Cloudflare takes it. A proxied one has the lifetime that Cloudflare gives it.
fn body(wanted: &NewRecord, marker: &Marker) -> Value {
    json!({
        "type": wanted.content.kind(),
        "name": wanted.name,
        "content": wanted.content.to_string(),
        "ttl": if wanted.proxied { 1 } else { wanted.ttl.unwrap_or(1) },
        "proxied": wanted.proxied,
        "comment": marker.comment(&wanted.note),
    })
}
