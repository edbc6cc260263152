//! The sandbox's zones: a file in its folder. It begins with the zones that are for examples, and
//! whoever wants others writes them into the file.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::dns::decision::{Step, decide};
use crate::dns::marker::{Marker, Owner};
use crate::dns::{Zones, check_inside, check_ours, strangers};
use crate::model::dns::{DnsId, DnsName, DnsRecord, InvalidRecord, NewRecord, Zone, ZoneRef};
use crate::providers::ProviderError;
use crate::providers::sandbox::disk;

/// The zones of a new sandbox (RFC 2606: nobody's).
const EXAMPLES: [&str; 3] = ["example.com", "example.net", "example.org"];

/// The simulated zones.
pub struct Sandbox {
    path: PathBuf,
    owner: Owner,
    /// Held while the file is read, changed and written.
    turn: Arc<Mutex<()>>,
    /// What was in the file when it was used last: looking whether it is still that one takes less
    /// time than waking a thread that reads it.
    seen: Arc<Mutex<Option<Seen>>>,
}

/// What was in a file that looked like this.
struct Seen {
    stamp: Stamp,
    kept: Arc<Kept>,
}

/// What tells a file from what it was before: whoever writes it anew changes one of these.
#[derive(PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> std::io::Result<Self> {
        let found = std::fs::metadata(path)?;
        let changed = (found.ctime(), found.ctime_nsec());
        Ok(Self { inode: found.ino(), bytes: found.size(), changed })
    }
}

/// What is in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    /// So that nobody takes the file for something else.
    simulated: bool,
    /// The zones' names.
    zones: Vec<String>,
    /// All their records.
    #[serde(default)]
    records: Vec<KeptRecord>,
}

/// A record in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeptRecord {
    id: DnsId,
    zone: String,
    name: String,
    kind: String,
    content: String,
    #[serde(default)]
    proxied: bool,
    #[serde(default = "automatic")]
    ttl: u32,
    comment: Option<String>,
}

const fn automatic() -> u32 {
    1
}

impl Sandbox {
    /// The zones in this file, which is made with the first record. Records with the mark of
    /// `owner` are ours.
    pub fn new(path: PathBuf, owner: Owner) -> Self {
        Self { path, owner, turn: Arc::default(), seen: Arc::default() }
    }

    /// What is in the file, if it is known without reading it.
    fn seen(&self) -> Option<Arc<Kept>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.as_ref()?;
        let is_that = Stamp::of(&self.path).is_ok_and(|stamp| stamp == seen.stamp);
        is_that.then(|| Arc::clone(&seen.kept))
    }

    /// Looks at what is in the file.
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Kept) -> Result<T, ProviderError> + Send + 'static,
    ) -> Result<T, ProviderError> {
        match self.seen() {
            Some(kept) => look(&kept),
            None => self.with(move |kept| Ok((look(kept)?, false))).await,
        }
    }

    /// Works on what is in the file, off the runtime's threads and one at a time. `work` says
    /// whether it changed anything.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Kept) -> Result<(T, bool), ProviderError> + Send + 'static,
    ) -> Result<T, ProviderError> {
        let (path, turn, seen) =
            (self.path.clone(), Arc::clone(&self.turn), Arc::clone(&self.seen));
        let unusable = {
            let path = path.display().to_string();
            move |error: std::io::Error| ProviderError::Unavailable {
                message: format!(
                    "the sandbox's zones in {path} cannot be used: {error}; correct the file, or \
                     move it away to begin anew"
                ),
            }
        };
        let failed = unusable.clone();
        let working = tokio::task::spawn_blocking(move || {
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            // Looked at before it is read: what is written meanwhile is read the next time.
            let mut stamp = Stamp::of(&path).ok();
            let mut kept = disk::read(&path).map_err(&unusable)?.unwrap_or_else(Kept::new);
            let (answer, changed) = work(&mut kept)?;
            if changed {
                let text = serde_json::to_vec_pretty(&kept).map_err(std::io::Error::other);
                text.and_then(|text| disk::replace(&path, &text)).map_err(&unusable)?;
                stamp = None;
            }
            let found = stamp.map(|stamp| Seen { stamp, kept: Arc::new(kept) });
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = found;
            Ok(answer)
        });
        working.await.map_err(|error| failed(std::io::Error::other(error)))?
    }
}

