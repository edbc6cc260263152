//! Apps: what can be installed, what is, installing and removing.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::app::access::Scope;
use crate::app::apps::live::{InstalledApp, LiveStatus};
use crate::app::apps::{CatalogueApp, CatalogueQuery, WantedApp};
use crate::app::plan::intended::Intended;
use crate::app::repeats::Asked;
use crate::error::{Error, ErrorKind};
use crate::mcp::Server;
use crate::mcp::answer::{Answer, Begun, STARTED};
use crate::mcp::call::Call;
use crate::mcp::confirmation::{Question, Verdict};
use crate::mcp::page::{self, CURSOR, LIMIT};
use crate::mcp::planning::{self, IF_PLAN, PLAN, Wish};
use crate::mcp::schema::{Field, Kind, gives, may_give, needs, takes};
use crate::mcp::servers::named;
use crate::mcp::tools::{Definition, Nature};
use crate::mcp::words::words;
use crate::model::app::AppRecord;
use crate::model::names::{AppName, JobId, ProviderKind, ServerName};

/// The most of a description in a list, in characters.
const DESCRIBED: usize = 160;

const SERVER: Field = needs("name", Kind::Text, words("O servidor", "The server"));
const APP: Field = needs("app_name", Kind::Text, words("A aplicação", "The app"));

/// Looking at what can be installed.
pub(super) const AVAILABLE: Definition = Definition {
    name: words("listar-apps-disponiveis", "list-available-apps"),
    title: words("Listar apps disponíveis", "List available apps"),
    about: words(
        "Lista o catálogo em resumo; com app_name mostra uma só, com o JSON Schema do seu config.",
        "Lists the catalogue in short; with app_name shows one, with the JSON Schema of its config.",
    ),
    nature: Nature::LOOKS,
    scope: Scope::Read,
    takes: &[
        takes("app_name", Kind::Text, words("Só esta", "Only this one")),
        takes("category", Kind::Text, words("Como database", "Such as database")),
        takes("search", Kind::Text, words("Palavras", "Words")),
        LIMIT,
        CURSOR,
    ],
    gives: &[
        gives("apps", Kind::Objects),
        may_give("next_cursor", Kind::Text),
        may_give("truncated", Kind::Boolean),
    ],
};

/// Looking at what is installed.
pub(super) const INSTALLED: Definition = Definition {
    name: words("listar-apps-instaladas", "list-installed-apps"),
    title: words("Listar apps instaladas", "List installed apps"),
    about: words(
        "Lista as aplicações de um servidor e o que ele realmente roda delas.",
        "Lists the apps of a server and what it really runs of them.",
    ),
    nature: Nature::LOOKS,
    scope: Scope::Read,
    takes: &[SERVER, LIMIT, CURSOR],
    gives: &[
        gives("server", Kind::Text),
        gives("provider", Kind::Text),
        gives("apps", Kind::Objects),
        may_give("next_cursor", Kind::Text),
        may_give("truncated", Kind::Boolean),
    ],
};

/// Installing one.
pub(super) const INSTALL: Definition = Definition {
    name: words("instalar-app", "install-app"),
    title: words("Instalar app", "Install an app"),
    about: words(
        "Inicia o job que instala uma aplicação (2 a 5 min) e, antes, as de que ela precisa: os \
         jobs em depends_on. Repetir com o mesmo config dá o mesmo job.",
        "Starts the job that installs an app (2 to 5 min) and, before it, those that it needs: the \
         jobs in depends_on. The same config again is the same job.",
    ),
    nature: Nature::MAKES,
    scope: Scope::Operate,
    takes: &[
        SERVER,
        APP,
        takes(
            "config",
            Kind::Object,
            words("Ver listar-apps-disponiveis", "See listar-apps-disponiveis"),
        ),
        PLAN,
        IF_PLAN,
    ],
    gives: &INSTALLING,
};

/// Removing one.
pub(super) const REMOVE: Definition = Definition {
    name: words("desinstalar-app", "remove-app"),
    title: words("Desinstalar app", "Remove an app"),
    about: words(
        "Inicia o job que remove uma aplicação; com delete_data também volumes, bancos e segredos, \
         sem volta. A pessoa digita o nome num formulário ou, sem formulário, em confirm.",
        "Starts the job that removes an app; with delete_data its volumes, databases and secrets \
         too, for good. The person types the name into a form or, without forms, into confirm.",
    ),
    nature: Nature::DESTROYS,
    scope: Scope::Operate,
    takes: &[
        SERVER,
        APP,
        takes(
            "confirm",
            Kind::Text,
            words("app_name, dito pela pessoa", "app_name, by the person"),
        ),
        takes("delete_data", Kind::Boolean, words("Apagar os dados", "Delete its data")),
        PLAN,
        IF_PLAN,
    ],
    gives: &STARTED,
};

