//! From the journals of rehearsed jobs to what is told of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::app::apps::Installation;
use crate::app::plan::stage::Stage;
use crate::app::plan::{
    Places, Plan, PlannedDatabase, PlannedEffect, PlannedFailure, PlannedJob, PlannedName,
    PlannedServer, Told,
};
use crate::error::Error;
use crate::model::failure::Failure;
use crate::model::job::JobRecord;
use crate::model::journal::{Class, Entry, Event};

/// How many characters of a hash are enough.
const HASH: usize = 16;
/// How much of a text is told in words.
const SHOWN: usize = 120;

/// An effect of a rehearsed job.
struct Done {
    step: Option<String>,
    function: String,
    class: Class,
    request: Value,
    failure: Option<Failure>,
}

/// Tells what the jobs of a stage did that are not the real host's own.
pub(super) async fn tell(
    stage: &Stage,
    jobs: &[JobRecord],
    begun: Installation,
) -> Result<Plan, Error> {
    let already = stage.before.contains(&begun.job).then(|| begun.job.clone());
    let new = jobs.iter().filter(|job| !stage.before.contains(&job.id));
    let places: Places = jobs.iter().enumerate().map(|(at, job)| (job.id.clone(), at)).collect();
    let (mut planned, mut done, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    for job in new {
        let effects = effects(stage.app.whole_journal(&job.id).await?);
        parts.push(part(job, &effects, &places));
        planned.push(planned_job(stage, job, &effects));
        done.extend(effects);
    }
    let secrets = stage.app.store.secrets("server/").await?.into_iter().map(|(name, _)| name);
    let secrets: Vec<String> = secrets.filter(|name| !stage.secrets.contains(name)).collect();
    let servers = servers(stage, &done).await?;
    parts.push(json!({ "secrets": secrets, "servers": servers }).to_string());
    let told = Told {
        plan_hash: hash(&parts),
        after: stage.before.clone(),
        already,
        servers,
        secrets: secrets.iter().map(|name| shown_secret(name)).collect(),
        names: names(&done),
        databases: databases(&done),
        warnings: begun.warnings,
    };
    Ok(Plan::of(planned, told))
}

/// What a job did, in order.
fn effects(journal: Vec<Entry>) -> Vec<Done> {
    let (mut step, mut done): (Option<String>, BTreeMap<u32, Done>) = (None, BTreeMap::new());
    for entry in journal {
        match entry.event {
            Event::Step { name, .. } => step = Some(name),
            Event::Intent { ordinal, function, class, request, .. } => {
                let step = step.clone();
                done.insert(ordinal, Done { step, function, class, request, failure: None });
            }
            Event::Outcome { ordinal, result: Err(failure), .. } => {
                if let Some(done) = done.get_mut(&ordinal) {
                    done.failure = Some(failure);
                }
            }
            _ => {}
        }
    }
    done.into_values().collect()
}

fn planned_job(stage: &Stage, job: &JobRecord, effects: &[Done]) -> PlannedJob {
    let plugin = job.plugin.as_ref().and_then(|pin| stage.app.catalog.by_digest(&pin.digest));
    let grants = plugin.map(|plugin| (*plugin.allowed().now()).clone()).unwrap_or_default();
    let effects = effects.iter().map(|done| PlannedEffect {
        step: done.step.clone(),
        function: done.function.clone(),
        class: done.class,
        what: in_words(done),
    });
    let view = &job.view;
    PlannedJob {
        operation: job.operation.to_string(),
        server: job.server.as_ref().map(ToString::to_string),
        plugin: job.plugin.clone(),
        grants,
        steps: view
            .steps_completed
            .iter()
            .chain(&view.current_step)
            .chain(&view.steps_remaining)
            .cloned()
            .collect(),
        effects: effects.collect(),
        outcome: job.status,
        failure: job.failure.as_ref().map(PlannedFailure::from),
    }
}

/// All of a job that makes it another one when it changes. What the host notes in its own records
/// follows from the rest, and has the time in it.
fn part(job: &JobRecord, effects: &[Done], places: &Places) -> String {
    let counts = |done: &&Done| !done.function.starts_with("inventory.");
    let effects = effects.iter().filter(counts).map(|done| {
        let failure = done.failure.as_ref().map(|failure| &failure.code);
        json!([done.function, done.request, failure])
    });
    let mut text = json!({
        "operation": job.operation,
        "params": job.params,
        "plugin": job.plugin.as_ref().map(|pin| &pin.digest),
        "effects": effects.collect::<Vec<_>>(),
        "status": job.status,
    })
    .to_string();
    for (id, place) in places {
        text = text.replace(id.as_str(), &format!("job {place}"));
    }
    text
}

fn hash(parts: &[String]) -> String {
    let digest = Sha256::digest(parts.join("\n").as_bytes());
    let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.take(HASH).filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

/// `server/prod-01/n8n/key` as people know it.
fn shown_secret(name: &str) -> String {
    name.trim_start_matches("server/").replacen("/secret/", "/", 1)
}

async fn servers(stage: &Stage, done: &[Done]) -> Result<Vec<PlannedServer>, Error> {
    let mut servers = Vec::new();
    for order in done.iter().filter(|done| done.function == "servers.create") {
        let Ok(name) = field(&order.request, "name").parse() else { continue };
        let Some(record) = stage.app.store.server(&name).await? else { continue };
        let offer = stage.app.offer(Some(record.provider)).await?;
        let mut sizes = offer.catalogue.server_types.into_iter();
        let size = sizes.find(|size| size.name == record.server_type);
        servers.push(PlannedServer {
            name: name.to_string(),
            provider: record.provider,
            server_type: record.server_type,
            price_monthly: size.and_then(|size| size.price_monthly),
        });
    }
    Ok(servers)
}

fn names(done: &[Done]) -> Vec<PlannedName> {
    let records = done.iter().filter(|done| done.function == "dns.upsert");
    let names = records.map(|done| PlannedName {
        name: field(&done.request, "name").to_owned(),
        kind: field(&done.request, "kind").to_owned(),
        content: field(&done.request, "content").to_owned(),
        taken: done.failure.as_ref().map(|failure| failure.message.clone()),
    });
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

fn databases(done: &[Done]) -> Vec<PlannedDatabase> {
    let ensured = done.iter().filter(|done| done.function == "databases.ensure");
    let databases = ensured.map(|done| PlannedDatabase {
        server: field(&done.request, "server").to_owned(),
        engine: field(&done.request, "engine").to_owned(),
        name: field(&done.request, "name").to_owned(),
    });
    databases.collect::<BTreeSet<_>>().into_iter().collect()
}

fn field<'a>(request: &'a Value, name: &str) -> &'a str {
    request.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// What an effect would do. A function that a later contract has is told by its name.
fn in_words(done: &Done) -> String {
    let request = &done.request;
    let text = |name: &str| short(field(request, name));
    let is = |name: &str| request.get(name) == Some(&Value::Bool(true));
    match done.function.as_str() {
        "servers.ensure-ssh-key" => {
            format!("give the provider an SSH key for `{}`", text("server"))
        }
        "servers.delete-ssh-key" => format!("delete the SSH key of `{}` there", text("server")),
        "servers.create" => format!(
            "order the server `{}`: {} in {} with {}",
            text("name"),
            text("server_type"),
            text("region"),
            text("image")
        ),
        "servers.delete" => format!("delete the server `{}` at its provider", text("server")),
        "secrets.ensure" => format!("have a secret `{}`", text("name")),
        "secrets.bcrypt" => format!("have a hash of {}", text("reference")),
        "dns.upsert" => {
            format!("make {} {} say {}", text("kind"), text("name"), text("content"))
        }
        "dns.delete" => format!("delete the record {} of {}", text("id"), text("zone")),
        "databases.ensure" => {
            format!("have a database `{}` in `{}`", text("name"), text("engine"))
        }
        "databases.drop" => format!("drop the database `{}` of `{}`", text("name"), text("engine")),
        "stacks.deploy" => format!("deploy the stack `{}` on `{}`", text("name"), text("server")),
        "stacks.remove" if is("delete_data") => {
            format!("remove the stack `{}` from `{}` with its data", text("name"), text("server"))
        }
        "stacks.remove" => format!("remove the stack `{}` from `{}`", text("name"), text("server")),
        "stacks.run" => {
            format!("run a command in `{}` of `{}`", text("service"), text("name"))
        }
        "ssh.exec" => {
            format!("run on `{}`: {}", text("server"), first_line(field(request, "command")))
        }
        "ssh.upload" => format!("write {} on `{}`", text("path"), text("server")),
        "http.send" => format!("send {} {}", text("method"), text("url")),
        "inventory.update-server" | "inventory.put-app" => {
            "note it in the host's records".to_owned()
        }
        "inventory.remove-server" | "inventory.delete-app" => {
            "take it off the host's records".to_owned()
        }
        other => other.to_owned(),
    }
}

/// The first line that says something: a script's own name, where it has one.
fn first_line(command: &str) -> String {
    let line = command.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    short(line.strip_prefix("# windlass: ").unwrap_or(line))
}

fn short(text: &str) -> String {
    let shown: String = text.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if text.chars().count() > SHOWN { format!("{shown}…") } else { shown }
}
