//! Plans: what a request would do, told in order, with nothing done. The request is rehearsed: the
//! same verbs make the same jobs, and the same plugins run them, against a stage of this host that
//! knows its records, where machines are simulated, names are only read, and no value of a secret
//! is.

pub(super) mod fence;
pub mod intended;
mod stage;
mod telling;

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::app::access::Operator;
use crate::app::plan::intended::Intended;
use crate::app::plan::stage::Stage;
use crate::error::{Error, sentence};
use crate::model::catalogue::Price;
use crate::model::failure::Failure;
use crate::model::grants::GrantsWanted;
use crate::model::job::{JobStatus, PluginPin};
use crate::model::journal::Class;
use crate::model::names::{JobId, ProviderKind};

pub(super) use stage::sweep;

/// How many plans are made at the same time.
pub(super) const AT_ONCE: usize = 2;

/// What a request would do. It has been done by nobody.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Plan {
    /// Says which plan this is: hand it over as `if_plan`, and the job starts only if it would
    /// still do just this.
    #[schema(example = "3f1c0d9be27a4c51")]
    pub plan_hash: String,
    /// In one sentence.
    #[schema(example = "1 job with 4 effects would order `prod-01`.")]
    pub summary: String,
    /// The jobs that would be made, in the order in which they would run.
    pub jobs: Vec<PlannedJob>,
    /// The jobs of the server that are not finished, and would come first.
    #[schema(value_type = Vec<String>)]
    pub after: Vec<JobId>,
    /// The job that does this already, so that none would be made.
    #[schema(value_type = Option<String>)]
    pub already: Option<JobId>,
    /// The machines that would be ordered.
    pub servers: Vec<PlannedServer>,
    /// The secrets that would be made. None of them has a value yet.
    #[schema(example = json!(["prod-01/n8n/encryption-key"]))]
    pub secrets: Vec<String>,
    /// What names would say.
    pub names: Vec<PlannedName>,
    /// The databases that would be made unless they are there.
    pub databases: Vec<PlannedDatabase>,
    /// What may go wrong, as sentences.
    pub warnings: Vec<String>,
}

/// A job that would be made.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PlannedJob {
    /// What it does.
    #[serde(rename = "type")]
    #[schema(example = "create_server")]
    pub operation: String,
    /// What it works on.
    pub server: Option<String>,
    /// What would run.
    pub plugin: Option<PluginPin>,
    /// What that may ask of the host.
    #[schema(value_type = Object)]
    pub grants: GrantsWanted,
    /// Its steps.
    #[schema(example = json!(["Prepare SSH key", "Create server"]))]
    pub steps: Vec<String>,
    /// What it would change, in order.
    pub effects: Vec<PlannedEffect>,
    /// How it would end, as far as can be told: `completed` or `failed`.
    pub outcome: JobStatus,
    /// Why it would not complete.
    pub failure: Option<PlannedFailure>,
}

/// Something that a job would change.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PlannedEffect {
    /// The step that it belongs to.
    pub step: Option<String>,
    /// `interface.function`.
    #[schema(example = "servers.create")]
    pub function: String,
    /// What the host does when its outcome is not known.
    pub class: Class,
    /// In words.
    #[schema(example = "order the server `prod-01`: cx23 in nbg1 with debian-12")]
    pub what: String,
}

/// Why a job would not complete.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PlannedFailure {
    /// For programs.
    #[schema(example = "conflict")]
    pub code: String,
    /// For people.
    pub message: String,
}

/// A machine that would be ordered.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PlannedServer {
    /// Its name.
    #[schema(example = "prod-01")]
    pub name: String,
    /// Who would run it.
    pub provider: ProviderKind,
    /// The provider's name of the size.
    #[schema(example = "cx23")]
    pub server_type: String,
    /// What it would cost a month; none where the provider does not say.
    pub price_monthly: Option<Price>,
}

