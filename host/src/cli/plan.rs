//! `windlass plan`: what a command would do, told and not done; and `--if-plan`, which does it only
//! if it is still that.

use serde_json::Value;

use crate::cli::connection::{Connection, Need};
use crate::cli::job::retry;
use crate::cli::terminal::{Terminal, text};
use crate::cli::{Exit, Refusal, app, server};
use crate::config::Flags;

/// What it is, in full.
pub(super) const HELP: &str = "Tell what a command would do, and do nothing.\n\n\
The plugins that would run are run, against servers that are simulated as they are recorded: every \
effect is told in order, with the secrets, names and databases that would be made and what a new \
server costs. No job is made, nothing is sent to a provider or a server; only DNS is read, to find \
names that are taken. The exit code is 1 when a job would fail.";

/// Examples, after the help.
pub(super) const EXAMPLES: &str = "Examples:\n  windlass plan server create prod-01 --type cx23 \
    --region nbg1\n  windlass plan install prod-01 n8n\n  windlass --json plan remove prod-01 n8n \
    --delete-data\n\nThe last line is the plan's hash: the command itself with --if-plan HASH starts \
    only if it would still do just that.";
const SERVER_EXAMPLES: &str = "Examples:\n  windlass plan server create prod-01 --type cx23 --region \
    nbg1\n  windlass plan server delete prod-01 --force";
const CREATE_EXAMPLES: &str = "Examples:\n  windlass plan server create prod-01 --type cx23 --region \
    nbg1";
const SETUP_EXAMPLES: &str = "Examples:\n  windlass plan server setup prod-01 --email \
    you@example.com --zone example.com";
const DELETE_EXAMPLES: &str = "Examples:\n  windlass plan server delete prod-01";
const INSTALL_EXAMPLES: &str = "Examples:\n  windlass plan install prod-01 n8n";
const RETRY_EXAMPLES: &str = "A retry is not rehearsed: it takes over what its job did, and what comes \
    after that depends on what it finds. So it has no hash.\n\nExamples:\n  windlass plan retry \
    job_20260110_150000_a1b2c3\n  windlass plan retry job_20260110_150000_a1b2c3 --from start";
const REMOVE_EXAMPLES: &str = "Examples:\n  windlass plan remove prod-01 n8n --delete-data";

/// What can be planned.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Tell what creating, setting up or deleting a server would do
    #[command(subcommand, after_help = SERVER_EXAMPLES)]
    Server(ServerCommand),
    /// Tell what installing an app would do, with what the app needs
    #[command(after_help = INSTALL_EXAMPLES)]
    Install(app::Install),
    /// Tell what taking an app away would do
    #[command(after_help = REMOVE_EXAMPLES)]
    Remove(app::Remove),
    /// Tell where trying a job again would begin, and what it would do again
    #[command(after_help = RETRY_EXAMPLES)]
    Retry(retry::Arguments),
}

/// What can be planned of servers.
#[derive(clap::Subcommand)]
pub(super) enum ServerCommand {
    /// Tell what creating a server would do, and what it would cost
    #[command(after_help = CREATE_EXAMPLES)]
    Create(server::Create),
    /// Tell what setting a server up would do
    #[command(after_help = SETUP_EXAMPLES)]
    Setup(server::Setup),
    /// Tell what deleting a server would do
    #[command(after_help = DELETE_EXAMPLES)]
    Delete(server::Delete),
}

/// How something is to go on that was planned.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Planned {
    /// Start only if it would still do what this plan says; see `windlass plan`
    #[arg(long, value_name = "HASH")]
    if_plan: Option<String>,
}

/// Whether a command does what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It does it.
    Do,
    /// It does it if it is what this plan says.
    AsPlanned(String),
    /// It tells what that would be.
    Tell,
}

impl Planned {
    /// The way to go.
    pub(super) fn way(self) -> Result<Way, Refusal> {
        let Some(hash) = self.if_plan else { return Ok(Way::Do) };
        if !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Way::AsPlanned(hash));
        }
        let message = "A plan's hash is what `windlass plan` ends with, such as 3f1c0d9be27a4c51.";
        Err(Refusal::new(Exit::Usage, message))
    }
}

