//! The model's apps: their records, which follow their jobs, and their secrets. All are on the
//! first server.

use std::collections::BTreeMap;

use windlass::model::app::AppStatus;
use windlass::model::job::JobStatus;

/// How many apps there are.
pub(super) const APPS: u8 = 2;

/// What is on record of an app.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct App {
    pub(super) status: AppStatus,
    /// The newest job that changes it.
    pub(super) job: usize,
    /// The lease whose holder noted something last.
    pub(super) note: Option<usize>,
    /// Whether its secret goes with it.
    pub(super) forgets: bool,
    /// How it was before that job, which it is again when that never begins.
    before: Option<Box<Self>>,
}

/// Why there is no job about an app.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Refusal {
    /// Another one is about to change it.
    Busy,
    /// It is not there.
    Absent,
}

/// What is kept of apps.
#[derive(Clone, Debug, Default)]
pub(super) struct Apps {
    pub(super) records: BTreeMap<u8, App>,
    /// What is kept as the secret of each.
    pub(super) secrets: BTreeMap<u8, usize>,
}

impl Apps {
    /// A job is to make it run, or to take it away.
    pub(super) fn begin(
        &mut self,
        app: u8,
        job: usize,
        status: AppStatus,
        forgets: bool,
    ) -> Result<(), Refusal> {
        let before = self.records.get(&app).cloned();
        match &before {
            Some(found) if found.status.is_busy() => return Err(Refusal::Busy),
            None if status == AppStatus::Removing => return Err(Refusal::Absent),
            _ => {}
        }
        let note = before.as_ref().and_then(|before| before.note);
        let before = before.map(Box::new);
        self.records.insert(app, App { status, job, note, forgets, before });
        Ok(())
    }

    /// A job ended that may have been about one.
    pub(super) fn settle(&mut self, job: usize, ended: JobStatus, began: bool) {
        let about = |(_, record): &(&u8, &mut App)| record.job == job && record.status.is_busy();
        let Some((&app, record)) = self.records.iter_mut().find(about) else { return };
        let before = record.before.take();
        record.status = match (ended, record.status) {
            (JobStatus::Completed, AppStatus::Removing) => return self.remove(app),
            (JobStatus::Completed, _) => AppStatus::Running,
            _ if began => AppStatus::Error,
            _ => match before {
                Some(before) => return *record = App { forgets: false, before: None, ..*before },
                None => return self.remove(app),
            },
        };
        record.forgets = false;
    }

    /// It goes, with its secret where it says so.
    pub(super) fn remove(&mut self, app: u8) {
        if self.records.remove(&app).is_some_and(|record| record.forgets) {
            self.secrets.remove(&app);
        }
    }
}
