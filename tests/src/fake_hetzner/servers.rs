//! Servers and their actions.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answers::{Refusal, page};
use super::project::{Action, Project, now};
use super::{Server, Shared, labels, views};
use crate::fake_cloud::{Harm, Query, Trouble};

#[derive(Deserialize)]
struct NewServer {
    #[serde(default)]
    name: String,
    #[serde(default)]
    server_type: Value,
    #[serde(default)]
    image: Value,
    location: Option<Value>,
    #[serde(default)]
    ssh_keys: Vec<Value>,
    #[serde(default)]
    user_data: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    datacenter: Option<Value>,
    start_after_create: Option<bool>,
}

/// What an order comes to, with everything in it known to the catalogue.
struct Order {
    server_type: String,
    location: String,
    image: String,
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let query = Query::new(query);
    let project = shared.project();
    let mut entries = Vec::new();
    for server in project.servers.values() {
        let selected =
            query.first("label_selector").map(|text| labels::selects(text, &server.labels));
        if selected.transpose()?.unwrap_or(true)
            && query.admits("name", &server.name)
            && query.admits("status", server.status)
        {
            entries.push(views::server(&project, server));
        }
    }
    page("servers", &entries, &query)
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<u64>,
) -> Result<Json<Value>, Refusal> {
    let mut project = shared.project();
    let actions = project.actions_of(id);
    project.look(&actions);
    let server = project.servers.get(&id).ok_or_else(|| Refusal::not_found("server"))?;
    Ok(Json(json!({"server": views::server(&project, server)})))
}

pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(trouble): Extension<Option<Trouble>>,
    body: String,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let wanted: NewServer = parsed(&body)?;
    let (id, order) = {
        let mut project = shared.project();
        let order = check(&wanted, &project, shared.options.server_limit)?;
        project.reserved.insert(wanted.name.clone());
        (project.next_id(), order)
    };
    let booted = shared.options.machines.boot(&wanted.name, &wanted.user_data).await;
    let error = match (&trouble, &booted) {
        (Some(Trouble { harm: Harm::ActionFails { code, message }, .. }), _) => {
            Some(((*code).to_owned(), (*message).to_owned()))
        }
        (_, Err(error)) => Some(("server_error".to_owned(), format!("{error:#}"))),
        (_, Ok(_)) => None,
    };
    let mut project = shared.project();
    project.reserved.remove(&wanted.name);
    project.put_server(Server {
        id,
        name: wanted.name,
        status: "initializing",
        labels: wanted.labels,
        ipv4: booted.unwrap_or(std::net::Ipv4Addr::new(127, 0, 0, 1)),
        server_type: order.server_type,
        location: order.location,
        image: order.image,
        user_data: wanted.user_data,
        protected: false,
        created: now(),
        never_boots: matches!(trouble, Some(Trouble { harm: Harm::NeverBoots, .. })),
    });
    let action = project.act("create_server", id, error.clone());
    let starts = wanted.start_after_create.unwrap_or(true);
    let next = starts.then(|| project.act("start_server", id, error));
    let next: Vec<Value> =
        next.iter().map(|action| views::action(&project.actions[action])).collect();
    let password = wanted.ssh_keys.is_empty().then_some("YItygq1v3GYjjMomLaKc");
    Ok((
        StatusCode::CREATED,
        Json(json!({
            "server": views::server(&project, &project.servers[&id]),
            "action": views::action(&project.actions[&action]),
            "next_actions": next,
            "root_password": password,
        })),
    ))
}

pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Extension(trouble): Extension<Option<Trouble>>,
    Path(id): Path<u64>,
) -> Result<Json<Value>, Refusal> {
    let (name, action) = {
        let mut project = shared.project();
        let busy = project.is_busy(id);
        let server = project.servers.get_mut(&id).ok_or_else(|| Refusal::not_found("server"))?;
        if server.protected {
            return Err(Refusal::new(423, "protected", "server deletion is protected"));
        }
        if busy {
            return Err(Refusal::new(423, "locked", "server is locked"));
        }
        let error = match trouble {
            Some(Trouble { harm: Harm::ActionFails { code, message }, .. }) => {
                Some((code.to_owned(), message.to_owned()))
            }
            _ => None,
        };
        server.status = "deleting";
        let name = server.name.clone();
        (name, project.act("delete_server", id, error))
    };
    if let Err(error) = shared.options.machines.destroy(&name).await {
        return Err(Refusal::new(500, "server_error", format!("{error:#}")));
    }
    let project = shared.project();
    Ok(Json(json!({"action": views::action(&project.actions[&action])})))
}

