//! Servers that are containers of the local Docker engine, for trying recipes: real machines in
//! everything but their kernel.

mod files;
mod image;
mod machine;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use bollard::errors::Error;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker as Engine};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use crate::model::catalogue::{Catalogue, Location, Price, ServerType};
use crate::model::names::{Identity, ProviderKind, ServerName};
use crate::providers::docker::machine::{SIZES, container_name, is_half_made, labels, machine};
use crate::providers::{
    Boot, Machine, MachineStatus, NewMachine, Provider, ProviderError, PublicKey, StoredKey,
};

/// Where the engine usually listens.
const SOCKET: &str = "/var/run/docker.sock";
/// How long the engine may take for a request; building an image is one.
const PATIENCE: Duration = Duration::from_secs(20 * 60);
/// The pause between two looks at a starting container.
const LOOK: Duration = Duration::from_millis(100);

/// The local Docker engine as a provider.
pub struct Docker {
    place: String,
    /// The client that speaks a version of the API that the engine knows.
    agreed: OnceCell<Engine>,
}

impl Docker {
    /// The engine at a socket's path or a `tcp://` address; none: the usual socket. Nothing is
    /// connected yet.
    pub fn new(endpoint: Option<String>) -> Result<Self, ProviderError> {
        let place = endpoint.unwrap_or_else(|| SOCKET.to_owned());
        if !["/", "unix://", "tcp://", "http://"].iter().any(|it| place.starts_with(it)) {
            let message = format!(
                "`{}` is no address of a Docker engine: use a socket's path or tcp://host:port",
                place.escape_debug()
            );
            return Err(ProviderError::Refused { code: "invalid_argument", message });
        }
        Ok(Self { place, agreed: OnceCell::new() })
    }

    async fn engine(&self) -> Result<&Engine, ProviderError> {
        let agree = || async { self.client()?.negotiate_version().await };
        let agreed = self.agreed.get_or_try_init(agree).await;
        agreed.map_err(|error| unreachable(&self.place, &error))
    }

    fn client(&self) -> Result<Engine, Error> {
        let seconds = PATIENCE.as_secs();
        if self.place.starts_with("tcp://") || self.place.starts_with("http://") {
            Engine::connect_with_http(&self.place, seconds, API_DEFAULT_VERSION)
        } else {
            Engine::connect_with_unix(&self.place, seconds, API_DEFAULT_VERSION)
        }
    }

    async fn inspect(&self, id: &str) -> Result<Option<ContainerInspectResponse>, ProviderError> {
        match self.engine().await?.inspect_container(id, None).await {
            Ok(container) => Ok(Some(container)),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(refusal("look at a container", error)),
        }
    }

    /// Gives a container its keys and starts it. May be done again.
    async fn complete(&self, id: &str, boot: &Boot) -> Result<Machine, ProviderError> {
        let engine = self.engine().await?;
        let archive = files::of(boot).map_err(|error| ProviderError::Unavailable {
            message: format!("the machine's files could not be packed: {error}"),
        })?;
        let root = UploadToContainerOptionsBuilder::new().path("/").build();
        let body = bollard::body_full(archive.into());
        let uploaded = engine.upload_to_container(id, Some(root), body).await;
        uploaded.map_err(|error| refusal("put the keys into the container", error))?;
        match engine.start_container(id, None).await {
            Ok(()) => {}
            Err(error) if status(&error) == Some(304) => {}
            Err(error) => return Err(refusal("start the container", error)),
        }
        let missing = || ProviderError::ActionFailed {
            message: "the container was gone when it had been started".to_owned(),
        };
        let container = self.inspect(id).await?.ok_or_else(missing)?;
        machine(&container).ok_or_else(missing)
    }

    /// What a container that ended said last.
    async fn last_words(&self, id: &str) -> String {
        let Ok(engine) = self.engine().await else { return String::new() };
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("5").build();
        let lines = engine.logs(id, Some(options)).try_collect::<Vec<_>>().await;
        let lines = lines.unwrap_or_default();
        lines.iter().map(|line| line.to_string().trim().to_owned()).collect::<Vec<_>>().join("; ")
    }
}

