//! What of an app's stack is let in: its own name, and what the policy allows. Jobs about a server
//! as a whole set up what apps stand on, and are not under it.

use crate::effects::context::JobContext;
use crate::effects::inventory::record_of;
use crate::model::failure::Failure;
use crate::model::names::ServerName;
use crate::stacks::compose;
use crate::stacks::policy::{self, Exception, Rules};

/// The network that apps share on a server whose record names none.
const NETWORK: &str = "livchat_network";

/// Refuses a Compose file that the policy does not allow.
pub(super) async fn admit(
    job: &JobContext,
    server: &ServerName,
    text: &str,
) -> Result<(), Failure> {
    let Some(app) = job.grants().app() else { return Ok(()) };
    let refused = |why: String| Failure::unsafe_to_retry("stack_refused", why);
    let tree = compose::tree(text).map_err(refused)?;
    let record = record_of(job, server).await?;
    let network = record.setup.get("network").and_then(serde_json::Value::as_str);
    let parsed = job.grants().stack().into_iter().map(|text| text.parse());
    let exceptions: Vec<Exception> = parsed.collect::<Result<_, _>>().map_err(refused)?;
    let hosts: Vec<String> = app.names.iter().map(ToString::to_string).collect();
    let rules = Rules {
        app: app.name.as_str(),
        network: network.unwrap_or(NETWORK),
        hosts: &hosts,
        exceptions: &exceptions,
    };
    let found = policy::check(&tree, &rules);
    match found.as_slice() {
        [] => Ok(()),
        [only] => Err(refused(format!("the stack is not allowed: {only}"))),
        several => Err(refused(format!(
            "the stack is not allowed, for {} reasons: {}",
            several.len(),
            several.join(" | ")
        ))),
    }
}
