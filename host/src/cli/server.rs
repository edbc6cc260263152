//! `windlass server`: create, list, use and delete servers.

use serde_json::{Value, json};

use crate::cli::connection::{Connection, Need};
use crate::cli::job;
use crate::cli::plan::{self, Planned, Way};
use crate::cli::sheet;
use crate::cli::terminal::{Terminal, text};
use crate::cli::{Exit, Refusal};
use crate::config::Flags;
use crate::model::names::{ProviderKind, ServerName};

/// What can be done with servers.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Create a server and watch how it is made
    #[command(after_help = CREATE_EXAMPLES)]
    Create {
        #[command(flatten)]
        wanted: Create,
        #[command(flatten)]
        planned: Planned,
    },
    /// List the servers
    #[command(after_help = "Examples:\n  windlass server list\n  windlass --json server list")]
    List,
    /// Show a server
    #[command(after_help = "Examples:\n  windlass server show web-1")]
    Show {
        /// Its name
        name: String,
    },
    /// Make a server ready for apps (Docker, Swarm, Traefik, Portainer) and watch how it goes
    #[command(after_help = SETUP_EXAMPLES)]
    Setup {
        #[command(flatten)]
        wanted: Setup,
        #[command(flatten)]
        planned: Planned,
    },
    /// Delete a server and watch how it goes
    #[command(after_help = DELETE_EXAMPLES)]
    Delete {
        #[command(flatten)]
        wanted: Delete,
        #[command(flatten)]
        planned: Planned,
    },
    /// Say whether a server is protected against being deleted
    #[command(after_help = PROTECT_EXAMPLES)]
    Protect {
        /// Its name
        name: String,
        /// automatic: agents cannot destroy it while apps are on it; on: nobody can delete it;
        /// off: agents can as soon as a person confirms it
        #[arg(value_parser = ["automatic", "on", "off"])]
        protection: String,
    },
    /// Run a command on a server
    #[command(after_help = EXEC_EXAMPLES)]
    Exec(Exec),
    /// List the sizes that a provider offers, with their prices
    #[command(
        after_help = "Examples:\n  windlass server types\n  windlass server types --provider hetzner"
    )]
    Types {
        /// hetzner, digitalocean, docker or sandbox; the default one when not said
        #[arg(long)]
        provider: Option<String>,
    },
}

/// Examples, after the help.
pub(super) const EXAMPLES: &str = "Examples:\n  \
windlass server create web-1\n  \
windlass server create prod-01 --type cx23 --region nbg1 --provider hetzner\n  \
windlass server setup prod-01 --email you@example.com --zone example.com --subdomain lab\n  \
windlass server exec prod-01 -- docker node ls\n  \
windlass server delete prod-01";

const CREATE_EXAMPLES: &str = "Examples:\n  windlass server create web-1\n  windlass server create \
    prod-01 --type cx23 --region nbg1 --provider hetzner --image debian-13";
const SETUP_EXAMPLES: &str = "Examples:\n  windlass server setup prod-01 --email you@example.com\n  \
    windlass server setup prod-01 --email you@example.com --zone example.com --subdomain lab";
const DELETE_EXAMPLES: &str = "Examples:\n  windlass server delete web-1\n  windlass server delete \
    web-1 --force   # although apps hold data on it; nothing brings it back";
/// Examples of running a command, after the help.
pub(super) const EXEC_EXAMPLES: &str = "The exit code is 1 when the command's is not 0.\n\n\
    Examples:\n  windlass exec web-1 -- uname -a\n  windlass exec web-1 --timeout 300 -- \
    'docker pull redis:8 && docker image ls'";
const PROTECT_EXAMPLES: &str = "Examples:\n  windlass server protect prod-01 on\n  \
    windlass server protect prod-01 off   # agents may destroy it, with a person's confirmation";

