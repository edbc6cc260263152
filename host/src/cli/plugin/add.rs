//! `windlass plugin add`: a component from a file, from a registry, or as a lock file has it. Each
//! goes to the host by the same door, which asks for the grants.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::connection::{Connection, Need, usage};
use crate::cli::plugin::author::refused;
use crate::cli::plugin::lock::{Lock, Locked};
use crate::cli::plugin::registry::{self, Access, Fetched};
use crate::cli::plugin::shelf::Shelf;
use crate::cli::plugin::{tell, trust};
use crate::cli::terminal::Terminal;
use crate::cli::{Exit, Refusal};
use crate::config::{Config, Flags};
use crate::error::sentence;
use crate::oci::reference::{self, Reference};
use crate::oci::signature::{self, TrustedKey};
use crate::oci::{self, Manifest, Pulled};
use crate::plugins::plugin::Plugin;

/// A component to add.
#[derive(clap::Args)]
pub(in crate::cli) struct Add {
    /// The component: a file, or where it is in a registry, as oci://…
    #[arg(required_unless_present = "locked")]
    what: Option<String>,
    /// Give it what it asks for beyond what the version before has
    #[arg(long)]
    accept_grants: bool,
    /// Only bring it; new jobs go on with the present version
    #[arg(long)]
    no_activate: bool,
    /// Let it take the place of a plugin that came with windlass
    #[arg(long)]
    replace_built_in: bool,
    /// Install what the lock file has: the plugin of this name or reference, or all of them
    #[arg(long)]
    locked: bool,
    /// With --locked: ask no registry, and take what was fetched before
    #[arg(long, requires = "locked")]
    offline: bool,
    /// Take what a tag stands for now, although it stood for something else when it was locked
    #[arg(long, conflicts_with = "locked")]
    update_lock: bool,
    /// Where the lock file is, instead of plugins.lock in the home
    #[arg(long, value_name = "FILE")]
    lock_file: Option<PathBuf>,
    /// Take it only when this key signed it, whatever keys the home trusts
    #[arg(long, value_name = "FILE")]
    verify_key: Option<PathBuf>,
    #[command(flatten)]
    access: Access,
}

/// What installing needs, whatever is installed.
struct Desk<'a> {
    wanted: &'a Add,
    flags: &'a Flags,
    lock: Lock,
    shelf: Shelf,
    keys: Vec<TrustedKey>,
    /// The most bytes of a component.
    largest: usize,
    terminal: &'a Terminal,
}

/// Does it.
pub(super) async fn run(wanted: &Add, flags: &Flags, terminal: &Terminal) -> Result<(), Refusal> {
    let what = wanted.what.as_deref();
    if !wanted.locked
        && let Some(path) = what.filter(|what| !what.starts_with(reference::SCHEME))
    {
        let component = read(Path::new(path)).await?;
        let answer = post(wanted, wanted.accept_grants, None, component, flags).await?;
        tell(&answer, terminal);
        return Ok(());
    }
    let config = Config::read(flags).map_err(|error| usage(&error))?;
    let desk = Desk {
        wanted,
        flags,
        lock: Lock::read(wanted.lock_file.as_deref(), &config.home)?,
        shelf: Shelf::of(&config.cache, config.limits.component_bytes),
        keys: trust::keys(wanted.verify_key.as_deref(), flags)?,
        largest: config.limits.component_bytes,
        terminal,
    };
    match what {
        Some(what) if !wanted.locked => desk.install_fetched(&what.parse()?).await,
        what => desk.install_locked(what).await,
    }
}

/// Forgets a plugin that was removed.
pub(super) fn forget(name: &str, flags: &Flags) -> Result<(), Refusal> {
    // Without a home there is no lock file of one.
    let Ok(config) = Config::read(flags) else { return Ok(()) };
    Lock::read(None, &config.home)?.forget(name)
}

