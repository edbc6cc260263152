//! Installing an app: everything that can be wrong is said before there is a job, and what the app
//! needs becomes jobs of its own, all written at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::app::App;
use crate::app::access::Operator;
use crate::app::apps::configuration::{Configuration, Owner};
use crate::app::apps::order::{Order, Wanted};
use crate::app::apps::{Installation, WantedApp, operation, recipes, refusals};
use crate::app::servers::{ID_TRIES, RequestKey, busy, key_reused, near, no_such_server, shown};
use crate::error::{Error, FieldError};
use crate::model::app::{AppRecord, AppStatus, DEPLOY};
use crate::model::job::JobStatus;
use crate::model::names::{AppName, InvalidName, JobId, ServerName};
use crate::model::server::{self, Server, ServerStatus};
use crate::plugins::plugin::Plugin;
use crate::storage::apps::Batch;
use crate::storage::{IdempotencyKey, JobFilter, NewJob, ServerChange, StorageError, Submitted};

/// What makes a server ready for apps.
const SETUP: &str = "setup_server";

impl Operator {
    /// Makes a job that deploys an app on a server, and jobs for what it needs and is not there.
    /// The same app with the same configuration, asked for again before that job ended, is that
    /// job.
    #[tracing::instrument(skip_all, fields(%server, app = %wanted.name))]
    pub async fn install_app(
        &self,
        server: &ServerName,
        wanted: &WantedApp,
        key: Option<RequestKey>,
    ) -> Result<Installation, Error> {
        let now = Timestamp::now();
        let key = self.remember(key, now);
        if let Some(key) = &key
            && let Some(before) = self.app.store.remembered(key).await?
        {
            return self.app.asked_before(before).await;
        }
        for _ in 0..ID_TRIES {
            let plan = match self.app.plan(server, wanted).await? {
                Planned::Before(job) => {
                    return self.app.asked_before(Submitted::Before(job)).await;
                }
                Planned::New(plan) => plan,
            };
            let (batch, answer) = plan.batch(self, key.as_ref(), now)?;
            match self.app.store.submit_all(batch).await {
                Ok(Submitted::Job(_)) => return Ok(answer),
                Ok(before @ (Submitted::Before(_) | Submitted::KeyReused)) => {
                    return self.app.asked_before(before).await;
                }
                Ok(Submitted::NoSuchServer) => return Err(no_such_server(server)),
                // Somebody was quicker: what there is to do is another thing now.
                Ok(Submitted::AppBusy(_) | Submitted::AppMissing(_))
                | Err(StorageError::Duplicate) => {}
                Ok(refused) => return Err(refusals::about_apps(server, refused)),
                Err(error) => return Err(error.into()),
            }
        }
        Err(refusals::changing(server))
    }
}

/// What there is to do for an app that somebody wants.
enum Planned {
    /// Nothing: this job does just that.
    Before(JobId),
    /// This.
    New(Plan),
}

/// Apps to be deployed on a server, what they need first.
struct Plan {
    apps: Vec<Deployment>,
    /// What the server already has, by name.
    there: BTreeMap<AppName, AppRecord>,
    /// The job that is still making the server ready.
    setup: Option<JobId>,
    warnings: Vec<String>,
}

/// One of them.
struct Deployment {
    record: AppRecord,
    secrets: Configuration,
}

/// Whether a server is ready for apps, or will be.
struct Ready {
    /// The job that it has to wait for.
    setup: Option<JobId>,
    /// The domain that its apps are under.
    domain: Option<String>,
}

impl App {
    /// The answer to a request that came before.
    pub(super) async fn asked_before(&self, before: Submitted) -> Result<Installation, Error> {
        let Submitted::Before(job) = before else { return Err(key_reused()) };
        let record = self.store.job(&job).await?;
        let depends_on = record.map(|record| record.depends_on).unwrap_or_default();
        Ok(Installation { job, depends_on, deduplicated: true, warnings: Vec::new() })
    }

