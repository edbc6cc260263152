//! Records of zones, with the rules that Cloudflare holds them to.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, RawQuery, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{Refusal, now, page, success};
use super::{Record, Shared, State as Zones};
use crate::fake_cloud::{Query, Trouble};

/// The longest comment of a zone without a paid plan.
const LONGEST_COMMENT: usize = 100;

#[derive(Deserialize)]
struct NewRecord {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    content: String,
    ttl: u32,
    #[serde(default)]
    proxied: bool,
    comment: Option<String>,
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(trouble): Extension<Option<Trouble>>,
    Path(zone): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let query = Query::new(query);
    let state = shared.state();
    state.apex(&zone)?;
    let records = state.records.iter().filter(|record| {
        record.zone == zone
            && query.admits("type", &record.kind)
            && query.admits("name", &record.name)
            && query.admits("name.exact", &record.name)
    });
    let records: Vec<Value> = records.map(view).collect();
    page(&records, &query, (1, 100, 5_000_000), trouble.as_ref())
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path((zone, id)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let state = shared.state();
    state.apex(&zone)?;
    let found = state.records.iter().find(|record| record.zone == zone && record.id == id);
    found.map(|record| success(&view(record))).ok_or_else(Refusal::no_such_record)
}

pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Path(zone): Path<String>,
    body: String,
) -> Result<Json<Value>, Refusal> {
    let mut state = shared.state();
    let record = state.checked(&zone, &body, None)?;
    let id = state.add_record(record);
    let made = state.records.iter().find(|record| record.id == id);
    Ok(success(&view(made.unwrap())))
}

pub(super) async fn replace(
    State(shared): State<Arc<Shared>>,
    Path((zone, id)): Path<(String, String)>,
    body: String,
) -> Result<Json<Value>, Refusal> {
    let mut state = shared.state();
    if !state.records.iter().any(|record| record.zone == zone && record.id == id) {
        return Err(Refusal::no_such_record());
    }
    let record = state.checked(&zone, &body, Some(&id))?;
    let old = state.records.iter_mut().find(|record| record.id == id).unwrap();
    let (created, modified) = (old.created.clone(), now());
    *old = Record { id, created, modified, ..record };
    Ok(success(&view(old)))
}

pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path((zone, id)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let mut state = shared.state();
    let before = state.records.len();
    state.records.retain(|record| record.zone != zone || record.id != id);
    if state.records.len() == before {
        return Err(Refusal::no_such_record());
    }
    Ok(success(&json!({"id": id})))
}

impl Zones {
    fn apex(&self, zone: &str) -> Result<&str, Refusal> {
        let found = self.zones.iter().find(|known| known.id == zone);
        found.map(|known| known.name.as_str()).ok_or_else(Refusal::no_such_path)
    }

    /// The record that a body wants, as the zone takes it, beside all others than `instead_of`.
    fn checked(&self, zone: &str, body: &str, instead_of: Option<&str>) -> Result<Record, Refusal> {
        let apex = self.apex(zone)?;
        let new: NewRecord = serde_json::from_str(body)
            .map_err(|_invalid| Refusal::new(400, 9207, "Request body is invalid."))?;
        check_values(&new)?;
        let name = expanded(&new.name, apex);
        let others = self.records.iter().filter(|other| {
            other.zone == zone && other.name == name && Some(other.id.as_str()) != instead_of
        });
        for other in others {
            check_beside(other, &new)?;
        }
        Ok(Record {
            id: String::new(),
            zone: zone.to_owned(),
            name,
            ttl: if new.proxied { 1 } else { new.ttl },
            kind: new.kind,
            content: new.content,
            proxied: new.proxied,
            comment: new.comment.filter(|comment| !comment.is_empty()),
            created: String::new(),
            modified: String::new(),
        })
    }
}

fn check_values(new: &NewRecord) -> Result<(), Refusal> {
    let refused = |code, message| Err(Refusal::new(400, code, message));
    let is_good = match new.kind.as_str() {
        "A" => new.content.parse::<Ipv4Addr>().is_ok(),
        "AAAA" => new.content.parse::<Ipv6Addr>().is_ok(),
        _ => !new.content.is_empty(),
    };
    if !is_good {
        return refused(9005, "Content for the record is invalid.");
    }
    if new.proxied && !matches!(new.kind.as_str(), "A" | "AAAA" | "CNAME") {
        return refused(9004, "This record type cannot be proxied.");
    }
    if new.ttl != 1 && !(60..=86_400).contains(&new.ttl) {
        return refused(9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1.");
    }
    if new.comment.as_ref().is_some_and(|comment| comment.chars().count() > LONGEST_COMMENT) {
        return refused(9313, "The comment is too long.");
    }
    Ok(())
}

/// Whether a record may stand beside another one of its name.
fn check_beside(other: &Record, new: &NewRecord) -> Result<(), Refusal> {
    let is_address = |kind: &str| matches!(kind, "A" | "AAAA");
    let refused = |code, message| Err(Refusal::new(400, code, message));
    if other.kind == new.kind && other.content == new.content {
        return refused(81058, "An identical record already exists.");
    }
    if new.kind == "CNAME" && (is_address(&other.kind) || other.kind == "CNAME") {
        return refused(81053, "An A, AAAA, or CNAME record with that host already exists.");
    }
    if is_address(&new.kind) && other.kind == "CNAME" {
        return refused(81054, "A CNAME record with that host already exists.");
    }
    Ok(())
}

/// Names are lower-case, and a short one is a name in the zone.
fn expanded(name: &str, apex: &str) -> String {
    let name = name.to_lowercase();
    match name.as_str() {
        "@" => apex.to_owned(),
        _ if name == apex || name.ends_with(&format!(".{apex}")) => name,
        _ => format!("{name}.{apex}"),
    }
}

fn view(record: &Record) -> Value {
    let is_proxiable = matches!(record.kind.as_str(), "A" | "AAAA" | "CNAME");
    let settings = if record.kind == "CNAME" { json!({"flatten_cname": false}) } else { json!({}) };
    json!({
        "id": record.id,
        "name": record.name,
        "type": record.kind,
        "content": record.content,
        "proxiable": is_proxiable,
        "proxied": record.proxied,
        "ttl": record.ttl,
        "settings": settings,
        "meta": {},
        "comment": record.comment,
        "tags": [],
        "created_on": record.created,
        "modified_on": record.modified,
    })
}
