//! Servers: ordering them, looking at them, running a command on one, deleting them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tracing::warn;

use crate::app::App;
use crate::app::access::{Operator, Reader};
use crate::app::apps::{names, refusals};
use crate::effects::references;
use crate::error::{Error, ErrorKind, FieldError, sentence};
use crate::model::catalogue::Catalogue;
use crate::model::names::{Identity, InvalidName, JobId, OperationName, ProviderKind, ServerName};
use crate::model::server::{AppsOnIt, Protection, Server, ServerStatus, SshAccess};
use crate::plugins::descriptor::Kind;
use crate::ssh::{Command, Output, SshError};
use crate::storage::{AuditRecord, IdempotencyKey, NewJob, ServerChange, StorageError, Submitted};
use crate::vault::masks::Masks;

/// How long an idempotency key is remembered.
pub(super) const KEY_LIFE: SignedDuration = SignedDuration::from_hours(24);
/// How often a job's id is made anew when it is taken.
pub(super) const ID_TRIES: u32 = 8;
/// The most of a command that the audit log keeps, in characters.
const AUDITED: usize = 4096;

/// A server that somebody wants.
#[derive(Clone, Debug)]
pub struct WantedServer {
    /// Its name.
    pub name: ServerName,
    /// The provider's name of the size.
    pub server_type: String,
    /// The provider's name of the place.
    pub region: String,
    /// The provider's name of the system image.
    pub image: String,
    /// Where; the default provider when not said.
    pub provider: Option<ProviderKind>,
    /// The provider's ids of further keys that may log in.
    pub ssh_keys: Vec<String>,
    /// Whether what was made stays when making the server fails.
    pub keep_on_failure: bool,
}

/// What makes the same request twice one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// The caller's key.
    pub key: String,
    /// SHA-256 of what he asks for, hex.
    pub request: String,
}

/// How a server is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deletion {
    /// Whether its DNS records stay.
    pub keep_dns: bool,
    /// What becomes of the apps on it.
    pub apps: AppsOnIt,
    /// Whether it goes although its provider cannot be sure that it is gone.
    pub force: bool,
}

impl RequestKey {
    /// The key as this caller's.
    pub(super) fn of(&self, by: &str, now: Timestamp) -> IdempotencyKey {
        IdempotencyKey {
            key: format!("{by}:{}", self.key),
            request: self.request.clone(),
            since: now - KEY_LIFE,
        }
    }
}

/// A command for a server.
#[derive(Clone)]
pub struct WantedCommand {
    /// The line for its shell.
    pub line: String,
    /// What it reads on its standard input.
    pub stdin: Option<String>,
    /// How long it may run.
    pub timeout: Duration,
}

impl Reader {
    /// All servers, by name.
    pub async fn servers(&self) -> Result<Vec<Server>, Error> {
        Ok(self.app.store.servers().await?)
    }

    /// The record of a server.
    pub async fn server(&self, name: &ServerName) -> Result<Server, Error> {
        self.app.known_server(name).await
    }
}

impl Operator {
    /// Makes a job that creates a server.
    #[tracing::instrument(skip_all, fields(server = %wanted.name))]
    pub async fn create_server(
        &self,
        wanted: WantedServer,
        key: Option<RequestKey>,
    ) -> Result<JobId, Error> {
        let offer = self.app.offer(wanted.provider).await?;
        check_offer(&wanted, offer.provider, &offer.catalogue)?;
        let mut params = json!({
            "name": wanted.name,
            "server_type": wanted.server_type,
            "region": wanted.region,
            "image": wanted.image,
            "ssh_keys": wanted.ssh_keys,
        });
        if wanted.keep_on_failure
            && let Value::Object(fields) = &mut params
        {
            fields.insert("keep_on_failure".to_owned(), Value::Bool(true));
        }
        let now = Timestamp::now();
        let record = new_record(&wanted, offer.provider, now);
        let change = ServerChange::Create(Box::new(record));
        self.submit("create_server", Wish { server: wanted.name, params, change, key, now }).await
    }

