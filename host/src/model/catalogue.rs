//! What a provider offers: server types, locations, images.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A size of server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServerType {
    /// What to put in `server_type`.
    #[schema(example = "cx23")]
    pub name: String,
    /// The provider's own words.
    pub description: String,
    /// Virtual processors.
    pub cores: u32,
    /// Memory, in GB of the provider's counting.
    pub memory_gb: f64,
    /// Disk, in GB.
    pub disk_gb: u32,
    /// `x86` or `arm`.
    pub architecture: String,
    /// The cheapest monthly price among the places that have it.
    pub price_monthly: Option<Price>,
    /// The places that have it now.
    pub available_in: Vec<String>,
    /// Whether the provider is about to withdraw it.
    pub deprecated: bool,
}

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Price {
    /// Decimal number, gross.
    #[schema(example = "4.15")]
    pub amount: String,
    /// ISO 4217.
    #[schema(example = "EUR")]
    pub currency: String,
}

/// A place where servers can stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Location {
    /// What to put in `region`.
    #[schema(example = "nbg1")]
    pub name: String,
    /// The provider's own words.
    pub description: String,
    /// ISO 3166 country code, where told.
    pub country: Option<String>,
    /// Town, where told.
    pub city: Option<String>,
}

/// A system image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Image {
    /// What to put in `image`.
    #[schema(example = "debian-12")]
    pub name: String,
    /// The provider's own words.
    pub description: String,
    /// The architectures there are: `x86`, `arm`.
    pub architectures: Vec<String>,
    /// Whether the provider is about to withdraw it.
    pub deprecated: bool,
}

/// All that a provider offers, as of one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Catalogue {
    /// Sizes.
    pub server_types: Vec<ServerType>,
    /// Places.
    pub locations: Vec<Location>,
    /// Images.
    pub images: Vec<Image>,
    /// When the provider was asked.
    pub fetched_at: Timestamp,
}
