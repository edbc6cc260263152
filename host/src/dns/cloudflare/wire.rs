//! What Cloudflare's answers look like, as far as we read them.

use serde::Deserialize;

use crate::dns::marker::Owner;
use crate::model::dns::{DnsId, DnsName, DnsRecord};

/// What every answer comes in.
#[derive(Deserialize)]
pub(super) struct Envelope<T> {
    pub(super) result: T,
    pub(super) result_info: Option<ResultInfo>,
}

/// Where in a list an answer stands.
#[derive(Deserialize)]
pub(super) struct ResultInfo {
    pub(super) page: u32,
    #[serde(default)]
    pub(super) total_pages: u32,
}

#[derive(Deserialize)]
pub(super) struct ZoneFound {
    pub(super) id: DnsId,
    pub(super) name: String,
    pub(super) account: Option<Account>,
}

#[derive(Deserialize)]
pub(super) struct Account {
    pub(super) name: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct RecordFound {
    id: DnsId,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    content: Option<String>,
    proxied: Option<bool>,
    ttl: Option<u32>,
    comment: Option<String>,
}

impl RecordFound {
    /// The record as the host knows it; `owner` is who we are.
    pub(super) fn seen_by(self, owner: &Owner) -> DnsRecord {
        DnsRecord {
            id: self.id,
            name: normalised(&self.name),
            kind: self.kind,
            content: self.content.unwrap_or_default(),
            proxied: self.proxied.unwrap_or_default(),
            ttl: self.ttl.unwrap_or(1),
            ours: owner.has_made(self.comment.as_deref()),
            comment: self.comment,
            simulated: false,
        }
    }
}

/// The name as we write it, where it is one that we could write.
fn normalised(name: &str) -> String {
    name.parse().map_or_else(|_strange| name.to_lowercase(), |name: DnsName| name.into())
}