    /// Makes a job that deletes a server.
    #[tracing::instrument(skip_all, fields(server = %name))]
    pub async fn delete_server(
        &self,
        name: ServerName,
        how: Deletion,
        key: Option<RequestKey>,
    ) -> Result<JobId, Error> {
        // A caller with a key may ask again while the server is on its way out.
        let may_repeat = key.is_some() || self.joins();
        if !may_repeat && self.app.known_server(&name).await?.status == ServerStatus::Deleting {
            return Err(busy(&name, "is being deleted already"));
        }
        let mut params = json!({ "name": name, "keep_dns": how.keep_dns });
        if how.force
            && let Value::Object(fields) = &mut params
        {
            fields.insert("force".to_owned(), Value::Bool(true));
        }
        let change = ServerChange::Deleting { server: name.clone(), apps: how.apps };
        let now = Timestamp::now();
        self.submit("delete_server", Wish { server: name, params, change, key, now }).await
    }

    /// Runs a command on a server and waits for its end. It is in the audit log before it runs,
    /// and it ends even when nobody waits any more.
    #[tracing::instrument(skip_all, fields(server = %name))]
    pub async fn exec(&self, name: &ServerName, wanted: WantedCommand) -> Result<Output, Error> {
        let server = self.app.known_server(name).await?;
        match server.status {
            ServerStatus::Creating => return Err(busy(name, "is still being created")),
            ServerStatus::Deleting => return Err(busy(name, "is being deleted")),
            ServerStatus::Running
            | ServerStatus::Ready
            | ServerStatus::Missing
            | ServerStatus::Error => {}
        }
        let remote = self.app.remotes.of(&server).await?;
        let now = Timestamp::now();
        let receipt = Identity { job: JobId::new(now, rand::random()), effect: 0 };
        self.app.store.audit(self.exec_record(name, &wanted, now)).await?;
        let command = Command {
            receipt: receipt.clone(),
            line: wanted.line,
            stdin: wanted.stdin.map(String::into_bytes),
            timeout: wanted.timeout,
            cancel: self.app.stopping.child_token(),
            lines: None,
        };
        let masks = Masks::default();
        references::mask_server(&*self.app.store, &self.app.vault, name, &masks).await?;
        let run = async move {
            let ended = remote.exec(command).await;
            if let Err(error) = remote.forget(&[receipt]).await {
                warn!(%error, "could not remove a command's receipt from its server");
            }
            ended
        };
        let ended = self.app.tasks.spawn(run).await;
        // The words of a panic may hold what the command was given.
        let ended = ended.map_err(|_panicked| Error::internal("running a command panicked"))?;
        match ended {
            Ok(output) => Ok(masked(&masks, &output)),
            Err(error) => Err(exec_error(&masks, error)),
        }
    }

    fn exec_record(&self, name: &ServerName, wanted: &WantedCommand, at: Timestamp) -> AuditRecord {
        let line: String = wanted.line.chars().take(AUDITED).collect();
        let stdin_bytes = wanted.stdin.as_ref().map(String::len);
        AuditRecord {
            at,
            by: self.by.clone(),
            action: "exec".to_owned(),
            target: name.to_string(),
            detail: json!({
                "command": line,
                "stdin_bytes": stdin_bytes,
                "timeout_s": wanted.timeout.as_secs(),
            }),
        }
    }

    pub(super) async fn submit(&self, operation: &str, wish: Wish) -> Result<JobId, Error> {
        let operation: OperationName =
            operation.parse().map_err(|error: InvalidName| Error::internal(error))?;
        self.app.check_params(&operation, &wish.params)?;
        let _alone = if self.joins() { Some(self.app.starting.lock().await) } else { None };
        if self.joins()
            && let Some(job) = self.unfinished(&operation, &wish.server, &wish.params).await?
        {
            return Ok(job);
        }
        for _ in 0..ID_TRIES {
            let job = self.new_job(&operation, &wish);
            match self.write(job).await {
                Ok(Submitted::Job(id) | Submitted::Before(id)) => return Ok(id),
                Ok(Submitted::KeyReused) => return Err(key_reused()),
                Ok(Submitted::ServerExists(server)) if self.joins() => {
                    let made = self.made(&operation, &wish).await?;
                    return made.ok_or_else(|| exists(&server));
                }
                Ok(Submitted::ServerExists(server)) => return Err(exists(&server)),
                Ok(Submitted::NoSuchServer) => return Err(no_such_server(&wish.server)),
                Ok(Submitted::DomainTaken(other)) => {
                    return Err(names::domain_taken(&wish.params, &other));
                }
                Ok(refused) => return Err(refusals::about_apps(&wish.server, refused)),
                Err(StorageError::Duplicate) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StorageError::Duplicate.into())
    }

    fn new_job(&self, operation: &OperationName, wish: &Wish) -> NewJob {
        let idempotency = wish.key.as_ref().map(|key| key.of(&self.by, wish.now));
        NewJob {
            id: JobId::new(wish.now, rand::random()),
            operation: operation.clone(),
            params: wish.params.clone(),
            server: Some(wish.server.clone()),
            retry_of: None,
            depends_on: Vec::new(),
            by: self.by.clone(),
            now: wish.now,
            server_change: wish.change.clone(),
            idempotency,
        }
    }
}

/// A job on a server that somebody wants.
pub(super) struct Wish {
    pub(super) server: ServerName,
    pub(super) params: Value,
    pub(super) change: ServerChange,
    pub(super) key: Option<RequestKey>,
    pub(super) now: Timestamp,
}

impl App {
    pub(super) async fn known_server(&self, name: &ServerName) -> Result<Server, Error> {
        self.store.server(name).await?.ok_or_else(|| no_such_server(name))
    }

