//! A call of a tool: who may call it is asked first, then it is noted, then it runs.

use std::borrow::Cow;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorData, InputResponses, ProtocolVersion,
};
use rmcp::service::{RequestContext, RoleServer};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::app::access::{Admin, Operator};
use crate::app::agents::AgentCall;
use crate::config::TaskMode;
use crate::error::{Error, ErrorKind, sentence};
use crate::mcp::answer::Answer;
use crate::mcp::tools::{self, Definition};
use crate::mcp::words::{Voice, Words};
use crate::mcp::{
    Server, apps, cancel, dns, error, jobs, logs, providers, retry, servers, setup, sizes, system,
    wait,
};

/// Arguments whose values nobody may see, not even by their digests.
const SECRET: [&str; 5] = ["token", "api_key", "api_token", "stdin", "config"];

/// A call under way.
pub(super) struct Call<'s> {
    pub(super) server: &'s Server,
    pub(super) tool: &'static Definition,
    pub(super) context: RequestContext<RoleServer>,
    /// What the client sends back of an earlier answer that asked something.
    pub(super) state: Option<String>,
    pub(super) responses: Option<InputResponses>,
    arguments: Value,
}

/// Runs a tool.
pub(super) async fn call(
    server: &Server,
    request: CallToolRequestParams,
    context: RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let voice = server.voice();
    let Some(tool) = tools::named(&server.gateway.settings, &request.name) else {
        let name: String = request.name.chars().take(60).collect();
        let message = voice.pick(
            format!(
                "Não existe a ferramenta `{}`; tools/list mostra quais há.",
                name.escape_debug()
            ),
            format!(
                "There is no tool `{}`; tools/list shows which there are.",
                name.escape_debug()
            ),
        );
        return Err(ErrorData::invalid_params(message, None));
    };
    let call = Call {
        server,
        tool,
        context,
        state: request.request_state,
        responses: request.input_responses,
        arguments: Value::Object(request.arguments.unwrap_or_default()),
    };
    let answered = Box::pin(call.answer()).await;
    Ok(answered.map_or_else(|error| error::told(&error, voice).into(), Answer::response))
}

