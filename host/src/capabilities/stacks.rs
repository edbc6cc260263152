//! The `stacks` interface.

use std::time::Duration;

use bindings::windlass::plugin::stacks::{Host, Service, Stack};
use bindings::windlass::plugin::types::{Failure, Property};
use wasmtime::Result as Trap;

use crate::capabilities::{Capabilities, invalid, parsed};
use crate::effects::stacks::{Deploy, Inspect, Remove, WaitHealthy};
use crate::stacks::{self, compose};

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
