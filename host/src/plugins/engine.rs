//! The one wasmtime engine of the process: deterministic, interruptible, without the features that
//! a plugin does not need.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bindings::{App, AppPre, Guest, Operation, OperationPre};
use wasmtime::component::{Component, Linker};

use crate::capabilities::{self, Granted};
use crate::model::limits::Limits;
use crate::model::names::Digest;
use crate::plugins::cache::Cache;
use crate::plugins::compile::Compiler;
use crate::plugins::descriptor::Kind;
use crate::plugins::fit;
use crate::plugins::plugin::PluginError;
use crate::plugins::quota::Pool;

/// The most runs at once, nearly all of them waiting, where the system has no limit of its own: each
/// takes some memory and 4 GiB of addresses.
const MOST_RUNS: usize = 20_000;

/// Bytes of stack for the host's own functions, which a guest calls.
const HOST_STACK: usize = 512 * 1024;

/// How many mappings of memory a run takes: its stack with a guard, its linear memory between two.
/// Counted in `/proc/self/maps` with 10 000 waiting jobs: 5 each, and a component may have more
/// memories than one.
const MAPPINGS_OF_A_RUN: usize = 6;

/// How many mappings everything else in the process may take.
const MAPPINGS_OF_THE_REST: usize = 5_000;

/// Compiles components and makes stores for them.
pub struct Engine {
    inner: wasmtime::Engine,
    room: usize,
    operations: Linker<Guest>,
    apps: Linker<Guest>,
    cache: Cache,
    pool: Arc<Pool>,
    compiler: Option<Compiler>,
}

/// A compiled component with all that it imports, by the world that it was built for.
#[derive(Clone)]
pub enum Prepared {
    /// Exports `run`.
    Operation(OperationPre<Guest>),
    /// Exports `deploy` and `undeploy`.
    App(AppPre<Guest>),
}

impl Engine {
    /// An engine whose compiled code is kept in `cache`, and whose guests have a stack and memory in
    /// common as these limits say. The code is the same whatever they are.
    ///
    /// # Errors
    /// When the folder cannot be made, or the ticker thread cannot be started.
    pub fn new(cache: &Path, limits: &Limits) -> Result<Self, PluginError> {
        let engine = |source: wasmtime::Error| PluginError::Engine { reason: source.to_string() };
        let folder = |source: std::io::Error| PluginError::Engine {
            reason: format!("the folder {} for compiled code: {source}", cache.display()),
        };
        let inner = wasmtime::Engine::new(&config(limits.stack)).map_err(engine)?;
        let mut operations = bindings::wasi_linker(&inner).map_err(engine)?;
        Operation::add_to_linker::<Guest, Granted>(&mut operations, capabilities::of)
            .map_err(engine)?;
        let mut apps = bindings::wasi_linker(&inner).map_err(engine)?;
        App::add_to_linker::<Guest, Granted>(&mut apps, capabilities::of).map_err(engine)?;
        start_ticker(&inner, limits.turn).map_err(folder)?;
        let cache = Cache::open(cache).map_err(folder)?;
        let mappings = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok();
        let room = room(mappings.and_then(|text| text.trim().parse().ok()));
        let pool = Arc::new(Pool::new(limits.all_memory));
        Ok(Self { inner, room, operations, apps, cache, pool, compiler: None })
    }

    /// The same, where components are compiled in processes of their own: what compiling takes of
    /// memory ends with it, and a stranger's component takes no more than it may.
    #[must_use]
    pub fn with_compiler(self, compiler: Compiler) -> Self {
        Self { compiler: Some(compiler), ..self }
    }

    /// Compiles a component in a process of its own, where there is a program for that.
    ///
    /// # Errors
    /// When it does not compile or does not fit, or takes more than it may.
    pub async fn compile_apart(&self, component: &[u8]) -> Result<(), PluginError> {
        match &self.compiler {
            Some(compiler) => compiler.compile(self.cache.folder(), component).await,
            None => Ok(()),
        }
    }

