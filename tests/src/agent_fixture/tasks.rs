//! The fixture's tools that are tasks. Each is a job of the host, and its task is the host's own:
//! made, shown and cancelled by the code behind the real tools. What the host never does with a
//! task is put on top of that here: none of its tasks asks for anything, and no job of its ends as
//! an error of the protocol.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams, DetailedTask,
    ErrorData, GetTaskParams, GetTaskResult, InputRequests, InputRequiredResult, TaskPayload,
    UpdateTaskParams,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Value, json};
use windlass::app::access::Reader;
use windlass::app::plan::intended::Intended;
use windlass::app::servers::WantedServer;
use windlass::mcp::Server;
use windlass::model::names::JobId;

use super::words::{form, from, said, whole};

/// What becomes of a task of the fixture.
pub(super) enum Fate {
    /// What becomes of its job.
    Job,
    /// It asks for this first; what is answered is no longer there.
    Asks(InputRequests),
    /// An error of the protocol.
    Error,
}

/// The tasks that are not what their jobs are, by their ids, and how many jobs there were.
#[derive(Default)]
pub(super) struct Fates {
    known: Mutex<HashMap<String, Fate>>,
    jobs: AtomicU64,
}

/// Starts jobs for one caller, and answers for their tasks.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) host: Server,
    pub(super) reader: Reader,
    pub(super) fates: Arc<Fates>,
}

impl Fates {
    fn known(&self) -> MutexGuard<'_, HashMap<String, Fate>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    /// What a tool answers, if it is one of these.
    pub(super) async fn call(
        &self,
        request: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Option<CallToolResponse> {
        let argument = |name: &str| request.arguments.as_ref().and_then(|it| it.get(name));
        let polls = context.client_capabilities().is_some_and(|it| it.supports_tasks());
        let sure = form("Are you sure?", "confirm", "boolean");
        Some(match &*request.name {
            "greet" => {
                let name = argument("name").and_then(Value::as_str).unwrap_or_default();
                done(&said(&format!("Hello, {name}!")))
            }
            "slow_compute" => {
                let seconds = argument("seconds").and_then(Value::as_u64).unwrap_or_default();
                let job = self.start(&format!("takes-{seconds}"), None).await;
                if polls { self.task(&job, Fate::Job).await } else { self.ended(&job).await }
            }
            "failing_job" => self.task(&self.start("fails", None).await, Fate::Job).await,
            "protocol_error_job" => {
                self.task(&self.start("takes-0", None).await, Fate::Error).await
            }
            "confirm_delete" => self.asking(json!({ "sure": sure })).await,
            "multi_input" => {
                let name = form("What is its name?", "name", "string");
                self.asking(json!({ "sure": sure, "name": name })).await
            }
            "test_tool_with_task" => {
                let answers = request.input_responses.as_ref();
                let name = answers.and_then(|it| it.get("user_name")?.pointer("/content/name"));
                match name.and_then(Value::as_str) {
                    Some(name) => {
                        self.task(&self.start("tells", Some(name)).await, Fate::Job).await
                    }
                    None => {
                        let asked = json!({ "user_name": form("Your name?", "name", "string") });
                        let asked =
                            json!({ "resultType": "input_required", "inputRequests": asked });
                        from::<InputRequiredResult>(asked).into()
                    }
                }
            }
            _ => return None,
        })
    }

    /// A task that asks for this before anything else.
    async fn asking(&self, questions: Value) -> CallToolResponse {
        self.task(&self.start("takes-0", None).await, Fate::Asks(from(questions))).await
    }

    /// Starts a job of the plugin that goes by its server's name.
    async fn start(&self, how: &str, key: Option<&str>) -> JobId {
        let number = self.fates.jobs.fetch_add(1, Ordering::Relaxed);
        let wanted = WantedServer {
            name: format!("{how}-{number}").parse().expect("a name"),
            server_type: "cx23".to_owned(),
            region: "nbg1".to_owned(),
            image: "debian-12".to_owned(),
            provider: None,
            ssh_keys: key.map(str::to_owned).into_iter().collect(),
            keep_on_failure: false,
        };
        let operator = self.reader.clone().operator().expect("the caller may make jobs");
        let begun = operator.begin(&Intended::CreateServer(wanted), None).await;
        begun.expect("the job is taken").job
    }

    /// The host's task of this job.
    async fn task(&self, job: &JobId, fate: Fate) -> CallToolResponse {
        let created = self.host.task_of(job).await.expect("there is the job");
        if !matches!(fate, Fate::Job) {
            self.fates.known().insert(created.task.task_id.clone(), fate);
        }
        created.into()
    }

    /// What a client is told at the end that polls no tasks.
    async fn ended(&self, job: &JobId) -> CallToolResponse {
        let mut following = self.reader.follow(job).await.expect("there is the job");
        while !following.record().status.is_finished() && following.changed().await {}
        done(&said(following.record().status.as_str()))
    }

    /// How a task stands.
    pub(super) async fn show(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let id = request.task_id.clone();
        let shown = self.host.get_task(request, context).await?;
        let payload = match (self.fates.known().get(&id), &shown.task.payload) {
            (None, _) | (Some(_), TaskPayload::Cancelled) => return Ok(shown),
            (Some(Fate::Asks(left)), _) if !left.is_empty() => {
                TaskPayload::InputRequired { input_requests: left.clone() }
            }
            (Some(Fate::Error), TaskPayload::Completed { .. }) => {
                TaskPayload::Failed { error: from(json!({ "code": -32603, "message": "broken" })) }
            }
            (Some(_), _) => return Ok(shown),
        };
        Ok(GetTaskResult::new(DetailedTask::new(shown.task.task, payload)))
    }

    /// Takes what a task asked for.
    pub(super) async fn update(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let (id, answers) = (request.task_id.clone(), request.input_responses.clone());
        self.host.update_task(request, context).await?;
        if let Some(Fate::Asks(left)) = self.fates.known().get_mut(&id) {
            left.retain(|question, _| !answers.contains_key(question));
        }
        Ok(())
    }

    /// Cancels a task.
    pub(super) async fn cancel(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let id = request.task_id.clone();
        self.host.cancel_task(request, context).await?;
        self.fates.known().remove(&id);
        Ok(())
    }
}

fn done(result: &Value) -> CallToolResponse {
    whole::<CallToolResult>(result.clone()).into()
}
