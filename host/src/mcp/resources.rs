//! Resources: jobs, their logs, servers and the catalogue as things to read, and to be told of
//! when they change.

use std::collections::BTreeMap;
use std::time::Duration;

use rmcp::model::{
    CacheScope, ErrorData, ListResourceTemplatesResult, ListResourcesResult, ReadResourceResponse,
    ReadResourceResult, Resource, ResourceContents, ResourceTemplate, SubscriptionFilter,
};
use rmcp::service::SubscriptionContext;
use serde_json::json;
use tokio::time::Instant;

use crate::app::jobs::JobQuery;
use crate::error::{Error, ErrorKind};
use crate::mcp::answer::LONGEST;
use crate::mcp::jobs::JobView;
use crate::mcp::words::{Voice, words};
use crate::mcp::{Server, apps, logs, servers};
use crate::model::journal::LogLevel;
use crate::model::names::{JobId, ServerName};

/// How many jobs are listed.
const LISTED: usize = 20;
/// How many lines of a log are read.
const LINES: usize = 500;
/// The most resources that one client is told of.
const WATCHED: usize = 100;
/// The shortest time between two notices of one resource.
const PAUSE: Duration = Duration::from_secs(1);
/// The apps that can be installed.
const CATALOGUE: &str = "catalog://apps";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// What a URI names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    Catalogue,
    Job(JobId),
    Log(JobId),
    Server(ServerName),
}

/// The newest jobs, servers, and the catalogue.
pub(super) async fn list(server: &Server) -> Result<ListResourcesResult, ErrorData> {
    let problem = |error: Error| server.problem(&error);
    let query = JobQuery { limit: LISTED, ..JobQuery::default() };
    let jobs = server.reader.jobs(query).await.map_err(problem)?.jobs;
    let servers = server.reader.servers().await.map_err(problem)?;
    let title = server.voice().say(words("Apps disponíveis", "Available apps"));
    let apps = Resource::new(CATALOGUE, "apps").with_title(title).with_mime_type(JSON);
    let mut listed = Vec::new();
    for job in jobs {
        let title = format!("{} ({})", job.operation, job.status.as_str());
        let uri = format!("job://{}", job.id);
        listed.push(Resource::new(uri, job.id.as_str()).with_title(title).with_mime_type(JSON));
    }
    for it in servers.iter().take(LISTED) {
        let uri = format!("server://{}", it.name);
        listed.push(Resource::new(uri, it.name.as_str()).with_mime_type(JSON));
    }
    listed.push(apps);
    let mut result = ListResourcesResult::with_all_items(listed);
    (result.ttl_ms, result.cache_scope) = (Some(0), Some(CacheScope::Private));
    Ok(result)
}

/// What there is by name.
pub(super) fn templates(voice: Voice) -> ListResourceTemplatesResult {
    let template = |uri: &str, name: &str, kind: &str, about: &str| {
        ResourceTemplate::new(uri, name).with_mime_type(kind).with_description(about)
    };
    let job = voice.pick("Um job", "A job");
    let log = voice.pick("O log de um job", "A job's log");
    let server = voice.pick("Um servidor", "A server");
    let mut result = ListResourceTemplatesResult::with_all_items(vec![
        template("job://{job_id}", "job", JSON, job),
        template("job://{job_id}/log", "job-log", TEXT, log),
        template("server://{name}", "server", JSON, server),
    ]);
    (result.ttl_ms, result.cache_scope) = (Some(super::FRESH_MS), Some(CacheScope::Public));
    result
}

/// What a resource says now.
pub(super) async fn read(server: &Server, uri: &str) -> Result<ReadResourceResponse, ErrorData> {
    let named = Named::parse(uri).ok_or_else(|| unknown(server, uri))?;
    let (kind, text) = named.text(server).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => unknown(server, uri),
        _ => server.problem(&error),
    })?;
    let contents = ResourceContents::text(text, uri).with_mime_type(kind);
    let mut result = ReadResourceResult::new(vec![contents]);
    (result.ttl_ms, result.cache_scope) = (Some(0), Some(CacheScope::Private));
    Ok(result.into())
}

