//! The `inventory` interface.

use bindings::windlass::plugin::inventory::Host;
use bindings::windlass::plugin::types::Failure;
use serde_json::Value;
use wasmtime::Result as Trap;

use crate::capabilities::{Capabilities, invalid, parsed};
use crate::effects::inventory::{ListServers, ReadServer, RemoveServer, UpdateServer};
use crate::effects::unsupported::Unsupported;

impl Host for Capabilities {
    async fn get_server(&mut self, name: String) -> Trap<Result<Option<String>, Failure>> {
        let record = self.perform(ReadServer { server: parsed!(&name) }).await?;
        Ok(record.map(|record| record.map(|value| value.to_string())))
    }

    async fn list_servers(&mut self) -> Trap<Result<Vec<String>, Failure>> {
        let records = self.perform(ListServers).await?;
        Ok(records.map(|records| records.iter().map(Value::to_string).collect()))
    }

    async fn update_server(&mut self, name: String, patch: String) -> Trap<Result<(), Failure>> {
        let patch = match serde_json::from_str(&patch) {
            Ok(patch) => patch,
            Err(error) => return Ok(Err(invalid(&format!("the patch is no JSON: {error}")))),
        };
        self.perform(UpdateServer { server: parsed!(&name), patch }).await
    }

    async fn remove_server(&mut self, name: String) -> Trap<Result<(), Failure>> {
        self.perform(RemoveServer { server: parsed!(&name) }).await
    }

    async fn get_app(
        &mut self,
        _server: String,
        _name: String,
    ) -> Trap<Result<Option<String>, Failure>> {
        let answer = self.perform(app("get-app")).await?;
        Ok(answer.map(|()| None))
    }

    async fn list_apps(&mut self, _server: String) -> Trap<Result<Vec<String>, Failure>> {
        let answer = self.perform(app("list-apps")).await?;
        Ok(answer.map(|()| Vec::new()))
    }

    async fn put_app(
        &mut self,
        _server: String,
        _name: String,
        _app: String,
    ) -> Trap<Result<(), Failure>> {
        self.perform(app("put-app")).await
    }

    async fn delete_app(&mut self, _server: String, _name: String) -> Trap<Result<(), Failure>> {
        self.perform(app("delete-app")).await
    }
}

const fn app(function: &'static str) -> Unsupported {
    Unsupported { interface: "inventory", function }
}
