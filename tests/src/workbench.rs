//! Work for whoever counts what it costs: `workbench jobs|submissions COUNT CLIENTS`. It runs in a
//! process of its own, so that nothing else is counted.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde_json::json;
use tests::workshop::{Workshop, result};
use tokio::task::JoinSet;
use windlass::model::names::JobId;
use windlass::storage::{NewJob, ServerChange};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, count, clients] = arguments.as_slice() else {
        bail!("workbench jobs|submissions COUNT CLIENTS");
    };
    let (count, clients): (u32, u32) = (count.parse()?, clients.parse()?);
    let workshop = Workshop::open().await;
    match what.as_str() {
        "jobs" => jobs(workshop, count, clients).await,
        "submissions" => submissions(workshop, count, clients).await,
        other => bail!("there is no work `{other}`"),
    }
}

/// Jobs of five effects, each client one after another on a server of its own.
async fn jobs(workshop: Workshop, count: u32, clients: u32) -> Result<()> {
    let workshop = Arc::new(workshop);
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let workshop = Arc::clone(&workshop);
        tasks.spawn(async move {
            let server = format!("bench-{client}");
            let made = workshop.submit_on_sandbox("returns", &server).await;
            result(&workshop.finished(&made).await);
            for _ in 0..count / clients {
                result(&workshop.run_on(&server, "does-five-things").await);
            }
        });
    }
    join(tasks).await?;
    let mut workshop = Arc::into_inner(workshop).context("somebody still works")?;
    workshop.stop().await;
    Ok(())
}

/// Submissions that nobody runs.
async fn submissions(mut workshop: Workshop, count: u32, clients: u32) -> Result<()> {
    workshop.stop_workers().await;
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let store = Arc::clone(&workshop.store);
        tasks.spawn(async move {
            for turn in 0..count / clients {
                let job = new_job(client * (count / clients) + turn);
                store.submit(job).await.expect("a job can be submitted");
            }
        });
    }
    join(tasks).await?;
    workshop.stop().await;
    Ok(())
}

/// The job of this number. The store refuses an id that is taken and the app then draws another;
/// here each is the only one of its kind.
fn new_job(number: u32) -> NewJob {
    let now = Timestamp::now();
    NewJob {
        id: JobId::new(now, number),
        operation: "misbehaves".parse().expect("a name"),
        params: json!({ "how": "returns" }),
        server: None,
        retry_of: None,
        depends_on: Vec::new(),
        by: "bench".to_owned(),
        now,
        server_change: ServerChange::None,
        idempotency: None,
    }
}

async fn join(mut tasks: JoinSet<()>) -> Result<()> {
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    Ok(())
}