/// Of what a client wants to be told, what it can be.
pub(super) fn accepted(wanted: &SubscriptionFilter) -> SubscriptionFilter {
    let uris = wanted.resource_subscriptions.as_deref().unwrap_or_default();
    let known = uris.iter().filter(|uri| Named::parse(uri).is_some()).take(WATCHED);
    SubscriptionFilter::builder().resource_subscriptions(known.cloned()).build()
}

/// Tells a client of changes until it goes, or the host does.
pub(super) async fn listen(
    server: &Server,
    context: &SubscriptionContext,
) -> Result<(), ErrorData> {
    let uris = context.accepted().resource_subscriptions.clone().unwrap_or_default();
    let watched: Vec<(String, Named)> =
        uris.into_iter().filter_map(|uri| Some((uri.clone(), Named::parse(&uri)?))).collect();
    let mut news = server.reader.news();
    let mut told: BTreeMap<String, Instant> = BTreeMap::new();
    let mut due: BTreeMap<String, Instant> = BTreeMap::new();
    loop {
        let next = due.values().min().copied();
        let later = async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = context.cancelled() => return Ok(()),
            changed = news.next() => {
                let Some(changed) = changed else { return Ok(()) };
                for (uri, named) in &watched {
                    if named.is_touched_by(changed.as_ref()) {
                        let earliest = told.get(uri).map_or_else(Instant::now, |at| *at + PAUSE);
                        due.entry(uri.clone()).or_insert(earliest);
                    }
                }
            }
            () = later => {
                let now = Instant::now();
                let ready: Vec<String> =
                    due.iter().filter(|(_, at)| **at <= now).map(|(uri, _)| uri.clone()).collect();
                for uri in ready {
                    due.remove(&uri);
                    told.insert(uri.clone(), now);
                    if context.sink().notify_resource_updated(uri).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
}

impl Named {
    fn parse(uri: &str) -> Option<Self> {
        if uri == CATALOGUE {
            return Some(Self::Catalogue);
        }
        if let Some(name) = uri.strip_prefix("server://") {
            return name.parse().ok().map(Self::Server);
        }
        let job = uri.strip_prefix("job://")?;
        match job.strip_suffix("/log") {
            Some(id) => id.parse().ok().map(Self::Log),
            None => job.parse().ok().map(Self::Job),
        }
    }

    async fn text(&self, server: &Server) -> Result<(&'static str, String), Error> {
        match self {
            Self::Catalogue => Ok((JSON, apps::catalogue(server)?)),
            Self::Job(id) => {
                let detail = server.reader.job(id).await?;
                let view = JobView::of(detail, server.voice());
                Ok((JSON, serde_json::to_string(&view).map_err(Error::internal)?))
            }
            Self::Log(id) => {
                let (lines, _) = server.reader.logs(id, LINES, LogLevel::Info).await?;
                Ok((TEXT, last_lines(lines.iter().map(logs::text).collect())))
            }
            Self::Server(name) => {
                let view = servers::view(&server.reader.server(name).await?)?;
                Ok((JSON, serde_json::to_string(&view).map_err(Error::internal)?))
            }
        }
    }

    /// Whether what happened to this job, or to an unknown one, may have changed it.
    fn is_touched_by(&self, job: Option<&JobId>) -> bool {
        match self {
            Self::Catalogue => false,
            Self::Job(id) | Self::Log(id) => job.is_none_or(|job| job == id),
            Self::Server(_) => true,
        }
    }
}

/// As many of the last lines as an answer has room for.
fn last_lines(mut lines: Vec<String>) -> String {
    let mut bytes = 0;
    let fitting = lines.iter().rev().take_while(|line| {
        bytes += line.len() + 1;
        bytes <= LONGEST
    });
    let first = lines.len() - fitting.count();
    lines.split_off(first).join("\n")
}

fn unknown(server: &Server, uri: &str) -> ErrorData {
    let shown: String = uri.chars().take(200).collect();
    let message = server.voice().pick(
        format!("Não existe o recurso `{}`.", shown.escape_debug()),
        format!("There is no resource `{}`.", shown.escape_debug()),
    );
    ErrorData::resource_not_found(message, Some(json!({ "uri": shown })))
}
