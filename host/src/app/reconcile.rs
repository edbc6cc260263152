//! Whether the servers of the records are still there: each provider is asked now and then, and a
//! server that it does not have any more is `missing` until it has it again. What is not known for
//! sure changes nothing, and a server on which jobs work is theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::model::failure::Failure;
use crate::model::job::JobStatus;
use crate::model::names::ProviderKind;
use crate::model::server::{Server, ServerStatus};
use crate::providers::Provider;
use crate::providers::presence::{Presence, presence_by_list};
use crate::providers::registry::Registry;
use crate::storage::{JobFilter, StorageError, Store};

/// The first look comes so soon after the start, unless looks come more often than that.
const FIRST: Duration = Duration::from_secs(5);

/// The task that looks.
pub(super) struct Reconciler {
    pub(super) store: Arc<dyn Store>,
    pub(super) registry: Arc<Registry>,
    /// Between two looks.
    pub(super) interval: Duration,
    pub(super) stopping: CancellationToken,
}

impl Reconciler {
    /// Looks until the host ends.
    pub(super) async fn work(self) {
        let mut pause = self.interval.min(FIRST);
        loop {
            let round = async {
                tokio::time::sleep(jittered(pause, rand::random())).await;
                self.round().await;
            };
            tokio::select! {
                () = round => pause = self.interval,
                () = self.stopping.cancelled() => return,
            }
        }
    }

    async fn round(&self) {
        let servers = match self.store.servers().await {
            Ok(servers) => servers,
            Err(error) => return warn!(%error, "could not read which servers there are"),
        };
        let mut by_provider: BTreeMap<ProviderKind, Vec<Server>> = BTreeMap::new();
        for server in servers {
            by_provider.entry(server.provider).or_default().push(server);
        }
        // One that does not answer keeps nobody waiting but itself.
        join_all(by_provider.iter().map(|(kind, servers)| async move {
            if let Err(failure) = self.ask(*kind, servers).await {
                let reason = failure.message;
                warn!(provider = %kind, reason, "could not see which servers are still there");
            }
        }))
        .await;
    }

    async fn ask(&self, kind: ProviderKind, servers: &[Server]) -> Result<(), Failure> {
        if !servers.iter().any(is_looked_after) {
            return Ok(());
        }
        let provider = self.registry.get(kind).await?;
        let listed = provider.server_ids().await?;
        for server in servers.iter().filter(|server| is_looked_after(server)) {
            self.compare(&*provider, server, (&listed, servers)).await?;
        }
        Ok(())
    }

    async fn compare(
        &self,
        provider: &dyn Provider,
        server: &Server,
        known: (&BTreeSet<String>, &[Server]),
    ) -> Result<(), Failure> {
        let found = presence_by_list(provider, server, known).await?;
        let (name, kind) = (&server.name, server.provider);
        match (found, server.status == ServerStatus::Missing) {
            (Presence::There, true) => self.note(server, is_set_up(server)).await?,
            (Presence::Gone, false) => self.note(server, ServerStatus::Missing).await?,
            (Presence::Unknowable, false) => warn!(
                server = %name, provider = %kind,
                "the provider has neither this server nor anything else of this host: its token may \
                 be of another project, so the server is not taken for missing"
            ),
            (Presence::There, false) | (Presence::Gone | Presence::Unknowable, true) => {}
        }
        Ok(())
    }

    /// Writes the status, unless a job works on the server or it changed meanwhile.
    async fn note(&self, server: &Server, status: ServerStatus) -> Result<(), Failure> {
        let unreadable = |error: StorageError| Failure::safe("internal", error.to_string());
        let busy = JobFilter {
            status: vec![JobStatus::Queued, JobStatus::Running],
            server: Some(server.name.clone()),
            limit: 1,
            ..JobFilter::default()
        };
        if !self.store.jobs(&busy).await.map_err(unreadable)?.items.is_empty() {
            return Ok(());
        }
        let (seen, id) = (server.status, server.provider_id.clone());
        let change = move |record: &mut Server| {
            if record.status == seen && record.provider_id == id {
                record.status = status;
            }
        };
        self.store.update_server(&server.name, Box::new(change)).await.map_err(unreadable)?;
        if status == ServerStatus::Missing {
            warn!(server = %server.name, provider = %server.provider, "the server is missing");
        } else {
            info!(server = %server.name, provider = %server.provider, "the server is there again");
        }
        Ok(())
    }
}

/// Whether it should be there, or is missed.
fn is_looked_after(server: &Server) -> bool {
    let should_be = matches!(
        server.status,
        ServerStatus::Running | ServerStatus::Ready | ServerStatus::Missing
    );
    should_be && server.provider_id.is_some()
}

/// What it was before it was missed.
fn is_set_up(server: &Server) -> ServerStatus {
    if server.setup.contains_key("done_at") { ServerStatus::Ready } else { ServerStatus::Running }
}

/// A tenth more or less, so that many hosts do not ask at once; `random` is from 0 to 1.
fn jittered(pause: Duration, random: f64) -> Duration {
    pause.mul_f64(0.9 + 0.2 * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_differ_by_a_tenth_at_most() {
        let pause = Duration::from_secs(300);
        assert_eq!(jittered(pause, 0.0), Duration::from_secs(270));
        assert_eq!(jittered(pause, 1.0).as_secs_f64().round(), 330.0);
    }
}
