//! The `secrets` interface.

use bindings::windlass::plugin::secrets::{Host, Policy};
use bindings::windlass::plugin::types::Failure;
use wasmtime::Result as Trap;

use crate::capabilities::{Capabilities, failure, parsed};
use crate::effects::secrets::{self, EnsureBcrypt, EnsureSecret};

impl Host for Capabilities {
    async fn ensure(&mut self, name: String, policy: Policy) -> Trap<Result<String, Failure>> {
        let name = parsed!(&name);
        let policy = match secrets::Policy::new(policy.length, &policy.alphabet) {
            Ok(policy) => policy,
            Err(refused) => return Ok(Err(failure(refused))),
        };
        self.perform(EnsureSecret { name, policy }).await
    }

    async fn bcrypt(&mut self, reference: String) -> Trap<Result<String, Failure>> {
        self.perform(EnsureBcrypt { reference: parsed!(&reference) }).await
    }
}
