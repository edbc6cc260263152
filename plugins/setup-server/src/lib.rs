//! Makes a fresh server a node of Docker Swarm with Traefik and Portainer. Every step looks before
//! it changes anything, so a run can be repeated at any time.

mod dns;
mod remote;
mod scripts;
mod stacks;

use sdk::job::{self, Level};
use sdk::serde_json::{Value, json};
use sdk::{Failure, inventory, secrets, ssh};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::dns::Names;
use crate::remote::{READY_MS, Report, patiently, run as on};

const STEPS: [&str; 6] = [
    "Update system packages",
    "Install Docker",
    "Initialize Swarm",
    "Deploy Traefik",
    "Deploy Portainer",
    "Configure DNS",
];

/// How long images may take to be pulled and started.
const HEALTHY_MS: u64 = 10 * 60 * 1000;

#[derive(Deserialize)]
struct Params {
    name: String,
    ssl_email: String,
    zone_name: Option<String>,
    subdomain: Option<String>,
    #[serde(default = "utc")]
    timezone: String,
    #[serde(default = "livchat_network")]
    network_name: String,
}

fn utc() -> String {
    "Etc/UTC".to_owned()
}

fn livchat_network() -> String {
    "livchat_network".to_owned()
}

#[derive(Serialize)]
struct SetUp {
    name: String,
    /// Whether anything was not yet as it should be.
    changed: bool,
    docker: String,
    portainer_url: String,
    dns: Vec<String>,
}

/// One run, with what it found out.
struct Setup {
    params: Params,
    /// The record of the server.
    record: Value,
    ipv4: String,
    names: Option<Names>,
    changed: bool,
}

fn run(params: Params) -> Result<SetUp, Failure> {
    let steps: Vec<String> = STEPS.iter().map(|&step| step.to_owned()).collect();
    job::plan(&steps);
    let mut setup = Setup::begin(params)?;
    let machine = setup.update_packages()?;
    let docker = setup.install_docker(&machine)?;
    setup.initialize_swarm()?;
    setup.deploy_traefik()?;
    let now = setup.deploy_portainer()?;
    let records = setup.configure_dns()?;
    setup.still_runs()?;
    setup.finish(docker, &now, records)
}

impl Setup {
    fn begin(params: Params) -> Result<Self, Failure> {
        let record = inventory::get_server(&params.name)?.ok_or_else(|| {
            Failure::new("not_found", format!("there is no server `{}`", params.name))
        })?;
        let record: Value = sdk::serde_json::from_str(&record)?;
        let ipv4 = record.get("ipv4").and_then(Value::as_str).ok_or_else(|| {
            let message = format!(
                "`{}` has no IPv4 address, which its swarm needs: create it with one",
                params.name
            );
            Failure::new("no_ipv4", message)
        })?;
        let names = Names::new(params.zone_name.as_deref(), params.subdomain.as_deref());
        Ok(Self { ipv4: ipv4.to_owned(), record, names, changed: false, params })
    }

    fn update_packages(&mut self) -> Result<Report, Failure> {
        begin(0, 2);
        ssh::wait_ready(&self.params.name, READY_MS)?;
        let machine = self.script(&scripts::PROBE, &[])?;
        self.changing(&scripts::PACKAGES, &[])?;
        let values =
            [("SERVER", self.params.name.clone()), ("TIMEZONE", self.params.timezone.clone())];
        self.changing(&scripts::SYSTEM, &values)?;
        Ok(machine)
    }

    fn install_docker(&mut self, machine: &Report) -> Result<String, Failure> {
        begin(1, 20);
        let values = [
            ("DISTRIBUTION", machine.fact("distribution")?),
            ("CODENAME", machine.fact("codename")?),
            ("ARCHITECTURE", machine.fact("architecture")?),
        ];
        self.changing(&scripts::INSTALL_DOCKER, &values)?.fact("docker")
    }

    fn initialize_swarm(&mut self) -> Result<(), Failure> {
        begin(2, 50);
        let values = [("IPV4", self.ipv4.clone()), ("NETWORK", self.params.network_name.clone())];
        self.changing(&scripts::SWARM, &values).map(drop)
    }

    fn deploy_traefik(&mut self) -> Result<(), Failure> {
        begin(3, 60);
        let compose = stacks::traefik(&self.params.network_name, &self.params.ssl_email);
        self.deploy("traefik", &compose)?;
        self.answers("Traefik", "http", "80").map(drop)
    }

    /// Answers the time on the server.
    fn deploy_portainer(&mut self) -> Result<String, Failure> {
        begin(4, 75);
        let policy =
            secrets::Policy { length: 32, alphabet: "alphanumeric".to_owned(), more: Vec::new() };
        let password = secrets::ensure("portainer/admin-password", &policy)?;
        let values = [("SECRET", stacks::SECRET)];
        let made = on(&self.params.name, &scripts::PORTAINER_SECRET, &values, Some(password))?;
        self.changed |= !made.is_idle();
        let host = self.names.as_ref().map(|names| names.portainer.as_str());
        let compose = stacks::portainer(&self.params.network_name, host);
        self.deploy("portainer", &compose)?;
        let values =
            [("WHAT", "Portainer"), ("PORT", "9443"), ("SERVICE", stacks::PORTAINER_SERVICE)];
        on(&self.params.name, &scripts::PORTAINER_ANSWERING, &values, None)?.fact("now")
    }

