//! `plan` and `if_plan` of the tools that start jobs: told and not done, or done only as it was
//! told.

use serde::Serialize;

use crate::app::access::Operator;
use crate::app::apps::Installation;
use crate::app::plan::intended::Intended;
use crate::app::plan::{Plan, PlannedServer};
use crate::error::Error;
use crate::mcp::answer::Answer;
use crate::mcp::call::Call;
use crate::mcp::schema::{Field, Kind, takes};
use crate::mcp::words::words;

/// The argument that makes a tool only tell.
pub(super) const PLAN: Field =
    takes("plan", Kind::Boolean, words("Só dizer o que faria", "Only tell what it would do"));
/// The argument that makes a tool do what it told, and nothing else.
pub(super) const IF_PLAN: Field =
    takes("if_plan", Kind::Text, words("plan_hash: só se igual", "plan_hash: only if the same"));

/// Both arguments.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    pub(super) plan: Option<bool>,
    pub(super) if_plan: Option<String>,
}

/// What would be done, in few words.
#[derive(Serialize)]
struct Told {
    #[serde(rename = "type")]
    operation: String,
    status: &'static str,
    target: String,
    next: String,
    plan_hash: String,
    summary: String,
    effects: Vec<String>,
    servers: Vec<PlannedServer>,
    secrets: Vec<String>,
    names: Vec<String>,
    databases: Vec<String>,
    depends_on: Vec<String>,
    warnings: Vec<String>,
}

impl Wish {
    /// Whether nothing is to be done.
    pub(super) fn tells(&self) -> bool {
        self.plan == Some(true)
    }

    /// Begins what is intended, as it was told where that was said.
    pub(super) async fn begin(
        &self,
        operator: &Operator,
        intended: &Intended,
    ) -> Result<Installation, Error> {
        match &self.if_plan {
            Some(hash) => operator.begin_as_planned(intended, hash, None).await,
            None => operator.begin(intended, None).await,
        }
    }
}

/// Tells what would be done.
pub(super) async fn tell(
    call: &Call<'_>,
    intended: &Intended,
    (operation, target): (String, String),
) -> Result<Answer, Error> {
    let plan = call.operator()?.plan(intended).await?;
    let next = call.pick(
        format!(
            "Nada foi feito. Para fazer só isto, chame de novo com if_plan {}.",
            plan.plan_hash
        ),
        format!("Nothing was done. To do just this, call again with if_plan {}.", plan.plan_hash),
    );
    Answer::of(&Told {
        operation,
        status: "planned",
        target,
        next,
        effects: effects(&plan),
        names: plan.names.iter().map(|it| [&*it.name, &*it.kind, &*it.content].join(" ")).collect(),
        databases: plan.databases.iter().map(|it| format!("{} ({})", it.name, it.engine)).collect(),
        depends_on: plan.after.iter().map(ToString::to_string).collect(),
        plan_hash: plan.plan_hash,
        summary: plan.summary,
        servers: plan.servers,
        secrets: plan.secrets,
        warnings: plan.warnings,
    })
}

/// Every effect in a line, with the job that has it.
fn effects(plan: &Plan) -> Vec<String> {
    let of_job = |job: &crate::app::plan::PlannedJob| {
        let operation = job.operation.clone();
        job.effects.iter().map(move |it| format!("{operation}: {}", it.what)).collect::<Vec<_>>()
    };
    plan.jobs.iter().flat_map(of_job).collect()
}