    /// What the plugin will say of these parameters, said before there is a job.
    pub(super) fn check_params(
        &self,
        operation: &OperationName,
        params: &Value,
    ) -> Result<(), Error> {
        let plugin = self.catalog.active(operation).ok_or_else(|| {
            let message = format!("No plugin of this host provides `{operation}`.");
            Error::new(ErrorKind::Unavailable, "no_plugin", message).with_next("GET /api/plugins")
        })?;
        // An app's schema is about its configuration, which was checked when it was asked for; its
        // secrets are references by now.
        if plugin.descriptor.kind == Kind::App {
            return Ok(());
        }
        plugin.check_params(params).map_err(|wrong| {
            let fields: Vec<FieldError> = wrong
                .into_iter()
                .map(|field| FieldError { pointer: field.pointer, message: field.message })
                .collect();
            Error::invalid_fields(&fields)
        })
    }
}

fn new_record(wanted: &WantedServer, provider: ProviderKind, created_at: Timestamp) -> Server {
    Server {
        name: wanted.name.clone(),
        provider,
        provider_id: None,
        server_type: wanted.server_type.clone(),
        region: wanted.region.clone(),
        image: wanted.image.clone(),
        ipv4: None,
        ipv6: None,
        status: ServerStatus::Creating,
        created_at,
        ssh: SshAccess::default(),
        setup: BTreeMap::new(),
        dns: BTreeMap::new(),
        apps: Vec::new(),
        deletion_protection: Protection::default(),
        protected: false,
        simulated: provider == ProviderKind::Sandbox,
    }
}

/// Whether the provider has what is wanted, and has it there.
fn check_offer(
    wanted: &WantedServer,
    provider: ProviderKind,
    offered: &Catalogue,
) -> Result<(), Error> {
    let server_type = offered.server_types.iter().find(|it| it.name == wanted.server_type);
    let image = offered.images.iter().find(|it| it.name == wanted.image);
    let located = offered.locations.iter().any(|it| it.name == wanted.region);
    let mut wrong = Vec::new();
    let mut unknown = |pointer: &str, what: &str, name: &str, names: Vec<&str>| {
        let message = format!("{provider} has no {what} `{}`{}", shown(name), near(name, &names));
        wrong.push(FieldError { pointer: pointer.to_owned(), message });
    };
    if server_type.is_none() {
        let names = offered.server_types.iter().map(|it| it.name.as_str()).collect();
        unknown("/server_type", "server type", &wanted.server_type, names);
    }
    if !located {
        let names = offered.locations.iter().map(|it| it.name.as_str()).collect();
        unknown("/region", "region", &wanted.region, names);
    }
    if image.is_none() {
        let names = offered.images.iter().map(|it| it.name.as_str()).collect();
        unknown("/image", "image", &wanted.image, names);
    }
    if let (Some(size), true) = (server_type, located)
        && !size.available_in.contains(&wanted.region)
    {
        let places = size.available_in.join(", ");
        let places = if places.is_empty() { "nowhere".to_owned() } else { places };
        let message = format!(
            "`{}` is not available in `{}` now; it is in: {places}.",
            size.name, wanted.region
        );
        wrong.push(FieldError { pointer: "/region".to_owned(), message });
    }
    if let (Some(size), Some(image)) = (server_type, image)
        && !image.architectures.contains(&size.architecture)
    {
        let message = format!(
            "The image `{}` is not there for {} processors.",
            image.name, size.architecture
        );
        wrong.push(FieldError { pointer: "/image".to_owned(), message });
    }
    if wrong.is_empty() { Ok(()) } else { Err(Error::invalid_fields(&wrong)) }
}

/// The names that may have been meant, nearest first, as the end of a sentence.
pub(super) fn near(name: &str, names: &[&str]) -> String {
    let far = (name.chars().count() / 2).max(2);
    let mut near: Vec<(usize, &str)> = names
        .iter()
        .map(|&other| (strsim::damerau_levenshtein(name, other), other))
        .filter(|&(distance, other)| distance <= far || other.starts_with(name))
        .collect();
    near.sort_unstable();
    near.dedup();
    let (opening, meant): (&str, Vec<&str>) = if near.is_empty() {
        ("; there are", names.iter().take(12).copied().collect())
    } else {
        ("; did you mean", near.iter().take(3).map(|&(_, other)| other).collect())
    };
    let listed: Vec<String> = meant.iter().map(|name| format!("`{name}`")).collect();
    let end = if near.is_empty() { "." } else { "?" };
    format!("{opening} {}{end}", listed.join(", "))
}

pub(super) fn shown(name: &str) -> String {
    name.chars().take(60).collect::<String>().escape_debug().to_string()
}

/// What a command said, without the secrets of its server.
fn masked(masks: &Masks, output: &Output) -> Output {
    let shown = |text: &str| {
        if output.truncated { masks.cut_text(text) } else { masks.text(text) }
    };
    let (stdout, stderr) = (shown(&output.stdout), shown(&output.stderr));
    Output { stdout, stderr, ..*output }
}

fn exec_error(masks: &Masks, error: SshError) -> Error {
    let message = sentence(&masks.text(&error.to_string()));
    match error {
        SshError::CommandTimeout { output, .. } => {
            // It ended wherever it was, perhaps within a value.
            let (stdout, stderr) = (masks.cut_text(&output.stdout), masks.cut_text(&output.stderr));
            Error::new(ErrorKind::Timeout, "command_timeout", message)
                .not_retry_safe()
                .with_detail("stdout", stdout)
                .with_detail("stderr", stderr)
                .with_detail("truncated", output.truncated)
                .with_detail("duration_ms", output.duration_ms)
        }
        SshError::CommandCancelled { .. } => Error::shutting_down().not_retry_safe(),
        SshError::Unreachable { .. } | SshError::NotReady { .. } => {
            Error::new(ErrorKind::Upstream, "ssh_unreachable", message)
        }
        SshError::HostKeyMismatch { .. }
        | SshError::CommandOutOfSight { .. }
        | SshError::LoginRefused { .. }
        | SshError::CommandInterrupted { .. }
        | SshError::Refused { .. }
        | SshError::TooLarge { .. } => {
            let failure = crate::model::failure::Failure::from(error);
            let code = failure.code;
            let error = Error::new(ErrorKind::Upstream, code, message);
            if failure.retry_safe { error } else { error.not_retry_safe() }
        }
    }
}

pub(super) fn no_such_server(name: &ServerName) -> Error {
    Error::new(ErrorKind::NotFound, "no_such_server", format!("There is no server `{name}`."))
        .with_next("GET /api/servers")
        .with_next("windlass server list")
}

pub(super) fn exists(server: &Server) -> Error {
    let name = &server.name;
    let message = if server.status == ServerStatus::Creating {
        format!("A server `{name}` is being created already.")
    } else {
        format!("There is a server `{name}` already.")
    };
    Error::new(ErrorKind::Conflict, "server_exists", message)
        .with_detail("server", name.as_str())
        .with_next(format!("GET /api/servers/{name}"))
        .with_next(format!("GET /api/jobs?server={name}"))
}

pub(super) fn busy(name: &ServerName, why: &str) -> Error {
    Error::new(ErrorKind::Conflict, "server_busy", format!("The server `{name}` {why}."))
        .with_next(format!("GET /api/jobs?server={name}"))
}

pub(super) fn key_reused() -> Error {
    let message = "This Idempotency-Key came before with another request: use a new key.";
    Error::new(ErrorKind::Invalid, "idempotency_key_reused", message)
}
