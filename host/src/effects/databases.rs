//! Effects on databases that one app has in another. How they are made is said by the engine's own
//! recipe, as the host recorded it; for whom, and with which password, is the host's to say.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::effects::Effect;
use crate::effects::context::JobContext;
use crate::effects::grants::Grant;
use crate::effects::references;
use crate::effects::secrets::{self, Alphabet, Policy};
use crate::effects::ssh::{self, JobLog};
use crate::model::app::{AppRecord, AppStatus, Engine, EngineCommand};
use crate::model::failure::Failure;
use crate::model::journal::Class;
use crate::model::names::{AppName, Identity, ServerName};
use crate::model::secret::{Form, Reference, SecretName};
use crate::ssh::Command;
use crate::stacks::StackName;
use crate::stacks::container::not_begun;
use crate::stacks::database::{CONFLICT, Commands, Names, READY_S, check_name};

const INTERFACE: &str = "databases";

/// How long all may take: the wait for the engine, and the commands behind it.
const TIMEOUT: Duration = Duration::from_secs(READY_S * 2 + 120);

/// What a new password is like: characters that need no quotes anywhere.
const PASSWORD: Policy = Policy { length: 32, alphabet: Alphabet::Alphanumeric };

/// How an app reaches its database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// The engine's name in the server's shared network.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub name: String,
    /// The role that owns it.
    pub user: String,
    /// The reference of the role's password.
    pub password: String,
}

/// A database in an app of the same server.
pub struct Place {
    /// Where.
    pub server: ServerName,
    /// Which app.
    pub engine: AppName,
    /// The database.
    pub name: String,
    /// Where is said how it goes.
    pub lines: Arc<JobLog>,
}

/// Sees that there is a database, and a role that owns it.
pub struct EnsureDatabase(pub Place);

/// Removes both.
pub struct DropDatabase(pub Place);

impl Effect for EnsureDatabase {
    type Answer = Database;
    const FUNCTION: &'static str = "databases.ensure";
    const CLASS: Class = Class::Exec;

    fn needs(&self) -> Grant<'_> {
        self.0.needs()
    }

    fn request(&self) -> Value {
        self.0.request()
    }

    async fn act(&self, job: &JobContext, identity: &Identity) -> Result<Database, Failure> {
        let Place { engine: app, name, .. } = &self.0;
        let (engine, owner) = self.0.prepare(job).await?;
        self.0.run(job, identity, &engine, &owner, &[&engine.ready, &engine.ensure]).await?;
        Ok(Database {
            host: format!("{app}_{}", engine.service),
            port: engine.port,
            name: name.clone(),
            user: owner.role,
            password: owner.password.to_string(),
        })
    }
}

impl Effect for DropDatabase {
    type Answer = ();
    const FUNCTION: &'static str = "databases.drop";
    const CLASS: Class = Class::Exec;

    fn needs(&self) -> Grant<'_> {
        self.0.needs()
    }

    fn request(&self) -> Value {
        self.0.request()
    }

    async fn act(&self, job: &JobContext, identity: &Identity) -> Result<(), Failure> {
        if !job.grants().app().is_some_and(|app| app.delete_data) {
            let message = "a database goes only with an app that is removed with its data: pass \
                           delete_data=true";
            return Err(Failure::unsafe_to_retry("access_denied", message));
        }
        let record = job.outside.store.app(&self.0.server, &self.0.engine).await;
        if record.map_err(|error| Failure::safe("internal", error.to_string()))?.is_none() {
            // With the engine went all that was in it.
            return Ok(());
        }
        let (engine, owner) = self.0.prepare(job).await?;
        // What another role owns is not dropped: the engine itself says so when it is asked to
        // make it.
        let commands = [&engine.ready, &engine.ensure, &engine.drop];
        self.0.run(job, identity, &engine, &owner, &commands).await
    }
}

/// Who owns a database.
struct Owner {
    role: String,
    password: Reference,
}