    /// Says what is wrong with the wish, or what there is to do.
    async fn plan(&self, name: &ServerName, wanted: &WantedApp) -> Result<Planned, Error> {
        let server = self.known_server(name).await?;
        let (app, plugin) = self.recipe(&wanted.name)?;
        let records = self.store.apps(name).await?.into_iter();
        let there: BTreeMap<AppName, AppRecord> =
            records.map(|record| (record.app_name.clone(), record)).collect();
        let before = there.get(&app);
        let owner = Owner { server: name, name: &app, plugin: &plugin, before };
        let config = self.configure(&owner, wanted.config.as_ref()).await?;
        if let Some(record) = before.filter(|record| record.status.is_busy()) {
            let is_same = record.status == AppStatus::Deploying && config.is_of(record);
            let job = record.job_id.clone();
            return if is_same { Ok(Planned::Before(job)) } else { Err(refusals::busy(record)) };
        }
        let ready = self.ready(&server).await?;
        let order = Order::new(&self.catalog, &there).of(&app, plugin.clone())?;
        let mut config = Some(config);
        let mut apps = Vec::new();
        for wanted in order {
            let config = match config.take_if(|_| wanted.name == app) {
                Some(config) => config,
                None => self.by_default(name, &app, &wanted, there.get(&wanted.name)).await?,
            };
            apps.push(Deployment::new(name, &wanted, config)?);
        }
        for it in &apps {
            self.check_names(&it.record, ready.domain.as_deref()).await?;
        }
        let new: Vec<AppRecord> = apps.iter().map(|it| it.record.clone()).collect();
        let used: Vec<&AppRecord> = there.values().collect();
        let warnings = self.check_memory(&server, &used, &new).await?.into_iter().collect();
        Ok(Planned::New(Plan { apps, there, setup: ready.setup, warnings }))
    }

    /// The app of this name, and what deploys it.
    fn recipe(&self, name: &str) -> Result<(AppName, Arc<Plugin>), Error> {
        let app: AppName =
            name.parse().map_err(|error: InvalidName| Error::invalid_name("/app_name", &error))?;
        if let Some(plugin) = self.catalog.active(&operation(DEPLOY, &app)?) {
            return Ok((app, plugin));
        }
        let recipes = recipes(&self.catalog);
        let names: Vec<&str> = recipes.iter().map(|it| it.descriptor.name.as_str()).collect();
        let message = if names.is_empty() {
            "This host has no apps in its catalogue.".to_owned()
        } else {
            format!("There is no app `{}`{}", shown(name), near(name, &names))
        };
        Err(Error::invalid_field("/app_name", message)
            .with_next("GET /api/apps")
            .with_next("windlass app list"))
    }

    /// The configuration of an app that another one needs: that of before, or the defaults.
    async fn by_default(
        &self,
        server: &ServerName,
        asked: &AppName,
        wanted: &Wanted,
        before: Option<&AppRecord>,
    ) -> Result<Configuration, Error> {
        let Wanted { name, plugin, .. } = wanted;
        let owner = Owner { server, name, plugin, before };
        self.configure(&owner, None).await.map_err(|error| {
            let message = format!(
                "`{asked}` needs `{name}`, which cannot be installed without being configured: \
                 install `{name}` first. {}",
                error.message()
            );
            Error::invalid_fields(&[FieldError { pointer: "/app_name".to_owned(), message }])
                .with_next(format!("POST /api/servers/{server}/apps"))
        })
    }

