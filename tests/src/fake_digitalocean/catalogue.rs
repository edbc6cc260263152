//! What the fake has on offer: sizes, regions, images.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::Shared;
use super::answers::{Listing, Refusal};
use crate::fake_cloud::{Query, Trouble};

/// Slug, name, whether droplets can be made there.
const REGIONS: [(&str, &str, bool); 5] = [
    ("nyc1", "New York 1", true),
    ("nyc2", "New York 2", false),
    ("nyc3", "New York 3", true),
    ("ams3", "Amsterdam 3", true),
    ("fra1", "Frankfurt 1", true),
];

/// Slug, processors, memory in MB, disk, monthly price, and where it is to be had. A `!` before the
/// slug: no longer sold. A `~` before a region: only the size says so, the region does not.
type Row = (&'static str, u32, u32, u32, f64, &'static [&'static str]);

const SIZES: [Row; 6] = [
    ("s-1vcpu-512mb-10gb", 1, 512, 10, 4.0, &["nyc1", "ams3", "fra1"]),
    ("s-1vcpu-1gb", 1, 1024, 25, 6.0, &["nyc1", "nyc2", "nyc3", "ams3", "fra1"]),
    ("s-2vcpu-4gb", 2, 4096, 80, 24.0, &["nyc1", "nyc3", "~ams3", "fra1"]),
    ("c-2", 2, 4096, 25, 42.0, &["nyc3"]),
    ("!512mb", 1, 512, 20, 5.0, &["nyc1"]),
    ("gpu-h100x1-80gb", 20, 245_760, 720, 2522.16, &["nyc3"]),
];

/// Slug, distribution, name, status.
const IMAGES: [(&str, &str, &str, &str); 5] = [
    ("debian-12-x64", "Debian", "12 x64", "available"),
    ("debian-13-x64", "Debian", "13 x64", "available"),
    ("ubuntu-22-04-x64", "Ubuntu", "22.04 (LTS) x64", "available"),
    ("ubuntu-24-04-x64", "Ubuntu", "24.04 (LTS) x64", "available"),
    ("fedora-40-x64", "Fedora", "40 x64", "retired"),
];

/// All that there is to be had, as the API shows it.
pub(super) struct Offer {
    pub(super) sizes: Vec<Value>,
    pub(super) regions: Vec<Value>,
    pub(super) images: Vec<Value>,
}

impl Offer {
    pub(super) fn new(extra_sizes: usize) -> Self {
        let mut sizes: Vec<Value> = SIZES.iter().map(|row| size(row.0, row)).collect();
        let extra = (1..=extra_sizes).map(|n| size(&format!("extra-{n:03}"), &SIZES[1]));
        sizes.extend(extra);
        let regions = REGIONS.iter().map(|region| self::region(region, &sizes)).collect();
        let images = IMAGES.iter().enumerate().map(|(number, row)| image(number, row)).collect();
        Self { sizes, regions, images }
    }

    pub(super) fn size(&self, slug: &str) -> Option<&Value> {
        self.sizes.iter().find(|size| size["slug"] == slug)
    }

    pub(super) fn region(&self, slug: &str) -> Option<&Value> {
        self.regions.iter().find(|region| region["slug"] == slug)
    }

    pub(super) fn image(&self, slug: &str) -> Option<&Value> {
        self.images.iter().find(|image| image["slug"] == slug)
    }
}

pub(super) async fn sizes(
    State(shared): State<Arc<Shared>>,
    Extension(trouble): Extension<Option<Trouble>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let query = Query::new(query);
    let url = format!("{}/v2/sizes", shared.url);
    let listing = Listing { url, query: &query, trouble: &trouble };
    listing.page("sizes", &shared.account().offer.sizes)
}

pub(super) async fn regions(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let query = Query::new(query);
    let url = format!("{}/v2/regions", shared.url);
    let listing = Listing { url, query: &query, trouble: &None };
    listing.page("regions", &shared.account().offer.regions)
}

pub(super) async fn images(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let query = Query::new(query);
    let mut images = shared.account().offer.images.clone();
    if query.first("type") != Some("distribution") {
        images.push(application());
    }
    let url = format!("{}/v2/images", shared.url);
    Listing { url, query: &query, trouble: &None }.page("images", &images)
}

fn size(slug: &str, row: &Row) -> Value {
    let (_, vcpus, memory, disk, price, places) = *row;
    let places: Vec<&str> = places.iter().map(|place| place.trim_start_matches('~')).collect();
    json!({
        "slug": slug.trim_start_matches('!'),
        "memory": memory,
        "vcpus": vcpus,
        "disk": disk,
        "transfer": 1.0,
        "price_monthly": price,
        "price_hourly": price / 672.0,
        "regions": places,
        "available": !slug.starts_with('!'),
        "description": "Basic",
    })
}

fn region((slug, name, available): &(&str, &str, bool), sizes: &[Value]) -> Value {
    let denied = format!("~{slug}");
    let denies = |size: &Value| {
        SIZES.iter().any(|row| size["slug"] == row.0 && row.5.contains(&denied.as_str()))
    };
    let has = |size: &&Value| {
        size["regions"].as_array().unwrap().iter().any(|place| place == slug) && !denies(size)
    };
    let sizes: Vec<&Value> =
        sizes.iter().filter(|size| *available && has(size)).map(|size| &size["slug"]).collect();
    json!({
        "slug": slug,
        "name": name,
        "features": ["backups", "ipv6", "metadata", "storage"],
        "available": available,
        "sizes": sizes,
    })
}

fn image(number: usize, (slug, distribution, name, status): &(&str, &str, &str, &str)) -> Value {
    let regions: Vec<&str> = REGIONS.iter().map(|(slug, ..)| *slug).collect();
    json!({
        "id": 72_067_000 + number,
        "name": name,
        "type": "base",
        "distribution": distribution,
        "slug": slug,
        "public": true,
        "regions": regions,
        "created_at": "2025-01-01T00:00:00Z",
        "min_disk_size": if *slug == "fedora-40-x64" { 15 } else { 7 },
        "size_gigabytes": 0.52,
        "description": format!("{distribution} {name}"),
        "tags": [],
        "status": status,
    })
}

/// An image that is no system.
fn application() -> Value {
    let mut image = image(900, &("docker-20-04", "Ubuntu", "Docker 20.04", "available"));
    image["type"] = json!("snapshot");
    image
}
