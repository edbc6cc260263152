//! Stacks of a swarm through the Portainer that runs on it, reached from its own server, so that its
//! port need not be open to anybody. How a stack fares is told by the engine, not by Portainer.
//!
//! A stack stays with the way that made it. What `docker stack deploy` made goes on with that, since
//! Portainer refuses its name. What Portainer made is never changed past it, even when it does not
//! answer: its own copy would be another one, and the next change made there would undo ours.

pub mod client;
pub mod line;
pub mod location;
mod refusal;
pub mod tokens;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

pub use refusal::unavailable;

use crate::model::failure::Failure;
use crate::ssh::Remote;
use crate::stacks::StackName;
use crate::stacks::portainer::client::{Client, DEPLOYING, Place};
use crate::stacks::portainer::location::{Look, Mark};
use crate::stacks::portainer::refusal::Refusal;
use crate::stacks::swarm::{Deployment, Swarm};

/// The name of Portainer's service in its swarm.
pub const SERVICE: &str = "portainer_portainer";
/// Stacks that have to be there before Portainer, and when it is not: they never go through it.
pub const BELOW: [&str; 2] = ["traefik", "portainer"];

/// Where the server keeps what this host knows of its stacks.
const KEPT: &str = "/var/lib/windlass/stacks";
/// How long an order whose answer nobody took may go unseen: until then the engine has a service of
/// it, and Portainer refuses a second one of that name.
const UNSEEN: Duration = Duration::from_secs(30);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// How often an update is tried that met another one.
const COLLISIONS: usize = 5;

/// A server's Portainer, for one effect of a job.
pub struct Portainer {
    /// The way to its API.
    pub client: Client,
    /// The way to its server.
    pub remote: Arc<dyn Remote>,
    /// The engine below.
    pub swarm: Swarm,
    /// What was seen of the stack before.
    pub look: Look,
    /// Ends waiting.
    pub cancel: CancellationToken,
}

/// Says something in the job's log.
pub type Say<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// What came of an order.
enum Ordered {
    Done,
    /// The engine runs something of this name that Portainer does not know.
    Taken,
}

impl Portainer {
    /// Makes the stack be what is wanted. May be done again.
    ///
    /// # Errors
    /// With Portainer's own words, or why it cannot be asked.
    pub async fn deploy(
        &self,
        name: &StackName,
        wanted: &Deployment,
        say: Say<'_>,
    ) -> Result<(), Failure> {
        self.unless_cancelled(Box::pin(async {
            match self.ordered(name, wanted, say).await.map_err(|it| it.failure(&deploying(name))) {
                Ok(Ordered::Done) => self.keep(name, wanted).await,
                Ok(Ordered::Taken) => {
                    say(&format!(
                        "the stack `{name}` runs and Portainer does not list it: it goes on with \
                         `docker stack deploy`, as it was made"
                    ));
                    self.swarm.deploy(name, wanted).await
                }
                Err(failure) => Err(failure),
            }
        }))
        .await
    }

    /// Removes the stack, and its volumes where that is said; an absent one is success.
    ///
    /// # Errors
    /// As [`Self::deploy`].
    pub async fn remove(
        &self,
        name: &StackName,
        delete_data: bool,
        say: Say<'_>,
    ) -> Result<(), Failure> {
        let given_back = async {
            let place = self.client.place().await?;
            match self.listed(&place, name, say).await? {
                Some(id) => {
                    self.client.delete(&place, id).await?;
                    say(&format!("Portainer removed the stack `{name}`"));
                    Ok(())
                }
                None => Ok(()),
            }
        };
        let wanted = format!("remove the stack `{name}`");
        let given_back =
            async { given_back.await.map_err(|refusal: Refusal| refusal.failure(&wanted)) };
        self.unless_cancelled(Box::pin(given_back)).await?;
        // What Portainer leaves: containers that still end, volumes, and our notes.
        self.swarm.remove(name, delete_data).await
    }

