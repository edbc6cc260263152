//! Loading and running operations: components are read, checked, compiled once, and run in a store
//! of their own for each job.

pub mod cache;
pub mod catalog;
pub mod descriptor;
pub mod engine;
pub mod instance;
pub mod plugin;

/// The components that the build embedded.
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

    /// Their bytes, in the order of their names.
    pub(super) fn components() -> &'static [&'static [u8]] {
        EMBEDDED
    }
}
