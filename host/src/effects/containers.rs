//! Commands in the containers of a stack.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::effects::Effect;
use crate::effects::context::JobContext;
use crate::effects::grants::Grant;
use crate::effects::references;
use crate::effects::ssh::{self, JobLog};
use crate::model::failure::Failure;
use crate::model::journal::Class;
use crate::model::names::{Identity, ServerName};
use crate::model::secret::Reference;
use crate::ssh::{Command, Output};
use crate::stacks::StackName;
use crate::stacks::container::{InContainer, not_begun};

/// Runs a command in a container of a stack.
pub struct RunInContainer {
    /// Where.
    pub server: ServerName,
    /// The stack.
    pub name: StackName,
    /// The service of it.
    pub service: String,
    /// The program and its arguments.
    pub arguments: Vec<String>,
    /// What it reads on its standard input, with references in the places of secrets.
    pub stdin: Option<String>,
    /// For how long.
    pub timeout: Duration,
    /// Where its lines go while it runs.
    pub lines: Option<Arc<JobLog>>,
}

impl Effect for RunInContainer {
    type Answer = Output;
    const FUNCTION: &'static str = "stacks.run";
    const CLASS: Class = Class::Exec;

    fn needs(&self) -> Grant<'_> {
        Grant { interface: "stacks", server: Some(self.server.as_str()) }
    }

    fn touches_stack(&self) -> Option<&StackName> {
        Some(&self.name)
    }

    fn mentions(&self) -> Result<Vec<Reference>, Failure> {
        for argument in &self.arguments {
            references::refuse(argument, "an argument")?;
        }
        references::find(self.stdin.as_deref().unwrap_or_default().as_bytes())
    }

    fn request(&self) -> Value {
        json!({
            "server": self.server,
            "name": self.name,
            "service": self.service,
            "arguments": self.arguments,
            "stdin_sha256": self.stdin.as_ref().map(|text| ssh::sha256(text.as_bytes())),
            "timeout_ms": self.timeout.as_millis(),
        })
    }

    async fn act(&self, job: &JobContext, identity: &Identity) -> Result<Output, Failure> {
        let remote = ssh::remote(job, &self.server).await?;
        let stdin = match &self.stdin {
            Some(text) => Some(references::substitute(job, text.as_bytes()).await?.to_vec()),
            None => None,
        };
        let command =
            InContainer { stack: &self.name, service: &self.service, arguments: &self.arguments };
        let output = remote
            .exec(Command {
                receipt: identity.clone(),
                line: command.line(self.timeout),
                stdin,
                timeout: self.timeout,
                cancel: job.cancel_token(),
                lines: self.lines.as_ref().map(|log| Arc::clone(log).numbered(identity.effect)),
            })
            .await?;
        if let Some(why) = not_begun(output.exit_code, &output.stderr) {
            // Nothing of it happened: who asks again may have it begin then.
            remote.release(std::slice::from_ref(identity)).await?;
            return Err(Failure::safe("not_running", why));
        }
        Ok(if output.truncated { ssh::without_begun(job, &output) } else { output })
    }
}
