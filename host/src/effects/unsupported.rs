//! Functions of the contract that this host does not have yet. They answer `unsupported`, and that
//! is journaled like any answer, so that a newer host replays it alike.

use serde_json::{Value, json};

use crate::effects::Effect;
use crate::effects::context::JobContext;
use crate::effects::grants::Grant;
use crate::model::failure::Failure;
use crate::model::journal::Class;
use crate::model::names::Identity;

/// A call of a function that there is not yet.
#[derive(Debug)]
pub struct Unsupported {
    /// Its interface.
    pub interface: &'static str,
    /// Its name.
    pub function: &'static str,
}

impl Effect for Unsupported {
    type Answer = ();
    const FUNCTION: &'static str = "unsupported";
    const CLASS: Class = Class::Read;

    fn needs(&self) -> Grant<'_> {
        Grant { interface: self.interface, server: None }
    }

    fn request(&self) -> Value {
        json!({ "interface": self.interface, "function": self.function })
    }

    async fn act(&self, _: &JobContext, _: &Identity) -> Result<(), Failure> {
        let Self { interface, function } = self;
        let message = format!("this host does not have `{interface}.{function}` yet");
        Err(Failure::unsafe_to_retry("unsupported", message))
    }
}
