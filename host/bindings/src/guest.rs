//! What a store holds for its guest.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// The data of one store: everything a guest can reach.
pub struct Guest {
    /// WASI without files, sockets and environment.
    pub wasi: WasiCtx,
    /// Resources that the guest has handles of.
    pub table: ResourceTable,
    /// Memory, tables, instances.
    pub limits: Box<dyn ResourceLimiter + Send + Sync>,
    /// The time that the guest sees.
    pub clock: Arc<dyn Clock>,
    /// The host's own part, which this crate knows nothing of.
    pub host: Box<dyn Any + Send>,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// The time that a guest sees: it follows from the job's journal, so a replay sees the same.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Since the Unix epoch.
    fn wall(&self) -> Duration;

    /// Nanoseconds since the job started.
    fn monotonic(&self) -> u64;

    /// Waits until the monotonic clock shows this.
    async fn sleep_until(&self, monotonic: u64);
}