impl Way {
    /// The route that does so.
    pub(super) fn path(&self, path: &str) -> String {
        let mark = if path.contains('?') { '&' } else { '?' };
        match self {
            Self::Do => path.to_owned(),
            Self::AsPlanned(hash) => format!("{path}{mark}if_plan={hash}"),
            Self::Tell => format!("{path}{mark}plan=true"),
        }
    }
}

/// Does it.
pub(super) async fn run(
    command: Command,
    flags: Flags,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let host = Connection::open(&flags, Need::Looking).await?;
    let told = match command {
        Command::Server(ServerCommand::Create(wanted)) => {
            server::create(&host, wanted, Way::Tell, terminal).await
        }
        Command::Server(ServerCommand::Setup(wanted)) => {
            server::setup(&host, wanted, Way::Tell, terminal).await
        }
        Command::Server(ServerCommand::Delete(wanted)) => {
            server::delete(&host, &wanted, Way::Tell, terminal).await
        }
        Command::Install(wanted) => app::install(&host, wanted, Way::Tell, terminal).await,
        Command::Remove(wanted) => app::remove(&host, &wanted, Way::Tell, terminal).await,
        Command::Retry(wanted) => retry::retry(&host, wanted, &Way::Tell, terminal).await,
    };
    host.close().await;
    told
}

/// Tells a plan.
pub(super) fn tell(plan: &Value, terminal: &Terminal) -> Result<(), Refusal> {
    if terminal.is_json() {
        terminal.json(plan);
    } else {
        terminal.say(&text(plan, "/summary"));
        for job in all(plan, "/after").filter_map(Value::as_str) {
            terminal.say(&format!("First comes {job}, which is not finished"));
        }
        all(plan, "/jobs").for_each(|job| tell_job(job, terminal));
        tell_rest(plan, terminal);
    }
    match all(plan, "/jobs").find(|job| text(job, "/outcome") != "completed") {
        Some(job) => {
            let (operation, reason) = (text(job, "/type"), text(job, "/failure/message"));
            let message = format!("`{operation}` would fail: {reason}");
            Err(Refusal::new(Exit::JobFailed, message))
        }
        None => Ok(()),
    }
}

fn tell_job(job: &Value, terminal: &Terminal) {
    let plugin = format!("{} {}", text(job, "/plugin/name"), text(job, "/plugin/version"));
    let (operation, server) = (text(job, "/type"), text(job, "/server"));
    terminal.say(&format!("\n{operation} on `{server}` ({plugin})"));
    let mut before = None;
    for effect in all(job, "/effects") {
        let step = text(effect, "/step");
        if before.as_ref() != Some(&step) {
            terminal.say(&format!("  {step}"));
        }
        terminal.say(&format!("    {}", text(effect, "/what")));
        before = Some(step);
    }
}

fn tell_rest(plan: &Value, terminal: &Terminal) {
    let mut lines = Vec::new();
    for server in all(plan, "/servers") {
        let [name, size, provider] =
            ["/name", "/server_type", "/provider"].map(|it| text(server, it));
        let [amount, currency] =
            ["/price_monthly/amount", "/price_monthly/currency"].map(|it| text(server, it));
        lines.push(format!(
            "New server   {name} ({size} at {provider}): {amount} {currency} a month"
        ));
    }
    lines.extend(all(plan, "/secrets").map(|secret| format!("New secret   {}", text(secret, ""))));
    for name in all(plan, "/names") {
        let [name, kind, content] = ["/name", "/kind", "/content"].map(|it| text(name, it));
        lines.push(format!("Name         {name} {kind} {content}"));
    }
    for database in all(plan, "/databases") {
        lines.push(format!(
            "Database     {} in {}",
            text(database, "/name"),
            text(database, "/engine")
        ));
    }
    lines.extend(
        all(plan, "/warnings").map(|warning| format!("Warning      {}", text(warning, ""))),
    );
    lines.push(format!("Plan         {}", text(plan, "/plan_hash")));
    terminal.say("");
    lines.iter().for_each(|line| terminal.say(line));
}

fn all<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}
