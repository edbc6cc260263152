//! Prompts, which clients show their users as commands.

use rmcp::model::{
    CacheScope, ErrorData, GetPromptRequestParams, GetPromptResponse, GetPromptResult,
    ListPromptsResult, Prompt, PromptArgument, PromptMessage, Role,
};

use crate::config::Language;
use crate::error::Error;
use crate::mcp::Server;
use crate::mcp::words::{Words, pick, words};
use crate::model::names::{InvalidName, JobId, ServerName};

/// Getting a server ready.
const PROVISION: &str = "provisionar-servidor";
/// Finding out why a job failed.
const DIAGNOSE: &str = "diagnosticar-job";

/// Which there are.
pub(super) fn list(language: Language) -> ListPromptsResult {
    let argument = |name: &str, required: bool, about: Words| {
        PromptArgument::new(name).with_description(about.within(language)).with_required(required)
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
        Prompt::new(PROVISION, Some(provision.within(language)), Some(vec![name, app])),
        Prompt::new(DIAGNOSE, Some(diagnose.within(language)), Some(vec![job])),
    ]);
    (result.ttl_ms, result.cache_scope) = (Some(super::FRESH_MS), Some(CacheScope::Public));
    result
}

/// One of them, with what the user filled in.
pub(super) async fn write(
    server: &Server,
    request: &GetPromptRequestParams,
) -> Result<GetPromptResponse, ErrorData> {
    let language = server.gateway.settings.language;
    let argument = |name: &str| {
        let arguments = request.arguments.as_ref();
        arguments.and_then(|it| it.get(name)?.as_str()).filter(|text| !text.is_empty())
    };
    let needed = |name: &str| {
        let missing = pick(
            language,
            format!("Falta o argumento `{name}`."),
            format!("The argument `{name}` is missing."),
        );
        argument(name).ok_or_else(|| ErrorData::invalid_params(missing, None))
    };
    let wrong = |why: InvalidName| ErrorData::invalid_params(why.to_string(), None);
    let text = match request.name.as_str() {
        PROVISION => {
            let name: ServerName = needed("name")?.parse().map_err(wrong)?;
            provision(&name, argument("app_name"), language)
        }
        DIAGNOSE => {
            let job: JobId = needed("job_id")?.parse().map_err(wrong)?;
            let found = server.reader.job(&job).await;
            found.map_err(|error: Error| server.problem(&error))?;
            diagnose(&job, language)
        }
        _ => {
            let message = pick(language, "Não existe esse prompt.", "There is no such prompt.");
            return Err(ErrorData::invalid_params(message, None));
        }
    };
    let message = PromptMessage::new_text(Role::User, text);
    Ok(GetPromptResult::new(vec![message]).into())
}

fn provision(name: &ServerName, app: Option<&str>, language: Language) -> String {
    let app: Option<String> = app.map(|app| app.chars().take(64).collect());
    let then = app.map_or_else(String::new, |app| {
        pick(
            language,
            format!(" Depois instale `{app}` com instalar-app."),
            format!(" Then install `{app}` with instalar-app."),
        )
    });
    pick(
        language,
        format!(
            "Provisione o servidor `{name}`: pergunte tamanho, região, e-mail dos certificados e \
             zona DNS se eu não disse; chame criar-servidor, espere com aguardar-job-completo até \
             done=true, depois configurar-servidor-completo e espere de novo.{then} No fim, \
             resuma endereço, nomes e o que ficou pendente."
        ),
        format!(
            "Provision the server `{name}`: ask for size, region, the certificates' e-mail and \
             the DNS zone if I did not say; call criar-servidor, wait with aguardar-job-completo \
             until done=true, then configurar-servidor-completo, and wait again.{then} In the \
             end, sum up the address, the names and what is left to do."
        ),
    )
}

fn diagnose(job: &JobId, language: Language) -> String {
    pick(
        language,
        format!(
            "Descubra por que o job `{job}` não completou: chame verificar-job com tail 50, leia \
             job://{job}/log e, se houver servidor, detalhes-servidor. Diga a causa, o que já foi \
             feito fora e um único próximo passo seguro. Não altere nada."
        ),
        format!(
            "Find out why the job `{job}` did not complete: call verificar-job with tail 50, read \
             job://{job}/log and, if there is a server, detalhes-servidor. Tell the cause, what \
             was done outside already, and one safe next step. Change nothing."
        ),
    )
}
