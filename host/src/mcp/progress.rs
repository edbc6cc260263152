//! Progress of a wait, told to clients that want it: it grows with every message, and it is told at
//! once, so that whoever stands between does not take the silence for an end.

use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RoleServer};
use tracing::debug;

use crate::mcp::answer::plain;
use crate::mcp::call::Call;
use crate::model::job::JobRecord;

/// What progress grows by when the job's does not.
const BIT: f64 = 0.001;

/// Whom progress is told to.
pub(super) struct Progress {
    to: Option<(Peer<RoleServer>, ProgressToken)>,
    last: f64,
    told: Option<(Option<String>, u8)>,
}

impl Progress {
    /// Nobody, when the client gave no token.
    pub(super) fn of(call: &Call<'_>) -> Self {
        let token = call.context.meta.get_progress_token();
        let to = token.map(|token| (call.context.peer.clone(), token));
        Self { to, last: -BIT, told: None }
    }

    /// Tells how the job stands, if that is news.
    pub(super) async fn tell(&mut self, job: &JobRecord) {
        let news = (job.view.current_step.clone(), job.view.progress);
        if self.told.as_ref() != Some(&news) {
            self.told = Some(news);
            self.repeat(job).await;
        }
    }

    /// Tells how the job stands.
    pub(super) async fn repeat(&mut self, job: &JobRecord) {
        let Some((peer, token)) = &self.to else { return };
        self.last = f64::from(job.view.progress).max(self.last + BIT);
        let step = job.view.current_step.as_deref().unwrap_or(job.status.as_str());
        let message = format!("{}% - {}", job.view.progress, plain(step));
        let told = ProgressNotificationParam::new(token.clone(), self.last)
            .with_total(100.0)
            .with_message(message);
        if let Err(error) = peer.notify_progress(told).await {
            debug!(%error, "nobody takes the progress of a wait");
        }
    }
}
