//! What DigitalOcean offers, in our words.

use jiff::Timestamp;

use crate::model::catalogue::{Catalogue, Image, Location, Price, ServerType};
use crate::providers::ProviderError;
use crate::providers::digitalocean::DigitalOcean;
use crate::providers::digitalocean::dialect::explain;
use crate::providers::digitalocean::orders::is_gpu;
use crate::providers::digitalocean::wire;

impl DigitalOcean {
    pub(super) async fn fetch_catalogue(&self) -> Result<Catalogue, ProviderError> {
        let systems = [("type", "distribution")];
        let fetched = tokio::try_join!(
            self.cloud.list::<wire::Size>("/sizes", &[], "sizes"),
            self.cloud.list::<wire::Region>("/regions", &[], "regions"),
            self.cloud.list::<wire::Image>("/images", &systems, "images"),
        );
        let (sizes, mut regions, images) =
            fetched.map_err(|error| explain("fetch what is on offer", error))?;
        regions.retain(|region| region.available);
        Ok(Catalogue {
            server_types: sizes
                .into_iter()
                .filter(|size| !is_gpu(&size.slug))
                .map(|size| server_type(size, &regions))
                .collect(),
            locations: regions.into_iter().map(location).collect(),
            images: images.into_iter().filter_map(image).collect(),
            fetched_at: Timestamp::now(),
        })
    }
}

/// The size in our words. It is to be had where the size says so, the region says so, and both
/// are open.
fn server_type(size: wire::Size, regions: &[wire::Region]) -> ServerType {
    let has_it = |region: &&wire::Region| {
        size.available && size.regions.contains(&region.slug) && region.sizes.contains(&size.slug)
    };
    let available_in = regions.iter().filter(has_it).map(|region| region.slug.clone()).collect();
    ServerType {
        available_in,
        description: size.description,
        cores: size.vcpus,
        memory_gb: size.memory / 1024.0,
        disk_gb: size.disk,
        // DigitalOcean has no other.
        architecture: "x86".to_owned(),
        price_monthly: Some(Price {
            amount: format!("{:.2}", size.price_monthly),
            currency: "USD".to_owned(),
        }),
        deprecated: !size.available,
        name: size.slug,
    }
}

fn location(region: wire::Region) -> Location {
    Location { name: region.slug, description: region.name, country: None, city: None }
}

/// The image in our words; none when it cannot be asked for by name, or is to be had nowhere.
fn image(offered: wire::Image) -> Option<Image> {
    let deprecated = offered.status == "retired";
    if offered.regions.is_empty() || !(deprecated || offered.status == "available") {
        return None;
    }
    Some(Image {
        name: offered.slug?,
        description: format!("{} {}", offered.distribution, offered.name),
        architectures: vec!["x86".to_owned()],
        deprecated,
    })
}
