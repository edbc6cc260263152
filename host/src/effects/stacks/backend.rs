//! The way to a server's stacks: through its Portainer where it has one, else past it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::effects::context::JobContext;
use crate::effects::inventory::record_of;
use crate::effects::references;
use crate::model::failure::Failure;
use crate::model::names::{Identity, InvalidName, ServerName};
use crate::model::secret::{Form, Reference};
use crate::model::server::Server;
use crate::ssh::Remote;
use crate::stacks::StackName;
use crate::stacks::portainer::client::Client;
use crate::stacks::portainer::line::Line;
use crate::stacks::portainer::location::{Location, Look};
use crate::stacks::portainer::{self, BELOW, Portainer};
use crate::stacks::swarm::{Deployment, Swarm};

/// The secret with the password of Portainer's administrator, which its server was set up with.
const PASSWORD: &str = "portainer/admin-password";
/// How long Portainer may be on its way from one container to the next.
const RESTARTING: Duration = Duration::from_secs(20);
/// The pause between two looks at it.
const PAUSE: Duration = Duration::from_secs(2);

/// How a stack is deployed and removed.
pub(super) enum Backend {
    /// By `docker stack …`.
    Swarm(Swarm),
    /// By Portainer.
    Portainer(Box<Portainer>),
}

/// A stack on a server, for one effect.
pub(super) struct Target<'a> {
    pub(super) job: &'a JobContext,
    pub(super) server: &'a ServerName,
    pub(super) stack: &'a StackName,
    pub(super) identity: &'a Identity,
}

impl Target<'_> {
    /// Makes the stack be what is wanted.
    pub(super) async fn deploy(&self, wanted: &Deployment) -> Result<(), Failure> {
        let wish = format!("deploy the stack `{}`", self.stack);
        match Box::pin(self.backend(Look::is_made_by_swarm, &wish)).await? {
            Backend::Swarm(swarm) => swarm.deploy(self.stack, wanted).await,
            Backend::Portainer(it) => {
                Box::pin(it.deploy(self.stack, wanted, &|line: &str| self.say(line))).await
            }
        }
    }

    /// Removes the stack.
    pub(super) async fn remove(&self, delete_data: bool) -> Result<(), Failure> {
        let wish = format!("remove the stack `{}`", self.stack);
        match Box::pin(self.backend(Look::is_none_of_portainers, &wish)).await? {
            Backend::Swarm(swarm) => swarm.remove(self.stack, delete_data).await,
            Backend::Portainer(it) => {
                Box::pin(it.remove(self.stack, delete_data, &|line: &str| self.say(line))).await
            }
        }
    }

    /// The engine itself, which is asked how a stack fares.
    pub(super) async fn swarm(&self) -> Result<Swarm, Failure> {
        let server = record_of(self.job, self.server).await?;
        self.swarm_of(&server).await
    }

    async fn swarm_of(&self, server: &Server) -> Result<Swarm, Failure> {
        let remote = self.job.outside.remotes.of(server).await?;
        let cancel = self.job.cancel_token();
        Ok(Swarm { remote, receipt: self.identity.clone(), cancel })
    }

    async fn backend(&self, is_swarms: fn(&Look) -> bool, wish: &str) -> Result<Backend, Failure> {
        let server = record_of(self.job, self.server).await?;
        let swarm = self.swarm_of(&server).await?;
        let is_simulated = server.simulated || self.job.outside.is_rehearsal;
        if is_simulated || !has_portainer(&server) || BELOW.contains(&self.stack.as_str()) {
            return Ok(Backend::Swarm(swarm));
        }
        let remote = &*swarm.remote;
        let mut look = self.look(remote).await?;
        if is_swarms(&look) {
            return Ok(Backend::Swarm(swarm));
        }
        let until = Instant::now() + RESTARTING;
        while look.portainer.is_err() && Instant::now() < until {
            self.rest().await?;
            look = self.look(remote).await?;
        }
        match look.portainer.clone() {
            Ok(location) => self.portainer(&server, swarm, look, location).await,
            Err(why) => Err(portainer::unavailable(wish, &why)),
        }
    }

    async fn portainer(
        &self,
        server: &Server,
        swarm: Swarm,
        look: Look,
        location: Location,
    ) -> Result<Backend, Failure> {
        let password = Reference {
            server: server.name.clone(),
            name: PASSWORD.parse().map_err(|error: InvalidName| internal(&error.to_string()))?,
            form: Form::Plain,
        };
        self.job.mask_secrets().await?;
        let password = references::value(self.job, &password).await.map_err(|error| {
            if error.code != "not_found" {
                return error;
            }
            let message = format!(
                "this host does not have the password of Portainer's administrator on `{}`: set \
                 the server up again, which makes one",
                server.name
            );
            Failure::safe("not_found", message)
        })?;
        let line = Line::new(swarm.remote.clone(), location).map_err(|why| internal(&why))?;
        let token = self.job.outside.portainers.of(server);
        Ok(Backend::Portainer(Box::new(Portainer {
            client: Client::new(line, password, token),
            remote: swarm.remote.clone(),
            cancel: swarm.cancel.clone(),
            swarm,
            look,
        })))
    }

    async fn look(&self, remote: &dyn Remote) -> Result<Look, Failure> {
        Look::at(remote, self.stack, self.job.cancel_token()).await
    }

    async fn rest(&self) -> Result<(), Failure> {
        tokio::select! {
            () = sleep(PAUSE) => Ok(()),
            () = self.job.cancel_token().cancelled_owned() => {
                Err(Failure::safe("cancelled", "somebody cancelled this job"))
            }
        }
    }

    fn say(&self, line: &str) {
        self.job.note(&self.job.masks().text(line));
    }
}

/// Whether the setup of this server came as far as Portainer, which a simulated one has not.
fn has_portainer(server: &Server) -> bool {
    server.setup.get("portainer").is_some_and(|it| !it.is_null())
}

fn internal(why: &str) -> Failure {
    Failure::safe("internal", why)
}
