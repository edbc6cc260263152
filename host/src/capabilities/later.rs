//! Interfaces whose shape is settled and which this host does not have yet: each function answers
//! `unsupported`.

use bindings::windlass::plugin::types::Failure;
use bindings::windlass::plugin::{dns, http, secrets, stacks, types};
use wasmtime::Result as Trap;

use crate::capabilities::Capabilities;
use crate::effects::unsupported::Unsupported;

impl types::Host for Capabilities {}

impl Capabilities {
    /// Answers `unsupported`, whatever the function would have answered.
    async fn not_yet<T>(
        &self,
        interface: &'static str,
        function: &'static str,
    ) -> Trap<Result<T, Failure>> {
        let answer = self.perform(Unsupported { interface, function }).await?;
        match answer {
            Err(failure) => Ok(Err(failure)),
            Ok(()) => Err(wasmtime::format_err!("`{interface}.{function}` answered")),
        }
    }
}

impl stacks::Host for Capabilities {
    async fn deploy(
        &mut self,
        _server: String,
        _name: String,
        _compose: String,
        _environment: Vec<types::Property>,
    ) -> Trap<Result<(), Failure>> {
        self.not_yet("stacks", "deploy").await
    }

    async fn remove(
        &mut self,
        _server: String,
        _name: String,
        _delete_data: bool,
    ) -> Trap<Result<(), Failure>> {
        self.not_yet("stacks", "remove").await
    }

    async fn inspect(
        &mut self,
        _server: String,
        _name: String,
    ) -> Trap<Result<stacks::Stack, Failure>> {
        self.not_yet("stacks", "inspect").await
    }

    async fn wait_healthy(
        &mut self,
        _server: String,
        _name: String,
        _timeout_ms: u64,
    ) -> Trap<Result<stacks::Stack, Failure>> {
        self.not_yet("stacks", "wait-healthy").await
    }
}

impl dns::Host for Capabilities {
    async fn zones(&mut self) -> Trap<Result<Vec<dns::Zone>, Failure>> {
        self.not_yet("dns", "zones").await
    }

    async fn lookup(
        &mut self,
        _zone: String,
        _name: String,
    ) -> Trap<Result<Vec<dns::DnsRecord>, Failure>> {
        self.not_yet("dns", "lookup").await
    }

    async fn upsert(&mut self, _wanted: dns::NewRecord) -> Trap<Result<dns::DnsRecord, Failure>> {
        self.not_yet("dns", "upsert").await
    }

    async fn delete(&mut self, _zone: String, _id: String) -> Trap<Result<(), Failure>> {
        self.not_yet("dns", "delete").await
    }
}

impl http::Host for Capabilities {
    async fn send(&mut self, _request: http::Request) -> Trap<Result<http::Response, Failure>> {
        self.not_yet("http", "send").await
    }
}

impl secrets::Host for Capabilities {
    async fn ensure(
        &mut self,
        _name: String,
        _policy: secrets::Policy,
    ) -> Trap<Result<String, Failure>> {
        self.not_yet("secrets", "ensure").await
    }

    async fn bcrypt(&mut self, _reference: String) -> Trap<Result<String, Failure>> {
        self.not_yet("secrets", "bcrypt").await
    }
}
