//! The tools, resources and prompts that the official suite asks for by name, behind the host's own
//! door for agents: its mount, its tokens, its checks of where a request comes from, and its tasks.
//! What they answer is data, as the suite's descriptions have it.

#![expect(deprecated, reason = "the suite asks for the log messages of the older revision")]

mod notices;
mod questions;
mod sessions;
mod tasks;
mod words;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use rmcp::ServerHandler;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams,
    CompleteRequestParams, CompleteResult, DiscoverResult, ErrorData, GetPromptRequestParams,
    GetPromptResponse, GetPromptResult, GetTaskParams, GetTaskResult, Implementation,
    InputRequiredResult, InputResponses, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProtocolVersion,
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, RequestStateCodec,
    ServerCapabilities, ServerConfig, SetLevelRequestParams, SubscribeRequestParams,
    SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{RequestContext, RoleServer, SubscriptionContext};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use windlass::app::App;
use windlass::app::access::Reader;
use windlass::config::{Config, Flags};
use windlass::http;
use windlass::mcp::{Gateway, Server};

use crate::agent_fixture::notices::{log, progress};
use crate::agent_fixture::tasks::{Fates, Work};
use crate::agent_fixture::words::{
    PIXEL, SILENCE, embedded, form, from, merged, prompt, prompts, resource, said, sampling, tools,
    unknown, whole,
};
use crate::forge;

const FRESH_MS: u64 = 60_000;

/// The fixture, served by a host in this process.
pub struct AgentFixture {
    url: String,
    token: String,
    app: Arc<App>,
    end: CancellationToken,
}

/// By which door agents find the fixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Our host's.
    Ours,
    /// One that keeps sessions, which ours does not.
    WithSessions,
}

impl AgentFixture {
    /// A host on this home whose agents find the fixture.
    pub async fn start(home: &Path, door: Door) -> Self {
        let flags = Flags { home: Some(home.join("home")), ..Flags::default() };
        let mut config = Config::read(&flags).expect("settings");
        config.cache = crate::workshop::target().join("test-code");
        config.plugins = Some(home.join("plugins"));
        // Its jobs do what the names of their servers say.
        let plugin = forge::described(
            forge::hostile(),
            &forge::descriptor("create-server", &["job", "ssh"]),
        );
        std::fs::create_dir(home.join("plugins")).expect("a folder");
        std::fs::write(home.join("plugins/create-server.wasm"), plugin).expect("a plugin");
        let app = App::start(&config).await.expect("a host");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let gateway = Arc::new(Gateway::new(&app).expect("the host's key"));
        let shared = Shared::new();
        let agents = match door {
            Door::Ours => http::mcp::mount(&app, move |reader, read_only| {
                let host = gateway.server(reader.clone(), read_only);
                Fixture::new(shared.clone(), reader, host)
            }),
            Door::WithSessions => {
                let reader = Reader::authenticate(&app, &app.own_token()).expect("its own token");
                let host = gateway.server(reader.clone(), false);
                sessions::mount(Fixture::new(shared, reader, host), app.stopping())
            }
        };
        let router = http::router_with(app.clone(), address, agents);
        let end = CancellationToken::new();
        tokio::spawn(http::serve_router(router, app.clone(), listener, end.clone()));
        let token = app.own_token();
        Self { url: format!("http://{address}"), token, app, end }
    }

    /// The host's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A token that it takes.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Ends the host.
    pub async fn stop(self) {
        self.end.cancel();
        self.app.stop().await;
    }
}

/// What all requests share.
#[derive(Clone)]
struct Shared {
    codec: Arc<RequestStateCodec>,
    changes: broadcast::Sender<&'static str>,
    fates: Arc<Fates>,
}

/// What the suite asks for.
#[derive(Clone)]
struct Fixture {
    shared: Shared,
    work: Work,
}

/// A question that a tool or prompt puts before it answers.
struct Round<'a> {
    responses: Option<&'a InputResponses>,
    state: Option<&'a str>,
}

impl Shared {
    fn new() -> Self {
        let codec = RequestStateCodec::try_new([7; 32]).expect("a key");
        let (codec, changes) = (Arc::new(codec), broadcast::channel(16).0);
        Self { codec, changes, fates: Arc::default() }
    }
}

impl Fixture {
    /// For a request of this caller, whom the host serves so.
    fn new(shared: Shared, reader: Reader, host: Server) -> Self {
        let work = Work { host, reader, fates: shared.fates.clone() };
        Self { shared, work }
    }

