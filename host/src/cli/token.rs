//! `windlass token`: say who may talk to the host.

use serde_json::{Value, json};

use crate::cli::connection::{Connection, Need};
use crate::cli::terminal::{Terminal, text};
use crate::cli::{Exit, Refusal};
use crate::config::Flags;

/// Examples, after the help.
pub(super) const EXAMPLES: &str = "Examples:\n  windlass token create agent --scope operate\n  \
    windlass token list\n  windlass token revoke agent";

/// What can be done with tokens.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make a token; it is shown once
    #[command(
        after_help = "Examples:\n  windlass token create agent\n  windlass token create dashboard --scope read"
    )]
    Create {
        /// 1 to 64 of a-z, 0-9, -, _ and dots
        name: String,
        /// How much it allows: read, operate or admin
        #[arg(long, default_value = "operate", value_parser = ["read", "operate", "admin"])]
        scope: String,
    },
    /// List the tokens
    #[command(after_help = "Examples:\n  windlass token list")]
    List,
    /// Make a token worthless
    #[command(after_help = "Examples:\n  windlass token revoke agent")]
    Revoke {
        /// Its name
        name: String,
    },
}

/// Does it.
pub(super) async fn run(
    command: Command,
    flags: Flags,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let host = Connection::open(&flags, Need::Looking).await?;
    let done = match command {
        Command::Create { name, scope } => create(&host, &name, &scope, terminal).await,
        Command::List => list(&host, terminal).await,
        Command::Revoke { name } => revoke(&host, &name, terminal).await,
    };
    host.close().await;
    done
}

async fn create(
    host: &Connection,
    name: &str,
    scope: &str,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let answer = host.post("/api/tokens", &json!({ "name": name, "scope": scope })).await?;
    let token = text(&answer, "/token");
    let kept = scope == "admin" && host.keep_token(&token)?;
    if terminal.is_json() {
        terminal.json(&answer);
    } else {
        terminal.line(&token);
        if kept {
            terminal.say("It is in the home's file `token` as well, which was lost.");
        }
    }
    Ok(())
}

async fn list(host: &Connection, terminal: &Terminal) -> Result<(), Refusal> {
    let answer = host.get("/api/tokens").await?;
    if terminal.is_json() {
        terminal.json(&answer);
        return Ok(());
    }
    let tokens = answer.get("tokens").and_then(Value::as_array).into_iter().flatten();
    let pointers = ["/name", "/scope", "/created_at"];
    let rows: Vec<[String; 3]> =
        tokens.map(|token| pointers.map(|pointer| text(token, pointer))).collect();
    terminal.table(["NAME", "SCOPE", "CREATED"], &rows);
    Ok(())
}

async fn revoke(host: &Connection, name: &str, terminal: &Terminal) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.trim_matches('.').is_empty() || !name.chars().all(allowed) {
        let message = format!("`{}` is no name of a token.", name.escape_debug());
        return Err(Refusal::new(Exit::Usage, message).with_next("windlass token list"));
    }
    let answer = host.delete(&format!("/api/tokens/{name}")).await?;
    if terminal.is_json() {
        terminal.json(&answer);
    } else {
        terminal.say(&format!("The token `{name}` is worthless from now on."));
    }
    Ok(())
}
