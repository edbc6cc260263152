//! `windlass plugin test`: a plugin run once on a host of its own, with a simulated server, zone and
//! containers, and what it asked of the world, in order.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::cli::connection::Connection;
use crate::cli::plugin::all;
use crate::cli::plugin::author::{file, refused};
use crate::cli::terminal::{Terminal, plain, text};
use crate::cli::{Exit, Refusal, watch};
use crate::error::sentence;
use crate::plugins::descriptor::Kind;
use crate::plugins::plugin::Plugin;

/// The server that there is: large enough for any app.
const SERVER: &str = "web-1";
/// How much of what an effect was asked is shown, in characters.
const SHOWN: usize = 110;
/// How much of a journal is asked for at a time.
const PAGE: usize = 1000;
/// The operation that makes the server itself.
const CREATE: &str = "create_server";

/// The help.
pub(super) const LONG: &str = "Run a plugin on a simulated host, and show what it asks of the world.\n\n\
Nothing real is touched: there is a server web-1 with names under lab.example.com, and it ends with the \
command. An app is deployed with what it needs and removed again; of an operation, one job runs on \
web-1. Each step is shown with its effects in order: number, function, class, and what was asked.";

/// What is run, and with what.
#[derive(clap::Args)]
pub(in crate::cli) struct Test {
    /// The plugin
    file: PathBuf,
    /// Its parameters, as JSON: of an app its configuration. {} where nothing is said
    #[arg(long, value_name = "FILE")]
    params: Option<PathBuf>,
}

/// One job and what it did.
struct Run {
    operation: String,
    job: Value,
    effects: Vec<Told>,
}

/// A step of a job, or something that it asked of the world.
enum Told {
    Step(String),
    Effect(Value),
}

/// Does it.
pub(super) async fn run(wanted: &Test, terminal: &Terminal) -> Result<(), Refusal> {
    let component = fs::read(&wanted.file).map_err(|error| file("read", &wanted.file, &error))?;
    let plugin = Plugin::read(component.clone());
    let plugin = plugin.map_err(|error| refused(&sentence(&error.to_string())))?;
    let params = params(wanted.params.as_deref())?;
    let home = tempfile::tempdir().map_err(|error| file("make", Path::new("a home"), &error))?;
    let host = Connection::simulated(&home.path().join("home")).await?;
    let runs = runs(&host, &plugin, component, &params).await;
    host.close().await;
    show(&runs?, terminal)
}

fn params(path: Option<&Path>) -> Result<Map<String, Value>, Refusal> {
    let Some(path) = path else { return Ok(Map::new()) };
    let text = fs::read_to_string(path).map_err(|error| file("read", path, &error))?;
    serde_json::from_str(&text).map_err(|error| {
        Refusal::new(Exit::Usage, format!("{} is no JSON object: {error}.", path.display()))
    })
}

async fn runs(
    host: &Connection,
    plugin: &Plugin,
    component: Vec<u8>,
    params: &Map<String, Value>,
) -> Result<Vec<Run>, Refusal> {
    let path = "/api/plugins?accept_grants=true&replace_built_in=true";
    let operation = plugin.operations.first().map(ToString::to_string).unwrap_or_default();
    if operation == CREATE {
        host.post_component(path, component).await?;
        return Ok(vec![submitted(host, &operation, "/api/servers", &json!(params)).await?]);
    }
    set_up(host).await?;
    host.post_component(path, component).await?;
    if plugin.descriptor.kind == Kind::Operation {
        let job = host.rehearse(&operation, json!(params), SERVER).await?;
        return Ok(vec![ended(host, &operation, &job).await?]);
    }
    let name = &plugin.descriptor.name;
    let apps = format!("/api/servers/{SERVER}/apps");
    let body = json!({ "app_name": name, "config": params });
    let mut runs = vec![submitted(host, &operation, &apps, &body).await?];
    let opposite = plugin.operations.get(1).filter(|_| is_completed(runs.first()));
    if let Some(opposite) = opposite {
        let answer = host.delete(&format!("{apps}/{name}?delete_data=true")).await?;
        runs.push(ended(host, opposite.as_str(), &text(&answer, "/job_id")).await?);
    }
    Ok(runs)
}

/// Makes the server, by the plugins that came with the program.
async fn set_up(host: &Connection) -> Result<(), Refusal> {
    let server = json!({ "name": SERVER, "server_type": "cx43", "region": "nbg1" });
    let setup = json!({
        "ssl_email": "admin@example.com", "zone_name": "example.com", "subdomain": "lab",
    });
    let path = format!("/api/servers/{SERVER}/setup");
    for (path, body) in [("/api/servers", &server), (path.as_str(), &setup)] {
        let run = submitted(host, "the simulated server", path, body).await?;
        if !is_completed(Some(&run)) {
            return Err(failed(&run));
        }
    }
    Ok(())
}