    /// A question with a state that nobody can change.
    fn ask(&self, requests: &Value, state: Option<&str>) -> InputRequiredResult {
        let state =
            state.map(|state| self.shared.codec.seal_json(&state).expect("it can be sealed"));
        let asked = json!({ "resultType": "input_required", "inputRequests": requests,
            "requestState": state });
        from(asked)
    }

    /// The state that came back, if it is one of ours.
    fn state(&self, round: &Round<'_>) -> Result<Option<String>, ErrorData> {
        let opened =
            round.state.map(|state| self.shared.codec.open_json::<String>(state)).transpose();
        opened.map_err(|error| ErrorData::invalid_params(error.to_string(), None))
    }

    fn in_rounds(&self, tool: &str, round: &Round<'_>, can: &Value) -> Result<Value, Asked> {
        let state = self.state(round).map_err(Asked::Refused)?;
        let ask = |requests: Value, state: Option<&str>| {
            Err(Asked::First(Box::new(self.ask(&requests, state))))
        };
        let name = json!({ "user_name": form("What is your name?", "name", "string") });
        let capital = json!({ "capital_question": sampling("What is the capital of France?") });
        let roots = json!({ "client_roots": { "method": "roots/list", "params": {} } });
        match (tool, state.as_deref()) {
            ("elicitation", _) => match text_of(round, "user_name", "/content/name") {
                Some(name) => Ok(said(&format!("Hello, {name}!"))),
                None => ask(name, None),
            },
            ("sampling", _) if round.has("capital_question") => Ok(said("It is Paris.")),
            ("sampling", _) => ask(capital, None),
            ("list_roots", _) if round.has("client_roots") => {
                Ok(said(&round.responses.map(|it| json!(it)).unwrap_or_default().to_string()))
            }
            ("list_roots", _) => ask(roots, None),
            ("request_state" | "tampered_state", Some(_)) => Ok(said("state-ok")),
            ("request_state" | "tampered_state", None) => {
                ask(json!({ "confirm": form("Please confirm", "ok", "boolean") }), Some("asked"))
            }
            ("multiple_inputs", Some(_)) => Ok(said("all of it came")),
            ("multiple_inputs", None) => ask(merged(&[name, capital, roots]), Some("asked")),
            ("multi_round", Some("two")) => Ok(said("done")),
            ("multi_round", Some(_)) => {
                let second = form("Step 2: What is your favorite color?", "color", "string");
                ask(json!({ "step2": second }), Some("two"))
            }
            ("multi_round", None) => ask(
                json!({ "step1": form("Step 1: What is your name?", "name", "string") }),
                Some("one"),
            ),
            ("capabilities", _) => {
                let able = [("elicitation", name), ("sampling", capital), ("roots", roots)];
                let able = able.into_iter().filter(|(what, _)| can.get(what).is_some());
                ask(merged(&able.map(|(_, request)| request).collect::<Vec<_>>()), Some("asked"))
            }
            _ => Err(Asked::Refused(unknown("tool", tool))),
        }
    }

