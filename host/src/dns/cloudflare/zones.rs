//! Zones by their names: the apex is what Cloudflare asks for, so the labels are walked upwards.

use crate::dns::cloudflare::Cloudflare;
use crate::dns::cloudflare::dialect::{is_gone, no_such_zone};
use crate::dns::cloudflare::wire::ZoneFound;
use crate::model::dns::{DnsId, DnsName, Zone, ZoneRef};
use crate::providers::ProviderError;
use crate::providers::cloud::request::Request;

impl Cloudflare {
    pub(super) async fn all_zones(&self) -> Result<Vec<Zone>, ProviderError> {
        let found: Vec<ZoneFound> = self
            .list("/zones", &[])
            .await
            .map_err(|error| self.explain("list the zones", error))?;
        Ok(found.into_iter().map(Zone::from).collect())
    }

    /// The zone that is named: by its id, or the nearest one that the name is in.
    pub(super) async fn zone(&self, zone: &ZoneRef) -> Result<Zone, ProviderError> {
        match zone {
            ZoneRef::Id(id) => self.zone_by_id(id).await,
            ZoneRef::Name(name) => self.zone_by_name(name).await,
        }
    }

    async fn zone_by_id(&self, id: &DnsId) -> Result<Zone, ProviderError> {
        match self.call::<ZoneFound>(&Request::get(format!("/zones/{id}"))).await {
            Ok(found) => Ok(found.into()),
            Err(error) if is_gone(&error) => Err(no_such_zone(id)),
            Err(error) => Err(self.explain(&format!("find the zone `{id}`"), error)),
        }
    }

    async fn zone_by_name(&self, name: &DnsName) -> Result<Zone, ProviderError> {
        for apex in name.upwards() {
            let found: Vec<ZoneFound> = self
                .list("/zones", &[("name", apex)])
                .await
                .map_err(|error| self.explain(&format!("find the zone of `{name}`"), error))?;
            let mut found: Vec<ZoneFound> =
                found.into_iter().filter(|zone| zone.name.eq_ignore_ascii_case(apex)).collect();
            if found.len() > 1 {
                return Err(ambiguous(apex, &found));
            }
            if let Some(zone) = found.pop() {
                return Ok(zone.into());
            }
        }
        Err(no_such_zone(name))
    }
}

impl From<ZoneFound> for Zone {
    fn from(found: ZoneFound) -> Self {
        Self { id: found.id, name: found.name.to_lowercase() }
    }
}

/// Accounts may hold a zone of one name each; which one counts, only its owner knows.
fn ambiguous(apex: &str, found: &[ZoneFound]) -> ProviderError {
    let named: Vec<String> = found
        .iter()
        .map(|zone| {
            let account = zone.account.as_ref().and_then(|account| account.name.as_deref());
            let account: String = account.unwrap_or("?").chars().take(60).collect();
            format!("{} in the account `{}`", zone.id, account.escape_debug())
        })
        .collect();
    ProviderError::Conflict {
        message: format!(
            "the credentials reach {} zones named `{apex}` ({}): name the one that is meant by its \
             id, or give the host a token for that account alone",
            found.len(),
            named.join(", ")
        ),
    }
}
