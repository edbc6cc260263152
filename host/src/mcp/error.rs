//! Errors as agents read them: a tool that did not do it answers with what went wrong and what to
//! do, so that the model sees it; what no model can help is an error of the protocol.

use rmcp::model::{CallToolResult, ContentBlock, ErrorData};
use serde_json::json;
use tracing::{debug, error};

use crate::config::Language;
use crate::error::{Error, ErrorKind};
use crate::mcp::answer::{plain, tail};
use crate::mcp::tools::Definition;
use crate::mcp::words::{Voice, Words, words};
use crate::mcp::{apps, jobs, providers, servers, setup};

/// The most of a command's output that an error shows, in bytes.
const SHOWN: usize = 4_000;

/// What a tool answers that did not do it.
pub(super) fn told(error: &Error, voice: Voice) -> CallToolResult {
    log(error);
    let mut lines = vec![sentence(error, voice)];
    let text = |value: &serde_json::Value, name: &str| {
        value.get(name).and_then(|text| text.as_str()).map(str::to_owned)
    };
    let fields = error.details().get("fields").and_then(|fields| fields.as_array());
    let more = fields.into_iter().flatten().skip(1).filter_map(|field| text(field, "message"));
    lines.extend(more.map(|message| format!("- {message}")));
    for name in ["stdout", "stderr"] {
        let output = error.details().get(name).and_then(|output| output.as_str());
        let output = output.filter(|output| !output.is_empty());
        lines.extend(output.map(|output| format!("{name}: {}", plain(tail(output, SHOWN)))));
    }
    let label = voice.pick("O que fazer", "What to do");
    lines.push(format!("{label}: {}", steps(error, voice).join(" ")));
    lines.push(format!("code: {}", error.code()));
    CallToolResult::error(vec![ContentBlock::text(lines.join("\n"))])
}

/// What a method of the protocol answers that did not do it.
pub(super) fn protocol(error: &Error, voice: Voice) -> ErrorData {
    log(error);
    let details = Some(json!({ "code": error.code() }));
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::Invalid | ErrorKind::Denied => {
            ErrorData::invalid_params(sentence(error, voice), details)
        }
        ErrorKind::Conflict
        | ErrorKind::Unauthenticated
        | ErrorKind::Limited
        | ErrorKind::Upstream
        | ErrorKind::Timeout
        | ErrorKind::Unavailable
        | ErrorKind::Internal => ErrorData::internal_error(sentence(error, voice), details),
    }
}

fn log(error: &Error) {
    let (code, causes) = (error.code(), error.causes());
    if error.kind() == ErrorKind::Internal {
        error!(code, causes, "an agent's call failed inside the host");
    } else {
        debug!(code, causes, "an agent's call was refused");
    }
}

/// The host's own sentence, after one in Portuguese where there is one.
fn sentence(error: &Error, voice: Voice) -> String {
    let lead = match voice.language() {
        Language::English => None,
        Language::Portuguese => lead(error.code()),
    };
    match lead {
        Some(lead) => format!("{lead} ({})", error.message()),
        None => error.message().to_owned(),
    }
}

fn lead(code: &str) -> Option<&'static str> {
    Some(match code {
        "no_such_job" => "Não existe esse job.",
        "no_such_server" => "Não existe esse servidor.",
        "server_exists" => "Já existe um servidor com esse nome.",
        "server_not_ready" => "O servidor ainda não foi configurado para aplicações.",
        "deletion_protected" => "O servidor está protegido contra destruição por agentes.",
        "no_such_app" => "Não existe essa aplicação.",
        "app_busy" => "Outro job já altera essa aplicação.",
        "app_required_by" => "Outras aplicações precisam dela.",
        "name_taken" => "Um nome DNS de que ela precisa já está em uso.",
        "not_enough_memory" => "Falta memória no servidor.",
        "no_plugin" => "Nenhum plugin deste host faz isso.",
        "dependency_cycle" => "As aplicações precisam umas das outras em círculo.",
        "server_busy" => "O servidor está ocupado com outro job.",
        "job_differs" => "O mesmo trabalho já está em andamento com outros parâmetros.",
        "invalid_request" => "Os argumentos estão errados.",
        "invalid_credentials" => "As credenciais foram recusadas.",
        "provider_not_configured" => "O provider ainda não foi configurado.",
        "command_timeout" => "O comando passou do tempo e foi encerrado.",
        "ssh_unreachable" => "O servidor não responde por SSH.",
        "shutting_down" => "O host está sendo encerrado.",
        "rate_limited" => "O provider limita as chamadas.",
        "internal" => "Algo falhou dentro do host.",
        _ => return None,
    })
}

