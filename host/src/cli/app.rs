//! `windlass app`: what can be installed, and what is installed on servers.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::cli::connection::{Connection, Need};
use crate::cli::job;
use crate::cli::plan::{self, Planned, Way};
use crate::cli::server::path_of;
use crate::cli::terminal::{Terminal, text};
use crate::cli::{Exit, Refusal};
use crate::config::Flags;
use crate::model::names::AppName;

/// Examples, after the help.
pub(super) const EXAMPLES: &str = "Examples:\n  windlass app list --search workflow\n  windlass app \
    install web-1 n8n --config timezone=Europe/Berlin\n  windlass app installed web-1\n  windlass app \
    remove web-1 n8n";
const LIST_EXAMPLES: &str = "Examples:\n  windlass app list\n  windlass app list --category \
    database\n  windlass app list --search workflow";
const INSTALL_EXAMPLES: &str = "What the app needs and is not there is installed with it.\n\n\
    Examples:\n  windlass app install web-1 n8n\n  windlass app install web-1 n8n --config \
    timezone=Europe/Berlin --config concurrency=5\n  windlass app install web-1 wordpress \
    --config-file wordpress.json\n\nPasswords belong into a file, or into standard input \
    (--config-file -): others can see command lines.";
const REMOVE_EXAMPLES: &str = "Examples:\n  windlass app remove web-1 n8n\n  windlass app remove \
    web-1 n8n --delete-data   # its volumes, databases and secrets too; nothing brings them back";

/// What can be done with apps.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List the apps that can be installed
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Only those of this category
        #[arg(long)]
        category: Option<String>,
        /// Only those with these words in their name, title or description
        #[arg(long)]
        search: Option<String>,
    },
    /// Install an app on a server, or deploy it anew, and watch how it goes
    #[command(after_help = INSTALL_EXAMPLES)]
    Install {
        #[command(flatten)]
        wanted: Install,
        #[command(flatten)]
        planned: Planned,
    },
    /// List the apps of a server, with what it really runs of them
    #[command(after_help = "Examples:\n  windlass app installed web-1")]
    Installed {
        /// The server
        server: String,
    },
    /// Take an app away from a server and watch how it goes
    #[command(after_help = REMOVE_EXAMPLES)]
    Remove {
        #[command(flatten)]
        wanted: Remove,
        #[command(flatten)]
        planned: Planned,
    },
}

/// An app that is to go from a server.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Remove {
    /// The server
    server: String,
    /// The app
    app: String,
    /// Remove its volumes, databases and secrets too
    #[arg(long)]
    delete_data: bool,
}

/// An app that somebody wants on a server.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Install {
    /// The server
    server: String,
    /// The app
    app: String,
    /// A property of its configuration, any number of times; see `windlass --json app list`
    #[arg(long, value_name = "KEY=VALUE", value_parser = property)]
    config: Vec<(String, String)>,
    /// A JSON file with its configuration; `-` is standard input
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
}

/// Does it.
pub(super) async fn run(
    command: Command,
    flags: Flags,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let need = match command {
        Command::Install { .. } | Command::Remove { .. } => Need::Working,
        Command::List { .. } | Command::Installed { .. } => Need::Looking,
    };
    let host = Connection::open(&flags, need).await?;
    let done = match command {
        Command::List { category, search } => list(&host, (category, search), terminal).await,
        Command::Install { wanted, planned } => {
            install(&host, wanted, planned.way()?, terminal).await
        }
        Command::Installed { server } => installed(&host, &server, terminal).await,
        Command::Remove { wanted, planned } => {
            remove(&host, &wanted, planned.way()?, terminal).await
        }
    };
    host.close().await;
    done
}

async fn list(
    host: &Connection,
    (category, search): (Option<String>, Option<String>),
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let given = [("category", category), ("q", search)];
    let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let url = reqwest::Url::parse_with_params("http://host/api/apps", given);
    let url = url.map_err(|error| Refusal::new(Exit::Usage, error.to_string()))?;
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let answer = host.get(&format!("/api/apps{query}")).await?;
    if terminal.is_json() {
        terminal.json(&answer);
        return Ok(());
    }
    let apps = answer.get("apps").and_then(Value::as_array).into_iter().flatten();
    let rows: Vec<[String; 5]> = apps
        .map(|app| {
            let needs = app.get("dependencies").and_then(Value::as_array).into_iter().flatten();
            let needs: Vec<&str> = needs.filter_map(Value::as_str).collect();
            let memory = format!("{} MB", text(app, "/min_memory_mb"));
            let [name, category, title] = ["/name", "/category", "/title"].map(|it| text(app, it));
            [name, category, memory, needs.join(" "), title]
        })
        .collect();
    if rows.is_empty() {
        terminal.say("There are no such apps.");
    } else {
        terminal.table(["APP", "CATEGORY", "MEMORY", "NEEDS", "TITLE"], &rows);
    }
    Ok(())
}

