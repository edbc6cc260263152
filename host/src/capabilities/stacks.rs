//! The `stacks` interface.

use std::sync::Arc;
use std::time::Duration;

use bindings::windlass::plugin::stacks::{Command, Host, Output, Service, Stack};
use bindings::windlass::plugin::types::{Failure, Property};
use wasmtime::Result as Trap;

use crate::capabilities::{Capabilities, invalid, parsed};
use crate::effects::containers::RunInContainer;
use crate::effects::ssh::JobLog;
use crate::effects::stacks::{Deploy, Inspect, Remove, WaitHealthy};
use crate::stacks::{self, compose, container};

/// How long a command may run that asks for no limit.
const USUAL_TIMEOUT: Duration = Duration::from_secs(600);

impl Host for Capabilities {
    async fn deploy(
        &mut self,
        server: String,
        name: String,
        compose: String,
        environment: Vec<Property>,
    ) -> Trap<Result<(), Failure>> {
        let checked = environment.iter().try_for_each(|(name, _)| compose::check_variable(name));
        if let Err(message) = checked.and_then(|()| compose::check(&compose)) {
            return Ok(Err(invalid(&message)));
        }
        let effect =
            Deploy { server: parsed!(&server), name: parsed!(&name), compose, environment };
        self.perform(effect).await
    }

    async fn remove(
        &mut self,
        server: String,
        name: String,
        delete_data: bool,
    ) -> Trap<Result<(), Failure>> {
        let (server, name) = (parsed!(&server), parsed!(&name));
        self.perform(Remove { server, name, delete_data }).await
    }

    async fn inspect(&mut self, server: String, name: String) -> Trap<Result<Stack, Failure>> {
        let (server, name) = (parsed!(&server), parsed!(&name));
        Ok(self.perform(Inspect { server, name }).await?.map(shown))
    }

    async fn wait_healthy(
        &mut self,
        server: String,
        name: String,
        timeout_ms: u64,
    ) -> Trap<Result<Stack, Failure>> {
        let (server, name) = (parsed!(&server), parsed!(&name));
        let timeout = Duration::from_millis(timeout_ms);
        Ok(self.perform(WaitHealthy { server, name, timeout }).await?.map(shown))
    }

    async fn run(
        &mut self,
        server: String,
        name: String,
        command: Command,
    ) -> Trap<Result<Output, Failure>> {
        let Command { service, arguments, stdin, timeout_ms, options } = command;
        let checked = container::check_service(&service);
        if let Err(message) = checked.and_then(|()| container::check_arguments(&arguments)) {
            return Ok(Err(invalid(&message)));
        }
        let log = || Arc::new(JobLog { job: Arc::clone(&self.job), quiet_prefix: None });
        let is_logged = options.iter().any(|(name, value)| name == "log-output" && value == "true");
        let effect = RunInContainer {
            server: parsed!(&server),
            name: parsed!(&name),
            service,
            arguments,
            stdin,
            timeout: match timeout_ms {
                0 => USUAL_TIMEOUT,
                milliseconds => Duration::from_millis(milliseconds),
            },
            lines: is_logged.then(log),
        };
        Ok(self.perform(effect).await?.map(|output| Output {
            exit_code: output.exit_code,
            stdout: output.stdout,
            stderr: output.stderr,
            truncated: output.truncated,
            duration_ms: output.duration_ms,
        }))
    }
}

fn shown(stack: stacks::Stack) -> Stack {
    let service = |it: stacks::Service| Service {
        name: it.name,
        image: it.image,
        running: it.running,
        wanted: it.wanted,
        error: it.error,
    };
    Stack {
        name: stack.name,
        status: stack.status.as_str().to_owned(),
        services: stack.services.into_iter().map(service).collect(),
        properties: stack.digest.map(|it| ("compose-sha256".to_owned(), it)).into_iter().collect(),
    }
}
