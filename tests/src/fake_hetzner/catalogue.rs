//! What the fake has on offer: types with their places and prices, places, images.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::Shared;
use super::answers::{Refusal, page};
use crate::fake_cloud::{Harm, Query, Trouble};

/// Name, network zone, country, town.
const LOCATIONS: [(&str, &str, &str, &str); 6] = [
    ("fsn1", "eu-central", "DE", "Falkenstein"),
    ("nbg1", "eu-central", "DE", "Nuremberg"),
    ("hel1", "eu-central", "FI", "Helsinki"),
    ("ash", "us-east", "US", "Ashburn, VA"),
    ("hil", "us-west", "US", "Hillsboro, OR"),
    ("sin", "ap-southeast", "SG", "Singapore"),
];

/// Name, cores, memory, disk, architecture, processors, monthly price in the cheapest place, and
/// where it is to be had. A `!` before a place: sold out there. A `~`: being withdrawn there.
type Size = (&'static str, u32, f64, u32, &'static str, &'static str, f64, &'static [&'static str]);

const SIZES: [Size; 7] = [
    ("cx23", 2, 4.0, 40, "x86", "shared", 3.49, &["fsn1", "nbg1", "hel1"]),
    ("cx33", 4, 8.0, 80, "x86", "shared", 5.49, &["!fsn1", "nbg1", "hel1"]),
    ("cx43", 8, 16.0, 160, "x86", "shared", 9.49, &["!fsn1", "!nbg1", "!hel1"]),
    ("cax11", 2, 4.0, 40, "arm", "shared", 3.79, &["fsn1", "!nbg1", "hel1"]),
    ("cpx22", 2, 4.0, 80, "x86", "shared", 6.49, &["fsn1", "nbg1", "hel1", "ash", "hil", "sin"]),
    ("cpx31", 4, 8.0, 160, "x86", "shared", 17.49, &["~ash", "~hil"]),
    ("ccx13", 2, 8.0, 80, "x86", "dedicated", 12.49, &["fsn1", "nbg1", "hel1", "ash", "sin"]),
];

const IMAGES: [(&str, &str, &str); 6] = [
    ("debian-12", "debian", "12"),
    ("debian-13", "debian", "13"),
    ("ubuntu-22.04", "ubuntu", "22.04"),
    ("ubuntu-24.04", "ubuntu", "24.04"),
    ("rocky-9", "rocky", "9"),
    ("fedora-41", "fedora", "41"),
];

/// All that there is to be had, as the API shows it.
pub(super) struct Offer {
    pub(super) server_types: Vec<Value>,
    pub(super) locations: Vec<Value>,
    pub(super) images: Vec<Value>,
}

impl Offer {
    pub(super) fn new(extra_images: usize) -> Self {
        let extra = (1..=extra_images).map(|n| (format!("extra-{n:03}"), "unknown", "1"));
        let usual =
            IMAGES.into_iter().map(|(name, flavor, version)| (name.to_owned(), flavor, version));
        let mut images = Vec::new();
        for (name, flavor, version) in usual.chain(extra) {
            for architecture in ["x86", "arm"] {
                let id = 100 + images.len();
                images.push(image(id, &name, (flavor, version), architecture));
            }
        }
        Self {
            server_types: SIZES.iter().enumerate().map(|(i, size)| server_type(i, size)).collect(),
            locations: (0..LOCATIONS.len()).map(location).collect(),
            images,
        }
    }

    pub(super) fn server_type(&self, name: &str) -> &Value {
        self.server_types.iter().find(|entry| entry["name"] == name).unwrap()
    }

    pub(super) fn location(&self, name: &str) -> &Value {
        self.locations.iter().find(|entry| entry["name"] == name).unwrap()
    }

    pub(super) fn image(&self, name: &str, architecture: &str) -> &Value {
        let is_it = |entry: &&Value| entry["name"] == name && entry["architecture"] == architecture;
        self.images.iter().find(is_it).unwrap()
    }
}

pub(super) async fn server_types(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let query = Query::new(query);
    let types = named(&shared.project().offer.server_types, &query);
    page("server_types", &types, &query)
}

pub(super) async fn locations(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let query = Query::new(query);
    let locations = named(&shared.project().offer.locations, &query);
    page("locations", &locations, &query)
}

pub(super) async fn images(
    State(shared): State<Arc<Shared>>,
    Extension(trouble): Extension<Option<Trouble>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let query = Query::new(query);
    let mut images = named(&shared.project().offer.images, &query);
    images.retain(|image| {
        let is = |field: &str| query.admits(field, image[field].as_str().unwrap());
        let hidden = query.first("include_deprecated") == Some("false");
        is("type")
            && is("status")
            && is("architecture")
            && (!hidden || image["deprecated"].is_null())
    });
    let Json(mut answer) = page("images", &images, &query)?;
    if matches!(trouble, Some(Trouble { harm: Harm::SamePage, .. })) {
        answer["meta"]["pagination"]["next_page"] = answer["meta"]["pagination"]["page"].clone();
    }
    Ok(Json(answer))
}

pub(super) async fn pricing(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let project = shared.project();
    let per_place = |both: bool| -> Vec<Value> {
        let place = |entry: &Value| {
            let mut price = json!({"location": entry["name"], "price_monthly": amount(0.5)});
            if both {
                price["price_hourly"] = amount(0.0008);
            }
            price
        };
        project.offer.locations.iter().map(place).collect()
    };
    let types =
        project.offer.server_types.iter().map(
            |entry| json!({"id": entry["id"], "name": entry["name"], "prices": entry["prices"]}),
        );
    Json(json!({"pricing": {
        "currency": "EUR",
        "vat_rate": "19.00",
        "primary_ips": [
            {"type": "ipv4", "prices": per_place(true)},
            {"type": "ipv6", "prices": per_place(true)},
        ],
        "floating_ip": {"price_monthly": amount(3.0)},
        "floating_ips": [{"type": "ipv4", "prices": per_place(false)}],
        "image": {"price_per_gb_month": amount(0.011)},
        "volume": {"price_per_gb_month": amount(0.044)},
        "server_backup": {"percentage": "20.00"},
        "server_types": types.collect::<Vec<_>>(),
        "load_balancer_types": [],
    }}))
}

fn named(entries: &[Value], query: &Query) -> Vec<Value> {
    let admitted = |entry: &&Value| query.admits("name", entry["name"].as_str().unwrap());
    entries.iter().filter(admitted).cloned().collect()
}

fn server_type(position: usize, size: &Size) -> Value {
    let (name, cores, memory, disk, architecture, processors, price, places) = *size;
    let mut prices = Vec::new();
    let mut locations = Vec::new();
    for marked in places {
        let place = marked.trim_start_matches(['!', '~']);
        let number = LOCATIONS.iter().position(|(name, ..)| *name == place).unwrap();
        let dearer = if number < 3 { 1.0 } else { 1.3 };
        prices.push(json!({
            "location": place,
            "price_hourly": amount(price * dearer / 600.0),
            "price_monthly": amount(price * dearer),
            "included_traffic": 21_990_232_555_520_u64,
            "price_per_tb_traffic": amount(1.0),
        }));
        let withdrawn = marked.starts_with('~').then(|| {
            json!({"announced": "2026-09-01T00:00:00Z", "unavailable_after": "2099-01-01T00:00:00Z"})
        });
        locations.push(json!({
            "id": number + 1,
            "name": place,
            "deprecation": withdrawn,
            "available": !marked.starts_with('!'),
            "recommended": number == 0,
        }));
    }
    json!({
        "id": position + 1,
        "name": name,
        "description": name.to_uppercase(),
        "cores": cores,
        "memory": memory,
        "disk": disk,
        "deprecated": false,
        "prices": prices,
        "storage_type": "local",
        "cpu_type": processors,
        "category": "Shared vCPU",
        "architecture": architecture,
        "deprecation": null,
        "locations": locations,
    })
}

fn location(position: usize) -> Value {
    let (name, zone, country, city) = LOCATIONS[position];
    json!({
        "id": position + 1,
        "name": name,
        "description": format!("{city} DC Park 1"),
        "country": country,
        "city": city,
        "latitude": 50.47612,
        "longitude": 12.370071,
        "network_zone": zone,
    })
}

fn image(id: usize, name: &str, (flavor, version): (&str, &str), architecture: &str) -> Value {
    json!({
        "id": id,
        "type": "system",
        "status": "available",
        "name": name,
        "description": name,
        "image_size": null,
        "disk_size": 5,
        "created": "2025-01-01T00:00:00Z",
        "created_from": null,
        "bound_to": null,
        "os_flavor": flavor,
        "os_version": version,
        "rapid_deploy": true,
        "protection": {"delete": false},
        "deprecated": (name == "fedora-41").then_some("2026-10-01T00:00:00Z"),
        "deleted": null,
        "labels": {},
        "architecture": architecture,
    })
}

/// A price net and gross, with as many zeros as the API writes.
fn amount(net: f64) -> Value {
    json!({"net": format!("{net:.4}000000"), "gross": format!("{:.4}000000000000", net * 1.19)})
}