impl Call<'_> {
    async fn answer(&self) -> Result<Answer, Error> {
        if let Err(error) = self.server.permit(self.tool) {
            self.note("denied").await?;
            return Err(error);
        }
        self.note("allowed").await?;
        match self.tool.id() {
            "inicializar-sistema" => system::initialise(self),
            "configurar-provider" => providers::configure(self).await,
            "configurar-cloudflare" => dns::configure(self).await,
            "verificar-job" => jobs::show(self).await,
            "listar-jobs" => jobs::list(self).await,
            "aguardar-job-completo" => wait::wait(self).await,
            "criar-servidor" => servers::create(self).await,
            "listar-servidores" => servers::list(self).await,
            "detalhes-servidor" => servers::show(self).await,
            "configurar-servidor-completo" => setup::set_up(self).await,
            "executar-comando-ssh" => servers::execute(self).await,
            "destruir-servidor" => servers::destroy(self).await,
            "listar-apps-disponiveis" => apps::available(self),
            "instalar-app" => apps::install(self).await,
            "listar-apps-instaladas" => apps::installed(self).await,
            "desinstalar-app" => apps::remove(self).await,
            "cancelar-job" => cancel::cancel(self).await,
            "repetir-job" => retry::retry(self).await,
            "logs-job" => logs::show(self).await,
            "listar-tipos-servidor" => sizes::list(self).await,
            other => Err(Error::internal(format!("the tool `{other}` does nothing"))),
        }
    }

    /// Notes the call in the audit log, with what came of asking whether it may run.
    pub(super) async fn note(&self, decision: &str) -> Result<(), Error> {
        let named = ["name", "app_name", "job_id"].iter();
        let named = named.filter_map(|name| self.arguments.get(name)?.as_str());
        let target: String = named.collect::<Vec<_>>().join("/").chars().take(100).collect();
        let arguments = self.digest();
        let call =
            AgentCall { tool: self.tool.id(), target: &target, arguments: &arguments, decision };
        self.server.reader.audit_call(call).await
    }

    /// SHA-256 of the arguments without what is secret in them, hex.
    pub(super) fn digest(&self) -> String {
        let mut arguments = self.arguments.clone();
        for name in SECRET {
            if let Some(value) = arguments.get_mut(name) {
                *value = Value::Null;
            }
        }
        digest(arguments.to_string().as_bytes())
    }

    /// The arguments as the tool takes them.
    pub(super) fn arguments<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_path_to_error::deserialize(&self.arguments).map_err(|error| {
            let place = error.path().to_string();
            // Serde's words may hold the value, and the value may be secret.
            let secret = SECRET.contains(&place.as_str());
            let why =
                if secret { "it is of another type".to_owned() } else { error.inner().to_string() };
            let shown = if place == "." { String::new() } else { format!("`{place}`: ") };
            Error::invalid_field(&format!("/{place}"), sentence(&format!("{shown}{why}")))
        })
    }

    /// The caller, who may make jobs. What he says twice is one job.
    pub(super) fn operator(&self) -> Result<Operator, Error> {
        Ok(self.server.reader.clone().operator()?.joining_repeats())
    }

    /// The caller, who may do all.
    pub(super) fn admin(&self) -> Result<Admin, Error> {
        self.server.reader.clone().admin()
    }

    /// How this host speaks.
    pub(super) fn voice(&self) -> Voice {
        self.server.voice()
    }

    /// Words of ours, as this host says them.
    pub(super) fn say(&self, words: Words) -> Cow<'static, str> {
        self.voice().say(words)
    }

    /// Of the same in both languages, Portuguese first, what this host's agents read.
    pub(super) fn pick<T>(&self, portuguese: T, english: T) -> T {
        self.voice().pick(portuguese, english)
    }

    /// Whether the client shows its user a form when it is asked to.
    pub(super) fn can_ask(&self) -> bool {
        let modern =
            self.context.protocol_version().is_some_and(|it| it >= ProtocolVersion::V_2026_07_28);
        modern && self.context.client_capabilities().is_some_and(|it| it.elicitation.is_some())
    }

    /// Whether a wait is a task, because the client polls them and the host gives them out.
    pub(super) fn waits_are_tasks(&self) -> bool {
        self.server.gateway.settings.tasks != TaskMode::Off && self.polls_tasks()
    }

    /// The same for what starts a job.
    pub(super) fn jobs_are_tasks(&self) -> bool {
        self.server.gateway.settings.tasks == TaskMode::All && self.polls_tasks()
    }

    fn polls_tasks(&self) -> bool {
        self.context.client_capabilities().is_some_and(|it| it.supports_tasks())
    }
}

impl Server {
    /// Whether its caller may use this tool, and this connection allows it.
    pub(super) fn permit(&self, tool: &Definition) -> Result<(), Error> {
        let caller = self.reader.caller();
        if tool.is_open_to(caller.scope, self.read_only) {
            return Ok(());
        }
        let (code, message) = if caller.scope >= tool.scope {
            let message = self.voice().pick(
                "Esta conexão só permite leitura: nenhuma ferramenta que altera algo funciona.",
                "This connection is read-only: no tool that changes anything works.",
            );
            ("read_only", message.to_owned())
        } else {
            let (has, needs) = (caller.scope.as_str(), tool.scope.as_str());
            let message = self.voice().pick(
                format!("O token `{}` tem escopo {has}; isto exige {needs}.", caller.name),
                format!("The token `{}` has the scope {has}; this needs {needs}.", caller.name),
            );
            ("insufficient_scope", message)
        };
        Err(Error::new(ErrorKind::Denied, code, message))
    }
}

/// SHA-256, hex.
pub(super) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
