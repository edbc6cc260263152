//! The names that apps take: every app with routes has a domain, and no two have the same name.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::app::App;
use crate::error::{Error, ErrorKind};
use crate::model::app::AppRecord;
use crate::model::dns::DnsName;
use crate::model::names::ServerName;
use crate::model::server::{self, Server};
use crate::plugins::descriptor::Kind;

impl App {
    /// Whether this app can have its names on this server, whose apps are under this domain.
    pub(super) async fn check_names(
        &self,
        app: &AppRecord,
        domain: Option<&str>,
    ) -> Result<(), Error> {
        if app.dns_prefixes.is_empty() {
            return Ok(());
        }
        check_domain(app, domain)?;
        let servers = self.store.servers().await?;
        let servers: BTreeMap<&ServerName, &Server> =
            servers.iter().map(|server| (&server.name, server)).collect();
        let wanted = app.names(domain);
        self.check_reserved(&servers, &wanted)?;
        for other in self.store.all_apps().await? {
            let is_self = other.server == app.server && other.app_name == app.app_name;
            let domain = servers.get(&other.server).and_then(|server| server.domain());
            let taken = other.names(domain.as_deref());
            if let Some(name) = wanted.iter().find(|name| taken.contains(name) && !is_self) {
                return Err(name_taken(name, &other));
            }
        }
        Ok(())
    }
}

impl App {
    /// Whether none of these names is one that an operation gives to a server itself.
    fn check_reserved(
        &self,
        servers: &BTreeMap<&ServerName, &Server>,
        wanted: &[String],
    ) -> Result<(), Error> {
        let operations = self.catalog.all().into_iter();
        let operations = operations.filter(|it| {
            let allowed = it.allowed().now();
            it.descriptor.kind == Kind::Operation && allowed.interfaces.iter().any(|it| it == "dns")
        });
        let prefixes: Vec<String> =
            operations.flat_map(|it| it.descriptor.dns_prefixes.clone()).collect();
        for (server, domain) in servers.values().filter_map(|it| Some((*it, it.domain()?))) {
            let mut own = prefixes.iter().map(|prefix| format!("{prefix}.{domain}"));
            if let Some(name) = own.find(|name| wanted.contains(name)) {
                let message = format!(
                    "The name {name} belongs to the server `{}` itself: give this app another \
                     `domain`.",
                    server.name
                );
                return Err(Error::new(ErrorKind::Conflict, "name_taken", message)
                    .with_detail("name", name)
                    .with_next(format!("GET /api/servers/{}", server.name)));
            }
        }
        Ok(())
    }
}

fn check_domain(app: &AppRecord, domain: Option<&str>) -> Result<(), Error> {
    let own = app.config.get("domain").and_then(Value::as_str);
    let Some(domain) = own.or(domain) else {
        let (name, server) = (&app.app_name, &app.server);
        let message = format!(
            "`{name}` is reached by names, and `{server}` has none: set the server up with a zone, \
             or give the app a `domain` of which you make the names yourself."
        );
        return Err(Error::invalid_field("/config/domain", message)
            .with_next(format!("POST /api/servers/{server}/setup"))
            .with_next(format!(
                "windlass server setup {server} --email you@example.com --zone example.com"
            )));
    };
    for name in app.names(Some(domain)) {
        let is_host = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
        if !is_host || name.parse::<DnsName>().is_err() {
            let shown: String = domain.chars().take(80).collect();
            let message =
                format!("`{}` is no domain: use one such as example.com.", shown.escape_debug());
            return Err(Error::invalid_field("/config/domain", message));
        }
    }
    Ok(())
}

/// Another server has the domain that these parameters ask for.
pub(in crate::app) fn domain_taken(params: &Value, other: &ServerName) -> Error {
    let domain = server::domain_asked(params).unwrap_or_default();
    let message = format!(
        "The names of {domain} belong to `{other}`: give this server a `subdomain` of its own, or \
         delete that one."
    );
    Error::new(ErrorKind::Conflict, "name_taken", message)
        .with_detail("server", other.as_str())
        .with_next(format!("GET /api/servers/{other}"))
}

fn name_taken(name: &str, other: &AppRecord) -> Error {
    let AppRecord { app_name, server, .. } = other;
    let message = format!(
        "The name {name} belongs to `{app_name}` on `{server}`: remove that, or give this app \
         another `domain`."
    );
    Error::new(ErrorKind::Conflict, "name_taken", message)
        .with_detail("name", name)
        .with_next(format!("GET /api/servers/{server}/apps"))
}
