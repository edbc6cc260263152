//! The `databases` interface.

use std::sync::Arc;

use bindings::windlass::plugin::databases::{Database, Host};
use bindings::windlass::plugin::types::Failure;
use wasmtime::Result as Trap;

use crate::capabilities::{Capabilities, parsed};
use crate::effects::databases::{DropDatabase, EnsureDatabase, Place};
use crate::effects::ssh::JobLog;

impl Host for Capabilities {
    async fn ensure(
        &mut self,
        server: String,
        engine: String,
        name: String,
    ) -> Trap<Result<Database, Failure>> {
        let lines = Arc::new(JobLog { job: Arc::clone(&self.job), quiet_prefix: None });
        let place = Place { server: parsed!(&server), engine: parsed!(&engine), name, lines };
        Ok(self.perform(EnsureDatabase(place)).await?.map(|made| Database {
            host: made.host,
            port: made.port,
            name: made.name,
            user: made.user,
            password: made.password,
            properties: Vec::new(),
        }))
    }

    async fn drop(
        &mut self,
        server: String,
        engine: String,
        name: String,
    ) -> Trap<Result<(), Failure>> {
        let lines = Arc::new(JobLog { job: Arc::clone(&self.job), quiet_prefix: None });
        let place = Place { server: parsed!(&server), engine: parsed!(&engine), name, lines };
        self.perform(DropDatabase(place)).await
    }
}