/// What to do: the app's own hints as calls of tools, then what the kind says.
fn steps(error: &Error, voice: Voice) -> Vec<String> {
    let mut steps: Vec<String> =
        error.next().iter().filter_map(|route| tool_for(route, voice)).collect();
    let retry_safe = error.retry_safe();
    let by_kind = match error.kind() {
        ErrorKind::NotFound if steps.is_empty() => Some(LOOK),
        ErrorKind::Invalid => Some(CORRECT),
        ErrorKind::Conflict if steps.is_empty() => Some(CHANGE),
        ErrorKind::NotFound | ErrorKind::Conflict => None,
        ErrorKind::Unauthenticated | ErrorKind::Denied => Some(ASK),
        ErrorKind::Limited | ErrorKind::Unavailable => Some(LATER),
        ErrorKind::Upstream | ErrorKind::Timeout if retry_safe => Some(LATER),
        ErrorKind::Upstream | ErrorKind::Timeout => Some(LOOK_FIRST),
        ErrorKind::Internal => Some(REPORT),
    };
    steps.extend(by_kind.map(|words| voice.say(words).into_owned()));
    steps
}

const LOOK: Words = words(
    "Confira o nome com listar-servidores ou listar-jobs.",
    "Look the name up with listar-servidores or listar-jobs.",
);
const CORRECT: Words =
    words("Corrija os argumentos e chame de novo.", "Correct the arguments and call again.");
const CHANGE: Words = words(
    "Verifique o estado atual antes de tentar outra coisa.",
    "Look how things stand before trying anything else.",
);
const ASK: Words = words(
    "Peça à pessoa um token com o escopo necessário; repetir não adianta.",
    "Ask the person for a token with the needed scope; repeating is no use.",
);
const LATER: Words = words(
    "Espere um pouco e chame de novo: repetir é seguro.",
    "Wait a little and call again: repeating is safe.",
);
const LOOK_FIRST: Words = words(
    "Não repita às cegas: verifique antes o que já aconteceu.",
    "Do not repeat blindly: look first what has happened.",
);
const REPORT: Words = words(
    "Avise a pessoa: o log do host diz o que houve.",
    "Tell the person: the host's log says what happened.",
);

/// The call that does what a route of the REST API does.
fn tool_for(route: &str, voice: Voice) -> Option<String> {
    let (method, path) = route.split_once(' ')?;
    let path = path.strip_prefix("/api/")?;
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<&str> = path.split('/').collect();
    let named = |tool: &Definition, name: &str, value: &str| {
        format!(r#"{} {{"{name}":"{value}"}}"#, voice.name(tool))
    };
    let call = match (method, parts.as_slice()) {
        ("GET", ["jobs", id]) => named(&jobs::SHOW, "job_id", id),
        ("GET", ["jobs"]) => match query.strip_prefix("server=") {
            Some(server) => named(&jobs::LIST, "server", server),
            None => voice.name(&jobs::LIST).to_owned(),
        },
        ("GET", ["servers", name]) => named(&servers::SHOW, "name", name),
        ("GET", ["servers"]) => voice.name(&servers::LIST).to_owned(),
        ("POST", ["servers", name, "setup"]) => named(&setup::SET_UP, "name", name),
        ("GET", ["servers", name, "apps"]) => named(&apps::INSTALLED, "name", name),
        ("POST", ["servers", name, "apps"]) => named(&apps::INSTALL, "name", name),
        ("DELETE", ["servers", name, "apps", app]) => {
            let remove = voice.name(&apps::REMOVE);
            format!(r#"{remove} {{"name":"{name}","app_name":"{app}"}}"#)
        }
        ("GET", ["apps"]) => voice.name(&apps::AVAILABLE).to_owned(),
        ("POST", ["config", "provider"]) => voice.name(&providers::CONFIGURE).to_owned(),
        _ => return None,
    };
    Some(voice.pick(format!("Chame {call}."), format!("Call {call}.")))
}