#[async_trait]
impl Provider for Docker {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Docker
    }

    async fn verify(&self) -> Result<(), ProviderError> {
        let answer = self.engine().await?.ping().await;
        answer.map(drop).map_err(|error| unreachable(&self.place, &error))
    }

    async fn catalogue(&self) -> Result<Catalogue, ProviderError> {
        let images = image::offered(self.engine().await?).await?;
        let size = |size: &machine::Size| ServerType {
            name: size.name.to_owned(),
            description: format!("a container with up to {} GiB of memory", size.memory),
            cores: size.cores,
            memory_gb: f64::from(size.memory),
            disk_gb: 0,
            architecture: image::architecture().to_owned(),
            price_monthly: Some(Price { amount: "0.00".to_owned(), currency: "EUR".to_owned() }),
            available_in: vec!["local".to_owned()],
            deprecated: false,
        };
        Ok(Catalogue {
            server_types: SIZES.iter().map(size).collect(),
            locations: vec![Location {
                name: "local".to_owned(),
                description: "this machine".to_owned(),
                country: None,
                city: None,
            }],
            images,
            fetched_at: Timestamp::now(),
        })
    }

    /// An engine stores no keys: the machine gets its own before it starts.
    async fn ensure_ssh_key(&self, key: &PublicKey) -> Result<StoredKey, ProviderError> {
        let digest = Sha256::digest(key.line.as_bytes());
        let id = hex::encode(digest.get(..8).unwrap_or_default());
        Ok(StoredKey { id, name: key.name.clone() })
    }

    async fn delete_ssh_key(&self, _: &str) -> Result<(), ProviderError> {
        Ok(())
    }

    /// A container that was made and never started is not told of: ordering it again completes it.
    async fn find_server(
        &self,
        identity: &Identity,
        _name: &ServerName,
    ) -> Result<Option<Machine>, ProviderError> {
        let wanted = labels(identity).into_iter().map(|(key, value)| format!("{key}={value}"));
        let filters = HashMap::from([("label", wanted.collect::<Vec<_>>())]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self.engine().await?.list_containers(Some(options)).await;
        let found = found.map_err(|error| refusal("list containers", error))?;
        for id in found.into_iter().filter_map(|container| container.id) {
            if let Some(container) = self.inspect(&id).await?
                && !is_half_made(&container)
            {
                return Ok(machine(&container));
            }
        }
        Ok(None)
    }

    async fn create_server(&self, wanted: &NewMachine) -> Result<Machine, ProviderError> {
        let Some(size) = SIZES.iter().find(|size| size.name == wanted.server_type) else {
            let known = SIZES.map(|size| size.name).join(", ");
            let message = format!("there is no size `{}`; use {known}", wanted.server_type);
            return Err(ProviderError::Refused { code: "invalid_argument", message });
        };
        let engine = self.engine().await?;
        let image = image::ensure(engine, &wanted.image).await?;
        let name = container_name(&wanted.name);
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let request = machine::request(wanted, size, &image);
        match engine.create_container(Some(options), request).await {
            Ok(made) => self.complete(&made.id, &wanted.boot).await,
            Err(error) if status(&error) == Some(409) => {
                let there = self.inspect(&name).await?;
                let ours = there.as_ref().and_then(machine);
                let marks = labels(&wanted.identity);
                match ours.filter(|it| marks.iter().all(|(k, v)| it.labels.get(k) == Some(v))) {
                    Some(machine) => self.complete(&machine.id, &wanted.boot).await,
                    None => Err(ProviderError::Conflict {
                        message: format!("there is another container with the name `{name}`"),
                    }),
                }
            }
            Err(error) if status(&error).is_none() => Err(ProviderError::OutcomeUnknown {
                message: format!("the Docker engine did not answer a create request: {error}"),
            }),
            Err(error) => Err(refusal("make the container", error)),
        }
    }

    async fn wait_running(
        &self,
        id: &str,
        _: &[String],
        timeout: Duration,
    ) -> Result<Machine, ProviderError> {
        let until = Instant::now() + timeout;
        loop {
            let Some(found) = self.server(id).await? else {
                let message = format!("the container {id} is gone");
                return Err(ProviderError::NotFound { message });
            };
            match found.status {
                MachineStatus::Running if found.ipv4.is_some() => return Ok(found),
                MachineStatus::Off => {
                    let words = self.last_words(id).await;
                    let message = format!("the container ended right after its start: {words}");
                    return Err(ProviderError::ActionFailed { message });
                }
                MachineStatus::Booting
                | MachineStatus::Running
                | MachineStatus::Deleting
                | MachineStatus::Unknown => {}
            }
            if Instant::now() + LOOK > until {
                let message = format!("the container {id} does not run after {timeout:?}");
                return Err(ProviderError::Timeout { message });
            }
            sleep(LOOK).await;
        }
    }

    async fn server(&self, id: &str) -> Result<Option<Machine>, ProviderError> {
        Ok(self.inspect(id).await?.as_ref().and_then(machine))
    }

    async fn server_ids(&self) -> Result<BTreeSet<String>, ProviderError> {
        let filters = HashMap::from([("label", vec![Identity::JOB_LABEL])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self.engine().await?.list_containers(Some(options)).await;
        let found = found.map_err(|error| refusal("list containers", error))?;
        Ok(found.into_iter().filter_map(|container| container.id).collect())
    }

    /// An engine stores no keys, and its address says which engine it is.
    async fn has_ssh_key(&self, _: &str) -> Result<bool, ProviderError> {
        Ok(true)
    }

    async fn delete_server(&self, id: &str) -> Result<(), ProviderError> {
        // Nobody else's container is removed, whatever stands in a record.
        if self.server(id).await?.is_none() {
            return Ok(());
        }
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self.engine().await?.remove_container(id, Some(options)).await {
            Ok(()) => Ok(()),
            Err(error) if status(&error) == Some(404) => Ok(()),
            Err(error) => Err(refusal("remove the container", error)),
        }
    }
}

fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

fn unreachable(place: &str, error: &Error) -> ProviderError {
    ProviderError::Unavailable {
        message: format!(
            "the Docker engine at {place} does not answer ({error}): is it running, and may this \
             user use it?"
        ),
    }
}

/// What the engine said no to.
fn refusal(doing: &str, error: Error) -> ProviderError {
    match error {
        Error::DockerResponseServerError { status_code: 404, message } => {
            ProviderError::NotFound { message: format!("the engine could not {doing}: {message}") }
        }
        Error::DockerResponseServerError { status_code: 400..=499, message } => {
            let message = format!("the engine refuses to {doing}: {message}");
            ProviderError::Refused { code: "invalid_argument", message }
        }
        Error::DockerResponseServerError { message, .. } => {
            ProviderError::ActionFailed { message: format!("could not {doing}: {message}") }
        }
        other => ProviderError::Unavailable { message: format!("could not {doing}: {other}") },
    }
}
