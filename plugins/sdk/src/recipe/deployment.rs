//! One deployment of an app, step by step. Each step looks before it changes anything.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::place::Place;
use super::rendering::Rendered;
use super::values::Values;
use super::{Command, Deployed, Params, Recipe, Route, names};
use crate::job::{self, Level};
use crate::{Failure, databases, http, inventory, secrets, stacks};

/// How often a name is asked before it counts as not answering, and the pause between.
const ASKS: u32 = 60;
const PAUSE_MS: u64 = 5_000;

/// One deployment of an app.
#[derive(Debug)]
pub struct Deployment<'a> {
    recipe: &'a Recipe,
    place: Place,
    values: Values,
    urls: Vec<String>,
    changed: bool,
}

impl<'a> Deployment<'a> {
    pub(super) fn begin(recipe: &'a Recipe, params: &Params) -> Result<Self, Failure> {
        job::plan(&recipe.steps);
        begin("Check server", 2);
        if params.app != recipe.name {
            let message =
                format!("this is the recipe of `{}`, not of `{}`", recipe.name, params.app);
            return Err(Failure::new("invalid_argument", message));
        }
        let place = Place::of(&params.server, &params.config)?;
        let values = recipe.values(&place, &params.config)?;
        let mut urls = Vec::new();
        for route in &recipe.routes {
            let url = format!("https://{}", place.name(&route.prefix)?);
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
        Ok(Self { recipe, place, values, urls, changed: false })
    }

    /// Gives the placeholder `values.<name>` a value.
    ///
    /// # Errors
    /// When it has a reference to a secret in it.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        self.values.set(&format!("values.{name}"), value)
    }

    /// Sees that there are the secrets of the app, made once and the same for ever.
    ///
    /// # Errors
    /// When one cannot be made.
    pub fn prepare_secrets(&mut self) -> Result<(), Failure> {
        begin("Prepare secrets", 8);
        for secret in &self.recipe.secrets {
            let policy = secrets::Policy {
                length: secret.length,
                alphabet: secret.alphabet.clone(),
                more: Vec::new(),
            };
            let mut reference = secrets::ensure(&secret.name, &policy)?;
            if secret.bcrypt {
                reference = secrets::bcrypt(&reference)?;
            }
            self.values.set_secret(&secret.placeholder, &reference)?;
            say(&format!("the secret {} is there", secret.name));
        }
        Ok(())
    }

    /// Sees that there are the databases of the app, in the engines that it depends on.
    ///
    /// # Errors
    /// When an engine does not make one.
    pub fn prepare_databases(&mut self) -> Result<(), Failure> {
        if self.recipe.databases.is_empty() {
            return Ok(());
        }
        begin("Prepare database", 15);
        for wanted in &self.recipe.databases {
            let there = databases::ensure(&self.place.server, &wanted.engine, &wanted.name)?;
            let mut set = |field: &str, value: Value| {
                self.values.set(&format!("databases.{}.{field}", wanted.name), value)
            };
            set("host", there.host.as_str().into())?;
            set("port", there.port.into())?;
            set("name", there.name.as_str().into())?;
            set("user", there.user.as_str().into())?;
            let password = format!("databases.{}.password", wanted.name);
            self.values.set_secret(&password, &there.password)?;
            say(&format!("the database {} of {} is there", there.name, wanted.engine));
        }
        Ok(())
    }

    /// Deploys the app's stack unless it runs like that already.
    ///
    /// # Errors
    /// When a placeholder has no value, or the server does not take the stack.
    pub fn deploy_stack(&mut self) -> Result<(), Failure> {
        begin("Deploy stack", 30);
        let Rendered { compose, variables } = self.recipe.render(&self.values, &self.place)?;
        let (server, name) = (&self.place.server, &self.recipe.name);
        let there = stacks::inspect(server, name)?;
        let digest = digest(&compose, &variables);
        let is_same =
            there.properties.iter().any(|(key, value)| key == "compose-sha256" && *value == digest);
        if is_same && there.status == "healthy" {
            say(&format!("nothing to do: the stack `{name}` runs as wanted"));
            return Ok(());
        }
        self.changed = true;
        let variables: Vec<(String, String)> = variables.into_iter().collect();
        stacks::deploy(server, name, &compose, &variables)
    }

    /// Makes the app's names point at the server.
    ///
    /// # Errors
    /// When a name is somebody else's.
    pub fn configure_names(&mut self) -> Result<(), Failure> {
        if self.recipe.routes.is_empty() {
            return Ok(());
        }
        begin("Configure DNS", 45);
        for url in &self.urls {
            let name = url.trim_start_matches("https://");
            self.changed |= names::publish(&self.place, &self.recipe.name, name)?;
        }
        Ok(())
    }