/// The records in a file of zones: kind and name, which say what is there whoever it points to.
///
/// # Errors
/// When the file cannot be read.
pub fn listed(path: &Path) -> std::io::Result<Vec<String>> {
    let kept: Option<Kept> = disk::read(path)?;
    let records = kept.map(|kept| kept.records).unwrap_or_default();
    Ok(records.into_iter().map(|record| format!("{} {}", record.kind, record.name)).collect())
}

#[async_trait]
impl Zones for Sandbox {
    async fn verify(&self) -> Result<(), ProviderError> {
        self.zones().await.map(drop)
    }

    async fn zones(&self) -> Result<Vec<Zone>, ProviderError> {
        self.look(|kept| kept.zones.iter().map(|name| zone(name)).collect()).await
    }

    async fn lookup(
        &self,
        zone: &ZoneRef,
        name: &DnsName,
    ) -> Result<Vec<DnsRecord>, ProviderError> {
        let (zone, name, owner) = (zone.clone(), name.clone(), self.owner.clone());
        self.look(move |kept| Ok(kept.named(&kept.zone(&zone)?, &name, &owner))).await
    }

    async fn upsert(
        &self,
        wanted: &NewRecord,
        marker: &Marker,
    ) -> Result<DnsRecord, ProviderError> {
        if let Some(kept) = self.seen()
            && let Some(record) = kept.is_so(wanted, &self.owner)?
        {
            return Ok(record);
        }
        let (wanted, marker, owner) = (wanted.clone(), marker.clone(), self.owner.clone());
        self.with(move |kept| kept.make_so(&wanted, &marker, &owner)).await
    }

    async fn record(&self, zone: &ZoneRef, id: &DnsId) -> Result<Option<DnsRecord>, ProviderError> {
        let (zone, id, owner) = (zone.clone(), id.clone(), self.owner.clone());
        self.look(move |kept| {
            let found = kept.with_id(&kept.zone(&zone)?, &id);
            Ok(found.map(|record| record.seen_by(&owner)))
        })
        .await
    }

    async fn delete(&self, zone: &ZoneRef, id: &DnsId) -> Result<(), ProviderError> {
        let (zone, id, owner) = (zone.clone(), id.clone(), self.owner.clone());
        self.with(move |kept| {
            let zone = kept.zone(&zone)?;
            let Some(found) = kept.with_id(&zone, &id) else { return Ok(((), false)) };
            check_ours(&found.seen_by(&owner))?;
            kept.records.retain(|record| record.id != id);
            Ok(((), true))
        })
        .await
    }
}

impl Kept {
    fn new() -> Self {
        let zones = EXAMPLES.map(str::to_owned).to_vec();
        Self { simulated: true, zones, records: Vec::new() }
    }

    fn zone(&self, wanted: &ZoneRef) -> Result<Zone, ProviderError> {
        let zones = self.zones.iter().map(|name| zone(name)).collect::<Result<Vec<_>, _>>()?;
        let found = match wanted {
            ZoneRef::Id(id) => zones.into_iter().find(|zone| zone.id == *id),
            ZoneRef::Name(name) => {
                let mut apexes = name.upwards();
                apexes.find_map(|apex| zones.iter().find(|zone| zone.name == apex).cloned())
            }
        };
        found.ok_or_else(|| ProviderError::NotFound {
            message: format!(
                "the sandbox has no zone for `{wanted}`, only {}: use one of them, configure \
                 Cloudflare, or add the zone to `sandbox/dns/zones.json` in the host's home",
                self.zones.join(", ")
            ),
        })
    }

    fn with_id(&self, zone: &Zone, id: &DnsId) -> Option<&KeptRecord> {
        self.records.iter().find(|record| record.zone == zone.name && record.id == *id)
    }

    fn named(&self, zone: &Zone, name: &DnsName, owner: &Owner) -> Vec<DnsRecord> {
        let named = |record: &&KeptRecord| record.zone == zone.name && record.name == name.as_str();
        self.records.iter().filter(named).map(|record| record.seen_by(owner)).collect()
    }

