//! Droplets: ordered, listed, deleted.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::account::Account;
use super::answers::{Listing, Refusal, parsed};
use super::tags::is_tag;
use super::{Droplet, Shared, views};
use crate::fake_cloud::{Harm, Query, Trouble, now};

#[derive(Deserialize)]
struct NewDroplet {
    name: Option<String>,
    names: Option<Vec<String>>,
    region: Option<String>,
    #[serde(default)]
    size: String,
    #[serde(default)]
    image: Value,
    #[serde(default)]
    ssh_keys: Vec<Value>,
    #[serde(default)]
    user_data: String,
    tags: Option<Vec<String>>,
}

/// By name or by tag, not by both.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(trouble): Extension<Option<Trouble>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let query = Query::new(query);
    let (name, tag) = (query.first("name"), query.first("tag_name"));
    if name.is_some() && tag.is_some() {
        return Err(Refusal::unprocessable("name and tag_name cannot be combined"));
    }
    let mut account = shared.account();
    let concerned: Vec<u64> = account
        .droplets
        .values()
        .filter(|it| name.is_none_or(|name| it.name.eq_ignore_ascii_case(name)))
        .filter(|it| tag.is_none_or(|tag| it.tags.iter().any(|other| other == tag)))
        .map(|droplet| droplet.id)
        .collect();
    let mut shown = Vec::new();
    for id in concerned {
        let tags_show = account.look_at_tags(id);
        if tags_show || tag.is_none() {
            shown.push(views::droplet(&account, &account.droplets[&id], tags_show));
        }
    }
    let url = format!("{}/v2/droplets", shared.url);
    Listing { url, query: &query, trouble: &trouble }.page("droplets", &shown)
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<u64>,
) -> Result<Json<Value>, Refusal> {
    let mut account = shared.account();
    account.is_busy(id);
    let tags_show = account.look_at_tags(id);
    let droplet = account.droplets.get(&id).ok_or_else(Refusal::not_found)?;
    Ok(Json(json!({"droplet": views::droplet(&account, droplet, tags_show)})))
}

pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(trouble): Extension<Option<Trouble>>,
    body: String,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let wanted: NewDroplet = parsed(&body)?;
    let (id, mut droplet) = {
        let mut account = shared.account();
        let mut droplet = checked(wanted, &account, shared.options.droplet_limit)?;
        droplet.id = account.next_id();
        (droplet.id, droplet)
    };
    let booted = shared.options.machines.boot(&droplet.name, &droplet.user_data).await;
    let harm = trouble.map(|trouble| trouble.harm);
    let fails = booted.is_err() || matches!(harm, Some(Harm::ActionFails { .. }));
    droplet.ipv4 = booted.unwrap_or(droplet.ipv4);
    droplet.never_boots = matches!(harm, Some(Harm::NeverBoots));
    droplet.tags_hidden = shared.options.tags_after_looks;
    let mut account = shared.account();
    account.droplets_ordered += 1;
    account.put_droplet(droplet);
    let action = account.act("create", id, fails);
    let link = json!({
        "id": action,
        "rel": "create",
        "href": format!("{}/v2/actions/{action}", shared.url),
    });
    let tags_show = account.droplets[&id].tags_hidden == 0;
    let droplet = views::droplet(&account, &account.droplets[&id], tags_show);
    Ok((StatusCode::ACCEPTED, Json(json!({"droplet": droplet, "links": {"actions": [link]}}))))
}

pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Extension(trouble): Extension<Option<Trouble>>,
    Path(id): Path<u64>,
) -> Result<StatusCode, Refusal> {
    let name = {
        let mut account = shared.account();
        let busy = account.is_busy(id);
        let name = account.droplets.get(&id).ok_or_else(Refusal::not_found)?.name.clone();
        if busy {
            return Err(Refusal::pending_event());
        }
        let fails = matches!(trouble, Some(Trouble { harm: Harm::ActionFails { .. }, .. }));
        account.act("destroy", id, fails);
        name
    };
    let destroyed = shared.options.machines.destroy(&name).await;
    destroyed.map_err(|error| Refusal::new(500, "server_error", format!("{error:#}")))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes all that have a tag, which the host must never ask for.
pub(super) async fn delete_all(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Refusal> {
    let query = Query::new(query);
    let tag = query.first("tag_name").ok_or_else(Refusal::not_found)?;
    shared.account().droplets.retain(|_, droplet| !droplet.tags.iter().any(|it| it == tag));
    Ok(StatusCode::NO_CONTENT)
}

/// The droplet that is wanted, if it can be had. Its id and address are still to come.
fn checked(wanted: NewDroplet, account: &Account, limit: usize) -> Result<Droplet, Refusal> {
    let wrong = |what: &str| {
        Refusal::unprocessable(format!("You specified an invalid {what} for Droplet creation."))
    };
    let name = wanted.name.filter(|name| is_hostname(name) && wanted.names.is_none());
    let name = name.ok_or_else(|| {
        let message = "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)";
        Refusal::unprocessable(message)
    })?;
    if wanted.user_data.len() > 64 * 1024 {
        return Err(Refusal::unprocessable("User data must be 64KB or less."));
    }
    let tags = wanted.tags.unwrap_or_default();
    if !tags.iter().all(|tag| is_tag(tag)) {
        return Err(Refusal::unprocessable("invalid tag name"));
    }
    let keys: Result<Vec<u64>, Refusal> =
        wanted.ssh_keys.iter().map(|key| known_key(account, key)).collect();
    let slug = wanted.region.unwrap_or_else(|| "nyc3".to_owned());
    let region = account.offer.region(&slug).ok_or_else(|| wrong("region"))?;
    if region["available"] != true {
        return Err(Refusal::unprocessable("Region is not available"));
    }
    let size = account.offer.size(&wanted.size).ok_or_else(|| wrong("size"))?;
    if size["available"] != true {
        return Err(Refusal::unprocessable("Size is not available."));
    }
    if !region["sizes"].as_array().unwrap().contains(&size["slug"]) {
        return Err(Refusal::unprocessable("Size is not available in this region."));
    }
    let image = wanted.image.as_str().and_then(|image| account.offer.image(image));
    let image =
        image.filter(|image| image["status"] == "available").ok_or_else(|| wrong("image"))?;
    if account.droplets.len() >= limit {
        let message = "creating this/these droplet(s) will exceed your droplet limit";
        return Err(Refusal::unprocessable(message));
    }
    Ok(Droplet {
        id: 0,
        name,
        status: "new",
        tags,
        ipv4: std::net::Ipv4Addr::LOCALHOST,
        size: wanted.size,
        region: slug,
        image: image["slug"].as_str().unwrap().to_owned(),
        keys: keys?,
        user_data: wanted.user_data,
        created: now(),
        tags_hidden: 0,
        never_boots: false,
    })
}

fn known_key(account: &Account, key: &Value) -> Result<u64, Refusal> {
    let identifier = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
    let known = account.key(&identifier).map(|key| key.id);
    known.ok_or_else(|| {
        let message = format!("{identifier} are invalid key identifiers for Droplet creation.");
        Refusal::unprocessable(message)
    })
}

fn is_hostname(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    (1..=255).contains(&name.len()) && name.chars().all(allowed) && !name.ends_with(['-', '.'])
}