async fn submitted(
    host: &Connection,
    operation: &str,
    path: &str,
    body: &Value,
) -> Result<Run, Refusal> {
    let answer = host.post(path, body).await?;
    ended(host, operation, &text(&answer, "/job_id")).await
}

/// A job when it has ended, with its journal.
async fn ended(host: &Connection, operation: &str, id: &str) -> Result<Run, Refusal> {
    let job = watch::follow(host, id, &Terminal::silent()).await?;
    let (mut effects, mut after) = (Vec::new(), 0);
    loop {
        let path = format!("/api/jobs/{id}/journal?limit={PAGE}&after={after}");
        let page = host.get(&path).await?;
        all(&page, "/entries").for_each(|entry| note(&mut effects, entry));
        match page.get("next_after").and_then(Value::as_u64) {
            Some(next) => after = next,
            None => break,
        }
    }
    Ok(Run { operation: operation.to_owned(), job, effects })
}

/// An effect has an intent and an outcome, or an outcome alone where it changes nothing.
fn note(told: &mut Vec<Told>, entry: &Value) {
    let ordinal = entry.get("ordinal");
    match text(entry, "/kind").as_str() {
        "step" => told.push(Told::Step(text(entry, "/name"))),
        "intent" => told.push(Told::Effect(json!({
            "ordinal": ordinal,
            "function": entry.get("function"),
            "class": entry.get("class"),
            "request": entry.get("request"),
            "command": entry.pointer("/remote/first_line"),
        }))),
        "outcome" => {
            let known = told.iter_mut().rev().find_map(|it| match it {
                Told::Effect(effect) if effect.get("ordinal") == ordinal => Some(effect),
                _ => None,
            });
            let failure = entry.pointer("/result/Err/code").cloned();
            match known {
                Some(Value::Object(effect)) => {
                    effect.extend(failure.map(|it| ("failure".to_owned(), it)));
                }
                _ => told.push(Told::Effect(json!({
                    "ordinal": ordinal,
                    "function": entry.get("function"),
                    "class": entry.get("class"),
                    "failure": failure,
                }))),
            }
        }
        _ => {}
    }
}

fn show(runs: &[Run], terminal: &Terminal) -> Result<(), Refusal> {
    if terminal.is_json() {
        let runs: Vec<Value> = runs.iter().map(Run::json).collect();
        terminal.json(&json!({ "runs": runs }));
    } else {
        runs.iter().for_each(|run| run.say(terminal));
    }
    match runs.iter().find(|run| !is_completed(Some(run))) {
        Some(run) => Err(failed(run)),
        None => Ok(()),
    }
}

impl Run {
    fn say(&self, terminal: &Terminal) {
        let Self { operation, job, effects } = self;
        terminal.say(&format!("{operation}: {}", text(job, "/status")));
        for told in effects {
            match told {
                Told::Step(name) => terminal.say(&format!("  {}", plain(name))),
                Told::Effect(effect) => {
                    let [ordinal, function, class, failure] =
                        ["/ordinal", "/function", "/class", "/failure"].map(|it| text(effect, it));
                    let failed = if failure == "-" { "" } else { "  failed: " };
                    let failure = if failed.is_empty() { "" } else { failure.as_str() };
                    let line =
                        format!("    {ordinal:>3}  {function:<24} {class:<7} {}", asked(effect));
                    terminal.say(&format!("{}{failed}{failure}", line.trim_end()));
                }
            }
        }
        if let Some(result) = job.get("result").filter(|result| !result.is_null()) {
            terminal.say(&format!("  result  {}", plain(&result.to_string())));
        }
    }

    fn json(&self) -> Value {
        let (mut steps, mut effects) = (Vec::new(), Vec::new());
        for told in &self.effects {
            match told {
                Told::Step(name) => steps.push(name),
                Told::Effect(effect) => effects.push(effect),
            }
        }
        json!({
            "operation": self.operation,
            "status": self.job.get("status"),
            "result": self.job.get("result"),
            "error": self.job.get("error"),
            "steps": steps,
            "effects": effects,
        })
    }
}

/// A line of what an effect was asked.
fn asked(effect: &Value) -> String {
    let line = match effect.get("command").and_then(Value::as_str) {
        Some(command) => command.to_owned(),
        None => match effect.get("request") {
            None | Some(Value::Null) => return String::new(),
            Some(request) => request.to_string(),
        },
    };
    let shown: String = line.chars().take(SHOWN).collect();
    let more = if shown.len() < line.len() { "…" } else { "" };
    plain(&shown) + more
}

fn is_completed(run: Option<&Run>) -> bool {
    run.is_some_and(|run| text(&run.job, "/status") == "completed")
}

fn failed(run: &Run) -> Refusal {
    let reason = run.job.get("error").and_then(Value::as_str).unwrap_or("no reason was given");
    let message = format!("`{}` failed: {}", run.operation, sentence(reason));
    Refusal::new(Exit::JobFailed, message)
}
