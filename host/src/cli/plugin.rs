//! `windlass plugin`: which versions of plugins there are, and which of them new jobs run.

mod add;
mod author;
mod inspect;
mod lock;
mod new;
mod pack;
mod registry;
mod rehearse;
mod shelf;
mod trust;

use serde_json::{Map, Value, json};

use crate::cli::connection::{Connection, Need};
use crate::cli::terminal::{Terminal, plain, text};
use crate::cli::{Exit, Refusal};
use crate::config::Flags;

/// How much of a digest is shown; any beginning that tells it from others can be given.
const SHOWN: usize = "sha256:".len() + 12;

/// Examples, after the help.
pub(super) const EXAMPLES: &str = "Examples:\n  windlass plugin list\n  windlass plugin new my-app && \
    windlass plugin pack my-app\n  windlass plugin add my-app.wasm --accept-grants\n  windlass plugin \
    rollback my-app";

/// What can be done with plugins.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    #[command(flatten)]
    Author(author::Command),
    #[command(flatten)]
    Registry(registry::Command),
    #[command(flatten)]
    Trust(trust::Command),
    /// Run a plugin on a simulated host, and show what it asks of the world
    #[command(
        long_about = rehearse::LONG,
        after_help = "Examples:\n  windlass plugin test my-app.wasm\n  windlass plugin test my-app.wasm --params config.json"
    )]
    Test(rehearse::Test),
    /// List the plugins: active, tried, waiting for an answer, of no use
    #[command(after_help = "Examples:\n  windlass plugin list")]
    List,
    /// Show a plugin and its versions
    #[command(after_help = "Examples:\n  windlass plugin show setup-server")]
    Show {
        /// Its name, or a digest
        name: String,
    },
    /// Add a version of a plugin, and let new jobs run it
    #[command(
        after_help = "Examples:\n  windlass plugin add echo.wasm\n  windlass plugin add echo.wasm --accept-grants --no-activate\n  windlass plugin add oci://ghcr.io/team/echo:1.0.0\n  windlass plugin add --locked --offline"
    )]
    Add(add::Add),
    /// Let new jobs run a version that is there
    #[command(after_help = "Examples:\n  windlass plugin activate echo 3f9a0c")]
    Activate {
        /// The plugin
        name: String,
        /// The version's digest, or the beginning of it
        digest: String,
    },
    /// Let new jobs run the version before
    #[command(after_help = "Examples:\n  windlass plugin rollback echo")]
    Rollback {
        /// The plugin
        name: String,
    },
    /// Take a plugin out of use for new jobs
    #[command(after_help = "Examples:\n  windlass plugin remove echo")]
    Remove {
        /// The plugin
        name: String,
    },
    /// Show what was active when, and why
    #[command(after_help = "Examples:\n  windlass plugin history echo")]
    History {
        /// The plugin
        name: String,
    },
    /// Let some of the new jobs run a version; it ends by itself when it does worse
    #[command(
        after_help = "Examples:\n  windlass plugin canary echo 3f9a0c --percent 5\n  windlass plugin canary echo --end"
    )]
    Canary {
        /// The plugin
        name: String,
        /// The version's digest, or the beginning of it
        #[arg(required_unless_present = "end")]
        digest: Option<String>,
        /// How many of a hundred new jobs
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
        percent: u8,
        /// End the trial instead
        #[arg(long, conflicts_with = "digest")]
        end: bool,
    },
    /// Say what a plugin may do; shows it when nothing is said
    #[command(
        after_help = "Examples:\n  windlass plugin grants echo\n  windlass plugin grants echo --revoke ssh http:api.example.com\n  windlass plugin grants echo --accept 3f9a0c"
    )]
    Grants(Grants),
}

/// What a plugin may do.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Grants {
    /// The plugin
    name: String,
    /// Give a waiting version what it asks for, and activate it
    #[arg(long, value_name = "DIGEST", conflicts_with_all = ["deny", "revoke", "restore"])]
    accept: Option<String>,
    /// Forget a waiting version
    #[arg(long, value_name = "DIGEST", conflicts_with_all = ["revoke", "restore"])]
    deny: Option<String>,
    /// Take this away, from running jobs too: `ssh`, `http:HOST`, `secret:NAME`, `stack:WHAT`
    #[arg(long, value_name = "GRANT", num_args = 1.., conflicts_with = "restore")]
    revoke: Vec<String>,
    /// Give this back
    #[arg(long, value_name = "GRANT", num_args = 1..)]
    restore: Vec<String>,
}

/// Does it.
pub(super) async fn run(
    command: Command,
    flags: Flags,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let command = match command {
        Command::Author(command) => return author::run(command, terminal),
        Command::Registry(command) => return registry::run(command, &flags, terminal).await,
        Command::Trust(command) => return trust::run(command, &flags, terminal).await,
        Command::Add(wanted) => return add::run(&wanted, &flags, terminal).await,
        Command::Test(wanted) => return rehearse::run(&wanted, terminal).await,
        other => other,
    };
    let removed = match &command {
        Command::Remove { name } => Some(name.clone()),
        _ => None,
    };
    let host = Connection::open(&flags, Need::Looking).await?;
    let done = dispatch(&host, command, terminal).await;
    host.close().await;
    match (&done, removed) {
        // What a lock file has would be installed again.
        (Ok(()), Some(name)) => add::forget(&name, &flags),
        _ => done,
    }
}