impl Desk<'_> {
    async fn install_fetched(mut self, asked: &Reference) -> Result<(), Refusal> {
        let fetched = registry::fetch(asked, &self.wanted.access, &self.keys, self.largest);
        let fetched = fetched.await?;
        if !self.wanted.update_lock {
            self.lock.check(asked, &fetched)?;
        }
        registry::tell(&fetched, self.terminal);
        self.keep(&fetched)?;
        let component = fetched.pulled.component.clone();
        let (accept, from) = (self.wanted.accept_grants, Some(&fetched.reference));
        let answer = post(self.wanted, accept, from, component, self.flags).await?;
        self.lock.note(asked, &fetched)?;
        tell(&answer, self.terminal);
        Ok(())
    }

    async fn install_locked(self, what: Option<&str>) -> Result<(), Refusal> {
        let mut answers = Vec::new();
        // All of them are there and right before the first is installed.
        let mut all = Vec::new();
        for (name, locked) in self.lock.wanted(what)? {
            let fetched = self.locked(name, locked).await?;
            self.keep(&fetched)?;
            all.push(fetched);
        }
        for fetched in all {
            registry::tell(&fetched, self.terminal);
            // Somebody said yes when it was locked, to exactly these bytes.
            let (from, component) = (Some(&fetched.reference), fetched.pulled.component);
            let answer = post(self.wanted, true, from, component, self.flags).await?;
            if !self.terminal.is_json() {
                tell(&answer, self.terminal);
            }
            answers.push(answer);
        }
        if self.terminal.is_json() {
            self.terminal.json(&json!({ "plugins": answers }));
        }
        Ok(())
    }

    /// A plugin as the lock file has it, from the shelf or its registry.
    async fn locked(&self, name: &str, locked: &Locked) -> Result<Fetched, Refusal> {
        let reference: Reference = locked.reference.parse()?;
        let reference = reference.at(&locked.manifest);
        let pulled = match self.shelved(locked) {
            Some(pulled) => pulled,
            None if self.wanted.offline => {
                let message = format!(
                    "`{name}` was not fetched before, or is not kept any more: leave out --offline \
                     once."
                );
                return Err(refused(&message));
            }
            None => {
                let from = registry::open(&reference, &self.wanted.access)?;
                oci::pull(&from, &reference, self.largest).await?
            }
        };
        if oci::component_of(&reference, &pulled.manifest)? != locked.component {
            return Err(disagrees(name, "another component than its manifest"));
        }
        let signed = match self.keys.as_slice() {
            [] => None,
            keys => {
                let signature = locked.signature.as_ref();
                let by = signature::check_again(&reference, &locked.manifest, signature, keys)?;
                locked.signature.clone().map(|signature| (signature, by))
            }
        };
        let plugin = Plugin::read(pulled.component.clone());
        let plugin = plugin.map_err(|error| refused(&sentence(&error.to_string())))?;
        let more = plugin.descriptor.grants.beyond(&locked.grants);
        if !more.is_empty() {
            return Err(disagrees(name, &format!("fewer grants than it asks for ({more})")));
        }
        if plugin.descriptor.name != name {
            return Err(disagrees(name, &format!("the plugin `{}`", plugin.descriptor.name)));
        }
        Ok(Fetched { plugin, pulled, reference, signed })
    }

    fn shelved(&self, locked: &Locked) -> Option<Pulled> {
        let manifest = self.shelf.get(&locked.manifest)?;
        let component = self.shelf.get(&locked.component)?;
        let manifest = Manifest { bytes: manifest, digest: locked.manifest.clone() };
        Some(Pulled { component, digest: locked.component.clone(), manifest })
    }

    fn keep(&self, fetched: &Fetched) -> Result<(), Refusal> {
        let Pulled { component, digest, manifest } = &fetched.pulled;
        self.shelf.put(&manifest.digest, &manifest.bytes)?;
        self.shelf.put(digest, component)
    }
}

fn disagrees(name: &str, what: &str) -> Refusal {
    let message = format!("The lock file has for `{name}` {what}: add it anew from its registry.");
    refused(&message).with_next("windlass plugin add oci://… --update-lock")
}

/// Sends a component to the host.
async fn post(
    wanted: &Add,
    accept_grants: bool,
    from: Option<&Reference>,
    component: Vec<u8>,
    flags: &Flags,
) -> Result<Value, Refusal> {
    let mut path = format!(
        "/api/plugins?accept_grants={accept_grants}&activate={}&replace_built_in={}",
        !wanted.no_activate, wanted.replace_built_in
    );
    if let Some(from) = from {
        path.extend(["&origin=", &from.to_string()]);
    }
    let host = Connection::open(flags, Need::Looking).await?;
    let answer = host.post_component(&path, component).await;
    host.close().await;
    answer
}

async fn read(file: &Path) -> Result<Vec<u8>, Refusal> {
    tokio::fs::read(file).await.map_err(|error| {
        Refusal::new(Exit::Usage, format!("{} cannot be read: {error}.", file.display()))
    })
}
