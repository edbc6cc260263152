//! Effects on the stacks of a server.

mod admission;
mod backend;

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use crate::effects::Effect;
use crate::effects::context::JobContext;
use crate::effects::grants::Grant;
use crate::effects::references;
use crate::effects::stacks::backend::Target;
use crate::model::failure::Failure;
use crate::model::journal::{Class, LogLevel};
use crate::model::names::{Identity, ServerName};
use crate::model::secret::{CLOSING, OPENING, Reference};
use crate::stacks::swarm::{Deployment, Swarm};
use crate::stacks::{Stack, StackName, Status, compose};

/// The pause between two looks at a starting stack.
const LOOK: Duration = Duration::from_secs(1);

/// How many services' last words are told when a stack does not get healthy.
const MOST_LOGS: usize = 3;

/// Makes a stack be what a Compose file says.
#[derive(Debug)]
pub struct Deploy {
    /// Where.
    pub server: ServerName,
    /// Its name.
    pub name: StackName,
    /// The Compose file, with references in the places of secrets.
    pub compose: String,
    /// The variables in it, likewise.
    pub environment: Vec<(String, String)>,
}

impl Effect for Deploy {
    type Answer = ();
    const FUNCTION: &'static str = "stacks.deploy";
    const CLASS: Class = Class::Put;

    fn needs(&self) -> Grant<'_> {
        on(&self.server)
    }

    fn touches_stack(&self) -> Option<&StackName> {
        Some(&self.name)
    }

    fn mentions(&self) -> Result<Vec<Reference>, Failure> {
        let mut found = references::find(self.compose.as_bytes())?;
        for (_, value) in &self.environment {
            found.extend(references::find(value.as_bytes())?);
        }
        Ok(found)
    }

    fn request(&self) -> Value {
        json!({
            "server": self.server,
            "name": self.name,
            "sha256": compose::digest(&self.compose, &self.environment),
        })
    }

    async fn act(&self, job: &JobContext, identity: &Identity) -> Result<(), Failure> {
        admission::admit(job, &self.server, &self.compose).await?;
        let mut environment = Vec::new();
        for (name, value) in &self.environment {
            environment.push((name.clone(), references::substitute_text(job, value).await?));
        }
        let wanted = Deployment {
            compose: filled(job, &self.compose).await?,
            environment,
            digest: compose::digest(&self.compose, &self.environment),
        };
        target(job, &self.server, &self.name, identity).deploy(&wanted).await
    }
}

/// Removes a stack.
#[derive(Debug)]
pub struct Remove {
    /// Where.
    pub server: ServerName,
    /// Its name.
    pub name: StackName,
    /// Whether its volumes go too.
    pub delete_data: bool,
}

impl Effect for Remove {
    type Answer = ();
    const FUNCTION: &'static str = "stacks.remove";
    const CLASS: Class = Class::Delete;

    fn needs(&self) -> Grant<'_> {
        on(&self.server)
    }

    fn touches_stack(&self) -> Option<&StackName> {
        Some(&self.name)
    }

    fn request(&self) -> Value {
        json!({ "server": self.server, "name": self.name, "delete_data": self.delete_data })
    }

    async fn act(&self, job: &JobContext, identity: &Identity) -> Result<(), Failure> {
        target(job, &self.server, &self.name, identity).remove(self.delete_data).await
    }
}

/// Looks at a stack.
#[derive(Debug)]
pub struct Inspect {
    /// Where.
    pub server: ServerName,
    /// Its name.
    pub name: StackName,
}

impl Effect for Inspect {
    type Answer = Stack;
    const FUNCTION: &'static str = "stacks.inspect";
    const CLASS: Class = Class::Read;

    fn needs(&self) -> Grant<'_> {
        on(&self.server)
    }

    fn touches_stack(&self) -> Option<&StackName> {
        Some(&self.name)
    }

    fn request(&self) -> Value {
        json!({ "server": self.server, "name": self.name })
    }

    async fn act(&self, job: &JobContext, identity: &Identity) -> Result<Stack, Failure> {
        let target = target(job, &self.server, &self.name, identity);
        target.swarm().await?.inspect(&self.name).await
    }
}

/// Waits until all of a stack runs.
#[derive(Debug)]
pub struct WaitHealthy {
    /// Where.
    pub server: ServerName,
    /// Its name.
    pub name: StackName,
    /// For how long.
    pub timeout: Duration,
}

