//! What wasmtime needs of the contract in `wit/`, and the deterministic part of WASI that guests
//! see. A crate of its own because it takes longer to compile than the rest of the host together.

mod contract;
mod guest;
mod wasi;

pub use contract::app::{App, AppPre};
pub use contract::{Operation, OperationPre, windlass};
pub use guest::{Clock, Guest};
pub use wasi::wasi_linker;
