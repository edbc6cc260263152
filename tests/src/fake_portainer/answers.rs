//! What the fake answers, as Portainer's API description has it.

use std::sync::{Arc, Mutex, MutexGuard};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{SWARM, Shelf};
use crate::fake_cloud::{Manners, Query, bearer};

type Shared = State<Arc<Mutex<Shelf>>>;

/// An error as Portainer answers it.
pub(super) struct Refused(u16, &'static str);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        refuse(self.0, "", self.1)
    }
}

/// What the API does differently from others.
pub(super) fn manners() -> Manners {
    Manners {
        root: "/api",
        rate_limit: usize::MAX,
        refuse,
        limited: || refuse(429, "", "too many"),
        headers: |_, _, _| {},
    }
}

fn refuse(status: u16, details: &str, message: &str) -> Response {
    if details == "gap" {
        return (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
    }
    let body = Json(json!({ "message": message, "details": details }));
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

/// The shelf, for somebody who signed in.
fn let_in<'a>(shelf: &'a Shared, headers: &HeaderMap) -> Result<MutexGuard<'a, Shelf>, Refused> {
    let shelf = shelf.0.lock().unwrap();
    match bearer(headers).is_some_and(|token| shelf.tokens.iter().any(|it| it == token)) {
        true => Ok(shelf),
        false => Err(Refused(401, "A valid authorization token is missing")),
    }
}

fn is_on_primary(query: Option<String>) -> Result<(), Refused> {
    match Query::new(query).first("endpointId") {
        Some(id) if id.parse::<u64>().is_ok() => Ok(()),
        _ => Err(Refused(400, "Invalid query parameter: endpointId")),
    }
}

pub(super) async fn sign_in(
    State(shelf): Shared,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Refused> {
    let mut shelf = shelf.lock().unwrap();
    let is_right = body["Username"] == "admin"
        && shelf.password.as_ref().is_some_and(|password| body["Password"] == password.as_str());
    if !is_right {
        return Err(Refused(422, "Invalid credentials"));
    }
    let token = format!("token-{:032x}", rand::random::<u128>());
    shelf.tokens.push(token.clone());
    Ok(Json(json!({ "jwt": token })))
}

pub(super) async fn has_administrator(State(shelf): Shared) -> Result<StatusCode, Refused> {
    match &shelf.lock().unwrap().password {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(Refused(404, "No administrator account found inside the database")),
    }
}

pub(super) async fn make_administrator(
    State(shelf): Shared,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Refused> {
    let mut shelf = shelf.lock().unwrap();
    let password = body["Password"].as_str().unwrap_or_default();
    if shelf.password.is_some() {
        return Err(Refused(409, "Unable to create administrator user"));
    }
    if password.len() < 12 {
        return Err(Refused(400, "Invalid request payload"));
    }
    shelf.password = Some(password.to_owned());
    Ok(Json(json!({ "Id": 1, "Username": "admin", "Role": 1 })))
}

pub(super) async fn environments(
    shelf: Shared,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    let shelf = let_in(&shelf, &headers)?;
    let shown = shelf.environments.iter().map(|(id, name)| json!({ "Id": id, "Name": name }));
    Ok(Json(shown.collect()))
}

pub(super) async fn add_environment(
    shelf: Shared,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let mut shelf = let_in(&shelf, &headers)?;
    let form = String::from_utf8_lossy(&body);
    let has =
        |name: &str, value: &str| form.contains(&format!("name=\"{name}\"\r\n\r\n{value}\r\n"));
    let tls = ["TLS", "TLSSkipVerify", "TLSSkipClientVerify"].iter().all(|it| has(it, "true"));
    if !(tls && has("Name", "primary") && has("EndpointCreationType", "2")) {
        return Err(Refused(400, "Invalid request payload"));
    }
    shelf.environments.push((7, "primary".to_owned()));
    Ok(Json(json!({ "Id": 7, "Name": "primary" })))
}

pub(super) async fn swarm(shelf: Shared, headers: HeaderMap) -> Result<Json<Value>, Refused> {
    drop(let_in(&shelf, &headers)?);
    Ok(Json(json!({ "ID": SWARM })))
}

pub(super) async fn stacks(
    shelf: Shared,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let shelf = let_in(&shelf, &headers)?;
    let filters = Query::new(query).first("filters").unwrap_or("{}").to_owned();
    let filters: Value = serde_json::from_str(&filters)
        .map_err(|_| Refused(400, "Invalid query parameter: filters"))?;
    let of_swarm = shelf.stacks.iter().filter(|it| it["SwarmId"] == filters["SwarmID"]);
    let found: Vec<Value> = of_swarm.cloned().collect();
    if found.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(Json(found).into_response())
}

pub(super) async fn create(
    shelf: Shared,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Refused> {
    let mut shelf = let_in(&shelf, &headers)?;
    is_on_primary(query)?;
    let name = body["Name"].as_str().ok_or(Refused(400, "Invalid stack name"))?.to_owned();
    if shelf.stacks.iter().any(|it| it["Name"] == name) || shelf.taken.contains(&name) {
        return Err(Refused(409, "A stack with the normalized name already exists"));
    }
    if body["SwarmID"] != SWARM || !body["StackFileContent"].is_string() {
        return Err(Refused(400, "Invalid request payload"));
    }
    let id = shelf.next;
    shelf.next += 1;
    let stack = json!({
        "Id": id, "Name": name, "Type": 1, "EndpointId": shelf.environments[0].0,
        "SwarmId": SWARM, "Env": body["Env"], "StackFileContent": body["StackFileContent"],
    });
    shelf.stacks.push(stack.clone());
    Ok(Json(stack))
}

pub(super) async fn update(
    shelf: Shared,
    headers: HeaderMap,
    Path(id): Path<u64>,
    RawQuery(query): RawQuery,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Refused> {
    let mut shelf = let_in(&shelf, &headers)?;
    is_on_primary(query)?;
    let stack = shelf.stacks.iter_mut().find(|it| it["Id"] == id);
    let stack = stack.ok_or(Refused(404, "Unable to find a stack"))?;
    for field in ["Env", "StackFileContent", "Prune", "PullImage"] {
        stack[field] = body[field].clone();
    }
    Ok(Json(stack.clone()))
}

pub(super) async fn delete(
    shelf: Shared,
    headers: HeaderMap,
    Path(id): Path<u64>,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Refused> {
    let mut shelf = let_in(&shelf, &headers)?;
    is_on_primary(query)?;
    let before = shelf.stacks.len();
    shelf.stacks.retain(|it| it["Id"] != id);
    match shelf.stacks.len() == before {
        true => Err(Refused(404, "Unable to find a stack")),
        false => Ok(StatusCode::NO_CONTENT),
    }
}
