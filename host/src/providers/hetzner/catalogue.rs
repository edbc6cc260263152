//! What Hetzner offers, in our words.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::catalogue::{Catalogue, Image, Location, Price, ServerType};
use crate::providers::ProviderError;
use crate::providers::cloud::answer::CallError;
use crate::providers::cloud::request::Request;
use crate::providers::hetzner::Hetzner;
use crate::providers::hetzner::dialect::explain;
use crate::providers::hetzner::wire;

impl Hetzner {
    pub(super) async fn fetch_catalogue(&self) -> Result<Catalogue, ProviderError> {
        let now = Timestamp::now();
        let pricing = Request::get("/pricing");
        let system = [("type", "system"), ("status", "available")];
        let fetched = tokio::try_join!(
            self.cloud.call::<wire::Pricing>(&pricing),
            self.cloud.list::<wire::ServerType>("/server_types", &[], "server_types"),
            self.cloud.list::<wire::Location>("/locations", &[], "locations"),
            self.cloud.list::<wire::Image>("/images", &system, "images"),
        );
        let (pricing, types, locations, images) =
            fetched.map_err(|error: CallError| explain("fetch what is on offer", error))?;
        let currency = &pricing.pricing.currency;
        Ok(Catalogue {
            server_types: types
                .into_iter()
                .filter_map(|offered| server_type(offered, currency, now))
                .collect(),
            locations: locations.into_iter().map(location).collect(),
            images: grouped(images),
            fetched_at: now,
        })
    }
}

/// The type in our words, or none when it is off sale everywhere.
fn server_type(offered: wire::ServerType, currency: &str, now: Timestamp) -> Option<ServerType> {
    let off_sale = |place: &wire::TypeLocation| {
        place.deprecation.as_ref().is_some_and(|deprecation| deprecation.unavailable_after <= now)
    };
    let on_sale: Vec<_> = offered.locations.iter().filter(|place| !off_sale(place)).collect();
    if on_sale.is_empty() {
        return None;
    }
    let available_in: Vec<String> =
        on_sale.iter().filter(|place| place.available).map(|place| place.name.clone()).collect();
    Some(ServerType {
        price_monthly: cheapest(&offered.prices, &available_in, currency),
        available_in,
        deprecated: on_sale.iter().all(|place| place.deprecation.is_some()),
        name: offered.name,
        description: offered.description,
        cores: whole(offered.cores),
        memory_gb: offered.memory,
        disk_gb: whole(offered.disk),
        architecture: offered.architecture,
    })
}

fn cheapest(prices: &[wire::LocationPrice], places: &[String], currency: &str) -> Option<Price> {
    let amounts =
        prices.iter().filter(|price| places.contains(&price.location)).filter_map(|price| {
            let gross = price.price_monthly.gross.as_str();
            Some((gross.parse::<f64>().ok()?, gross))
        });
    let (_, gross) = amounts.min_by(|(one, _), (other, _)| one.total_cmp(other))?;
    Some(Price { amount: trimmed(gross), currency: currency.to_owned() })
}

/// The number without the zeros that say nothing, but with two decimals at least.
fn trimmed(number: &str) -> String {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    format!("{whole}.{:0<2}", decimals.trim_end_matches('0'))
}

/// A count, which the API writes as a number that might have decimals.
fn whole(number: f64) -> u32 {
    format!("{number:.0}").parse().unwrap_or_default()
}

fn location(offered: wire::Location) -> Location {
    Location {
        name: offered.name,
        description: offered.description,
        country: offered.country,
        city: offered.city,
    }
}

/// One image a name: Hetzner has one for each architecture. Those without a name cannot be asked
/// for by name.
fn grouped(images: Vec<wire::Image>) -> Vec<Image> {
    let mut by_name: BTreeMap<String, Image> = BTreeMap::new();
    for offered in images {
        let Some(name) = offered.name else { continue };
        let image = by_name.entry(name.clone()).or_insert_with(|| Image {
            name,
            description: offered.description,
            architectures: Vec::new(),
            deprecated: false,
        });
        image.deprecated |= offered.deprecated.is_some();
        if !image.architectures.contains(&offered.architecture) {
            image.architectures.push(offered.architecture);
        }
    }
    by_name.into_values().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prices_keep_their_cents_and_lose_their_zeros() {
        assert_eq!(trimmed("4.1500000000000000"), "4.15");
        assert_eq!(trimmed("5.9976"), "5.9976");
        assert_eq!(trimmed("4.5"), "4.50");
        assert_eq!(trimmed("4"), "4.00");
    }

    #[test]
    fn the_locations_of_a_type_say_where_it_is_to_be_had() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let price = |location: &str, gross: &str| {
            json!({"location": location,
            "price_monthly": {"net": "1", "gross": gross}})
        };
        let gone = json!({"announced": "2025-10-16T00:00:00Z",
            "unavailable_after": "2026-01-01T00:00:00Z"});
        let offered = json!({
            "name": "cx23", "description": "CX23", "cores": 2, "memory": 4.0, "disk": 40,
            "architecture": "x86",
            "prices": [price("fsn1", "1.0"), price("nbg1", "10.1"), price("hel1", "9.90")],
            "locations": [
                {"name": "fsn1", "deprecation": gone, "available": true},
                {"name": "ash", "deprecation": null, "available": false},
                {"name": "nbg1", "deprecation": null, "available": true},
                {"name": "hel1", "deprecation": null},
            ],
        });
        let offered = serde_json::from_value(offered).unwrap();
        let found = server_type(offered, "EUR", now).unwrap();
        assert_eq!(found.available_in, ["nbg1", "hel1"]);
        assert_eq!(found.price_monthly.unwrap().amount, "9.90");
        assert!(!found.deprecated);
        assert_eq!((found.cores, found.disk_gb), (2, 40));
    }
}
