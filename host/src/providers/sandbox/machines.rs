//! The sandbox's machines and keys on disk: one file each, found by what stands in them.

use std::collections::{BTreeMap, HashMap};
use std::io::{ErrorKind, Result};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::names::Identity;
use crate::providers::sandbox::disk;
use crate::providers::sandbox::ledger::Ledger;
use crate::providers::{NewMachine, PublicKey, StoredKey};

/// The folder with all of it.
#[derive(Clone, Debug)]
pub(super) struct Machines {
    folder: PathBuf,
    /// Under which name a machine was last seen, by id: where to look first.
    names: Arc<Mutex<HashMap<String, String>>>,
}

/// A machine, as it was ordered. How it stands follows from when that was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Simulated {
    /// Its id.
    pub(super) id: String,
    /// Its name, unique.
    pub(super) name: String,
    /// Its size.
    pub(super) server_type: String,
    /// Its place.
    pub(super) region: String,
    /// Its image.
    pub(super) image: String,
    /// An address out of the block for benchmarks (RFC 2544): nobody has it.
    pub(super) ipv4: Ipv4Addr,
    /// An address out of the block for documentation (RFC 3849): nobody has it.
    pub(super) ipv6: Ipv6Addr,
    /// Says who ordered it.
    pub(super) labels: BTreeMap<String, String>,
    /// The ids of the keys that may log in.
    pub(super) ssh_keys: Vec<String>,
    /// The public half of its host key.
    pub(super) host_key: String,
    /// When it was ordered.
    pub(super) ordered_at: Timestamp,
    /// So that nobody takes the file for something else.
    pub(super) simulated: bool,
}

/// A public key, as it was uploaded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredLine {
    /// Its id.
    pub(super) id: String,
    name: String,
    line: String,
    labels: BTreeMap<String, String>,
}

/// How far a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is not powered on.
    Booting,
    /// It runs and takes no commands yet.
    Starting,
    /// It takes commands.
    Ready,
}

impl StoredLine {
    /// Its name, unique.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Simulated {
    /// The machine that an order makes.
    pub(super) fn ordered(wanted: &NewMachine, now: Timestamp) -> Self {
        let [a, b, c, d, e, f, ..] = digest(&format!("{} {}", wanted.identity, wanted.name));
        let labels = [
            (Identity::JOB_LABEL.to_owned(), wanted.identity.job.to_string()),
            (Identity::EFFECT_LABEL.to_owned(), wanted.identity.effect.to_string()),
        ];
        Self {
            id: format!("sb-{a:02x}{b:02x}{c:02x}{d:02x}{e:02x}{f:02x}"),
            name: wanted.name.to_string(),
            server_type: wanted.server_type.clone(),
            region: wanted.region.clone(),
            image: wanted.image.clone(),
            ipv4: Ipv4Addr::new(198, 18 + (a & 1), b, c.clamp(1, 254)),
            ipv6: Ipv6Addr::from([0x2001, 0xdb8, u16::from(a), u16::from(b), 0, 0, 0, 1]),
            labels: labels.into(),
            ssh_keys: wanted.ssh_keys.clone(),
            host_key: wanted.boot.host_key_public.clone(),
            ordered_at: now,
            simulated: true,
        }
    }

    /// How long ago it was ordered.
    pub(super) fn age(&self, now: Timestamp) -> Duration {
        now.duration_since(self.ordered_at).try_into().unwrap_or_default()
    }

    /// Whether this identity ordered it.
    pub(super) fn is_of(&self, identity: &Identity) -> bool {
        let is = |label: &str, value: String| self.labels.get(label) == Some(&value);
        is(Identity::JOB_LABEL, identity.job.to_string())
            && is(Identity::EFFECT_LABEL, identity.effect.to_string())
    }
}

