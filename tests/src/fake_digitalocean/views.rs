//! What the API shows of droplets, actions and keys.

use serde_json::{Value, json};

use super::Droplet;
use super::account::{Account, Action};
use super::keys::Key;

/// A droplet, with its tags where those show.
pub(super) fn droplet(account: &Account, droplet: &Droplet, tags_show: bool) -> Value {
    let offer = &account.offer;
    let (size, region) = (offer.size(&droplet.size).unwrap(), offer.region(&droplet.region));
    let tags: &[String] = if tags_show { &droplet.tags } else { &[] };
    let busy = account
        .actions_of(droplet.id)
        .iter()
        .any(|id| account.actions.get(id).is_some_and(|action| action.finished.is_none()));
    json!({
        "id": droplet.id,
        "name": droplet.name,
        "memory": size["memory"],
        "vcpus": size["vcpus"],
        "disk": size["disk"],
        "disk_info": [{"type": "local", "size": {"amount": size["disk"], "unit": "gib"}}],
        "locked": busy,
        "status": droplet.status,
        "kernel": null,
        "created_at": droplet.created,
        "features": ["droplet_agent", "ipv6"],
        "backup_ids": [],
        "next_backup_window": null,
        "snapshot_ids": [],
        "image": offer.image(&droplet.image),
        "volume_ids": [],
        "size": size,
        "size_slug": droplet.size,
        "networks": networks(droplet),
        "region": region,
        "tags": tags,
        "vpc_uuid": "760e09ef-dc84-11e8-981e-3cfdfeaae000",
    })
}

/// None until it is up, and then the private one first.
fn networks(droplet: &Droplet) -> Value {
    if droplet.status == "new" {
        return json!({"v4": [], "v6": []});
    }
    let low = droplet.id & 0xff;
    json!({
        "v4": [{
            "ip_address": format!("10.128.192.{low}"),
            "netmask": "255.255.0.0",
            "gateway": "nil",
            "type": "private",
        }, {
            "ip_address": droplet.ipv4,
            "netmask": "255.255.255.0",
            "gateway": "192.241.165.1",
            "type": "public",
        }],
        "v6": [{
            "ip_address": format!("2604:a880:0:1010::{low:x}:d001"),
            "netmask": 64,
            "gateway": "2604:a880:0:1010::1",
            "type": "public",
        }],
    })
}

pub(super) fn action(account: &Account, action: &Action) -> Value {
    let status = match (&action.finished, action.fails) {
        (None, _) => "in-progress",
        (Some(_), false) => "completed",
        (Some(_), true) => "errored",
    };
    json!({
        "id": action.id,
        "status": status,
        "type": action.kind,
        "started_at": action.started,
        "completed_at": action.finished,
        "resource_id": action.droplet,
        "resource_type": "droplet",
        "region": account.offer.region(&action.region),
        "region_slug": action.region,
    })
}

pub(super) fn key(key: &Key) -> Value {
    json!({
        "id": key.id,
        "fingerprint": key.fingerprint,
        "public_key": key.public_key,
        "name": key.name,
    })
}
