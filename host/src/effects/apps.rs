//! Effects on the records of apps, and which DNS records are an app's own.

use serde_json::{Value, json};

use crate::dns::Zones;
use crate::effects::Effect;
use crate::effects::context::JobContext;
use crate::effects::grants::Grant;
use crate::model::app::{AppDnsRecord, AppRecord, AppStatus};
use crate::model::dns::{DnsId, DnsRecord, ZoneRef};
use crate::model::failure::Failure;
use crate::model::journal::Class;
use crate::model::names::{AppName, Identity, ServerName};
use crate::storage::StorageError;

const INTERFACE: &str = "inventory";

/// The most lines of one field that a recipe may write, and bytes of a line.
const MOST: (usize, usize) = (50, 8_000);

/// Reads an app's record.
#[derive(Debug)]
pub struct ReadApp {
    /// Where.
    pub server: ServerName,
    /// Which.
    pub name: AppName,
}

impl Effect for ReadApp {
    type Answer = Option<Value>;
    const FUNCTION: &'static str = "inventory.get-app";
    const CLASS: Class = Class::Read;

    fn needs(&self) -> Grant<'_> {
        Grant { interface: INTERFACE, server: Some(self.server.as_str()) }
    }

    fn request(&self) -> Value {
        json!({ "server": self.server, "name": self.name })
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<Option<Value>, Failure> {
        let record = job.outside.store.app(&self.server, &self.name).await.map_err(internal)?;
        record.as_ref().map(shown).transpose()
    }
}

/// Reads the records of a server's apps.
#[derive(Debug)]
pub struct ListApps {
    /// Where.
    pub server: ServerName,
}

impl Effect for ListApps {
    type Answer = Vec<Value>;
    const FUNCTION: &'static str = "inventory.list-apps";
    const CLASS: Class = Class::Read;

    fn needs(&self) -> Grant<'_> {
        Grant { interface: INTERFACE, server: Some(self.server.as_str()) }
    }

    fn request(&self) -> Value {
        json!({ "server": self.server })
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<Vec<Value>, Failure> {
        let records = job.outside.store.apps(&self.server).await.map_err(internal)?;
        records.iter().map(shown).collect()
    }
}

/// Merges fields into an app's record.
#[derive(Debug)]
pub struct UpdateApp {
    /// Where.
    pub server: ServerName,
    /// Which.
    pub name: AppName,
    /// What changes (RFC 7386).
    pub patch: Value,
}

impl Effect for UpdateApp {
    type Answer = ();
    const FUNCTION: &'static str = "inventory.put-app";
    const CLASS: Class = Class::Put;

    fn needs(&self) -> Grant<'_> {
        Grant { interface: INTERFACE, server: Some(self.server.as_str()) }
    }

    fn changes_app(&self) -> Option<&AppName> {
        Some(&self.name)
    }

    fn request(&self) -> Value {
        json!({ "server": self.server, "name": self.name, "patch": self.patch })
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<(), Failure> {
        let patch = Patch::parse(&self.patch)?;
        let change = Box::new(move |record: &mut AppRecord| patch.apply(record));
        match job.outside.store.amend_app(&job.lease(), &self.server, &self.name, change).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => {
                let message = format!("there is no app `{}` on `{}`", self.name, self.server);
                Err(Failure::safe("not_found", message))
            }
            Err(error) => Err(internal(error)),
        }
    }
}

/// Removes an app's record, with its secrets where the job removes its data.
#[derive(Debug)]
pub struct RemoveApp {
    /// Where.
    pub server: ServerName,
    /// Which.
    pub name: AppName,
}

impl Effect for RemoveApp {
    type Answer = ();
    const FUNCTION: &'static str = "inventory.delete-app";
    const CLASS: Class = Class::Delete;

    fn needs(&self) -> Grant<'_> {
        Grant { interface: INTERFACE, server: Some(self.server.as_str()) }
    }

    fn changes_app(&self) -> Option<&AppName> {
        Some(&self.name)
    }

    fn request(&self) -> Value {
        json!({ "server": self.server, "name": self.name })
    }

    async fn act(&self, job: &JobContext, _: &Identity) -> Result<(), Failure> {
        let store = &job.outside.store;
        let record = store.app(&self.server, &self.name).await.map_err(internal)?;
        if record.is_some_and(|record| record.status != AppStatus::Removing) {
            let message = format!("this job does not take `{}` away", self.name);
            return Err(Failure::unsafe_to_retry("conflict", message));
        }
        store.forget_app(&job.lease(), &self.server, &self.name).await.map_err(internal)
    }
}

/// Notes a DNS record that an app's job made with the app, so that it can be deleted by its id
/// when the app is, whatever the server's names are then.
pub(super) async fn note_record(
    job: &JobContext,
    zone: &ZoneRef,
    record: &DnsRecord,
) -> Result<(), Failure> {
    let made = AppDnsRecord {
        zone: zone.to_string(),
        id: record.id.to_string(),
        name: record.name.clone(),
        kind: record.kind.clone(),
    };
    change_own(job, move |app| {
        app.dns.retain(|it| it.id != made.id);
        app.dns.push(made);
    })
    .await
}