/// A command on a server.
#[derive(clap::Args)]
pub(super) struct Exec {
    /// Its name
    name: String,
    /// How long it may run, in seconds
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,
    /// The command
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// A server that somebody wants.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Create {
    /// 1 to 63 of a-z, 0-9 and -, with no dash at an end
    name: String,
    /// The size; chosen for you where servers cost nothing
    #[arg(long = "type", value_name = "TYPE")]
    server_type: Option<String>,
    /// The place; chosen for you where servers cost nothing
    #[arg(long)]
    region: Option<String>,
    /// The system image
    #[arg(long, default_value = "debian-12")]
    image: String,
    /// hetzner, digitalocean, docker or sandbox; the default one when not said
    #[arg(long)]
    provider: Option<String>,
    /// Leave what was made when it fails
    #[arg(long)]
    keep_on_failure: bool,
}

/// A server that is to go.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Delete {
    /// Its name
    name: String,
    /// Leave its DNS records
    #[arg(long)]
    keep_dns: bool,
    /// Although apps hold data on it, or its provider cannot be sure that it is gone
    #[arg(long)]
    force: bool,
}

/// How a server is set up.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Setup {
    /// Its name
    name: String,
    /// Who is told about certificates
    #[arg(long, value_name = "E-MAIL")]
    email: String,
    /// The zone that its names are made in
    #[arg(long)]
    zone: Option<String>,
    /// What stands between its names and the zone
    #[arg(long, requires = "zone")]
    subdomain: Option<String>,
    /// Its timezone
    #[arg(long, default_value = "Etc/UTC")]
    timezone: String,
    /// The network that its apps share
    #[arg(long, default_value = "livchat_network")]
    network: String,
}

/// Does it.
pub(super) async fn run(
    command: Command,
    flags: Flags,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let need = match command {
        Command::Create { .. } | Command::Setup { .. } | Command::Delete { .. } => Need::Working,
        Command::List
        | Command::Show { .. }
        | Command::Protect { .. }
        | Command::Exec(_)
        | Command::Types { .. } => Need::Looking,
    };
    let host = Connection::open(&flags, need).await?;
    let done = match command {
        Command::Create { wanted, planned } => {
            create(&host, wanted, planned.way()?, terminal).await
        }
        Command::List => list(&host, terminal).await,
        Command::Show { name } => show(&host, &name, terminal).await,
        Command::Setup { wanted, planned } => setup(&host, wanted, planned.way()?, terminal).await,
        Command::Delete { wanted, planned } => {
            delete(&host, &wanted, planned.way()?, terminal).await
        }
        Command::Protect { name, protection } => protect(&host, &name, &protection, terminal).await,
        Command::Exec(wanted) => exec(&host, &wanted, terminal).await,
        Command::Types { provider } => types(&host, provider.as_deref(), terminal).await,
    };
    host.close().await;
    done
}

pub(super) async fn create(
    host: &Connection,
    wanted: Create,
    way: Way,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let (server_type, region) = size_and_place(host, &wanted).await?;
    let mut body = json!({
        "name": wanted.name,
        "server_type": server_type,
        "region": region,
        "image": wanted.image,
    });
    if let (Some(fields), Some(provider)) = (body.as_object_mut(), wanted.provider) {
        fields.insert("provider".to_owned(), Value::String(provider));
    }
    if let (Some(fields), true) = (body.as_object_mut(), wanted.keep_on_failure) {
        fields.insert("keep_on_failure".to_owned(), Value::Bool(true));
    }
    let accepted = host.post(&way.path("/api/servers"), &body).await?;
    if way == Way::Tell {
        return plan::tell(&accepted, terminal);
    }
    let name = &wanted.name;
    terminal.say(&format!("Creating `{name}` ({server_type} in {region}): {}", id_of(&accepted)));
    job::finish(host, &id_of(&accepted), terminal).await?;
    let server = host.get(&format!("/api/servers/{name}")).await?;
    let simulated = if server.get("simulated") == Some(&Value::Bool(true)) {
        " It is simulated: nothing real stands behind it, and it costs nothing."
    } else {
        ""
    };
    terminal.say(&format!("\nThe server `{name}` runs at {}.{simulated}", text(&server, "/ipv4")));
    terminal.say(&format!(
        "Try next:\n  windlass server exec {name} -- uname -a\n  windlass server show {name}\n  \
         windlass server delete {name}"
    ));
    Ok(())
}