/// What a name would say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct PlannedName {
    /// The whole name.
    #[schema(example = "edt.lab.example.com")]
    pub name: String,
    /// The kind of its record.
    #[schema(example = "CNAME")]
    pub kind: String,
    /// What it would say.
    #[schema(example = "ptn.lab.example.com")]
    pub content: String,
    /// Why it cannot, where somebody else has it.
    pub taken: Option<String>,
}

/// A database that would be made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct PlannedDatabase {
    /// Where.
    pub server: String,
    /// The app that keeps it.
    #[schema(example = "postgres")]
    pub engine: String,
    /// Its name.
    #[schema(example = "n8n")]
    pub name: String,
}

impl Operator {
    /// Tells what would be done, and does nothing. What would be refused is refused in the same
    /// words.
    #[tracing::instrument(skip_all, fields(server = %intended.server()))]
    pub async fn plan(&self, intended: &Intended) -> Result<Plan, Error> {
        let (operator, intended) = (self.for_rehearsal(), intended.clone());
        // A caller who goes away does not leave the stage standing.
        let planned = self.app.tasks.spawn(async move { rehearse(operator, &intended).await });
        planned.await.map_err(|_panicked| Error::internal("making a plan panicked"))?
    }
}

impl App {
    /// What comes of waiting for a turn to make a plan.
    async fn turn(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Error> {
        self.rehearsals.acquire().await.map_err(|_closed| Error::shutting_down())
    }
}

async fn rehearse(operator: Operator, intended: &Intended) -> Result<Plan, Error> {
    let app = operator.app.clone();
    let _turn = app.turn().await?;
    let stage = Stage::set(&app, intended.server()).await?;
    let planned = stage.rehearse(operator, intended).await;
    stage.clear().await;
    planned
}

impl From<&Failure> for PlannedFailure {
    fn from(failure: &Failure) -> Self {
        Self { code: failure.code.clone(), message: sentence(&failure.message) }
    }
}

impl Plan {
    /// The plan of these jobs.
    fn of(jobs: Vec<PlannedJob>, told: Told) -> Self {
        let Told { plan_hash, after, already, servers, secrets, names, databases, warnings } = told;
        let mut plan = Self {
            plan_hash,
            summary: String::new(),
            jobs,
            after,
            already,
            servers,
            secrets,
            names,
            databases,
            warnings,
        };
        plan.summary = plan.in_one_sentence();
        plan
    }

    fn in_one_sentence(&self) -> String {
        if let Some(job) = &self.already {
            return format!("Nothing: the job `{job}` does this already.");
        }
        let effects: usize = self.jobs.iter().map(|job| job.effects.len()).sum();
        let mut told = format!(
            "{} with {}",
            counted(self.jobs.len(), "job", "jobs"),
            counted(effects, "effect", "effects")
        );
        for server in &self.servers {
            let price = server.price_monthly.as_ref();
            let price = price
                .map_or("at a price that the provider does not say".to_owned(), |it| {
                    format!("for {} {} a month", it.amount, it.currency)
                });
            told.push_str(", ");
            told.push_str(&["a new server `", &server.name, "` ", &price].concat());
        }
        for (count, one, many) in [
            (self.secrets.len(), "new secret", "new secrets"),
            (self.names.len(), "name", "names"),
            (self.databases.len(), "database", "databases"),
        ] {
            if count > 0 {
                told.push_str(", ");
                told.push_str(&counted(count, one, many));
            }
        }
        let failing = self.jobs.iter().find_map(|job| Some((job, job.failure.as_ref()?)));
        match failing {
            Some((job, failure)) => {
                format!("{told}; `{}` would fail: {}", job.operation, failure.message)
            }
            None => format!("{told}."),
        }
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// What is told beside the jobs.
struct Told {
    plan_hash: String,
    after: Vec<JobId>,
    already: Option<JobId>,
    servers: Vec<PlannedServer>,
    secrets: Vec<String>,
    names: Vec<PlannedName>,
    databases: Vec<PlannedDatabase>,
    warnings: Vec<String>,
}

/// What the ids of rehearsed jobs are called where they must not count: by their place.
type Places = BTreeMap<JobId, usize>;
