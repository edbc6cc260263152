//! A job's journal as people read it: what ran on servers is told by its first line, its digest and
//! the receipt under which the server knows it.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::app::App;
use crate::app::access::Reader;
use crate::error::Error;
use crate::model::job::JobRecord;
use crate::model::journal::{Class, Entry, Event};
use crate::model::names::{Identity, JobId};
use crate::model::retry::Inheritance;

/// The longest first line that is told, in characters.
const LINE: usize = 200;
/// Among so many first entries stands what a retry takes over.
const OPENING: usize = 4;

/// An entry of a journal.
#[derive(Clone, Debug, Serialize)]
pub struct JournalEntry {
    /// As it stands on disk.
    #[serde(flatten)]
    pub entry: Entry,
    /// What it says of a remote command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteCommand>,
}

/// A remote command, as far as one entry tells: its intent has the line, its outcome the exit code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RemoteCommand {
    /// What makes it be run once: `/var/lib/windlass/receipts/<this>` on the server, while its job
    /// runs.
    pub receipt: String,
    /// The first line of what the server's shell was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_line: Option<String>,
    /// SHA-256 of all of it, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// How it ended; none when it did not end by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
}

impl Reader {
    /// The journal of a job after this entry, in order.
    pub async fn journal(
        &self,
        id: &JobId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<JournalEntry>, Error> {
        let job = self.app.known_job(id).await?;
        let receipts = Receipts::of(&job, &self.app).await?;
        let entries = self.app.store.journal(id, after, limit).await?;
        let told = entries.into_iter().map(|entry| {
            let remote = remote(&receipts, &entry.event);
            JournalEntry { entry, remote }
        });
        Ok(told.collect())
    }
}

/// Under which receipts the commands of a job stand.
struct Receipts {
    root: JobId,
    inherited: Option<Box<Inheritance>>,
}

impl Receipts {
    async fn of(job: &JobRecord, app: &App) -> Result<Self, Error> {
        let opening = match &job.retry_of {
            Some(_) => app.store.journal(&job.id, 0, OPENING).await?,
            None => Vec::new(),
        };
        let inherited = opening.into_iter().find_map(|entry| match entry.event {
            Event::Retried(inherited) => Some(inherited),
            _ => None,
        });
        Ok(Self { root: job.root.clone(), inherited })
    }

    /// The receipt of an effect; none of one that an earlier job did.
    fn receipt(&self, ordinal: u32) -> Option<String> {
        let effect = match &self.inherited {
            Some(inherited) if ordinal < inherited.reused => return None,
            Some(inherited) => inherited.mark(ordinal),
            None => ordinal,
        };
        Some(Identity { job: self.root.clone(), effect }.to_string())
    }
}

fn remote(receipts: &Receipts, event: &Event) -> Option<RemoteCommand> {
    match event {
        Event::Intent { ordinal, class: Class::Exec, request, .. } => {
            let command = request.get("command").and_then(Value::as_str)?;
            let digest = Sha256::digest(command.as_bytes());
            Some(RemoteCommand {
                receipt: receipts.receipt(*ordinal)?,
                first_line: command.lines().next().map(|line| line.chars().take(LINE).collect()),
                sha256: Some(hex::encode(digest)),
                exit_code: None,
            })
        }
        Event::Outcome { ordinal, class: Class::Exec, result, .. } => Some(RemoteCommand {
            receipt: receipts.receipt(*ordinal)?,
            first_line: None,
            sha256: None,
            exit_code: result.as_ref().ok().and_then(|it| it.get("exit_code")?.as_i64()),
        }),
        _ => None,
    }
}
