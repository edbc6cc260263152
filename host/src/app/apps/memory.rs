//! Whether a server has the memory that its apps need. What could never fit is refused; what may be
//! too much together is said, because apps seldom need their most at the same time.

use std::time::Duration;

use crate::app::App;
use crate::error::{Error, ErrorKind};
use crate::model::app::AppRecord;
use crate::model::server::Server;

/// How long a provider may take to say how large its servers are.
const PATIENCE: Duration = Duration::from_secs(2);
/// What the system, Traefik and Portainer need for themselves, in MB.
const SYSTEM_MB: u64 = 512;

impl App {
    /// A warning where the new apps and those that are there want more than the server has. An
    /// unknown size is no reason for anything.
    pub(super) async fn check_memory(
        &self,
        server: &Server,
        there: &[&AppRecord],
        new: &[AppRecord],
    ) -> Result<Option<String>, Error> {
        let sum = |apps: &mut dyn Iterator<Item = &AppRecord>| {
            apps.fold(0_u64, |sum, app| sum.saturating_add(app.min_memory_mb))
        };
        let wanted = sum(&mut new.iter());
        if wanted == 0 {
            return Ok(None);
        }
        let Some(has) = self.memory_of(server).await else { return Ok(None) };
        let is_new = |app: &&&AppRecord| new.iter().any(|it| it.app_name == app.app_name);
        let used = sum(&mut there.iter().filter(|app| !is_new(app)).copied());
        let Server { name, server_type, .. } = server;
        if wanted > has {
            let message = format!(
                "{} would need {wanted} MB of memory, and `{name}` ({server_type}) has {has} MB: \
                 use a larger server.",
                listed(new)
            );
            let error = Error::new(ErrorKind::Invalid, "not_enough_memory", message);
            return Err(error
                .with_detail("wanted_mb", wanted)
                .with_detail("server_mb", has)
                .with_next("GET /api/providers/server-types"));
        }
        let together = wanted.saturating_add(used).saturating_add(SYSTEM_MB);
        Ok((together > has).then(|| {
            format!(
                "The apps of `{name}` together may need {together} MB of memory with the system, \
                 and it has {has} MB: they may become slow, or be ended by the system."
            )
        }))
    }

    /// In MB; none when nobody knows.
    async fn memory_of(&self, server: &Server) -> Option<u64> {
        let offer = tokio::time::timeout(PATIENCE, self.offer(Some(server.provider))).await;
        let catalogue = offer.ok()?.ok()?.catalogue;
        let found = catalogue.server_types.iter().find(|it| it.name == server.server_type)?;
        let megabytes = std::time::Duration::try_from_secs_f64(found.memory_gb * 1024.0).ok()?;
        Some(megabytes.as_secs())
    }
}

fn listed(apps: &[AppRecord]) -> String {
    let names: Vec<String> = apps.iter().map(|app| format!("`{}`", app.app_name)).collect();
    names.join(" and ")
}
