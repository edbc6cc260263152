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

mod app;
mod failure;
mod operation;
pub mod recipe;

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

/// The same for apps, whose component exports other functions.
#[expect(clippy::mem_forget, reason = "generated")]
pub mod app_bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "app",
        pub_export_macro: true,
        default_bindings_module: "sdk::app_bindings",
        with: {
            "windlass:plugin/databases@0.1.0": crate::bindings::windlass::plugin::databases,
            "windlass:plugin/dns@0.1.0": crate::bindings::windlass::plugin::dns,
            "windlass:plugin/http@0.1.0": crate::bindings::windlass::plugin::http,
            "windlass:plugin/inventory@0.1.0": crate::bindings::windlass::plugin::inventory,
            "windlass:plugin/job@0.1.0": crate::bindings::windlass::plugin::job,
            "windlass:plugin/secrets@0.1.0": crate::bindings::windlass::plugin::secrets,
            "windlass:plugin/stacks@0.1.0": crate::bindings::windlass::plugin::stacks,
            "windlass:plugin/types@0.1.0": crate::bindings::windlass::plugin::types,
        },
    });
}

/// The data that a recipe was packed with.
mod source_bindings {
    wit_bindgen::generate!({ path: "wit", world: "data" });
}

pub use bindings::windlass::plugin::types::Failure;
pub use bindings::windlass::plugin::{
    databases, dns, http, inventory, job, secrets, servers, ssh, stacks,
};
pub use operation::{answer, params};
pub use {serde, serde_json};