impl Machines {
    /// The machines in this folder.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, names: Arc::default() }
    }

    /// Takes an order and gives the machine that has the name then: of two orders one wins.
    pub(super) fn order(&self, machine: &Simulated) -> Result<Simulated> {
        if disk::create(&self.path(&machine.name), machine)? {
            self.ledger().ordered(machine)?;
            self.names().insert(machine.id.clone(), machine.name.clone());
            return Ok(machine.clone());
        }
        self.with_name(&machine.name)?.ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// Every machine.
    pub(super) fn all(&self) -> Result<Vec<Simulated>> {
        disk::read_all(&self.folder)
    }

    /// The machine with this id, or none.
    pub(super) fn with_id(&self, id: &str) -> Result<Option<Simulated>> {
        let name = self.names().get(id).cloned();
        let named = name.map_or(Ok(None), |name| self.with_name(&name))?;
        if let Some(found) = named.filter(|machine| machine.id == id) {
            return Ok(Some(found));
        }
        let found = self.all()?.into_iter().find(|machine| machine.id == id);
        if let Some(found) = &found {
            self.names().insert(found.id.clone(), found.name.clone());
        }
        Ok(found)
    }

    /// The machine of this name, or none.
    pub(super) fn with_name(&self, name: &str) -> Result<Option<Simulated>> {
        disk::read(&self.path(name))
    }

    /// The machine that this identity ordered, or none.
    pub(super) fn with_identity(&self, identity: &Identity) -> Result<Option<Simulated>> {
        Ok(self.all()?.into_iter().find(|machine| machine.is_of(identity)))
    }

    /// Removes a machine and its files; one that is gone is success.
    pub(super) fn remove(&self, id: &str) -> Result<()> {
        let Some(machine) = self.with_id(id)? else { return Ok(()) };
        disk::remove(&self.path(&machine.name))?;
        self.names().remove(id);
        self.ledger().deleted(&machine)?;
        match std::fs::remove_dir_all(self.contents(&machine)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Where a machine's own files and receipts are.
    pub(super) fn contents(&self, machine: &Simulated) -> PathBuf {
        self.folder.join("contents").join(&machine.id)
    }

    /// The keys.
    pub(super) fn keys(&self) -> Result<Vec<StoredLine>> {
        disk::read_all(&self.folder.join("keys"))
    }

    /// The key with this id, or none.
    pub(super) fn key(&self, id: &str) -> Result<Option<StoredLine>> {
        let is_id = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if is_id { disk::read(&self.key_path(id)) } else { Ok(None) }
    }

    /// Keeps a key: the same one that is there is reused, a name that is taken gets a number.
    pub(super) fn ensure_key(&self, key: &PublicKey) -> Result<StoredKey> {
        let names = std::iter::once(key.name.clone())
            .chain((2_u32..).map(|count| format!("{}-{count}", key.name)));
        for name in names {
            let [a, b, c, d, ..] = digest(&name);
            let id = format!("key-{a:02x}{b:02x}{c:02x}{d:02x}");
            let (line, labels) = (key.line.clone(), key.labels.clone());
            let stored = StoredLine { id: id.clone(), name: name.clone(), line, labels };
            if self.key(&id)?.is_none() && disk::create(&self.key_path(&id), &stored)? {
                self.ledger().key("key", &name)?;
                return Ok(StoredKey { id, name });
            }
            if self.key(&id)?.is_some_and(|found| found.line == key.line) {
                return Ok(StoredKey { id, name });
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// Removes a key; one that is gone is success.
    pub(super) fn remove_key(&self, id: &str) -> Result<()> {
        match self.key(id)? {
            Some(key) => {
                disk::remove(&self.key_path(&key.id))?;
                self.ledger().key("delete-key", &key.name)
            }
            None => Ok(()),
        }
    }

    /// What was done.
    pub(super) fn ledger(&self) -> Ledger {
        Ledger::new(&self.folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key_path(&self, id: &str) -> PathBuf {
        self.folder.join("keys").join(format!("{id}.json"))
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