/// What is said of a job that installs an app.
const INSTALLING: [Field; 10] = {
    let [id, kind, status, target, again, log, next, plan] = STARTED;
    let (before, warnings) = (gives("depends_on", Kind::Texts), gives("warnings", Kind::Texts));
    [id, kind, status, target, again, log, next, plan, before, warnings]
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Available {
    app_name: Option<String>,
    category: Option<String>,
    search: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Installed {
    name: String,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Install {
    name: String,
    app_name: String,
    config: Option<Map<String, Value>>,
    plan: Option<bool>,
    if_plan: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Remove {
    name: String,
    app_name: String,
    confirm: Option<String>,
    delete_data: Option<bool>,
    plan: Option<bool>,
    if_plan: Option<String>,
}

/// An app of the catalogue in short.
#[derive(Serialize)]
struct Summary {
    app_name: String,
    title: String,
    category: String,
    description: String,
    dependencies: Vec<String>,
    min_memory_mb: u64,
}

/// All that agents are told of an app of the catalogue.
#[derive(Serialize)]
struct Detail {
    #[serde(flatten)]
    summary: Summary,
    version: String,
    dns_prefixes: Vec<String>,
    /// JSON Schema of its configuration.
    config: Value,
}

#[derive(Serialize)]
struct Catalogue<T> {
    apps: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// An app on a server, without its configuration: that may say more than everybody should read.
#[derive(Serialize)]
struct OnServer {
    app_name: AppName,
    title: String,
    version: String,
    status: LiveStatus,
    recorded_status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    urls: Vec<String>,
    dependencies: Vec<AppName>,
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployed_at: Option<jiff::Timestamp>,
    job_id: JobId,
}

#[derive(Serialize)]
struct AppsOfServer {
    server: ServerName,
    provider: ProviderKind,
    #[serde(flatten)]
    list: Catalogue<OnServer>,
}

#[derive(Serialize)]
struct Installing {
    #[serde(flatten)]
    begun: Begun,
    /// The jobs that it waits for.
    depends_on: Vec<JobId>,
    warnings: Vec<String>,
}

/// Lists what can be installed, or shows one.
pub(super) fn available(call: &Call<'_>) -> Result<Answer, Error> {
    let Available { app_name, category, search, limit, cursor } = call.arguments()?;
    let limit = page::limit(limit)?;
    let apps = call.server.reader.app_catalogue(&CatalogueQuery { category, text: search });
    let Some(wanted) = app_name else {
        let page = page::after(cursor.as_deref(), limit, &apps, |it| it.name.as_str(), Summary::of);
        return Answer::of(&Catalogue { apps: page.shown, next_cursor: page.next });
    };
    let found = apps.iter().find(|app| app.name == wanted).ok_or_else(|| unknown(call))?;
    let detail = Detail {
        summary: Summary::of(found),
        version: found.version.clone(),
        dns_prefixes: found.dns_prefixes.clone(),
        config: found.params.clone(),
    };
    Answer::of(&Catalogue { apps: vec![detail], next_cursor: None })
}

fn unknown(call: &Call<'_>) -> Error {
    let message = call.pick(
        "O catálogo não tem essa aplicação.",
        "The catalogue has no such app, or not with these words.",
    );
    Error::new(ErrorKind::NotFound, "no_such_app", message).with_next("GET /api/apps")
}

/// The whole catalogue in short, as far as an answer has room for it.
pub(super) fn catalogue(server: &Server) -> Result<String, Error> {
    let apps = server.reader.app_catalogue(&CatalogueQuery::default());
    let page = page::after(None, apps.len(), &apps, |it| it.name.as_str(), Summary::of);
    let catalogue = Catalogue { apps: page.shown, next_cursor: page.next };
    serde_json::to_string(&catalogue).map_err(Error::internal)
}

/// Lists what is installed.
pub(super) async fn installed(call: &Call<'_>) -> Result<Answer, Error> {
    let Installed { name, limit, cursor } = call.arguments()?;
    let (server, limit) = (named(&name)?, page::limit(limit)?);
    let provider = call.server.reader.server(&server).await?.provider;
    let apps = call.server.reader.installed_apps(&server).await?;
    let page = page::after(cursor.as_deref(), limit, &apps, InstalledApp::name, OnServer::of);
    let list = Catalogue { apps: page.shown, next_cursor: page.next };
    Answer::of(&AppsOfServer { server, provider, list })
}

/// Starts the job that installs an app.
pub(super) async fn install(call: &Call<'_>) -> Result<Answer, Error> {
    let Install { name, app_name, config, plan, if_plan } = call.arguments()?;
    let server = named(&name)?;
    let told = (format!("deploy_app:{app_name}"), format!("{server}/{app_name}"));
    let wanted = WantedApp { name: app_name, config: config.map(Value::Object) };
    let (intended, wish) = (Intended::InstallApp(server, wanted), Wish { plan, if_plan });
    if wish.tells() {
        return planning::tell(call, &intended, told).await;
    }
    let done = wish.begin(&call.operator()?, &intended).await?;
    let asked = Asked { job: done.job, before: done.deduplicated };
    let begun = Begun::new(call, told.0, told.1, asked);
    let (depends_on, warnings) = (done.depends_on, done.warnings);
    let installing = Installing { begun, depends_on, warnings };
    Answer::started(call, &installing.begun, &installing).await
}

/// Starts the job that removes an app, once it is known that somebody wants that.
pub(super) async fn remove(call: &Call<'_>) -> Result<Answer, Error> {
    let Remove { name, app_name, confirm, delete_data, plan, if_plan } = call.arguments()?;
    let (server, app) = (named(&name)?, app_named(&app_name)?);
    let delete_data = delete_data.unwrap_or(false);
    let operator = call.operator()?;
    let record = operator.removable_app(&server, &app).await?;
    let told = (format!("delete_app:{app}"), format!("{server}/{app}"));
    let intended = Intended::RemoveApp { server: server.clone(), app: app.clone(), delete_data };
    let wish = Wish { plan, if_plan };
    if wish.tells() {
        return planning::tell(call, &intended, told).await;
    }
    let flag = if delete_data { " --delete-data" } else { "" };
    let question = Question {
        name: app.as_str(),
        lost: lost(call, &record, delete_data),
        command: format!("windlass app remove {server} {app}{flag}"),
    };
    match question.put(call, confirm.as_deref()).await? {
        Verdict::Asks(asking) => return Ok(Answer::Asks(asking)),
        Verdict::Confirmed => {}
    }
    let begun = wish.begin(&operator, &intended).await?;
    let asked = Asked { job: begun.job, before: begun.deduplicated };
    let begun = Begun::new(call, told.0, told.1, asked);
    Answer::started(call, &begun, &begun).await
}

/// What would be lost.
fn lost(call: &Call<'_>, record: &AppRecord, delete_data: bool) -> String {
    let AppRecord { app_name, server, urls, .. } = record;
    let places = if urls.is_empty() { "-".to_owned() } else { urls.join(", ") };
    let fate = if delete_data {
        call.pick(
            "com seus volumes, bancos e segredos, sem volta",
            "with its volumes, databases and secrets, for good",
        )
    } else {
        call.pick("seus dados ficam no servidor", "its data stays on the server")
    };
    call.pick(
        format!("a aplicação `{app_name}` de `{server}` ({places}), {fate}"),
        format!("the app `{app_name}` of `{server}` ({places}), {fate}"),
    )
}

fn app_named(name: &str) -> Result<AppName, Error> {
    name.parse().map_err(|why| Error::invalid_name("/app_name", &why))
}

impl Summary {
    fn of(app: &CatalogueApp) -> Self {
        Self {
            app_name: app.name.clone(),
            title: app.title.clone(),
            category: app.category.clone(),
            description: app.description.chars().take(DESCRIBED).collect(),
            dependencies: app.dependencies.clone(),
            min_memory_mb: app.min_memory_mb,
        }
    }
}

impl OnServer {
    fn of(app: &InstalledApp) -> Self {
        let InstalledApp { record, status, problem, .. } = app;
        Self {
            app_name: record.app_name.clone(),
            title: record.title.clone(),
            version: record.version.clone(),
            status: *status,
            recorded_status: record.status.as_str(),
            problem: problem.clone(),
            urls: record.urls.clone(),
            dependencies: record.dependencies.clone(),
            notes: record.notes.clone(),
            deployed_at: record.deployed_at,
            job_id: record.job_id.clone(),
        }
    }
}
