//! A plugin that stands in for the one that sets servers up: each of its commands leaves a line in the
//! file `ran` of the server's home, files go both ways, and the server gets its name.

use sdk::job;
use sdk::{Failure, dns, inventory, ssh};
use serde::Deserialize;
use serde_json::{Value, json};

/// More than one packet, each way.
const LINES: usize = 4_000;

/// How often the slow command says something, all along while it runs.
const TURNS: usize = 10;

#[derive(Deserialize)]
struct Params {
    name: String,
    zone_name: String,
    subdomain: String,
}

fn run(params: Params) -> Result<Value, Failure> {
    let server = &params.name;
    job::step("Run commands");
    ssh::wait_ready(server, 600_000)?;
    let home = exec(server, "echo asked >> \"$HOME/ran\"; printf %s \"$HOME\"", None)?;
    let turn = format!("seq 1 {}; sleep 0.06", LINES / TURNS);
    let slowly = vec![turn.as_str(); TURNS].join("; ");
    let slow = format!("echo slow >> \"$HOME/ran\"; {slowly}; echo over >> \"$HOME/ran\"");
    same("slow", &exec(server, &slow, None)?, &counted(LINES / TURNS).repeat(TURNS))?;
    let counted = counted(LINES);
    let loud = format!("echo loud >> \"$HOME/ran\"; seq 1 {LINES}");
    same("loud", &exec(server, &loud, None)?, &counted)?;
    let reads = exec(server, "echo reads >> \"$HOME/ran\"; cat", Some(counted.clone()))?;
    same("reads", &reads, &counted)?;

    job::step("Move files");
    let path = format!("{home}/letter");
    ssh::upload(server, &path, counted.as_bytes(), 0o600)?;
    let letter = ssh::download(server, &path)?;
    same("letter", &String::from_utf8_lossy(&letter), &counted)?;

    job::step("Give a name");
    let record = give_name(&params)?;
    let names = json!({
        "zone_name": params.zone_name, "subdomain": params.subdomain, "records": [record],
    });
    inventory::update_server(server, &json!({ "status": "ready", "dns": names }).to_string())?;
    Ok(json!({ "name": server }))
}

fn counted(lines: usize) -> String {
    (1..=lines).map(|line| format!("{line}\n")).collect()
}

fn exec(server: &str, command: &str, stdin: Option<String>) -> Result<String, Failure> {
    let options =
        ssh::ExecOptions { timeout_ms: 300_000, stdin, log_output: false, more: Vec::new() };
    let output = ssh::exec(server, command, &options)?;
    match output.exit_code {
        0 => Ok(output.stdout),
        code => Err(Failure::new("ended", format!("it ended with {code}: {}", output.stderr))),
    }
}

fn same(what: &str, found: &str, wanted: &str) -> Result<(), Failure> {
    if found == wanted {
        return Ok(());
    }
    let message = format!("`{what}`: {} bytes instead of {}", found.len(), wanted.len());
    Err(Failure::new("not_the_same", message))
}

/// Makes a name that leads elsewhere, and then to the server. Answers the record as the server's own
/// record keeps it.
fn give_name(params: &Params) -> Result<Value, Failure> {
    let server = inventory::get_server(&params.name)?.unwrap_or_default();
    let server: Value = serde_json::from_str(&server)?;
    let address = server["ipv4"].as_str().unwrap_or_default();
    let (zone, name) =
        (&params.zone_name, format!("ptn.{}.{}", params.subdomain, params.zone_name));
    let upsert = |content: &str| {
        dns::upsert(&dns::NewRecord {
            zone: zone.clone(),
            name: name.clone(),
            kind: "A".to_owned(),
            content: content.to_owned(),
            options: Vec::new(),
        })
    };
    upsert("192.0.2.1")?;
    let made = upsert(address)?;
    Ok(json!({
        "zone": zone, "id": made.id, "name": made.name, "kind": made.kind, "content": made.content,
    }))
}

sdk::operation!(run);