    fn configure_dns(&mut self) -> Result<Vec<Value>, Failure> {
        begin(5, 92);
        let Some(names) = &self.names else {
            say("nothing to do: no zone_name was given, so the server gets no names");
            return Ok(Vec::new());
        };
        let ipv6 = self.record.get("ipv6").and_then(Value::as_str);
        names.publish(&self.params.name, &self.ipv4, ipv6)
    }

    /// What ran at its own step may have fallen since, with an engine that was restarted: a server
    /// is called ready when all of it runs.
    fn still_runs(&self) -> Result<(), Failure> {
        let server = &self.params.name;
        for name in ["traefik", "portainer"] {
            let healthy = || sdk::stacks::wait_healthy(server, name, HEALTHY_MS);
            patiently(server, name, healthy)?;
        }
        Ok(())
    }

    /// Writes what the server is now, where that is news.
    fn finish(self, docker: String, now: &str, records: Vec<Value>) -> Result<SetUp, Failure> {
        let dns: Vec<String> =
            records.iter().filter_map(|it| Some(it.get("name")?.as_str()?.to_owned())).collect();
        let mut names = json!({});
        if let (Some(wanted), Value::Object(fields)) = (&self.names, &mut names) {
            fields.insert("zone_name".to_owned(), json!(wanted.zone));
            fields.insert("subdomain".to_owned(), json!(self.params.subdomain));
            if !records.is_empty() {
                fields.insert("records".to_owned(), Value::Array(records));
            }
        }
        let is_news = self.changed
            || self.record.get("status") != Some(&json!("ready"))
            || self.record.pointer("/dns/records") != names.get("records");
        if is_news {
            let patch = json!({
                "status": "ready",
                "setup": {
                    "done_at": now,
                    "docker": docker,
                    "swarm": true,
                    "network": self.params.network_name,
                    "ssl_email": self.params.ssl_email,
                    "traefik": stacks::TRAEFIK,
                    "portainer": stacks::PORTAINER,
                },
                "dns": names,
            });
            inventory::update_server(&self.params.name, &patch.to_string())?;
        } else {
            say("nothing to do: the server is set up as asked");
        }
        job::progress(100);
        // With a name no port of Portainer's own is open, whoever makes the record.
        let portainer_url = self.names.map_or_else(
            || format!("https://{}:9443", self.ipv4),
            |names| format!("https://{}", names.portainer),
        );
        Ok(SetUp { name: self.params.name, changed: is_news, docker, portainer_url, dns })
    }

    fn script(
        &self,
        script: &scripts::Script,
        values: &[(&str, String)],
    ) -> Result<Report, Failure> {
        let values: Vec<(&str, &str)> =
            values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        on(&self.params.name, script, &values, None)
    }

    /// Runs a script, and notes whether it changed anything.
    fn changing(
        &mut self,
        script: &scripts::Script,
        values: &[(&str, String)],
    ) -> Result<Report, Failure> {
        let report = self.script(script, values)?;
        self.changed |= !report.is_idle();
        Ok(report)
    }

    /// Deploys a stack unless it runs like that already, and waits until it does.
    fn deploy(&mut self, name: &str, compose: &str) -> Result<(), Failure> {
        let server = &self.params.name;
        let there = patiently(server, name, || sdk::stacks::inspect(server, name))?;
        let digest = hex(&Sha256::digest(compose.as_bytes()));
        let is_same =
            there.properties.iter().any(|(key, value)| key == "compose-sha256" && *value == digest);
        if is_same && there.status == "healthy" {
            say(&format!("nothing to do: the stack `{name}` runs as wanted"));
            return Ok(());
        }
        self.changed = true;
        patiently(server, name, || sdk::stacks::deploy(server, name, compose, &[]))?;
        let healthy = || sdk::stacks::wait_healthy(server, name, HEALTHY_MS);
        let stack = patiently(server, name, healthy)?;
        for service in &stack.services {
            let sdk::stacks::Service { name, image, running, wanted, .. } = service;
            say(&format!("{name} ({image}): {running} of {wanted} run"));
        }
        Ok(())
    }

    fn answers(&self, what: &str, scheme: &str, port: &str) -> Result<Report, Failure> {
        let values = [("WHAT", what), ("SCHEME", scheme), ("IPV4", &self.ipv4), ("PORT", port)];
        on(&self.params.name, &scripts::ANSWERING, &values, None)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn begin(step: usize, percent: u8) {
    job::progress(percent);
    if let Some(name) = STEPS.get(step) {
        job::step(name);
    }
}

fn say(line: &str) {
    job::log(Level::Info, line);
}

sdk::operation!(run);
