//! Buys a server and waits until it takes commands.

use sdk::job::{self, Level};
use sdk::servers::{self, NewServer, Server};
use sdk::{Failure, inventory, ssh};
use serde::{Deserialize, Serialize};

const STEPS: [&str; 4] = ["Prepare SSH key", "Create server", "Wait for boot", "Check SSH"];

/// How long the provider may take from the order to a running machine.
const BOOT_MS: u64 = 10 * 60 * 1000;

/// How long a running machine may take to let us in.
const SSH_MS: u64 = 10 * 60 * 1000;

#[derive(Deserialize)]
struct Params {
    name: String,
    server_type: String,
    region: String,
    image: String,
    #[serde(default)]
    ssh_keys: Vec<String>,
    #[serde(default)]
    keep_on_failure: bool,
}

#[derive(Serialize)]
struct Created {
    name: String,
    provider_id: String,
    ipv4: Option<String>,
    ipv6: Option<String>,
    simulated: bool,
    /// What the machine says of itself.
    system: String,
}

fn run(params: Params) -> Result<Created, Failure> {
    let steps: Vec<String> = STEPS.iter().map(|&step| step.to_owned()).collect();
    job::plan(&steps);
    let made = create(&params).inspect_err(|failure| clean_up(&params, failure));
    let (server, system) = made?;
    Ok(created(params.name, server, system))
}

/// The server, and what it says of itself.
fn create(params: &Params) -> Result<(Server, String), Failure> {
    let name = &params.name;
    begin(STEPS[0], 5);
    let key = servers::ensure_ssh_key(name)?;
    say(&format!("SSH key `{}` ({}) is at the provider", key.name, key.fingerprint));

    begin(STEPS[1], 15);
    let ordered = servers::create(&NewServer {
        name: name.clone(),
        server_type: params.server_type.clone(),
        region: params.region.clone(),
        image: params.image.clone(),
        options: params.ssh_keys.iter().map(|id| ("ssh-key".to_owned(), id.clone())).collect(),
    })?;
    say(&format!(
        "ordered: {} in {}, the provider's id is {}",
        params.server_type, params.region, ordered.id
    ));

    begin(STEPS[2], 30);
    let server = servers::wait_running(name, BOOT_MS)?;
    say(&format!("it runs at {}", server.ipv4.as_deref().unwrap_or("no IPv4 address")));

    begin(STEPS[3], 70);
    ssh::wait_ready(name, SSH_MS)?;
    let system = ask_system(name)?;
    say(&format!("it takes commands: {system}"));

    inventory::update_server(name, r#"{"status":"running"}"#)?;
    job::progress(100);
    Ok((server, system))
}

fn ask_system(name: &str) -> Result<String, Failure> {
    let options =
        ssh::ExecOptions { timeout_ms: 30_000, stdin: None, log_output: false, more: Vec::new() };
    let output = ssh::exec(name, "uname -a", &options)?;
    if output.exit_code == 0 {
        return Ok(output.stdout.trim().to_owned());
    }
    let message = format!("`uname` ended with {}: {}", output.exit_code, output.stderr.trim());
    Err(Failure::new("ssh_check_failed", message))
}

/// Deletes what was made, so that nobody pays for a server that cannot be used.
fn clean_up(params: &Params, failure: &Failure) {
    if params.keep_on_failure && !job::cancelled() {
        job::log(Level::Warn, "keeping what was made, as asked; delete the server when done");
        return;
    }
    job::log(Level::Warn, &format!("{}; deleting what was made", failure.message));
    let name = &params.name;
    let removed = servers::delete(name)
        .and_then(|()| servers::delete_ssh_key(name))
        .and_then(|()| inventory::remove_server(name));
    if let Err(left) = removed {
        let message = format!("something of `{name}` is left, delete the server: {}", left.message);
        job::log(Level::Error, &message);
    }
}

fn created(name: String, server: Server, system: String) -> Created {
    let simulated = server.properties.iter().any(|(n, v)| n == "simulated" && v == "true");
    Created {
        name,
        provider_id: server.id,
        ipv4: server.ipv4,
        ipv6: server.ipv6,
        simulated,
        system,
    }
}

fn begin(step: &str, percent: u8) {
    job::progress(percent);
    job::step(step);
}

fn say(line: &str) {
    job::log(Level::Info, line);
}

sdk::operation!(run);
