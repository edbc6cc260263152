//! Effects on the stacks of a server.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use crate::effects::Effect;
use crate::effects::context::JobContext;
use crate::effects::grants::Grant;
use crate::effects::inventory::record_of;
use crate::effects::references;
use crate::model::failure::Failure;
use crate::model::journal::Class;
use crate::model::names::{Identity, ServerName};
use crate::model::secret::Reference;
use crate::stacks::swarm::{Deployment, Swarm};
use crate::stacks::{Stack, StackName, Status, compose};

/// The pause between two looks at a starting stack.
const LOOK: Duration = Duration::from_secs(1);

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
        let mut environment = Vec::new();
        for (name, value) in &self.environment {
            environment.push((name.clone(), references::substitute_text(job, value).await?));
        }
        let wanted = Deployment {
            compose: filled(job, &self.compose).await?,
            environment,
            digest: compose::digest(&self.compose, &self.environment),
        };
        swarm(job, &self.server, identity).await?.deploy(&self.name, &wanted).await
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

    fn request(&self) -> Value {
        json!({ "server": self.server, "name": self.name, "delete_data": self.delete_data })
    }

    async fn act(&self, job: &JobContext, identity: &Identity) -> Result<(), Failure> {
        swarm(job, &self.server, identity).await?.remove(&self.name, self.delete_data).await
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

    fn request(&self) -> Value {
        json!({ "server": self.server, "name": self.name })
    }

    async fn act(&self, job: &JobContext, identity: &Identity) -> Result<Stack, Failure> {
        swarm(job, &self.server, identity).await?.inspect(&self.name).await
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

    fn request(&self) -> Value {
        let timeout = self.timeout.as_millis();
        json!({ "server": self.server, "name": self.name, "timeout_ms": timeout })
    }

    async fn act(&self, job: &JobContext, identity: &Identity) -> Result<Stack, Failure> {
        let swarm = swarm(job, &self.server, identity).await?;
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

/// The Compose file with its secrets; a `$` in one is no variable.
async fn filled(job: &JobContext, text: &str) -> Result<Zeroizing<String>, Failure> {
    let mut filled = Zeroizing::new(text.to_owned());
    for reference in references::find(text.as_bytes())? {
        let reference = reference.to_string();
        let value = references::substitute_text(job, &reference).await?;
        let escaped = Zeroizing::new(value.expose_secret().replace('$', "$$"));
        filled = Zeroizing::new(filled.replace(&reference, &escaped));
    }
    Ok(filled)
}

fn on(server: &ServerName) -> Grant<'_> {
    Grant { interface: "stacks", server: Some(server.as_str()) }
}

async fn swarm(
    job: &JobContext,
    server: &ServerName,
    identity: &Identity,
) -> Result<Swarm, Failure> {
    let server = record_of(job, server).await?;
    let remote = job.outside.remotes.of(&server).await?;
    Ok(Swarm { remote, receipt: identity.clone(), cancel: job.cancel_token() })
}