impl Effect for WaitHealthy {
    type Answer = Stack;
    const FUNCTION: &'static str = "stacks.wait-healthy";
    const CLASS: Class = Class::Read;

    fn needs(&self) -> Grant<'_> {
        on(&self.server)
    }

    fn touches_stack(&self) -> Option<&StackName> {
        Some(&self.name)
    }

    fn request(&self) -> Value {
        let timeout = self.timeout.as_millis();
        json!({ "server": self.server, "name": self.name, "timeout_ms": timeout })
    }

    async fn act(&self, job: &JobContext, identity: &Identity) -> Result<Stack, Failure> {
        let swarm = target(job, &self.server, &self.name, identity).swarm().await?;
        let (began, mut said) = (Instant::now(), String::new());
        loop {
            let stack = swarm.inspect(&self.name).await?;
            if stack.status == Status::Healthy {
                return Ok(stack);
            }
            let missing = stack.missing();
            if began.elapsed() + LOOK > self.timeout {
                let (name, seconds) = (&self.name, self.timeout.as_secs());
                let message =
                    format!("the stack `{name}` is not healthy after {seconds} s: {missing}");
                tell_logs(job, &swarm, &stack).await;
                return Err(Failure::safe("timeout", message));
            }
            if missing != said {
                job.note(&job.masks().text(&format!("waiting for `{}`: {missing}", self.name)));
                said = missing;
            }
            sleep(LOOK).await;
        }
    }
}

/// Puts the last words of the services that do not run into the job's log. That a stack is not
/// healthy is said in any case.
async fn tell_logs(job: &JobContext, swarm: &Swarm, stack: &Stack) {
    let Ok(name) = stack.name.parse() else { return };
    let missing = stack.services.iter().filter(|it| it.running < it.wanted);
    for service in missing.take(MOST_LOGS) {
        let said = match job.mask_secrets().await {
            Ok(()) => swarm.logs(&name, &service.name).await,
            Err(failure) => Err(failure),
        };
        let lines = said.unwrap_or_else(|failure| {
            vec![format!("what it said last cannot be read: {}", failure.message)]
        });
        for line in lines {
            let line = format!("{}: {line}", service.name);
            job.journal().note(LogLevel::Warn, &line);
        }
    }
}

/// The Compose file with its secrets, in the one spelling that everybody reads alike. They are put
/// into the strings of its tree, so that none can be anything but a part of one; a `$` in one is no
/// variable.
async fn filled(job: &JobContext, text: &str) -> Result<Zeroizing<String>, Failure> {
    let invalid = |why: String| Failure::unsafe_to_retry("invalid_argument", why);
    let mut values = BTreeMap::new();
    for reference in references::find(text.as_bytes())? {
        let reference = reference.to_string();
        let value = references::substitute_text(job, &reference).await?;
        values.insert(reference, Zeroizing::new(value.expose_secret().replace('$', "$$")));
    }
    let mut tree = compose::tree(text).map_err(invalid)?;
    fill(&mut tree, &values);
    Ok(Zeroizing::new(compose::normal(&tree)))
}

fn fill(tree: &mut Value, values: &BTreeMap<String, Zeroizing<String>>) {
    match tree {
        Value::String(text) => *text = filled_text(text, values),
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, values)),
        Value::Object(fields) => fields.values_mut().for_each(|value| fill(value, values)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// In one pass: what was put in is not looked at again.
fn filled_text(text: &str, values: &BTreeMap<String, Zeroizing<String>>) -> String {
    let (mut filled, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find(OPENING) {
        let (before, from) = rest.split_at(start);
        let end = from.find(CLOSING).map_or(from.len(), |end| end + CLOSING.len_utf8());
        let (reference, after) = from.split_at(end);
        filled.push_str(before);
        filled.push_str(values.get(reference).map_or(reference, |value| value.as_str()));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

fn on(server: &ServerName) -> Grant<'_> {
    Grant { interface: "stacks", server: Some(server.as_str()) }
}

const fn target<'a>(
    job: &'a JobContext,
    server: &'a ServerName,
    stack: &'a StackName,
    identity: &'a Identity,
) -> Target<'a> {
    Target { job, server, stack, identity }
}
