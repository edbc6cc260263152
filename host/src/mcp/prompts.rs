//! Prompts, which clients show their users as commands.

use rmcp::model::{
    CacheScope, ErrorData, GetPromptRequestParams, GetPromptResponse, GetPromptResult,
    ListPromptsResult, Prompt, PromptArgument, PromptMessage, Role,
};

use crate::error::Error;
use crate::mcp::words::{Voice, Words, words};
use crate::mcp::{Server, apps, jobs, servers, setup, wait};
use crate::model::names::{InvalidName, JobId, ServerName};

/// Getting a server ready.
const PROVISION: &str = "provisionar-servidor";
/// Finding out why a job failed.
const DIAGNOSE: &str = "diagnosticar-job";

/// Which there are.
pub(super) fn list(voice: Voice) -> ListPromptsResult {
    let argument = |name: &str, required: bool, about: Words| {
        PromptArgument::new(name).with_description(voice.say(about)).with_required(required)
    };
    let name = argument("name", true, words("Nome do servidor", "The server's name"));
    let app = argument("app_name", false, words("Aplicação", "App"));
    let job = argument("job_id", true, words("O job", "The job"));
    let provision = words(
        "Cria um servidor, o configura e instala uma aplicação",
        "Creates a server, sets it up and installs an app",
    );
    let diagnose = words("Explica por que um job falhou", "Explains why a job failed");
    let mut result = ListPromptsResult::with_all_items(vec![
        Prompt::new(PROVISION, Some(voice.say(provision)), Some(vec![name, app])),
        Prompt::new(DIAGNOSE, Some(voice.say(diagnose)), Some(vec![job])),
    ]);
    (result.ttl_ms, result.cache_scope) = (Some(super::FRESH_MS), Some(CacheScope::Public));
    result
}

/// One of them, with what the user filled in.
pub(super) async fn write(
    server: &Server,
    request: &GetPromptRequestParams,
) -> Result<GetPromptResponse, ErrorData> {
    let voice = server.voice();
    let argument = |name: &str| {
        let arguments = request.arguments.as_ref();
        arguments.and_then(|it| it.get(name)?.as_str()).filter(|text| !text.is_empty())
    };
    let needed = |name: &str| {
        let missing = voice.pick(
            format!("Falta o argumento `{name}`."),
            format!("The argument `{name}` is missing."),
        );
        argument(name).ok_or_else(|| ErrorData::invalid_params(missing, None))
    };
    let wrong = |why: InvalidName| ErrorData::invalid_params(why.to_string(), None);
    let text = match request.name.as_str() {
        PROVISION => {
            let name: ServerName = needed("name")?.parse().map_err(wrong)?;
            provision(&name, argument("app_name"), voice)
        }
        DIAGNOSE => {
            let job: JobId = needed("job_id")?.parse().map_err(wrong)?;
            let found = server.reader.job(&job).await;
            found.map_err(|error: Error| server.problem(&error))?;
            diagnose(&job, voice)
        }
        _ => {
            let message = voice.pick("Não existe esse prompt.", "There is no such prompt.");
            return Err(ErrorData::invalid_params(message, None));
        }
    };
    let message = PromptMessage::new_text(Role::User, text);
    Ok(GetPromptResult::new(vec![message]).into())
}

fn provision(name: &ServerName, app: Option<&str>, voice: Voice) -> String {
    let (create, wait) = (voice.name(&servers::CREATE), voice.name(&wait::WAIT));
    let (set_up, install) = (voice.name(&setup::SET_UP), voice.name(&apps::INSTALL));
    let app: Option<String> = app.map(|app| app.chars().take(64).collect());
    let then = app.map_or_else(String::new, |app| {
        voice.pick(
            format!(" Depois instale `{app}` com {install}."),
            format!(" Then install `{app}` with {install}."),
        )
    });
    voice.pick(
        format!(
            "Provisione o servidor `{name}`: pergunte tamanho, região, e-mail dos certificados e \
             zona DNS se eu não disse; chame {create}, espere com {wait} até \
             done=true, depois {set_up} e espere de novo.{then} No fim, \
             resuma endereço, nomes e o que ficou pendente."
        ),
        format!(
            "Provision the server `{name}`: ask for size, region, the certificates' e-mail and \
             the DNS zone if I did not say; call {create}, wait with {wait} \
             until done=true, then {set_up}, and wait again.{then} In the \
             end, sum up the address, the names and what is left to do."
        ),
    )
}

fn diagnose(job: &JobId, voice: Voice) -> String {
    let (check, server) = (voice.name(&jobs::SHOW), voice.name(&servers::SHOW));
    voice.pick(
        format!(
            "Descubra por que o job `{job}` não completou: chame {check} com tail 50, leia \
             job://{job}/log e, se houver servidor, {server}. Diga a causa, o que já foi \
             feito fora e um único próximo passo seguro. Não altere nada."
        ),
        format!(
            "Find out why the job `{job}` did not complete: call {check} with tail 50, read \
             job://{job}/log and, if there is a server, {server}. Tell the cause, what \
             was done outside already, and one safe next step. Change nothing."
        ),
    )
}
