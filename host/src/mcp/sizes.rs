//! `listar-tipos-servidor`: which servers a provider has.

use serde::{Deserialize, Serialize};

use crate::app::access::Scope;
use crate::error::Error;
use crate::mcp::answer::Answer;
use crate::mcp::call::Call;
use crate::mcp::page::{self, CURSOR, LIMIT};
use crate::mcp::schema::{Kind, gives, may_give, takes};
use crate::mcp::tools::{Definition, Nature};
use crate::mcp::words::words;
use crate::model::catalogue::ServerType;
use crate::model::names::ProviderKind;

/// The tool.
pub(super) const LIST: Definition = Definition {
    name: words("listar-tipos-servidor", "list-server-types"),
    title: words("Listar tipos de servidor", "List server types"),
    about: words(
        "Lista os tamanhos de servidor de um provider: núcleos, memória, disco, preço por mês e as \
         regiões que os têm agora. Para server_type e region de criar-servidor.",
        "Lists a provider's sizes of servers: cores, memory, disk, price a month, and the regions \
         that have them now. For server_type and region of criar-servidor.",
    ),
    nature: Nature { reaches_out: true, ..Nature::LOOKS },
    scope: Scope::Read,
    takes: &[
        takes(
            "provider",
            Kind::OneOf(&["hetzner", "digitalocean", "docker", "sandbox"]),
            words("Padrão: o do host", "Default: the host's"),
        ),
        takes("region", Kind::Text, words("Só os que ela tem", "Only those that it has")),
        LIMIT,
        CURSOR,
    ],
    gives: &[
        gives("provider", Kind::Text),
        gives("server_types", Kind::Objects),
        may_give("stale", Kind::Boolean),
        may_give("next_cursor", Kind::Text),
        may_give("truncated", Kind::Boolean),
    ],
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    provider: Option<ProviderKind>,
    region: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Serialize)]
struct Page {
    provider: ProviderKind,
    server_types: Vec<Size>,
    /// The provider does not answer, and this is what it said before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Size {
    server_type: String,
    cores: u32,
    memory_gb: f64,
    disk_gb: u32,
    architecture: String,
    /// With its currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_monthly: Option<String>,
    regions: Vec<String>,
}

/// Lists the sizes that can be had, by name.
pub(super) async fn list(call: &Call<'_>) -> Result<Answer, Error> {
    let List { provider, region, limit, cursor } = call.arguments()?;
    let limit = page::limit(limit)?;
    let offer = call.server.reader.offer(provider).await?;
    let is_there = |size: &ServerType| match &region {
        Some(region) => size.available_in.contains(region),
        None => !size.available_in.is_empty(),
    };
    let types = offer.catalogue.server_types.into_iter();
    let mut types: Vec<ServerType> = types.filter(|it| !it.deprecated && is_there(it)).collect();
    types.sort_by(|a, b| a.name.cmp(&b.name));
    let page = page::after(cursor.as_deref(), limit, &types, |it| it.name.as_str(), Size::of);
    let (provider, stale) = (offer.provider, offer.stale);
    Answer::of(&Page { provider, server_types: page.shown, stale, next_cursor: page.next })
}

impl Size {
    fn of(size: &ServerType) -> Self {
        let price = size.price_monthly.as_ref();
        Self {
            server_type: size.name.clone(),
            cores: size.cores,
            memory_gb: size.memory_gb,
            disk_gb: size.disk_gb,
            architecture: size.architecture.clone(),
            price_monthly: price.map(|price| format!("{} {}", price.amount, price.currency)),
            regions: size.available_in.clone(),
        }
    }
}
