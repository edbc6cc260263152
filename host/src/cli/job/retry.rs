//! `windlass job retry`: go on with a job that did not complete.

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::cli::Refusal;
use crate::cli::connection::Connection;
use crate::cli::job::{finish, path_of};
use crate::cli::plan::Way;
use crate::cli::terminal::{Terminal, text};

/// What is to be tried again, and how.
#[derive(clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Its id
    id: String,
    /// Where to begin
    #[arg(long, value_enum)]
    from: Option<From>,
    /// What became of the effect that nobody knows of
    #[arg(long, value_enum)]
    resolve: Option<Resolve>,
}

/// Where to begin.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum From {
    /// At the beginning, with the newest version of the plugin
    Start,
    /// At the step that failed, with the same version
    FailedStep,
}

/// What became of an effect.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Resolve {
    /// It happened, and is not done again
    Happened,
    /// It did not happen, and is done now
    DidNotHappen,
}

/// Does it, and watches the new job to its end.
pub(in crate::cli) async fn retry(
    host: &Connection,
    arguments: Arguments,
    way: &Way,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let Arguments { id, from, resolve } = arguments;
    let mut body = Map::new();
    let word = |value: clap::builder::PossibleValue| json!(value.get_name());
    body.extend(from.and_then(|it| it.to_possible_value()).map(|it| ("from".to_owned(), word(it))));
    let resolve = resolve.and_then(|it| it.to_possible_value());
    body.extend(resolve.map(|it| ("resolve".to_owned(), word(it))));
    let path = way.path(&format!("{}/retry", path_of(&id)?));
    let answer = host.post(&path, &Value::Object(body)).await?;
    if *way == Way::Tell {
        tell(&answer, terminal);
        return Ok(());
    }
    let job = text(&answer, "/job_id");
    if !terminal.is_json() {
        terminal.say(&format!("Trying again: {job}"));
        show(&answer, terminal);
    }
    finish(host, &job, terminal).await
}

fn tell(plan: &Value, terminal: &Terminal) {
    if terminal.is_json() {
        return terminal.json(plan);
    }
    terminal.say(&text(plan, "/summary"));
    match plan.pointer("/plugin/name") {
        Some(_) => {
            let [name, version] = ["/plugin/name", "/plugin/version"].map(|it| text(plan, it));
            terminal.say(&format!("       {name} {version} would run, as before"));
        }
        None => terminal.say("       the newest version of its plugin would run"),
    }
    show(plan, terminal);
    terminal.say("What comes after that depends on what it finds. Nothing was done.");
}

fn show(answer: &Value, terminal: &Terminal) {
    for effect in answer.get("effects").and_then(Value::as_array).into_iter().flatten() {
        let how = match text(effect, "/how").as_str() {
            "reused" => "is reused",
            "looked_up" => "is looked up first",
            _ => "is done anew",
        };
        terminal.say(&format!("       {} {how}", text(effect, "/function")));
    }
}