/// Where servers cost nothing, nobody has to choose.
async fn size_and_place(host: &Connection, wanted: &Create) -> Result<(String, String), Refusal> {
    if let (Some(size), Some(place)) = (&wanted.server_type, &wanted.region) {
        return Ok((size.clone(), place.clone()));
    }
    let offer = host.get(&types_path(wanted.provider.as_deref())?).await?;
    let provider = text(&offer, "/provider");
    if !matches!(provider.as_str(), "sandbox" | "docker") {
        let message = format!("A server at {provider} costs money: say its --type and --region.");
        return Err(Refusal::new(Exit::Usage, message).with_next("windlass server types"));
    }
    let types = offer.get("server_types").and_then(Value::as_array).into_iter().flatten();
    let mut fitting = types.filter(|it| {
        let places = it.get("available_in").and_then(Value::as_array);
        let named = |wanted: &Option<String>, name: Option<&Value>| {
            wanted.as_deref().is_none_or(|wanted| name.and_then(Value::as_str) == Some(wanted))
        };
        named(&wanted.server_type, it.get("name"))
            && it.get("deprecated") != Some(&Value::Bool(true))
            && places.is_some_and(|all| all.iter().any(|it| named(&wanted.region, Some(it))))
    });
    let Some(found) = fitting.next() else {
        let message = match (&wanted.server_type, &wanted.region) {
            (Some(size), _) => {
                let size = size.escape_debug();
                format!("{provider} has no server type `{size}`, or has none left.")
            }
            (None, Some(place)) => {
                let place = place.escape_debug();
                format!("{provider} has no region `{place}`, or no server left there.")
            }
            (None, None) => format!("{provider} has no server left."),
        };
        return Err(Refusal::new(Exit::Refused, message).with_next("windlass server types"));
    };
    let place = wanted.region.clone().unwrap_or_else(|| text(found, "/available_in/0"));
    Ok((text(found, "/name"), place))
}

async fn list(host: &Connection, terminal: &Terminal) -> Result<(), Refusal> {
    let answer = host.get("/api/servers").await?;
    if terminal.is_json() {
        terminal.json(&answer);
        return Ok(());
    }
    let servers = answer.get("servers").and_then(Value::as_object).into_iter().flatten();
    let pointers = ["/name", "/status", "/provider", "/server_type", "/region", "/ipv4"];
    let rows: Vec<[String; 6]> =
        servers.map(|(_, server)| pointers.map(|pointer| text(server, pointer))).collect();
    if rows.is_empty() {
        terminal.say("There are no servers yet. Try: windlass server create web-1");
    } else {
        terminal.table(["NAME", "STATUS", "PROVIDER", "TYPE", "REGION", "IPV4"], &rows);
    }
    Ok(())
}

async fn show(host: &Connection, name: &str, terminal: &Terminal) -> Result<(), Refusal> {
    let server = host.get(&path_of(name)?).await?;
    if terminal.is_json() {
        terminal.json(&server);
    } else {
        sheet::server(&server, terminal);
    }
    Ok(())
}

pub(super) async fn setup(
    host: &Connection,
    wanted: Setup,
    way: Way,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let mut body = json!({
        "ssl_email": wanted.email,
        "timezone": wanted.timezone,
        "network_name": wanted.network,
    });
    for (name, value) in [("zone_name", wanted.zone), ("subdomain", wanted.subdomain)] {
        if let (Some(fields), Some(value)) = (body.as_object_mut(), value) {
            fields.insert(name.to_owned(), Value::String(value));
        }
    }
    let path = way.path(&format!("{}/setup", path_of(&wanted.name)?));
    let accepted = host.post(&path, &body).await?;
    if way == Way::Tell {
        return plan::tell(&accepted, terminal);
    }
    let (name, job) = (&wanted.name, id_of(&accepted));
    terminal.say(&format!("Setting `{name}` up: {job}"));
    job::finish(host, &job, terminal).await?;
    let done = host.get(&format!("/api/jobs/{job}")).await?;
    let url = text(&done, "/result/portainer_url");
    terminal.say(&format!("\nThe server `{name}` is ready for apps. Portainer is at {url}"));
    Ok(())
}

