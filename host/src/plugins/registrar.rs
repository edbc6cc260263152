//! Which versions there are and which is active: every change is checked here first, is one
//! transaction on disk, and then one pointer in memory. A crash in between changes nothing or all.

mod choices;
mod grants;
mod refusal;
mod start;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, MutexGuard};
use tracing::{info, warn};

pub use refusal::Refusal;

use crate::effects::boundary::{Boundaries, Boundary};
use crate::model::grants::GrantsWanted;
use crate::model::limits::Limits;
use crate::model::names::{Digest, Origin};
use crate::model::plugin::{Cause, NewActivation, PluginVersion, Rejected, Source, Standing};
use crate::plugins::catalog::{Catalog, record_of};
use crate::plugins::depot::Depot;
use crate::plugins::engine::Engine;
use crate::plugins::plugin::{Plugin, PluginError};
use crate::storage::plugins::{CollectRules, PluginChange};
use crate::storage::{self, Store};

/// So many activations of a plugin can be gone back to.
const RECENT: u32 = 5;
/// What was brought and never activated is kept so long.
const FRESH: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);

/// Adds, activates and removes versions.
pub struct Registrar {
    parts: Parts,
    /// One change after another.
    turn: Mutex<()>,
    rejected: ArcSwap<BTreeMap<String, Rejected>>,
}

/// What the registrar works with.
#[derive(Clone)]
pub struct Parts {
    /// Where versions are recorded.
    pub store: Arc<dyn Store>,
    /// What jobs look at.
    pub catalog: Arc<Catalog>,
    /// What compiles them.
    pub engine: Arc<Engine>,
    /// Where their bytes are.
    pub depot: Depot,
    /// Where the process dies on purpose.
    pub boundaries: Boundaries,
    /// What plugins may use up.
    pub limits: Arc<Limits>,
}

/// A component that somebody wants to add.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The component.
    pub bytes: Vec<u8>,
    /// How it came.
    pub source: Source,
    /// Where in a registry it is.
    pub origin: Option<Origin>,
    /// The name of the token that brings it.
    pub by: String,
    /// Whether it gets what it wants beyond what its predecessor has.
    pub accept_grants: bool,
    /// Whether new jobs run it from now on.
    pub activate: bool,
    /// Whether it may take the place of one that came with the program.
    pub replace_built_in: bool,
}

/// What became of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its plugin.
    pub name: String,
    /// What it calls itself.
    pub version: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// How it stands.
    pub standing: Standing,
}

impl Registrar {
    /// Adds a version, and activates it where that is wanted.
    ///
    /// # Errors
    /// When it cannot be used, or somebody has to say yes first. Then nothing has changed.
    #[tracing::instrument(skip_all, fields(source = offer.source.as_str(), by = offer.by))]
    pub async fn add(&self, offer: Offer) -> Result<Receipt, Refusal> {
        let Offer { bytes, source, origin, by, accept_grants, activate, replace_built_in } = offer;
        let plugin = self.checked(bytes).await?;
        let _turn = self.turn().await;
        let name = &plugin.descriptor.name;
        let known = self.parts.store.plugin_version(&plugin.digest).await?;
        if let Some(standing) = self.as_before(&plugin, known.as_ref(), source) {
            return Ok(receipt(&plugin, standing));
        }
        if !replace_built_in {
            self.check_name(&plugin).await?;
        }
        let answer = match known.as_ref().and_then(|known| known.accepted.clone()) {
            Some(accepted) => Some(accepted),
            None => self.answer(&plugin, source, accept_grants)?,
        };
        self.put(&plugin).await?;
        self.parts.boundaries.pass(Boundary::PluginFile, name);
        let was = known.map_or(source, |known| known.source);
        // What came with the program stays that, whoever sends it again.
        let (from, origin) =
            if was == Source::BuiltIn { (was, None) } else { (source, origin.clone()) };
        let version = PluginVersion {
            accepted: answer.clone(),
            is_kept: true,
            origin,
            ..record_of(&plugin, from, &by)
        };
        let mut change = PluginChange { versions: vec![version], ..PluginChange::default() };
        let activates = activate && answer.is_some();
        if activates {
            let cause = match (was, source) {
                (Source::BuiltIn, _) => Cause::BuiltIn,
                (_, Source::Directory) => Cause::Directory,
                _ => Cause::Operator,
            };
            let reason = format!("{} was added", plugin.descriptor.version);
            change.activations.push(self.activation(&plugin, cause, &by, reason));
        }
        self.parts.store.change_plugins(change).await?;
        self.parts.boundaries.pass(Boundary::PluginRow, name);
        self.parts.catalog.note_kept(&plugin.digest);
        self.allow(&plugin, answer.clone().unwrap_or_default());
        let standing = match answer {
            Some(_) if activates => Standing::Active,
            Some(_) => Standing::Kept,
            None => Standing::Pending,
        };
        if activates {
            self.parts.catalog.activate(&plugin);
        }
        info!(plugin = name, digest = %plugin.digest, ?standing, "a plugin was added");
        Ok(receipt(&plugin, standing))
    }

    /// Removes the bytes of versions that nobody needs any more. Answers how many.
    ///
    /// # Errors
    /// When the disk or the database fails; what is left is found by the next collection or start.
    pub async fn collect(&self) -> Result<usize, Refusal> {
        let _turn = self.turn().await;
        let now = storage::now();
        let rules = CollectRules {
            in_use: self.parts.catalog.in_use(),
            recent: RECENT,
            fresh_since: now.saturating_sub(FRESH).unwrap_or(now),
        };
        let collected = self.parts.store.collect_plugins(rules).await?;
        for digest in &collected {
            self.parts.boundaries.pass(Boundary::PluginCollected, digest.as_str());
            self.parts.catalog.note_gone(digest);
            let (depot, gone) = (self.parts.depot.clone(), digest.clone());
            blocking(move || depot.remove(&gone)).await?;
            info!(%digest, "a plugin's bytes were removed: nobody needs them any more");
        }
        Ok(collected.len())
    }

