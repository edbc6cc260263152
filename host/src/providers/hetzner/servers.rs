//! Servers: ordered once, found by the labels of the order, deleted until they are gone.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use serde_json::json;

use crate::model::names::Identity;
use crate::providers::cloud::answer::{ApiError, CallError};
use crate::providers::cloud::cloud_config::cloud_config;
use crate::providers::cloud::request::Request;
use crate::providers::hetzner::Hetzner;
use crate::providers::hetzner::actions::failure;
use crate::providers::hetzner::dialect::explain;
use crate::providers::hetzner::keys::numeric;
use crate::providers::hetzner::wire::{Action, Deleted, OneServer, Ordered, Server};
use crate::providers::{Machine, NewMachine, ProviderError};

/// What Hetzner takes as `user_data`.
const MOST_USER_DATA: usize = 32 * 1024;

impl Hetzner {
    pub(super) async fn find_by_identity(
        &self,
        identity: &Identity,
    ) -> Result<Option<Machine>, ProviderError> {
        let selector = format!(
            "{}=={},{}=={}",
            Identity::JOB_LABEL,
            identity.job,
            Identity::EFFECT_LABEL,
            identity.effect
        );
        let servers: Vec<Server> = self
            .cloud
            .list("/servers", &[("label_selector", &selector)], "servers")
            .await
            .map_err(|error| explain("look for the server of this job", error))?;
        let ours = servers.into_iter().find(|server| has_identity(server, identity));
        Ok(ours.map(|server| server.into_machine(Vec::new())))
    }

    pub(super) async fn order(&self, wanted: &NewMachine) -> Result<Machine, ProviderError> {
        let user_data = cloud_config(&wanted.boot);
        if user_data.expose_secret().len() > MOST_USER_DATA {
            return Err(ProviderError::Refused {
                code: "invalid_argument",
                message: format!(
                    "could not order `{}` at Hetzner: its keys are longer than the {MOST_USER_DATA} \
                     bytes that a machine can be told; use ed25519 keys",
                    wanted.name
                ),
            });
        }
        let body = json!({
            "name": wanted.name,
            "server_type": wanted.server_type,
            "location": wanted.region,
            "image": wanted.image,
            "ssh_keys": wanted.ssh_keys,
            "user_data": user_data.expose_secret(),
            "labels": {
                Identity::JOB_LABEL: wanted.identity.job,
                Identity::EFFECT_LABEL: wanted.identity.effect.to_string(),
            },
            "start_after_create": true,
        });
        let request = Request::post("/servers", body);
        let began = Instant::now();
        loop {
            let refusal = match self.cloud.call::<Ordered>(&request).await {
                Ok(ordered) => {
                    let actions = std::iter::once(&ordered.action).chain(&ordered.next_actions);
                    let actions = actions.map(|action| action.id.to_string()).collect();
                    return Ok(ordered.server.into_machine(actions));
                }
                Err(CallError::Refused(error)) if error.code == "uniqueness_error" => error,
                Err(error) => return Err(explain(&ordering(wanted), error)),
            };
            if let Some(machine) = self.adopt(wanted, &refusal).await? {
                return Ok(machine);
            }
            // An order of ours that was cut off may still be on its way into the list: the name is
            // taken, and nobody has it. Names are unique, so asking again cannot buy a second one.
            if began.elapsed() >= self.options.order_settles {
                return Err(taken(wanted, &refusal, "no server has that name any more: try again"));
            }
            self.pause().await;
        }
    }

    pub(super) async fn look_up(&self, id: &str) -> Result<Option<Machine>, ProviderError> {
        let server = self.fetch_server(numeric("server", id)?).await?;
        Ok(server.map(|server| server.into_machine(Vec::new())))
    }

    pub(super) async fn list_ids(&self) -> Result<BTreeSet<String>, ProviderError> {
        let ours = [("label_selector", Identity::JOB_LABEL)];
        let servers: Result<Vec<Server>, CallError> =
            self.cloud.list("/servers", &ours, "servers").await;
        let servers = servers.map_err(|error| explain("list the servers", error))?;
        Ok(servers.into_iter().map(|server| server.id.to_string()).collect())
    }