    /// Whether the server is ready for apps, or a job is about to make it so.
    async fn ready(&self, server: &Server) -> Result<Ready, Error> {
        match server.status {
            ServerStatus::Deleting => return Err(busy(&server.name, "is being deleted")),
            ServerStatus::Missing => {
                return Err(busy(&server.name, "is not known to its provider any more"));
            }
            ServerStatus::Creating
            | ServerStatus::Running
            | ServerStatus::Ready
            | ServerStatus::Error => {}
        }
        if server.is_set_up() {
            return Ok(Ready { setup: None, domain: server.domain() });
        }
        let filter = JobFilter {
            status: vec![JobStatus::Queued, JobStatus::Running],
            operation: Some(SETUP.parse().map_err(|error: InvalidName| Error::internal(error))?),
            server: Some(server.name.clone()),
            limit: 1,
            before: None,
        };
        let setup = self.store.jobs(&filter).await?.items.into_iter().next();
        let setup = setup.ok_or_else(|| refusals::not_ready(&server.name))?;
        Ok(Ready { domain: server::domain_asked(&setup.params), setup: Some(setup.id) })
    }
}

impl Deployment {
    fn new(server: &ServerName, wanted: &Wanted, secrets: Configuration) -> Result<Self, Error> {
        let now = Timestamp::now();
        let descriptor = &wanted.plugin.descriptor;
        let record = AppRecord {
            app_name: wanted.name.clone(),
            server: server.clone(),
            title: descriptor.title.clone(),
            version: descriptor.version.to_string(),
            category: descriptor.category.clone(),
            status: AppStatus::Deploying,
            job_id: JobId::new(now, rand::random()),
            plugin: wanted.plugin.pin(),
            config: secrets.shown.clone(),
            dependencies: wanted.needs.clone(),
            provides: descriptor.provides.clone(),
            dns_prefixes: descriptor.dns_prefixes.clone(),
            min_memory_mb: descriptor.min_memory_mb,
            urls: Vec::new(),
            notes: Vec::new(),
            dns: Vec::new(),
            forgets: false,
            created_at: now,
            deployed_at: None,
        };
        Ok(Self { record, secrets })
    }
}

impl Plan {
    /// All of it as the store takes it, and what the caller is told when it did.
    fn batch(
        self,
        operator: &Operator,
        key: Option<&IdempotencyKey>,
        now: Timestamp,
    ) -> Result<(Batch, Installation), Error> {
        let Operator { app, by, planned, .. } = operator;
        let planned = planned.clone();
        let mut batch = Batch { jobs: Vec::new(), secrets: Vec::new(), planned };
        let last = self.apps.len().saturating_sub(1);
        for (index, it) in self.apps.iter().enumerate() {
            for (reference, value) in &it.secrets.secrets {
                let name = reference.kept_as();
                let sealed = app.vault.seal(&name, value.expose_secret().as_bytes());
                batch.secrets.push((name, sealed));
            }
            let AppRecord { app_name, server, config, job_id, .. } = &it.record;
            batch.jobs.push(NewJob {
                id: job_id.clone(),
                operation: operation(DEPLOY, app_name)?,
                params: json!({ "server": server, "app": app_name, "config": config }),
                server: Some(server.clone()),
                retry_of: None,
                depends_on: self.needed_jobs(&it.record),
                by: by.clone(),
                now,
                server_change: ServerChange::Deploying(Box::new(it.record.clone())),
                idempotency: key.filter(|_| index == last).cloned(),
            });
        }
        let job = batch.jobs.last().ok_or_else(|| Error::internal("a plan without apps"))?;
        let answer = Installation {
            job: job.id.clone(),
            depends_on: job.depends_on.clone(),
            deduplicated: false,
            warnings: self.warnings,
        };
        Ok((batch, answer))
    }

    /// The jobs that must have completed before this app can be deployed.
    fn needed_jobs(&self, record: &AppRecord) -> Vec<JobId> {
        let of = |needed: &AppName| {
            let new = self.apps.iter().find(|it| it.record.app_name == *needed);
            let there = self.there.get(needed);
            let there = there.filter(|it| it.status == AppStatus::Deploying);
            new.map(|it| &it.record).or(there).map(|it| it.job_id.clone())
        };
        self.setup.iter().cloned().chain(record.dependencies.iter().filter_map(of)).collect()
    }
}