    /// The record that says already what is wanted, if nothing has to be changed.
    fn is_so(&self, wanted: &NewRecord, owner: &Owner) -> Result<Option<DnsRecord>, ProviderError> {
        let there = self.named(&self.zone(&wanted.zone)?, &wanted.name, owner);
        Ok(match decide(&there, wanted) {
            Step::Keep { record, stale } if stale.is_empty() => Some(record.clone()),
            Step::Keep { .. } | Step::Add | Step::Change { .. } | Step::Refuse(_) => None,
        })
    }

    fn make_so(
        &mut self,
        wanted: &NewRecord,
        marker: &Marker,
        owner: &Owner,
    ) -> Result<(DnsRecord, bool), ProviderError> {
        let zone = self.zone(&wanted.zone)?;
        check_inside(&zone, &wanted.name)?;
        let there = self.named(&zone, &wanted.name, owner);
        check_alias(&there, wanted)?;
        let (made, gone) = match decide(&there, wanted) {
            Step::Refuse(others) => return Err(strangers(wanted, &others)),
            Step::Keep { record, stale } if stale.is_empty() => return Ok((record.clone(), false)),
            Step::Keep { record, stale } => {
                let kept = self.records.iter().find(|kept| kept.id == record.id).cloned();
                (kept, stale)
            }
            Step::Add => (None, Vec::new()),
            Step::Change { record, stale } => {
                let changed = KeptRecord::new(record.id.clone(), &zone, wanted, marker);
                (Some(changed), stale)
            }
        };
        let made = match made {
            Some(made) => made,
            None => KeptRecord::new(id(&[&zone.name, &marker.comment("")])?, &zone, wanted, marker),
        };
        self.records.retain(|kept| kept.id != made.id && !gone.iter().any(|old| old.id == kept.id));
        self.records.push(made.clone());
        Ok((made.seen_by(owner), true))
    }
}

impl KeptRecord {
    fn new(id: DnsId, zone: &Zone, wanted: &NewRecord, marker: &Marker) -> Self {
        Self {
            id,
            zone: zone.name.clone(),
            name: wanted.name.to_string(),
            kind: wanted.content.kind().to_owned(),
            content: wanted.content.to_string(),
            proxied: wanted.proxied,
            ttl: if wanted.proxied { 1 } else { wanted.ttl.unwrap_or(1) },
            comment: Some(marker.comment(&wanted.note)),
        }
    }

    fn seen_by(&self, owner: &Owner) -> DnsRecord {
        DnsRecord {
            id: self.id.clone(),
            name: self.name.clone(),
            kind: self.kind.clone(),
            content: self.content.clone(),
            proxied: self.proxied,
            ttl: self.ttl,
            comment: self.comment.clone(),
            ours: owner.has_made(self.comment.as_deref()),
            simulated: true,
        }
    }
}

/// A name is either an alias or has addresses, as everywhere.
fn check_alias(there: &[DnsRecord], wanted: &NewRecord) -> Result<(), ProviderError> {
    let is_alias = |kind: &str| kind == "CNAME";
    let is_address = |kind: &str| matches!(kind, "A" | "AAAA");
    let kind = wanted.content.kind();
    let in_the_way = |record: &&DnsRecord| {
        (is_alias(kind) && is_address(&record.kind)) || (is_address(kind) && is_alias(&record.kind))
    };
    match there.iter().find(in_the_way) {
        None => Ok(()),
        Some(record) => Err(ProviderError::Conflict {
            message: format!(
                "cannot make {kind} {}: a {} stands there, and a name is either an alias or has \
                 addresses; remove it, or choose another name",
                wanted.name, record.kind
            ),
        }),
    }
}

fn zone(name: &str) -> Result<Zone, ProviderError> {
    Ok(Zone { id: id(&["zone", name])?, name: name.to_owned() })
}

/// The same for the same parts, so that a run that is repeated sees the same.
fn id(parts: &[&str]) -> Result<DnsId, ProviderError> {
    let digest = Sha256::digest(parts.join("\n"));
    let hex = hex::encode(digest.get(..16).unwrap_or_default());
    hex.parse()
        .map_err(|error: InvalidRecord| ProviderError::Unavailable { message: error.to_string() })
}