    async fn plain(
        &self,
        tool: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<Value, ErrorData> {
        let image = json!({ "type": "image", "data": PIXEL, "mimeType": "image/png" });
        Ok(match tool {
            "test_simple_text" => said("This is a simple text response for testing."),
            "test_image_content" => json!({ "content": [image] }),
            "test_audio_content" => {
                json!({ "content": [{ "type": "audio", "data": SILENCE, "mimeType": "audio/wav" }] })
            }
            "test_embedded_resource" => json!({ "content": [embedded("test://embedded-resource",
                "text/plain", "This is an embedded resource content.")] }),
            "test_multiple_content_types" => json!({ "content": [
                { "type": "text", "text": "Multiple content types test:" }, image,
                embedded("test://mixed-content-resource", "application/json", r#"{"value":123}"#)] }),
            "test_error_handling" => {
                let mut failed = said("This tool intentionally returns an error for testing");
                failed["isError"] = json!(true);
                failed
            }
            "test_tool_with_progress" => {
                progress(context).await;
                said("Progress was told.")
            }
            "test_streaming_elicitation"
            | "test_logging_tool"
            | "test_headers"
            | "json_schema_2020_12_tool" => said("done"),
            "test_tool_with_logging" => {
                log(context).await;
                said("It was logged.")
            }
            "test_missing_capability" => return questions::missing(context),
            "test_trigger_tool_change" => self.tell("tools"),
            "test_trigger_prompt_change" => self.tell("prompts"),
            other => return Err(unknown("tool", other)),
        })
    }

    /// Tells those who listen that a list changed.
    fn tell(&self, what: &'static str) -> Value {
        // Nobody may be listening.
        let _heard = self.shared.changes.send(what);
        said("told")
    }
}

/// What comes instead of an answer.
enum Asked {
    First(Box<InputRequiredResult>),
    Refused(ErrorData),
}

impl Round<'_> {
    fn has(&self, key: &str) -> bool {
        self.responses.is_some_and(|responses| responses.contains_key(key))
    }
}

fn text_of(round: &Round<'_>, key: &str, pointer: &str) -> Option<String> {
    round.responses?.get(key)?.pointer(pointer)?.as_str().map(str::to_owned)
}

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_completions()
            .enable_logging()
            .enable_tasks()
            .build();
        ServerConfig::new(capabilities).with_server_info(Implementation::new("fixture", "1"))
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(ProtocolVersion::KNOWN_VERSIONS)
    }

    async fn discover(&self, _: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        let mut found = DiscoverResult::from_server_info(versions, self.get_info());
        (found.ttl_ms, found.cache_scope) = (FRESH_MS, CacheScope::Private);
        Ok(found)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut result = ListToolsResult::with_all_items(tools());
        (result.ttl_ms, result.cache_scope) = (Some(FRESH_MS), Some(CacheScope::Private));
        Ok(result)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools().into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if let Some(response) = self.work.call(&request, &context).await {
            return Ok(response);
        }
        if let Some(answered) = questions::call(&request, &context).await {
            return Ok(whole::<CallToolResult>(answered?).into());
        }
        let Some(tool) = request.name.strip_prefix("test_input_required_result_") else {
            let done = self.plain(&request.name, &context).await?;
            return Ok(whole::<CallToolResult>(done).into());
        };
        let state = request.request_state.as_deref();
        let round = Round { responses: request.input_responses.as_ref(), state };
        let can = context.client_capabilities().map(|it| json!(it)).unwrap_or_default();
        match self.in_rounds(tool, &round, &can) {
            Ok(done) => Ok(whole::<CallToolResult>(done).into()),
            Err(Asked::First(question)) => Ok((*question).into()),
            Err(Asked::Refused(error)) => Err(error),
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.work.show(request, context).await
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.work.update(request, context).await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.work.cancel(request, context).await
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let mut result = ListPromptsResult::with_all_items(from(prompts()));
        (result.ttl_ms, result.cache_scope) = (Some(FRESH_MS), Some(CacheScope::Private));
        Ok(result)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let asks = request.name == "test_input_required_result_prompt";
        if asks && request.input_responses.is_none() {
            let question = form("What context should the prompt use?", "context", "string");
            return Ok(self.ask(&json!({ "user_context": question }), None).into());
        }
        Ok(whole::<GetPromptResult>(prompt(&request)?).into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let names = ["static-text", "static-binary", "watched-resource"];
        let listed = names.map(|name| json!({ "uri": format!("test://{name}"), "name": name }));
        let mut result = ListResourcesResult::with_all_items(from(json!(listed)));
        (result.ttl_ms, result.cache_scope) = (Some(FRESH_MS), Some(CacheScope::Private));
        Ok(result)
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let one = json!([{ "uriTemplate": "test://template/{id}/data", "name": "template" }]);
        let mut result = ListResourceTemplatesResult::with_all_items(from(one));
        (result.ttl_ms, result.cache_scope) = (Some(FRESH_MS), Some(CacheScope::Private));
        Ok(result)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let Some(found) = resource(&request.uri) else {
            let (words, place) = ("there is no such resource", json!({ "uri": request.uri }));
            let modern =
                context.protocol_version().is_some_and(|it| it >= ProtocolVersion::V_2026_07_28);
            return Err(if modern {
                ErrorData::invalid_params(words, Some(place))
            } else {
                ErrorData::resource_not_found(words, Some(place))
            });
        };
        let mut result: ReadResourceResult = whole(json!({ "contents": [found] }));
        (result.ttl_ms, result.cache_scope) = (Some(FRESH_MS), Some(CacheScope::Private));
        Ok(result.into())
    }

    async fn set_level(
        &self,
        _: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn subscribe(
        &self,
        _: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn complete(
        &self,
        _: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        Ok(whole(
            json!({ "completion": { "values": ["paris", "park"], "total": 2, "hasMore": false } }),
        ))
    }

    fn accepted_subscription_filter(
        &self,
        wanted: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(wanted.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.shared.changes.subscribe();
        loop {
            let change = tokio::select! {
                () = context.cancelled() => return Ok(()),
                change = changes.recv() => change,
            };
            let told = match change {
                Ok("tools") => context.sink().notify_tool_list_changed().await,
                Ok(_) => context.sink().notify_prompt_list_changed().await,
                Err(_) => return Ok(()),
            };
            // What was not asked for is not sent, which is no reason to stop listening.
            told.unwrap_or_default();
        }
    }
}
