//! `?plan=true` and `?if_plan=HASH` on the routes that make jobs: told and not done, or done only
//! as it was told.

use std::sync::Arc;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::app::access::{Operator, Reader, Scope};
use crate::app::apps::Installation;
use crate::app::plan::intended::Intended;
use crate::app::servers::RequestKey;
use crate::error::Error;
use crate::http::error::Problem;
use crate::http::jobs::JobAccepted;
use crate::http::request::in_query;

/// The parameters of a plan.
const NAMES: [&str; 2] = ["plan", "if_plan"];

/// Whether something is to be done, or only told.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PlanQuery {
    /// Whether to tell only what would be done: the answer is a plan (200), and nothing happens.
    #[param(default = false)]
    pub(super) plan: Option<bool>,
    /// The `plan_hash` of a plan: the job starts only if it would still do just that; else 409
    /// `plan_changed`.
    #[param(example = "3f1c0d9be27a4c51")]
    pub(super) if_plan: Option<String>,
}

/// A caller of a route that can be planned.
pub(super) struct Planner {
    pub(super) operator: Operator,
    /// Whether he may do all.
    pub(super) is_admin: bool,
}

/// What came of a wish.
pub(super) enum Answered {
    /// Nothing was done, and this is what would be.
    Told(Response),
    /// Jobs were made.
    Begun(Installation),
}

impl FromRequestParts<Arc<App>> for Planner {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let reader = Reader::from_request_parts(parts, app).await?;
        let is_admin = reader.caller().scope == Scope::Admin;
        Ok(Self { operator: reader.operator()?, is_admin })
    }
}

impl Planner {
    /// Begins what is intended, or tells what that would be.
    pub(super) async fn answer(
        &self,
        query: PlanQuery,
        intended: &Intended,
        key: Option<RequestKey>,
    ) -> Result<Answered, Problem> {
        match (query.plan.unwrap_or(false), query.if_plan) {
            (true, Some(_)) => {
                Err(in_query("if_plan", "use it without `plan`, which starts nothing"))
            }
            (true, None) => {
                Ok(Answered::Told(Json(self.operator.plan(intended).await?).into_response()))
            }
            (false, Some(hash)) => {
                let begun = self.operator.begin_as_planned(intended, &hash, key).await?;
                Ok(Answered::Begun(begun))
            }
            (false, None) => Ok(Answered::Begun(self.operator.begin(intended, key).await?)),
        }
    }

    /// Whether a retry is only to be told. It has no hash: it begins where its job stopped, and what
    /// comes then is what it finds.
    pub(super) fn tells_retry(&self, query: &PlanQuery) -> Result<bool, Problem> {
        match &query.if_plan {
            Some(_) => Err(in_query(
                "if_plan",
                "a retry's plan has no hash; it does what `plan=true` tells as long as nobody \
                 retries the job first",
            )),
            None => Ok(query.plan.unwrap_or(false)),
        }
    }

    /// The same for what is one job.
    pub(super) async fn one_job(
        &self,
        query: PlanQuery,
        intended: &Intended,
        key: Option<RequestKey>,
        message: &'static str,
    ) -> Result<Response, Problem> {
        Ok(match self.answer(query, intended, key).await? {
            Answered::Told(plan) => plan,
            Answered::Begun(begun) => JobAccepted::new(begun.job, message).into_response(),
        })
    }
}

/// Refuses to do what somebody wants to be told only.
pub(super) fn refuse(parts: &Parts) -> Result<(), Problem> {
    let pairs = parts.uri.query().unwrap_or_default().split('&');
    let names = pairs.map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    let Some(name) = names.into_iter().find(|name| NAMES.contains(name)) else { return Ok(()) };
    let message = "There are plans of creating, setting up and deleting a server, of installing and \
                   removing an app, and of retrying a job only; nothing was done.";
    Err(Error::invalid_field(&format!("?{name}"), message).into())
}
