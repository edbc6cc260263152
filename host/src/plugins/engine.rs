//! The one wasmtime engine of the process: deterministic, interruptible, without the features that
//! a plugin does not need.

use std::path::Path;
use std::time::Duration;

use bindings::{Guest, Operation, OperationPre};
use wasmtime::component::{Component, Linker};

use crate::capabilities::{self, Granted};
use crate::model::names::Digest;
use crate::plugins::cache::Cache;
use crate::plugins::plugin::PluginError;

/// How often a running guest is interrupted so that others get their turn.
pub const TICK: Duration = Duration::from_millis(10);

/// Compiles components and makes stores for them.
pub struct Engine {
    inner: wasmtime::Engine,
    linker: Linker<Guest>,
    cache: Cache,
}

impl Engine {
    /// An engine whose compiled code is kept in `cache`.
    ///
    /// # Errors
    /// When the folder cannot be made, or the ticker thread cannot be started.
    pub fn new(cache: &Path) -> Result<Self, PluginError> {
        let engine = |source: wasmtime::Error| PluginError::Engine { reason: source.to_string() };
        let folder = |source: std::io::Error| PluginError::Engine {
            reason: format!("the folder {} for compiled code: {source}", cache.display()),
        };
        let inner = wasmtime::Engine::new(&config()).map_err(engine)?;
        let mut linker = bindings::wasi_linker(&inner).map_err(engine)?;
        Operation::add_to_linker::<Guest, Granted>(&mut linker, capabilities::of)
            .map_err(engine)?;
        start_ticker(&inner).map_err(folder)?;
        Ok(Self { inner, linker, cache: Cache::open(cache).map_err(folder)? })
    }

    /// Compiles a component and checks that the host has all that it imports. Takes up to seconds:
    /// not for a runtime thread.
    ///
    /// # Errors
    /// When it does not compile, or wants what there is not.
    pub fn prepare(
        &self,
        digest: &Digest,
        bytes: &[u8],
    ) -> Result<OperationPre<Guest>, PluginError> {
        let component = self
            .cache
            .load(&self.inner, digest, bytes)
            .map_err(|e| PluginError::NotAComponent { reason: format!("{e:#}") })?;
        self.link(&component).map_err(|e| PluginError::DoesNotFit { reason: format!("{e:#}") })
    }

    /// The engine itself, for stores.
    pub const fn inner(&self) -> &wasmtime::Engine {
        &self.inner
    }

    fn link(&self, component: &Component) -> wasmtime::Result<OperationPre<Guest>> {
        OperationPre::new(self.linker.instantiate_pre(component)?)
    }
}

/// Everything that decides what a guest sees. A change here makes compiled code be made anew.
fn config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .max_wasm_stack(512 * 1024)
        .async_stack_size(1024 * 1024);
    config
}

/// Counts epochs until the engine is gone.
fn start_ticker(engine: &wasmtime::Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    let tick = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            #[expect(clippy::disallowed_methods, reason = "a thread of its own, for this alone")]
            std::thread::sleep(TICK);
        }
    };
    std::thread::Builder::new().name("epoch-ticker".to_owned()).spawn(tick).map(drop)
}
