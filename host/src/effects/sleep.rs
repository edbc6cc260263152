//! Waiting, once over all attempts together.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::effects::Effect;
use crate::effects::context::JobContext;
use crate::effects::grants::Grant;
use crate::model::failure::Failure;
use crate::model::journal::Class;
use crate::model::names::Identity;

/// Waits for so long from the last thing that happened.
#[derive(Debug)]
pub struct Sleep(pub Duration);

impl Effect for Sleep {
    type Answer = ();
    const FUNCTION: &'static str = "job.sleep";
    const CLASS: Class = Class::Read;

    fn needs(&self) -> Grant<'_> {
        Grant { interface: "job", server: None }
    }

    fn request(&self) -> Value {
        json!({ "milliseconds": self.0.as_millis() })
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<(), Failure> {
        let clock = job.clock();
        let rest = SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX);
        let at = clock.now().saturating_add(rest).unwrap_or(Timestamp::MAX);
        clock.wait_until(at).await;
        Ok(())
    }
}
