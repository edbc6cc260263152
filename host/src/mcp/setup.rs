//! `configurar-servidor-completo`: making a server ready for apps.

use serde::Deserialize;

use crate::app::access::Scope;
use crate::app::plan::intended::Intended;
use crate::app::setup::WantedSetup;
use crate::error::Error;
use crate::mcp::answer::{Answer, STARTED};
use crate::mcp::call::Call;
use crate::mcp::planning::{IF_PLAN, PLAN, Wish};
use crate::mcp::schema::{Kind, needs, takes};
use crate::mcp::servers::{self, named};
use crate::mcp::tools::{Definition, Nature};
use crate::mcp::words::words;

/// The tool.
pub(super) const SET_UP: Definition = Definition {
    name: words("configurar-servidor-completo", "set-up-server"),
    title: words("Configurar servidor", "Set a server up"),
    about: words(
        "Inicia o job que prepara um servidor: Docker, Swarm, Traefik, Portainer, DNS (5 a 10 \
         min). Responde já com job_id.",
        "Starts the job that makes a server ready: Docker, Swarm, Traefik, Portainer, DNS (5 to \
         10 min). Answers at once with job_id.",
    ),
    nature: Nature::MAKES,
    scope: Scope::Operate,
    takes: &[
        needs("name", Kind::Text, words("O servidor", "The server")),
        needs("ssl_email", Kind::Text, words("E-mail dos certificados", "E-mail for certificates")),
        takes(
            "zone_name",
            Kind::Text,
            words("Zona DNS, como example.com", "DNS zone, such as example.com"),
        ),
        takes(
            "subdomain",
            Kind::Text,
            words("Dentro da zona, como lab", "Within the zone, such as lab"),
        ),
        takes("timezone", Kind::Text, words("Padrão Etc/UTC", "Default Etc/UTC")),
        takes(
            "network_name",
            Kind::Text,
            words("Padrão livchat_network", "Default livchat_network"),
        ),
        PLAN,
        IF_PLAN,
    ],
    gives: &STARTED,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetUp {
    name: String,
    ssl_email: String,
    zone_name: Option<String>,
    subdomain: Option<String>,
    timezone: Option<String>,
    network_name: Option<String>,
    plan: Option<bool>,
    if_plan: Option<String>,
}

/// Starts the job.
pub(super) async fn set_up(call: &Call<'_>) -> Result<Answer, Error> {
    let asked: SetUp = call.arguments()?;
    let name = named(&asked.name)?;
    let wanted = WantedSetup {
        ssl_email: asked.ssl_email,
        zone_name: asked.zone_name,
        subdomain: asked.subdomain,
        timezone: asked.timezone.unwrap_or_else(|| "Etc/UTC".to_owned()),
        network_name: asked.network_name.unwrap_or_else(|| "livchat_network".to_owned()),
    };
    let intended = Intended::SetUpServer(name.clone(), wanted);
    let wish = Wish { plan: asked.plan, if_plan: asked.if_plan };
    servers::start(call, &wish, &intended, "setup_server", &name).await
}