    /// Waits until the app's services are healthy, runs the commands that follow, and asks each of
    /// its names.
    ///
    /// # Errors
    /// When it does not get there in time, or a command fails.
    pub fn wait_until_healthy(&mut self) -> Result<(), Failure> {
        begin("Wait until healthy", 50);
        let (server, name) = (&self.place.server, &self.recipe.name);
        let stack = stacks::wait_healthy(server, name, self.recipe.healthy_s * 1_000)?;
        for service in &stack.services {
            let stacks::Service { name, image, running, wanted, .. } = service;
            say(&format!("{name} ({image}): {running} of {wanted} run"));
        }
        for command in &self.recipe.after {
            self.run(command)?;
        }
        job::progress(85);
        for route in &self.recipe.routes {
            self.ask(route)?;
        }
        Ok(())
    }

    /// Tells where the app is, and what its operator should know.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn finish(self) -> Result<Deployed, Failure> {
        let (server, app) = (self.place.server, self.recipe.name.clone());
        let mut notes = Vec::new();
        for note in &self.recipe.notes {
            notes.push(self.values.text(note)?);
        }
        let known = json!({ "urls": self.urls, "notes": notes });
        inventory::put_app(&server, &app, &known.to_string())?;
        if !self.changed {
            say(&format!("nothing to do: `{app}` runs as asked"));
        }
        job::progress(100);
        Ok(Deployed { app, server, changed: self.changed, urls: self.urls })
    }

    fn run(&self, command: &Command) -> Result<(), Failure> {
        let shown = command.arguments.join(" ");
        say(&format!("running in {}: {shown}", command.service));
        let mut arguments = Vec::new();
        for argument in &command.arguments {
            arguments.push(self.values.text(argument)?);
        }
        let stdin = command.stdin.as_deref().map(|text| self.values.text(text)).transpose()?;
        let wanted = stacks::Command {
            service: command.service.clone(),
            arguments,
            stdin,
            timeout_ms: command.timeout_s * 1_000,
            options: vec![("log-output".to_owned(), "true".to_owned())],
        };
        let output = stacks::run(&self.place.server, &self.recipe.name, &wanted)?;
        if output.exit_code == 0 {
            return Ok(());
        }
        let last = output.stderr.lines().chain(output.stdout.lines()).next_back();
        let message = format!(
            "`{shown}` ended with {} in `{}`: {}",
            output.exit_code,
            command.service,
            last.unwrap_or("it said nothing")
        );
        Err(Failure::new("command_failed", message))
    }

    /// Asks the name of a route, through Traefik on the server itself.
    fn ask(&self, route: &Route) -> Result<(), Failure> {
        let Some(path) = &route.health else { return Ok(()) };
        let url = format!("https://{}{path}", self.place.name(&route.prefix)?);
        let request = http::Request {
            method: "GET".to_owned(),
            url: url.clone(),
            headers: Vec::new(),
            body: None,
            timeout_ms: 10_000,
            options: vec![
                ("via-server".to_owned(), self.place.server.clone()),
                ("repeat-safe".to_owned(), "true".to_owned()),
            ],
        };
        let mut said = String::new();
        for _ in 0..ASKS {
            said = match http::send(&request) {
                Ok(response) if answers(response.status) => {
                    say(&format!("{url} answers with {}", response.status));
                    return Ok(());
                }
                Ok(response) => format!("it answers with {}", response.status),
                Err(failure) if !failure.retry_safe || failure.is_cancelled() => {
                    return Err(failure);
                }
                Err(failure) => failure.message,
            };
            job::sleep(PAUSE_MS)?;
        }
        let message = format!("{url} does not answer though all services run: {said}");
        Err(Failure::new("not_answering", message))
    }
}

/// Whether an app that answers so is there: asking to log in is an answer.
fn answers(status: u16) -> bool {
    matches!(status, 200..=399 | 401 | 403)
}

/// How the host tells one deployment from another: the file, then each variable as a line.
fn digest(compose: &str, variables: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    hash.update(compose.as_bytes());
    for (name, value) in variables {
        hash.update(format!("{name}={value}\n").as_bytes());
    }
    hash.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

pub(super) fn begin(step: &str, percent: u8) {
    job::progress(percent);
    job::step(step);
}

pub(super) fn say(line: &str) {
    job::log(Level::Info, line);
}
