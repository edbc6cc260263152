//! The `inventory` interface.

use bindings::windlass::plugin::inventory::Host;
use bindings::windlass::plugin::types::Failure;
use serde_json::Value;
use wasmtime::Result as Trap;

use crate::capabilities::{Capabilities, invalid, parsed};
use crate::effects::apps::{ListApps, ReadApp, RemoveApp, UpdateApp};
use crate::effects::inventory::{ListServers, ReadServer, RemoveServer, UpdateServer};

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
        server: String,
        name: String,
    ) -> Trap<Result<Option<String>, Failure>> {
        let effect = ReadApp { server: parsed!(&server), name: parsed!(&name) };
        let record = self.perform(effect).await?;
        Ok(record.map(|record| record.map(|value| value.to_string())))
    }

    async fn list_apps(&mut self, server: String) -> Trap<Result<Vec<String>, Failure>> {
        let records = self.perform(ListApps { server: parsed!(&server) }).await?;
        Ok(records.map(|records| records.iter().map(Value::to_string).collect()))
    }

    async fn put_app(
        &mut self,
        server: String,
        name: String,
        app: String,
    ) -> Trap<Result<(), Failure>> {
        let (server, name) = (parsed!(&server), parsed!(&name));
        let patch = match serde_json::from_str(&app) {
            Ok(patch) => patch,
            Err(error) => return Ok(Err(invalid(&format!("the patch is no JSON: {error}")))),
        };
        self.perform(UpdateApp { server, name, patch }).await
    }

    async fn delete_app(&mut self, server: String, name: String) -> Trap<Result<(), Failure>> {
        self.perform(RemoveApp { server: parsed!(&server), name: parsed!(&name) }).await
    }
}
