//! Interfaces whose shape is settled and which this host does not have yet: each function answers
//! `unsupported`.

use bindings::windlass::plugin::types::Failure;
use bindings::windlass::plugin::{http, types};
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

impl http::Host for Capabilities {
    async fn send(&mut self, _request: http::Request) -> Trap<Result<http::Response, Failure>> {
        self.not_yet("http", "send").await
    }
}
