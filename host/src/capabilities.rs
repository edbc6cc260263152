//! What a plugin may ask of the host: each function of the contract parses its arguments, performs
//! an effect, and translates the answer. The rules are in [`crate::effects`].

pub mod databases;
pub mod dns;
pub mod http;
pub mod inventory;
pub mod job;
pub mod output;
pub mod randomness;
pub mod secrets;
pub mod servers;
pub mod ssh;
pub mod stacks;

use std::str::FromStr;
use std::sync::Arc;

use bindings::Guest;
use bindings::windlass::plugin::types;
use wasmtime::component::HasData;

use crate::effects::context::JobContext;
use crate::effects::{self, Effect, Stop};
use crate::model::failure::Failure;

/// The host's part of a store: all that a plugin's calls can reach.
pub struct Capabilities {
    job: Arc<JobContext>,
    /// The provider's actions that the machine ordered by this run waits for.
    actions: Vec<String>,
}

/// Tells the linker what the interfaces are implemented on.
pub struct Granted;

impl HasData for Granted {
    type Data<'a> = &'a mut Capabilities;
}

/// The capabilities of the guest in a store.
#[expect(clippy::expect_used, reason = "every store is made by `plugins::instance`, with them")]
pub fn of(guest: &mut Guest) -> &mut Capabilities {
    guest.host.downcast_mut::<Capabilities>().expect("a store has its capabilities")
}

impl Capabilities {
    /// The capabilities of one run.
    pub const fn new(job: Arc<JobContext>) -> Self {
        Self { job, actions: Vec::new() }
    }

    /// Performs an effect. The outer error traps: the run ends, and the plugin is not told.
    async fn perform<E: Effect>(
        &self,
        effect: E,
    ) -> wasmtime::Result<Result<E::Answer, types::Failure>> {
        match effects::perform(&self.job, &effect).await {
            Ok(answer) => Ok(answer.map_err(failure)),
            Err(stop) => Err(self.end(stop)),
        }
    }

    fn end(&self, stop: Stop) -> wasmtime::Error {
        self.job.stop(stop);
        wasmtime::format_err!("the host ended this run")
    }
}

fn failure(failure: Failure) -> types::Failure {
    types::Failure { code: failure.code, message: failure.message, retry_safe: failure.retry_safe }
}

/// Parses an argument; a bad one is the plugin's mistake and an ordinary failure.
fn parse<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, types::Failure> {
    text.parse().map_err(|e: T::Err| invalid(&e.to_string()))
}

fn invalid(message: &str) -> types::Failure {
    failure(Failure::unsafe_to_retry("invalid_argument", message))
}

/// Parses an argument, or answers the guest with what is wrong with it.
macro_rules! parsed {
    ($text:expr) => {
        match crate::capabilities::parse($text) {
            Ok(value) => value,
            Err(failure) => return Ok(Err(failure)),
        }
    };
}
use parsed;