pub(super) async fn list_actions_of(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<u64>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let query = Query::new(query);
    let mut project = shared.project();
    if !project.servers.contains_key(&id) {
        return Err(Refusal::not_found("server"));
    }
    let actions = project.actions_of(id);
    project.look(&actions);
    let shown = actions.iter().map(|action| views::action(&project.actions[action]));
    let shown: Vec<Value> =
        shown.filter(|view| query.admits("status", view["status"].as_str().unwrap())).collect();
    page("actions", &shown, &query)
}

pub(super) async fn list_actions(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let query = Query::new(query);
    let ids: Result<Vec<u64>, _> = query.all("id").map(str::parse).collect();
    let ids = ids.map_err(|_error| Refusal::invalid("id", "must be a number"))?;
    if ids.is_empty() {
        let message = "listing all actions was removed, please use the resource's actions";
        return Err(Refusal::new(410, "deprecated_api_endpoint", message));
    }
    let mut project = shared.project();
    project.look(&ids);
    let known: Vec<&Action> = ids.iter().filter_map(|id| project.actions.get(id)).collect();
    Ok(Json(json!({"actions": known.into_iter().map(views::action).collect::<Vec<_>>()})))
}

pub(super) async fn show_action(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<u64>,
) -> Result<Json<Value>, Refusal> {
    let mut project = shared.project();
    project.look(&[id]);
    let action = project.actions.get(&id).ok_or_else(|| Refusal::not_found("action"))?;
    Ok(Json(json!({"action": views::action(action)})))
}

/// The body, which has to be JSON of the right shape.
pub(super) fn parsed<T: DeserializeOwned>(body: &str) -> Result<T, Refusal> {
    let body: Value = serde_json::from_str(body)
        .map_err(|error| Refusal::new(400, "json_error", error.to_string()))?;
    serde_json::from_value(body).map_err(|error| Refusal::invalid("body", &error.to_string()))
}

fn check(wanted: &NewServer, project: &Project, limit: usize) -> Result<Order, Refusal> {
    if !is_hostname(&wanted.name) {
        return Err(Refusal::invalid("name", "must be a valid hostname"));
    }
    if wanted.datacenter.is_some() {
        return Err(Refusal::invalid("datacenter", "was removed, use location"));
    }
    if wanted.user_data.len() > 32 * 1024 {
        return Err(Refusal::invalid("user_data", "must be at most 32 KiB"));
    }
    labels::check(&wanted.labels)?;
    for key in &wanted.ssh_keys {
        if !project.keys.values().any(|known| is_named(key, known.id, &known.name)) {
            return Err(Refusal::invalid("ssh_keys", "SSH key not found"));
        }
    }
    let order = chosen(wanted, project)?;
    if project.has_name(&wanted.name) {
        return Err(Refusal::not_unique("name", "server name is already used"));
    }
    if project.servers.len() + project.reserved.len() >= limit {
        return Err(Refusal::limit("project_limit"));
    }
    Ok(order)
}

/// The type, place and image that the order names, if they go together.
fn chosen(wanted: &NewServer, project: &Project) -> Result<Order, Refusal> {
    let offer = &project.offer;
    let found = |field: &str, list: &[Value], wanted: &Value| {
        let named = |entry: &&Value| {
            let id = entry["id"].as_u64().unwrap();
            is_named(wanted, id, entry["name"].as_str().unwrap_or_default())
        };
        let entries: Vec<Value> = list.iter().filter(named).cloned().collect();
        if entries.is_empty() {
            return Err(Refusal::invalid(field, &format!("{field} {wanted} not found")));
        }
        Ok(entries)
    };
    let server_type = found("server_type", &offer.server_types, &wanted.server_type)?.remove(0);
    let location = wanted.location.clone().unwrap_or_else(|| json!("fsn1"));
    let location = found("location", &offer.locations, &location)?.remove(0);
    let images = found("image", &offer.images, &wanted.image)?;
    let Some(image) =
        images.iter().find(|image| image["architecture"] == server_type["architecture"])
    else {
        return Err(Refusal::invalid("image", "image has another architecture than server type"));
    };
    let places = server_type["locations"].as_array().unwrap();
    let Some(place) = places.iter().find(|place| place["name"] == location["name"]) else {
        return Err(Refusal::invalid("location", "unsupported location for server type"));
    };
    if place["available"] != true {
        return Err(Refusal::new(412, "resource_unavailable", "error during placement"));
    }
    let name = |entry: &Value| entry["name"].as_str().unwrap().to_owned();
    Ok(Order { server_type: name(&server_type), location: name(&location), image: name(image) })
}

/// Whether the value is this id or this name.
fn is_named(value: &Value, id: u64, name: &str) -> bool {
    match value {
        Value::String(text) => text == name || *text == id.to_string(),
        Value::Number(number) => number.as_u64() == Some(id),
        _ => false,
    }
}

/// RFC 1123: labels of letters, digits and dashes, joined by dots.
fn is_hostname(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}