/// Notes that a record is gone.
pub(super) async fn forget_record(job: &JobContext, id: &DnsId) -> Result<(), Failure> {
    let id = id.to_string();
    change_own(job, move |app| app.dns.retain(|it| it.id != id)).await
}

/// Whether the job may delete this record: an app's job only those of its own names, or which its
/// app is known to have made. One that is gone is not looked for any more: the host may have died
/// after it deleted and forgot it.
pub(super) async fn check_record(
    job: &JobContext,
    zones: &dyn Zones,
    zone: &ZoneRef,
    id: &DnsId,
) -> Result<(), Failure> {
    let (Some(scope), Some(server)) = (job.grants().app(), &job.record.server) else {
        return Ok(());
    };
    let record = job.outside.store.app(server, &scope.name).await.map_err(internal)?;
    let is_noted = |app: &AppRecord| app.dns.iter().any(|it| it.id == id.as_str());
    if record.as_ref().is_some_and(is_noted) {
        return Ok(());
    }
    for name in &scope.names {
        if zones.lookup(zone, name).await?.iter().any(|it| it.id == *id) {
            return Ok(());
        }
    }
    if zones.record(zone, id).await?.is_none() {
        return Ok(());
    }
    let message = format!("the record `{id}` is none of the app `{}`", scope.name);
    Err(Failure::unsafe_to_retry("access_denied", message))
}

async fn change_own(
    job: &JobContext,
    change: impl FnOnce(&mut AppRecord) + Send + 'static,
) -> Result<(), Failure> {
    let (Some(scope), Some(server)) = (job.grants().app(), &job.record.server) else {
        return Ok(());
    };
    let (store, lease) = (&job.outside.store, job.lease());
    let changed = store.amend_app(&lease, server, &scope.name, Box::new(change)).await;
    changed.map(drop).map_err(internal)
}

/// The fields of a record that a recipe may set.
#[derive(Debug, Default)]
struct Patch {
    urls: Option<Vec<String>>,
    notes: Option<Vec<String>>,
}

impl Patch {
    fn parse(patch: &Value) -> Result<Self, Failure> {
        let Value::Object(fields) = patch else {
            return Err(invalid("the patch is no JSON object"));
        };
        let mut parsed = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "urls" => parsed.urls = Some(lines(name, value)?),
                "notes" => parsed.notes = Some(lines(name, value)?),
                _ => return Err(invalid(&format!("`{name}` belongs to the host"))),
            }
        }
        let is_url = |url: &String| url.starts_with("https://") || url.starts_with("http://");
        if !parsed.urls.iter().flatten().all(is_url) {
            return Err(invalid("`urls` are http or https URLs"));
        }
        Ok(parsed)
    }

    fn apply(self, record: &mut AppRecord) {
        if let Some(urls) = self.urls {
            record.urls = urls;
        }
        if let Some(notes) = self.notes {
            record.notes = notes;
        }
    }
}

/// A list of lines; null is an empty one (RFC 7386), and one line may stand alone.
fn lines(name: &str, value: &Value) -> Result<Vec<String>, Failure> {
    let lines: Vec<String> = match value {
        Value::Null => Vec::new(),
        Value::String(line) => vec![line.clone()],
        other => serde_json::from_value(other.clone())
            .map_err(|error| invalid(&format!("`{name}` is a list of texts: {error}")))?,
    };
    let (most, longest) = MOST;
    if lines.len() > most || lines.iter().any(|line| line.len() > longest) {
        let message = format!("`{name}` has more than {most} lines, or one over {longest} bytes");
        return Err(invalid(&message));
    }
    Ok(lines)
}

fn invalid(message: &str) -> Failure {
    Failure::unsafe_to_retry("invalid_argument", message)
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands over")]
fn internal(error: StorageError) -> Failure {
    Failure::safe("internal", error.to_string())
}

fn shown(record: &AppRecord) -> Result<Value, Failure> {
    serde_json::to_value(record).map_err(|e| Failure::unsafe_to_retry("internal", e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_sets_urls_and_notes_and_nothing_else() {
        let refused = |patch: Value| Patch::parse(&patch).unwrap_err().code;
        for patch in [
            json!({ "status": "running" }),
            json!({ "urls": ["javascript:alert(1)"] }),
            json!({ "urls": [1] }),
            json!({ "notes": vec!["x"; 51] }),
            json!({ "notes": ["x".repeat(8_001)] }),
            json!([]),
        ] {
            assert_eq!(refused(patch.clone()), "invalid_argument", "{patch}");
        }
        let patch = Patch::parse(&json!({ "urls": ["https://a.example.com"], "notes": null }));
        let patch = patch.unwrap();
        assert_eq!(patch.urls.unwrap(), ["https://a.example.com"]);
        assert!(patch.notes.unwrap().is_empty());
    }
}