    async fn ordered(
        &self,
        name: &StackName,
        wanted: &Deployment,
        say: Say<'_>,
    ) -> Result<Ordered, Refusal> {
        let place = self.client.place().await?;
        if let Some(id) = self.listed(&place, name, say).await? {
            self.update(&place, id, wanted).await?;
            say(&format!("Portainer updated the stack `{name}`"));
            return Ok(Ordered::Done);
        }
        if self.look.has_services && self.look.mark != Mark::Creating {
            return Ok(Ordered::Taken);
        }
        self.create(&place, name, wanted, say).await
    }

    async fn create(
        &self,
        place: &Place,
        name: &StackName,
        wanted: &Deployment,
        say: Say<'_>,
    ) -> Result<Ordered, Refusal> {
        self.mark(name, Mark::Creating).await?;
        let appears_within = match self.client.create(place, name, wanted).await {
            Ok(()) => {
                say(&format!("Portainer made the stack `{name}`"));
                return Ok(Ordered::Done);
            }
            // Never sent a second time: it may go on with the first.
            Err(Refusal::Lost(why)) => {
                say(&format!("Portainer's answer was lost ({why}): looking whether it goes on"));
                DEPLOYING
            }
            Err(taken) if taken.is_taken() => match self.look.mark {
                Mark::Creating => DEPLOYING,
                Mark::None | Mark::Made => Duration::ZERO,
            },
            Err(refused) => {
                self.mark(name, Mark::None).await?;
                return Err(refused);
            }
        };
        match self.appears(place, name, appears_within).await? {
            Some(id) => {
                self.update(place, id, wanted).await?;
                say(&format!("Portainer made the stack `{name}`"));
                Ok(Ordered::Done)
            }
            None => Ok(Ordered::Taken),
        }
    }

    /// Replaces it, which does no harm twice.
    async fn update(&self, place: &Place, id: u64, wanted: &Deployment) -> Result<(), Refusal> {
        for _ in 1..COLLISIONS {
            match self.client.update(place, id, wanted).await {
                Err(refusal) if refusal.is_collision() => sleep(PAUSE).await,
                other => return other,
            }
        }
        self.client.update(place, id, wanted).await
    }

    /// The id of the stack at Portainer. One whose making was cut off is waited for.
    async fn listed(
        &self,
        place: &Place,
        name: &StackName,
        say: Say<'_>,
    ) -> Result<Option<u64>, Refusal> {
        let found = self.client.stack(place, name).await?;
        if found.is_some() || self.look.mark != Mark::Creating {
            return Ok(found);
        }
        say(&format!(
            "Portainer was told to make the stack `{name}` and its answer was not taken: waiting \
             whether it goes on"
        ));
        self.appears(place, name, UNSEEN).await
    }

    async fn appears(
        &self,
        place: &Place,
        name: &StackName,
        within: Duration,
    ) -> Result<Option<u64>, Refusal> {
        let until = Instant::now() + within;
        loop {
            let found = self.client.stack(place, name).await?;
            if found.is_some() || Instant::now() + PAUSE > until {
                return Ok(found);
            }
            sleep(PAUSE).await;
        }
    }

    /// Notes on the server what Portainer has of the stack, before it is told and after.
    async fn mark(&self, name: &StackName, mark: Mark) -> Result<(), Refusal> {
        let path = format!("{KEPT}/{name}.portainer");
        let noted = self.remote.upload(&path, mark.as_str().as_bytes(), 0o600).await;
        noted.map_err(|error| Refusal::Told(error.into()))
    }

    async fn keep(&self, name: &StackName, wanted: &Deployment) -> Result<(), Failure> {
        self.mark(name, Mark::Made).await.map_err(|refusal| refusal.failure(&deploying(name)))?;
        let digest = format!("{}\n", wanted.digest);
        Ok(self.remote.upload(&format!("{KEPT}/{name}"), digest.as_bytes(), 0o600).await?)
    }

    async fn unless_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.cancel.cancelled() => {
                let message = "the job was cancelled while Portainer worked; it may go on with that";
                Err(Failure::unsafe_to_retry("cancelled", message))
            }
        }
    }
}

fn deploying(name: &StackName) -> String {
    format!("deploy the stack `{name}`")
}