async fn dispatch(host: &Connection, command: Command, terminal: &Terminal) -> Result<(), Refusal> {
    let answer = match command {
        Command::List => return list(host, terminal).await,
        Command::Show { name } => return show(host, &name, terminal).await,
        Command::History { name } => return history(host, &name, terminal).await,
        // Those that need no host to begin with.
        Command::Author(_)
        | Command::Registry(_)
        | Command::Trust(_)
        | Command::Add(_)
        | Command::Test(_) => {
            return Ok(());
        }
        Command::Activate { name, digest } => {
            let body = json!({ "digest": whole(host, &name, &digest).await? });
            host.post(&format!("{}/activate", path(&name)?), &body).await?
        }
        Command::Rollback { name } => {
            host.post(&format!("{}/rollback", path(&name)?), &Value::Null).await?
        }
        Command::Remove { name } => host.delete(&path(&name)?).await?,
        Command::Canary { name, digest: Some(digest), percent, .. } => {
            let digest = whole(host, &name, &digest).await?;
            let body = json!({ "digest": digest, "percent": percent });
            host.post(&format!("{}/canary", path(&name)?), &body).await?
        }
        Command::Canary { name, .. } => host.delete(&format!("{}/canary", path(&name)?)).await?,
        Command::Grants(wanted) => match change_of(host, &wanted).await? {
            Some(body) => host.post(&format!("{}/grants", path(&wanted.name)?), &body).await?,
            None => return grants(host, &wanted.name, terminal).await,
        },
    };
    tell(&answer, terminal);
    Ok(())
}

async fn list(host: &Connection, terminal: &Terminal) -> Result<(), Refusal> {
    let answer = host.get("/api/plugins").await?;
    if terminal.is_json() {
        terminal.json(&answer);
        return Ok(());
    }
    let row = |plugin: &Value, standing: &str| {
        let source = came_from(plugin);
        let digest = short(plugin, "/digest");
        [text(plugin, "/name"), text(plugin, "/version"), standing.to_owned(), source, digest]
    };
    let mut rows: Vec<[String; 5]> = all(&answer, "/plugins").map(|it| row(it, "active")).collect();
    rows.extend(all(&answer, "/canaries").map(|it| {
        let percent = text(it, "/percent");
        row(it, &format!("canary {percent} %"))
    }));
    rows.extend(all(&answer, "/pending").map(|it| row(it, "pending")));
    terminal.table(["NAME", "VERSION", "STANDING", "SOURCE", "DIGEST"], &rows);
    for file in all(&answer, "/rejected") {
        terminal.say(&format!(
            "\n{} is of no use: {}",
            text(file, "/file"),
            plain(&text(file, "/reason"))
        ));
    }
    for waiting in all(&answer, "/pending") {
        let (name, digest) = (text(waiting, "/name"), text(waiting, "/digest"));
        terminal.say(&format!("\n`{name}` {} waits for its grants:", text(waiting, "/version")));
        table_of_grants(&[("asks for", waiting.pointer("/grants"))], terminal);
        terminal.say(&format!("  try: windlass plugin grants {name} --accept {digest}"));
    }
    Ok(())
}

async fn show(host: &Connection, name: &str, terminal: &Terminal) -> Result<(), Refusal> {
    let plugin = host.get(&path(name)?).await?;
    if terminal.is_json() {
        terminal.json(&plugin);
        return Ok(());
    }
    let title = text(&plugin, "/active/title");
    terminal.say(&format!(
        "{}: {}\n{}\n",
        text(&plugin, "/name"),
        plain(&title),
        plain(&text(&plugin, "/active/description"))
    ));
    let pointers = ["/version", "/standing", "/added_at", "/added_by"];
    let rows: Vec<[String; 6]> = all(&plugin, "/versions")
        .map(|version| {
            let [a, b, d, e] = pointers.map(|pointer| text(version, pointer));
            [a, b, came_from(version), d, e, short(version, "/digest")]
        })
        .collect();
    terminal.table(["VERSION", "STANDING", "SOURCE", "ADDED", "BY", "DIGEST"], &rows);
    terminal.say("");
    grants_of(&plugin, terminal);
    Ok(())
}

async fn history(host: &Connection, name: &str, terminal: &Terminal) -> Result<(), Refusal> {
    let answer = host.get(&format!("{}/history", path(name)?)).await?;
    if terminal.is_json() {
        terminal.json(&answer);
        return Ok(());
    }
    let rows: Vec<[String; 5]> = all(&answer, "/history")
        .map(|it| {
            let at = [text(it, "/at"), text(it, "/cause"), text(it, "/by"), short(it, "/digest")];
            let [at, cause, by, digest] = at;
            [at, cause, by, digest, text(it, "/reason")]
        })
        .collect();
    terminal.table(["AT", "CAUSE", "BY", "DIGEST", "WHY"], &rows);
    Ok(())
}

