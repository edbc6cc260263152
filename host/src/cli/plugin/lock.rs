//! `plugins.lock`: which plugins came from registries, by their digests, with what they may do. In the
//! home, or where `--lock-file` says, so that it can be kept with other things of a team.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cli::plugin::author::{file, refused};
use crate::cli::plugin::registry::Fetched;
use crate::cli::{Exit, Refusal};
use crate::files::{self, write_whole};
use crate::model::grants::GrantsWanted;
use crate::model::names::Digest;
use crate::oci::reference::Reference;
use crate::oci::signature::Signature;

/// Its name, in the home.
const NAME: &str = "plugins.lock";
/// What this program writes.
const VERSION: u32 = 1;
/// The largest that is read, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;
/// Interfaces of the contract are named so.
const CONTRACT: &str = "windlass:plugin/";

/// A lock file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lock {
    version: u32,
    /// By name.
    plugins: BTreeMap<String, Locked>,
    #[serde(skip)]
    path: PathBuf,
}

/// A plugin of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Locked {
    /// As its author counts.
    pub(super) version: String,
    /// Where it came from, as somebody named it.
    pub(super) reference: String,
    /// The digest of its manifest.
    pub(super) manifest: Digest,
    /// The digest of its component.
    pub(super) component: Digest,
    /// The size of its component.
    pub(super) bytes: usize,
    /// The contracts that it was built against, as `package@version`.
    pub(super) wit: Vec<String>,
    /// What it was given.
    pub(super) grants: GrantsWanted,
    /// Whose word was taken for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) signature: Option<Signature>,
}

impl Lock {
    /// The lock file at this place, or in the home. Empty where there is none.
    pub(super) fn read(given: Option<&Path>, home: &Path) -> Result<Self, Refusal> {
        let path = given.map_or_else(|| home.join(NAME), Path::to_owned);
        let length = match fs::metadata(&path) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { version: VERSION, plugins: BTreeMap::new(), path });
            }
            Err(error) => return Err(file("read", &path, &error)),
        };
        let broken = |why: &dyn std::fmt::Display| {
            let message = format!("{} is no lock file of this windlass: {why}.", path.display());
            refused(&message)
        };
        if length > LARGEST {
            return Err(broken(&format_args!("it has {length} bytes")));
        }
        let text = fs::read_to_string(&path).map_err(|error| file("read", &path, &error))?;
        let lock: Self = serde_json::from_str(&text).map_err(|error| broken(&error))?;
        if lock.version != VERSION {
            let version = lock.version;
            return Err(broken(&format_args!("it is of version {version}, and this reads 1")));
        }
        Ok(Self { path, ..lock })
    }

    /// Those that are wanted: this one, by its name or where it came from, or all.
    pub(super) fn wanted(&self, what: Option<&str>) -> Result<Vec<(&String, &Locked)>, Refusal> {
        let is_it = |(name, locked): &(&String, &Locked)| {
            what.is_none_or(|what| *name == what || locked.reference == what)
        };
        let found: Vec<_> = self.plugins.iter().filter(is_it).collect();
        if found.is_empty() {
            let what = what.map_or_else(|| "nothing".to_owned(), |what| format!("no `{what}`"));
            let message = format!("There is {what} in {}.", self.path.display());
            return Err(refused(&message).with_next("windlass plugin add oci://…"));
        }
        Ok(found)
    }

    /// Refuses what came by a tag that stood for something else when it was locked.
    pub(super) fn check(&self, asked: &Reference, fetched: &Fetched) -> Result<(), Refusal> {
        let asked = asked.to_string();
        let found = &fetched.pulled.manifest.digest;
        let moved = self.plugins.values().find(|it| it.reference == asked && it.manifest != *found);
        let Some(locked) = moved else { return Ok(()) };
        let message = format!(
            "{asked} has moved: it was {} when it was locked, and is {found} now. Ask its author \
             why; --update-lock takes what is there now, --locked what was there then.",
            locked.manifest
        );
        Err(refused(&message).with_next(format!("windlass plugin add --locked {asked}")))
    }

    /// Notes what was installed, for good.
    pub(super) fn note(&mut self, asked: &Reference, fetched: &Fetched) -> Result<(), Refusal> {
        let descriptor = &fetched.plugin.descriptor;
        let locked = Locked {
            version: descriptor.version.to_string(),
            reference: asked.to_string(),
            manifest: fetched.pulled.manifest.digest.clone(),
            component: fetched.pulled.digest.clone(),
            bytes: fetched.pulled.component.len(),
            wit: contracts(&fetched.pulled.component)?,
            grants: descriptor.grants.clone(),
            signature: fetched.signed.as_ref().map(|(signature, _)| signature.clone()),
        };
        if self.plugins.get(&descriptor.name) == Some(&locked) {
            return Ok(());
        }
        self.plugins.insert(descriptor.name.clone(), locked);
        self.write()
    }

    /// Forgets a plugin that was removed.
    pub(super) fn forget(&mut self, name: &str) -> Result<(), Refusal> {
        match self.plugins.remove(name) {
            Some(_) => self.write(),
            None => Ok(()),
        }
    }

    fn write(&self) -> Result<(), Refusal> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default() + "\n";
        // A home that another host has may not be there yet.
        if let Some(folder) = self.path.parent().filter(|it| !it.as_os_str().is_empty()) {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| file("make", folder, &error))?;
        }
        files::sweep_beside(&self.path)
            .and_then(|()| write_whole(&self.path, &[text.as_bytes()]))
            .map_err(|error| file("write", &self.path, &error))
    }
}

/// `windlass:plugin@0.1.0`, as often as there are different ones.
pub(super) fn contracts(component: &[u8]) -> Result<Vec<String>, Refusal> {
    let imports = packing::component::imports(component)
        .map_err(|error| Refusal::new(Exit::Refused, format!("{error}.")))?;
    let version = |import: &String| {
        let (_, version) = import.strip_prefix(CONTRACT)?.split_once('@')?;
        Some(format!("{}@{version}", CONTRACT.trim_end_matches('/')))
    };
    let mut found: Vec<String> = imports.iter().filter_map(version).collect();
    found.sort();
    found.dedup();
    Ok(found)
}
