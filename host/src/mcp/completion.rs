//! Completion of what users type into prompts and resource templates.

use rmcp::model::{CompleteRequestParams, CompleteResult, CompletionInfo, ErrorData};

use crate::app::apps::CatalogueQuery;
use crate::app::jobs::JobQuery;
use crate::error::Error;
use crate::mcp::Server;

/// What can follow.
pub(super) async fn complete(
    server: &Server,
    request: &CompleteRequestParams,
) -> Result<CompleteResult, ErrorData> {
    let candidates = match request.argument.name.as_str() {
        "name" => servers(server).await,
        "job_id" => jobs(server).await,
        "app_name" => Ok(apps(server)),
        _ => Ok(Vec::new()),
    };
    let candidates = candidates.map_err(|error| server.problem(&error))?;
    let typed = request.argument.value.as_str();
    let mut values: Vec<String> =
        candidates.into_iter().filter(|candidate| candidate.starts_with(typed)).collect();
    let has_more = values.len() > CompletionInfo::MAX_VALUES;
    values.truncate(CompletionInfo::MAX_VALUES);
    let mut completion =
        CompletionInfo::new(values).map_err(|why| ErrorData::internal_error(why, None))?;
    completion.has_more = Some(has_more);
    Ok(CompleteResult::new(completion))
}

async fn servers(server: &Server) -> Result<Vec<String>, Error> {
    let servers = server.reader.servers().await?;
    Ok(servers.iter().map(|server| server.name.to_string()).collect())
}

fn apps(server: &Server) -> Vec<String> {
    let apps = server.reader.app_catalogue(&CatalogueQuery::default());
    apps.into_iter().map(|app| app.name).collect()
}

async fn jobs(server: &Server) -> Result<Vec<String>, Error> {
    let query = JobQuery { limit: CompletionInfo::MAX_VALUES + 1, ..JobQuery::default() };
    let jobs = server.reader.jobs(query).await?.jobs;
    Ok(jobs.iter().map(|job| job.id.to_string()).collect())
}
