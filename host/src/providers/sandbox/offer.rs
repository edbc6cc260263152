//! What the sandbox offers: a handful of sizes, places and images, with prices to look at.

use jiff::Timestamp;

use crate::model::catalogue::{Catalogue, Image, Location, Price, ServerType};
use crate::providers::{NewMachine, ProviderError};

/// Name, cores, memory in GB, disk in GB, architecture, price a month in EUR.
type Size = (&'static str, u32, f64, u32, &'static str, &'static str);

const SIZES: [Size; 6] = [
    ("cx23", 2, 4.0, 40, "x86", "4.15"),
    ("cx33", 4, 8.0, 80, "x86", "6.53"),
    ("cx43", 8, 16.0, 160, "x86", "11.29"),
    ("cpx22", 2, 4.0, 80, "x86", "7.72"),
    ("cax11", 2, 4.0, 40, "arm", "4.51"),
    ("cax21", 4, 8.0, 80, "arm", "7.72"),
];

/// Name, town, country.
const PLACES: [(&str, &str, &str); 4] = [
    ("nbg1", "Nuremberg", "DE"),
    ("fsn1", "Falkenstein", "DE"),
    ("hel1", "Helsinki", "FI"),
    ("ash", "Ashburn, VA", "US"),
];

/// Name, description.
const IMAGES: [(&str, &str); 3] = [
    ("debian-12", "Debian 12 (simulated)"),
    ("debian-13", "Debian 13 (simulated)"),
    ("ubuntu-24.04", "Ubuntu 24.04 (simulated)"),
];

/// Everything on offer.
pub(super) fn catalogue(fetched_at: Timestamp) -> Catalogue {
    let size = |&(name, cores, memory_gb, disk_gb, architecture, amount): &Size| ServerType {
        name: name.to_owned(),
        description: format!("{} (simulated, costs nothing)", name.to_uppercase()),
        cores,
        memory_gb,
        disk_gb,
        architecture: architecture.to_owned(),
        price_monthly: Some(Price { amount: amount.to_owned(), currency: "EUR".to_owned() }),
        available_in: places_with(architecture).map(str::to_owned).collect(),
        deprecated: false,
    };
    let place = |&(name, city, country): &(&str, &str, &str)| Location {
        name: name.to_owned(),
        description: format!("{city} (simulated)"),
        country: Some(country.to_owned()),
        city: Some(city.to_owned()),
    };
    let image = |&(name, description): &(&str, &str)| Image {
        name: name.to_owned(),
        description: description.to_owned(),
        architectures: vec!["x86".to_owned(), "arm".to_owned()],
        deprecated: false,
    };
    Catalogue {
        server_types: SIZES.iter().map(size).collect(),
        locations: PLACES.iter().map(place).collect(),
        images: IMAGES.iter().map(image).collect(),
        fetched_at,
    }
}

/// Refuses an order of what is not on offer.
pub(super) fn check(wanted: &NewMachine) -> Result<(), ProviderError> {
    let refused =
        |message: String| Err(ProviderError::Refused { code: "invalid_argument", message });
    let Some((_, _, _, _, architecture, _)) = size(&wanted.server_type) else {
        return refused(format!("the sandbox has no server type `{}`", wanted.server_type));
    };
    if !PLACES.iter().any(|(name, _, _)| *name == wanted.region) {
        return refused(format!("the sandbox has no location `{}`", wanted.region));
    }
    if !IMAGES.iter().any(|(name, _)| *name == wanted.image) {
        return refused(format!("the sandbox has no image `{}`", wanted.image));
    }
    if !places_with(architecture).any(|place| place == wanted.region) {
        let (size, place) = (&wanted.server_type, &wanted.region);
        return refused(format!("the sandbox has no `{size}` in `{place}`"));
    }
    Ok(())
}

/// How many processors a size has.
pub(super) fn cores(server_type: &str) -> u32 {
    size(server_type).map_or(1, |&(_, cores, ..)| cores)
}

/// What `uname -m` says on a size.
pub(super) fn machine(server_type: &str) -> &'static str {
    match size(server_type) {
        Some((_, _, _, _, "arm", _)) => "aarch64",
        _ => "x86_64",
    }
}

fn size(name: &str) -> Option<&'static Size> {
    SIZES.iter().find(|(found, ..)| *found == name)
}

/// There are no arm machines overseas.
fn places_with(architecture: &str) -> impl Iterator<Item = &'static str> {
    let is_arm = architecture == "arm";
    PLACES
        .iter()
        .filter(move |(_, _, country)| !is_arm || *country != "US")
        .map(|(name, _, _)| *name)
}