pub(super) async fn install(
    host: &Connection,
    wanted: Install,
    way: Way,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let Install { server, app, config, config_file } = wanted;
    let path = format!("{}/apps", path_of(&server)?);
    let mut given = config_file.as_deref().map(read).transpose()?;
    if !config.is_empty() {
        let params = params_of(host, &app).await?;
        let fields = given.get_or_insert_default();
        for (key, value) in config {
            let value = typed(&params, &key, value)?;
            fields.insert(key, value);
        }
    }
    let mut body = json!({ "app_name": app });
    if let (Value::Object(fields), Some(given)) = (&mut body, given) {
        fields.insert("config".to_owned(), Value::Object(given));
    }
    let accepted = host.post(&way.path(&path), &body).await?;
    if way == Way::Tell {
        return plan::tell(&accepted, terminal);
    }
    let id = text(&accepted, "/job_id");
    terminal.say(&format!("Installing `{app}` on `{server}`: {id}"));
    for warning in accepted.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        terminal.say(&format!("warning: {}", warning.as_str().unwrap_or_default()));
    }
    let before = accepted.get("depends_on").and_then(Value::as_array).into_iter().flatten();
    for needed in before.filter_map(Value::as_str) {
        terminal.say(&format!("It waits for {needed}"));
    }
    job::finish(host, &id, terminal).await?;
    let done = host.get(&format!("/api/jobs/{id}")).await?;
    let urls = done.pointer("/result/urls").and_then(Value::as_array).into_iter().flatten();
    let urls: Vec<&str> = urls.filter_map(Value::as_str).collect();
    let place =
        if urls.is_empty() { String::new() } else { format!(" It is at {}", urls.join(" and ")) };
    terminal.say(&format!("\nThe app `{app}` runs on `{server}`.{place}"));
    Ok(())
}

async fn installed(host: &Connection, server: &str, terminal: &Terminal) -> Result<(), Refusal> {
    let answer = host.get(&format!("{}/apps", path_of(server)?)).await?;
    if terminal.is_json() {
        terminal.json(&answer);
        return Ok(());
    }
    let apps = answer.get("apps").and_then(Value::as_array).into_iter().flatten();
    let pointers = ["/app_name", "/status", "/version", "/url", "/problem"];
    let rows: Vec<[String; 5]> =
        apps.map(|app| pointers.map(|pointer| text(app, pointer))).collect();
    if rows.is_empty() {
        let hint = format!("Try: windlass app install {server} APP");
        terminal.say(&format!("There are no apps on `{server}` yet. {hint}"));
    } else {
        terminal.table(["APP", "STATUS", "VERSION", "URL", "PROBLEM"], &rows);
    }
    Ok(())
}

pub(super) async fn remove(
    host: &Connection,
    wanted: &Remove,
    way: Way,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let Remove { server, app, delete_data } = wanted;
    let name: AppName = app.parse()?;
    let path = format!("{}/apps/{name}?delete_data={delete_data}", path_of(server)?);
    let accepted = host.delete(&way.path(&path)).await?;
    if way == Way::Tell {
        return plan::tell(&accepted, terminal);
    }
    let id = text(&accepted, "/job_id");
    terminal.say(&format!("Removing `{name}` from `{server}`: {id}"));
    job::finish(host, &id, terminal).await?;
    let rest = if *delete_data { "" } else { " Its data is still on the server." };
    terminal.say(&format!("\nThe app `{name}` is gone.{rest}"));
    Ok(())
}

/// The schema of an app's configuration.
async fn params_of(host: &Connection, app: &str) -> Result<Value, Refusal> {
    let answer = host.get("/api/apps").await?;
    let mut apps = answer.get("apps").and_then(Value::as_array).into_iter().flatten();
    let found = apps.find(|it| it.get("name").and_then(Value::as_str) == Some(app));
    found.and_then(|it| it.get("params")).cloned().ok_or_else(|| {
        Refusal::new(Exit::Refused, format!("There is no app `{app}`."))
            .with_next("windlass app list")
    })
}

/// A value as the schema wants it. What the schema does not know, the host refuses.
fn typed(params: &Value, key: &str, value: String) -> Result<Value, Refusal> {
    let wanted = params.get("properties").and_then(|it| it.get(key)?.get("type")?.as_str());
    match wanted {
        Some(kind @ ("integer" | "number" | "boolean" | "array" | "object" | "null")) => {
            serde_json::from_str(&value).map_err(|_no_json| {
                let message = format!("`{key}` is of the type {kind}, and its value is not.");
                Refusal::new(Exit::Usage, message)
            })
        }
        _ => Ok(Value::String(value)),
    }
}

fn property(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    if key.is_empty() {
        Err("write it as KEY=VALUE".to_owned())
    } else {
        Ok((key.into(), value.into()))
    }
}

fn read(file: &Path) -> Result<Map<String, Value>, Refusal> {
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    let unusable =
        |why: &str| Refusal::new(Exit::Usage, format!("{} cannot be used: {why}.", file.display()));
    let text = Zeroizing::new(text.map_err(|error| unusable(&error.to_string()))?);
    let object = serde_json::from_str(&text);
    // Serde's words could quote what stands there.
    object.map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        unusable(&format!("it is no JSON object at {place}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_the_type_that_the_schema_wants() {
        let params = json!({ "properties": {
            "size": { "type": "integer" }, "on": { "type": "boolean" }, "name": { "type": "string" },
        }});
        let value = |key: &str, text: &str| typed(&params, key, text.to_owned());
        assert_eq!(value("size", "5").unwrap(), json!(5));
        assert_eq!(value("on", "true").unwrap(), json!(true));
        assert_eq!(value("name", "5").unwrap(), json!("5"));
        assert_eq!(value("unknown", "5").unwrap(), json!("5"));
        assert_eq!(value("size", "five").unwrap_err().exit, Exit::Usage);
        assert_eq!(property("a=b=c").unwrap(), ("a".to_owned(), "b=c".to_owned()));
        assert!(property("=b").is_err() && property("b").is_err());
    }
}
