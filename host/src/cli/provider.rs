//! `windlass config`: configure the host.

use std::io::{IsTerminal, Read, stdin};

use serde_json::json;

use crate::cli::connection::{Connection, Need};
use crate::cli::terminal::{Terminal, text};
use crate::cli::{Exit, Refusal};
use crate::config::Flags;
use crate::model::names::ProviderKind;

/// Examples, after the help.
pub(super) const EXAMPLES: &str = "Examples:\n  windlass config provider hetzner < token.txt\n  \
    windlass config cloudflare < token.txt";

/// What can be configured.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Say how a provider is reached; its token is read from standard input
    #[command(
        after_help = "Examples:\n  windlass config provider hetzner --default < token.txt\n  windlass config provider sandbox"
    )]
    Provider {
        /// hetzner, digitalocean, docker or sandbox
        name: String,
        /// Another base URL than the usual one
        #[arg(long)]
        endpoint: Option<String>,
        /// Make servers there unless said otherwise
        #[arg(long)]
        default: bool,
    },
    /// Say how Cloudflare is reached; the API token, or with --email the Global API Key, is read
    /// from standard input
    #[command(
        after_help = "Examples:\n  windlass config cloudflare < token.txt\n  windlass config cloudflare --email you@example.com < key.txt"
    )]
    Cloudflare {
        /// The user whose Global API Key it is
        #[arg(long)]
        email: Option<String>,
        /// Another base URL than the usual one
        #[arg(long)]
        endpoint: Option<String>,
    },
}

/// Does it.
pub(super) async fn run(
    command: Command,
    flags: Flags,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let (path, body) = match command {
        Command::Provider { name, endpoint, default } => {
            let name: ProviderKind = name.parse()?;
            let needs_token = !matches!(name, ProviderKind::Docker | ProviderKind::Sandbox);
            let token = if needs_token { Some(read_token(name.as_str(), terminal)?) } else { None };
            let mut body = json!({ "name": name, "token": token, "endpoint": endpoint });
            if let (Some(fields), true) = (body.as_object_mut(), default) {
                fields.insert("default".to_owned(), true.into());
            }
            ("/api/config/provider", body)
        }
        Command::Cloudflare { email, endpoint } => {
            let secret = read_token("cloudflare", terminal)?;
            let body = match email {
                Some(email) => json!({ "email": email, "api_key": secret, "endpoint": endpoint }),
                None => json!({ "api_token": secret, "endpoint": endpoint }),
            };
            ("/api/config/cloudflare", body)
        }
    };
    let host = Connection::open(&flags, Need::Looking).await?;
    let answer = host.post(path, &body).await;
    host.close().await;
    let answer = answer?;
    if terminal.is_json() {
        terminal.json(&answer);
    } else {
        terminal.say(&text(&answer, "/message"));
    }
    Ok(())
}

/// A token on the command line would stand in the shell's history and in the process list.
fn read_token(provider: &str, terminal: &Terminal) -> Result<String, Refusal> {
    if stdin().is_terminal() {
        terminal.say(&format!("Paste the API token of {provider}, then press Enter and Ctrl-D:"));
    }
    let mut token = String::new();
    let read = stdin().take(4096).read_to_string(&mut token);
    let token = token.trim().to_owned();
    if read.is_err() || token.is_empty() {
        let message = "There is no token on standard input.";
        let what = if provider == "cloudflare" { "" } else { "provider " };
        let next = format!("windlass config {what}{provider} < token.txt");
        return Err(Refusal::new(Exit::Usage, message).with_next(next));
    }
    Ok(token)
}