impl Place {
    fn needs(&self) -> Grant<'_> {
        Grant { interface: INTERFACE, server: Some(self.server.as_str()) }
    }

    fn request(&self) -> Value {
        json!({ "server": self.server, "engine": self.engine, "name": self.name })
    }

    /// How the engine's databases are made, and whose this one is to be.
    async fn prepare(&self, job: &JobContext) -> Result<(Engine, Owner), Failure> {
        check_name(&self.name).map_err(|why| Failure::unsafe_to_retry("invalid_argument", why))?;
        let Some(app) = job.grants().app() else {
            let message = "databases belong to apps, and this job is about none";
            return Err(Failure::unsafe_to_retry("access_denied", message));
        };
        let engine = self.engine(job, &app.name).await?;
        let role = app.name.as_str().replace('-', "_");
        let name: SecretName = format!("{}/database-{}", app.name, self.engine)
            .parse()
            .map_err(|error| Failure::unsafe_to_retry("invalid_argument", format!("{error}")))?;
        let password = Reference { server: self.server.clone(), name, form: Form::Plain };
        secrets::keep(job, &password, || PASSWORD.generate()).await?;
        // The engine is told the password next: a power cut must not leave it with one that nobody
        // knows any more.
        job.settle().await?;
        Ok((engine, Owner { role, password }))
    }

    async fn engine(&self, job: &JobContext, app: &AppName) -> Result<Engine, Failure> {
        let (store, server, name) = (&job.outside.store, &self.server, &self.engine);
        let internal =
            |error: crate::storage::StorageError| Failure::safe("internal", error.to_string());
        let own = store.app(server, app).await.map_err(internal)?;
        if !own.is_some_and(|own| own.dependencies.contains(name)) {
            let message = format!(
                "`{app}` does not depend on `{name}`, and may have no database there: add it to \
                 `dependencies` of its recipe"
            );
            return Err(Failure::unsafe_to_retry("access_denied", message));
        }
        let record = store.app(server, name).await.map_err(internal)?;
        let record = record.filter(|record| record.status != AppStatus::Removing);
        let Some(AppRecord { provides, .. }) = record else {
            let message = format!("`{name}` is not installed on `{server}`: deploy it first");
            return Err(Failure::safe("not_found", message));
        };
        provides.and_then(|it| it.databases).ok_or_else(|| {
            let message = format!("`{name}` gives no databases to other apps");
            Failure::unsafe_to_retry("unsupported", message)
        })
    }

    async fn run(
        &self,
        job: &JobContext,
        identity: &Identity,
        engine: &Engine,
        owner: &Owner,
        commands: &[&EngineCommand],
    ) -> Result<(), Failure> {
        let bad = |why: String| {
            let message = format!("the recipe of `{}` cannot be used: {why}", self.engine);
            Failure::unsafe_to_retry("unsupported", message)
        };
        let stack: StackName = self
            .engine
            .as_str()
            .parse()
            .map_err(|error: crate::stacks::InvalidStackName| bad(error.to_string()))?;
        let password = owner.password.to_string();
        let names = Names { database: &self.name, role: &owner.role, password: &password };
        let commands = Commands::fill(commands, &names).map_err(bad)?;
        let mut inputs: Vec<Zeroizing<Vec<u8>>> = Vec::new();
        for input in commands.inputs() {
            inputs.push(references::substitute(job, input.as_bytes()).await?);
        }
        let remote = ssh::remote(job, &self.server).await?;
        let ran = remote
            .exec(Command {
                receipt: identity.clone(),
                line: commands.line(&stack, &engine.service),
                stdin: Some(Commands::stdin(&inputs)),
                timeout: TIMEOUT,
                cancel: job.cancel_token(),
                lines: Some(Arc::clone(&self.lines).numbered(identity.effect)),
            })
            .await?;
        let Err(failure) = self.judged(ran.exit_code, &ran.stderr, &owner.role) else {
            return Ok(());
        };
        // It has ended, and may be done again.
        remote.release(std::slice::from_ref(identity)).await?;
        Err(failure)
    }

    fn judged(&self, exit_code: i32, stderr: &str, role: &str) -> Result<(), Failure> {
        let (engine, name) = (&self.engine, &self.name);
        if let Some(why) = not_begun(exit_code, stderr) {
            return Err(Failure::safe("not_ready", why));
        }
        match exit_code {
            0 => Ok(()),
            CONFLICT => Err(Failure::unsafe_to_retry(
                "conflict",
                format!(
                    "the database `{name}` of `{engine}` belongs to another role than `{role}`: \
                     it was left as it is; remove or rename it, or choose another name"
                ),
            )),
            _ => {
                let said = stderr.lines().rev().find_map(|line| line.strip_prefix("failed: "));
                let said = said.or_else(|| stderr.lines().next_back()).unwrap_or("nothing");
                let message =
                    format!("`{engine}` does not do what the database `{name}` needs: {said}");
                Err(Failure::safe("database_failed", message))
            }
        }
    }
}