    /// What [`Self::prepare`] gives, if nothing has to be compiled for it.
    ///
    /// # Errors
    /// When the component wants what there is not.
    pub fn prepare_known(
        &self,
        kind: Kind,
        digest: &Digest,
        bytes: &[u8],
    ) -> Result<Option<Prepared>, PluginError> {
        let known = self.cache.known(&self.inner, digest);
        known.map(|component| self.linked(kind, bytes, &component)).transpose()
    }

    /// Compiles a component and checks that its world has all that it imports. Takes up to seconds:
    /// not for a runtime thread.
    ///
    /// # Errors
    /// When it does not compile, or wants what there is not.
    pub fn prepare(
        &self,
        kind: Kind,
        digest: &Digest,
        bytes: &[u8],
    ) -> Result<Prepared, PluginError> {
        let component = self
            .cache
            .load(&self.inner, digest, bytes)
            .map_err(|e| PluginError::NotAComponent { reason: format!("{e:#}") })?;
        self.linked(kind, bytes, &component)
    }

    /// Whether the code of this component is on disk, so that nobody has to compile it.
    pub fn has_code(&self, digest: &Digest) -> bool {
        self.cache.has(&self.inner, digest)
    }

    /// How many runs there may be at once. One more might find no memory, and would fail for what is
    /// not its fault.
    pub const fn room(&self) -> usize {
        self.room
    }

    /// The memory that all runs share.
    pub const fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The engine itself, for stores.
    pub const fn inner(&self) -> &wasmtime::Engine {
        &self.inner
    }

    fn linked(
        &self,
        kind: Kind,
        bytes: &[u8],
        component: &Component,
    ) -> Result<Prepared, PluginError> {
        self.link(kind, component).map_err(|error| fit::misfit(kind, bytes, component, &error))
    }

    fn link(&self, kind: Kind, component: &Component) -> wasmtime::Result<Prepared> {
        match kind {
            Kind::Operation => OperationPre::new(self.operations.instantiate_pre(component)?)
                .map(Prepared::Operation),
            Kind::App => AppPre::new(self.apps.instantiate_pre(component)?).map(Prepared::App),
        }
    }
}

/// Everything that decides what a guest sees. A change here makes compiled code be made anew.
fn config(stack: usize) -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        // A memory that is mapped from its image takes two mappings more, of which a process has a
        // limited number (65 530 by default): ten thousand waiting jobs would not fit. Copying the
        // data of a component costs microseconds.
        .memory_init_cow(false)
        .max_wasm_stack(stack)
        // What the host's functions need lies above the guest's.
        .async_stack_size(stack.saturating_add(HOST_STACK));
    config
}

/// How many runs fit into so many mappings of memory.
fn room(mappings: Option<usize>) -> usize {
    let Some(mappings) = mappings else { return MOST_RUNS };
    let fitting = mappings.saturating_sub(MAPPINGS_OF_THE_REST) / MAPPINGS_OF_A_RUN;
    fitting.clamp(1, MOST_RUNS)
}

/// Counts epochs until the engine is gone: at each, a running guest is interrupted so that others get
/// their turn.
fn start_ticker(engine: &wasmtime::Engine, turn: Duration) -> std::io::Result<()> {
    let engine = engine.weak();
    let tick = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            #[expect(clippy::disallowed_methods, reason = "a thread of its own, for this alone")]
            std::thread::sleep(turn);
        }
    };
    std::thread::Builder::new().name("epoch-ticker".to_owned()).spawn(tick).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_limit_of_mappings_has_room_for_ten_thousand_runs() {
        assert_eq!(room(Some(65_530)), 10_088);
        assert_eq!(room(Some(1_048_576)), MOST_RUNS);
        assert_eq!(room(Some(0)), 1);
        assert_eq!(room(None), MOST_RUNS);
    }
}
