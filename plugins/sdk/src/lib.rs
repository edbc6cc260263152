//! What a plugin author writes against.
//!
//! A plugin is a crate with a `descriptor.json`, a function from parameters to a result, and one
//! line that makes a component of them:
//!
//! ```ignore
//! use sdk::{Failure, job};
//!
//! #[derive(serde::Deserialize)]
//! struct Params { name: String }
//!
//! #[derive(serde::Serialize)]
//! struct Greeting { text: String }
//!
//! fn run(params: Params) -> Result<Greeting, Failure> {
//!     job::step("Greet");
//!     Ok(Greeting { text: format!("hello {}", params.name) })
//! }
//!
//! sdk::operation!(run);
//! ```
//!
//! A plugin runs again from the start when the host was stopped, with the journal answering what it
//! asked before: so it must ask the same things in the same order. Clocks and random numbers are
//! replayed too. What must not be guessed comes from `secrets`, never from random numbers.

mod failure;
mod operation;

/// The contract's interfaces as Rust functions, generated from `wit/`.
#[expect(clippy::mem_forget, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "operation",
        pub_export_macro: true,
        default_bindings_module: "sdk::bindings",
    });
}

pub use bindings::windlass::plugin::types::Failure;
pub use bindings::windlass::plugin::{dns, http, inventory, job, secrets, servers, ssh, stacks};
pub use operation::{answer, params};
pub use {serde, serde_json};
