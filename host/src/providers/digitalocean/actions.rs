//! DigitalOcean's actions: what goes on with a droplet after a request was answered.

use std::time::Duration;

use crate::providers::cloud::answer::CallError;
use crate::providers::cloud::request::Request;
use crate::providers::digitalocean::DigitalOcean;
use crate::providers::digitalocean::dialect::{explain, numeric};
use crate::providers::digitalocean::wire::{Action, OneAction};
use crate::providers::{Machine, ProviderError};

/// What is known of a droplet on its way up.
struct Boot {
    droplet: u64,
    /// The actions that have to end.
    open: Vec<u64>,
    /// Whether the actions are known: told by the order, or asked for.
    looked_up: bool,
    /// What held it up at the last look.
    seen: String,
}

impl DigitalOcean {
    pub(super) async fn wait_until_running(
        &self,
        id: &str,
        actions: &[String],
        timeout: Duration,
    ) -> Result<Machine, ProviderError> {
        let droplet = numeric("droplet", id)?;
        let open: Result<Vec<u64>, _> =
            actions.iter().map(|action| numeric("action", action)).collect();
        let looked_up = !actions.is_empty();
        let mut boot = Boot { droplet, open: open?, looked_up, seen: String::new() };
        match tokio::time::timeout(timeout, self.watch_boot(&mut boot)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(ProviderError::Timeout {
                message: format!(
                    "droplet {droplet} at DigitalOcean was not running after {} s: {}; see in the \
                     DigitalOcean control panel what holds it up, then try again",
                    timeout.as_secs_f64(),
                    boot.seen
                ),
            }),
        }
    }

    async fn watch_boot(&self, boot: &mut Boot) -> Result<Machine, ProviderError> {
        loop {
            match self.look_at_boot(boot).await {
                Ok(Some(machine)) => return Ok(machine),
                Ok(None) => {}
                // The droplet boots on while the API is away.
                Err(error) if error.is_passing() => boot.seen = error.to_string(),
                Err(error) => return Err(error),
            }
            self.pause().await;
        }
    }

    /// The machine, once its actions ended well and it runs.
    async fn look_at_boot(&self, boot: &mut Boot) -> Result<Option<Machine>, ProviderError> {
        if !boot.looked_up {
            boot.open = self.boot_actions(boot.droplet).await?;
            boot.looked_up = true;
        }
        while let Some(&id) = boot.open.last() {
            match self.fetch_action(id).await? {
                Some(action) if action.has_failed() => return Err(failure(boot.droplet, &action)),
                Some(action) if action.is_running() => {
                    boot.seen = format!("its action `{}` was still running", action.kind);
                    return Ok(None);
                }
                // One that ended, or that is forgotten: the droplet itself tells how.
                Some(_) | None => drop(boot.open.pop()),
            }
        }
        let droplet = self.fetch_droplet(boot.droplet).await?;
        let droplet = droplet.ok_or_else(|| ProviderError::NotFound {
            message: format!(
                "DigitalOcean does not know droplet {} any more: somebody deleted it; make a new \
                 one",
                boot.droplet
            ),
        })?;
        boot.seen = if droplet.has_public_ipv4() {
            format!("its status was `{}`", droplet.status)
        } else {
            format!("its status was `{}` and it had no public IPv4", droplet.status)
        };
        let runs = droplet.status == "active" && droplet.has_public_ipv4();
        Ok(runs.then(|| droplet.into_machine(Vec::new())))
    }

    /// The actions that an adopted droplet's boot depends on: those that run, and its creation if
    /// that failed.
    async fn boot_actions(&self, droplet: u64) -> Result<Vec<u64>, ProviderError> {
        let decides = |action: &Action| {
            action.is_running() || (action.has_failed() && action.kind == "create")
        };
        let path = format!("/droplets/{droplet}/actions");
        match self.cloud.list::<Action>(&path, &[], "actions").await {
            Ok(all) => Ok(all.iter().filter(|it| decides(it)).map(|action| action.id).collect()),
            Err(CallError::Refused(error)) if error.status == 404 => Ok(Vec::new()),
            Err(error) => Err(explain(SEE, error)),
        }
    }

    async fn fetch_action(&self, id: u64) -> Result<Option<Action>, ProviderError> {
        match self.cloud.call::<OneAction>(&Request::get(format!("/actions/{id}"))).await {
            Ok(answer) => Ok(Some(answer.action)),
            Err(CallError::Refused(error)) if error.status == 404 => Ok(None),
            Err(error) => Err(explain(SEE, error)),
        }
    }
}

const SEE: &str = "see how DigitalOcean's work on the droplet goes";

/// The API tells that an action failed, and never why.
fn failure(droplet: u64, action: &Action) -> ProviderError {
    ProviderError::ActionFailed {
        message: format!(
            "DigitalOcean could not finish `{}` for droplet {droplet} and does not say why [action \
             {}]; try again, and in another region if it happens twice",
            action.kind, action.id
        ),
    }
}
