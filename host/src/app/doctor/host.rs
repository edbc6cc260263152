//! Whether a host runs on the home, answers, and has the place where it is to listen.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::app::doctor::Check;
use crate::app::home::Occupant;
use crate::config::Config;

/// How long a host may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// The host of the home, and where one would listen.
pub(super) async fn checks(config: &Config, occupant: Option<Occupant>) -> Vec<Check> {
    let Some(occupant) = occupant else { return vec![free(&config.listen).await] };
    let pid = occupant.pid;
    vec![match occupant.address {
        Some(address) => health(pid, address).await,
        None => Check::warn(
            "host",
            format!("process {pid} has the home and does not listen yet"),
            "wait a moment; when it stays so, end that process and start windlass again",
        ),
    }]
}

async fn health(pid: u32, address: SocketAddr) -> Check {
    let url = format!("http://{address}/health");
    let asked = async {
        let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build()?;
        let answer = client.get(&url).send().await?;
        let is_well = answer.status().is_success();
        answer.json::<serde_json::Value>().await.map(|body| (is_well, body))
    };
    match asked.await {
        Ok((true, _)) => Check::ok("host", format!("process {pid} answers at {address}")),
        Ok((false, body)) => {
            let why = body.get("storage").and_then(|it| it.as_str()).unwrap_or("it fails");
            let found = format!("process {pid} at {address} says: {why}");
            Check::problem("host", found, "see its log, and what else this says")
        }
        Err(error) => Check::problem(
            "host",
            format!("process {pid} has the home and does not answer at {address}: {error}"),
            "see its log; end that process (its jobs go on with the next one) and start windlass",
        ),
    }
}

async fn free(listen: &str) -> Check {
    match TcpListener::bind(listen).await {
        Ok(_) => Check::ok("host", format!("none runs on this home; {listen} is free for one")),
        Err(error) => Check::warn(
            "host",
            format!("none runs on this home, and none can listen on {listen}: {error}"),
            "end who listens there, or choose another address: windlass serve --listen ADDRESS",
        ),
    }
}