    /// What plugins may use up.
    pub const fn limits(&self) -> &Arc<Limits> {
        &self.parts.limits
    }

    /// Files of the watched directory that are of no use, by name.
    pub fn rejected(&self) -> Vec<Rejected> {
        self.rejected.load().values().cloned().collect()
    }

    /// Notes why a file is of no use.
    pub fn reject(&self, file: &str, reason: String) {
        warn!(file, reason, "a plugin in the watched directory cannot be used");
        let rejected = Rejected { file: file.to_owned(), reason, at: storage::now() };
        self.rejected.rcu(|known| {
            let mut next = known.as_ref().clone();
            next.insert(rejected.file.clone(), rejected.clone());
            next
        });
    }

    /// A file that was of no use is not there any more, or is of use now.
    pub fn forget_rejected(&self, file: &str) {
        if self.rejected.load().contains_key(file) {
            self.rejected.rcu(|known| {
                let mut next = known.as_ref().clone();
                next.remove(file);
                next
            });
        }
    }

    /// A component that fits and is compiled.
    async fn checked(&self, bytes: Vec<u8>) -> Result<Arc<Plugin>, Refusal> {
        let plugin = Arc::new(blocking(move || Plugin::read(bytes)).await?);
        let engine = &self.parts.engine;
        engine.compile_apart(&plugin.bytes()).await?;
        plugin.prepared(engine).await?;
        Ok(plugin)
    }

    /// How it stands, when there is nothing to do. What lies in the directory and is known was dealt
    /// with when it came: a rollback since then stays, even when its bytes were collected.
    fn as_before(
        &self,
        plugin: &Plugin,
        known: Option<&PluginVersion>,
        source: Source,
    ) -> Option<Standing> {
        let active = self.parts.catalog.active_named(&plugin.descriptor.name);
        if active.is_some_and(|active| active.digest == plugin.digest) {
            return Some(Standing::Active);
        }
        let known = known.filter(|_| source == Source::Directory)?;
        Some(match (known.is_kept, &known.accepted) {
            (false, _) => Standing::Collected,
            (true, None) => Standing::Pending,
            (true, Some(_)) => Standing::Kept,
        })
    }

    /// A plugin from outside takes the place of one that came with the program only when its
    /// operator says so.
    async fn check_name(&self, plugin: &Plugin) -> Result<(), Refusal> {
        let name = &plugin.descriptor.name;
        let Some(embedded) = self.parts.catalog.embedded(name) else { return Ok(()) };
        if embedded.digest == plugin.digest {
            return Ok(());
        }
        let replaced = match self.parts.catalog.active_named(name) {
            Some(active) => self.parts.store.plugin_version(&active.digest).await?,
            None => None,
        };
        if replaced.is_some_and(|version| version.source != Source::BuiltIn) {
            return Ok(());
        }
        Err(Refusal::BuiltInName { name: name.clone() })
    }

    /// What it is allowed from the start; none when somebody has to be asked first and can be asked
    /// later.
    fn answer(
        &self,
        plugin: &Plugin,
        source: Source,
        accept_grants: bool,
    ) -> Result<Option<GrantsWanted>, Refusal> {
        let name = &plugin.descriptor.name;
        let wanted = &plugin.descriptor.grants;
        let active = self.parts.catalog.active_named(name);
        let has = active.map_or_else(GrantsWanted::least, |it| (*it.allowed().now()).clone());
        let more = wanted.beyond(&has).beyond(&GrantsWanted::least());
        if accept_grants || more.is_empty() {
            return Ok(Some(wanted.clone()));
        }
        if source == Source::Directory {
            info!(plugin = name, %more, "a plugin asks for more than the one before; it waits");
            return Ok(None);
        }
        Err(Refusal::GrantsNeeded {
            name: name.clone(),
            digest: plugin.digest.clone(),
            more: Box::new(more),
        })
    }

    async fn put(&self, plugin: &Arc<Plugin>) -> Result<(), Refusal> {
        let (depot, plugin) = (self.parts.depot.clone(), Arc::clone(plugin));
        Ok(blocking(move || depot.put(&plugin.digest, &plugin.bytes())).await?)
    }

    /// All who hold this version may do this from now on.
    fn allow(&self, plugin: &Plugin, accepted: GrantsWanted) {
        if let Some(shared) = self.parts.catalog.by_digest(&plugin.digest) {
            shared.allowed().set(accepted.clone());
        }
        plugin.allowed().set(accepted);
    }

    fn activation(&self, to: &Plugin, cause: Cause, by: &str, reason: String) -> NewActivation {
        let name = to.descriptor.name.clone();
        NewActivation {
            previous: self.parts.catalog.active_named(&name).map(|it| it.digest.clone()),
            name,
            digest: Some(to.digest.clone()),
            cause,
            at: storage::now(),
            by: by.to_owned(),
            reason,
        }
    }

    async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }
}

fn receipt(plugin: &Plugin, standing: Standing) -> Receipt {
    Receipt {
        name: plugin.descriptor.name.clone(),
        version: plugin.descriptor.version.to_string(),
        digest: plugin.digest.clone(),
        standing,
    }
}

/// Runs what waits for the disk off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PluginError> + Send + 'static,
) -> Result<T, PluginError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| PluginError::Engine { reason: error.to_string() })?
}