/// How a version came here: where in a registry it is, its digest shortened, or else the word.
fn came_from(version: &Value) -> String {
    let origin = text(version, "/origin");
    match origin.rsplit_once('@') {
        Some((place, digest)) => {
            let digest: String = digest.chars().take(SHOWN).collect();
            plain(&format!("{place}@{digest}"))
        }
        None => text(version, "/source"),
    }
}

fn tell(answer: &Value, terminal: &Terminal) {
    if terminal.is_json() {
        terminal.json(answer);
    } else {
        terminal.say(&text(answer, "/message"));
    }
}

async fn grants(host: &Connection, name: &str, terminal: &Terminal) -> Result<(), Refusal> {
    let plugin = host.get(&path(name)?).await?;
    if terminal.is_json() {
        terminal.json(plugin.pointer("/accepted").unwrap_or(&Value::Null));
    } else {
        grants_of(&plugin, terminal);
    }
    Ok(())
}

fn grants_of(plugin: &Value, terminal: &Terminal) {
    let columns =
        [("asks for", plugin.pointer("/active/grants")), ("may", plugin.pointer("/accepted"))];
    table_of_grants(&columns, terminal);
}

/// One line a kind of grant that anything is said of.
fn table_of_grants(columns: &[(&str, Option<&Value>)], terminal: &Terminal) {
    for kind in ["interfaces", "http_hosts", "secrets", "stack"] {
        for (what, grants) in columns {
            let names = grants.and_then(|grants| grants.get(kind)).and_then(Value::as_array);
            let names: Vec<&str> = names.into_iter().flatten().filter_map(Value::as_str).collect();
            if !names.is_empty() {
                terminal.say(&format!("  {kind:<10}  {what:<8}  {}", plain(&names.join(", "))));
            }
        }
    }
}

/// What the command line says is to change, as the API takes it.
async fn change_of(host: &Connection, wanted: &Grants) -> Result<Option<Value>, Refusal> {
    let Grants { name, accept, deny, revoke, restore } = wanted;
    if let Some(digest) = accept {
        return Ok(Some(json!({ "accept": whole(host, name, digest).await? })));
    }
    if let Some(digest) = deny {
        return Ok(Some(json!({ "deny": whole(host, name, digest).await? })));
    }
    Ok(if !revoke.is_empty() {
        Some(json!({ "revoke": by_kind(revoke) }))
    } else if !restore.is_empty() {
        Some(json!({ "restore": by_kind(restore) }))
    } else {
        None
    })
}

/// `http:HOST`, `secret:NAME`, `stack:WHAT`; all else is an interface.
fn by_kind(grants: &[String]) -> Value {
    let mut kinds: Map<String, Value> = Map::new();
    for grant in grants {
        let (kind, name) = match grant.split_once(':') {
            Some(("http", host)) => ("http_hosts", host),
            Some(("secret", name)) => ("secrets", name),
            Some(("stack", what)) => ("stack", what),
            _ => ("interfaces", grant.as_str()),
        };
        let names = kinds.entry(kind).or_insert_with(|| json!([]));
        if let Some(names) = names.as_array_mut() {
            names.push(name.into());
        }
    }
    Value::Object(kinds)
}

/// The whole digest of a version that begins so.
async fn whole(host: &Connection, name: &str, start: &str) -> Result<String, Refusal> {
    let hex = start.strip_prefix("sha256:").unwrap_or(start);
    if hex.len() == 64 {
        return Ok(format!("sha256:{hex}"));
    }
    let plugin = host.get(&path(name)?).await?;
    let digests = all(&plugin, "/versions").map(|version| text(version, "/digest"));
    let found: Vec<String> =
        digests.filter(|digest| digest.starts_with(&format!("sha256:{hex}"))).collect();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        found => {
            let message = format!(
                "{} versions of `{name}` begin with `{}`: give more of the digest.",
                found.len(),
                hex.escape_debug()
            );
            Err(Refusal::new(Exit::Usage, message)
                .with_next(format!("windlass plugin show {name}")))
        }
    }
}

/// A name goes into a path only if it is one.
fn path(name: &str) -> Result<String, Refusal> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-:".contains(c);
    if name.is_empty() || name.len() > 80 || !name.chars().all(allowed) {
        let shown: String = name.chars().take(80).collect();
        let message = format!("`{}` is no name of a plugin.", shown.escape_debug());
        return Err(Refusal::new(Exit::Usage, message).with_next("windlass plugin list"));
    }
    Ok(format!("/api/plugins/{name}"))
}

fn all<'a>(answer: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    answer.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn short(value: &Value, pointer: &str) -> String {
    text(value, pointer).chars().take(SHOWN).collect()
}
