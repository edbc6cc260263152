//! Hetzner's actions: what goes on with a server after a request was answered.

use std::time::Duration;

use crate::providers::cloud::answer::CallError;
use crate::providers::cloud::request::Request;
use crate::providers::hetzner::Hetzner;
use crate::providers::hetzner::dialect::explain;
use crate::providers::hetzner::keys::numeric;
use crate::providers::hetzner::wire::{Action, Actions};
use crate::providers::{Machine, ProviderError};

/// As many ids as Hetzner's own client asks for in one request.
const IDS_A_REQUEST: usize = 25;

impl Hetzner {
    pub(super) async fn wait_until_running(
        &self,
        id: &str,
        actions: &[String],
        timeout: Duration,
    ) -> Result<Machine, ProviderError> {
        let id = numeric("server", id)?;
        let actions: Result<Vec<u64>, _> =
            actions.iter().map(|action| numeric("action", action)).collect();
        let mut boot = Boot { server: id, open: actions?, looked_up: false, seen: String::new() };
        match tokio::time::timeout(timeout, self.watch_boot(&mut boot)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(ProviderError::Timeout {
                message: format!(
                    "server {id} at Hetzner was not running after {} s: {}; see in the Hetzner \
                     console what holds it up, then try again",
                    timeout.as_secs_f64(),
                    boot.seen
                ),
            }),
        }
    }

    /// The actions of these ids that Hetzner knows.
    pub(super) async fn fetch_actions(&self, ids: &[u64]) -> Result<Vec<Action>, ProviderError> {
        let mut actions = Vec::new();
        for chunk in ids.chunks(IDS_A_REQUEST) {
            let request = chunk
                .iter()
                .fold(Request::get("/actions"), |request, id| request.with_query("id", id));
            let answer: Actions = self
                .cloud
                .call(&request)
                .await
                .map_err(|error| explain("see how Hetzner's work on the server goes", error))?;
            actions.extend(answer.actions);
        }
        Ok(actions)
    }

    /// Waits until nothing goes on with the server, however it ended.
    pub(super) async fn wait_until_idle(&self, server: u64) -> Result<(), ProviderError> {
        loop {
            self.pause().await;
            match self.actions_of(server).await {
                Ok(actions) if !actions.iter().any(Action::is_running) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.is_passing() => tracing::debug!("looking again: {error}"),
                Err(error) => return Err(error),
            }
        }
    }

    async fn watch_boot(&self, boot: &mut Boot) -> Result<Machine, ProviderError> {
        loop {
            match self.look_at_boot(boot).await {
                Ok(Some(machine)) => return Ok(machine),
                Ok(None) => {}
                // The machine boots on while the API is away.
                Err(error) if error.is_passing() => boot.seen = error.to_string(),
                Err(error) => return Err(error),
            }
            self.pause().await;
        }
    }

    /// The machine, once its actions ended well and it runs.
    async fn look_at_boot(&self, boot: &mut Boot) -> Result<Option<Machine>, ProviderError> {
        if boot.open.is_empty() && !boot.looked_up {
            boot.open = self.boot_actions(boot.server).await?;
            boot.looked_up = true;
        }
        if !boot.open.is_empty() {
            boot.looked_up = true;
            let actions = self.fetch_actions(&boot.open).await?;
            boot.open = still_running(boot, &actions)?;
            if let Some(action) = actions.iter().find(|action| action.is_running()) {
                boot.seen = format!("its action `{}` was still running", action.command);
                return Ok(None);
            }
        }
        let server = self.fetch_server(boot.server).await?;
        let server = server.ok_or_else(|| ProviderError::NotFound {
            message: format!(
                "Hetzner does not know server {} any more: somebody deleted it; make a new one",
                boot.server
            ),
        })?;
        if server.status == "deleting" {
            return Err(ProviderError::ActionFailed {
                message: format!(
                    "server {} is being deleted at Hetzner, not by this job: make a new one",
                    server.id
                ),
            });
        }
        boot.seen = match server.public_net.ipv4 {
            Some(_) => format!("its status was `{}`", server.status),
            None => format!("its status was `{}` and it had no public IPv4", server.status),
        };
        let runs = server.status == "running" && server.public_net.ipv4.is_some();
        Ok(runs.then(|| server.into_machine(Vec::new())))
    }

    /// The actions that an adopted server's boot depends on: those that run, and its creation if
    /// that failed.
    async fn boot_actions(&self, server: u64) -> Result<Vec<u64>, ProviderError> {
        let decides = |action: &Action| {
            action.is_running() || (action.has_failed() && action.command == "create_server")
        };
        let actions = self.actions_of(server).await?;
        Ok(actions.iter().filter(|action| decides(action)).map(|action| action.id).collect())
    }

    /// The server's actions; none when there is no such server.
    async fn actions_of(&self, server: u64) -> Result<Vec<Action>, ProviderError> {
        let path = format!("/servers/{server}/actions");
        match self.cloud.list(&path, &[], "actions").await {
            Ok(actions) => Ok(actions),
            Err(CallError::Refused(error)) if error.code == "not_found" => Ok(Vec::new()),
            Err(error) => Err(explain("see how Hetzner's work on the server goes", error)),
        }
    }
}

/// What is known of a server on its way up.
struct Boot {
    server: u64,
    /// The actions that have to end.
    open: Vec<u64>,
    /// Whether the actions are known: told by the order, or asked for.
    looked_up: bool,
    /// What held it up at the last look.
    seen: String,
}

fn still_running(boot: &Boot, actions: &[Action]) -> Result<Vec<u64>, ProviderError> {
    if let Some(failed) = actions.iter().find(|action| action.has_failed()) {
        return Err(failure(boot.server, failed));
    }
    let unknown = boot.open.iter().find(|id| !actions.iter().any(|action| action.id == **id));
    if let Some(id) = unknown {
        return Err(ProviderError::ActionFailed {
            message: format!(
                "Hetzner does not know action {id} of server {} any more, so there is no telling \
                 how it ended: look at the server in the Hetzner console",
                boot.server
            ),
        });
    }
    Ok(actions.iter().filter(|action| action.is_running()).map(|action| action.id).collect())
}

/// The action's error as a person should read it.
pub(super) fn failure(server: u64, action: &Action) -> ProviderError {
    let (message, code) = action
        .error
        .as_ref()
        .map_or(("no reason told", "unknown"), |error| (&error.message, &error.code));
    ProviderError::ActionFailed {
        message: format!(
            "Hetzner could not finish `{}` for server {server}: {message} ({code}) [action {}]; \
             try again, and in another region if it happens twice",
            action.command, action.id
        ),
    }
}
