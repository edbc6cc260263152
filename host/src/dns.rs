//! Names in zones that the operator gave to the host: one trait, one file a keeper of zones.

pub mod cloudflare;
pub mod decision;
pub mod domains;
pub mod marker;
pub mod rehearsal;
pub mod sandbox;

use async_trait::async_trait;

use crate::dns::marker::Marker;
use crate::model::dns::{DnsId, DnsName, DnsRecord, NewRecord, Zone, ZoneRef};
use crate::providers::ProviderError;

/// What a keeper of zones can do. Every call retries by itself what can be retried without harm,
/// and ends within its time-out. Doing any of them again does no harm.
#[async_trait]
pub trait Zones: Send + Sync {
    /// Checks the credentials with one cheap call, within 2 s.
    async fn verify(&self) -> Result<(), ProviderError>;

    /// All zones that the credentials reach.
    async fn zones(&self) -> Result<Vec<Zone>, ProviderError>;

    /// The records of exactly this name, of all kinds.
    async fn lookup(&self, zone: &ZoneRef, name: &DnsName)
    -> Result<Vec<DnsRecord>, ProviderError>;

    /// The record of this id, whoever made it; none when it is gone.
    async fn record(&self, zone: &ZoneRef, id: &DnsId) -> Result<Option<DnsRecord>, ProviderError>;

    /// Makes or changes our record of this name and kind, marked so. Somebody else's is
    /// [`ProviderError::Conflict`] unless it says what is wanted already, or `force` is said.
    async fn upsert(&self, wanted: &NewRecord, marker: &Marker)
    -> Result<DnsRecord, ProviderError>;

    /// Deletes a record of ours; one that is gone already is success.
    async fn delete(&self, zone: &ZoneRef, id: &DnsId) -> Result<(), ProviderError>;
}

/// Refuses a name that is not in the zone that it is to be written to.
fn check_inside(zone: &Zone, name: &DnsName) -> Result<(), ProviderError> {
    if name.is_in(&zone.name) {
        return Ok(());
    }
    let message = format!("`{name}` is not in the zone `{}`: use a name that ends so", zone.name);
    Err(ProviderError::Refused { code: "invalid_argument", message })
}

/// Refuses to delete what somebody else made.
fn check_ours(record: &DnsRecord) -> Result<(), ProviderError> {
    if record.ours {
        return Ok(());
    }
    let message = format!(
        "this host did not make the record {}, so it does not delete it: remove it by hand if it \
         should go",
        shown(record)
    );
    Err(ProviderError::Conflict { message })
}

/// The refusal to change what somebody else made.
fn strangers(wanted: &NewRecord, there: &[&DnsRecord]) -> ProviderError {
    let named: Vec<String> = there.iter().take(5).map(|record| shown(record)).collect();
    let message = format!(
        "cannot make {} {} be `{}`: there is {}, which this host did not make; remove that, choose \
         another name, or use `force` to take it over",
        wanted.content.kind(),
        wanted.name,
        wanted.content,
        named.join(" and ")
    );
    ProviderError::Conflict { message }
}

/// A record as messages name it.
fn shown(record: &DnsRecord) -> String {
    let content: String = record.content.chars().take(100).collect();
    format!(
        "{} {} `{}` (id {})",
        record.kind,
        record.name.escape_debug(),
        content.escape_debug(),
        record.id
    )
}