    pub(super) async fn fetch_server(&self, id: u64) -> Result<Option<Server>, ProviderError> {
        match self.cloud.call::<OneServer>(&Request::get(format!("/servers/{id}"))).await {
            Ok(answer) => Ok(Some(answer.server)),
            Err(CallError::Refused(error)) if error.code == "not_found" => Ok(None),
            Err(error) => Err(explain(&format!("look at server {id}"), error)),
        }
    }

    pub(super) async fn delete_until_gone(&self, id: &str) -> Result<(), ProviderError> {
        let id = numeric("server", id)?;
        let timeout = self.options.delete_timeout;
        tokio::time::timeout(timeout, self.delete(id)).await.unwrap_or_else(|_elapsed| {
            Err(ProviderError::Timeout {
                message: format!(
                    "server {id} at Hetzner was not gone after {} s: see in the Hetzner console \
                     what holds it up, then try again",
                    timeout.as_secs()
                ),
            })
        })
    }

    /// The name is taken: by this very order, sent before, or by a server that is not ours. None
    /// when no server with that name can be seen.
    async fn adopt(
        &self,
        wanted: &NewMachine,
        refusal: &ApiError,
    ) -> Result<Option<Machine>, ProviderError> {
        let name = wanted.name.as_str();
        let servers: Result<Vec<Server>, CallError> =
            self.cloud.list("/servers", &[("name", name)], "servers").await;
        let servers = servers.map_err(|error| match explain(&ordering(wanted), error) {
            error if !refusal.perhaps_done => error,
            error => ProviderError::OutcomeUnknown { message: error.to_string() },
        })?;
        match servers.into_iter().find(|server| server.name == name) {
            Some(server) if has_identity(&server, &wanted.identity) => {
                Ok(Some(server.into_machine(Vec::new())))
            }
            Some(server) => {
                let advice = format!(
                    "server {} has that name and was not made by this job: choose another name, or \
                     delete that server in the Hetzner console",
                    server.id
                );
                Err(taken(wanted, refusal, &advice))
            }
            None => Ok(None),
        }
    }

    async fn delete(&self, id: u64) -> Result<(), ProviderError> {
        loop {
            let request = Request::delete(format!("/servers/{id}"));
            match self.cloud.call::<Deleted>(&request).await {
                Ok(deleted) => return self.watch_deletion(id, deleted.action).await,
                Err(CallError::Refused(error)) if error.code == "not_found" => return Ok(()),
                Err(CallError::Refused(error)) if error.code == "locked" => {
                    self.wait_until_idle(id).await?;
                }
                Err(error) => return Err(explain(&format!("delete server {id}"), error)),
            }
        }
    }

    async fn watch_deletion(
        &self,
        id: u64,
        mut action: Option<Action>,
    ) -> Result<(), ProviderError> {
        loop {
            match self.is_gone(id, &mut action).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if error.is_passing() => tracing::debug!("looking again: {error}"),
                Err(error) => return Err(error),
            }
            self.pause().await;
        }
    }

    /// Whether the deletion is over; `action` is taken away once it ended well.
    async fn is_gone(&self, id: u64, action: &mut Option<Action>) -> Result<bool, ProviderError> {
        if let Some(known) = action {
            let now = self.fetch_actions(&[known.id]).await?.into_iter().next();
            if let Some(failed) = now.as_ref().filter(|action| action.has_failed()) {
                return Err(failure(id, failed));
            }
            if now.is_some_and(|action| action.is_running()) {
                return Ok(false);
            }
            *action = None;
        }
        Ok(self.fetch_server(id).await?.is_none())
    }

    pub(super) async fn pause(&self) {
        tokio::time::sleep(self.options.poll_interval.max(Duration::from_millis(1))).await;
    }
}

fn taken(wanted: &NewMachine, refusal: &ApiError, advice: &str) -> ProviderError {
    let (doing, told) = (ordering(wanted), refusal.told());
    ProviderError::Conflict {
        message: format!("could not {doing}, Hetzner says: {told}; {advice}"),
    }
}

fn ordering(wanted: &NewMachine) -> String {
    format!(
        "order the server `{}` ({} with {} in {})",
        wanted.name, wanted.server_type, wanted.image, wanted.region
    )
}

fn has_identity(server: &Server, identity: &Identity) -> bool {
    let label = |name| server.labels.get(name).map(String::as_str);
    label(Identity::JOB_LABEL) == Some(identity.job.as_str())
        && label(Identity::EFFECT_LABEL) == Some(identity.effect.to_string().as_str())
}
