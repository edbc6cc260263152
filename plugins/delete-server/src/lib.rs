//! Deletes a server and what belongs to it, at the provider and in zones, by id.

use sdk::job::{self, Level};
use sdk::serde_json::{self, Value};
use sdk::{Failure, dns, inventory, servers};
use serde::{Deserialize, Serialize};

const STEPS: [&str; 4] = ["Delete DNS records", "Delete server", "Delete SSH key", "Forget server"];

#[derive(Deserialize)]
struct Params {
    name: String,
    #[serde(default)]
    keep_dns: bool,
}

#[derive(Serialize)]
struct Deleted {
    name: String,
    deleted: bool,
}

fn run(Params { name, keep_dns }: Params) -> Result<Deleted, Failure> {
    let steps: Vec<String> = STEPS.iter().map(|&step| step.to_owned()).collect();
    job::plan(&steps);

    // First, so that no name points at an address that is somebody else's by then.
    begin(STEPS[0], 2);
    if keep_dns {
        job::log(Level::Info, "its DNS records stay, as asked");
    } else {
        delete_records(&name)?;
    }

    begin(STEPS[1], 10);
    servers::delete(&name)?;
    job::log(Level::Info, "the provider does not have it any more");

    begin(STEPS[2], 70);
    servers::delete_ssh_key(&name)?;

    begin(STEPS[3], 90);
    inventory::remove_server(&name)?;
    job::progress(100);
    Ok(Deleted { name, deleted: true })
}

/// Deletes the records that the setup and the apps' jobs noted, the apps' first: they point at the
/// server's. One that somebody changed or took over meanwhile, or in a zone that the host cannot
/// reach any more, is named and left: the server must go all the same.
fn delete_records(name: &str) -> Result<(), Failure> {
    let Some(record) = inventory::get_server(name)? else { return Ok(()) };
    let record: Value = serde_json::from_str(&record)?;
    let mut records = Vec::new();
    for app in inventory::list_apps(name)? {
        let app: Value = serde_json::from_str(&app)?;
        records.extend(app.get("dns").and_then(Value::as_array).cloned().unwrap_or_default());
    }
    let of_setup = record.pointer("/dns/records").and_then(Value::as_array);
    records.extend(of_setup.cloned().unwrap_or_default());
    for record in &records {
        let text = |field: &str| record.get(field).and_then(Value::as_str).unwrap_or_default();
        let (kind, full) = (text("kind"), text("name"));
        match delete_record(record) {
            Ok(()) => job::log(Level::Info, &format!("{kind} {full} is gone")),
            Err(failure) if failure.is_cancelled() => return Err(failure),
            Err(failure) => {
                let message =
                    format!("{kind} {full} is left, remove it by hand: {}", failure.message);
                job::log(Level::Warn, &message);
            }
        }
    }
    Ok(())
}

/// Deletes a record unless it says something else by now: then its name is somebody else's, perhaps
/// another server's.
fn delete_record(noted: &Value) -> Result<(), Failure> {
    let text = |field: &str| noted.get(field).and_then(Value::as_str).unwrap_or_default();
    let there = dns::lookup(text("zone"), text("name"))?;
    let Some(found) = there.iter().find(|it| it.id == text("id")) else { return Ok(()) };
    match noted.get("content").and_then(Value::as_str) {
        Some(content) if content != found.content => {
            let message = format!("it says {} by now, and not {content}", found.content);
            Err(Failure::new("changed", message))
        }
        _ => dns::delete(text("zone"), text("id")),
    }
}

fn begin(step: &str, percent: u8) {
    job::progress(percent);
    job::step(step);
}

sdk::operation!(run);