pub(super) async fn delete(
    host: &Connection,
    wanted: &Delete,
    way: Way,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let Delete { name, keep_dns, force } = wanted;
    let path = format!("{}?keep_dns={keep_dns}&force={force}", path_of(name)?);
    let accepted = host.delete(&way.path(&path)).await?;
    if way == Way::Tell {
        return plan::tell(&accepted, terminal);
    }
    terminal.say(&format!("Deleting `{name}`: {}", id_of(&accepted)));
    job::finish(host, &id_of(&accepted), terminal).await?;
    terminal.say(&format!("\nThe server `{name}` is gone."));
    Ok(())
}

async fn protect(
    host: &Connection,
    name: &str,
    protection: &str,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let body = json!({ "deletion_protection": protection });
    let server = host.patch(&path_of(name)?, &body).await?;
    if terminal.is_json() {
        terminal.json(&server);
        return Ok(());
    }
    let protected = server.get("protected") == Some(&Value::Bool(true));
    let can = if protected { "cannot" } else { "can, with a person's confirmation," };
    terminal
        .say(&format!("`{name}`: deletion protection is {protection}. Agents {can} destroy it."));
    Ok(())
}

async fn exec(host: &Connection, wanted: &Exec, terminal: &Terminal) -> Result<(), Refusal> {
    let body = json!({ "command": wanted.command.join(" "), "timeout": wanted.timeout });
    let output = host.post(&format!("{}/exec", path_of(&wanted.name)?), &body).await?;
    if terminal.is_json() {
        terminal.json(&output);
    } else {
        for stream in ["/stdout", "/stderr"] {
            let said = output.pointer(stream).and_then(Value::as_str).unwrap_or_default();
            if !said.is_empty() {
                terminal.line(said.trim_end_matches('\n'));
            }
        }
    }
    match output.get("exit_code").and_then(Value::as_i64) {
        Some(0) => Ok(()),
        code => {
            let code = code.unwrap_or_default();
            Err(Refusal::new(Exit::JobFailed, format!("The command ended with exit code {code}.")))
        }
    }
}

async fn types(
    host: &Connection,
    provider: Option<&str>,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let offer = host.get(&types_path(provider)?).await?;
    if terminal.is_json() {
        terminal.json(&offer);
        return Ok(());
    }
    let types = offer.get("server_types").and_then(Value::as_array).into_iter().flatten();
    let rows: Vec<[String; 5]> = types
        .map(|it| {
            let places = it.get("available_in").and_then(Value::as_array).into_iter().flatten();
            let places: Vec<&str> = places.filter_map(Value::as_str).collect();
            let amount = text(it, "/price_monthly/amount");
            let price = format!("{amount} {}", text(it, "/price_monthly/currency"));
            let memory = format!("{} GB", text(it, "/memory_gb"));
            [text(it, "/name"), text(it, "/cores"), memory, price, places.join(" ")]
        })
        .collect();
    terminal.table(["TYPE", "CORES", "MEMORY", "A MONTH", "REGIONS"], &rows);
    Ok(())
}

/// A provider's name goes into a path only if it is one.
fn types_path(provider: Option<&str>) -> Result<String, Refusal> {
    let path = "/api/providers/server-types";
    let Some(provider) = provider else { return Ok(path.to_owned()) };
    let kind: ProviderKind = provider.parse()?;
    Ok(format!("{path}?provider={kind}"))
}

/// A name goes into a path only if it is one.
pub(super) fn path_of(name: &str) -> Result<String, Refusal> {
    let name: ServerName = name.parse()?;
    Ok(format!("/api/servers/{name}"))
}

fn id_of(accepted: &Value) -> String {
    text(accepted, "/job_id")
}
